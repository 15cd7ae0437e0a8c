"""`HttpTransport` on the standard library alone, for a process that must be fast to start.

Importing aiohttp costs 0.1 s, a third of the time that `fairlead kill` needs from its start to its
first cancel. Requests run in threads, on connections that are kept for a moment; a process that
ends does not wait for one that a venue leaves unanswered. Rules are those of the aiohttp transport:
exact bytes, bounded answers, no retry, no redirect, no proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import ssl
import threading
import time
from urllib.parse import SplitResult, urlsplit

from fairlead.adapters.base.transport import HttpRequest, HttpResponse, TransportError
from fairlead.engine.orders import permit

THREADS = 8
MAX_RESPONSE_BYTES = 16 * 1024 * 1024
MAX_ERROR_CHARS = 300
REUSE_SECS = 1.0  # a connection idle for longer may be dead at the other end


class PlainTransport:
    """One per process. TransportError codes: HTTP-CONNECT, HTTP-TLS, HTTP-TIMEOUT, HTTP-RESET,
    HTTP-PROTOCOL, HTTP-TOO-LARGE, HTTP-URL, HTTP-STOPPED.
    """

    def __init__(self, max_response_bytes: int = MAX_RESPONSE_BYTES) -> None:
        self._room = asyncio.Semaphore(THREADS)
        self._is_closed = False
        self._idle: dict[tuple[str, str], list[tuple[float, http.client.HTTPConnection]]] = {}
        self._tls: ssl.SSLContext | None = None
        self._max_response_bytes = max_response_bytes

    async def request(self, request: HttpRequest) -> HttpResponse:
        """Send once. Raises TransportError."""
        is_begun = False
        try:
            async with asyncio.timeout(request.timeout_secs), self._room:
                if (why := permit.refusal()) is not None:
                    raise TransportError("HTTP-STOPPED", f"not sent: {why}", sent=False)
                is_begun = True
                return await self._begun(request)
        except TimeoutError as error:
            text = f"no answer within {request.timeout_secs:g} s"
            raise TransportError("HTTP-TIMEOUT", text, sent=is_begun) from error

    def _begun(self, request: HttpRequest) -> asyncio.Future[HttpResponse]:
        """Sent by a thread that nobody has to wait for."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[HttpResponse] = loop.create_future()

        def tell(came: HttpResponse | Exception) -> None:
            if answer.done():  # nobody waits for it any more
                return
            if isinstance(came, Exception):
                answer.set_exception(came)
            else:
                answer.set_result(came)

        def work() -> None:
            came: HttpResponse | Exception
            try:
                came = self._send(request)
            except Exception as error:
                came = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(tell, came)

        threading.Thread(target=work, name="http", daemon=True).start()
        return answer

    async def close(self) -> None:
        self._is_closed = True
        for kept in self._idle.values():
            for _, connection in kept:
                connection.close()
        self._idle.clear()

    def _send(self, request: HttpRequest) -> HttpResponse:
        parts = _parts_of(request.url)
        place = (parts.scheme, parts.netloc)
        connection = self._connected(place, request.timeout_secs)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            # Written out, as `request` would add headers that the venue's client did not sign.
            connection.putrequest(request.method, target, skip_accept_encoding=True)
            for name, value in request.headers.items():
                connection.putheader(name, value)
            connection.putheader("Accept-Encoding", "identity")
            if request.body or request.method == "POST":
                connection.putheader("Content-Length", str(len(request.body)))
            connection.endheaders(request.body or None)
            answer = connection.getresponse()
            body = answer.read(self._max_response_bytes + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            raise _failure(error, sent=True) from error
        if len(body) > self._max_response_bytes:
            connection.close()
            text = f"answer is larger than {self._max_response_bytes} bytes (limit)"
            raise TransportError("HTTP-TOO-LARGE", text, sent=True)
        if answer.will_close or self._is_closed:
            connection.close()
        else:
            self._idle.setdefault(place, []).append((time.monotonic(), connection))
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return HttpResponse(status=answer.status, body=body, headers=headers)

    def _connected(self, place: tuple[str, str], timeout: float) -> http.client.HTTPConnection:
        kept = self._idle.get(place, [])
        while kept:
            since, connection = kept.pop()
            if time.monotonic() - since < REUSE_SECS:
                return connection
            connection.close()
        scheme, netloc = place
        made: http.client.HTTPConnection
        try:
            if scheme == "https":
                self._tls = self._tls or ssl.create_default_context()
                made = http.client.HTTPSConnection(netloc, timeout=timeout, context=self._tls)
            else:
                made = http.client.HTTPConnection(netloc, timeout=timeout)
            made.connect()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _failure(error, sent=False) from error
        return made


def _parts_of(url: str) -> SplitResult:
    """Raises TransportError (`HTTP-URL`)."""
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    except ValueError:  # no port can be so large
        pass
    why = "the URL begins with neither https:// nor http://, or is not valid"
    raise TransportError("HTTP-URL", why, sent=False)


def _failure(error: Exception, *, sent: bool) -> TransportError:
    text = (str(error) or type(error).__name__)[:MAX_ERROR_CHARS]
    if isinstance(error, TimeoutError):
        return TransportError("HTTP-TIMEOUT", text, sent=sent)
    if isinstance(error, ssl.SSLError):
        return TransportError("HTTP-TLS", text, sent=sent)
    if isinstance(error, OSError):
        return TransportError("HTTP-RESET" if sent else "HTTP-CONNECT", text, sent=sent)
    return TransportError("HTTP-PROTOCOL", text, sent=sent)
