"""The aiohttp transports on loopback: what is sent, what is bounded, what a failure proves."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from fairlead.adapters.base.aiohttp_transport import AiohttpTransport, AiohttpWsTransport
from fairlead.adapters.base.transport import HttpRequest, HttpResponse, TransportError

Reply = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


class RawServer:
    """Reads one request head and its body, keeps it, and answers as a test says."""

    def __init__(self, reply: Reply) -> None:
        self.requests: list[bytes] = []
        self._reply = reply
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> RawServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._server.close_clients()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.split(b"\r\n"):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            self.requests.append(head + await reader.readexactly(length))
            await self._reply(self.requests[-1], writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def answering(data: bytes) -> Reply:
    async def reply(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return reply


@pytest.fixture
async def transport() -> AsyncIterator[AiohttpTransport]:
    made = AiohttpTransport(max_response_bytes=10_000)
    yield made
    await made.close()


def post(url: str, body: bytes = b"user_jwt=a.b-c_d", timeout_secs: float = 5.0) -> HttpRequest:
    return HttpRequest(
        method="POST",
        url=url,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body=body,
        timeout_secs=timeout_secs,
    )


async def failure(transport: AiohttpTransport, request: HttpRequest) -> tuple[str, bool]:
    with pytest.raises(TransportError) as caught:
        await transport.request(request)
    return caught.value.code, caught.value.sent


OK = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nX-Thing: y\r\n\r\nhi"


async def test_exact_bytes_are_sent_and_the_answer_comes_back(transport: AiohttpTransport) -> None:
    async with RawServer(answering(OK)) as server:
        answer = await transport.request(post(f"{server.url}/v1/a%2Fb?x=%5B%5D&y=a+b"))
    assert (answer.status, answer.body, answer.headers["x-thing"]) == (201, b"hi", "y")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/a%2Fb?x=%5B%5D&y=a+b HTTP/1.1\r\n")
    assert body == b"user_jwt=a.b-c_d"
    assert b"user-agent" not in head.lower()


async def test_get_carries_its_body(transport: AiohttpTransport) -> None:
    async with RawServer(answering(OK)) as server:
        await transport.request(HttpRequest(method="GET", url=f"{server.url}/orders", body=b"a=1"))
    assert server.requests[0].endswith(b"\r\n\r\na=1")


async def test_redirects_are_answers(transport: AiohttpTransport) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    async with RawServer(answering(moved)) as server:
        assert (await transport.request(post(server.url))).status == 302
    assert len(server.requests) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
async def test_a_broken_request_is_sent_once(transport: AiohttpTransport, method: str) -> None:
    """Also on a kept connection that turns out dead, where aiohttp itself would send again."""

    async def serve_two(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            seen.append(head.split()[1])
            if b"/second" in head:
                writer.transport.abort()
                return
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    seen: list[bytes] = []
    server = await asyncio.start_server(serve_two, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await transport.request(HttpRequest(method=method, url=f"{url}/first"))
    assert await failure(transport, HttpRequest(method=method, url=f"{url}/second")) == (
        "HTTP-RESET",
        True,
    )
    assert seen == [b"/first", b"/second"]
    server.close()
    server.close_clients()


async def test_unreachable_is_not_sent(transport: AiohttpTransport) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    assert await failure(transport, post(url)) == ("HTTP-CONNECT", False)


async def test_no_such_host_is_not_sent(transport: AiohttpTransport) -> None:
    assert await failure(transport, post("http://nowhere.invalid/", timeout_secs=10)) == (
        "HTTP-DNS",
        False,
    )


async def test_tls_failure_is_not_sent(transport: AiohttpTransport) -> None:
    async def plain(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    assert await failure(transport, post(url)) == ("HTTP-TLS", False)
    server.close()


async def test_invalid_url_is_not_sent(transport: AiohttpTransport) -> None:
    assert await failure(transport, post("http://")) == ("HTTP-URL", False)


async def test_silence_is_a_timeout_after_sending(transport: AiohttpTransport) -> None:
    hold = asyncio.Event()

    async def silent(_request: bytes, _writer: asyncio.StreamWriter) -> None:
        await hold.wait()

    async with RawServer(silent) as server:
        assert await failure(transport, post(server.url, timeout_secs=0.2)) == (
            "HTTP-TIMEOUT",
            True,
        )
        hold.set()


async def test_reset_after_the_request_was_sent(transport: AiohttpTransport) -> None:
    async def reset(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with RawServer(reset) as server:
        assert await failure(transport, post(server.url)) == ("HTTP-RESET", True)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "HTTP-RESET"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nha", "HTTP-RESET"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + b"x" * 20000, "HTTP-TOO-LARGE"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000, "HTTP-TOO-LARGE"),
        (b"not http at all\r\n\r\n", "HTTP-PROTOCOL"),
        (b"", "HTTP-RESET"),
    ],
)
async def test_broken_answers(transport: AiohttpTransport, data: bytes, code: str) -> None:
    async with RawServer(answering(data)) as server:
        assert await failure(transport, post(server.url)) == (code, True)


async def test_html_is_an_answer_for_the_venue_to_judge(transport: AiohttpTransport) -> None:
    page = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 13\r\n\r\n<html></html>"
    async with RawServer(answering(page)) as server:
        assert (await transport.request(post(server.url))).status == 502


async def test_proxies_of_the_environment_are_not_used(
    transport: AiohttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with RawServer(answering(OK)) as server:
        assert (await transport.request(post(server.url))).status == 201


class Tap:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def frame(self, connection: str, direction: str, payload: bytes | str, ts_ns: int) -> None:
        self.seen.append((direction, str(payload).split()[0]))

    def http(
        self,
        request: HttpRequest,
        response: HttpResponse | None,
        error: str,
        ts_sent_ns: int,
        ts_done_ns: int,
    ) -> None:
        self.seen.append(("http", error.split(":")[0] if response is None else "answer"))


async def test_the_tap_sees_answers_and_failures() -> None:
    tap = Tap()
    transport = AiohttpTransport(tap)
    async with RawServer(answering(OK)) as server:
        await transport.request(post(server.url))
    await failure(transport, post("http://127.0.0.1:1/"))
    await transport.close()
    assert tap.seen == [("http", "answer"), ("http", "HTTP-CONNECT")]


# -- WebSocket -------------------------------------------------------------------------------------


@pytest.fixture
async def ws_url() -> AsyncIterator[str]:
    """Echoes text; `big` sends 5,000 characters, `close` closes, `abort` drops the connection."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path == "/refused":
            return web.Response(status=403, text="no")
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            if message.data == "big":
                await ws.send_str("x" * 5_000)
            elif message.data == "bytes":
                await ws.send_bytes(b"\x00\x01")
            elif message.data == "close":
                await ws.close(code=4001, message=b"why")
            elif message.data == "abort":
                assert request.transport is not None
                request.transport.close()
            elif message.type is aiohttp.WSMsgType.TEXT:
                await ws.send_str(f"echo {message.data}")
        return ws

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"ws://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_frames_go_both_ways_and_the_tap_sees_them(ws_url: str) -> None:
    tap = Tap()
    transport = AiohttpWsTransport(tap)
    connection = await transport.connect(f"{ws_url}/app")
    await connection.send("a")
    assert await connection.receive() == "echo a"
    await connection.ping()
    await connection.send("bytes")
    assert await connection.receive() == b"\x00\x01"
    await connection.close()
    await transport.close()
    assert tap.seen == [
        ("mark", "opened"),
        ("out", "a"),
        ("in", "echo"),
        ("out", "bytes"),
        ("in", "b'\\x00\\x01'"),
        ("mark", "closed"),
    ]


@pytest.mark.parametrize(
    ("command", "code"), [("close", "WS-CLOSED"), ("abort", "WS-CLOSED"), ("big", "WS-TOO-LARGE")]
)
async def test_ends_of_a_connection(ws_url: str, command: str, code: str) -> None:
    transport = AiohttpWsTransport(max_frame_bytes=1_000)
    connection = await transport.connect(ws_url)
    await connection.send(command)
    with pytest.raises(TransportError) as caught:
        await connection.receive()
    with pytest.raises(TransportError):  # every further receive fails too
        await connection.receive()
    with pytest.raises(TransportError):
        await connection.send("x")
    await transport.close()
    assert caught.value.code == code
    if command == "close":
        assert "4001" in caught.value.message


async def test_connect_failures(ws_url: str) -> None:
    transport = AiohttpWsTransport(connect_timeout_secs=5.0)
    found = []
    for url in (f"{ws_url}/refused", "ws://127.0.0.1:1/", "ws://nowhere.invalid/", "ws://"):
        with pytest.raises(TransportError) as caught:
            await transport.connect(url)
        found.append((caught.value.code, caught.value.sent))
    await transport.close()
    assert found == [
        ("WS-REFUSED", True),
        ("WS-CONNECT", False),
        ("WS-DNS", False),
        ("WS-URL", False),
    ]
