"""A reduce-only order that may rest goes to the simulated exchange as the same order without."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.common import Clock, OrderFactory
from nautilus_trader.model import (
    OrderSide,
    StrategyId,
    TimeInForce,
    TraderId,
    TrailingOffsetType,
    TriggerType,
)

from fairlead.engine.guard.simulated import by_book, plain
from fairlead.engine.orders.model import REDUCE_TAG, Capabilities, Kind, Role, Tif, TriggerSource
from fairlead.engine.risk.view import order_facts
from tests.unit.nautilus_harness import IID, px, qty

FACTORY = OrderFactory(TraderId("T-001"), StrategyId("S-001"), Clock.new_test())
WHERE = (IID, OrderSide.SELL, qty(1))
LAST = {"trigger_type": TriggerType.LAST_PRICE}
UNTIL = {"time_in_force": TimeInForce.GTD, "expire_time": 1_800_000_000_000_000_000}
TRAILING = {
    "trailing_offset": Decimal("0.5"),
    "trailing_offset_type": TrailingOffsetType.PRICE,
    "trigger_price": px(98),
    "activation_price": px(99),
    **LAST,
}
Build = Callable[..., Any]
RESTING: dict[str, Build] = {
    "limit": lambda **more: FACTORY.limit(
        *WHERE, px(101), post_only=True, display_qty=qty(0.5), **UNTIL, **more
    ),
    "stop_limit": lambda **more: FACTORY.stop_limit(*WHERE, px(98), px(99), **LAST, **more),
    "stop_market": lambda **more: FACTORY.stop_market(*WHERE, px(99), **LAST, **UNTIL, **more),
    "limit_if_touched": lambda **more: FACTORY.limit_if_touched(
        *WHERE, px(101), px(102), **LAST, **more
    ),
    "market_if_touched": lambda **more: FACTORY.market_if_touched(*WHERE, px(101), **LAST, **more),
    "market_to_limit": lambda **more: FACTORY.market_to_limit(*WHERE, **more),
    "trailing_stop_market": lambda **more: FACTORY.trailing_stop_market(*WHERE, **TRAILING, **more),
    "trailing_stop_limit": lambda **more: FACTORY.trailing_stop_limit(
        *WHERE, price=px(97), limit_offset=Decimal("0.1"), **TRAILING, **more
    ),
}


@pytest.mark.parametrize("tags", [None, ["mine", Role.STOP.tag]])
@pytest.mark.parametrize("kind", RESTING)
def test_everything_else_is_kept(kind: str, tags: list[str] | None) -> None:
    order = RESTING[kind](reduce_only=True, tags=tags)
    sent = plain(order)
    assert type(sent) is type(order)
    before, after = order.to_dict(), sent.to_dict()
    assert (before.pop("is_reduce_only"), after.pop("is_reduce_only")) == (True, False)
    assert after.pop("tags") == [*(before.pop("tags") or []), REDUCE_TAG]
    assert after == before
    assert order_facts(sent) == order_facts(order)  # the gate knows it as what it was
    told, was = sent.init_event.to_dict(), order.init_event.to_dict()
    assert {name for name, value in told.items() if value != was[name]} == {"reduce_only", "tags"}


@pytest.mark.parametrize("kind", RESTING)
def test_other_orders_are_left_alone(kind: str) -> None:
    order = RESTING[kind]()
    assert plain(order) is order


@pytest.mark.parametrize("tif", [TimeInForce.IOC, TimeInForce.FOK])
def test_what_never_rests_keeps_the_flag(tif: TimeInForce) -> None:
    for order in (
        FACTORY.market(*WHERE, reduce_only=True),
        FACTORY.limit(*WHERE, px(99), time_in_force=tif, reduce_only=True),
    ):
        assert plain(order) is order


def able(source: TriggerSource, *held: Kind) -> Capabilities:
    return Capabilities(
        kinds=frozenset({Kind.LIMIT}),
        time_in_force=frozenset({Tif.FOK}),
        held=frozenset(held),
        trigger_sources=(source,),
    )


@pytest.mark.parametrize("source", list(TriggerSource))
def test_what_the_engine_fires_by_the_book_waits_for_no_trade(source: TriggerSource) -> None:
    holds = able(source, Kind.STOP_LIMIT)
    order = RESTING["stop_limit"]()
    sent = by_book(order, holds)
    is_book = source is not TriggerSource.LAST
    assert sent.trigger_type == (TriggerType.BID_ASK if is_book else TriggerType.LAST_PRICE)
    before, after = order.init_event.to_dict(), sent.init_event.to_dict()
    assert {key for key in before if before[key] != after[key]} <= {"trigger_type"}
    for other in ("limit", "stop_market", "market_to_limit", "trailing_stop_limit"):
        order = RESTING[other]()
        assert by_book(order, holds) is order
    assert by_book(order, None) is order
