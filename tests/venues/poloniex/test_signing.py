"""Signatures against vectors that real clients of the venue agree with, and the clock."""

from __future__ import annotations

import json

import pytest

from fairlead.adapters.base.venue import VenueError, VenueErrorKind
from fairlead.adapters.poloniex.signing import sign, string_to_sign, ws_signature
from fairlead.adapters.poloniex.venue import PoloniexAdapter
from tests.venues.poloniex.conftest import Clock
from tests.venues.poloniex.support import DATA, ScriptedRest, http_error

VECTORS = json.loads((DATA / "auth_vectors.json").read_text())
STAMP = 1_700_000_000_000
INPUTS = {
    "GET no params": ("GET", "/orders", {}, b""),
    "GET params": ("GET", "/orders", {"symbol": "BTC_USDT", "limit": "5"}, b""),
    "GET comma param": ("GET", "/trades", {"symbols": "BTC_USDT,ETH_USDT"}, b""),
    "POST body": (
        "POST",
        "/orders",
        {},
        b'{"symbol":"BTC_USDT","side":"BUY","type":"LIMIT","price":"20000","quantity":"0.001"}',
    ),
    "DELETE no body": ("DELETE", "/orders/123", {}, b""),
    "DELETE body": ("DELETE", "/orders", {}, b'{"symbols":["BTC_USDT"]}'),
}


@pytest.mark.parametrize("vector", VECTORS["poloniex"], ids=lambda v: v["case"])
def test_vector(vector: dict[str, str]) -> None:
    secret = VECTORS["api_secret"]
    if vector["case"] == "WS auth":
        assert ws_signature(secret, STAMP) == vector["signature"]
        return
    method, path, params, body = INPUTS[vector["case"]]
    text = string_to_sign(method, path, STAMP, params, body)
    assert text == vector["string_to_sign"]
    assert sign(secret, text) == vector["signature"]


def test_every_vector_is_used() -> None:
    assert {v["case"] for v in VECTORS["poloniex"]} == {*INPUTS, "WS auth"}


async def test_offset_is_applied_to_signatures(
    adapter: PoloniexAdapter, rest: ScriptedRest
) -> None:
    rest.clock_ahead_ns = 7_000_000_000  # the venue refuses more than 1 s
    rest.on("GET", "/accounts", [])
    assert await adapter.http.accounts() == []
    offset = adapter.http.clock.offset
    assert offset is not None
    assert abs(offset.likely_ns - 7_000_000_000) <= 1_000_000


async def test_tolerance_exceeded_is_a_clock_error_and_measured_again(
    adapter: PoloniexAdapter, rest: ScriptedRest
) -> None:
    rest.on("GET", "/accounts", [])
    await adapter.http.accounts()
    rest.clock_ahead_ns = 3_000_000_000  # the venue's clock steps
    with pytest.raises(VenueError) as caught:
        await adapter.http.accounts()
    assert (caught.value.kind, caught.value.code) == (VenueErrorKind.CLOCK, "POLONIEX-400")
    assert await adapter.http.accounts() == []
    assert len(rest.sent("GET", "/timestamp")) == 2


async def test_a_slow_round_trip_proves_no_clock(
    adapter: PoloniexAdapter, rest: ScriptedRest, clock: Clock
) -> None:
    def slow(_: object) -> dict[str, int]:
        clock.ns += 3_000_000_000
        return {"serverTime": rest.server_ms()}

    rest.on("GET", "/timestamp", slow)
    with pytest.raises(VenueError) as caught:
        await adapter.measure_clock()
    assert (caught.value.kind, caught.value.code) == (VenueErrorKind.CLOCK, "POLONIEX-CLOCK")
    assert len(rest.sent("GET", "/timestamp")) == 5
    assert adapter.http.clock.offset is None


async def test_revoked_key(adapter: PoloniexAdapter, rest: ScriptedRest) -> None:
    rest.on("GET", "/accounts", http_error(401, 401, "invalid key"))
    with pytest.raises(VenueError) as caught:
        await adapter.http.accounts()
    assert caught.value.kind is VenueErrorKind.AUTH
    assert "test-secret" not in str(caught.value)
    assert "test-key" not in str(caught.value)
