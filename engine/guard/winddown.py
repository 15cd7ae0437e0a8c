"""How a strategy ends in an ordered stop: it holds at the end what it promised to hold.

From the stop on its code hears of its orders and of no market any more. Once the outcome of each
order is known, its own `on_stop` is called while it still runs, and then its code hears nothing.
What it promised to close is closed by then, or tried until the time of the stop is over: a fill
that came late, an exit that was refused for the moment (a stale book), one that closed a part.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from nautilus_trader.model import ClientOrderId, InstrumentId, OrderSide

from fairlead.engine.guard.answers import flat_instruments
from fairlead.engine.guard.assigned import undo
from fairlead.engine.guard.callback_names import MARKET_CALLBACKS
from fairlead.engine.guard.core import Core, is_unsent
from fairlead.engine.guard.exits import Exits
from fairlead.engine.guard.handover import HandOver
from fairlead.engine.guard.stop import Stop
from fairlead.engine.guard.ticks import Ticks
from fairlead.engine.orders.model import Kind, Role, Tif
from fairlead.engine.risk.checks import Denial
from fairlead.engine.risk.view import order_facts

RETRY_NS = 500_000_000  # after an exit that was refused, or closed nothing


class WindDown:
    """Of one strategy. Who stops the run calls `begin`, `is_settled`, `end` and `look`."""

    def __init__(
        self, core: Core, stop: Stop, ticks: Ticks, exits: Exits, handover: HandOver
    ) -> None:
        self._core = core
        self._stop = stop
        self._ticks = ticks
        self._exits = exits
        self._handover = handover
        self._promised: set[InstrumentId] = set()
        self._word: frozenset[InstrumentId] | None = None  # its flat_on_stop, once it was asked
        self._retry_ns: dict[InstrumentId, int] = {}
        self._cancelled: set[str] = set()
        self._before: set[str] = set()  # live orders when on_stop was called
        self._unheard: set[str] = set()  # of them, no exits, and of unknown outcome
        self._cancels = False
        self._has_begun = False
        self.is_stopping = False  # its own on_stop runs just now
        self.has_stopped = False  # and it will not be called again
        self.refusal = ""  # why the last exit was refused, by the gate, the desk or the venue

    def started(self) -> None:
        """Part of every on_start."""
        self.has_stopped = False
        self._word = None

    def begin(self, *, cancels: bool) -> None:
        """Its code sees no more market; `cancels`: what of its orders is no exit is cancelled."""
        self._cancels = cancels
        self._has_begun = True
        if not self._acts():
            return
        core = self._core
        self._stop.on_stop("the run is being stopped")
        self._exits.note_prices()
        core.run.turns.leave_all(core)
        for name in MARKET_CALLBACKS & core.strategy._guard_user_callbacks:
            if name != "on_trade" or not self._ticks.tape_only():
                self._stop.put_silent(name)

    def unsent(self) -> list[str]:
        """Client order ids of what is no exit and may not be sent yet, or be changed still."""
        if self._core.view is None:
            return []
        return [
            str(order.client_order_id)
            for is_exit, order in self._live()
            if not is_exit and _is_under_way(order)
        ]

    def is_settled(self) -> bool:
        """Do what is next before on_stop: whether each outcome is known, of cancels too."""
        if not self._acts():
            return True
        if self._cancels and not self.has_stopped:
            self._cancel(exits=False)
        return not any(_is_under_way(order) for _, order in self._live())

    def end(self) -> None:
        """The strategy's own on_stop; its code hears nothing after it."""
        if not self._acts() or self.has_stopped:
            return
        core = self._core
        self._before = {str(order.client_order_id) for _, order in self._live()}
        self._unheard = set(self.unsent())
        self._stop.look()
        core.strategy.on_stop()
        for name in core.strategy._guard_user_callbacks - MARKET_CALLBACKS:
            self._stop.put_silent(name)
        core.put("on_gate_denied", self._refused)

    def alone(self) -> None:
        """The strategy alone is stopped. Raises RuntimeError while it is being started, since
        NautilusTrader would find it stopped as it goes on with the start, and end the run for that.
        """
        core = self._core
        if not core.runs() and not self.has_stopped:
            raise RuntimeError(
                "self.stop() came before the end of on_start, where there is nothing to stop yet; "
                "self.shutdown_system(reason) ends the run in order, an exception says that the "
                "strategy can't begin"
            )
        if not self.has_stopped:
            self._stop.on_stop("its strategy is being stopped")
            core.run.warn(
                "STRATEGY-STOPPED",
                f"{core.id} was stopped by its stop(): it hears nothing more, what its on_stop "
                "leaves stays, and the run goes on; self.shutdown_system(reason) ends a run",
            )

    def has_sent(self) -> bool:
        """Whether an order that its on_stop sent, or that followed, is not over."""
        if not self._acts():
            return False
        return any(str(order.client_order_id) not in self._before for _, order in self._live())

    def promise(self, instrument_id: InstrumentId) -> None:
        """A position is being closed: what is closed in on_stop is to stay closed."""
        if self.is_stopping and self._core.strategy.cache.instrument(instrument_id) is not None:
            self._promised.add(instrument_id)

    def promised(self) -> frozenset[InstrumentId]:
        """Where nothing may be held in the end, by its word or by what it did in on_stop."""
        if self._word is None:
            self._word = self._asked()
        return self._word | self._promised

    def _asked(self) -> frozenset[InstrumentId]:
        """Once: where the strategy's own code fails here, that is its fault and no promise."""
        core, strategy = self._core, self._core.strategy
        if strategy._guard_is_plain:
            return frozenset()
        try:
            return flat_instruments(strategy, core.run.instruments)
        except BaseException as error:
            if core.runs():
                self._stop.fault("flat_on_stop", error)
            else:
                self._late("flat_on_stop", error)
            return frozenset()

    def over(self) -> None:
        """A simulated run is over, and its end asked for no word: what is wrong is told as live."""
        core = self._core
        if core.view is None or self._stop.is_silent:
            return
        if (error := undo(core.strategy, core.puts)) is not None:
            self._late(error.name, error)
        self.promised()

    def _late(self, callback: str, error: BaseException) -> None:
        """A fault of a run that is over: there is nothing to stop any more."""
        core = self._core
        core.gate.fault(core.id, str(core.run.add_fault(core.id, callback, error)))

    def look(self) -> bool:
        """Do what is next for the promise; whether there is nothing more to do for it."""
        if not self._acts():
            return True
        return all([self._close(name) for name in sorted(self.promised(), key=str)])

    def is_held(
        self, instrument_id: InstrumentId, quantity: Decimal, cost: Decimal | None = None
    ) -> bool:
        """Whether a position of `quantity`, signed base units, could be closed by an order.

        `cost` is its average price, for where the market's was never known.
        """
        return self._exits.closable(instrument_id, quantity, cost) is not None

    def rejected(self, event: Any) -> None:
        """The desk or the venue has refused an order: of an exit the reason is remembered."""
        order = self._core.strategy.cache.order(event.client_order_id)
        if self._has_begun and order is not None and order_facts(order).is_exit:
            self.refusal = str(event.reason)

    def _acts(self) -> bool:
        """Not before its on_start, nor once it was silenced for a fault or stopped by others."""
        core = self._core
        return core.view is not None and not self._stop.is_silent and core.runs()

    def _live(self, instrument_id: InstrumentId | None = None) -> Iterator[tuple[bool, Any]]:
        """Own orders that count as live, with whether each is an exit."""
        core, wanted = self._core, None if instrument_id is None else str(instrument_id)
        for live in list(core.gate.ledger.live.values()):
            if live.strategy != core.id or wanted not in (None, live.instrument):
                continue
            name = live.client_order_id
            order = core.parked.get(name) or core.strategy.cache.order(ClientOrderId(name))
            if order is not None and not order.is_closed:
                yield live.is_exit, order

    def _cancel(self, instrument_id: InstrumentId | None = None, *, exits: bool) -> None:
        """What rests, each once: the order desk goes on until it is over."""
        for is_exit, order in self._live(instrument_id):
            name = str(order.client_order_id)
            if order.order_type.name == Kind.MARKET or is_unsent(order) or name in self._cancelled:
                continue
            if not self._core.can_cancel(str(order.instrument_id)):
                continue
            if exits or not is_exit:
                self._cancelled.add(name)
                self._core.cancel(order)

    def _close(self, instrument_id: InstrumentId) -> bool:
        """One market order at a time, and none while another order may still change what is held.

        Orders that stay by the config's word are waited for no longer than they are in flight, what
        never rests until it is over, and those that were to be known before on_stop, and were not,
        are waited for no more.
        """
        core = self._core
        if self._cancels:
            self._cancel(instrument_id, exits=True)
        waits = core.can_cancel(str(instrument_id))  # else the exit ends what rests
        if any(
            (waits and (self._cancels or is_exit)) or _is_under_way(order) or _never_rests(order)
            for is_exit, order in self._live(instrument_id)
            if not (str(order.client_order_id) in self._unheard and _is_under_way(order))
        ):
            return False
        held = self._handover.own_position(instrument_id)
        quantity = self._exits.closable(instrument_id, held)
        if core.gate.is_stopped(core.id, str(instrument_id)):
            return True
        if quantity is None:  # the account may not show yet what the position has by its fills
            return self._exits.sendable(instrument_id, abs(held)) is None
        now_ns = core.ready().now_ns()
        if now_ns >= self._retry_ns.get(instrument_id, 0):
            self._retry_ns[instrument_id] = now_ns + RETRY_NS
            side = OrderSide.SELL if held > 0 else OrderSide.BUY
            order = core.strategy.order_factory.market(
                instrument_id, side, quantity, reduce_only=True, tags=[Role.EXIT.tag]
            )
            with core.gate.exits(halted=False):  # what was held may add up to more than one may be
                core.strategy.submit_order(order)
        return False

    def _refused(self, order: Any, denial: Denial) -> None:
        self.refusal = str(denial)


def _is_under_way(order: Any) -> bool:
    """Whether it, or what was last asked of it, is not answered."""
    return order.is_inflight or is_unsent(order)


def _never_rests(order: Any) -> bool:
    """Whether it is about to fill or end, though it may be accepted: its fill is told later."""
    kind = order.order_type.name
    return kind == Kind.MARKET or (kind == Kind.LIMIT and order.time_in_force.name in _AT_ONCE)


_AT_ONCE = frozenset({Tif.FOK, Tif.IOC})
