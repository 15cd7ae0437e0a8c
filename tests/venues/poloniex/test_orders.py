"""Trading: what is sent, and what each answer proves."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest

from adapters.poloniex.symbols import WireId, client_id_problem, parse_wire_id
from adapters.poloniex.venue import PoloniexAdapter
from engine.orders.model import (
    Absent,
    Accepted,
    CancelAccepted,
    CancelRefused,
    Found,
    Intent,
    Kind,
    OrderRef,
    OrderState,
    Refused,
    Side,
    Tif,
    TriggerCondition,
    Unknown,
    Unsure,
    VenueUnavailable,
)
from tests.venues.poloniex.conftest import Clock, make_adapter
from tests.venues.poloniex.support import (
    BTC,
    HTML,
    LOST,
    NOW_NS,
    UNSENT,
    Call,
    ScriptedRest,
    http_error,
    payload,
)
from tests.venues.poloniex.test_private_stream import Wire, feed, ready, waiting

CREATED = payload("rest_create_order_response")
CID = "3f0c9d60-5a3e-4c9e-9d84-000000000001"
NOT_FOUND = http_error(400, 21301, "Order not found")


def intent(**changes: Any) -> Intent:
    fields: dict[str, Any] = {
        "client_order_id": CID,
        "strategy": "S-1",
        "instrument": BTC,
        "side": Side.BUY,
        "kind": Kind.LIMIT,
        "quantity": Decimal("0.010000"),
        "price": Decimal("20000.50"),
    }
    return Intent(**(fields | changes))


def stop(**changes: Any) -> Intent:
    fields: dict[str, Any] = {
        "kind": Kind.STOP_LIMIT,
        "trigger_price": Decimal("21000.00"),
        "trigger_condition": TriggerCondition.GTE,
        "price": Decimal("21010.00"),
    }
    return intent(**(fields | changes))


def order(**changes: Any) -> dict[str, Any]:
    fields = {
        "id": "500",
        "clientOrderId": CID,
        "symbol": "BTC_USDT",
        "side": "BUY",
        "quantity": "0.01",
        "price": "20000.50",
    }
    base: dict[str, Any] = payload("rest_order")
    return base | fields | changes


def smart(**changes: Any) -> dict[str, Any]:
    fields = {
        "id": "900",
        "clientOrderId": f"{CID}_gte",
        "symbol": "BTC_USDT",
        "state": "PENDING_NEW",
        "accountType": "SPOT",
        "side": "BUY",
        "type": "STOP_LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01",
        "price": "21010.00",
        "amount": "0",
        "stopPrice": "21000.00",
        "createTime": 1,
        "updateTime": 2,
    }
    return fields | changes


def ref(venue_order_id: str | None = "500", client_order_id: str | None = CID) -> OrderRef:
    return OrderRef(instrument=BTC, client_order_id=client_order_id, venue_order_id=venue_order_id)


# -- create ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "body"),
    [
        ({}, {"type": "LIMIT", "price": "20000.50", "timeInForce": "GTC"}),
        (
            {"time_in_force": Tif.IOC},
            {"type": "LIMIT", "price": "20000.50", "timeInForce": "IOC"},
        ),
        ({"post_only": True}, {"type": "LIMIT_MAKER", "price": "20000.50"}),
        ({"kind": Kind.MARKET, "side": Side.SELL, "price": None}, {"type": "MARKET"}),
    ],
)
async def test_bodies(
    adapter: PoloniexAdapter, rest: ScriptedRest, changes: dict[str, Any], body: dict[str, str]
) -> None:
    rest.on("POST", "/orders", CREATED)
    asked = intent(**changes)
    assert await adapter.orders.submit([asked]) == [Accepted("29772698821328896")]
    (call,) = rest.sent("POST", "/orders")
    common = {
        "symbol": "BTC_USDT",
        "side": str(asked.side),
        "quantity": "0.010000",
        "clientOrderId": CID,
    }
    assert call.body == body | common


@pytest.mark.parametrize(
    ("answer", "outcome", "code"),
    [
        (http_error(400, 21709, "Low available balance"), Refused, "POLONIEX-21709"),
        (http_error(400, 10041, "Symbol frozen"), Refused, "POLONIEX-10041"),
        (http_error(400, 21335), Refused, "POLONIEX-21335"),
        (http_error(400, 21336), Refused, "POLONIEX-21336"),
        (http_error(400, 21330), Refused, "POLONIEX-21330"),
        (http_error(400, 21322), Refused, "POLONIEX-21322"),
        (http_error(503, 21340), Refused, "POLONIEX-21340"),
        (http_error(400, 400, "timestamp"), Refused, "POLONIEX-400"),
        (http_error(401, 401), Refused, "POLONIEX-401"),
        (http_error(429, 429), Refused, "POLONIEX-429"),
        (UNSENT, Refused, "POLONIEX-HTTP-CONNECT"),
        ({"code": 21709, "message": "with HTTP 200"}, Refused, "POLONIEX-21709"),
        # A duplicate id proves that an order with our id exists: it is looked for.
        (http_error(400, 21312), Unknown, "POLONIEX-21312"),
        (http_error(500, 500), Unknown, "POLONIEX-500"),
        (http_error(500, 603), Unknown, "POLONIEX-603"),
        (http_error(500, 415), Unknown, "POLONIEX-415"),
        (http_error(503, 24201), Unknown, "POLONIEX-24201"),
        (http_error(400, 31337), Unknown, "POLONIEX-31337"),
        (HTML, Unknown, "POLONIEX-HTTP-502"),
        (LOST, Unknown, "POLONIEX-HTTP-TIMEOUT"),
        (b"<html></html>", Unknown, "POLONIEX-PARSE"),
        (b'{"id": "1", "clientOrd', Unknown, "POLONIEX-PARSE"),
        ({"id": "", "clientOrderId": ""}, Unknown, "expected an order id"),
        ({}, Unknown, "POLONIEX-PARSE"),
    ],
)
async def test_what_an_answer_to_a_create_proves(
    adapter: PoloniexAdapter, rest: ScriptedRest, answer: Any, outcome: type, code: str
) -> None:
    rest.on("POST", "/orders", answer)
    (told,) = await adapter.orders.submit([intent()])
    assert type(told) is outcome
    assert (told.code if isinstance(told, Refused) else told.reason).startswith(code)
    assert len(rest.sent("POST", "/orders")) == 1  # never twice


async def test_batch_with_mixed_results(adapter: PoloniexAdapter, rest: ScriptedRest) -> None:
    rest.on("POST", "/orders/batch", payload("rest_batch_create_response"))
    told = await adapter.orders.submit(
        [intent(client_order_id="batch-1"), intent(client_order_id="batch-2")]
    )
    assert told[0] == Accepted("613155521545418752")
    assert isinstance(told[1], Refused)
    assert told[1].code == "POLONIEX-21709"
    (call,) = rest.sent("POST", "/orders/batch")
    assert [o["clientOrderId"] for o in call.body] == ["batch-1", "batch-2"]


async def test_batches_of_twenty_and_a_short_answer(
    adapter: PoloniexAdapter, rest: ScriptedRest
) -> None:
    def answer(call: Call) -> list[dict[str, str]]:
        rows = [
            {"id": f"9{i}", "clientOrderId": o["clientOrderId"]} for i, o in enumerate(call.body)
        ]
        return rows if len(rows) == 20 else rows[:-1]

    rest.on("POST", "/orders/batch", answer)
    told = await adapter.orders.submit([intent(client_order_id=f"c{i}") for i in range(25)])
    assert [len(c.body) for c in rest.sent("POST", "/orders/batch")] == [20, 5]
    assert [type(o) for o in told] == [Accepted] * 24 + [Unknown]


async def test_lost_batch_leaves_all_unknown(adapter: PoloniexAdapter, rest: ScriptedRest) -> None:
    rest.on("POST", "/orders/batch", LOST)
    told = await adapter.orders.submit([intent(client_order_id=f"c{i}") for i in range(3)])
    assert [type(o) for o in told] == [Unknown] * 3


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (intent(reduce_only=True), "POLONIEX-REDUCE-ONLY"),
        (intent(client_order_id="with space"), "POLONIEX-CLIENT-ID"),
        (intent(client_order_id="x" * 65), "POLONIEX-CLIENT-ID"),
        (intent(client_order_id="abc_gte"), "POLONIEX-CLIENT-ID"),
        (intent(post_only=True, time_in_force=Tif.IOC), "POLONIEX-POST-ONLY"),
        (intent(instrument="NO_SUCH.POLONIEX"), "POLONIEX-SYMBOL"),
        (intent(price=None), "POLONIEX-PRICE"),
        (stop(trigger_price=None), "POLONIEX-TRIGGER"),
    ],
)
async def test_refused_unsent(
    adapter: PoloniexAdapter, rest: ScriptedRest, asked: Intent, code: str
) -> None:
    (told,) = await adapter.orders.submit([asked])
    assert isinstance(told, Refused)
    assert told.code == code
    assert rest.calls == []


async def test_market_buy_converted_keeps_the_base_quantity(
    adapter: PoloniexAdapter, rest: ScriptedRest
) -> None:
    rest.on("GET", "/markets/BTC_USDT/orderBook", payload("rest_orderbook"))
    rest.on("POST", "/orders", CREATED)
    buy = intent(kind=Kind.MARKET, price=None)
    assert isinstance((await adapter.orders.submit([buy]))[0], Accepted)
    body = rest.sent("POST", "/orders")[0].body
    assert (body["type"], body["timeInForce"], body["quantity"]) == ("LIMIT", "IOC", "0.010000")
    assert body["price"] == "23371.21"  # ask 23139.82 + 1 %, cut to the tick
    assert "amount" not in body


async def test_market_buy_refused_by_config_or_without_an_ask(
    rest: ScriptedRest, clock: Clock
) -> None:
    buy = intent(kind=Kind.MARKET, price=None)
    (told,) = await make_adapter(rest, clock, market_buy="refuse").orders.submit([buy])
    assert isinstance(told, Refused)
    assert told.code == "POLONIEX-MARKET-BUY"
    assert rest.calls == []
    for book in (payload("rest_orderbook") | {"asks": []}, HTML):
        rest.on("GET", "/markets/BTC_USDT/orderBook", book)
        (told,) = await make_adapter(rest, clock).orders.submit([buy])
        assert isinstance(told, Refused)
    assert rest.sent("POST", "/orders") == []


# -- stops ----------------------------------------------------------------------------------------

PRICE = payload("rest_price") | {"price": "20500"}


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


async def submitted_stop(adapter: PoloniexAdapter, rest: ScriptedRest) -> str:
    rest.on("GET", "/markets/BTC_USDT/price", PRICE)
    rest.on("POST", "/smartorders", {"id": "900", "clientOrderId": f"{CID}_gte"})
    (told,) = await adapter.orders.submit([stop()])
    assert isinstance(told, Accepted)
    return told.venue_order_id


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


# -- cancel ---------------------------------------------------------------------------------------


async def test_cancel_one_and_many(adapter: PoloniexAdapter, rest: ScriptedRest) -> None:
    ok = payload("rest_cancel_order")
    rest.on("DELETE", "/orders/500", ok)
    assert await adapter.orders.cancel([ref()]) == [CancelAccepted()]
    closed = payload("rest_error_already_closed")
    items = [closed | {"orderId": "502"}, ok | {"orderId": "501"}]
    rest.on("DELETE", "/orders/cancelByIds", items)
    rest.on("DELETE", "/smartorders/900", ok | {"state": "CANCELED"})
    told = await adapter.orders.cancel([ref("501"), ref("smart-900"), ref("502"), ref("503")])
    assert told[0] == told[1] == CancelAccepted()
    assert isinstance(told[2], CancelRefused)
    assert told[2].code == "POLONIEX-21359"
    assert isinstance(told[3], Unknown)
    (call,) = rest.sent("DELETE", "/orders/cancelByIds")
    assert call.body == {"orderIds": ["501", "502", "503"], "clientOrderIds": []}


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (http_error(400, 21301), CancelRefused),
        (http_error(400, 21304), CancelRefused),
        (http_error(400, 21359), CancelRefused),
        (http_error(429, 429), Unknown),
        (http_error(500, 500), Unknown),
        (HTML, Unknown),
        (LOST, Unknown),
        ({"orderId": "500", "code": 21359, "message": "with HTTP 200"}, CancelRefused),
    ],
)
async def test_what_an_answer_to_a_cancel_proves(
    adapter: PoloniexAdapter, rest: ScriptedRest, answer: Any, outcome: type
) -> None:
    rest.on("DELETE", "/orders/500", answer)
    (told,) = await adapter.orders.cancel([ref()])
    assert type(told) is outcome


async def test_cancel_of_a_stop_that_has_just_triggered(
    adapter: PoloniexAdapter, rest: ScriptedRest
) -> None:
    rest.on("DELETE", "/smartorders/900", http_error(400, 25014))
    child = order(id="901", state="NEW")
    rest.on("GET", "/smartorders/900", smart(state="TRIGGERED", triggeredOrder=child))
    rest.on("GET", "/orders/901", child)
    rest.on("DELETE", "/orders/901", payload("rest_cancel_order"))
    assert await adapter.orders.cancel([ref("smart-900")]) == [CancelAccepted()]


async def test_cancel_by_client_id_tries_every_form(
    adapter: PoloniexAdapter, rest: ScriptedRest
) -> None:
    rest.on("DELETE", f"/orders/cid:{CID}", NOT_FOUND)
    rest.on("DELETE", f"/smartorders/cid:{CID}_gte", http_error(400, 25013))
    rest.on("DELETE", f"/smartorders/cid:{CID}_lte", payload("rest_cancel_order"))
    assert await adapter.orders.cancel([ref(None)]) == [CancelAccepted()]


async def test_cancel_all(adapter: PoloniexAdapter, rest: ScriptedRest) -> None:
    ok = payload("rest_cancel_order")
    rest.on("DELETE", "/orders", [ok, ok | {"code": 21359}])
    rest.on("DELETE", "/smartorders", [ok])
    assert await adapter.orders.cancel_all(["LTC_USDT.POLONIEX"]) == 2  # type: ignore[attr-defined]
    body = rest.sent("DELETE", "/orders")[0].body
    assert body["symbols"] == payload("rest_cancel_all_request")["symbols"]


# -- replace --------------------------------------------------------------------------------------


def canceled_push(order_id: str) -> dict[str, Any]:
    record = payload("ws_orders_place_btc")["data"][0] | {
        "orderId": order_id,
        "clientOrderId": CID,
        "eventType": "canceled",
        "state": "PARTIALLY_CANCELED",
    }
    return {"channel": "orders", "data": [record]}


async def test_replace_keeps_identity_and_counts_what_was_filled(
    adapter: PoloniexAdapter, rest: ScriptedRest
) -> None:
    old = order(state="PARTIALLY_FILLED", filledQuantity="0.004", filledAmount="80")
    rest.on("GET", "/orders/500", old)
    stream = ready(adapter)
    pushes: list[Any] = []

    def replaced(_: Call) -> dict[str, str]:
        pushes.extend(feed(stream, canceled_push("500")))  # before the answer
        return {"id": "600", "clientOrderId": ""}

    rest.on("PUT", "/orders/500", replaced)
    changed = intent(price=Decimal("20100.00"), quantity=Decimal("0.020000"))
    assert await adapter.orders.replace(ref(), changed) == Accepted("600")
    body = rest.sent("PUT", "/orders/500")[0].body
    assert body == {
        "price": "20100.00",
        "quantity": "0.016000",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "clientOrderId": f"{CID}_r500_f334",  # 4000 millionths in base 36
    }
    assert pushes == []
    assert feed(stream, canceled_push("500")) == []  # repeated: swallowed too
    new = order(id="600", clientOrderId=body["clientOrderId"], quantity="0.016")
    new |= {"filledQuantity": "0.001", "filledAmount": "20.1", "state": "PARTIALLY_FILLED"}
    rest.on("GET", "/orders/600", new)
    (told,) = await adapter.orders.orders([ref("600")])
    assert told.client_order_id == CID
    assert (told.quantity, told.filled) == (Decimal("0.020"), Decimal("0.005"))
    (push,) = feed(stream, canceled_push("600"))  # the new order's own end is told
    assert push.order.state is OrderState.CANCELED


async def test_a_refused_replace_gives_back_what_was_withheld(
    adapter: PoloniexAdapter, rest: ScriptedRest
) -> None:
    rest.on("GET", "/orders/500", order())
    stream = ready(adapter)

    def refused(_: Call) -> Any:
        assert feed(stream, canceled_push("500")) == []
        return http_error(400, 21709)

    rest.on("PUT", "/orders/500", refused)
    told = await adapter.orders.replace(ref(), intent(quantity=Decimal(1)))
    assert isinstance(told, Refused)
    (push,) = feed(stream, payload("ws_pong"))
    assert push.order.venue_order_id == "500"
    assert push.order.state is OrderState.CANCELED


@pytest.mark.parametrize(
    ("old", "code"),
    [
        (order(state="FILLED"), "POLONIEX-REPLACE-CLOSED"),
        (order(filledQuantity="0.01", filledAmount="200"), "POLONIEX-REPLACE-FILLED"),
        (NOT_FOUND, "POLONIEX-21301"),
        (HTML, "POLONIEX-HTTP-502"),
    ],
)
async def test_replace_of_what_cant_be(
    adapter: PoloniexAdapter, rest: ScriptedRest, old: Any, code: str
) -> None:
    rest.on("GET", "/orders/500", old)
    told = await adapter.orders.replace(ref(), intent())
    assert isinstance(told, Refused)
    assert told.code == code
    assert rest.sent("PUT", "/orders/500") == []


async def test_a_lost_replace_is_looked_for(
    adapter: PoloniexAdapter, rest: ScriptedRest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.poloniex.orders.REPLACE_LOOKS_SECS", (0.0, 0.0))
    rest.on("GET", "/orders/500", order())
    rest.on("PUT", "/orders/500", LOST)
    wire = f"{CID}_r500_f0"
    rest.on("GET", f"/orders/cid:{wire}", NOT_FOUND, order(id="601", clientOrderId=wire))
    told = await adapter.orders.replace(ref(), intent())
    assert isinstance(told, Accepted)
    assert told.venue_order_id == "601"
    rest.on("GET", f"/orders/cid:{wire}", NOT_FOUND)
    assert isinstance(await adapter.orders.replace(ref(), intent()), Unknown)
    assert len(rest.sent("PUT", "/orders/500")) == 2


async def test_replace_of_a_stop(adapter: PoloniexAdapter, rest: ScriptedRest) -> None:
    venue_id = await submitted_stop(adapter, rest)
    rest.on("PUT", "/smartorders/900", {"id": "910", "clientOrderId": ""})
    told = await adapter.orders.replace(ref(venue_id), stop(trigger_price=Decimal(22000)))
    assert isinstance(told, Accepted)
    assert told.venue_order_id == "smart-910"
    body = rest.sent("PUT", "/smartorders/900")[0].body
    assert body["clientOrderId"] == f"{CID}_gte_r900_f0"
    assert body["stopPrice"] == "22000"


# -- find and read --------------------------------------------------------------------------------


def absent_everywhere(rest: ScriptedRest) -> None:
    rest.on("GET", f"/orders/cid:{CID}", NOT_FOUND)
    rest.on("GET", f"/smartorders/cid:{CID}_gte", http_error(400, 25013))
    rest.on("GET", f"/orders/cid:{CID}_gte", NOT_FOUND)
    for path in ("/orders", "/smartorders", "/orders/history", "/smartorders/history"):
        rest.on("GET", path, [])


async def test_find_by_client_id(adapter: PoloniexAdapter, rest: ScriptedRest) -> None:
    rest.on("GET", f"/orders/cid:{CID}", order())
    told = await adapter.orders.find(intent(), frozenset(), NOW_NS)
    assert isinstance(told, Found)
    assert told.order.venue_order_id == "500"


async def test_find_a_stop_and_one_that_triggered(
    adapter: PoloniexAdapter, rest: ScriptedRest
) -> None:
    child = order(id="901", state="FILLED", filledQuantity="0.01", filledAmount="210")
    rest.on(
        "GET",
        f"/smartorders/cid:{CID}_gte",
        smart(),
        [smart(state="TRIGGERED", triggeredOrder=child)],
    )
    told = await adapter.orders.find(stop(), frozenset(), NOW_NS)
    assert isinstance(told, Found)
    assert (told.order.venue_order_id, told.order.state) == ("smart-900", OrderState.WAITING)
    told = await adapter.orders.find(stop(), frozenset(), NOW_NS)
    assert isinstance(told, Found)
    assert (told.order.venue_order_id, told.order.state) == ("smart-900", OrderState.FILLED)
    assert told.order.triggered


@pytest.mark.parametrize("asked", [intent(), stop()])
async def test_absent_only_when_every_list_was_read(
    adapter: PoloniexAdapter, rest: ScriptedRest, asked: Intent
) -> None:
    absent_everywhere(rest)
    assert isinstance(await adapter.orders.find(asked, frozenset(), NOW_NS), Absent)
    for path in ("/orders", "/orders/history", "/smartorders"):
        absent_everywhere(rest)
        rest.on("GET", path, HTML)
        assert isinstance(await adapter.orders.find(asked, frozenset(), NOW_NS), Unsure)
    absent_everywhere(rest)
    rest.on("GET", f"/orders/cid:{CID}", http_error(500, 500))
    if asked.kind is Kind.LIMIT:
        assert isinstance(await adapter.orders.find(asked, frozenset(), NOW_NS), Unsure)


async def test_find_a_replacement_by_its_suffix(
    adapter: PoloniexAdapter, rest: ScriptedRest
) -> None:
    absent_everywhere(rest)
    rest.on("GET", f"/orders/cid:{CID}", order(id="500", state="CANCELED"))
    rest.on("GET", "/orders", [order(id="600", clientOrderId=f"{CID}_r500_f0")])
    told = await adapter.orders.find(intent(), frozenset({"500"}), NOW_NS)
    assert isinstance(told, Found)
    assert told.order.venue_order_id == "600"


async def test_two_that_fit_are_ambiguous(adapter: PoloniexAdapter, rest: ScriptedRest) -> None:
    absent_everywhere(rest)
    rest.on(
        "GET",
        "/orders",
        [order(id="1", clientOrderId=f"{CID}_r5_f0"), order(id="2", clientOrderId=f"{CID}_r6_f0")],
    )
    told = await adapter.orders.find(intent(), frozenset(), NOW_NS)
    assert isinstance(told, Unsure)
    assert told.ambiguous


async def test_reads_raise_when_incomplete(adapter: PoloniexAdapter, rest: ScriptedRest) -> None:
    rest.on("GET", "/orders", [order()])
    rest.on("GET", "/smartorders", HTML)
    with pytest.raises(VenueUnavailable):
        await adapter.orders.open_orders([BTC])
    rest.on("GET", "/accounts/balances", b"[")
    with pytest.raises(VenueUnavailable):
        await adapter.orders.balances()
    rest.on("GET", "/orders/500", NOT_FOUND)
    assert await adapter.orders.orders([ref()]) == []
    rest.on("GET", "/orders/500/trades", http_error(500, 500))
    with pytest.raises(VenueUnavailable):
        await adapter.orders.fills([ref()], 0)


async def test_many_orders_are_read_from_the_list_first(
    adapter: PoloniexAdapter, rest: ScriptedRest
) -> None:
    rest.on("GET", "/orders", [order(id=str(i)) for i in range(10, 14)])
    rest.on("GET", "/orders/99", order(id="99", state="FILLED"))
    refs = [ref(str(i)) for i in (10, 11, 12, 13, 99)]
    told = await adapter.orders.orders(refs)
    assert sorted(o.venue_order_id for o in told) == ["10", "11", "12", "13", "99"]
    assert len(rest.calls) == 3  # clock, list, the one that is not open


async def test_balances(adapter: PoloniexAdapter, rest: ScriptedRest) -> None:
    rest.on("GET", "/accounts/balances", payload("rest_accounts_balances"))
    (told,) = await adapter.orders.balances()
    assert (told.currency, told.free, told.locked) == ("USDT", Decimal(2), Decimal(0))


# -- over the private WebSocket -------------------------------------------------------------------


async def test_the_websocket_gives_the_same_outcomes(rest: ScriptedRest, clock: Clock) -> None:
    adapter = make_adapter(rest, clock, order_transport="websocket")
    stream, wire = ready(adapter), Wire()
    stream.attach(wire)
    task = asyncio.create_task(adapter.orders.submit([intent(), intent(client_order_id="c2")]))
    await waiting(wire, 2)
    assert wire.frames[0]["event"] == "createOrder"
    expected = payload("ws_createOrder_request")["params"]
    assert set(wire.frames[0]["params"]) == set(expected)
    feed(stream, payload("ws_createOrder_response") | {"id": "1"})
    feed(stream, payload("ws_trade_request_error") | {"id": "2"})
    assert await task == [
        Accepted("205343650954092544"),
        Refused("POLONIEX-21721", "insufficient available balance (available insufficient)"),
    ]
    cancel = asyncio.create_task(adapter.orders.cancel([ref("205343650954092544")]))
    await waiting(wire, 3)
    assert wire.frames[2]["params"] == {"orderIds": ["205343650954092544"], "clientOrderIds": []}
    feed(stream, payload("ws_createOrder_response") | {"id": "3"})
    assert await cancel == [CancelAccepted()]
    lost = asyncio.create_task(adapter.orders.submit([intent(client_order_id="c3")]))
    await waiting(wire, 4)
    stream.closed(NOW_NS)
    assert isinstance((await lost)[0], Unknown)
    assert rest.sent("POST", "/orders") == []


async def test_without_a_websocket_orders_go_by_rest(rest: ScriptedRest, clock: Clock) -> None:
    rest.on("POST", "/orders", CREATED)
    adapter = make_adapter(rest, clock, order_transport="websocket")
    assert isinstance((await adapter.orders.submit([intent()]))[0], Accepted)


# -- client order ids -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wire",
    [
        WireId(client_order_id=CID),
        WireId(client_order_id=CID, condition=TriggerCondition.LTE),
        WireId(client_order_id=CID).replaced("32471407854219264", 10**12),
        WireId(client_order_id=CID, condition=TriggerCondition.GTE).replaced("smart-12", 0),
    ],
)
def test_wire_ids_round_trip(wire: WireId) -> None:
    assert parse_wire_id(wire.text()) == wire
    assert client_id_problem(wire) is None
    assert len(wire.text()) <= 64


def test_a_replaced_replacement_has_another_id() -> None:
    first = WireId(client_order_id=CID).replaced("1001", 5)
    second = parse_wire_id(first.text()).replaced("1002", 7)
    assert second.text() != first.text()
    assert second == WireId(client_order_id=CID, generation="1002", carried=7)


async def test_kill_switch(rest: ScriptedRest, clock: Clock) -> None:
    adapter = make_adapter(rest, clock)
    rest.on("POST", "/orders/killSwitch", {"startTime": 1, "cancellationTime": 15001})
    armed = await adapter.dead_mans_switch(15)
    assert armed.cancellation_time == 15001
    assert rest.sent("POST", "/orders/killSwitch")[0].body == {"timeout": "15"}
    assert json.loads(rest.calls[-1].raw_body) == {"timeout": "15"}
