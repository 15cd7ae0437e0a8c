"""What the guard does where NautilusTrader's own exchange is simulated, since that can't be told.

**Arrival.** The kernel executes a command that is due only at the next data of the instrument, or
at the next timer of the run. So each command sets an alert for the moment when it is due; then it
arrives exactly then, whatever other timers there are. The kernel knows one latency for all
commands; where each has its own, a command bears the time that makes it due then.

**Exits of their own size.** The kernel sets every reduce-only order that rests to the size of the
position, up as well as down: exits of one strategy would sell each other's units. So what rests
goes out as a plain order, as it does to a spot venue. The gate saw it as reduce-only, and holds
that all exits of a strategy together never ask for more than it has; what is too large later is cut
here. An order that never rests keeps the flag, which cuts it to the position when it arrives; so do
the children of an order list, which NautilusTrader sizes after their parent, but for targets that
are each a part of it.

**Time in force.** The kernel looks for what has expired after the next data has filled it, or when
any command comes. So an order with an end is cancelled, and the cancel arrives at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import Any

import msgspec
from nautilus_trader.common import DataActor
from nautilus_trader.model import (
    ClientOrderId,
    OrderInitialized,
    OrderType,
    TimeInForce,
    TriggerType,
)

from fairlead.engine.guard.core import Core
from fairlead.engine.guard.reducing import as_counted, unflagged
from fairlead.engine.guard.rounding import round_quantity
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.guard.sending import Sending
from fairlead.engine.guard.stop import Stop
from fairlead.engine.matching.delays import Delays, Sent, venue_of
from fairlead.engine.orders.model import Capabilities, Kind, Side, TriggerSource
from fairlead.engine.risk.facts import CountedOrder
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.view import order_facts

_ZERO = Decimal(0)
_SIDES = tuple(Side)
_AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})  # such an order never rests


class Arrivals(DataActor):
    """Wakes the run when a command is due.

    Its clock is its own: no strategy finds these alerts among its timers, or cancels them. It may
    be used where a native call has borrowed the strategy.
    """

    _latency_ns = 0
    _due_ns = 0
    _alarm: Any = None
    _ending = False  # what is commanded now has the latency of all
    draws: Mapping[str, Delays] = MappingProxyType({})  # by venue, where latencies differ
    _last_due: dict[str, int]
    _waits: set[int]  # alerts of commands that travel
    _travels: int | None = None  # when the command that is handed over now is due

    def after(self, latency_ns: int, draws: Mapping[str, Delays] = MappingProxyType({})) -> None:
        """`latency_ns` is what NautilusTrader adds to the time of a command.

        DataActor's own constructor takes nothing but its config.
        """
        self._latency_ns, self.draws = latency_ns, draws
        self._last_due, self._waits = {}, set()

    def command(self) -> None:
        """A command is handed over now."""
        if not self._latency_ns:  # it is there as it is given
            return
        alarm = self._alarm or self._ready()
        if (due_ns := self._travels) is not None:
            if due_ns not in self._waits:  # one may overtake another
                self._waits.add(due_ns)
                alarm.set_time_alert_ns(f"travels-{due_ns}", due_ns, self._rung)
            return
        due_ns = alarm.timestamp_ns() + self._latency_ns
        if due_ns != self._due_ns:  # commands of one moment are due together
            self._due_ns = due_ns
            alarm.set_time_alert_ns(str(due_ns), due_ns, _nothing)

    def _rung(self, event: Any) -> None:
        self._waits.discard(int(event.name.partition("-")[2]))

    def real_ns(self, told_ns: int) -> int:
        """The time now, where a command that travels bears another: `told_ns`."""
        return told_ns if self._travels is None else int(self._alarm.timestamp_ns())

    @contextmanager
    def travel(self, core: Core, target: Any, kind: str) -> Iterator[None]:
        """What is commanded within has a latency of its own.

        NautilusTrader adds one latency to the time that a command bears: so it bears the time that
        makes it due when it is due. `target` is the instrument's id, or an order's.
        """
        venue = venue_of(core.strategy.cache, target)
        delays = None if self._ending else self.draws.get(venue)
        if delays is None or self._travels is not None:
            self.command()
            yield
            return
        alarm, clock = self._alarm or self._ready(), core.clock()
        now = alarm.timestamp_ns()
        delay_ns = delays.next_ns(Sent(core.id, kind, now))
        due_ns = now + delay_ns
        if delays.in_order:
            due_ns = max(due_ns, self._last_due.get(venue, 0))
        self._last_due[venue] = self._travels = due_ns
        before = clock.timestamp_ns()
        clock.set_time(due_ns - self._latency_ns)
        self.command()
        try:
            yield
        finally:
            clock.set_time(before)
            self._travels = None

    @contextmanager
    def ending(self) -> Iterator[None]:
        """What is commanded within has the latency that `before` counts with."""
        self._ending = True
        try:
            yield
        finally:
            self._ending = False

    def _ready(self) -> Any:
        self._alarm = self.clock
        return self._alarm

    def before(self, end_ns: int, name: str, callback: Any) -> None:
        """Call `callback` so that what it commands arrives at `end_ns`; `name` is unique."""
        alarm = self.clock
        at_ns = max(end_ns - self._latency_ns, alarm.timestamp_ns() + 1)
        alarm.set_time_alert_ns(name, at_ns, callback)

    def soon(self, name: str, callback: Any) -> None:
        """Call `callback` in this moment, after all events that are told in it."""
        alarm = self.clock
        alarm.set_time_alert_ns(name, alarm.timestamp_ns(), callback)


def simulate(
    run: RunState,
    gate: RiskGate,
    latency_ns: int,
    draws: Mapping[str, Delays] = MappingProxyType({}),
) -> Arrivals:
    """Tell the guard that this exchange is simulated; the actor has to be in the run.

    `latency_ns` is the kernel's, `draws` those of commands, by venue, where they differ.

    Without EXIT_EXCEEDS nothing holds exits together: reduce-only is the exchange's own then.
    """
    run.plain_exits = "EXIT_EXCEEDS" not in gate.config.off
    run.arrivals = arrivals = Arrivals()
    arrivals.after(latency_ns, draws)
    return arrivals


@contextmanager
def coming_anew(guard: Core, order_id: str) -> Iterator[None]:
    """While it lasts a backtest may send this order of the strategy's once more.

    It was approved, and NautilusTrader's exchange has dropped it. Only whoever runs a simulated
    exchange asks for this: nothing of the guard, or of its run, knows of an order sent again.
    """
    assert guard.run.arrivals is not None, "no exchange is simulated"
    before = guard.creating
    guard.creating = frozenset((order_id,))
    try:
        yield
    finally:
        guard.creating = before


def _nothing(event: Any) -> None:
    """The alert itself has moved the simulated exchange on."""


def plain(order: Any) -> Any:
    """`order` as the simulated exchange gets it: the same, and not reduce-only if it may rest."""
    if not order.is_reduce_only or _is_at_once(order):
        return order
    if order.parent_order_id is not None and not _is_part(order):
        return order
    return unflagged(order)


def by_book(order: Any, able: Capabilities | None) -> Any:
    """`order` as the simulated exchange gets it, which asks about one that waits for a trade with
    trades only: so one that the engine holds, and fires by the book, waits for bid and ask."""
    kind = order.order_type.name
    if able is None or kind not in able.held or order.trigger_type != TriggerType.LAST_PRICE:
        return order
    if able.source_for(kind) is TriggerSource.LAST:
        return order
    fields = order.init_event.to_dict() | {"trigger_type": TriggerType.BID_ASK.name}
    return type(order).create(OrderInitialized.from_dict(fields))


def _is_part(order: Any) -> bool:
    """A target of a bracket that goes out whole: linked to its entry, and to no sibling."""
    linked = order.contingency_type
    is_alone = linked is None or linked.name == "NO_CONTINGENCY"
    return bool(is_alone and order.order_type == OrderType.LIMIT)


def _is_at_once(order: Any) -> bool:
    return order.order_type == OrderType.MARKET or order.time_in_force in _AT_ONCE


class Ends:
    """Orders with an end, which a simulated exchange is not to look for itself."""

    def __init__(self, core: Core, stop: Stop) -> None:
        self._core = core
        self._stop = stop
        self.expiring: set[str] = set()  # orders cancelled for their own end

    def watched(self, orders: Iterable[Any]) -> list[Any]:
        """`orders` as they go out."""
        run, found = self._core.run, list(orders)
        if run.arrivals is not None:
            for order in found:
                if order.time_in_force == TimeInForce.GTD:
                    end_ns, order_id = order.init_event.expire_time, order.client_order_id
                    end = self._stop.safe("the end of an order", partial(self._end, order_id))
                    run.arrivals.before(end_ns, str(order_id), end)
            able = self._core.gate.capabilities
            found = [by_book(one, able.get(str(one.instrument_id.venue))) for one in found]
        if run.plain_exits:
            return [plain(order) for order in found]
        return [as_counted(self._core, order) for order in found] if self._core.journals else found

    def _end(self, order_id: ClientOrderId, event: Any) -> None:
        order = self._core.strategy.cache.order(order_id)
        if order is not None and not order.is_closed and not order.is_pending_cancel:
            self.expiring.add(str(order_id))
            with self._core.run.arrivals.ending():
                self._core.cancel_order(order_id)


class Cuts:
    """Exits that ask for more than is left are cut, as reduce-only means it."""

    def __init__(
        self, core: Core, sending: Sending, bracketed: Callable[[], Iterable[str]]
    ) -> None:
        self._core = core
        self._sending = sending
        self._bracketed = bracketed  # client order ids that are left to their brackets

    def cut(self, instrument: str) -> None:
        """After a fill: the newest first."""
        core = self._core
        ledger = core.gate.ledger
        held = ledger.by_strategy.get((core.id, instrument), _ZERO)
        for side in _SIDES:
            asked = ledger.exit_quantity(core.id, instrument, side)
            if not asked:
                continue
            excess = asked - self._room(instrument, side, held)
            for exit_ in self._cuttable(instrument, side) if excess > 0 else ():
                cut = min(excess, exit_.remaining)
                self._cut(exit_, cut)
                excess -= cut
                if excess <= 0:
                    break

    def _room(self, instrument: str, side: Side, held: Decimal) -> Decimal:
        """What exits of a side may ask for together: as the gate's EXIT_EXCEEDS counts it."""
        key = self._core.id, instrument
        ledger = self._core.gate.ledger
        if side is Side.BUY:
            return max(-held, _ZERO)
        declared = ledger.declared.get(key)
        return max(held + (_ZERO if declared is None else declared.inventory), _ZERO)

    def _cuttable(self, instrument: str, side: Side) -> list[CountedOrder]:
        bracketed = set(self._bracketed())
        return [
            order
            for order in reversed(list(self._core.gate.ledger.working(instrument)))
            if order.strategy == self._core.id
            and order.side is side
            and order.reduce_only
            and not order.contingent
            and order.kind != Kind.MARKET
            and order.client_order_id not in bracketed
        ]

    def _cut(self, exit_: CountedOrder, cut: Decimal) -> None:
        """Take `cut` base units off an exit: a smaller one, or none where it can't be changed."""
        core = self._core
        order = core.strategy.cache.order(ClientOrderId(exit_.client_order_id))
        if order is None or order.is_closed or order.is_pending_cancel:
            return
        left = exit_.remaining - cut
        if left <= 0 or not order.is_open:
            core.cancel_order(order.client_order_id)
            return
        facts = order_facts(order)
        # On the instrument's grid: the order may have been told in fewer digits
        smaller = round_quantity(core.strategy.cache, order.instrument_id, facts.quantity - cut)
        quantity = smaller.as_decimal()
        if quantity <= order.filled_qty.as_decimal():
            core.cancel_order(order.client_order_id)
            return
        after = msgspec.structs.replace(facts, quantity=quantity, role=exit_.role, existing=exit_)
        # Less than was approved before: nothing to check.
        core.gate.approve_modify(after, (quantity, None, None), core.ready().now_ns())
        modify, name = core.native.modify_order, order.client_order_id
        self._sending.call((), modify, name, smaller, changes=(name,))
