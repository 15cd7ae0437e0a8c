"""A venue in few lines: what most of them do alike, with hooks for what is the venue's own.

For a venue that speaks JSON over HTTP, takes one order a request, keeps our order ids, and sends
whole books on its stream. Where one differs, its folder implements that part of the contract
(`fairlead.adapters.base.venue`) itself; the other parts still fit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast
from urllib.parse import urlencode

import msgspec

from fairlead.adapters.base.clock import VenueClock
from fairlead.adapters.base.decode import Answer, bounded
from fairlead.adapters.base.http import Call, Purpose, VenueHttp
from fairlead.adapters.base.kit_stream import KitMarketData, KitStream
from fairlead.adapters.base.listed import ListedAdapter
from fairlead.adapters.base.outcomes import cancel_outcome, create_outcome, reading
from fairlead.adapters.base.ratelimit import LIMITED_STATUSES, Rate, RateLimiter
from fairlead.adapters.base.transport import HttpRequest, HttpResponse
from fairlead.adapters.base.urls import HttpUrl, WsUrl
from fairlead.adapters.base.venue import (
    AdapterContext,
    MarketData,
    ParseError,
    VenueError,
    VenueErrorKind,
    VenueInstrument,
)
from fairlead.engine.orders.model import (
    Absent,
    Accepted,
    CancelAccepted,
    CancelOutcome,
    Capabilities,
    Fee,
    FindResult,
    Found,
    Intent,
    Lost,
    OrderRef,
    Outcome,
    Refused,
    Side,
    Unknown,
    Unsure,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenueOrders,
)

MS = 1_000_000
SCOPE = "requests"
TIMEOUT_SECS = 5.0
_JSON = {"content-type": "application/json"}
_KINDS = {
    401: VenueErrorKind.AUTH,
    403: VenueErrorKind.AUTH,
    404: VenueErrorKind.NOT_FOUND,
}


class JsonHttp(VenueHttp):
    """A REST API of JSON. `rate` is how many requests the venue takes."""

    def __init__(self, context: AdapterContext, base_url: str, rate: Rate) -> None:
        self.secrets = context.secrets
        code = context.venue
        self.clock = VenueClock(self._server_ns, code=code, now_ns=context.now_ns, resolution_ns=MS)
        super().__init__(
            code=code,
            base_url=base_url,
            transport=context.http,
            limiter=RateLimiter({SCOPE: rate}),
            now_ns=context.now_ns,
            timeout_secs=TIMEOUT_SECS,
            is_keyed=bool(context.secrets),
            reads=context.reads,
            clock=self.clock,
        )

    @abstractmethod
    async def server_ns(self) -> int:
        """The venue's clock. Raises VenueError or ParseError."""

    async def _server_ns(self) -> int:
        try:
            return await self.server_ns()
        except ParseError as error:
            code = f"{self._code}-BAD-ANSWER"
            raise VenueError(VenueErrorKind.UNKNOWN, code, str(error)) from error

    @abstractmethod
    def headers(self, method: str, target: str, body: bytes) -> Mapping[str, str]:
        """Of a signed request; `target` is path and query. `self.clock` has the time."""

    def refusal(self, status: int, body: bytes) -> VenueError:
        """What an error's answer says. In doubt UNKNOWN: then an order is looked for."""
        kind = _KINDS.get(status, VenueErrorKind.REFUSED)
        if status >= 500 or status < 400:
            kind = VenueErrorKind.UNKNOWN
        if status in LIMITED_STATUSES:
            kind = VenueErrorKind.RATE_LIMITED
        text = bounded(body[:200].decode(errors="replace"))
        return VenueError(kind, f"{self._code}-{status}", text)

    async def ask[T](
        self,
        answer: Answer[T],
        path: str,
        *,
        method: str = "GET",
        query: Mapping[str, object] | None = None,
        data: object = None,
        purpose: Purpose = "read",
        is_signed: bool = True,
    ) -> T:
        """One request. Raises VenueError; a read is asked again, what changes something never."""
        call = Call(
            method=method,
            path=path,
            budgets=((SCOPE, 1),),
            purpose=purpose,
            is_signed=is_signed,
            query=query,
            data=data,
        )
        return await self._ask(answer, call)

    def _request(self, call: Call) -> HttpRequest:
        target = call.path + (f"?{urlencode(call.query)}" if call.query else "")
        body = b"" if call.data is None else msgspec.json.encode(call.data)
        signed = self.headers(call.method, target, body) if call.is_signed else {}
        return HttpRequest(
            method=call.method,
            url=self._base_url + target,
            headers={**_JSON, **signed},
            body=body,
            timeout_secs=self._timeout_secs,
        )

    def _opened(self, call: Call, response: HttpResponse, wait_secs: float) -> bytes:
        if not 200 <= response.status < 300:
            error = self.refusal(response.status, response.body)
            error.retry_after_secs = wait_secs
            raise error
        return response.body


class KitOrders[H: JsonHttp](ABC):
    """`VenueOrders` over six hooks, which raise VenueError or ParseError. Orders have our ids."""

    def __init__(self, http: H, code: str, instruments: Mapping[str, VenueInstrument]) -> None:
        self.http = http
        self.instruments = instruments
        self._code = code

    @abstractmethod
    async def create(self, intent: Intent, market: VenueInstrument) -> VenueOrder:
        """Send once."""

    @abstractmethod
    async def end(self, ref: OrderRef, market: VenueInstrument) -> None:
        """Ask for the cancel."""

    @abstractmethod
    async def look(self, ref: OrderRef, market: VenueInstrument) -> VenueOrder:
        """By `ref.client_order_id`, NOT_FOUND where there is none."""

    @abstractmethod
    async def listed(self, market: VenueInstrument) -> list[VenueOrder]:
        """All that are open."""

    @abstractmethod
    async def executions(self, ref: OrderRef, market: VenueInstrument) -> list[VenueFill]:
        """All of one order."""

    @abstractmethod
    async def purse(self) -> list[VenueBalance]:
        """Every currency."""

    # -- VenueOrders ---------------------------------------------------------------------------

    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        return [await self._created(intent) for intent in intents]

    async def _created(self, intent: Intent) -> Outcome:
        try:
            order = await self.create(intent, self.instruments[intent.instrument])
        except VenueError as error:
            return create_outcome(error)
        except ParseError as error:  # an answer, but of what
            return Unknown(str(error))
        return Accepted(order.venue_order_id, order)

    async def cancel(self, refs: Sequence[OrderRef]) -> list[CancelOutcome]:
        return [await self._ended(ref) for ref in refs]

    async def _ended(self, ref: OrderRef) -> CancelOutcome:
        try:
            await self.end(ref, self.instruments[ref.instrument])
        except VenueError as error:
            return cancel_outcome(error)
        except ParseError as error:
            return Unknown(str(error))
        return CancelAccepted()

    async def replace(self, ref: OrderRef, intent: Intent) -> Outcome:
        return Refused(f"{self._code}-NO-REPLACE", "the venue replaces no order")

    async def find(
        self, intent: Intent, known: frozenset[str], ts_sent: int, slack_ns: int = 0
    ) -> FindResult:
        ref = OrderRef(instrument=intent.instrument, client_order_id=intent.sent_id)
        try:
            return Found(await self.look(ref, self.instruments[intent.instrument]))
        except VenueError as error:
            if error.kind is VenueErrorKind.NOT_FOUND:
                return Absent(str(error))
            return Unsure(str(error))
        except ParseError as error:
            return Unsure(str(error))

    async def find_all(self, lost: Sequence[Lost]) -> list[FindResult]:
        return [await self.find(o.intent, o.known, o.ts_sent, o.slack_ns) for o in lost]

    async def orders(self, refs: Sequence[OrderRef]) -> list[VenueOrder]:
        found = []
        with reading(self._code):
            for ref in refs:
                try:
                    found.append(await self.look(ref, self.instruments[ref.instrument]))
                except VenueError as error:
                    if error.kind is not VenueErrorKind.NOT_FOUND:
                        raise
        return found

    async def open_orders(self, instruments: Sequence[str]) -> list[VenueOrder]:
        with reading(self._code):
            return [o for name in instruments for o in await self.listed(self.instruments[name])]

    async def fills(self, refs: Sequence[OrderRef], ts_from: int) -> list[VenueFill]:
        with reading(self._code):
            return [
                fill
                for ref in refs
                for fill in await self.executions(ref, self.instruments[ref.instrument])
                if fill.ts_event >= ts_from
            ]

    async def balances(self) -> list[VenueBalance]:
        with reading(self._code):
            return await self.purse()

    def fee(self, instrument: str, side: Side, quantity: Any, price: Any) -> Fee:
        return self.instruments[instrument].fee(side, quantity, price)


class KitOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[venues.NAME.options]` of a venue with one address for each way."""

    http_url: HttpUrl = ""
    ws_url: WsUrl = ""


class KitAdapter[H: JsonHttp](ListedAdapter, ABC):
    """An `Adapter` made of its HTTP, its orders and its stream; options are `KitOptions`."""

    name: str
    capabilities: Capabilities
    http: H
    rate: ClassVar[Rate]  # of requests
    parts: ClassVar[tuple[type[JsonHttp], type[KitOrders[Any]], type[KitStream]]]

    def __init__(self, context: AdapterContext) -> None:
        http, orders, self._stream = self.parts
        super().__init__(context, context.venue)
        self.context = context
        self.http = cast(H, http(context, context.options.http_url, self.rate))
        self._orders = orders(self.http, self.venue, self.instruments)
        self._data = self.make_data()
        self.orders: VenueOrders = self._orders
        self.market_data: MarketData = self._data

    @abstractmethod
    async def markets(self) -> list[VenueInstrument]:
        """Raises VenueError, or ParseError."""

    def make_data(self) -> KitMarketData:
        """Of another class where the venue has histories."""
        return KitMarketData(self.venue, self.instruments, self.make_stream)

    def make_stream(self) -> KitStream:
        return self._stream(self.context.options.ws_url, self.instruments)

    # -- Adapter -------------------------------------------------------------------------------

    async def connect(self, *, trading: bool) -> None:
        await self.refresh_instruments()
        self._require_named()
        if trading:
            await self.http.clock.measure()
            await self._orders.purse()  # the key is good

    async def refresh_instruments(self) -> None:
        with self._data.histories.parsing():
            found = {one.id: one for one in await self.markets()}
        self._list(found)
