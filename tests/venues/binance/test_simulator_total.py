"""Whatever a client sends, the simulated Binance answers as a venue, and its money stays whole."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.adapters.binance.simulator_routes import ROUTES
from fairlead.adapters.binance.simulator_wsapi import SPOT_METHODS, USDM_METHODS
from fairlead.adapters.simulation.routes import Endpoint
from tests.venues.binance.kit import Stream, ask, hmac_of, quiet, run, sign

VALID = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.010",
    "price": "59000.0",
}
NAMES = (
    *VALID,
    *("stopPrice", "quoteOrderQty", "newClientOrderId", "orderId", "origClientOrderId", "limit"),
    *("algoType", "triggerPrice", "closePosition", "reduceOnly", "positionSide", "goodTillDate"),
    *("dualSidePosition", "leverage", "marginType", "batchOrders", "orderIdList", "listenKey"),
    *("interval", "startTime", "endTime", "fromId", "symbols", "cancelReplaceMode", "recvWindow"),
    *("cancelOrderId", "newOrderRespType", "algoId", "clientAlgoId", "workingType", "timestamp"),
)
WORDS = (
    *("", "BTCUSDT", "btcusdt", "ALL", "SELL", "MARKET", "STOP", "STOP_LOSS_LIMIT", "LIMIT_MAKER"),
    *("GTX", "GTD", "IOC", "CONDITIONAL", "true", "false", "0", "-1", "0.00001", "61000", "1m"),
    *(
        "1e400",
        "NaN",
        "Infinity",
        "9" * 40,
        "\u0663",
        "[]",
        '[{"symbol":1}]',
        "[7]",
        "LONG",
        "FULL",
    ),
    *("STOP_ON_FAILURE", "ALLOW_FAILURE", "8389765000000", "ISOLATED", "1790000000000", "{" * 60),
)
parameters = st.dictionaries(
    st.sampled_from(NAMES) | st.text(max_size=8),
    st.sampled_from(WORDS) | st.text(alphabet=st.characters(codec="utf-8"), max_size=10),
    max_size=6,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
BUDGETS = {"spot_weights": 10**9, "usdm_weights": 10**9}
ORDERS = {"spot_orders_10s": 10**9, "usdm_orders_10s": 10**9}
AT = quiet(**BUDGETS, **ORDERS)
TOTALS = {name: AT.exchange.ledger.total(name) for name in ("BTC", "ETH", "USDT", "BTCUSDT-PERP")}


def is_whole() -> bool:
    return all(AT.exchange.ledger.total(name) == total for name, total in TOTALS.items())


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(ROUTES.endpoints), parameters, st.booleans())
def test_any_parameters_give_an_answer(
    endpoint: Endpoint[Any, Any], params: dict[str, str], is_nearly_valid: bool
) -> None:
    headers = {"x-mbx-apikey": AT.credentials.api_key}
    query = sign(AT, (VALID if is_nearly_valid else {}) | params)
    response = ask(AT, endpoint.methods, endpoint.path, query, headers=headers)
    found = json.loads(response.body)
    if response.status != 200:
        assert type(found["code"]) is int
        assert found["msg"]
    run(AT, 0.005)
    assert is_whole()


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(ROUTES.endpoints),
    st.text(max_size=40),
    st.text(alphabet=st.characters(codec="utf-8"), max_size=60),
)
def test_any_text_gives_an_answer(endpoint: Endpoint[Any, Any], query: str, body: str) -> None:
    response = ask(AT, endpoint.methods, endpoint.path, query, body=body)
    assert response.status in (200, 400, 401)
    json.loads(response.body)


@settings(max_examples=100, deadline=None)
@given(
    st.text(max_size=40)
    | json_values.map(json.dumps)
    | json_values.map(lambda v: json.dumps({"method": "SUBSCRIBE", "params": v, "id": 1}))
    | st.text(max_size=20).map(lambda v: json.dumps({"method": "SUBSCRIBE", "params": [v]})),
    st.sampled_from(["/ws", "/usdm/ws", "/stream", "/ws-api/v3", "/ws-fapi/v1"]),
)
def test_any_frame_leaves_the_connection_working(frame: str, path: str) -> None:
    stream = Stream(AT, path)
    stream.text(frame)
    if "ws-" in path:
        assert stream.send(id=1, method="time")["status"] == 200
    else:
        assert "result" in stream.send(id=1, method="LIST_SUBSCRIPTIONS")
    stream.leave()
    run(AT, 0.005)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([("/ws-api/v3", name) for name in SPOT_METHODS])
    | st.sampled_from([("/ws-fapi/v1", name) for name in USDM_METHODS]),
    parameters,
    st.dictionaries(st.sampled_from(NAMES), json_values, max_size=3),
)
def test_any_request_of_the_api_is_answered(
    method: tuple[str, str], params: dict[str, str], odd: dict[str, Any]
) -> None:
    path, name = method
    told: dict[str, Any] = {**VALID, **params, **odd}
    told |= {"apiKey": AT.credentials.api_key, "timestamp": AT.now_ms}
    text = "&".join(f"{key}={told[key]}" for key in sorted(told))
    told["signature"] = hmac_of(AT, text)
    stream = Stream(AT, path)
    stream.text(json.dumps({"id": 1, "method": name, "params": told}))
    (answer,) = stream.frames
    assert answer["id"] == 1 or "error" in answer
    stream.leave()
    run(AT, 0.005)
    assert is_whole()


def test_a_query_of_every_endpoint_without_anything() -> None:
    for endpoint in ROUTES.endpoints:
        response = ask(AT, endpoint.methods, endpoint.path, urlencode({}))
        assert response.status in (200, 400, 401), endpoint.path
