"""Whatever is sent to the simulated Zerocap, it answers, and its money adds up."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.adapters.zerocap.simulator_routes import ROUTES
from tests.simulation.zerocap_harness import SYMBOL, Desk, Line

PATHS = sorted({(e.methods, e.path) for e in ROUTES.endpoints})
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from([SYMBOL, "buy", "sell", "limit", "100", "2", "trading", "AUD", "", "1e400"]),
)
bodies = st.dictionaries(
    st.sampled_from(
        [
            *("symbol", "side", "type", "amount", "price", "client_order_id", "id", "ids", "page"),
            *("limit", "start_datetime", "end_datetime", "currency", "quote_id", "asset_id"),
            *("from_account", "external_wallet_id", "status", "sort_order"),
        ]
    ),
    values,
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["A", "C"]), st.lists(st.tuples(st.sampled_from(PATHS), bodies), max_size=5))
def test_any_request_is_answered(dialect: Any, calls: list[Any]) -> None:
    desk = Desk(dialect, requests_per_sec=10**6)
    total = desk.sim.exchange.ledger.total("AUD") + sum(desk.sim.custody.values(), Decimal(0))
    for (method, path), body in calls:
        status, _ = desk.send(method, path, body, query="id=x")
        assert status in (200, 404, 422), (method, path, body)
    moved = desk.sim.exchange.ledger.total("AUD") + sum(desk.sim.custody.values(), Decimal(0))
    assert moved <= total  # nothing is made; what was withdrawn is gone


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 9000])
def test_a_body_that_is_no_object_is_422(body: bytes) -> None:
    desk = Desk("A")
    from fairlead.adapters.simulation.venue import SimRequest

    request = SimRequest(
        method="POST", path="/v2/orders/fetch_orders", query="", headers=desk.headers(), body=body
    )
    assert desk.sim.http(request).status == 422


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["A", "C"]), st.lists(st.text(max_size=30) | bodies.map(json.dumps)))
def test_any_frame_is_answered(dialect: Any, frames: list[str]) -> None:
    desk = Desk(dialect)
    line = Line(desk)
    for frame in frames:
        line.session.received(frame)
        desk.wait(100)
    assert not line.is_closed


def test_one_seed_is_one_venue() -> None:
    def run() -> Any:
        desk = Desk("A", is_market_live=True)
        line = Line(desk)
        line.send(type="price", symbol=SYMBOL)
        desk.create("buy", "100")
        desk.wait(5_000)
        return line.frames, desk.fetched()

    assert run() == run()
