"""Which of the reasons why not all is well becomes an alert, when, and to whom.

The reasons are the page's. Each is told once while it lasts, and once more when it is over. Of one
that may pass by itself nothing is told before it has lasted; an endpoint gets only so many an hour,
and what is held back is counted and told. What stops the run's orders, and the run's own end, is
never held back.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from fairlead.engine.observe.alerts.messages import Kind, Message
from fairlead.engine.status import LOOP_STUCK

if TYPE_CHECKING:
    from fairlead.engine.config.observed import Alerts, Topic
    from fairlead.engine.observe.page.told import Level, Wrong

SECOND_NS = 1_000_000_000
HOUR_NS = 3_600 * SECOND_NS
GONE_NS = 5 * SECOND_NS  # a reason that comes back sooner was not over
LOSS_GONE_NS = 600 * SECOND_NS  # a result moves around four fifths of its limit
KNOWN_MAX = 1_000

# By code; every other one is a trouble.
TOPICS: Mapping[str, Topic] = {
    "KILLED": "halts",
    "HALTED": "halts",
    "FAULTED": "halts",
    "STOPPED": "halts",
    "FLATTENED": "halts",
    "NO-STOP": "halts",
    "UNKNOWN": "orders",
    "MISSING": "orders",
    "STREAM": "feeds",
    "BOOK": "feeds",
    "CLOCK": "accounts",
    "COMPARED": "accounts",
    "FINDING": "accounts",
    "LOSS": "losses",
}
PASSING = frozenset({"UNKNOWN", "STREAM", "BOOK", "CLOCK", "COMPARED"})  # by themselves, often
# A start and a stop are alerts of their own, and the courier tells while a loop stands still.
UNTOLD = frozenset({"NOT-RUNNING", LOOP_STUCK})
URGENT: frozenset[Topic] = frozenset({"halts", "run", "daily"})
RECOVERS = frozenset(TOPICS) - {"FAULTED", "FINDING", "FLATTENED"}


class _Known(msgspec.Struct):
    """A reason that is there, or was a moment ago."""

    last: Wrong
    since_ns: int
    seen_ns: int
    is_told: bool = False


class _Inbox(msgspec.Struct):
    """What one endpoint got within the last hour, and what of it was held back."""

    sent_ns: deque[int] = msgspec.field(default_factory=deque)
    held: Counter[str] = msgspec.field(default_factory=Counter)


class Rules:
    """Of one run. `prefix` begins every title: which run it is."""

    def __init__(self, settings: Alerts, prefix: str) -> None:
        self.told = 0
        self.held = 0  # back, all together
        self._settings = settings
        self._prefix = prefix
        self._known: dict[tuple[str, str], _Known] = {}
        self._inboxes = {name: _Inbox() for name in settings.endpoints}

    def look(
        self, wrongs: Iterable[Wrong], now_ns: int, *, is_stopping: bool = False
    ) -> Iterator[Message]:
        """What is to be sent, of all that is wrong now. Streams and books of a run that stops end,
        and nothing of it is over for that.
        """
        for wrong in wrongs:
            is_end = is_stopping and TOPICS.get(wrong.code) == "feeds"
            if wrong.code not in UNTOLD and not is_end:
                yield from self._seen(wrong, now_ns)
        if is_stopping:
            return
        for key, known in list(self._known.items()):
            gone_ns = LOSS_GONE_NS if known.last.code == "LOSS" else GONE_NS
            if now_ns - known.seen_ns >= gone_ns:
                del self._known[key]
                if known.is_told and known.last.code in RECOVERS:
                    yield from self.message(
                        f"{known.last.code} over",
                        f"over: {known.last.text}",
                        now_ns,
                        level=known.last.level,
                        kind="success",
                        topic=TOPICS[known.last.code],
                    )
        yield from self._released(now_ns)

    def _seen(self, wrong: Wrong, now_ns: int) -> Iterator[Message]:
        key = (wrong.code, wrong.about or wrong.text)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= KNOWN_MAX:
                return  # told by their thousand
            known = self._known[key] = _Known(wrong, now_ns, now_ns)
        is_worse = known.last.level == "look" and wrong.level == "bad"
        known.last, known.seen_ns = wrong, now_ns
        patience_ns = self._settings.patience_secs * SECOND_NS if wrong.code in PASSING else 0
        if (not known.is_told and now_ns - known.since_ns >= patience_ns) or (
            known.is_told and is_worse
        ):
            known.is_told = True
            yield from self.message(wrong.code, wrong.text, now_ns, level=wrong.level)

    def message(
        self,
        code: str,
        text: str,
        now_ns: int,
        *,
        level: Level = "look",
        kind: Kind | None = None,
        topic: Topic | None = None,
        is_held: bool = True,
    ) -> Iterator[Message]:
        """To whom it is for and who has room for it: one, or none."""
        topic = topic or TOPICS.get(code, "troubles")
        is_urgent = topic in URGENT
        takers = []
        for name in self.takers(topic, level):
            inbox = self._inboxes[name]
            if not is_urgent and is_held and not self._has_room(inbox, now_ns):
                inbox.held[code] += 1
                self.held += 1
                continue
            if not is_urgent:
                inbox.sent_ns.append(now_ns)
            takers.append(name)
        if takers:
            self.told += 1
            yield Message(
                to=tuple(takers),
                title=f"{self._prefix}: {code}",
                body=text,
                kind=kind or ("failure" if level == "bad" else "warning"),
                is_urgent=is_urgent,
            )

    def takers(self, topic: Topic, level: Level) -> list[str]:
        """Names of the endpoints that a rule names for it; without rules, all."""
        settings = self._settings
        if not settings.rules:
            return list(settings.endpoints)
        named = {
            name
            for rule in settings.rules
            if topic in rule.about and (level == "bad" or rule.level == "look")
            for name in rule.to
        }
        return [name for name in settings.endpoints if name in named]

    def _has_room(self, inbox: _Inbox, now_ns: int) -> bool:
        while inbox.sent_ns and now_ns - inbox.sent_ns[0] >= HOUR_NS:
            inbox.sent_ns.popleft()
        return len(inbox.sent_ns) < self._settings.per_hour

    def _released(self, now_ns: int) -> Iterator[Message]:
        for name, inbox in self._inboxes.items():
            if inbox.held and self._has_room(inbox, now_ns):
                yield self._held(name, inbox)
                inbox.sent_ns.append(now_ns)

    def rest(self) -> Iterator[Message]:
        """What is still held back, at the end."""
        for name, inbox in self._inboxes.items():
            if inbox.held:
                yield self._held(name, inbox)

    def _held(self, name: str, inbox: _Inbox) -> Message:
        counts = ", ".join(f"{code} {count}" for code, count in inbox.held.most_common())
        total = inbox.held.total()
        inbox.held.clear()
        return Message(
            to=(name,),
            title=f"{self._prefix}: {total} alerts were held back",
            body=f"more than {self._settings.per_hour} an hour: {counts}; the page has them",
            kind="warning",
        )
