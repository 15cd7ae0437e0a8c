"""Room for an entry at a venue that clears: what it would sell there an own order closes first.

What such a venue (`Capabilities.clears`) sells to make room is no order of ours, and nothing would
book it. So where the config lets orders clear (`off = ["CLEARS"]`), an entry beside the position of
its own strategy, which is all that is held of the instrument, waits: first a market exit of the
whole goes out, an order as any other, by the venue's own call where that ends the other orders too.
The entry, with its exits, is looked at by the gate at once, as if there were room, so that nothing
is closed for one that is refused anyway; and once more, as a new order, when position and open
orders are over by what is told of them. It is refused, with what is left by name, where no exit
closes the position any more, and after LOOKS_MAX: it never goes beside what is left. A kill, a
halt, or the stop of its strategy ends the wait. What waits was never sent: a process that dies
leaves a note, and the next start tells of it.

A simulated exchange clears nothing: there orders that rest are cancelled first, too, as the venue
does it, and waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nautilus_trader.model import InstrumentId

from fairlead.engine.brackets.strategy import StrategyBrackets
from fairlead.engine.guard.core import Core
from fairlead.engine.guard.exits import Closing, Exits
from fairlead.engine.guard.handed import require_order
from fairlead.engine.guard.parked import Parked, Waiting
from fairlead.engine.guard.sending import Sending
from fairlead.engine.guard.stop import Stop
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.journal_reads import JournalError
from fairlead.engine.orders.model import ROOM_TAG, Kind
from fairlead.engine.risk.facts import CountedOrder
from fairlead.engine.risk.view import order_facts

LOOK_NS = 250_000_000
LOOKS_MAX = 240  # 60 s: a person may be asked before the exit
CODE = "CLEARS_HELD"
SUBJECT = "ROOM"


class Room(Parked):
    """Of one strategy's entries."""

    what = "an entry"
    code = CODE
    withdrawn = "cancelled before it was sent, as it waited for the end of what is in its place"

    def __init__(
        self, core: Core, stop: Stop, sending: Sending, exits: Exits, brackets: StrategyBrackets
    ) -> None:
        super().__init__(core, stop, sending)
        self._exits = exits
        self._brackets = brackets
        stop.on_stop = lambda why: self.give_up(
            CODE, f"not sent: {why} while it waited for the end of what is in its place"
        )

    def start(self) -> None:
        """Part of on_start: what waited when the process before ended is gone. Raises
        JournalError."""
        for journal in self._core.journals.values():
            _, lost = journal.last_note(self._subject, list[str]) or (0, [])
            for order in lost:
                text = (
                    f"{self._core.id}: {order} was never sent: the process ended while it waited "
                    "for the end of what was in its place"
                )
                self._core.run.warn("ENTRY-UNSENT", text)
            if lost:
                journal.note(SUBJECT, self._subject, [])

    def wanted(self, orders: Sequence[Any]) -> list[str] | None:
        """The live orders that are to be over before these go, where room is to be made for them;
        None: they go, or not, as others do."""
        core, entry = self._core, require_order(orders[0])
        name = str(entry.instrument_id)
        able = core.gate.capabilities.get(name.rpartition(".")[2])
        if able is None or not able.clears or "CLEARS" not in core.gate.config.off:
            return None
        if self.is_left or core.view is None or not core.runs() or order_facts(entry).is_exit:
            return None
        if any(str(one.instrument_id) != name for one in orders) or self._has(name):
            return None
        ledger = core.gate.ledger
        live, held = list(ledger.working(name)), ledger.positions.get(name)
        if held:
            is_own = self._is_own(name, live) and not core.strategy._guard_is_plain
            is_closable = self._exits.sendable(entry.instrument_id, abs(held)) is not None
        else:
            is_own = core.gate.is_simulated and bool(live)
            is_closable = not any(
                one.is_exit or one.contingent or one.kind == Kind.MARKET for one in live
            )
        return [one.client_order_id for one in live] if is_own and is_closable else None

    def _has(self, instrument: str) -> bool:
        waiting = self._waiting.values()
        return any(str(one.orders[0].instrument_id) == instrument for one in waiting)

    def _is_own(self, instrument: str, live: Sequence[CountedOrder]) -> bool:
        """Whether all that is held and live there is the strategy's."""
        mine, of = self._core.id, self._core.gate.ledger.by_strategy.items()
        owners = {owner for (owner, name), held in of if name == instrument and held}
        return owners == {mine} and all(one.strategy == mine for one in live)

    def make(self, orders: Sequence[Any], send: Callable[[Sequence[Any]], None]) -> None:
        """Of approved orders: `send` is called when there is room for them."""
        core, entry = self._core, orders[0]
        name, instrument_id = str(entry.client_order_id), entry.instrument_id
        waiting = self._park(orders, send)
        try:
            self._note(str(instrument_id))
        except JournalError as error:
            self._refuse(name, "JOURNAL", error.message)
            return
        core.clock().set_timer_ns(_timer(name), LOOK_NS, callback=self.look)
        self._is_busy = True
        try:
            self._clear(waiting, instrument_id)
        finally:
            self._is_busy = False
        self.look(None)

    def _clear(self, waiting: Waiting, instrument_id: InstrumentId) -> None:
        core, instrument = self._core, str(instrument_id)
        if held := core.own_position(instrument):
            name = waiting.names[0]
            core.strategy.log.warning(
                f"{held:f} {instrument} of this strategy is closed first: {name} would have the "
                "venue clear it"
            )
            refused = core.run.denials[-1] if core.run.denials else None
            self._exits.close(instrument_id, Closing(tags=[f"{ROOM_TAG}{name}"]))
            if core.run.denials and (last := core.run.denials[-1]) is not refused:
                waiting.why = str(last.denial)
        if self._is_ending(instrument_id):
            self._cancel_rest(instrument)

    def _cancel_rest(self, instrument: str) -> None:
        """Where the exit does not end what rests."""
        if self._core.can_cancel(instrument) or self._core.gate.is_simulated:
            left = self._left(instrument)
            self._cancel(one for one in left if one.kind != Kind.MARKET)

    def _left(self, instrument: str) -> list[CountedOrder]:
        """Live orders there, but for those that wait for their end."""
        live = self._core.gate.ledger.working(instrument)
        mine = {name for waiting in self._waiting.values() for name in waiting.names}
        return [one for one in live if one.client_order_id not in mine]

    def _is_ending(self, instrument_id: InstrumentId) -> bool:
        """Whether nothing is held, or an exit is on its way that closes it."""
        if not self._held(str(instrument_id)) or instrument_id in self._exits.leaving:
            return True
        return any(
            one.is_exit and one.kind == Kind.MARKET and not one.contingent
            for one in self._left(str(instrument_id))
        )

    def _held(self, instrument: str) -> bool:
        return bool(self._core.gate.ledger.positions.get(instrument))

    def _heard(self, name: str, waiting: Waiting, event: Any) -> None:
        if getattr(event, "name", None) == _timer(name):
            waiting.again += 1
        reason = getattr(event, "reason", None)
        if reason and event.instrument_id == waiting.orders[0].instrument_id:
            waiting.why = str(reason)

    def _next(self, name: str, waiting: Waiting) -> None:
        core, instrument_id = self._core, waiting.orders[0].instrument_id
        instrument = str(instrument_id)
        left = self._left(instrument)
        if core.gate.is_stopped(core.id, instrument):
            self._go(name)  # the gate says what stops it
        elif not self._is_ending(instrument_id):
            why = f": {waiting.why}" if waiting.why else ""
            self._refuse(name, CODE, f"not sent: no exit closes what {instrument} has{why}")
        elif not left and not self._held(instrument):
            self._brackets.over(instrument, name)  # else one would take what comes for its own
            self._go(name)
        elif waiting.again >= LOOKS_MAX:
            names = ", ".join(one.client_order_id for one in left)
            secs = LOOKS_MAX * LOOK_NS // 1_000_000_000
            self._refuse(name, CODE, f"not sent: not over after {secs} s: {names or instrument}")
        else:
            self._cancel_rest(instrument)

    def _go(self, name: str) -> None:
        """Asked of the gate as a new order: much may have changed."""
        waiting = self._take(name)
        assert waiting is not None
        for one in waiting.names:
            self._core.gate.closed(one)
        if self._sending.approve_all(waiting.orders):
            waiting.send(waiting.orders)

    def _take(self, name: str) -> Waiting | None:
        found = super()._take(name)
        if found is None:
            return None
        if _timer(name) in self._core.clock().timer_names():
            self._core.clock().cancel_timer(_timer(name))
        try:
            self._note(str(found.orders[0].instrument_id))
        except JournalError as error:  # the next start tells of it, too
            self._core.strategy.log.error(f"{name} waits no more, not noted: {error.message}")
        return found

    @property
    def _subject(self) -> str:
        return f"{SUBJECT} {self._core.id}"

    def _note(self, instrument: str) -> None:
        """What waits now, for the next start. Raises JournalError."""
        venue = instrument.rpartition(".")[2]
        journal: Journal | None = self._core.journals.get(venue)
        if journal is not None:
            waiting = (one.orders[0] for one in self._waiting.values())
            told = [_told(one) for one in waiting if str(one.instrument_id.venue) == venue]
            journal.note(SUBJECT, self._subject, told)


def _timer(name: str) -> str:
    return f"guard-room-{name}"


def _told(order: Any) -> str:
    what = f"{order.side.name} {order.quantity} {order.instrument_id} {order.order_type.name}"
    return f"{what} ({order.client_order_id})"
