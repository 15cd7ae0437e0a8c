"""The alerts of one run: it looks once a second, and hands what is to be told to its courier.

All of it costs the loop a few dozen microseconds; whatever an endpoint does happens in the
courier's process. What fails is told: in the log once a minute, on the page, to Prometheus.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from fairlead.engine.errors import MEANING, Exit, FairleadError
from fairlead.engine.observe.alerts import texts
from fairlead.engine.observe.alerts.messages import Hello, Message
from fairlead.engine.observe.alerts.rules import Rules
from fairlead.engine.observe.alerts.sender import Sender
from fairlead.engine.observe.deliveries import Delivery
from fairlead.engine.observe.page.rows import of_finding
from fairlead.engine.observe.page.told import Wrong
from fairlead.engine.processes import answer_also, answer_no_more
from fairlead.engine.status import LOOP_STUCK, shortened

if TYPE_CHECKING:
    from fairlead.engine.config.observed import Alerts
    from fairlead.engine.observe.page.snapshot import Snapshot
    from fairlead.engine.observe.page.sources import Sources
    from fairlead.engine.secrets import Secret

logger = logging.getLogger(__name__)

LOOK_SECS = 1.0
TELL_SECS = 60.0  # between two lines on the same trouble
MUTE_SECS = 2.0  # that the run's watch may be late with a stuck loop, before the courier tells
WORTH_SECS = 10.0
TEXT_CHARS_MAX = 700  # of an alert, without its place and time
FINDINGS_MAX = 5  # of one look; more are counted


class Alerting:
    """Of one run. `start` it first of all, `ended` or `failed` last of all, with the verdict."""

    def __init__(
        self,
        settings: Alerts,
        urls: Mapping[str, Secret],
        *,
        run: str,
        config: str,
        stuck_secs: int,
        sender: Callable[[Hello], Sender] = Sender,
    ) -> None:
        self._settings = settings
        self._where = f"{socket.gethostname()}, {config}"
        self._rules = Rules(settings, run)
        self._run = run
        revealed = {name: url.reveal() for name, url in urls.items()}
        self._sender = sender(self._hello(revealed, stuck_secs))
        self._sources: Sources | None = None
        self._snapshot: Snapshot | None = None
        self._worth: texts.Worth = {}
        self._worth_at = 0.0
        self._since = texts.Since()
        self._findings: dict[int, int] = {}  # by account, how many were seen
        self._daily = _next(settings.daily, datetime.now(UTC))
        self._is_running_told = False
        self._told_at: dict[str, tuple[float, int]] = {}
        self._has_ended = False

    def _hello(self, urls: dict[str, str], stuck_secs: int) -> Hello:
        takers = tuple(self._rules.takers("run", "bad"))
        halts = tuple(self._rules.takers("halts", "bad"))

        def message(to: tuple[str, ...], code: str, text: str) -> Message:
            body = f"{text}\n{self._where}"
            return Message(
                to=to, title=f"{self._run}: {code}", body=body, kind="failure", is_urgent=True
            )

        return Hello(
            endpoints=urls,
            orphan=message(
                takers,
                "GONE",
                f"process {os.getpid()} ended without a word: killed, cut off, or the machine "
                "failed. Orders may be open; the next start takes them over, `fairlead kill all` "
                "cancels them",
            ),
            stuck=message(
                halts,
                LOOP_STUCK,
                f"the engine's loop has not turned for {stuck_secs} s: nothing is traded, and "
                "nothing is cancelled by itself. `fairlead kill` works all the same",
            ),
            turned=message(halts, f"{LOOP_STUCK} over", "over: the engine's loop turns again"),
            stuck_secs=stuck_secs + MUTE_SECS,
        )

    @property
    def deliveries(self) -> dict[str, Delivery]:
        return self._sender.deliveries

    @property
    def held(self) -> int:
        """Alerts that were held back, as more than the config's number came in an hour."""
        return self._rules.held

    # -- the run's life ------------------------------------------------------------------------

    def start(self) -> None:
        """Before there is a loop. Never raises."""
        self._sender.start()
        answer_also(self._cut_off)

    def lend(self, sources: Sources, snapshot: Snapshot) -> None:
        """What is looked at, until the run's end."""
        self._sources, self._snapshot = sources, snapshot

    async def run(self) -> None:
        """Until it is cancelled. Never raises anything else."""
        while True:
            try:
                self.look()
            except Exception:
                logger.exception("ALERTS")
            if self._is_running_told:  # a start imports and reads for as long as it takes
                self._sender.beat()
            due = time.monotonic_ns() + round(LOOK_SECS * 1e9)
            await asyncio.sleep(LOOK_SECS)
            self._lagged(max(time.monotonic_ns() - due, 0))

    def stuck(self) -> None:
        """The loop stands still; from the thread that sees it. Doesn't block."""
        self._sender.stuck()

    def _lagged(self, late_ns: int) -> None:
        """How long the loop was held up; where there is a page, it measures, too."""
        sources = self._sources
        if sources is not None:
            has_page = sources.loaded.config.observe.page is not None
            sources.loop_lag_ns = max(late_ns, sources.loop_lag_ns) if has_page else late_ns

    def look(self) -> None:
        """One look."""
        sources = self._sources
        if sources is None:
            return
        now_ns, state = sources.now_ns(), sources.state()
        if state == "running" and not self._is_running_told:
            self._is_running_told = True
            text = self._started()
            self._send(self._rules.message("STARTED", text, now_ns, kind="info", topic="run"))
        self._sample()
        found = [*texts.wrongs(sources), *self._found()]
        self._send(self._rules.look(found, now_ns, is_stopping=state == "stopping"))
        self._look_at_the_clock(now_ns)
        self._sender.look()
        self._look_at_deliveries(now_ns)

    def _started(self) -> str:
        assert self._sources is not None
        config = self._sources.loaded.config
        ids = ", ".join(one.id for one in config.strategies) if self._sources.trades else "none"
        return f"running; venues: {', '.join(config.venues)}; strategies: {ids}"

    def _sample(self) -> None:
        now = time.monotonic()
        if not self._worth or now - self._worth_at >= WORTH_SECS:
            self._reckon()
            self._worth_at = now

    def _reckon(self) -> None:
        """What the accounts are worth now; of one that has no mark what it last was."""
        if self._snapshot is not None:
            with contextlib.suppress(RuntimeError):  # NautilusTrader lends its cache: next time
                self._worth = {**self._worth, **self._snapshot.worth()}

    def _found(self) -> Iterable[Wrong]:
        """What comparisons of accounts have found since the last look."""
        assert self._sources is not None
        for number, account in enumerate(self._sources.accounts):
            seen = self._findings.get(number, 0)
            new = list(account.findings[seen:])
            self._findings[number] = seen + len(new)
            for one in new[:FINDINGS_MAX]:
                yield Wrong(level="look", code="FINDING", text=f"{one.code} {of_finding(one)}")
            if len(new) > FINDINGS_MAX:
                text = f"{len(new) - FINDINGS_MAX} more differences; the page and the log have them"
                yield Wrong(level="look", code="FINDING", text=text)

    def _look_at_the_clock(self, now_ns: int) -> None:
        now = datetime.fromtimestamp(now_ns / 1e9, UTC)
        if self._daily is None or now < self._daily:
            return
        day = f"{self._daily:%Y-%m-%d}"
        self._daily = _next(self._settings.daily, now)
        self._send(
            self._rules.message(f"DAILY {day}", self._summary(), now_ns, kind="info", topic="daily")
        )
        assert self._snapshot is not None
        assert self._sources is not None
        self._since.fills = self._snapshot.fill_count
        self._since.denials = texts.denied(self._sources)
        self._since.alerts = self._rules.told
        self._since.named = f"since {day} {self._settings.daily} UTC"

    def _summary(self) -> str:
        if self._sources is None or self._snapshot is None:
            return "nothing was traded"
        told = texts.summary(self._sources, self._snapshot, self._worth, self._since)
        return f"{told}\nalerts: {self._rules.told - self._since.alerts}"

    def _whole(self) -> str:
        if self._sources is None or self._snapshot is None:
            return "nothing was traded"
        self._reckon()
        told = texts.ended(self._sources, self._snapshot, self._worth)
        return f"{told}\nalerts in the whole run: {self._rules.told}"

    def _send(self, messages: Iterable[Message]) -> None:
        for one in messages:
            logger.info("alert to %s: %s", ", ".join(one.to), one.title)
            self._sender.send(_signed(one, self._where))

    # -- what fails ----------------------------------------------------------------------------

    def _look_at_deliveries(self, now_ns: int) -> None:
        for name, one in self._sender.deliveries.items():
            if one.trouble:
                text = (
                    f"alerts do not arrive at {name}: {one.trouble}; {one.failed} tries failed, "
                    f"{one.lost} alerts lost, {one.waiting} wait"
                )
                self._tell(name, one.failed + one.lost, text, now_ns, is_bad=one.lost > 0)
        sender = self._sender
        if sender.trouble:
            self._tell("", sender.starts, sender.trouble, now_ns)
        if sender.dropped:
            text = f"the courier of alerts takes none: {sender.dropped} lost"
            self._tell(" ", sender.dropped, text, now_ns, is_bad=True)

    def _tell(self, key: str, count: int, text: str, now_ns: int, *, is_bad: bool = False) -> None:
        """Once a minute while it goes on: a line of the log, and a row of the page's warnings."""
        assert self._sources is not None
        now = time.monotonic()
        told_at, told = self._told_at.get(key, (-TELL_SECS, -1))
        if count != told and now - told_at >= TELL_SECS:
            self._told_at[key] = now, count
            logger.warning("ALERTS: %s", text)
            self._sources.status.problem(now_ns, "ALERTS", text, is_bad=is_bad)

    # -- the end -------------------------------------------------------------------------------

    def ended(self, exit_code: int, reason: str) -> None:
        """The verdict. Waits a few seconds for the courier; never raises."""
        if self._has_ended:
            return
        self._has_ended = True
        answer_no_more(self._cut_off)
        try:
            self._say_end(exit_code, reason)
        except Exception:
            logger.exception("ALERTS: the run's end")
        self._sender.close()

    def again(self) -> None:
        """The run starts again at once, and so does its courier: nothing is to be told of it."""
        self._has_ended = True
        answer_no_more(self._cut_off)
        self._sender.close()

    def _say_end(self, exit_code: int, reason: str) -> None:
        meaning = MEANING.get(Exit(exit_code), "") if exit_code in Exit else ""
        text = f"exit code {exit_code} ({meaning}): {reason}"
        with contextlib.suppress(RuntimeError):  # the figures are no reason to say nothing
            text = f"{text}\n{self._whole()}"
        now_ns = time.time_ns()
        self._send(self._rules.rest())
        self._send(
            self._rules.message(
                f"ENDED {exit_code}",
                text,
                now_ns,
                level="look" if exit_code == 0 else "bad",
                kind="info" if exit_code == 0 else "failure",
                topic="run",
            )
        )

    def failed(self, error: BaseException) -> None:
        """What prevented a start, or tore the run down."""
        if isinstance(error, FairleadError):
            self.ended(int(error.exit_code), f"{error.code}: {error.message}")
        elif isinstance(error, KeyboardInterrupt | SystemExit):
            self.ended(int(Exit.INTERRUPTED), "interrupted")
        else:
            self.ended(int(Exit.FAILED), f"{type(error).__name__}: {error}")

    def _cut_off(self, code: str, message: str, exit_code: int, _: Mapping[str, Any]) -> None:
        """The process ends at once, in whatever thread: the courier goes on without it."""
        self._has_ended = True
        for one in self._rules.message(
            f"ENDED {exit_code}", f"{code}: {message}", time.time_ns(), level="bad", topic="run"
        ):
            self._sender.send_last(_signed(one, self._where))


def _signed(message: Message, where: str) -> Message:
    """With the place and time that it tells of."""
    text = shortened(message.body, TEXT_CHARS_MAX)
    body = f"{text}\n{where}, {datetime.now(UTC):%Y-%m-%d %H:%M:%SZ}"
    return msgspec.structs.replace(message, body=body)


def _next(daily: str | None, now: datetime) -> datetime | None:
    """The next moment of that time of day, UTC."""
    if daily is None:
        return None
    hour, minute = (int(part) for part in daily.split(":"))
    today = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)
