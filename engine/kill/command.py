"""What `fairlead kill` does at the venues, from a process of its own: cancel, and flatten.

Built for speed and for a run that hangs: the first cancels go out from the journal alone, before
markets are read, and before what closing positions needs is imported; nothing waits for the run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from fairlead.engine.config.loaded import LoadedConfig, account_files
from fairlead.engine.config.rules import RECORDED
from fairlead.engine.errors import FairleadError
from fairlead.engine.kill.account import Reach, Reached
from fairlead.engine.kill.held import end_held
from fairlead.engine.kill.state import Action, Kill
from fairlead.engine.kill.sweep import Sweep, SweptOrder
from fairlead.engine.kill.switch import kill_state
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.lock import holder_of
from fairlead.engine.orders.model import OrderState, VenueUnavailable
from fairlead.engine.secrets import SecretError

if TYPE_CHECKING:
    from fairlead.engine.kill.aftermath import Stays
    from fairlead.engine.kill.flatten import Closed

CLOSE_SECS = 5.0  # for a connection to close; what does not ends with the process
MARGIN_SECS = 0.25  # of the time given: to say what is not proven
FLATTEN_SHARE = 1 / 3  # of the time given: kept for closing, where cancels need all of the rest


class First(NamedTuple):
    """First cancels: when they were sent, UNIX ns, of how many orders, and which of these (client
    order ids) the venue did not refuse."""

    ts_ns: int = 0
    asked: int = 0
    heeded: Set[str] = frozenset()


class VenueReport(msgspec.Struct, kw_only=True):
    """One venue account. `first_cancel_ms` is from the kill in force to the first cancel sent,
    `first_cancel_cpu_ms` this process's own time until then, its start and imports included; None
    where none was sent, or the venue refused all of the first. `unbooked` counts those of the
    orders that are gone at the venue and open in the journal: who holds the account books their
    ends, a run that is up or the next start. Of the orders the run beside cancelled `by_run`, the
    first of them after `run_first_cancel_ms`, where that was before this command's; it
    closed `closed_by_run` (bought; sold: negative, base units). `stays`: positions that a kill
    which closes none leaves. `is_journal_gone`: what only a journal knows is not known.
    """

    venue: str
    account: str
    orders: list[SweptOrder] = []
    closed: list[Closed] = []
    problem: str = ""
    is_unreachable: bool = False
    first_cancel_ms: float | None = None
    first_cancel_cpu_ms: float | None = None
    run_first_cancel_ms: float | None = None
    unbooked: int = 0
    is_journal_gone: bool = False
    by_run: int = 0
    closed_by_run: dict[str, Decimal] = {}
    stays: list[Stays] = []

    @property
    def left(self) -> list[SweptOrder]:
        return [order for order in self.orders if order.is_left]

    @property
    def is_clean(self) -> bool:
        return not self.problem and not self.left and all(one.is_flat for one in self.closed)


def closing_words(bought: Decimal) -> str:
    return f"sold {-bought:f}" if bought < 0 else f"bought {bought:f}"


def _least(reached: Reached) -> dict[str, Decimal]:
    """The smallest order by instrument; empty of a venue where a kill closes nothing."""
    try:
        markets = reached.markets().by_name
    except FairleadError as error:
        if error.code != "NOT-FLAT":
            raise
        return {}
    return {name: max(one.step, one.min_quantity) for name, one in markets.items()}


def covered(loaded: LoadedConfig, kill: Kill) -> list[str]:
    """Keys of the config's venues that the kill's scope touches."""
    scope = kill.scope
    return [
        key
        for key, venue in loaded.config.venues.items()
        if venue.adapter != RECORDED
        and not venue.data_only
        and (
            scope.kind in ("all", "strategy")
            or (scope.kind == "venue" and scope.key == key)
            or (scope.kind == "account" and scope.key == venue.account)
        )
    ]


async def kill_venues(
    loaded: LoadedConfig,
    kill: Kill,
    reach: Reach,
    *,
    since_ns: int,
    timeout_secs: float,
    tell: Callable[[str], None],
    begun_ns: int = 0,
) -> list[VenueReport]:
    """Cancel (and flatten) at every venue that the kill covers, all at once.

    `since_ns` is when the kill was durable, `begun_ns` when the command began, UNIX nanoseconds:
    what was done before it is another's work, where the kill was in force already. All of it,
    connecting and closing positions too, is cut off after `timeout_secs`; what is not proven by
    then is left.
    """
    keys = covered(loaded, kill)
    works = [
        VenueKill(loaded, key, kill, reach, since_ns, timeout_secs, tell, begun_ns) for key in keys
    ]
    return list(await asyncio.gather(*(work.run() for work in works)))


class VenueKill:
    """One venue account of the config. What was done before `begun_ns` was not for this command."""

    def __init__(
        self,
        loaded: LoadedConfig,
        key: str,
        kill: Kill,
        reach: Reach,
        since_ns: int,
        timeout_secs: float,
        tell: Callable[[str], None],
        begun_ns: int = 0,
    ) -> None:
        self._loaded = loaded
        self._key = key
        self._kill = kill
        self._reach = reach
        self._since_ns = since_ns
        self._timeout_secs = timeout_secs
        self._tell = tell
        self._venue = loaded.config.venues[key]
        self._files = account_files(loaded, key)
        self._path = self._files.journal
        self._begun_ns = begun_ns
        self._held: list[SweptOrder] | None = None  # ended by this command
        self._deadline = 0.0  # of the loop's clock
        self._late = ""  # what is not done yet, should the time be over now; empty: all is
        self._is_answered = False  # the venue told what is open
        self._is_left_told = False
        self._least: dict[str, Decimal] = {}  # by instrument, that the venue takes
        self._made: set[str] = set()  # closing orders of this command
        self.report = VenueReport(venue=key, account=self._venue.account)

    async def run(self) -> VenueReport:
        """Never raises: what went wrong is in the report. It is over in the time that is given, a
        connection that does not close aside (`CLOSE_SECS`).
        """
        self._deadline = asyncio.get_running_loop().time() + self._timeout_secs
        work = asyncio.ensure_future(self._work())
        try:
            await asyncio.wait({work}, timeout=self._timeout_secs + CLOSE_SECS)
            if not work.done():
                work.cancel()
                await asyncio.wait({work}, timeout=MARGIN_SECS)
                self._fail_late()
        finally:
            work.cancel()
            self._end_held()
            self._require_journal()
            self._see_aftermath()
            self._count_unbooked()
        self._tell_paper()
        self._tell_left()
        if self._kill.action is Action.FLATTEN and self.report.problem and not self.report.closed:
            self._tell_positions()
        return self.report

    def _paper_run(self) -> int | None:
        """The process of the paper run that is up and that the kill covers, if any."""
        return holder_of(account_files(self._loaded, self._key, paper=True).lock)

    def _tell_paper(self) -> None:
        if (pid := self._paper_run()) is not None:
            self._tell(
                f"{self._key}: the paper run that is up (process {pid}) cancels its simulated "
                "orders itself, stops too; what it holds stays: a kill closes no simulated position"
            )

    async def _work(self) -> None:
        """Never raises."""
        try:
            reached = self._reached()
            if reached is None:
                self._require_journal_to_flatten()
                return
            try:
                await self._in_time(reached)
            finally:
                await reached.close()
        except (FairleadError, VenueUnavailable) as error:
            self._fail(f"{error.code}: {error.message}")
            self.report.is_unreachable = isinstance(error, VenueUnavailable)
        except Exception as error:
            self._fail(f"{type(error).__name__}: {error}")

    async def _in_time(self, reached: Reached) -> None:
        """Raises VenueUnavailable, FairleadError (the journal's, too)."""
        try:
            async with asyncio.timeout_at(self._deadline) as limit:
                await self._run(reached)
            self._late = ""
        except TimeoutError:
            if not limit.expired():
                raise
            self._fail_late()

    def _fail_late(self) -> None:
        if self._late and not self.report.problem:
            self._fail(f"KILL-TIMEOUT: {self._timeout_secs:g} s are over, and {self._late}")
            self.report.is_unreachable = not self._is_answered

    def _end_held(self) -> None:
        """Once, whatever becomes of the venue. What can't be ended can't be released either, while
        the kill is in force."""
        if self._held is not None or not self._path.exists():
            return
        self._held = []
        try:
            self._held = end_held(self._path, self._covers, self._since_ns)
        except JournalError as error:
            if self._kill.scope.kind != "strategy":  # else the journal is told of below
                self._tell(f"{self._key}: orders that the engine holds are not ended: {error}")
        for order in self._held:
            self._told(order)
        self.report.orders = [*self._held, *self.report.orders]

    def _see_aftermath(self) -> None:
        """What the run beside has done, and what is held yet."""
        from fairlead.engine.kill.aftermath import aftermath
        from fairlead.engine.kill.bare import Bare, bare_positions

        if not self._path.exists():
            return
        # The run may have acted before the command knew that its kill was durable
        since_ns = max(self._kill.ts_ns, self._begun_ns)
        gone = {one.client_order_id: one.state for one in self.report.orders if not one.is_left}
        kills = {self._kill, *kill_state(self._loaded).in_force()}

        def bare(journal: Journal, ended: Collection[str]) -> list[Bare]:
            return bare_positions(journal, self._key, self._venue.account, kills, ended)

        try:
            found = aftermath(
                self._path,
                self._covers,
                since_ns,
                gone=gone,
                own=self._made,
                least=self._least,
                bare=bare,
            )
        except JournalError as error:
            self._tell(f"{self._key}: what the run has done is not known: {error.message}")
            return
        left = {order.client_order_id for order in self.report.left}
        by_run = [one for one in found.cancelled if one.client_order_id not in left]
        for order in by_run:
            self._told(order)
        self.report.orders = [*self.report.orders, *by_run]
        self.report.by_run = len(by_run) + self._count_first(gone, by_run, since_ns)
        for name, bought in found.closed.items():
            self._tell(f"{name} {closing_words(bought)} by the run itself")
        self.report.closed_by_run = found.closed
        if self._kill.action is not Action.FLATTEN:
            self.report.stays = found.stays
            for one in found.stays:
                self._tell(str(one))

    def _count_first(
        self, gone: Mapping[str, OrderState], by_run: Iterable[SweptOrder], since_ns: int
    ) -> int:
        """Of what this command saw to, and that is gone: how many the run's own thread cancelled
        before it, past the loop and the journal."""
        from fairlead.engine.kill.first import first_of

        booked = {one.client_order_id for one in by_run}
        path = account_files(self._loaded, self._key).cancels
        first_ns, asked = first_of(path, {*gone, *booked}, since_ns)
        if first_ns is None:
            return 0
        ms = max((first_ns - self._since_ns) / 1e6, 0.0)
        own_ms = self.report.first_cancel_ms
        if own_ms is not None and own_ms <= ms:
            return 0
        self.report.run_first_cancel_ms = ms
        return sum(gone.get(one) is OrderState.CANCELED for one in asked - booked)

    def _count_unbooked(self) -> None:
        gone = {order.client_order_id for order in self.report.orders if not order.is_left}
        if not gone or not self._path.exists():
            return
        try:
            with closing(Journal.reading(self._path)) as journal:
                still = [one.intent.client_order_id for one in journal.open_orders()]
        except JournalError:
            return  # told when the orders were taken from it
        self.report.unbooked = len(gone & set(still))

    def _tell_positions(self) -> None:
        """What is still held, by the journal: nothing was closed."""
        from fairlead.engine.kill.flatten import Closed

        held: dict[str, Decimal] = {}
        if not self._path.exists():
            return
        try:
            with closing(Journal.reading(self._path)) as journal:
                for one in journal.positions():
                    if self._covers(one.strategy):
                        held[one.instrument] = held.get(one.instrument, Decimal(0)) + one.quantity
        except JournalError as error:
            self._tell(f"{self._key}: what is held is not known: {error.message}")
            return
        for name, quantity in sorted(held.items()):
            if quantity:
                why = "by the journal; this command did not close it"
                self._tell(f"{name} position {quantity:f}: LEFT {quantity:f} {why}")
                self.report.closed.append(
                    Closed(
                        instrument=name, before=quantity, left=quantity, is_flat=False, detail=why
                    )
                )

    async def first(self) -> First:
        """Only the first part: cancel by the journal's ids, once.

        Raises VenueUnavailable, FairleadError (the journal's, too), sqlite3.Error, TimeoutError.
        """
        if not self._path.exists():
            return First()
        journal = Journal.reading(self._path)
        try:
            reached = self._reach(self._loaded, self._key)
            try:
                sweep = self._sweep(reached, journal)
                sweep.read_journal()
                async with asyncio.timeout(self._timeout_secs):
                    sent_ns = time.time_ns()
                    return First(sent_ns, await sweep.cancel(), sweep.heeded)
            finally:
                await reached.close()
        finally:
            journal.close()

    def _fail(self, problem: str) -> None:
        self.report.problem = problem
        self._tell(f"{self._key}: {problem}")

    async def _run(self, reached: Reached) -> None:
        journal = self._journal()
        sweep = self._sweep(reached, journal)
        try:
            self._late = "the first cancels are not answered"
            sweep.read_journal()
            sent_ms = (time.time_ns() - self._since_ns) / 1e6
            sent_cpu_ms = time.process_time_ns() / 1e6
            await sweep.cancel()  # by the journal's ids: nothing needs to be read before
            self._end_held()
            if sweep.is_heeded:
                self.report.first_cancel_ms = sent_ms
                self.report.first_cancel_cpu_ms = sent_cpu_ms
            self._late = "the venue's markets are not read"
            await reached.connect()
            self._late = "what is open is not read"
            if reached.capabilities.cancels:
                await sweep.finish(self._sweep_until())
            else:
                await self._end_together(reached, sweep)
        finally:
            self._is_answered = sweep.is_reached
            self.report.orders = [*(self._held or ()), *sweep.reports()]
            if journal is not None:
                journal.close()
        if sweep.problem:
            self._fail(sweep.problem)
            self.report.is_unreachable = not sweep.is_reached
        elif self._kill.scope.kind != "strategy" and not reached.capabilities.lists_stops:
            self._tell_unlisted(is_journaled=journal is not None)
        if self._path.exists():  # what is held yet is told of
            self._least = _least(reached)
        self._tell_left()
        if self._kill.action is Action.FLATTEN and reached.capabilities.cancels:
            await self._flatten(reached, sweep)

    def _tell_unlisted(self, *, is_journaled: bool) -> None:
        """What the venue's list leaves out nobody has looked for, but by the journal's ids."""
        hidden = "stops that wait for their trigger are not in the venue's list"
        if is_journaled:
            self._tell(
                f"{self._key}: {hidden}: those of this journal were asked for by id; one from "
                "elsewhere (by hand, another state folder) may be open, and nobody looked for it"
            )
        elif self._paper_run() is not None:
            self._tell(
                f"{self._key}: {hidden}, and the paper run made none there: one from elsewhere (by "
                "hand, another state folder) may be open, and nobody looked for it"
            )
        else:
            self._fail(
                f"STOPS-UNLISTED: {hidden}, and there is no journal {self._path} that names any: "
                "one may be open. Look at the venue itself, or kill with the journal in its place"
            )

    @property
    def _latest(self) -> float:
        return self._deadline - MARGIN_SECS

    def _sweep_until(self) -> float:
        now = asyncio.get_running_loop().time()
        share = FLATTEN_SHARE if self._kill.action is Action.FLATTEN else 0.0
        return now + max(self._latest - now, 0.0) * (1 - share)

    def _tell_left(self) -> None:
        if not self._is_left_told:
            self._is_left_told = True
            for order in self.report.left:
                self._told(order)

    async def _end_together(self, reached: Reached, sweep: Sweep) -> None:
        """Where no order can be cancelled they end with their position, in the venue's own call."""
        await sweep.look()  # what the venue has executed is counted
        if self._kill.action is not Action.FLATTEN:
            return
        await self._flatten(reached, sweep)
        self._late = "what is open is not read again"
        await sweep.look()
        left = {order.instrument for order in sweep.reports() if order.is_left}
        held = left if self.report.problem else self._held_in_journal()
        ends = getattr(reached.orders, "flatten", None)
        if ends is not None and self._kill.scope.kind != "strategy":  # orders without a position
            for instrument in sorted(left & held):
                self._tell(
                    f"{instrument}: its orders stay, as what is held there does: the call that "
                    "ends them would close it, past the journal"
                )
            for instrument in sorted(left - held):
                self._tell(f"{instrument}: all that is open there is ended in one call")
                self._late = f"the call that ends all of {instrument} is not answered"
                await ends(instrument)
        await sweep.finish(self._latest)

    def _held_in_journal(self) -> set[str]:
        """Instruments in which anything is held, whoever's it is. Raises JournalError."""
        with closing(Journal.reading(self._path)) as journal:
            return {one.instrument for one in journal.positions() if one.quantity}

    async def _flatten(self, reached: Reached, sweep: Sweep) -> None:
        if self._require_journal() and self._require_journal_to_flatten():
            from fairlead.engine.kill.flatten import VenueFlatten

            self._late = "positions are not closed"
            flatten = VenueFlatten(self._loaded, self._key, self._covers, self._tell, self._fail)
            self._made = flatten.made
            self.report.closed = await flatten.run(reached, sweep.filled(), self._latest)

    def _require_journal(self) -> bool:
        """Where it was taken away nobody knows what is held, or what the venue's list leaves out:
        nothing of it is gone, or flat.
        """
        from fairlead.engine.risk.continuity import require_known

        if self.report.is_journal_gone:
            return False
        try:
            require_known(self._files)
        except JournalError as error:
            self.report.is_journal_gone = True
            unseen = "positions, orders that the engine holds, and stops that no list has"
            if self._kill.scope.kind == "strategy":
                unseen = f"orders of {self._kill.scope}, of which NONE WAS CANCELLED, and positions"
            before = self.report.problem
            self._fail(f"{error.code}: NOT KNOWN are {unseen}: {error.message}")
            if before:
                self.report.problem = f"{before}; {self.report.problem}"
            return False
        return True

    def _require_journal_to_flatten(self) -> bool:
        """Positions are what the journal adds up to: without one none is known, and none is flat.

        False where there is none; that is a problem only where positions were to be closed.
        """
        if self._path.exists():
            return True
        if self._kill.action is not Action.FLATTEN:
            return False
        if self._paper_run() is not None:
            self._fail(
                "NOTHING WAS CLOSED: what is up is a paper run, whose positions are simulated, and "
                f"account {self._venue.account} was never traded live in this state_dir"
            )
        else:
            self._fail(
                f"NOTHING WAS CLOSED: there is no journal {self._path}, so no position of account "
                f"{self._venue.account} is known. Is it the right config, and its state_dir? "
                "Positions made elsewhere are closed at the venue"
            )
        return False

    def _sweep(self, reached: Reached, journal: Journal | None) -> Sweep:
        return Sweep(
            venue=reached.orders,
            journal=journal,
            instruments=self._venue.instruments,
            covers=self._covers,
            whole_account=self._kill.scope.kind != "strategy",
            batch_max=reached.capabilities.batch_cancel_max,
            quarantine_secs=max(
                self._loaded.config.execution.absent_quarantine_secs,
                reached.capabilities.max_order_lag_secs,
            ),
            on_done=self._told,
        )

    def _covers(self, strategy: str) -> bool:
        scope = self._kill.scope
        return scope.covers(strategy=strategy, venue=self._key, account=self._venue.account)

    def _reached(self) -> Reached | None:
        """The venue's own connection; None where there is no key and never was a live run."""
        try:
            return self._reach(self._loaded, self._key)
        except SecretError:
            from fairlead.engine.risk.continuity import was_traded

            if was_traded(self._files):
                raise
            self._tell(f"{self._key}: no live run was ever here, and no key: nothing to cancel")
            return None

    def _journal(self) -> Journal | None:
        """None when there is none, or when it can't be read: the venue's own list has to do."""
        if not self._path.exists():
            return None
        try:
            return Journal.reading(self._path)
        except JournalError as error:
            if self._kill.scope.kind == "strategy":  # whose is what the venue lists?
                raise FairleadError(
                    error.code,
                    f"{error.message}; so the orders of {self._kill.scope} are not known, and NONE "
                    f"WAS CANCELLED. fairlead kill venue {self._key} cancels all that is open",
                ) from error
            self._tell(f"{self._key}: {error.message}; cancelling what the venue lists as open")
            return None

    def _told(self, order: SweptOrder) -> None:
        who = f"{order.strategy} {order.client_order_id}".strip()
        what = f"LEFT {order.state}" if order.is_left else order.state.value
        line = f"{order.instrument} {order.venue_order_id or '(no venue id)'} ({who}): {what}"
        self._tell(f"{line}; {order.detail}" if order.detail else line)
