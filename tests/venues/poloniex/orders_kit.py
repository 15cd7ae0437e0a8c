"""Intents, and orders as the venue tells them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fairlead.adapters.poloniex.venue import PoloniexAdapter
from fairlead.engine.orders.model import (
    Accepted,
    Intent,
    Kind,
    OrderRef,
    Side,
    TriggerCondition,
)
from tests.venues.poloniex.support import (
    BTC,
    ScriptedRest,
    http_error,
    payload,
)

PRICE = payload("rest_price") | {"price": "20500"}
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


async def submitted_stop(adapter: PoloniexAdapter, rest: ScriptedRest) -> str:
    rest.on("GET", "/markets/BTC_USDT/price", PRICE)
    rest.on("POST", "/smartorders", {"id": "900", "clientOrderId": f"{CID}_gte"})
    (told,) = await adapter.orders.submit([stop()])
    assert isinstance(told, Accepted)
    return told.venue_order_id
