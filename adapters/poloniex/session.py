"""One signed request at a time: limits, clock, signature, transport, decoding (sections 0, 2.4, 3).

Everything raises `VenueError`, classified by `errors.py`, and nothing else. Reads are asked again
within the limits of `adapters.base.reads`; nothing else is sent twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec

from adapters.base.limits import READ_LIMITS, ReadLimits
from adapters.base.ratelimit import (
    LIMITED_STATUSES,
    Priority,
    RateLimited,
    RateLimiter,
    retry_after_secs,
)
from adapters.base.reads import repeated
from adapters.base.transport import HttpRequest, HttpResponse, HttpTransport, TransportError
from adapters.base.venue import VenueError, VenueErrorKind
from adapters.poloniex.errors import OK, http_error, read_error_body, venue_error
from adapters.poloniex.schemas import ServerTime
from adapters.poloniex.signing import ClockOffset, encode_query, sign, string_to_sign
from engine.secrets import Secret

MAX_BODY_BYTES = 32 * 1024 * 1024
CLOCK_SAMPLES = 5
CLOCK_GOOD_NS = 100_000_000  # half of a round trip that needs no better sample
CLOCK_TOLERANCE_NS = 1_000_000_000  # the venue's (section 3)
_MAX_EXPONENT = 40

Group = Literal["public", "private", "bulk"]
PUBLIC: Group = "public"
PRIVATE: Group = "private"
BULK: Group = "bulk"


class HttpSession:
    """Public and signed requests over an `HttpTransport`."""

    def __init__(
        self,
        *,
        base_url: str,
        transport: HttpTransport,
        limiter: RateLimiter,
        now_ns: Callable[[], int],
        key: Secret | None = None,
        secret: Secret | None = None,
        recv_window_ms: int | None = None,
        timeout_secs: float = 5.0,
        clock_check_secs: int = 300,
        reads: ReadLimits = READ_LIMITS,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._transport = transport
        self._limiter = limiter
        self._now_ns = now_ns
        self._reads = reads
        self._key = key
        self._secret = secret
        self._recv_window_ms = recv_window_ms
        self._timeout_secs = timeout_secs
        self._clock_check_ns = clock_check_secs * 1_000_000_000
        self.clock: ClockOffset | None = None

    # -- plumbing ------------------------------------------------------------------------------

    def timestamp_ms(self) -> int:
        """Now, by the venue's clock as last measured."""
        offset = self.clock.offset_ns if self.clock is not None else 0
        return (self._now_ns() + offset) // 1_000_000

    def credentials(self) -> tuple[Secret, Secret]:
        """Key and secret; raises VenueError when there are none."""
        if self._key is None or self._secret is None:
            raise VenueError(
                VenueErrorKind.AUTH,
                "POLONIEX-NO-KEY",
                "expected the credentials `key` and `secret`, found none",
            )
        return self._key, self._secret

    async def sync_clock(self) -> ClockOffset:
        """Measure the offset to the venue's clock, from the quickest of a few round trips.

        Raises VenueError of kind CLOCK when no round trip is short enough to prove that a
        signature lies within the venue's tolerance.
        """
        best: ClockOffset | None = None
        for _ in range(CLOCK_SAMPLES):
            sent = self._now_ns()
            server = await self.public(_TIME, "/timestamp")
            sample = ClockOffset.measured(sent, self._now_ns(), server.server_time)
            if best is None or sample.uncertainty_ns < best.uncertainty_ns:
                best = sample
            if best.uncertainty_ns <= CLOCK_GOOD_NS:
                break
        assert best is not None, "at least one sample"
        if best.uncertainty_ns > CLOCK_TOLERANCE_NS // 2:
            raise VenueError(
                VenueErrorKind.CLOCK,
                "POLONIEX-CLOCK",
                f"expected a round trip under {CLOCK_TOLERANCE_NS // 10**6} ms to /timestamp, "
                f"the best of {CLOCK_SAMPLES} took {2 * best.uncertainty_ns // 10**6} ms",
            )
        self.clock = best
        return best

    async def _fresh_clock(self, *, reading: bool) -> None:
        """Measure before a signed request if never measured or refused; by age only on reads."""
        clock = self.clock
        is_old = clock is not None and self._now_ns() - clock.measured_ns > self._clock_check_ns
        if clock is None or (reading and is_old):
            await self.sync_clock()

    async def admit(self, group: Group, priority: Priority) -> None:
        """Wait for room in the group's budget; raises VenueError RATE_LIMITED, nothing sent."""
        try:
            await self._limiter.acquire(group, priority)
        except RateLimited as error:
            raise VenueError(
                VenueErrorKind.RATE_LIMITED,
                "POLONIEX-BUDGET",
                f"{error}; not sent",
                error.retry_after_secs,
            ) from None

    async def _send(self, group: Group, request: HttpRequest) -> HttpResponse:
        try:
            response = await self._transport.request(request)
        except TransportError as error:
            kind = VenueErrorKind.UNKNOWN if error.sent else VenueErrorKind.REFUSED
            raise VenueError(kind, f"POLONIEX-{error.code}", error.message) from error
        if len(response.body) > MAX_BODY_BYTES:
            raise VenueError(
                VenueErrorKind.UNKNOWN,
                "POLONIEX-OVERSIZED",
                f"expected at most {MAX_BODY_BYTES} bytes, received {len(response.body)}",
            )
        if 200 <= response.status < 300:
            return response
        wait_secs = retry_after_secs(response.headers, self._now_ns())
        if response.status in LIMITED_STATUSES:
            self._limiter.limited(group, response.status, wait_secs)
        raise http_error(response.status, response.body, wait_secs)

    async def public[T](
        self, decoder: msgspec.json.Decoder[T], path: str, group: Group = PUBLIC, **params: object
    ) -> T:
        query = encode_query(_text(params))
        request = HttpRequest(
            method="GET",
            url=f"{self._base_url}{path}{'?' if query else ''}{query}",
            timeout_secs=self._timeout_secs,
        )

        async def once() -> T:
            await self.admit(group, "query")
            return _decode(decoder, (await self._send(group, request)).body)

        return await repeated(once, self._reads)

    async def private[T](
        self,
        decoder: msgspec.json.Decoder[T],
        method: str,
        path: str,
        *,
        group: Group = PRIVATE,
        params: Mapping[str, object] | None = None,
        body: object = None,
        priority: Priority = "query",
    ) -> T:
        payload = b"" if body is None else msgspec.json.encode(body)
        query = _text(params or {})

        async def once() -> T:
            return await self._signed(decoder, method, path, group, query, payload, priority)

        return await (repeated(once, self._reads) if method == "GET" else once())

    async def _signed[T](
        self,
        decoder: msgspec.json.Decoder[T],
        method: str,
        path: str,
        group: Group,
        query: Mapping[str, str],
        payload: bytes,
        priority: Priority,
    ) -> T:
        key, secret = self.credentials()
        await self._fresh_clock(reading=method == "GET")
        await self.admit(group, priority)
        stamp = self.timestamp_ms()  # last: waiting for the limit must not age the signature
        headers = {
            "key": key.reveal(),
            "signTimestamp": str(stamp),
            "signature": sign(secret.reveal(), string_to_sign(method, path, stamp, query, payload)),
        }
        if self._recv_window_ms is not None:
            headers["recvWindow"] = str(self._recv_window_ms)
        if payload:
            headers["Content-Type"] = "application/json"
        tail = encode_query(query)
        request = HttpRequest(
            method=method,
            url=f"{self._base_url}{path}{'?' if tail else ''}{tail}",
            headers=headers,
            body=payload,
            timeout_secs=self._timeout_secs,
        )
        try:
            response = await self._send(group, request)
            return _decode(decoder, response.body)
        except VenueError as error:
            if error.kind is VenueErrorKind.CLOCK:
                self.clock = None  # measured again before the next signed request
            raise


def _text(params: Mapping[str, object]) -> dict[str, str]:
    """Parameters that are there, as the query writes them."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in params.items()
        if value is not None
    }


def one[T](found: T | list[T], what: str) -> T:
    if not isinstance(found, list):
        return found
    if not found:
        raise VenueError(VenueErrorKind.NOT_FOUND, "POLONIEX-EMPTY", f"{what}: an empty list")
    return found[0]


def _decode[T](decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Raises VenueError: of the body's own error code, or UNKNOWN for what isn't the document's."""
    try:
        value = decoder.decode(body)
        _check_decimals(value)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as error:
        told = read_error_body(body)
        if told is not None and told.code != OK:
            raise venue_error(told.code, told.message) from None
        raise VenueError(
            VenueErrorKind.UNKNOWN,
            "POLONIEX-PARSE",
            f"the answer is not what the document says ({len(body)} bytes): {str(error)[:120]}",
        ) from error
    return value


def _check_decimals(value: Any) -> None:
    """Refuse NaN, infinities and absurd exponents anywhere in a decoded payload."""
    if isinstance(value, list):
        for item in value:
            _check_decimals(item)
    elif isinstance(value, dict):
        for item in value.values():
            _check_decimals(item)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            field = getattr(value, name)
            if isinstance(field, (Decimal, list, dict, msgspec.Struct)):
                _check_decimals(field)
    elif isinstance(value, Decimal) and (
        not value.is_finite() or abs(value.adjusted()) > _MAX_EXPONENT
    ):
        raise ValueError(f"expected a finite decimal, received {str(value)[:40]}")


_TIME = msgspec.json.Decoder(ServerTime, strict=False)
