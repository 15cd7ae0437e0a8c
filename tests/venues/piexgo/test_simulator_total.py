"""Whatever a client sends, the simulated PiexGo answers as a venue, and its money stays whole."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.adapters.piexgo.simulator_public import V2
from fairlead.adapters.piexgo.simulator_routes import ROUTES
from fairlead.adapters.simulation.routes import Endpoint
from tests.venues.piexgo.simulator_kit import Desk, Line

NAMES = ("symbol", "side", "type", "quantity", "price", "stop_price", "page", "order_id", "depth")
VALID = {
    "symbol": "BTC_USDT",
    "side": "BUY",
    "type": "LIMIT",
    "quantity": "0.1",
    "price": "1000",
    "stop_price": "61000",
    "page": "0",
    "order_id": "1136203593297424385",
}
WORDS = (
    *("", "BTC_USDT", "btc_usdt", "all", "SELL", "MARKET", "STOP_LIMIT", "0", "-1", "0.00001"),
    *("1e400", "NaN", "Infinity", "9" * 40, "\u0663", "1,2,3", "," * 60, "60000.01", "a=b&c"),
)
parameters = st.dictionaries(
    st.sampled_from(NAMES) | st.text(max_size=8), st.sampled_from(WORDS) | st.text(max_size=10)
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
DESK = Desk()


def ask(endpoint: Endpoint[Any, Any], params: dict[str, str]) -> Any:
    if endpoint.is_private:
        return DESK.post(endpoint.path, **params)
    return DESK.get(endpoint.path, **params)


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(ROUTES.endpoints), parameters, st.booleans())
def test_any_parameters_give_an_answer(
    endpoint: Endpoint[Any, Any], params: dict[str, str], is_nearly_valid: bool
) -> None:
    clean = {name.replace("\x00", ""): value for name, value in params.items() if name != "path"}
    found = ask(endpoint, (VALID if is_nearly_valid else {}) | clean)
    if endpoint.is_private:
        assert type(found["err_code"]) is int
    elif endpoint.group != V2:
        assert isinstance(found, dict)
    for currency, amount in DESK.options.balances.items():
        assert DESK.sim.exchange.ledger.total(currency) <= amount
        assert DESK.sim.exchange.ledger.balance("main", currency).free >= Decimal(0)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(ROUTES.endpoints),
    st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()),
    st.text(max_size=30),
)
def test_any_bytes_give_an_answer(endpoint: Endpoint[Any, Any], body: bytes, query: str) -> None:
    method = endpoint.methods
    status, found = DESK.send(method, endpoint.path, query=query, body=body)
    assert status == 200
    if endpoint.is_private:
        assert found["err_code"] != 0


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=40)
    | json_values.map(json.dumps)
    | json_values.map(lambda value: json.dumps({"op": "subscribe", "topic": value}))
    | json_values.map(
        lambda value: json.dumps(
            {"op": "subscribe", "topic": "pinfo", "apikey": value, "signature": value}
        )
    )
)
def test_any_frame_leaves_the_connection_working(frame: str) -> None:
    line = Line(DESK)
    line.send(frame)
    line.take()
    line.subscribe("depth.btc_usdt")
    assert line.take()[-1]["topic"] == "depth"
    line.session.closed()
