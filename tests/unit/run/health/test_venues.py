"""The doctor asks a venue, and opens its streams: loopback servers, and a port nobody serves."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiohttp import web

from fairlead.adapters import registry
from fairlead.adapters.base.venue import Adapter
from fairlead.adapters.simulation.server import serve
from fairlead.adapters.simulation.venue import SimulatedVenue
from fairlead.engine.run.health.venues import _ask, _streams
from fairlead.engine.secrets import Secret
from tests.support.configs import VENUE_KEYS


class Stream:
    def __init__(self, url: str) -> None:
        self.url = url


class Other(Stream):
    def handshake(self) -> Mapping[str, str]:
        return {"X-Key": "another"}


class Signed(Stream):
    def handshake(self) -> Mapping[str, str]:
        return {"X-Key": "mine"}


def adapter(public: Stream, private: Stream | None = None) -> Adapter:
    data = SimpleNamespace(public_stream=lambda: public)
    made: Any = SimpleNamespace(market_data=data, private_stream=lambda: private)
    return made  # type: ignore[no-any-return]


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
async def served() -> Any:
    """A WebSocket that takes one key, by its address; and the headers that came."""
    came: list[str | None] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        came.append(request.headers.get("X-Key"))
        if came[-1] == "another":
            return web.Response(status=401)
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.receive()
        return ws

    app = web.Application()
    app.router.add_get("/ws", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"ws://127.0.0.1:{port}/ws", came
    await runner.cleanup()


async def test_streams_that_open_are_seen(served: Any) -> None:
    url, came = served
    seen: list[str] = []
    assert await _streams(adapter(Stream(url), Signed(url)), "toy", seen, is_keyed=True) == []
    assert seen == ["public stream open", "private stream open"]
    assert came == [None, "mine"]


async def test_without_keys_and_without_a_stream_none_is_asked(served: Any) -> None:
    url, came = served
    seen: list[str] = []
    assert await _streams(adapter(Stream(""), Signed(url)), "toy", seen, is_keyed=False) == []
    assert (seen, came) == ([], [])


async def test_one_that_nobody_serves_is_told_with_where_it_stands(served: Any) -> None:
    url, _ = served
    away = f"ws://127.0.0.1:{closed_port()}"
    seen: list[str] = []
    (told,) = await _streams(adapter(Stream(away), Stream(url)), "toy", seen, is_keyed=True)
    assert told.code == "WS-CONNECT"
    assert told.text.startswith("toy does not answer as it should: its public stream: ")
    assert "ssl:" not in told.text
    assert "[venues.toy.options]" in told.remedy
    assert seen == ["private stream open"]


async def test_a_stream_that_refuses_the_key_of_its_handshake_tells_a_refused_key(
    served: Any,
) -> None:
    url, _ = served
    told = await _streams(adapter(Other(url), Other(url)), "toy", [], is_keyed=True)
    assert [one.code for one in told] == ["WS-REFUSED"] * 2
    for one, name in zip(told, ("public", "private"), strict=True):
        assert one.text == f"toy refuses the key: its {name} stream: HTTP status 401: " + (
            "Invalid response status"
        )
        assert one.remedy.startswith("make a new key at the venue")


async def test_a_stream_that_wants_no_key_is_away_where_it_refuses(served: Any) -> None:
    url, _ = served
    gone = url.removesuffix("/ws") + "/none"
    (told,) = await _streams(adapter(Stream(gone)), "toy", [], is_keyed=False)
    assert (told.code, "does not answer" in told.text) == ("WS-REFUSED", True)


@pytest.mark.parametrize("name", [one for one in registry.names() if one in registry.simulated()])
async def test_a_refused_key_is_told_as_one_at_every_venue(name: str) -> None:
    """With the key of another account, which the venue does not know."""
    running, spec = await serve(simulated(name, 1)), registry.spec(name)
    line: Any = running.describe()
    told = {one: line[field] for one, field in VENUE_KEYS.get(name, {"http_url": "rest"}).items()}
    options = msgspec.convert({**told, **line.get("options", {})}, spec.options)
    keys: Any = simulated(name, 2).describe("http://h", "ws://h")["credentials"]
    if keys == line["credentials"]:  # a venue whose key is none of its seed
        keys = {one: text[:-1] + "x" for one, text in keys.items()}
    market = f"BTC_USDT.{name.upper()}"
    venue = SimpleNamespace(adapter=name, account_type="cash", instruments=[market])
    config = SimpleNamespace(
        venues={name: venue}, risk=SimpleNamespace(max_clock_offset_ms=1_000_000)
    )
    loaded: Any = SimpleNamespace(config=config, options={name: options})
    try:
        secrets = {one: Secret(text, "test") for one, text in keys.items()}
        _, (trouble,) = await _ask(loaded, name, secrets, is_keyed=True)
    finally:
        await running.stop()
    assert trouble.text.startswith(f"{name} refuses the key: "), trouble.text


def simulated(name: str, seed: int) -> SimulatedVenue:
    return registry.simulator(name)(now_ns=time.time_ns(), seed=seed)


async def test_an_address_that_is_none_is_told(served: Any) -> None:
    (told,) = await _streams(adapter(Stream("ftp://x")), "toy", [], is_keyed=False)
    assert told.code == "WS-URL"
