"""The doctor opens a venue's streams: loopback servers, and a port that nobody serves."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from fairlead.adapters.base.venue import Adapter
from fairlead.engine.run.health.venues import _streams


class Stream:
    def __init__(self, url: str) -> None:
        self.url = url


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


async def test_an_address_that_is_none_is_told(served: Any) -> None:
    (told,) = await _streams(adapter(Stream("ftp://x")), "toy", [], is_keyed=False)
    assert told.code == "WS-URL"
