"""The private stream: login, orders, balances, trade requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest

from fairlead.adapters.base.venue import (
    BalancePush,
    OrderPush,
    ParseError,
    Ready,
    Send,
    StreamFault,
    VenueError,
    VenueErrorKind,
)
from fairlead.adapters.poloniex.private_websocket import PrivateStream, TradeRequests
from fairlead.adapters.poloniex.signing import ws_signature
from fairlead.adapters.poloniex.venue import PoloniexAdapter
from fairlead.engine.orders.model import Kind, OrderState, Side, VenueOrder
from tests.venues.poloniex.support import KEY, NOW_NS, SECRET, payload


def opened(adapter: PoloniexAdapter) -> PrivateStream:
    stream = adapter.private_stream()
    assert isinstance(stream, PrivateStream)
    stream.opened(NOW_NS)
    return stream


def ready(adapter: PoloniexAdapter) -> PrivateStream:
    stream = opened(adapter)
    feed(stream, payload("ws_auth_ok"))
    feed(stream, payload("ws_orders_ack_symbols_all"))
    assert feed(stream, payload("ws_balances_ack")) == [Ready()]
    return stream


def feed(stream: PrivateStream, message: Any) -> list[Any]:
    return list(stream.received(json.dumps(message), NOW_NS))


def orders_frame(**changes: Any) -> dict[str, Any]:
    record = payload("ws_orders_trade_record") | changes
    return {"channel": "orders", "data": [record]}


def test_login_then_subscribe_then_ready(adapter: PoloniexAdapter) -> None:
    stream = adapter.private_stream()
    assert stream is not None
    (auth,) = (json.loads(f) for f in stream.opened(NOW_NS))
    stamp = NOW_NS // 1_000_000
    assert auth == {
        "event": "subscribe",
        "channel": ["auth"],
        "params": {
            "key": KEY,
            "signTimestamp": stamp,
            "signature": ws_signature(SECRET, stamp),
        },
    }
    sent = list(stream.received(json.dumps(payload("ws_auth_ok")), NOW_NS))
    assert [json.loads(s.frame) for s in sent if isinstance(s, Send)] == [
        {"event": "subscribe", "channel": ["orders"], "symbols": ["all"]},
        {"event": "subscribe", "channel": ["balances"]},
    ]
    assert stream.received(json.dumps(payload("ws_orders_ack_no_symbols")), NOW_NS) == []
    assert stream.received(json.dumps(payload("ws_balances_ack")), NOW_NS) == [Ready()]


def test_a_reconnect_logs_in_and_subscribes_again(adapter: PoloniexAdapter) -> None:
    stream = ready(adapter)
    assert list(stream.closed(NOW_NS)) == []
    assert len(stream.opened(NOW_NS + 1)) == 1
    assert len(feed(stream, payload("ws_auth_ok"))) == 2
    feed(stream, payload("ws_orders_ack_no_symbols"))
    assert feed(stream, payload("ws_balances_ack")) == [Ready()]


def test_failed_login_is_tried_once_more_then_final(adapter: PoloniexAdapter) -> None:
    stream = opened(adapter)
    (fault,) = feed(stream, payload("ws_auth_fail"))
    assert isinstance(fault, StreamFault)
    assert (fault.code, fault.action) == ("POLONIEX-WS-AUTH", "reconnect")
    assert SECRET not in fault.message
    stream.opened(NOW_NS)
    (fault,) = feed(stream, payload("ws_auth_fail"))
    assert fault.action == "fatal"


def test_maintenance(adapter: PoloniexAdapter) -> None:
    (fault,) = feed(ready(adapter), payload("ws_error_maintenance"))
    assert (fault.code, fault.action) == ("POLONIEX-MAINTENANCE", "reconnect")


def test_place(adapter: PoloniexAdapter) -> None:
    (push,) = feed(ready(adapter), payload("ws_orders_place_no_matchRole"))
    assert push == OrderPush(
        VenueOrder(
            venue_order_id="32482887660077056",
            instrument="LINK_USDC.POLONIEX",
            side=Side.SELL,
            kind=Kind.LIMIT,
            state=OrderState.OPEN,
            quantity=Decimal(10),
            filled=Decimal(0),
            client_order_id="4436176",
            price=Decimal(3),
            ts_created=1648710923921_000_000,
            ts_updated=1648710923948_000_000,
        )
    )


def test_trade_is_told_with_its_own_price_and_size(adapter: PoloniexAdapter) -> None:
    (push,) = feed(ready(adapter), orders_frame(clientOrderId="c1"))
    assert push.order.state is OrderState.FILLED
    assert push.order.price is None  # "0" is a market order's limit, not a price
    fill = push.fill
    assert fill is not None
    assert (fill.price, fill.quantity) == (Decimal("0.37694"), Decimal(3))
    assert (fill.fee, fill.fee_currency) == (Decimal("0.00226164"), "USDT")
    assert fill.trade_id == "ADA_USDT-62036513"
    assert fill.is_maker is False
    assert fill.client_order_id == "c1"
    assert fill.ts_event == 1685371921908_000_000  # tradeTime


def test_partial_fill_uses_the_trade_not_the_cumulated_quantity(adapter: PoloniexAdapter) -> None:
    frame = orders_frame(state="PARTIALLY_FILLED", quantity="10", filledQuantity="7", tradeQty="2")
    (push,) = feed(ready(adapter), frame)
    assert push.fill is not None
    assert (push.fill.quantity, push.order.filled) == (Decimal(2), Decimal(7))
    assert push.order.state is OrderState.OPEN


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("CANCELED", OrderState.CANCELED),
        ("PARTIALLY_CANCELED", OrderState.CANCELED),
        ("EXPIRED", OrderState.EXPIRED),
        ("FAILED", OrderState.REFUSED),
        ("REJECTED", OrderState.REFUSED),
        ("PENDING_CANCEL", OrderState.CANCELLING),
    ],
)
def test_ends(adapter: PoloniexAdapter, state: str, told: OrderState) -> None:
    (push,) = feed(ready(adapter), orders_frame(eventType="canceled", state=state))
    assert push.order.state is told
    assert push.fill is None


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "NO_SUCH"},
        {"side": "HOLD"},
        {"tradeQty": "NaN"},
        {"tradePrice": "-1"},
        {"tradePrice": "1E+999"},
        {"orderId": 5},
    ],
)
def test_records_that_cant_be_are_parse_errors(
    adapter: PoloniexAdapter, changes: dict[str, Any]
) -> None:
    stream = ready(adapter)
    with pytest.raises(ParseError):
        feed(stream, orders_frame(**changes))


def test_balances_are_merged_into_the_account(adapter: PoloniexAdapter) -> None:
    stream = ready(adapter)
    (first,) = feed(stream, payload("ws_balances_place_order"))
    assert isinstance(first, BalancePush)
    assert [b.currency for b in first.balances] == ["BTC"]
    other = payload("ws_balances_with_accountType")
    other["data"][0] |= {"currency": "USDT", "available": "5", "hold": "1"}
    (second,) = feed(stream, other)
    told = {b.currency: (b.free, b.locked) for b in second.balances}
    assert told == {
        "BTC": (Decimal("9999999983.668"), Decimal("16.332")),
        "USDT": (Decimal(5), Decimal(1)),
    }


# -- trade requests -------------------------------------------------------------------------------


class Wire:
    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []

    def __call__(self, frames: Iterable[str]) -> None:
        self.frames += [json.loads(f) for f in frames]


async def waiting(wire: Wire, count: int = 1) -> None:
    while len(wire.frames) < count:
        await asyncio.sleep(0)


async def test_a_request_gets_the_answer_with_its_id(adapter: PoloniexAdapter) -> None:
    stream, wire = ready(adapter), Wire()
    stream.attach(wire)
    requests: TradeRequests = adapter._requests
    first = asyncio.create_task(requests.request("cancelAllOrders", {}))
    second = asyncio.create_task(requests.request("createOrder", {"symbol": "BTC_USDT"}))
    await waiting(wire, 2)
    assert wire.frames[0] == payload("ws_cancelAllOrders_request") | {"id": "1"}
    feed(stream, payload("ws_trade_request_error") | {"id": "2"})
    feed(stream, payload("ws_createOrder_response") | {"id": "1"})
    assert (await first)[0].order_id == 205343650954092544  # exact above 2**53
    assert (await second)[0].code == 21721
    feed(stream, payload("ws_createOrder_response"))
    assert requests.unmatched == 1


async def test_a_lost_connection_leaves_requests_unknown(adapter: PoloniexAdapter) -> None:
    stream, wire = ready(adapter), Wire()
    stream.attach(wire)
    task = asyncio.create_task(adapter._requests.request("createOrder", {}))
    await waiting(wire)
    stream.closed(NOW_NS)
    with pytest.raises(VenueError) as caught:
        await task
    assert caught.value.kind is VenueErrorKind.UNKNOWN
    with pytest.raises(VenueError) as caught:
        await adapter._requests.request("createOrder", {})
    assert caught.value.kind is VenueErrorKind.REFUSED  # not sent
    assert len(wire.frames) == 1


async def test_no_answer_in_time_is_unknown(adapter: PoloniexAdapter) -> None:
    stream = ready(adapter)
    requests = TradeRequests(timeout_secs=0.01)
    requests.attach(Wire())
    requests.ready(True)
    with pytest.raises(VenueError) as caught:
        await requests.request("createOrder", {})
    assert caught.value.kind is VenueErrorKind.UNKNOWN
    assert stream is not None


def test_a_stop_that_waits_is_no_child_of_itself(adapter: PoloniexAdapter) -> None:
    """The venue may push smart orders that wait, under types that only this channel has."""
    stream = ready(adapter)
    waiting = orders_frame(
        eventType="place",
        type="STOP_LOSS_LIMIT",
        source="SMART",
        state="NEW",
        orderId="77",
        clientOrderId="c7_gte",
        side="BUY",
        price="5",
        filledQuantity="0",
        filledAmount="0",
        tradeId="0",
    )
    (push,) = feed(stream, waiting)
    assert (push.order.venue_order_id, push.order.state) == ("smart-77", OrderState.WAITING)
    assert not push.order.triggered
    (again,) = feed(stream, waiting)
    assert again == push
    # Its child, which carries no client order id, is known by its terms.
    child = waiting["data"][0] | {"type": "LIMIT", "orderId": "78", "clientOrderId": ""}
    (push,) = feed(stream, {"channel": "orders", "data": [child]})
    assert (push.order.venue_order_id, push.order.state) == ("smart-77", OrderState.OPEN)
    assert push.order.triggered
