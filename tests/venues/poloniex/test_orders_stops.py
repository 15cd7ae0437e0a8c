"""Stops: the guard, the trigger condition, the triggered child."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fairlead.adapters.poloniex.venue import PoloniexAdapter
from fairlead.engine.orders.model import (
    Accepted,
    CancelAccepted,
    Kind,
    OrderState,
    Refused,
    Side,
    TriggerCondition,
)
from tests.venues.poloniex.conftest import Clock, make_adapter
from tests.venues.poloniex.orders_kit import (
    CID,
    CREATED,
    PRICE,
    order,
    ref,
    smart,
    stop,
    submitted_stop,
)
from tests.venues.poloniex.support import (
    BTC,
    HTML,
    ScriptedRest,
    payload,
)
from tests.venues.poloniex.test_private_stream import feed, ready


@pytest.mark.parametrize(
    ("side", "condition", "trigger", "is_sent"),
    [
        (Side.BUY, TriggerCondition.GTE, "21000", True),
        (Side.BUY, TriggerCondition.GTE, "20000", False),
        (Side.SELL, TriggerCondition.LTE, "20000", True),
        (Side.SELL, TriggerCondition.LTE, "21000", False),
        (Side.BUY, TriggerCondition.LTE, "20000", True),
        (Side.BUY, TriggerCondition.LTE, "21000", False),
        (Side.SELL, TriggerCondition.GTE, "21000", True),
        (Side.SELL, TriggerCondition.GTE, "20000", False),
        (Side.BUY, TriggerCondition.GTE, "20500", False),
        (Side.SELL, TriggerCondition.LTE, "20500", False),
    ],
)
async def test_guard_on_the_side_of_the_market(
    adapter: PoloniexAdapter,
    rest: ScriptedRest,
    side: Side,
    condition: TriggerCondition,
    trigger: str,
    is_sent: bool,
) -> None:
    rest.on("GET", "/markets/BTC_USDT/price", PRICE)
    rest.on("POST", "/smartorders", CREATED)
    touched = (side is Side.BUY) == (condition is TriggerCondition.LTE)
    kind = Kind.LIMIT_IF_TOUCHED if touched else Kind.STOP_LIMIT
    asked = stop(side=side, kind=kind, trigger_condition=condition, trigger_price=Decimal(trigger))
    (told,) = await adapter.orders.submit([asked])
    if not is_sent:
        assert isinstance(told, Refused)
        assert told.code == "POLONIEX-TRIGGER-CROSSED"
        assert rest.sent("POST", "/smartorders") == []
        return
    assert isinstance(told, Accepted)
    assert told.venue_order_id == "smart-29772698821328896"
    assert told.order is not None
    assert (told.order.state, told.order.kind) == (OrderState.WAITING, kind)
    (call,) = rest.sent("POST", "/smartorders")
    assert call.body == {
        "symbol": "BTC_USDT",
        "side": str(side),
        "type": "STOP_LIMIT",
        "timeInForce": "GTC",
        "price": "21010.00",
        "quantity": "0.010000",
        "stopPrice": trigger,
        "clientOrderId": f"{CID}_{condition}",
    }


async def test_guard_uses_a_fresh_trade_of_the_stream(
    adapter: PoloniexAdapter, rest: ScriptedRest, clock: Clock
) -> None:
    rest.on("GET", "/markets/BTC_USDT/price", PRICE)
    rest.on("POST", "/smartorders", CREATED)
    adapter._tracker.last_price("BTC_USDT", "21500", clock.ns)
    (told,) = await adapter.orders.submit([stop()])
    assert isinstance(told, Refused)
    assert rest.calls == []
    clock.ns += 3_000_000_000  # old by now: the venue is asked
    assert isinstance((await adapter.orders.submit([stop()]))[0], Accepted)


async def test_a_condition_that_is_true_can_be_sent_as_a_limit(
    rest: ScriptedRest, clock: Clock
) -> None:
    rest.on("GET", "/markets/BTC_USDT/price", PRICE)
    rest.on("POST", "/orders", CREATED)
    adapter = make_adapter(rest, clock, trigger_crossed="limit")
    (told,) = await adapter.orders.submit([stop(trigger_price=Decimal(20000))])
    assert told == Accepted("29772698821328896")
    assert rest.sent("POST", "/orders")[0].body["type"] == "LIMIT"


async def test_no_price_means_no_stop(adapter: PoloniexAdapter, rest: ScriptedRest) -> None:
    rest.on("GET", "/markets/BTC_USDT/price", HTML)
    (told,) = await adapter.orders.submit([stop()])
    assert isinstance(told, Refused)
    assert "not sent" in told.message


@pytest.mark.parametrize("as_list", [False, True])
async def test_a_triggered_child_is_adopted_under_the_parents_id(
    adapter: PoloniexAdapter, rest: ScriptedRest, as_list: bool
) -> None:
    venue_id = await submitted_stop(adapter, rest)
    child = order(id="901", clientOrderId="", price="21010.00", state="PARTIALLY_FILLED")
    child |= {"filledQuantity": "0.004", "filledAmount": "84.00"}
    parent = smart(state="TRIGGERED", triggeredOrder=child)
    rest.on("GET", "/smartorders/900", [parent] if as_list else parent)
    rest.on("GET", "/orders/901", child)
    (told,) = await adapter.orders.orders([ref(venue_id)])
    assert told.venue_order_id == "smart-900"
    assert told.client_order_id == CID
    assert told.triggered
    assert (told.state, told.filled, told.avg_price) == (
        OrderState.OPEN,
        Decimal("0.004"),
        Decimal(21000),
    )
    trade = payload("rest_order_trades")[0] | {"symbol": "BTC_USDT", "orderId": "901"}
    rest.on("GET", "/orders/901/trades", [trade])
    (fill,) = await adapter.orders.fills([ref(venue_id)], 0)
    assert fill.venue_order_id == "smart-900"
    assert fill.trade_id == "BTC_USDT-30341456333942784"
    assert (fill.fee, fill.fee_currency, fill.is_maker) == (Decimal("0.00145"), "LINK", True)
    rest.on("DELETE", "/orders/901", payload("rest_cancel_order"))
    assert await adapter.orders.cancel([ref(venue_id)]) == [CancelAccepted()]
    rest.on("GET", "/orders", [child])
    rest.on("GET", "/smartorders", [])
    assert [o.venue_order_id for o in await adapter.orders.open_orders([BTC])] == ["smart-900"]


@pytest.mark.parametrize("cid", ["", f"{CID}_gte"])
async def test_a_pushed_child_is_adopted(
    adapter: PoloniexAdapter, rest: ScriptedRest, cid: str
) -> None:
    venue_id = await submitted_stop(adapter, rest)
    record = payload("ws_orders_place_btc")["data"][0] | {
        "orderId": "901",
        "clientOrderId": cid,
        "source": "SMART",
        "quantity": "0.01",
        "price": "21010",
    }
    stream = ready(adapter)
    (push,) = feed(stream, {"channel": "orders", "data": [record]})
    assert (push.order.venue_order_id, push.order.client_order_id) == (venue_id, CID)
    assert push.order.triggered
    record |= {"eventType": "trade", "tradeQty": "0.01", "tradePrice": "21005", "tradeId": "7"}
    record |= {"filledQuantity": "0.01", "filledAmount": "210.05", "state": "FILLED"}
    record |= {"tradeFee": "0.1", "feeCurrency": "USDT", "source": "API"}
    (push,) = feed(stream, {"channel": "orders", "data": [record]})
    assert push.fill is not None
    assert (push.fill.venue_order_id, push.fill.client_order_id) == (venue_id, CID)


async def test_after_a_restart_a_child_is_found_by_its_client_id(
    rest: ScriptedRest, clock: Clock
) -> None:
    adapter = make_adapter(rest, clock)
    child = order(id="901", clientOrderId=f"{CID}_gte")
    rest.on("GET", "/orders", [child])
    rest.on("GET", "/smartorders", [])
    rest.on("GET", f"/smartorders/cid:{CID}_gte", smart(state="TRIGGERED", triggeredOrder=child))
    (told,) = await adapter.orders.open_orders([BTC])
    assert (told.venue_order_id, told.client_order_id) == ("smart-900", CID)
    assert told.kind is Kind.STOP_LIMIT
    assert told.trigger_condition is TriggerCondition.GTE


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("PENDING_NEW", OrderState.WAITING),
        ("PENDING_CANCEL", OrderState.CANCELLING),
        ("CANCELED", OrderState.CANCELED),
        ("EXPIRED", OrderState.EXPIRED),
        ("FAILED", OrderState.REFUSED),
        ("REJECTED", OrderState.REFUSED),
    ],
)
async def test_smart_states(
    adapter: PoloniexAdapter, rest: ScriptedRest, state: str, told: OrderState
) -> None:
    rest.on("GET", "/smartorders/900", smart(state=state, side="SELL", clientOrderId="x_gte"))
    (seen,) = await adapter.orders.orders([ref("smart-900")])
    assert seen.state is told
    assert seen.kind is Kind.LIMIT_IF_TOUCHED
    assert seen.client_order_id == "x"
