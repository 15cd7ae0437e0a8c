"""Whatever a client sends, the simulated gateway answers as one, and its money stays whole."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.adapters.mudawyl.simulator_routes import ROUTES
from fairlead.adapters.simulation.routes import Endpoint
from tests.venues.mudawyl.simulator_kit import BRACKET, BTC, Desk

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
WORDS = (
    *("", BTC, "BTCUSDT", "ETH/USDT", "SELL", "LIMIT", "MARKET", "TRAILING_STOP", "0", "-1"),
    *("1e400", "NaN", "9" * 40, "\u0663", "60000.01", "0.001", "FUTURES", "ISOLATED", "AR"),
)
NAMES = (*BRACKET, "price", "callbackRate", "leverage", "name", "apiKey", "active", "limit")
fields = st.dictionaries(
    st.sampled_from(NAMES) | st.text(max_size=8), st.sampled_from(WORDS) | json_values, max_size=4
)
DESK = Desk(requests_per_sec=10**6)
TOTAL = DESK.sim.exchange.ledger.total("USDT")
STATUSES = {200, 204, 400, 404, 422, 433}


def ask(endpoint: Endpoint[Any, Any], body: Any, query: dict[str, Any], key: str) -> int:
    path = endpoint.path.replace("{id}", key)
    status, _ = DESK.send(endpoint.methods, path, body, **query)
    assert DESK.sim.exchange.ledger.total("USDT") == TOTAL
    assert all(not row.is_open or not row.ended for row in DESK.sim.rows.values())
    return status


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(ROUTES.endpoints), fields, st.booleans(), st.sampled_from(("key", "\u0663")))
def test_any_fields_give_an_answer(
    endpoint: Endpoint[Any, Any], change: dict[str, Any], is_nearly_valid: bool, key: str
) -> None:
    body = (BRACKET if is_nearly_valid else {}) | change
    query = {
        name: str(value).encode(errors="replace").decode()
        for name, value in body.items()
        if name not in ("method", "path", "body", "headers", "self")
    }
    key = DESK.sim.main.id if key == "key" else key
    assert ask(endpoint, body, query, key) in STATUSES
    DESK.sim.keys[DESK.sim.main.id] = DESK.sim.main  # it may have been deleted


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(ROUTES.endpoints), st.binary(max_size=60))
def test_any_bytes_give_an_answer(endpoint: Endpoint[Any, Any], body: bytes) -> None:
    assert ask(endpoint, body or None, {}, DESK.sim.main.id) in STATUSES
    DESK.sim.keys[DESK.sim.main.id] = DESK.sim.main
