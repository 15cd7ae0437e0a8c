"""Cancels, and replacements that keep the order's identity."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fairlead.adapters.poloniex.venue import PoloniexAdapter
from fairlead.engine.orders.model import (
    Accepted,
    CancelAccepted,
    CancelRefused,
    OrderState,
    Refused,
    Unknown,
)
from tests.venues.poloniex.orders_kit import (
    CID,
    NOT_FOUND,
    intent,
    order,
    ref,
    smart,
    stop,
    submitted_stop,
)
from tests.venues.poloniex.support import (
    HTML,
    LOST,
    Call,
    ScriptedRest,
    http_error,
    payload,
)
from tests.venues.poloniex.test_private_stream import feed, ready

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
    monkeypatch.setattr("fairlead.adapters.poloniex.orders.REPLACE_LOOKS_SECS", (0.0, 0.0))
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
