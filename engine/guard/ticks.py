"""What a guarded strategy does for the gate besides orders: rounding, ticks, sizes of trades."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from nautilus_trader.model import InstrumentId, OrderSide, OrderType, Price, Quantity

from engine.guard.exits import ExitMixin
from engine.guard.run_state import RunState
from engine.risk.gate import RiskGate
from engine.risk.view import NautilusView

TICK_NS = 1_000_000_000  # how often the gate values positions and writes its state


class WatchMixin(ExitMixin):
    """Rounding toward safety, the gate's timer, and the trades that it compares with."""

    _guard_gate: RiskGate | None
    _guard_view: NautilusView | None
    _guard_run: RunState
    _guard_id: str

    def round_price(
        self: Any, instrument_id: InstrumentId, side: OrderSide, price: Decimal | Price | int | str
    ) -> Price:
        """`price` on the instrument's grid, toward safety: a BUY never pays more, a SELL never
        gets less. Raises ValueError for an unknown instrument, TypeError for a float.
        """
        instrument = self._guard_instrument(instrument_id)
        rounding = ROUND_FLOOR if side == OrderSide.BUY else ROUND_CEILING
        step = instrument.price_increment.as_decimal()
        return Price.from_str(_on_grid(price, step, instrument.price_precision, rounding))

    def round_quantity(
        self: Any,
        instrument_id: InstrumentId,
        quantity: Decimal | Quantity | int | str,
        side: OrderSide | None = None,
    ) -> Quantity:
        """`quantity` on the instrument's grid, never more, whichever the side.

        May be 0, which no order can have. Raises ValueError for an unknown instrument or a
        negative quantity, TypeError for a float.
        """
        instrument = self._guard_instrument(instrument_id)
        step = instrument.size_increment.as_decimal()
        text = _on_grid(quantity, step, instrument.size_precision, ROUND_FLOOR)
        return Quantity.from_str(text)

    def _guard_instrument(self: Any, instrument_id: InstrumentId) -> Any:
        instrument = self.cache.instrument(instrument_id)
        if instrument is None:
            raise ValueError(f"expected an instrument of this run, {instrument_id} is none")
        return instrument

    def _guard_watch(self: Any) -> None:
        """Part of on_start: what the gate needs to value, compare and write."""
        gate = self._guard_gate
        for name in self._guard_run.instruments:
            facts = self._guard_view.instrument(name)
            if facts is not None:
                gate.know(name, facts)  # so that it can value what it holds of it
        if gate.limits.fat_finger is not None:
            self._guard_tape()
        if gate.wants_ticks:
            self._guard_native.clock.__get__(self).set_timer_ns(
                f"guard-tick-{self._guard_id}",
                TICK_NS,
                callback=self._guard_safe("the gate's timer", self._guard_tick),
            )

    def _guard_tape(self: Any) -> None:
        """Let the gate see every trade of the run's instruments, before the strategy does."""
        for name in self._guard_run.instruments:
            self._guard_need_trades(InstrumentId.from_str(name))
        inner, gate, mine = self.on_trade, self._guard_gate, self._guard_id
        tape = gate.books.tape

        def taped(tick: Any) -> None:
            name = str(tick.instrument_id)
            if tape.feeds(name, mine):
                gate.traded(name, tick.size.as_decimal())
            inner(tick)

        self.on_trade = taped

    def _guard_tick(self: Any, event: Any) -> None:
        """Once a second: let the gate look at the market, and do what a broken limit asks for."""
        gate = self._guard_gate
        gate.tick(self._guard_view)
        if self._guard_leaving:
            self._guard_leave_rest()
        if self._guard_unproven:
            self._guard_settle_unproven()
        actions = gate.breach_action
        if not actions:
            return
        mine = {"strategy_id": self.strategy_id}
        waiting = [*self.cache.orders_open(**mine), *self.cache.orders_inflight(**mine)]
        flattens = "flatten" in actions  # then a resting exit makes way too: it may never fill
        for order in waiting:
            is_now = order.order_type == OrderType.MARKET
            live = gate.ledger.live.get(str(order.client_order_id))  # knows a role from before
            reduces = order.is_reduce_only or (live is not None and live.is_exit)
            is_exit = reduces and (is_now or not flattens)
            if not is_exit and not order.is_pending_cancel:
                self.cancel_order(order.client_order_id)
        if flattens and not waiting:  # cancelled orders may still fill: flatten when they are gone
            self._guard_flatten()


def _on_grid(value: Any, step: Decimal, precision: int, rounding: str) -> str:
    """`value` in whole steps, written with `precision` digits."""
    if isinstance(value, float):
        raise TypeError(f"expected an exact number, the float {value!r} came; use Decimal or text")
    exact = value.as_decimal() if isinstance(value, Price | Quantity) else Decimal(value)
    steps = (exact / step).to_integral_value(rounding=rounding)
    return f"{steps * step:.{precision}f}"
