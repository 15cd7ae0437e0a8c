"""A simulated venue on loopback HTTP/WebSocket: `serve`."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping

import msgspec
from aiohttp import WSMsgType, web

from fairlead.adapters.simulation.control import CONTROL_PREFIX, control
from fairlead.adapters.simulation.faults import HANG_SECS_MAX, Faults, HttpFault, WsFault
from fairlead.adapters.simulation.venue import Opened, SimRequest, SimResponse, SimulatedVenue

HTML_PAGE = b"<html><head><title>503</title></head><body><h1>Service unavailable</h1></body></html>"
TICK_SECS = 0.005  # how often a served venue is advanced
FRAMES_QUEUED_MAX = 10_000  # a client that reads slower is disconnected
FRAME_BYTES_MAX = 4 * 1024 * 1024
BODY_BYTES_MAX = 1024 * 1024
CLOSE_SECS_MAX = 2.0


class Served:
    """A venue on loopback. `stop` ends every connection and the clock task."""

    def __init__(self, venue: SimulatedVenue, now_ns: Callable[[], int]) -> None:
        self.venue = venue
        self.http_base = ""
        self.ws_base = ""
        self.port = 0
        self._now_ns = now_ns
        self._runner: web.AppRunner | None = None
        self._clock: asyncio.Task[None] | None = None
        self._sockets: set[web.WebSocketResponse] = set()

    def describe(self) -> Mapping[str, object]:
        return self.venue.describe(self.http_base, self.ws_base)

    async def start(self, host: str, port: int) -> None:
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_SECS_MAX)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.http_base = f"http://{host}:{self.port}"
        self.ws_base = f"ws://{host}:{self.port}"
        self.venue.advance(self._now_ns())
        self._clock = asyncio.create_task(self._tick())

    async def run_until(self, stop: asyncio.Event) -> None:
        """Wait for `stop`. Raises what the venue raised, if its clock failed."""
        assert self._clock is not None
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({stopping, self._clock}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self._clock.done():
            await self._clock

    async def stop(self) -> None:
        """Raises what the venue raised, if its clock failed."""
        for socket in list(self._sockets):
            await socket.close()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._clock is not None:
            self._clock.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._clock

    async def _tick(self) -> None:
        while True:
            self.venue.advance(self._now_ns())
            await asyncio.sleep(TICK_SECS)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("upgrade", "").lower() == "websocket":
            return await self._websocket(request)
        sim_request = SimRequest(
            method=request.method,
            path=request.rel_url.path,
            query=request.rel_url.raw_query_string,
            headers=lowered(request.headers),
            body=await request.read(),
            remote=request.remote or "127.0.0.1",
        )
        if sim_request.path.startswith(CONTROL_PREFIX):
            return _web_response(control(self.venue, sim_request))
        response = await answer(self.venue, sim_request, self._now_ns)
        if response is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)  # nobody is there to read it
        return _web_response(response)

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=FRAME_BYTES_MAX, timeout=CLOSE_SECS_MAX)
        await socket.prepare(request)
        self._sockets.add(socket)
        path = request.rel_url.path
        outbox = Outbox(self.venue.faults, path)
        session = self.venue.open_session(
            Opened(
                path,
                request.rel_url.raw_query_string,
                outbox.send,
                outbox.close,
                lowered(request.headers),
            )
        )
        writer = asyncio.create_task(self._write(socket, outbox, request))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self.venue.advance(self._now_ns())
                    session.received(message.data)
        finally:
            session.closed()
            outbox.close()
            await writer
            self._sockets.discard(socket)
        return socket

    async def _write(
        self, socket: web.WebSocketResponse, outbox: Outbox, request: web.Request
    ) -> None:
        while True:
            frame = await outbox.get()
            if frame is None:
                break
            try:
                await socket.send_str(frame)
            except ConnectionError:
                return  # the reader sees the end of the connection too
        if outbox.broken and request.transport is not None:
            request.transport.abort()
        elif not socket.closed:
            await socket.close()


class Outbox:
    """Frames on their way to one client, with faults applied. Bounded."""

    def __init__(self, faults: Faults, path: str) -> None:
        self.broken = False  # a fault broke the connection: no closing handshake
        self._faults = faults
        self._path = path
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._muted = False
        self._closed = False

    def send(self, frame: str) -> None:
        if self._muted or self._closed:
            return
        fault = self._faults.for_frame(self._path)
        kind = fault.kind if fault else None
        if kind is WsFault.LOSE:
            return
        if kind is WsFault.MUTE:
            self._muted = True
            return
        if kind is WsFault.DROP or self._queue.qsize() >= FRAMES_QUEUED_MAX:
            self.broken = True
            self.close()
            return
        self._queue.put_nowait(frame[: len(frame) // 2] if kind is WsFault.MALFORMED else frame)
        if kind is WsFault.DUPLICATE:
            self._queue.put_nowait(frame)

    def close(self) -> None:
        """The connection ends after the frames already queued."""
        if not self._closed:
            self._closed = True
            self._queue.put_nowait(None)

    async def get(self) -> str | None:
        """The next frame, None for the end."""
        return await self._queue.get()


async def answer(
    venue: SimulatedVenue, request: SimRequest, now_ns: Callable[[], int]
) -> SimResponse | None:
    """Let the venue answer, through its faults. None: the connection breaks, nothing is told.

    HANG faults sleep for HANG_SECS_MAX; a caller with a shorter patience cancels the wait.
    """

    def execute() -> SimResponse:
        venue.advance(now_ns())
        return venue.http(request)

    fault = venue.faults.for_request(request.method, request.path)
    kind = fault.kind if fault else None
    if fault is None or kind is HttpFault.DELAY:
        response = execute()
        if fault is not None:
            await asyncio.sleep(fault.secs)
        return response
    if kind is HttpFault.TOO_MANY:
        return SimResponse(status=429, body=b"Too Many Requests", headers={"retry-after": "1"})
    if kind is HttpFault.UNAVAILABLE:
        return SimResponse(status=503, body=HTML_PAGE, headers={"content-type": "text/html"})
    if kind is HttpFault.LATE:
        asyncio.get_running_loop().call_later(fault.secs, execute)
        return None
    if kind is HttpFault.LOSE_REQUEST:
        return None
    if kind is HttpFault.HANG_REQUEST:
        await asyncio.sleep(HANG_SECS_MAX)
        return None
    response = execute()
    if kind is HttpFault.BAD_GATEWAY:
        return SimResponse(status=502, body=HTML_PAGE, headers={"content-type": "text/html"})
    if kind is HttpFault.TRUNCATED:
        return msgspec.structs.replace(response, body=response.body[: len(response.body) // 2])
    if kind is HttpFault.HANG_ANSWER:
        await asyncio.sleep(HANG_SECS_MAX)
    return None


def lowered(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers as a venue gets them."""
    return {name.lower(): value for name, value in headers.items()}


def _web_response(response: SimResponse) -> web.Response:
    return web.Response(status=response.status, body=response.body, headers=response.headers)


async def serve(
    venue: SimulatedVenue,
    host: str = "127.0.0.1",
    port: int = 0,
    now_ns: Callable[[], int] = time.time_ns,
) -> Served:
    """Serve `venue` until `Served.stop`. Port 0 takes a free one. Raises OSError if taken."""
    served = Served(venue, now_ns)
    await served.start(host, port)
    return served
