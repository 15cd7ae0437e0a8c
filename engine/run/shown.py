"""What a run lends to its page, its alerts and its Telegram bot, and their life within it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairlead.adapters.base.ratelimit import RateLimiter
from fairlead.adapters.base.runtime import VenueRuntime
from fairlead.engine.config.loaded import LoadedConfig, folders_of
from fairlead.engine.config.people import People
from fairlead.engine.errors import FairleadError
from fairlead.engine.kill.state import KillState
from fairlead.engine.observe.assumptions import versions
from fairlead.engine.observe.page.announced import Announced
from fairlead.engine.observe.page.disks import DiskWatch
from fairlead.engine.observe.page.sign import Signing
from fairlead.engine.observe.page.sources import Sources
from fairlead.engine.research.places import RUN_FILE, RUNS
from fairlead.engine.research.report import HTML_FILE
from fairlead.engine.research.runs import Run, newest
from fairlead.engine.run.build import Parts
from fairlead.engine.run.modes import MODES, NodeMode
from fairlead.engine.run.trading import TradingAccount
from fairlead.engine.run.up import accounts_in
from fairlead.engine.status import LOOP_STUCK, RunStatus

if TYPE_CHECKING:
    from fairlead.engine.observe.alerts.watch import Alerting
    from fairlead.engine.observe.page.server import Page
    from fairlead.engine.observe.page.told import BudgetTold, RunTold

logger = logging.getLogger(__name__)

RUNS_SHOWN = 50


class Shown:
    """Of one run. Where its config shows nothing there is its sign in the state folder, and whose
    run it is, for `fairlead status`.

    `lines` are what a person is told once the page is there. `alerts` are told of the run's end by
    who knows it.
    """

    def __init__(
        self,
        loaded: LoadedConfig,
        people: People,
        mode: NodeMode,
        status: RunStatus,
        trading: Sequence[TradingAccount],
        kills: KillState,
        state: Callable[[], str],
        runtimes: Callable[[], Iterable[VenueRuntime]],
    ) -> None:
        self.lines: list[str] = []
        self._status = status
        self.alerts: Alerting | None = None
        self._page: Page | None = None
        self._filled: Callable[[Any], None] | None = None
        self._tasks: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._running: list[asyncio.Task[None]] = []
        traits = MODES[mode]
        self._sources = sources = Sources(
            loaded=loaded,
            mode=mode,
            is_real=traits.is_real,
            trades=traits.trades,
            version=versions()["fairlead"],
            status=status,
            accounts=trading,
            kills=kills if traits.trades else None,
            state=state,
            budgets=lambda: _budgets(runtimes()),
            runs=lambda: list(_runs(loaded.state_dir)),
            report=lambda name: _report(loaded.state_dir, name),
            now_ns=time.time_ns,
        )
        self._announced = Announced(loaded, mode, accounts_in(loaded, mode))
        self._disks = sources.disks = DiskWatch(folders_of(loaded))
        self._signing = Signing(sources)
        self._tasks.append(self._signing.run)
        self._show(people, f"{loaded.config.name} {mode}")

    def _show(self, people: People, name: str) -> None:
        """What the config wants; what it does not is not imported."""
        sources = self._sources
        loaded = sources.loaded
        observe = loaded.config.observe
        if observe.page is None and observe.alerts is None and observe.telegram is None:
            return
        from fairlead.engine.observe.page.snapshot import Snapshot

        if observe.page is not None:
            from fairlead.engine.observe.page.server import Page as Served

            self._page = Served(sources, observe)
        page = self._page
        snapshot = Snapshot(sources, is_controlled=False) if page is None else page.snapshot
        self._filled = snapshot.filled
        if observe.alerts is not None:
            from fairlead.engine.observe.alerts.watch import Alerting as Told

            self.alerts = Told(
                observe.alerts,
                people.endpoints,
                run=name,
                config=str(loaded.path),
                stuck_secs=loaded.config.run.stuck_secs,
            )
            self.alerts.lend(sources, snapshot)
            sources.alerts = self.alerts
            self._tasks.append(self.alerts.run)
        if observe.telegram is not None and people.token is not None:
            from fairlead.engine.observe.alerts.telegram import Bot

            bot = Bot(sources, snapshot, observe.telegram, people.token)
            self._tasks.append(bot.run)

    async def start(self) -> None:
        """Never raises."""
        if self._page is not None:
            self.lines = await self._page.start()
        try:
            self._announced.tell("" if self._page is None else self._page.address)
        except OSError as error:  # who asks from a shell finds it by its accounts, and reads files
            logger.warning("where the run is can't be written down: %s", error)
        self._disks.start()
        self._running = [asyncio.ensure_future(task()) for task in self._tasks]

    async def stop(self) -> None:
        """Never raises."""
        self._announced.withdraw()
        self._disks.stop()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._page is not None:
            await self._page.stop()

    def up(self) -> None:
        """The run has said that it runs: strategies start, and what blocks the loop is stuck."""
        self._sources.is_up = True
        self._signing.give()

    def stuck(self, text: str) -> None:
        """The loop stands still; from another thread. Whoever is told by alerts hears it now, the
        page tells it once the loop turns again, of what is over by then."""
        self._status.problem(time.time_ns(), LOOP_STUCK, text)
        if self.alerts is not None:
            self.alerts.stuck()

    def assembled(self, parts: Parts, cache: Any) -> None:
        """The venues are connected."""
        self._sources.parts, self._sources.cache = parts, cache

    def hears(self, on_fill: Callable[[Any], None]) -> Callable[[Any], None]:
        """`on_fill`, of which who shows the run hears too."""
        filled = self._filled
        if filled is None:
            return on_fill

        def both(fill: Any) -> None:
            filled(fill)
            on_fill(fill)

        return both


def _budgets(runtimes: Iterable[VenueRuntime]) -> Iterator[BudgetTold]:
    """Of the adapters that are ours: each keeps its requests' budgets where its client is."""
    from fairlead.engine.observe.page.told import BudgetTold as Budget

    for runtime in runtimes:
        limiter = getattr(getattr(runtime.adapter, "http", None), "limiter", None)
        if not isinstance(limiter, RateLimiter):
            continue
        for scope, (rate, used, blocked_secs) in limiter.budgets().items():
            yield Budget(
                venue=runtime.adapter.venue.lower(),
                scope=scope,
                used=used,
                count=rate.count,
                per_secs=rate.per_secs,
                blocked_secs=round(blocked_secs, 1),
            )


def _runs(state_dir: Path) -> Iterator[RunTold]:
    """The newest of those that the state folder keeps; of a damaged one nothing is told."""
    from fairlead.engine.observe.page.told import RunTold as Kept

    for number, folder in enumerate(newest(state_dir)):
        if number >= RUNS_SHOWN:
            return
        try:
            run = Run.at(folder)
            found, summary = run.manifest, run.summary
            yield Kept(
                id=run.id,
                mode=found.mode,
                name=found.name,
                begun_ns=run.stamp.begun_ns,
                exit_code=found.exit_code,
                fills=int(summary["fills"]),
                net={str(name): str(value) for name, value in summary["net"].items()},
                has_report=(folder / HTML_FILE).is_file(),
            )
        except (FairleadError, LookupError, ValueError, TypeError):
            continue


def _report(state_dir: Path, name: str) -> Path | None:
    """The report of a kept run; None: there is none, or no such run."""
    if "/" in name or "\0" in name or name.startswith("."):
        return None
    folder = state_dir / RUNS / name
    path = folder / HTML_FILE
    return path if (folder / RUN_FILE).is_file() and path.is_file() else None
