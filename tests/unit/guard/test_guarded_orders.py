"""Orders that NautilusTrader or the simulated venue refuses after the gate, lists, and fills."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.model import (
    OrderSide,
    TimeInForce,
)

from fairlead.engine.config.model import Risk
from fairlead.engine.orders.model import Side
from fairlead.engine.risk.gate import RiskGate
from tests.unit.guard.test_guarded import Plain, plain_config
from tests.unit.nautilus_harness import (
    IID,
    MODES,
    Run,
    backtest,
    px,
    qty,
)

BUY, SELL = OrderSide.BUY, OrderSide.SELL
STEPS = 15


# What NautilusTrader itself refuses


def late_gtd(s: Any) -> None:
    order = s.order_factory.limit(
        IID, BUY, qty(1), px(99), time_in_force=TimeInForce.GTD, expire_time=1
    )
    s.submit_order(order)


def crossed_stop(s: Any) -> None:
    s.stop_limit(IID, BUY, qty(1), px(99), px(99.5))


def raising_native(s: Any) -> None:
    order = s.order_factory.limit(IID, BUY, qty(1), px(99))
    with pytest.raises(TypeError):
        s.submit_order(order, position_id="not a PositionId")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("action", "status"),
    [(late_gtd, "DENIED"), (crossed_stop, "REJECTED"), (raising_native, None)],
)
def test_order_refused_after_the_gate_is_not_live(
    action: Callable[[Any], None], status: str | None, mode: str
) -> None:
    class Refused(Plain):
        def on_start(self) -> None:
            super().on_start()
            self.subscribe_trades(IID)  # the venue must know the last trade to see it crossed

        def on_book_deltas(self, deltas: Any) -> None:
            self.books += 1
            if self.books == 3:
                action(self)

    risk = Risk(off=["STOP_SIDE"])  # so that the venue sees the crossed stop
    run = MODES[mode](Run(Refused, plain_config(), risk=risk, steps=STEPS))
    assert [found for _, _, found in run.orders] == ([status] if status else [])
    assert (run.codes(), run.state.faults) == ([], [])
    assert run.gate.ledger.live == {}
    assert run.gate.ledger.working_quantity(str(IID), Side.BUY) == 0


@pytest.mark.parametrize("mode", MODES)
def test_bracket_passes_as_one_list(mode: str) -> None:
    class Bracket(Plain):
        def on_book_deltas(self, deltas: Any) -> None:
            self.books += 1
            if self.books == 3:
                orders = self.order_factory.bracket(
                    IID, BUY, qty(1), tp_price=px(110), sl_trigger_price=px(90)
                )
                self.submit_order_list(orders)

    gate = RiskGate(Risk(max_position={str(IID): Decimal(1)}))
    run = MODES[mode](Run(Bracket, plain_config(), gate=gate, steps=STEPS))
    assert (run.codes(), run.state.faults, run.state.breach) == ([], [], None)
    assert sorted(run.orders) == [
        ("BUY", "MARKET", "FILLED"),
        ("SELL", "LIMIT", "ACCEPTED"),
        ("SELL", "STOP_MARKET", "ACCEPTED"),
    ]
    assert run.gate.ledger.positions[str(IID)] == 1


def test_orders_on_their_way_are_cancelled_with_latency_too() -> None:
    class Late(Plain):
        def on_book_deltas(self, deltas: Any) -> None:
            super().on_book_deltas(deltas)
            if self.books == 4:
                raise ValueError("boom")

    run = backtest(Run(Late, plain_config(), steps=STEPS), latency_ms=50)
    assert run.orders == [("BUY", "MARKET", "FILLED"), ("BUY", "LIMIT", "CANCELED")]
    assert run.seen_steps < 2 * STEPS


def test_positions_follow_fills_before_the_strategy_hears_of_them() -> None:
    class Doubling(Plain):
        def on_order_filled(self, event: Any) -> None:
            if not self.fills:
                self.submit_order(self.order_factory.market(IID, BUY, qty(1)))
            super().on_order_filled(event)

    gate = RiskGate(Risk(max_position={str(IID): Decimal("1.5")}))
    run = backtest(Run(Doubling, plain_config(), gate=gate, steps=3))
    assert run.codes() == ["MAX_POSITION"]
    assert "position 1.000000" in run.state.denials[0].denial.message
