"""What a strategy does for the gate besides orders: each second, and with each trade."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nautilus_trader.model import InstrumentId, OrderType

from fairlead.engine.guard.core import Core
from fairlead.engine.guard.exits import Exits
from fairlead.engine.guard.feeds import Feeds
from fairlead.engine.guard.handover import HandOver
from fairlead.engine.guard.stop import Stop

TICK_NS = 1_000_000_000  # how often the gate values positions and writes its state


class Ticks:
    """The gate's timer, and the trades that it compares with."""

    def __init__(
        self, core: Core, stop: Stop, feeds: Feeds, exits: Exits, handover: HandOver
    ) -> None:
        self._core = core
        self._stop = stop
        self._feeds = feeds
        self._exits = exits
        self._handover = handover
        self._trade: Callable[[Any], object] | None = None  # what hears trades after the tape

    def start(self) -> None:
        """Part of on_start: what the gate needs to value, compare and write."""
        core, gate = self._core, self._core.gate
        view = core.ready()
        for name in core.run.instruments:
            facts = view.instrument(name)
            if facts is not None:
                gate.know(name, facts)  # so that it can value what it holds of it
        if gate.limits.fat_finger is not None:
            self._tape()
        if gate.wants_ticks:
            core.clock().set_timer_ns(
                f"guard-tick-{core.id}",
                TICK_NS,
                callback=self._stop.safe("the gate's timer", self._tick),
            )

    def _tape(self) -> None:
        """Let the gate see every trade of the run's instruments, before the strategy does."""
        core = self._core
        for name in core.run.instruments:
            self._feeds.need_trades(InstrumentId.from_str(name))
        gate, mine = core.gate, core.id
        self._trade = core.strategy.on_trade
        tape = gate.books.tape

        def taped(tick: Any) -> None:
            name = str(tick.instrument_id)
            if tape.feeds(name, mine):
                gate.traded(name, tick.size.as_decimal())
            if self._trade is not None:
                self._trade(tick)

        core.put("on_trade", taped)

    def tape_only(self) -> bool:
        """Let trades come to the tape alone from now on; False where there is none."""
        is_taped, self._trade = self._trade is not None, None
        return is_taped

    def _tick(self, event: Any) -> None:
        """Let the gate look at the market, and do what a broken limit asks for."""
        core, gate = self._core, self._core.gate
        self._stop.look()
        gate.tick(core.ready())
        self._exits.leave_rest()
        self._handover.settle_unproven()
        actions = gate.breach_action
        if not actions:
            return
        flattens = "flatten" in actions  # then a resting exit makes way too: it may never fill
        for order in core.cancellable():  # of others, closing the position ends them
            is_now = order.order_type == OrderType.MARKET
            live = gate.ledger.live.get(str(order.client_order_id))  # knows a role from before
            reduces = order.is_reduce_only or (live is not None and live.is_exit)
            is_exit = reduces and (is_now or not flattens)
            if not is_exit and not order.is_pending_cancel:
                core.cancel_order(order.client_order_id)
        if flattens:
            self._exits.flatten()
