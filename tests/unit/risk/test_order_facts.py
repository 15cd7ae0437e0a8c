"""The facts of most orders are read by a shorter way: they are the same."""

from __future__ import annotations

from typing import Any

import pytest
from nautilus_trader.common import Clock, OrderFactory
from nautilus_trader.model import (
    ExecAlgorithmId,
    OrderSide,
    OrderType,
    StrategyId,
    TimeInForce,
    TraderId,
    TriggerType,
)

from fairlead.engine.orders.model import REDUCE_TAG, Role
from fairlead.engine.risk import view
from tests.unit.nautilus_harness import IID, px, qty

SECOND = 1_000_000_000


def factory() -> Any:
    return OrderFactory(TraderId("T-001"), StrategyId("S-001"), Clock.new_test())


@pytest.mark.parametrize("side", [OrderSide.BUY, OrderSide.SELL])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"post_only": True},
        {"reduce_only": True},
        {"quote_quantity": True},
        {"tags": [Role.STOP.tag]},
        {"tags": [REDUCE_TAG, "other"]},
        {"time_in_force": TimeInForce.IOC},
        {"time_in_force": TimeInForce.FOK},
        {"display_qty": qty(0.1)},
    ],
)
def test_a_limit_orders_facts_are_those_that_any_order_has(
    side: OrderSide, more: dict[str, Any]
) -> None:
    one = factory().limit(IID, side, qty(0.5), px(99.5), **more)
    assert view._limit_facts(one) == view._any_facts(one, "LIMIT") == view.order_facts(one)


def test_a_limit_order_that_others_work_or_that_is_linked_tells_it() -> None:
    made = factory()
    emulated = made.limit(
        IID, OrderSide.BUY, qty(0.5), px(99.5), emulation_trigger=TriggerType.BID_ASK
    )
    assert view.order_facts(emulated).emulation == "BID_ASK"
    worked = made.limit(
        IID, OrderSide.BUY, qty(0.5), px(99.5), exec_algorithm_id=ExecAlgorithmId("TWAP")
    )
    assert view.order_facts(worked).exec_algorithm == "TWAP"
    entry, *exits = made.bracket(
        IID,
        OrderSide.BUY,
        qty(0.5),
        entry_order_type=OrderType.LIMIT,
        entry_price=px(99.5),
        sl_trigger_price=px(98),
        tp_price=px(101),
    )
    assert view.order_facts(entry).contingency == "OTO"
    target = next(one for one in exits if one.order_type == OrderType.LIMIT)
    assert view.order_facts(target).parent == str(entry.client_order_id)
