"""Whatever a client sends, the simulated OceanEx answers as a venue, and its money stays whole."""

from __future__ import annotations

import contextlib
import json
import math
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.adapters.oceanex.simulator_routes import ROUTES
from fairlead.adapters.simulation.routes import ApiError, Endpoint
from tests.simulation.oceanex_harness import Desk, Line

PATHS = [e.path.replace("{market}", "btcusdt") for e in ROUTES.endpoints]
NAMES = (
    "market", "markets", "side", "volume", "price", "ord_type", "stop_price", "trigger_condition",
    "ids", "id", "orders", "states", "limit", "page", "from", "to", "order_by", "need_price",
    "currency", "rid", "amount", "tid", "period", "timestamp", "start", "end", "show_details",
)  # fmt: skip
WORDS = (
    "btcusdt", "buy", "sell", "limit", "market", "stop_limit", "gte", "lte", "wait", "cancel",
    "asc", "True", "0.1", "1000", "60000.5", "-1", "1e400", "NaN", "0x7781", "usdt", "5862630855",
)  # fmt: skip

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=8),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=8,
)
parameters = st.dictionaries(st.sampled_from(NAMES), values, max_size=8)

VALID = {
    "market": "btcusdt",
    "side": "buy",
    "volume": "0.1",
    "price": "1000",
    "ids": [1],
    "id": 1,
    "orders": [{"side": "buy", "volume": "0.1", "price": "1000"}],
    "currency": "usdt",
    "rid": "0x7781a6C9B25B529037a85ad637669D848a1F9796",
    "amount": "2",
}  # so that one wrong field is met at a time, too
AWKWARD: tuple[Any, ...] = (
    None, True, 0, -1, 2**70, 0.5, math.inf, math.nan, "", " ", "é", "x" * 5000, "1e400", "NaN",
    [], [None], [[]], [["a"]], [{}], {}, {"a": 1}, [math.inf], ["x"], ["btcusdt"] * 3,
)  # fmt: skip

DESK = Desk(orders_per_minute=10**6, requests_per_minute=10**6)


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(PATHS), st.sampled_from(["GET", "POST"]), parameters, st.booleans())
def test_any_parameters_give_an_envelope(
    path: str, method: str, data: dict[str, Any], is_nearly_valid: bool
) -> None:
    if is_nearly_valid:
        data = VALID | data
    envelope = DESK.private(path, data, method)
    assert set(envelope) == {"code", "message", "data"}
    assert type(envelope["code"]) is int
    DESK.send(method, path, body=json.dumps(data).encode())
    for currency, amount in DESK.options.balances.items():
        assert DESK.sim.exchange.ledger.total(currency) <= amount
        assert DESK.sim.exchange.ledger.balance("main", currency).free >= Decimal(0)


@pytest.mark.parametrize("endpoint", ROUTES.endpoints, ids=lambda e: f"{e.methods} {e.path}")
def test_one_awkward_field_gives_data_or_a_code(endpoint: Endpoint[Any, Any]) -> None:
    desk = Desk(orders_per_minute=10**6)
    for name in NAMES:
        for value in AWKWARD:
            with contextlib.suppress(ApiError):
                msgspec.json.encode(endpoint.handler(desk.sim, VALID | {name: value}))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(PATHS), st.binary(max_size=60), st.text(max_size=30), st.text(max_size=30))
def test_any_bytes_give_an_envelope(path: str, body: bytes, query: str, content: str) -> None:
    for content_type in (content, "multipart/form-data; boundary=x", "application/json"):
        _, envelope = DESK.send(
            "POST", path, query=query, body=body, headers={"content-type": content_type}
        )
        assert type(envelope["code"]) is int


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.text(max_size=40),
        values.map(lambda value: json.dumps({"event": "pusher:subscribe", "data": value})),
        values.map(json.dumps),
    )
)
def test_any_frame_leaves_the_push_connection_working(frame: str) -> None:
    line = Line(DESK)
    line.session.received(frame)
    line.take()
    line.send("pusher:ping")
    assert line.take()[-1]["event"] == "pusher:pong"
    line.session.closed()
