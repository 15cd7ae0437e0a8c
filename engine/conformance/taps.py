"""What passes between an adapter and its venue, told to a tap, as a recording is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fairlead.adapters.base.transport import (
    NO_HEADERS,
    HttpRequest,
    HttpResponse,
    HttpTransport,
    TransportError,
    WireTap,
    WsConnection,
    WsTransport,
)


class TappedHttp:
    """An `HttpTransport` with a tap on it."""

    def __init__(self, http: HttpTransport, tap: WireTap, now_ns: Callable[[], int]) -> None:
        self._http = http
        self._tap = tap
        self._now_ns = now_ns

    async def request(self, request: HttpRequest) -> HttpResponse:
        sent_ns = self._now_ns()
        try:
            response = await self._http.request(request)
        except TransportError as error:
            self._tap.http(request, None, str(error), sent_ns, self._now_ns())
            raise
        self._tap.http(request, response, "", sent_ns, self._now_ns())
        return response

    async def close(self) -> None:
        await self._http.close()


class TappedWs:
    """A `WsTransport` with a tap on it."""

    def __init__(self, ws: WsTransport, tap: WireTap) -> None:
        self._ws = ws
        self._tap = tap

    async def connect(self, url: str, headers: Mapping[str, str] = NO_HEADERS) -> WsConnection:
        self._tap.frame("card", "mark", f"opened {url}", 0)
        return TappedConnection(await self._ws.connect(url, headers), self._tap)


class TappedConnection:
    """One connection with a tap on it."""

    def __init__(self, connection: WsConnection, tap: WireTap) -> None:
        self._connection = connection
        self._tap = tap

    async def send(self, frame: str) -> None:
        self._tap.frame("card", "out", frame, 0)
        await self._connection.send(frame)

    async def receive(self) -> bytes | str:
        frame = await self._connection.receive()
        self._tap.frame("card", "in", frame, 0)
        return frame

    async def ping(self) -> None:
        await self._connection.ping()

    async def close(self) -> None:
        await self._connection.close()


class Kept:
    """A tap that keeps what came from the venue: answers by path, and frames."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.frames: list[bytes] = []

    def frame(self, connection: str, direction: str, payload: bytes | str, ts_ns: int) -> None:
        if direction == "in":
            data = payload.encode() if isinstance(payload, str) else payload
            self.frames.append(data)

    def http(
        self,
        request: HttpRequest,
        response: HttpResponse | None,
        error: str,
        ts_sent_ns: int,
        ts_done_ns: int,
    ) -> None:
        if response is not None:
            self.answers.append(response.body)
