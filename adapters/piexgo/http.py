"""Every REST endpoint of the venue, typed, one method each (section 3.2).

Each method raises VenueError, whose kind says what the failure proves about this request. v2 has
no envelope: it answers {} for whatever it refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Literal
from urllib.parse import urlencode

import msgspec

from fairlead.adapters.base.clock import VenueClock
from fairlead.adapters.base.decode import bounded
from fairlead.adapters.base.http import Call, Purpose, VenueHttp
from fairlead.adapters.base.limits import READ_LIMITS, ReadLimits
from fairlead.adapters.base.ratelimit import Rate, RateLimiter
from fairlead.adapters.base.transport import HttpRequest, HttpResponse, HttpTransport
from fairlead.adapters.base.venue import ParseError, VenueError, VenueErrorKind
from fairlead.adapters.piexgo import errors
from fairlead.adapters.piexgo import schemas as s
from fairlead.adapters.piexgo.config import PiexgoOptions
from fairlead.adapters.piexgo.parse import Reader, Unit, time_ns
from fairlead.adapters.piexgo.signing import sign
from fairlead.engine.secrets import Secret

PUBLIC, PRIVATE = "public", "private"  # budgets
ALL = "all"  # every symbol, of the v2 endpoints that take it
MAX_CANCELS = 50
MAX_V2_DEPTH = 50
PAGE = 50  # orders of one page; pages are counted from 0
MS = 1_000_000  # nanoseconds
CLOCK_TOLERANCE_NS = 1_000_000_000  # how far ahead a request's time may be (3.1)

_V2 = "/api/v2/"
_ACCOUNT = "/api/v1/account"  # the one signed request without parameters
_FORM = "application/x-www-form-urlencoded"

_envelope = Reader(s.Envelope)
_time = Reader(s.ServerTime)
_symbols = Reader(s.Symbols)
_book = Reader(s.OrderBook)
_trades = Reader(s.Trades)
_tickers = Reader(s.Tickers)
_ticker = Reader(s.OneTicker)
_symbols_v2 = Reader(list[str])
_assets_v2 = Reader(list[s.AssetV2])
_books_v2 = Reader(dict[str, s.OrderBookV2])
_trades_v2 = Reader(list[s.Deal])
_volumes_v2 = Reader(dict[str, dict[str, Decimal]])
_tickers_v2 = Reader(dict[str, s.TickerV2])
_created = Reader(s.Created)
_info = Reader(s.OrderInfo)
_page = Reader(s.OrderPage)
_account = Reader(s.Account)


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A create. Numbers are decimal text; `price` is of LIMIT and STOP_LIMIT."""

    symbol: str
    side: Literal["BUY", "SELL"]
    type: Literal["LIMIT", "MARKET", "STOP_LIMIT"]
    quantity: str
    price: str | None = None
    stop_price: str | None = None


class PiexgoHttp(VenueHttp):
    """The venue's REST API over one transport; signed calls need a key and a secret."""

    def __init__(
        self,
        options: PiexgoOptions,
        transport: HttpTransport,
        secrets: Mapping[str, Secret],
        now_ns: Callable[[], int],
        reads: ReadLimits = READ_LIMITS,
    ) -> None:
        self._options = options
        self._key, self._secret = secrets.get("key"), secrets.get("secret")
        self.clock = VenueClock(
            self._server_ns,
            code="PIEXGO",
            now_ns=now_ns,
            resolution_ns=MS,
            tolerance_ns=CLOCK_TOLERANCE_NS,
            check_secs=options.clock_check_secs,
        )
        rate = Rate(options.requests_per_second, 1.0)
        super().__init__(
            code="PIEXGO",
            base_url=options.http_url,
            transport=transport,
            limiter=RateLimiter(
                {PUBLIC: rate, PRIVATE: rate}, options.rate_reserve, options.rate_wait_secs
            ),
            now_ns=now_ns,
            timeout_secs=options.request_timeout_secs,
            is_keyed=self._key is not None and self._secret is not None,
            reads=reads,
            clock=self.clock,
        )

    # -- market data -------------------------------------------------------------------------------

    async def server_time(self) -> s.ServerTime:
        return await self._public(_time, "/api/v1/time")

    async def symbols(self) -> list[s.Symbol]:
        return (await self._public(_symbols, "/api/v1/symbols")).data

    async def order_book(self, symbol: str) -> s.OrderBook:
        return await self._public(_book, "/api/v1/orderBook", symbol=symbol)

    async def trades(self, symbol: str) -> list[s.Deal]:
        """At most 500, in the venue's order."""
        return (await self._public(_trades, "/api/v1/trades", symbol=symbol)).deals

    async def tickers(self) -> list[s.Ticker]:
        return (await self._public(_tickers, "/api/v1/tickers")).tickers

    async def ticker(self, symbol: str) -> s.Ticker:
        return (await self._public(_ticker, "/api/v1/ticker", symbol=symbol)).ticker

    async def symbols_v2(self) -> list[str]:
        return await self._public(_symbols_v2, "/api/v2/symbols")

    async def assets_v2(self) -> list[s.AssetV2]:
        return await self._public(_assets_v2, "/api/v2/assets")

    async def order_books_v2(
        self, symbol: str = ALL, depth: int | None = None
    ) -> dict[str, s.OrderBookV2]:
        """By symbol; `depth` None is the venue's 10, 50 is the most."""
        assert depth is None or 0 < depth <= MAX_V2_DEPTH, f"at most {MAX_V2_DEPTH} levels"
        return await self._public(_books_v2, "/api/v2/orderBook", symbol=symbol, depth=depth)

    async def trades_v2(self, symbol: str) -> list[s.Deal]:
        """At most 200, newest first."""
        return await self._public(_trades_v2, "/api/v2/trades", symbol=symbol)

    async def volumes_v2(self) -> dict[str, dict[str, Decimal]]:
        """By symbol, by currency."""
        return await self._public(_volumes_v2, "/api/v2/24hVolume")

    async def tickers_v2(self, symbol: str = ALL) -> dict[str, s.TickerV2]:
        return await self._public(_tickers_v2, "/api/v2/ticker", symbol=symbol)

    # -- orders ------------------------------------------------------------------------------------

    async def create_order(self, order: NewOrder) -> s.Created:
        return await self._signed(
            _created, "/api/v1/order", "create", **msgspec.structs.asdict(order)
        )

    async def cancel_order(self, symbol: str, order_id: str) -> None:
        """The answer tells that the cancel was taken, not what became of the order."""
        await self._signed(
            _envelope, "/api/v1/cancelOrder", "cancel", symbol=symbol, order_id=order_id
        )

    async def cancel_orders(self, symbol: str, order_ids: Sequence[str]) -> None:
        """At most 50 of one symbol. The answer tells nothing of any of them."""
        assert 0 < len(order_ids) <= MAX_CANCELS, f"1 to {MAX_CANCELS} orders"
        ids = ",".join(order_ids)
        await self._signed(_envelope, "/api/v1/cancelOrders", "cancel", symbol=symbol, order_id=ids)

    async def order_info(self, symbol: str, order_id: str) -> s.OrderDetail:
        found = await self._signed(_info, "/api/v1/orderInfo", symbol=symbol, order_id=order_id)
        return found.data

    async def open_orders(self, page: int = 0) -> s.OrderPage:
        """Of all symbols, as the next two."""
        return await self._signed(_page, "/api/v1/openOrders", page=page)

    async def trade_order_history(self, page: int = 0) -> s.OrderPage:
        """Filled orders."""
        return await self._signed(_page, "/api/v1/tradeOrderHistory", page=page)

    async def canceled_order_history(self, page: int = 0) -> s.OrderPage:
        return await self._signed(_page, "/api/v1/canceledOrderHistory", page=page)

    async def order_history(self, symbol: str, page: int = 0) -> s.OrderPage:
        """Both histories of one symbol; the document says that it will go."""
        return await self._signed(_page, "/api/v1/orderHistory", symbol=symbol, page=page)

    async def account(self) -> s.Account:
        return await self._signed(_account, _ACCOUNT)

    # -- sending -----------------------------------------------------------------------------------

    async def _server_ns(self) -> int:
        try:
            return time_ns((await self.server_time()).server_time, Unit.MILLISECONDS, "server_time")
        except ParseError as error:
            raise VenueError(VenueErrorKind.UNKNOWN, "PIEXGO-BAD-ANSWER", str(error)) from error

    async def _public[T](self, answer: Reader[T], path: str, **params: object) -> T:
        call = Call(path=path, budgets=((PUBLIC, 1),), query=_texts(params))
        return await self._ask(answer, call)

    async def _signed[T](
        self, answer: Reader[T], path: str, purpose: Purpose = "read", /, **params: object
    ) -> T:
        call = Call(
            method="POST",
            path=path,
            budgets=((PRIVATE, 1),),
            purpose=purpose,
            is_signed=True,
            data=_texts(params),
        )
        return await self._ask(answer, call)

    def _request(self, call: Call) -> HttpRequest:
        url = f"{self._base_url}{call.path}"
        if not call.is_signed:
            query = urlencode(call.query)
            return HttpRequest(
                method=call.method,
                url=f"{url}?{query}" if query else url,
                timeout_secs=self._timeout_secs,
            )
        assert self._key is not None, "a signed request has a key"
        assert self._secret is not None, "a signed request has a secret"
        params = dict(call.data)
        if call.path != _ACCOUNT:
            params["recv_window"] = str(self._options.recv_window_ms)
            params["timestamp"] = str(self.clock.earliest_ns() // MS)
        return HttpRequest(
            method=call.method,
            url=url,
            headers={
                "KEY": self._key.reveal(),
                "signature": sign(self._secret, params),
                "Content-Type": _FORM,
            },
            body=urlencode(params).encode(),
            timeout_secs=self._timeout_secs,
        )

    def _opened(self, call: Call, response: HttpResponse, wait_secs: float) -> bytes:
        body, status = response.body, response.status
        if call.path.startswith(_V2):
            if status >= 300:
                raise _status_error(response, wait_secs)
            if body.strip() == b"{}":
                raise VenueError(
                    VenueErrorKind.UNKNOWN, "PIEXGO-EMPTY", f"{call.path}: {{}}, without a reason"
                )
            return body
        try:
            told = _envelope(body)
        except ParseError:
            raise _status_error(response, wait_secs) from None
        if told.err_code != errors.OK:
            raise errors.code_error(told.err_code, bounded(told.msg))
        if status >= 300:
            raise _status_error(response, wait_secs)
        return body


def _status_error(response: HttpResponse, wait_secs: float) -> VenueError:
    excerpt = bounded(response.body[:200].decode(errors="replace"))
    return errors.status_error(response.status, wait_secs, excerpt)


def _texts(params: Mapping[str, object]) -> dict[str, str]:
    """Parameters that are there."""
    return {name: str(value) for name, value in params.items() if value is not None}
