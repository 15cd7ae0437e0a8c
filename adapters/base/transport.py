"""HTTP and WebSocket as small protocols, and aiohttp behind them.

The same two protocols are served in memory by a simulated venue, so that adapter code runs in
seeded tests without sockets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

NO_HEADERS: Mapping[str, str] = {}


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request, complete: `url` holds the query string; `body` is the exact bytes."""

    method: str
    url: str
    headers: Mapping[str, str] = {}
    body: bytes = b""
    timeout_secs: float = 10.0


class HttpResponse(msgspec.Struct, frozen=True, kw_only=True):
    status: int
    body: bytes
    headers: Mapping[str, str] = {}


CONNECTIONS_MAX = 32  # of one transport; what goes out beside them waits for one


class TransportError(Exception):
    """No usable answer. `sent` is False only if the request provably never left this machine.

    `status` is the HTTP status of a WebSocket's handshake that was answered with one (WS-REFUSED).
    """

    def __init__(self, code: str, message: str, *, sent: bool, status: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.sent = sent
        self.status = status


class HttpTransport(Protocol):
    async def request(self, request: HttpRequest) -> HttpResponse:
        """Send once, no retry, no redirect. Raises TransportError."""
        ...

    async def close(self) -> None: ...


class WsConnection(Protocol):
    async def send(self, frame: str) -> None: ...

    async def receive(self) -> bytes | str:
        """The next data frame. Raises TransportError (`WS-CLOSED`...) when there will be none."""
        ...

    async def ping(self) -> None: ...

    async def close(self) -> None: ...


class WsTransport(Protocol):
    async def connect(self, url: str, headers: Mapping[str, str] = NO_HEADERS) -> WsConnection:
        """`headers` are the handshake's own. Raises TransportError."""
        ...


class WireTap(Protocol):
    """Sees every frame, request and answer, before it is decoded. Redacts what it stores."""

    def frame(self, connection: str, direction: str, payload: bytes | str, ts_ns: int) -> None:
        """`direction` is `in`, `out`, or `mark` for an opened/closed line."""
        ...

    def http(
        self,
        request: HttpRequest,
        response: HttpResponse | None,
        error: str,
        ts_sent_ns: int,
        ts_done_ns: int,
    ) -> None: ...
