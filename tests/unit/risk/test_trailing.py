"""A trailing stop before the gate: whose it is, what it follows by, what it may turn over."""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from nautilus_trader.model import OrderSide, TrailingOffsetType

from fairlead.engine.config.model import Risk
from fairlead.engine.orders.model import Kind, Side
from fairlead.engine.risk.facts import Reference
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.view import order_facts
from tests.unit.nautilus_harness import IID, MODES, Run, px, qty
from tests.unit.risk.test_gate import View, code, order
from tests.unit.risk.test_gate_modes import PLAIN, Script

BUY = OrderSide.BUY
ABLE = msgspec.structs.replace(PLAIN, kinds=frozenset(Kind))


def trail(strategy: Any, offset: TrailingOffsetType, **more: Any) -> None:
    strategy.submit_order(
        strategy.order_factory.trailing_stop_market(
            IID, BUY, qty(1), Decimal(100), offset, **{"activation_price": px(99), **more}
        )
    )


@pytest.mark.parametrize("mode", MODES)
def test_no_simulated_exchange_has_a_trailing_stop_whatever_the_venue_can(mode: str) -> None:
    class Trailing(Script):
        actions = MappingProxyType({2: lambda s: trail(s, TrailingOffsetType.BASIS_POINTS)})

    for capabilities in ({"TEST": ABLE}, {}):
        gate = RiskGate(Risk(), capabilities=capabilities, is_simulated=True)
        run = MODES[mode](Run(Trailing, gate=gate, steps=4))
        assert (run.codes(), run.orders) == (["UNSUPPORTED"], [])
        assert "no TRAILING_STOP_MARKET" in run.state.denials[0].denial.message


@pytest.mark.parametrize(
    ("offset", "more"),
    [
        (TrailingOffsetType.PRICE, {}),
        (TrailingOffsetType.TICKS, {}),
        (TrailingOffsetType.BASIS_POINTS, {"trigger_price": px(101)}),
        (TrailingOffsetType.BASIS_POINTS, {"activation_price": None, "trigger_price": px(101)}),
    ],
)
def test_a_trailing_stop_follows_by_basis_points_of_a_begin(
    offset: TrailingOffsetType, more: dict[str, Any]
) -> None:
    class Trailing(Script):
        actions = MappingProxyType({2: lambda s: trail(s, offset, **more)})

    run = MODES["backtest"](
        Run(Trailing, gate=RiskGate(Risk(), capabilities={"TEST": ABLE}), steps=4)
    )
    assert run.codes() == ["UNSUPPORTED"]
    assert "BASIS_POINTS" in run.state.denials[0].denial.message


@pytest.mark.parametrize("side", [OrderSide.BUY, OrderSide.SELL])
@pytest.mark.parametrize("is_simulated", [False, True])
def test_a_strategys_call_passes_with_where_it_fires_first(
    side: OrderSide, is_simulated: bool
) -> None:
    made: list[Any] = []

    class Trailing(Script):
        actions = MappingProxyType(
            {2: lambda s: made.append(s.trailing_stop(IID, side, qty(1), 33, px(99.01)))}
        )

    gate = RiskGate(Risk(), capabilities={"TEST": ABLE}, is_simulated=is_simulated)
    run = MODES["backtest"](Run(Trailing, gate=gate, steps=4))
    assert run.codes() == ["UNSUPPORTED"] * is_simulated
    (order_,) = made
    assert (order_ is None) is is_simulated
    if order_ is not None:
        found = order_facts(order_)
        assert (found.trigger_price, found.trailing_offset) == (Decimal("99.01"), 33)


def test_a_venue_without_trailing_stops_says_so_by_name() -> None:
    class Trailing(Script):
        actions = MappingProxyType({2: lambda s: trail(s, TrailingOffsetType.BASIS_POINTS)})

    run = MODES["backtest"](
        Run(Trailing, gate=RiskGate(Risk(), capabilities={"TEST": PLAIN}), steps=4)
    )
    assert run.codes() == ["UNSUPPORTED"]
    assert "TEST has LIMIT, MARKET, TRAILING_STOP_MARKET came" in (
        run.state.denials[0].denial.message
    )


@pytest.mark.parametrize(
    ("side", "begin", "limit", "expected"),
    [
        (Side.BUY, "99", "99.98", "MAX_ORDER_NOTIONAL"),  # 1 % above its begin at most
        (Side.BUY, "99", "99.99", None),
        (Side.SELL, "110", "109", "MAX_ORDER_NOTIONAL"),
        (Side.SELL, "110", "110", None),
        (Side.BUY, None, "102", "MAX_ORDER_NOTIONAL"),  # of the market, 101
        (Side.BUY, None, "102.01", None),
    ],
)
def test_it_is_valued_at_the_most_that_it_can_turn_over(
    side: Side, begin: str | None, limit: str, expected: str | None
) -> None:
    gate = RiskGate(Risk(max_order_notional=f"{limit} USDT"))
    view = View(gate)
    view.market = Reference("book", view.now_ns(), Decimal(99), Decimal(101))
    wanted = order(
        None,
        side=side,
        kind="TRAILING_STOP_MARKET",
        trigger_price=None if begin is None else Decimal(begin),
        trailing_offset=Decimal(100),
    )
    assert code(gate, wanted, view) == expected


def test_an_approval_binds_how_far_it_follows() -> None:
    gate = RiskGate(Risk())
    view = View(gate)
    fields: dict[str, Any] = {"kind": "TRAILING_STOP_MARKET", "trigger_price": Decimal(99)}
    wanted = order(None, trailing_offset=Decimal(100), **fields)
    assert code(gate, wanted, view) is None
    gate.approve(wanted, view.now_ns())
    assert gate.approvals.has(wanted)
    assert not gate.approvals.has(order(None, trailing_offset=Decimal(101), **fields))
