"""A running engine and the kill switch: it looks ten times a second and does its own part.

The gate and the desk stop creates by themselves. This watch tells people, cancels what a kill
covers, and flattens where that is asked. `fairlead kill` does the same from its own process:
cancels may be sent twice, and one process at a time flattens. What a broken loss limit asks for
strategies do themselves; here it is done for those that the run has no more.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from types import FrameType
from typing import Any
from uuid import uuid4

from fairlead.engine.config.loaded import LoadedConfig, account_files
from fairlead.engine.errors import FairleadError, clear_command
from fairlead.engine.kill.account import Markets, TradedAccount
from fairlead.engine.kill.flatten import Closed, Flattener
from fairlead.engine.kill.halts import RunHalts
from fairlead.engine.kill.records import KillRecord, note
from fairlead.engine.kill.state import ALL, Action, Cleared, Kill, KillState, Scope
from fairlead.engine.kill.switch import KillSwitch, tell_flattened
from fairlead.engine.kill.way import could_meet
from fairlead.engine.orders import permit
from fairlead.engine.orders.desk import OrderDesk
from fairlead.engine.orders.journal import JournalError
from fairlead.engine.orders.journal_reads import Position
from fairlead.engine.orders.live import KILL_STRATEGY, LiveOrder
from fairlead.engine.orders.lock import FlattenLock
from fairlead.engine.orders.model import Intent, Side
from fairlead.engine.processes import say
from fairlead.engine.status import RunStatus

logger = logging.getLogger(__name__)

LOOK_SECS = 0.1
CANCEL_AGAIN_SECS = 5.0
FLATTEN_AGAIN_SECS = 5.0
FLATTEN_TRIES = 10  # per account, until it is flat; each tries a few orders
FLATTEN_SLOWLY_SECS = 60.0  # between two after these
WAIT_TOLD_SECS = 2.0  # after that a person hears which orders a flatten waits for
WAIT_SECS = 20.0  # for what is cancelled to be over; then positions are closed all the same
PAPER_AGAIN_SECS = 1.0
PUT_BACK_SECS = 1.0
CLOSED_LOOK_SECS = 1.0


class KillSignal:
    """SIGUSR1 kills everything: halt and cancel.

    The handler is Python's own and writes the kill itself, so it works while a strategy blocks
    the event loop.
    """

    def __init__(self, state: KillState) -> None:
        self._state = state
        self._before: Any = None

    def __enter__(self) -> KillSignal:
        self._before = signal.signal(signal.SIGUSR1, self._came)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGUSR1, self._before)

    def _came(self, number: int, frame: FrameType | None) -> None:
        try:
            self._state.engage(
                ALL, Action.CANCEL, reason="signal SIGUSR1", by=f"a signal to process {os.getpid()}"
            )
        except FairleadError as error:  # in force in this process all the same
            say(f"error {error.code}: {error.message}")
        except Exception as error:  # never into the strategy that was at work
            say(
                f"error KILL-SIGNAL: {type(error).__name__}: {error}; `fairlead kill` does the same"
            )


class KillWatch:
    """Acts on kills for one run. `switch` is the gate's, `trading` fills while the run starts.

    `markets` are those of a connected venue, by its NautilusTrader name.
    """

    def __init__(
        self,
        loaded: LoadedConfig,
        switch: KillSwitch,
        halts: RunHalts,
        status: RunStatus,
        trading: Sequence[TradedAccount],
        strategies: Callable[[], Iterable[Any]],
        markets: Callable[[str], Markets],
        now_ns: Callable[[], int],
    ) -> None:
        assert switch.state is not None, "a run keeps its kills"
        self._loaded = loaded
        self._switch = switch
        self._halts = halts
        self._state = switch.state
        self._status = status
        self._trading = trading
        self._strategies = strategies
        self._markets = markets
        self._now_ns = now_ns
        self._told: tuple[Kill, ...] = ()
        self._by_file: str | None = None  # what the kill switch's own file says
        self._over: set[Kill] = set()  # whose end was told
        self._lost: list[Kill] = []
        self._ready: dict[str, float] = {}  # venue -> when its next flatten may start
        self._tries: dict[str, int] = {}
        self._flattening: dict[str, Flattener] = {}  # by venue, while it closes
        # By venue, while another process may close: until when, and the side of that
        self._elsewhere: dict[str, tuple[float, dict[str, Side]]] = {}
        self._asked_for = 0, 0  # to flatten: by a broken loss limit, and by a person once more
        self._too_small: dict[str, dict[str, Decimal]] = {}  # by venue and instrument: what stays
        self._gone: set[tuple[str, str]] = set()  # of whom what is held was told
        self._held: dict[str, tuple[int, list[Position]]] = {}  # by venue, at which record
        self._asked: dict[str, float] = {}  # client order id -> when its cancel was asked for
        self._acting: dict[str, asyncio.Task[None]] = {}
        self._paper_at = 0.0
        self._put_back_at = 0.0
        self._closed_at = 0.0
        self._adopt_at: dict[str, float] = {}  # venue -> when to look for what others have left
        self._waits: dict[str, float] = {}  # venue -> since when a flatten waits for open orders
        self._waits_told: dict[str, int] = {}  # venue -> how often that was told

    # -- the order path ------------------------------------------------------------------------

    def killed(self, intent: Intent) -> str | None:
        """The desk's last look: why this order may not leave, or None."""
        if intent.strategy == KILL_STRATEGY:
            return None
        if any(one.meets(intent) for one in self._flattening.values()) or self._is_met(intent):
            return "a kill closes a position here, and its order would execute against this one"
        return self._switch.reason(intent.strategy, intent.instrument)

    def _is_met(self, intent: Intent) -> bool:
        """Whether what another process closes may execute against it; at which price that asks the
        market nobody tells here."""
        if not self._elsewhere:
            return False
        now = asyncio.get_running_loop().time()
        return any(
            now < until and could_meet(intent, sides.get(intent.instrument, intent.side))
            for until, sides in self._elsewhere.values()
        )

    def recovered(self, trading: TradedAccount) -> None:
        """The account is known: from now on its orders can be cancelled."""
        self._ready.setdefault(trading.venue, 0.0)

    def everything(self) -> str | None:
        """The kill of the whole run that is in force, for the end's verdict, or None."""
        killed = next((str(k) for k in self._state.in_force() if k.scope.kind == "all"), None)
        return killed or self._switch.by_file()

    # -- watching ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled. Never raises."""
        try:
            while True:
                try:
                    self.look()
                except Exception:
                    logger.exception("the kill switch watch")
                await asyncio.sleep(LOOK_SECS)
        finally:
            for task in self._acting.values():
                task.cancel()
            await asyncio.gather(*self._acting.values(), return_exceptions=True)

    def look(self) -> None:
        """One look: tell what is new, and start what is to be done."""
        self._halts.look()
        asks = int(Action.FLATTEN in self._halts.asks), self._state.asked_again
        if any(now > before for now, before in zip(asks, self._asked_for, strict=True)):
            self._flatten_anew()
        self._asked_for = asks
        kept = (one.venue.lower() for one in self._trading if not one.can_flatten)
        self._state.kept = frozenset(kept)
        if self._trading:
            self._state.closes_positions()
        self._look_at_file()
        kills = self._state.in_force()
        for kill, word in self._state.past():
            if kill not in self._over and kill not in self._told:
                self._tell_missed(kill, word)
        if kills != self._told:
            self._tell(kills)
        self._put_back()
        self._look_at_closed()
        self._tell_gone(self._halts.asks)
        now = asyncio.get_running_loop().time()
        for trading in self._trading:
            if trading.venue in self._ready and trading.venue not in self._acting:
                self._start(trading, now)
        if kills and not self._trading and now >= self._paper_at:
            self._paper_at = now + PAPER_AGAIN_SECS
            self._cancel_simulated()

    def _look_at_closed(self) -> None:
        """What another process has closed; less often where none is known to have."""
        now = asyncio.get_running_loop().time()
        if self._state.flattened or now >= self._closed_at:
            self._closed_at = now + CLOSED_LOOK_SECS
            for trading in self._trading:
                trading.look_at_kills()

    def _look_at_file(self) -> None:
        found = self._switch.by_file()
        if found == self._by_file:
            return
        self._by_file = found
        if found is None:
            logger.warning("the kill switch file %s is gone: orders go on", self._switch.path)
            return
        logger.error("%s; nothing is created until then", found)
        self._status.problem(self._now_ns(), "KILLED", found)

    def _tell(self, kills: tuple[Kill, ...]) -> None:
        for kill in kills:
            if kill not in self._told:
                how = clear_command(kill.scope, self._loaded.path)
                logger.error("%s; nothing is created until a person clears it: %s", kill, how)
                self._status.problem(self._now_ns(), "KILLED", str(kill))
                self._note(KillRecord(kill=kill))
            if kill.action is Action.FLATTEN and self._trading:
                self._tell_not_flat()
                if kill not in self._told:
                    self._flatten_anew()
        for kill in self._told:
            if kill not in kills:
                word = self._state.cleared(kill)
                if word is None:
                    is_other = any(one.scope == kill.scope for one in kills)
                    what = "another kill took the place of" if is_other else "it can be read again"
                    logger.warning("%s: %s", what, kill)
                    continue
                self._tell_cleared(kill, word)
        self._status.gauges["kill_switch"] = "; ".join(str(kill) for kill in kills)
        self._told = kills

    def _flatten_anew(self) -> None:
        """Somebody else asks for it, or for more: what came to nothing before is over."""
        self._tries.clear()
        self._ready = dict.fromkeys(self._ready, 0.0)

    def _tell_cleared(self, kill: Kill, word: Cleared) -> None:
        self._over.add(kill)
        logger.warning("cleared by %s: %s: %s", word.by, word.reason, kill)
        if str(kill.scope) in self._state.flattened:
            tell_flattened(kill.scope, (one for one in self._trading if _touches(kill.scope, one)))
        self._note(KillRecord(kill=kill, cleared=word))

    def _tell_missed(self, kill: Kill, word: Cleared) -> None:
        """It was in force and is over, and this loop stood still meanwhile: other processes acted
        on it."""
        logger.error("%s; it came, and was cleared, while this run did not look", kill)
        self._status.problem(self._now_ns(), "KILLED", str(kill))
        self._note(KillRecord(kill=kill))
        self._tell_cleared(kill, word)

    def _tell_not_flat(self) -> None:
        for trading in self._trading:
            if not trading.can_flatten:
                logger.error(
                    "NOT-FLAT: positions of %s %s are not closed by a kill: its orders go through "
                    "NautilusTrader's own client; close them at the venue",
                    trading.venue.lower(),
                    trading.account,
                )

    def _put_back(self) -> None:
        """What no file says any more, other processes and the next start are to know, too."""
        kills = self._state.without_file
        for kill in kills:
            self._tell_lost(kill)
        now = asyncio.get_running_loop().time()
        if kills and now >= self._put_back_at:
            self._put_back_at = now + PUT_BACK_SECS
            for kill in self._state.restore():
                logger.warning("its file is written again: %s", kill)

    def _tell_lost(self, kill: Kill) -> None:
        if kill not in self._lost:
            self._lost.append(kill)
            logger.error(
                "no file says so to other processes: %s; it stays in force in this run, until %s",
                kill,
                clear_command(kill.scope, self._loaded.path),
            )

    def _note(self, record: KillRecord) -> None:
        """In the journal of each account that the kill covers."""
        for trading in self._trading:
            if not _touches(record.kill.scope, trading):
                continue
            try:
                note(trading.journal, record)
            except JournalError as error:
                logger.error("the kill is not in the journal: %s", error)

    def _rank(self, strategy: str, instrument: str) -> int:
        action = self._state.action_of(strategy, instrument)
        rank = -1 if action is None else action.rank
        return max(rank, self._breach_rank(strategy))

    def _breach_rank(self, strategy: str) -> int:
        """What a broken loss limit does to a strategy that is not there to do it."""
        asked = [action.rank for action in Action if action in self._halts.asks]
        return max(asked) if asked and self._is_gone(strategy) else -1

    def _is_gone(self, strategy: str) -> bool:
        """Whether the run has no such strategy: of an earlier run, and its id is in the config no
        more."""
        here = (str(one.strategy_id) for one in self._strategies())
        return strategy != KILL_STRATEGY and strategy not in here

    def _tell_gone(self, breach: frozenset[str]) -> None:
        """Once of each position that no strategy of the run is there to close."""
        if Action.FLATTEN not in breach:
            return
        for trading in self._trading:
            if trading.venue not in self._ready:
                continue
            for one in self._positions(trading):
                key = one.strategy, one.instrument
                if not one.quantity or key in self._gone or not self._is_gone(one.strategy):
                    continue
                self._gone.add(key)
                what = (
                    f"{one.quantity:f} {one.instrument} of {one.strategy}, which no strategy of "
                    "this run is"
                )
                if trading.can_flatten:
                    logger.warning("a loss limit is broken: closing %s", what)
                    continue
                text = f"{what}: it is not closed by this run; close it at the venue"
                logger.error("NOT-FLAT: %s", text)
                self._status.problem(self._now_ns(), "NOT-FLAT", text)

    def _start(self, trading: TradedAccount, now: float) -> None:
        due = [
            order.intent.client_order_id
            for order in self._to_cancel(trading)
            if self._can_cancel(trading)
            and now - self._asked.get(order.intent.client_order_id, -1e9) >= CANCEL_AGAIN_SECS
        ]
        covered = self._to_flatten(trading, now)
        if not due and covered is None and not self._lacks_closing(trading, now):
            return
        for client_order_id in due:
            self._asked[client_order_id] = now
        task = permit.begun(self._act(trading, due, covered))
        self._acting[trading.venue] = task
        task.add_done_callback(lambda _: self._acting.pop(trading.venue, None))

    def _can_cancel(self, trading: TradedAccount) -> bool:
        spec = self._loaded.specs.get(trading.venue.lower())
        return spec is None or spec.capabilities.cancels

    def _to_cancel(self, trading: TradedAccount) -> list[LiveOrder]:
        if trading.desk is None or not (self._told or self._halts.asks):
            return []
        return [
            order
            for order in trading.desk.live_orders()
            if order.intent.strategy != KILL_STRATEGY
            and self._rank(order.intent.strategy, order.intent.instrument) >= self._least(order)
        ]

    def _least(self, order: LiveOrder) -> int:
        """The rank at which it is cancelled: an exit stays for a loss limit that closes nothing."""
        intent = order.intent
        is_exit = intent.reduce_only or intent.role.is_exit
        killed = self._state.action_of(intent.strategy, intent.instrument)
        return (Action.FLATTEN if is_exit and killed is None else Action.CANCEL).rank

    async def _act(
        self, trading: TradedAccount, due: list[str], covered: frozenset[str] | None
    ) -> None:
        """`covered`: strategies to flatten; None: nothing is."""
        assert trading.desk is not None
        try:
            if due:
                await trading.desk.cancel(due)
            if covered is not None or self._lacks_closing(trading):
                await self._act_alone(trading, covered)
        except Exception as error:
            trading.desk.fail(error)

    # -- flatten -------------------------------------------------------------------------------

    def _positions(self, trading: TradedAccount) -> list[Position]:
        """By the journal, read again once that has moved. Raises JournalError."""
        newest = trading.journal.newest()
        known = self._held.get(trading.venue)
        if known is None or known[0] != newest:
            known = self._held[trading.venue] = newest, trading.journal.positions()
        return known[1]

    def _covers(self, trading: TradedAccount) -> Callable[[str], bool]:
        name = self._loaded.config.venues[trading.venue.lower()].instruments[0]
        return lambda strategy: self._rank(strategy, name) >= Action.FLATTEN.rank

    def _to_flatten(self, trading: TradedAccount, now: float) -> frozenset[str] | None:
        """The strategies whose positions are left to close, while nothing open moves them; None:
        none. Whoever is killed after this look is of the next."""
        venue = trading.venue
        if not trading.can_flatten or not self._flattens():
            return None
        if now < self._ready[venue] or self._is_closing(trading):
            return None
        positions, covers = self._positions(trading), self._covers(trading)
        covered = frozenset(one.strategy for one in positions if covers(one.strategy))
        rest = self._too_small.get(venue, {})
        if not any(
            one.quantity != rest.get(one.instrument)
            if one.strategy == KILL_STRATEGY and self._is_flattened(trading)
            else one.strategy in covered
            for one in positions
            if one.quantity
        ):
            self._tries.pop(venue, None)
            self._wait_is_over(venue)
            return None
        if self._is_waiting(trading, now):
            return None
        is_slow = self._tries.get(venue, 0) >= FLATTEN_TRIES - 1
        self._ready[venue] = now + (FLATTEN_SLOWLY_SECS if is_slow else FLATTEN_AGAIN_SECS)
        return covered

    def _flattens(self) -> bool:
        return bool(self._told and self._state.flattened) or Action.FLATTEN in self._halts.asks

    def _is_closing(self, trading: TradedAccount) -> bool:
        """Whether a closing order is open: nothing is sent until it is proven to be over."""
        orders = [] if trading.desk is None else trading.desk.live_orders()
        return any(order.intent.strategy == KILL_STRATEGY for order in orders)

    def _is_flattened(self, trading: TradedAccount) -> bool:
        """Whether a flatten is in force that what KILL has taken there may be of."""
        return Action.FLATTEN in self._halts.asks or any(
            kill.action is Action.FLATTEN and _touches(kill.scope, trading) for kill in self._told
        )

    def _is_waiting(self, trading: TradedAccount, now: float) -> bool:
        """For what is open and would move what is closed; for none that nobody can tell the end
        of, and for none for ever."""
        if not self._can_cancel(trading):  # what is open ends with its position
            return False
        waits = [
            order
            for order in self._to_cancel(trading)
            if order.is_proven
            and not (order.is_missing or order.is_forgotten)
            and self._rank(order.intent.strategy, order.intent.instrument) >= Action.FLATTEN.rank
        ]
        venue = trading.venue
        if not waits:
            self._wait_is_over(venue)
            return False
        secs = now - self._waits.setdefault(venue, now)
        told = self._waits_told.get(venue, 0)
        if (secs >= WAIT_TOLD_SECS) + (secs >= WAIT_SECS) > told:
            self._waits_told[venue] = told + 1
            logger.error(
                "%s: positions are %s, though these orders are not cancelled after %.0f s: %s",
                venue,
                "closed" if told else "NOT CLOSED YET",
                secs,
                ", ".join(
                    f"{order.intent.client_order_id} {order.cancel_refusal}".strip()
                    for order in waits
                ),
            )
        return secs < WAIT_SECS

    def _wait_is_over(self, venue: str) -> None:
        self._waits.pop(venue, None)
        self._waits_told.pop(venue, None)

    def _lacks_closing(self, trading: TradedAccount, now: float | None = None) -> bool:
        """Whether another process has left a closing order that nobody proves, or has one under
        way; `now`: looked for once in a while."""
        if now is not None:
            if now < self._adopt_at.get(trading.venue, 0.0):
                return False
            self._adopt_at[trading.venue] = now + CLOSED_LOOK_SECS
        return isinstance(trading.desk, OrderDesk) and bool(trading.desk.lacks(KILL_STRATEGY))

    async def _act_alone(self, trading: TradedAccount, covered: frozenset[str] | None) -> None:
        """What one process at a time does: no other has closing orders under way."""
        assert isinstance(trading.desk, OrderDesk), "others are not flattened"
        lock = FlattenLock(account_files(self._loaded, trading.venue.lower()).flatten_lock)
        if not lock.take():
            if covered is not None:
                until = asyncio.get_running_loop().time() + FLATTEN_AGAIN_SECS
                self._elsewhere[trading.venue] = until, _closing_sides(trading, covered)
            return  # another process does it; the next look sees what is left
        self._elsewhere.pop(trading.venue, None)
        try:
            for order in trading.desk.take_up(KILL_STRATEGY):
                logger.warning(
                    "%s: the closing order %s of a process that is gone is proven by this run",
                    order.intent.instrument,
                    order.intent.client_order_id,
                )
            if covered is not None:
                await self._flatten(trading, trading.desk, covered)
        finally:
            lock.free()

    async def _flatten(
        self, trading: TradedAccount, desk: OrderDesk, covered: frozenset[str]
    ) -> None:
        flattener = Flattener(
            venue=trading.orders,
            journal=trading.journal,
            desk=desk,
            markets=self._markets(trading.venue),
            covers=covered.__contains__,
            collar=self._loaded.config.risk.price_collar_bps / 10_000,
            new_id=lambda: str(uuid4()),
            now_ns=self._now_ns,
            tell=lambda line: logger.warning("%s", line),
            cancels=self._can_cancel(trading),
        )
        if not await flattener.settle_old(FLATTEN_AGAIN_SECS):
            return
        self._tries[trading.venue] = self._tries.get(trading.venue, 0) + 1
        self._flattening[trading.venue] = flattener
        try:
            closed = await flattener.run()
        finally:
            del self._flattening[trading.venue]
        # What no order is small enough for stays, and is not tried again.
        self._too_small[trading.venue] = {
            one.instrument: one.left for one in closed if one.is_flat and one.left
        }
        for one in closed:
            logger.log(
                logging.WARNING if one.is_flat else logging.ERROR,
                "%s: position %s, %s %s",
                one.instrument,
                one.before,
                "flat" if one.is_flat else f"LEFT {one.left}",
                one.detail,
            )
        left = [one for one in closed if not one.is_flat]
        if left and self._tries[trading.venue] == FLATTEN_TRIES:
            self._tell_left(trading, left)

    def _tell_left(self, trading: TradedAccount, left: Sequence[Closed]) -> None:
        what = "; ".join(
            f"{one.left:f} {one.instrument} {f'({one.detail})' if one.detail else ''}".rstrip()
            for one in left
        )
        text = (
            f"{trading.venue.lower()} {trading.account}: LEFT after {FLATTEN_TRIES} tries: {what}. "
            f"It is tried every {FLATTEN_SLOWLY_SECS:g} s from now on; or close it at the venue"
        )
        logger.error("NOT-FLAT: %s", text)
        self._status.problem(self._now_ns(), "NOT-FLAT", text)

    # -- paper ---------------------------------------------------------------------------------

    def _cancel_simulated(self) -> None:
        """A paper run's orders are the strategies' own; its positions are simulated and stay."""
        for strategy in self._strategies():
            mine = str(strategy.strategy_id)
            orders = strategy.cache.orders_open(strategy_id=strategy.strategy_id)
            named = {order.instrument_id for order in orders}
            for name in sorted(named, key=str):
                if self._rank(mine, str(name)) >= Action.CANCEL.rank:
                    strategy._guard.exits.killed(name, self._state.of_order(mine, str(name)))
                    strategy._guard.cancel_all_orders(name)


def _closing_sides(trading: TradedAccount, covered: frozenset[str]) -> dict[str, Side]:
    """By instrument, of what these strategies hold, or KILL in their place."""
    return {
        one.instrument: Side.SELL if one.quantity > 0 else Side.BUY
        for one in trading.journal.positions()
        if one.quantity and one.strategy in {*covered, KILL_STRATEGY}
    }


def _touches(scope: Scope, trading: TradedAccount) -> bool:
    return scope.kind == "strategy" or scope.covers(
        strategy="", venue=trading.venue.lower(), account=trading.account
    )
