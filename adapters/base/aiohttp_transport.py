"""HTTP and WebSocket over aiohttp: one session, exact bytes, bounded answers, no retry, no proxy.

Proxies named in the environment are never used. A request counts as sent from the moment it has a
connection: what fails before that provably never left this machine.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, Literal
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from fairlead.adapters.base.transport import (
    CONNECTIONS_MAX,
    NO_HEADERS,
    HttpRequest,
    HttpResponse,
    TransportError,
    WireTap,
)
from fairlead.engine.orders import permit

MAX_RESPONSE_BYTES = 16 * 1024 * 1024
MAX_FRAME_BYTES = 16 * 1024 * 1024
MAX_ERROR_CHARS = 300
CONNECT_TIMEOUT_SECS = 10.0
CLOSE_TIMEOUT_SECS = 2.0
_CHUNK_BYTES = 64 * 1024
_CLOSE_TOO_BIG = 1009
# Nothing may be added to what the venue's client wrote; identity keeps answers as they were sent.
_SKIPPED_HEADERS = ("User-Agent", "Content-Type", "Accept-Encoding", "Accept")


class _Progress(SimpleNamespace):
    """How far one request came; `sent` turns True when it is given a connection."""

    sent: bool = False


def _trace() -> aiohttp.TraceConfig:
    async def mark(_session: object, context: SimpleNamespace, _params: object) -> None:
        progress = context.trace_request_ctx
        if isinstance(progress, _Progress):
            if not progress.sent and (why := permit.refusal()) is not None:
                raise TransportError("HTTP-STOPPED", f"not sent: {why}", sent=False)
            progress.sent = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(mark)
    trace.on_connection_reuseconn.append(mark)
    trace.on_request_headers_sent.append(mark)
    return trace


def _new_session() -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX, ttl_dns_cache=60),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        trace_configs=[_trace()],
    )
    # aiohttp resends GET, PUT and DELETE when a kept connection turns out dead; a PUT or DELETE
    # may be an order, and whether to send again is never the transport's decision.
    session._retry_connection = False
    return session


def _text_of(error: BaseException) -> str:
    """Without aiohttp's word for what it would have done with TLS, which it says of ws:// too."""
    text = str(error).replace(" ssl:default", "")
    return (text or type(error).__name__)[:MAX_ERROR_CHARS]


def _url_of(text: str, kind: Literal["http", "ws"]) -> URL:
    """Raises TransportError (`HTTP-URL`, `WS-URL`): aiohttp takes any scheme for one it knows."""
    why = "the URL is not valid"
    try:
        url = URL(text, encoded=True)
        if url.scheme not in (kind, f"{kind}s"):
            why = f"the URL begins with neither {kind}s:// nor {kind}://"
        elif url.host and url.port:
            return url
    except ValueError:  # no port can be so large
        pass
    raise TransportError(f"{kind.upper()}-URL", why, sent=False)


def _connect_code(error: BaseException) -> str | None:
    """The code of an error while connecting, or None for any other error."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "DNS"
    if isinstance(error, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError):
        return "TLS"
    if isinstance(error, ssl.SSLError):
        return "TLS"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "CONNECT"
    return None


class AiohttpTransport:
    """`HttpTransport` over one aiohttp session, made on first use in the running loop.

    Codes of the TransportErrors: HTTP-CONNECT, HTTP-DNS, HTTP-TLS, HTTP-TIMEOUT, HTTP-RESET,
    HTTP-TOO-LARGE, HTTP-PROTOCOL (not HTTP, or malformed), HTTP-URL, HTTP-STOPPED (by the kill
    switch, which is asked when the connection is there and nothing is written yet).
    """

    def __init__(
        self,
        tap: WireTap | None = None,
        now_ns: Callable[[], int] = time.time_ns,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
    ) -> None:
        self._tap = tap
        self._now_ns = now_ns
        self._max_response_bytes = max_response_bytes
        self._session: aiohttp.ClientSession | None = None

    async def request(self, request: HttpRequest) -> HttpResponse:
        """Send once, no retry, no redirect. Raises TransportError."""
        ts_sent_ns = self._now_ns()
        try:
            response = await self._send(request)
        except TransportError as e:
            if self._tap is not None:
                self._tap.http(request, None, str(e), ts_sent_ns, self._now_ns())
            raise
        if self._tap is not None:
            self._tap.http(request, response, "", ts_sent_ns, self._now_ns())
        return response

    async def _send(self, request: HttpRequest) -> HttpResponse:
        if self._session is None:
            self._session = _new_session()
        progress = _Progress(sent=False)
        try:
            async with self._session.request(
                request.method,
                _url_of(request.url, "http"),
                data=request.body or None,
                headers=dict(request.headers) | {"Accept-Encoding": "identity"},
                skip_auto_headers=_SKIPPED_HEADERS,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=request.timeout_secs),
                trace_request_ctx=progress,
            ) as answer:
                body = await self._read(answer)
                headers = {name.lower(): value for name, value in answer.headers.items()}
                return HttpResponse(status=answer.status, body=body, headers=headers)
        except TransportError:
            raise
        except TimeoutError as e:
            raise TransportError(
                "HTTP-TIMEOUT",
                f"no answer within {request.timeout_secs:g} s",
                sent=progress.sent,
            ) from e
        except (aiohttp.ClientError, OSError, ValueError) as e:
            raise _http_error(e, progress.sent) from e

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        """Read the whole body, or raise HTTP-TOO-LARGE and drop the connection."""
        limit = self._max_response_bytes
        chunks: list[bytes] = []
        size = answer.content_length or 0
        if size <= limit:
            size = 0
            async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
                size += len(chunk)
                if size > limit:
                    break
                chunks.append(chunk)
        if size > limit:
            answer.close()
            raise TransportError(
                "HTTP-TOO-LARGE", f"answer is larger than {limit} bytes (limit)", sent=True
            )
        return b"".join(chunks)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def _http_error(error: BaseException, sent: bool) -> TransportError:
    text = _text_of(error)
    if isinstance(error, aiohttp.InvalidURL):
        return TransportError("HTTP-URL", "the URL is not valid", sent=False)
    code = _connect_code(error)
    if code is not None:
        return TransportError(f"HTTP-{code}", text, sent=sent)
    if isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError | OSError):
        return TransportError("HTTP-RESET", text, sent=sent)
    return TransportError("HTTP-PROTOCOL", text, sent=sent)


class AiohttpWsConnection:
    """`WsConnection` over an open aiohttp WebSocket."""

    def __init__(
        self,
        ws: aiohttp.ClientWebSocketResponse,
        name: str,
        tap: WireTap | None,
        now_ns: Callable[[], int],
    ) -> None:
        self._ws = ws
        self._name = name
        self._tap = tap
        self._now_ns = now_ns
        self._is_marked_closed = False
        self._tell("mark", "opened")

    def _tell(self, direction: str, payload: bytes | str) -> None:
        if self._tap is not None:
            self._tap.frame(self._name, direction, payload, self._now_ns())

    async def send(self, frame: str) -> None:
        """Send one text frame. Raises TransportError (`WS-CLOSED`)."""
        try:
            await self._ws.send_str(frame)
        except (aiohttp.ClientError, ConnectionError, RuntimeError) as e:
            raise TransportError("WS-CLOSED", _text_of(e), sent=True) from e
        self._tell("out", frame)

    async def receive(self) -> bytes | str:
        """The next text (str) or binary (bytes) frame; pings are answered on the way.

        Raises TransportError: WS-CLOSED with the close code and reason, WS-TOO-LARGE, WS-PROTOCOL.
        """
        message = await self._ws.receive()
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            payload: bytes | str = message.data
            self._tell("in", payload)
            return payload
        error = self._failure(message)
        if not self._is_marked_closed:
            self._is_marked_closed = True
            self._tell("mark", f"closed {error}")
        raise error

    def _failure(self, message: aiohttp.WSMessage) -> TransportError:
        fault: Any = message.data if message.type is aiohttp.WSMsgType.ERROR else None
        if isinstance(fault, aiohttp.WebSocketError):
            code = "WS-TOO-LARGE" if fault.code == _CLOSE_TOO_BIG else "WS-PROTOCOL"
            return TransportError(code, _text_of(fault), sent=True)
        if isinstance(fault, BaseException):
            return TransportError("WS-CLOSED", _text_of(fault), sent=True)
        reason = message.extra if isinstance(message.extra, str) else ""
        return TransportError(
            "WS-CLOSED",
            f"close code {self._ws.close_code} {reason[:MAX_ERROR_CHARS]}".strip(),
            sent=True,
        )

    async def ping(self) -> None:
        """Send a WebSocket-level ping. Raises TransportError (`WS-CLOSED`)."""
        try:
            await self._ws.ping()
        except (aiohttp.ClientError, ConnectionError, RuntimeError) as e:
            raise TransportError("WS-CLOSED", _text_of(e), sent=True) from e

    async def close(self) -> None:
        await self._ws.close()
        if not self._is_marked_closed:
            self._is_marked_closed = True
            self._tell("mark", "closed by this side")


class AiohttpWsTransport:
    """`WsTransport` over one aiohttp session.

    Codes of the TransportErrors of `connect`: WS-CONNECT, WS-DNS, WS-TLS, WS-TIMEOUT, WS-REFUSED
    (an HTTP answer instead of a WebSocket), WS-URL, WS-RESET.
    """

    def __init__(
        self,
        tap: WireTap | None = None,
        now_ns: Callable[[], int] = time.time_ns,
        max_frame_bytes: int = MAX_FRAME_BYTES,
        connect_timeout_secs: float = CONNECT_TIMEOUT_SECS,
    ) -> None:
        self._tap = tap
        self._now_ns = now_ns
        self._max_frame_bytes = max_frame_bytes
        self._connect_timeout_secs = connect_timeout_secs
        self._session: aiohttp.ClientSession | None = None
        self._numbers = itertools.count(1)

    async def connect(
        self, url: str, headers: Mapping[str, str] = NO_HEADERS
    ) -> AiohttpWsConnection:
        """Open one WebSocket. Raises TransportError."""
        if self._session is None:
            self._session = _new_session()
        try:
            async with asyncio.timeout(self._connect_timeout_secs):
                ws = await self._session.ws_connect(
                    _url_of(url, "ws"),
                    headers=headers,
                    max_msg_size=self._max_frame_bytes,
                    autoping=True,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_SECS),
                )
        except TimeoutError as e:
            raise TransportError(
                "WS-TIMEOUT", f"not open within {self._connect_timeout_secs:g} s", sent=True
            ) from e
        except aiohttp.WSServerHandshakeError as e:
            text = f"HTTP status {e.status}: {e.message[:MAX_ERROR_CHARS]}"
            raise TransportError("WS-REFUSED", text, sent=True, status=e.status) from e
        except TransportError:
            raise
        except aiohttp.InvalidURL as e:
            raise TransportError("WS-URL", "the URL is not valid", sent=False) from e
        except (aiohttp.ClientError, OSError, ValueError) as e:
            code = _connect_code(e) or "RESET"
            raise TransportError(f"WS-{code}", _text_of(e), sent=code == "RESET") from e
        name = f"{urlsplit(url).hostname}#{next(self._numbers)}"
        return AiohttpWsConnection(ws, name, self._tap, self._now_ns)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
