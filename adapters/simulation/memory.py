"""A simulated venue as transports: adapter code runs against it in one event loop, no sockets.

Only the loop's clock is used, so a virtual-time loop runs whole sessions in milliseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from fairlead.adapters.base.transport import NO_HEADERS, HttpRequest, HttpResponse, TransportError
from fairlead.adapters.simulation.control import CONTROL_PREFIX, control
from fairlead.adapters.simulation.server import TICK_SECS, Outbox, answer, lowered
from fairlead.adapters.simulation.venue import (
    Opened,
    SimRequest,
    SimResponse,
    SimSession,
    SimulatedVenue,
)
from fairlead.engine.orders import permit


async def tick(
    venue: SimulatedVenue, now_ns: Callable[[], int], every_secs: float = TICK_SECS
) -> None:
    """Advance the venue for ever; run as a task beside the adapter."""
    while True:
        venue.advance(now_ns())
        await asyncio.sleep(every_secs)


class InMemoryHttp:
    """An `HttpTransport` to a simulated venue. `latency_secs` is spent each way."""

    def __init__(
        self, venue: SimulatedVenue, now_ns: Callable[[], int], latency_secs: float = 0.0
    ) -> None:
        self._venue = venue
        self._now_ns = now_ns
        self._latency_secs = latency_secs

    async def request(self, request: HttpRequest) -> HttpResponse:
        """Raises TransportError `HTTP-TIMEOUT` or `HTTP-RESET`, with `sent` True."""
        try:
            async with asyncio.timeout(request.timeout_secs):
                response = await self._round_trip(request)
        except TimeoutError:
            message = f"no answer within {request.timeout_secs} s"
            raise TransportError("HTTP-TIMEOUT", message, sent=True) from None
        if response is None:
            raise TransportError("HTTP-RESET", "connection broken before an answer", sent=True)
        return HttpResponse(
            status=response.status, body=response.body, headers=dict(response.headers)
        )

    async def close(self) -> None: ...

    async def _round_trip(self, request: HttpRequest) -> SimResponse | None:
        parts = urlsplit(request.url)
        sim_request = SimRequest(
            method=request.method,
            path=parts.path,
            query=parts.query,
            headers=lowered(request.headers),
            body=request.body,
        )
        if sim_request.path.startswith(CONTROL_PREFIX):
            return control(self._venue, sim_request)
        if (why := permit.refusal()) is not None:
            raise TransportError("HTTP-STOPPED", f"not sent: {why}", sent=False)
        if self._latency_secs:
            await asyncio.sleep(self._latency_secs)
        response = await answer(self._venue, sim_request, self._now_ns)
        if self._latency_secs:
            await asyncio.sleep(self._latency_secs)
        return response


class InMemoryWs:
    """A `WsTransport` to a simulated venue."""

    def __init__(
        self, venue: SimulatedVenue, now_ns: Callable[[], int], latency_secs: float = 0.0
    ) -> None:
        self._venue = venue
        self._now_ns = now_ns
        self._latency_secs = latency_secs

    async def connect(
        self, url: str, headers: Mapping[str, str] = NO_HEADERS
    ) -> InMemoryConnection:
        if self._latency_secs:
            await asyncio.sleep(self._latency_secs)
        parts = urlsplit(url)
        self._venue.advance(self._now_ns())
        outbox = Outbox(self._venue.faults, parts.path)
        session = self._venue.open_session(
            Opened(parts.path, parts.query, outbox.send, outbox.close, lowered(headers))
        )
        return InMemoryConnection(self._venue, self._now_ns, outbox, session)


class InMemoryConnection:
    """The client's end of one WebSocket."""

    def __init__(
        self,
        venue: SimulatedVenue,
        now_ns: Callable[[], int],
        outbox: Outbox,
        session: SimSession,
    ) -> None:
        self._venue = venue
        self._now_ns = now_ns
        self._outbox = outbox
        self._session = session
        self._closed = False

    async def send(self, frame: str) -> None:
        if self._closed:
            raise TransportError("WS-CLOSED", "the connection is closed", sent=False)
        self._venue.advance(self._now_ns())
        self._session.received(frame)

    async def receive(self) -> str:
        if self._closed:
            raise TransportError("WS-CLOSED", "the connection is closed", sent=True)
        frame = await self._outbox.get()
        if frame is None:
            await self.close()
            raise TransportError("WS-CLOSED", "the venue closed the connection", sent=True)
        return frame

    async def ping(self) -> None:
        if self._closed:
            raise TransportError("WS-CLOSED", "the connection is closed", sent=False)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._session.closed()
            self._outbox.close()
