"""The one way of a request to a venue and back: budget, signature, transport, status, decoding.

A venue's `http.py` is a `VenueHttp` with a method for each endpoint and two hooks: what a request
looks like, signed, and what an answer says. Reads are asked again within the limits of
`fairlead.adapters.base.reads`; a create or a cancel is sent once.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from fairlead.adapters.base.clock import VenueClock
from fairlead.adapters.base.decode import MAX_BODY_BYTES, Answer
from fairlead.adapters.base.limits import READ_LIMITS, ReadLimits
from fairlead.adapters.base.ratelimit import (
    LIMITED_STATUSES,
    Priority,
    RateLimited,
    RateLimiter,
    retry_after_secs,
)
from fairlead.adapters.base.reads import repeated
from fairlead.adapters.base.transport import (
    CONNECTIONS_MAX,
    HttpRequest,
    HttpResponse,
    HttpTransport,
    TransportError,
)
from fairlead.adapters.base.venue import ParseError, VenueError, VenueErrorKind

Purpose = Literal["create", "cancel", "read"]
_PRIORITIES: dict[Purpose, Priority] = {"create": "create", "cancel": "cancel", "read": "query"}


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request that has neither room in a budget nor a signature yet.

    `budgets` are scopes with weights, taken in this order; a refusal for rate is of the first.
    `query` and `data` are the venue's own, as its hook writes them.
    """

    path: str
    budgets: tuple[tuple[str, int], ...]
    method: str = "GET"
    purpose: Purpose = "read"
    is_signed: bool = False
    query: Any = None
    data: Any = None


class VenueHttp(ABC):
    """A venue's REST API over one transport. Raises VenueError, and nothing else."""

    def __init__(
        self,
        *,
        code: str,
        base_url: str,
        transport: HttpTransport,
        limiter: RateLimiter,
        now_ns: Callable[[], int],
        timeout_secs: float,
        is_keyed: bool,
        reads: ReadLimits = READ_LIMITS,
        clock: VenueClock | None = None,
    ) -> None:
        """`code` begins every error's code; `clock` is given where a signature holds the time."""
        self.limiter = limiter
        self._code = code
        self._base_url = base_url.rstrip("/")
        self._transport = transport
        self._now_ns = now_ns
        self._timeout_secs = timeout_secs
        self._is_keyed = is_keyed
        self._reads = reads
        self._signing_clock = clock
        self._room = asyncio.Semaphore(CONNECTIONS_MAX)

    @abstractmethod
    def _request(self, call: Call) -> HttpRequest:
        """The request as it goes out, signed if the call says so."""

    @abstractmethod
    def _opened(self, call: Call, response: HttpResponse, wait_secs: float) -> bytes | msgspec.Raw:
        """What to decode of a success; `wait_secs` is what a refusal asks for.

        Raises VenueError for everything else, ParseError for what is not the document's.
        """

    async def _ask[T](self, answer: Answer[T], call: Call) -> T:
        async def once() -> T:
            return await self._once(answer, call)

        return await (repeated(once, self._reads) if call.purpose == "read" else once())

    async def _once[T](self, answer: Answer[T], call: Call) -> T:
        try:
            return await self._tried(answer, call)
        except VenueError as error:
            error.asked = error.asked or f"{call.method} {call.path}"
            raise

    async def _tried[T](self, answer: Answer[T], call: Call) -> T:
        if call.is_signed:
            await self._require_key(call)
        last = len(call.budgets) - 1
        for number, (scope, weight) in enumerate(call.budgets):
            await self.admit(scope, call.purpose, weight, goes_out=number == last)
        try:
            await self._enter()
            try:
                request = self._request(call)  # last: waiting must not age the signature
                response = await self._transport.request(request)
            finally:
                self._room.release()
        except TransportError as error:
            kind = VenueErrorKind.UNKNOWN if error.sent else VenueErrorKind.REFUSED
            # The request, and with it key and signature, must not follow the error into a log.
            raise VenueError(
                kind, f"{self._code}-{error.code}", error.message, is_sent=error.sent
            ) from None
        try:
            return self._read(answer, call, response)
        except VenueError as error:
            if error.kind is VenueErrorKind.CLOCK and self._signing_clock is not None:
                self._signing_clock.forget()  # measured again before the next signed request
            raise

    async def _enter(self) -> None:
        """Wait for a connection no longer than for an answer. Raises TransportError: not sent."""
        try:
            async with asyncio.timeout(self._timeout_secs if self._room.locked() else None):
                await self._room.acquire()
        except TimeoutError:
            what = f"no connection was free within {self._timeout_secs:g} s"
            raise TransportError("HTTP-TIMEOUT", what, sent=False) from None

    async def _require_key(self, call: Call) -> None:
        if not self._is_keyed:
            raise VenueError(
                VenueErrorKind.AUTH,
                f"{self._code}-NO-KEY",
                f"{call.path} needs credentials; this adapter was made without",
            )
        if self._signing_clock is not None:
            await self._signing_clock.fresh(is_reading=call.purpose == "read")

    def _read[T](self, answer: Answer[T], call: Call, response: HttpResponse) -> T:
        status, size = response.status, len(response.body)
        wait_secs = 0.0
        if status >= 300:
            wait_secs = retry_after_secs(response.headers, self._now_ns())
        try:
            if size > MAX_BODY_BYTES:
                raise ParseError(
                    "answer", f"expected at most {MAX_BODY_BYTES} bytes, received {size}"
                )
            return answer(self._opened(call, response, wait_secs))
        except ParseError as error:
            raise VenueError(
                VenueErrorKind.UNKNOWN, f"{self._code}-BAD-ANSWER", str(error)
            ) from error
        except VenueError as error:
            if status in LIMITED_STATUSES or error.kind is VenueErrorKind.RATE_LIMITED:
                scope, wait_secs = call.budgets[0][0], wait_secs or error.retry_after_secs
                self.limiter.limited(scope, status, wait_secs)
            raise

    async def admit(
        self, scope: str, purpose: Purpose, weight: int = 1, *, goes_out: bool = True
    ) -> None:
        """Wait for room in a budget. Raises VenueError RATE_LIMITED: nothing is sent."""
        try:
            await self.limiter.acquire(scope, _PRIORITIES[purpose], weight, goes_out=goes_out)
        except RateLimited as error:
            raise VenueError(
                VenueErrorKind.RATE_LIMITED,
                f"{self._code}-RATE-BUDGET",
                f"not sent: {error}",
                error.retry_after_secs,
                is_sent=False,
            ) from None
