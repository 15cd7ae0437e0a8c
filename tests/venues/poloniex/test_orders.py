"""Creates: what is sent, and what each answer proves."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fairlead.adapters.poloniex.symbols import WireId, client_id_problem, parse_wire_id
from fairlead.adapters.poloniex.venue import PoloniexAdapter
from fairlead.engine.orders.model import (
    Accepted,
    CancelAccepted,
    Intent,
    Kind,
    Refused,
    Side,
    Tif,
    TriggerCondition,
    Unknown,
)
from tests.venues.poloniex.conftest import Clock, make_adapter
from tests.venues.poloniex.orders_kit import (
    CID,
    CREATED,
    intent,
    ref,
    stop,
)
from tests.venues.poloniex.support import (
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
        # Spot has no reduce-only orders: the wire says nothing of it.
        (
            {"kind": Kind.MARKET, "side": Side.SELL, "price": None, "reduce_only": True},
            {"type": "MARKET"},
        ),
        ({"reduce_only": True}, {"type": "LIMIT", "price": "20000.50", "timeInForce": "GTC"}),
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
        (b"<html></html>", Unknown, "POLONIEX-BAD-ANSWER"),
        (b'{"id": "1", "clientOrd', Unknown, "POLONIEX-BAD-ANSWER"),
        ({"id": "", "clientOrderId": ""}, Unknown, "expected an order id"),
        ({}, Unknown, "POLONIEX-BAD-ANSWER"),
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


async def test_cancels_pass_when_creates_have_used_their_share(
    rest: ScriptedRest, clock: Clock
) -> None:
    """Ten a second, a fifth kept: the ninth create waits, a cancel and a tenth request do not."""
    adapter = make_adapter(rest, clock, private_rate=10)
    rest.on("POST", "/orders", CREATED)
    rest.on("DELETE", "/orders/500", payload("rest_cancel_order"))
    for i in range(8):
        await adapter.orders.submit([intent(client_order_id=f"c{i}")])
    ninth = asyncio.create_task(adapter.orders.submit([intent(client_order_id="c8")]))
    await asyncio.sleep(0)
    assert await adapter.orders.cancel([ref()]) == [CancelAccepted()]
    assert await adapter.orders.cancel([ref()]) == [CancelAccepted()]
    assert not ninth.done()
    assert len(rest.sent("POST", "/orders")) == 8
    assert isinstance((await ninth)[0], Accepted)
