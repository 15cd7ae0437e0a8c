"""Every REST endpoint of the venue's document, typed, one method each (sections 1.1, 1.2, 2).

Each method raises VenueError, whose kind says what the failure proves about this request. Reads are
asked again within the limits of `adapters.base.reads`; everything else is sent once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, Literal
from urllib.parse import urlencode

import msgspec

from adapters.base.limits import READ_LIMITS, ReadLimits
from adapters.base.ratelimit import (
    LIMITED_STATUSES,
    Priority,
    Rate,
    RateLimited,
    RateLimiter,
    retry_after_secs,
)
from adapters.base.reads import repeated
from adapters.base.transport import HttpRequest, HttpResponse, HttpTransport, TransportError
from adapters.base.venue import ParseError, VenueError, VenueErrorKind
from adapters.oceanex import errors, parse
from adapters.oceanex import schemas as s
from adapters.oceanex.config import OceanexOptions
from adapters.oceanex.errors import Purpose
from adapters.oceanex.signing import Signer
from adapters.oceanex.symbols import is_market

SCOPE_ORDERS = "orders"  # created orders, counted one by one
SCOPE_PRIVATE = "private"
SCOPE_PUBLIC = "public"
MAX_TRADES = 1_000
MAX_CANDLES = 10_000
MAX_FILTER_PAGE = 100
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}

Params = Mapping[str, Any] | Sequence[tuple[str, str]]


def _answer[T](type_: type[T]) -> Callable[[msgspec.Raw], T]:
    """Return a decoder of `data`; what it can't read proves nothing, so it raises UNKNOWN.

    It is built at its first use: building all costs a tenth of a kill's time to its first cancel.
    """
    made = cache(lambda: parse.decoder(type_))

    def read(raw: msgspec.Raw) -> T:
        try:
            return made()(raw)
        except ParseError as e:
            raise VenueError(VenueErrorKind.UNKNOWN, "OCEANEX-BAD-ANSWER", str(e)) from e

    return read


_markets = _answer(list[s.Market])
_ticker = _answer(s.TickerAt)
_tickers_multi = _answer(list[s.TickerAt])
_tickers = _answer(dict[str, s.MarketTicker])
_order_book = _answer(s.OrderBook)
_order_books = _answer(list[s.OrderBook])
_trades = _answer(list[s.Trade])
_candles = _answer(list[s.Candle])
_fees = _answer(list[s.TradingFee])
_timestamp = _answer(int)
_keys = _answer(list[s.ApiKey])
_member = _answer(s.Member)
_order = _answer(s.Order)
_orders = _answer(list[s.Order])
_rows = _answer(list[msgspec.Raw])
_groups = _answer(list[s.OrderGroup])
_withdrawal = _answer(s.Withdrawal)
_withdrawals = _answer(s.Withdrawals)
_deposit_address = _answer(s.DepositAddress)
_deposit_addresses = _answer(s.DepositAddressesData)
_deposits = _answer(s.Deposits)


class WithdrawalsDisabled(VenueError):
    """The config doesn't allow withdrawals; nothing was sent."""

    def __init__(self) -> None:
        super().__init__(
            VenueErrorKind.REFUSED,
            "OCEANEX-WITHDRAWALS-DISABLED",
            "withdrawals are off; the option allow_withdrawals turns them on",
        )


class NewOrder(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`data` of a new order; decimals as text. `market` is left out within `/orders/multi`."""

    side: Literal["buy", "sell"]
    volume: str
    market: str = ""
    price: str | None = None
    ord_type: Literal["limit", "market", "stop_limit", ""] = ""
    stop_price: str | None = None
    trigger_condition: Literal["gte", "lte"] | None = None


class OceanexHttp:
    """The venue's REST API over one transport; private calls need a signer."""

    def __init__(
        self,
        options: OceanexOptions,
        transport: HttpTransport,
        signer: Signer | None = None,
        limiter: RateLimiter | None = None,
        now_ns: Callable[[], int] = time.time_ns,
        reads: ReadLimits = READ_LIMITS,
    ) -> None:
        self._options = options
        self._now_ns = now_ns
        self._reads = reads
        self._transport = transport
        self._signer = signer
        requests = Rate(options.requests_per_minute, 60.0)
        self.limiter = limiter or RateLimiter(
            {
                SCOPE_ORDERS: Rate(options.orders_per_minute, 60.0),
                SCOPE_PRIVATE: requests,
                SCOPE_PUBLIC: requests,
            },
            options.rate_reserve,
            options.rate_wait_secs,
        )

    # -- public (1.1) ------------------------------------------------------------------------------

    async def markets(self, show_details: bool = True) -> list[s.Market]:
        """`POST /markets`."""
        params = {"show_details": "true"} if show_details else {}
        return _markets(await self._public("/markets", params))

    async def ticker(self, market: str) -> s.TickerAt:
        """`POST /tickers/{market}`."""
        if not is_market(market):
            raise VenueError(
                VenueErrorKind.REFUSED, "OCEANEX-UNKNOWN-MARKET", f"no market {market[:40]!r}"
            )
        return _ticker(await self._public(f"/tickers/{market}", {}))

    async def tickers_multi(self, markets: Sequence[str]) -> list[s.TickerAt]:
        """`POST /tickers_multi`."""
        return _tickers_multi(await self._public("/tickers_multi", _list("markets[]", markets)))

    async def tickers(self) -> dict[str, s.MarketTicker]:
        """`POST /tickers`: every market, by id."""
        return _tickers(await self._public("/tickers", {}))

    async def order_book(self, market: str, limit: int | None = None) -> s.OrderBook:
        """`POST /order_book`: both sides high to low; the venue's default depth is 300."""
        params = {"market": market} | _some(limit=limit)
        return _order_book(await self._public("/order_book", params))

    async def order_book_multi(
        self, markets: Sequence[str], limit: int | None = None
    ) -> list[s.OrderBook]:
        """`POST /order_book/multi`."""
        params = _list("markets[]", markets)
        if limit is not None:
            params.append(("limit", str(limit)))
        return _order_books(await self._public("/order_book/multi", params))

    async def trades(
        self,
        market: str,
        *,
        limit: int | None = None,
        start: int | None = None,
        end: int | None = None,
        from_id: int | None = None,
        to_id: int | None = None,
        order_by: Literal["asc", "desc"] | None = None,
    ) -> list[s.Trade]:
        """`POST /trades`; `start` and `end` in epoch seconds, ids as "after" and "before"."""
        params = {"market": market} | _some(
            limit=limit, start=start, end=end, to=to_id, order_by=order_by
        )
        params |= {"from": str(from_id)} if from_id is not None else {}
        return _trades(await self._public("/trades", params))

    async def candles(
        self,
        market: str,
        *,
        period: int = 1,
        limit: int | None = None,
        timestamp: int | None = None,
    ) -> list[s.Candle]:
        """`POST /k`: `period` in minutes, rows after `timestamp` (epoch seconds), oldest first."""
        params = {"market": market, "period": str(period)}
        params |= _some(limit=limit, timestamp=timestamp)
        return _candles(await self._public("/k", params))

    async def trading_fees(self) -> list[s.TradingFee]:
        """`POST /fees/trading`."""
        return _fees(await self._public("/fees/trading", {}))

    async def timestamp(self) -> int:
        """`POST /timestamp`: the venue's clock, epoch seconds."""
        return _timestamp(await self._public("/timestamp", {}))

    # -- account (1.2) -----------------------------------------------------------------------------

    async def key(self) -> list[s.ApiKey]:
        """`POST /key`: scopes and state of the account's keys."""
        return _keys(await self._private("/key", {}))

    async def member(self) -> s.Member:
        """`POST /members/me`: balances."""
        return _member(await self._private("/members/me", {}))

    # -- orders (1.2) ------------------------------------------------------------------------------

    async def create_order(self, order: NewOrder) -> s.Order:
        """`POST /orders`. UNKNOWN unless the answer proves otherwise."""
        data = msgspec.to_builtins(order)
        raw = await self._private("/orders", data, purpose="create", orders=1)
        return _order(raw)

    async def create_orders(self, market: str, orders: Sequence[NewOrder]) -> list[msgspec.Raw]:
        """`POST /orders/multi`: rows as they came; one market per call."""
        data = {"market": market, "orders": [msgspec.to_builtins(order) for order in orders]}
        raw = await self._private("/orders/multi", data, purpose="create", orders=len(orders))
        return _rows(raw)

    async def orders(self, ids: Sequence[int]) -> list[s.Order]:
        """`GET /orders`: states by id, in any order. POST would create."""
        return _orders(await self._private("/orders", {"ids": list(ids)}, method="GET"))

    async def orders_filter(
        self,
        market: str,
        *,
        states: Sequence[str] = ("wait",),
        limit: int = MAX_FILTER_PAGE,
        page: int = 1,
        from_id: int | None = None,
        to_id: int | None = None,
        order_by: Literal["asc", "desc"] = "desc",
        need_price: bool = True,
    ) -> list[s.OrderGroup]:
        """`POST /orders/filter`: a group per state; ids of the bounds are inclusive."""
        data: dict[str, Any] = {
            "market": market,
            "states": list(states),
            "limit": limit,
            "page": page,
            "order_by": order_by,
        }
        if need_price:
            data["need_price"] = "True"
        if from_id is not None:
            data["from"] = from_id
        if to_id is not None:
            data["to"] = to_id
        return _groups(await self._private("/orders/filter", data))

    async def cancel_order(self, order_id: int) -> s.Order:
        """`POST /order/delete`; the answer isn't final (4.5)."""
        return _order(await self._private("/order/delete", {"id": order_id}, purpose="cancel"))

    async def cancel_orders(self, ids: Sequence[int]) -> list[s.Order]:
        """`POST /order/delete/multi`; the answer isn't final (4.5)."""
        data = {"ids": list(ids)}
        return _orders(await self._private("/order/delete/multi", data, purpose="cancel"))

    async def clear_orders(self, side: Literal["buy", "sell"] | None = None) -> list[s.Order]:
        """`POST /orders/clear`: cancels in **every** market; `side` is the only filter (4.11)."""
        data = {} if side is None else {"side": side}
        return _orders(await self._private("/orders/clear", data, purpose="cancel"))

    # -- deposits and withdrawals (1.2) ------------------------------------------------------------

    async def withdraw(
        self,
        rid: str,
        currency: str,
        amount: Decimal,
        *,
        tid: str | None = None,
        chain_name: str | None = None,
        memo: str | None = None,
    ) -> s.Withdrawal:
        """`POST /withdraws/special/new`; not idempotent without `tid`.

        Raises WithdrawalsDisabled.
        """
        if not self._options.allow_withdrawals:
            raise WithdrawalsDisabled
        data = {"rid": rid, "currency": currency, "amount": f"{amount:f}"}
        data |= _some(tid=tid, chain_name=chain_name, memo=memo)
        raw = await self._private("/withdraws/special/new", data, purpose="create")
        return _withdrawal(raw)

    async def deposit_address(self, currency: str) -> s.DepositAddress:
        """`POST /deposit_address`."""
        return _deposit_address(await self._private("/deposit_address", {"currency": currency}))

    async def deposit_addresses(self, currency: str) -> s.DepositAddresses:
        """`POST /deposit_addresses`: one address per chain."""
        raw = await self._private("/deposit_addresses", {"currency": currency})
        return _deposit_addresses(raw).data

    async def deposit_history(
        self,
        currency: str | None = None,
        *,
        page: int = 1,
        limit: int | None = None,
        state: str | None = None,
    ) -> s.Deposits:
        """`POST /deposit_history`."""
        data: dict[str, Any] = {"page": page}
        data |= {} if limit is None else {"limit": limit}
        data |= _some(currency=currency, state=state)
        return _deposits(await self._private("/deposit_history", data))

    async def withdraw_history(
        self, currency: str | None = None, *, page: int = 1, limit: int = 100
    ) -> s.Withdrawals:
        """`POST /withdraw_history`."""
        data: dict[str, Any] = {"page": page, "limit": limit} | _some(currency=currency)
        return _withdrawals(await self._private("/withdraw_history", data))

    # -- sending -----------------------------------------------------------------------------------

    async def _public(self, path: str, params: Params) -> msgspec.Raw:
        body = urlencode(params).encode()

        async def once() -> msgspec.Raw:
            await self._acquire(SCOPE_PUBLIC, "query", 1)
            return await self._send("POST", path, body, "read", SCOPE_PUBLIC)

        return await repeated(once, self._reads)

    async def _private(
        self,
        path: str,
        data: Mapping[str, Any],
        *,
        purpose: Purpose = "read",
        method: str = "POST",
        orders: int = 0,
    ) -> msgspec.Raw:
        async def once() -> msgspec.Raw:
            return await self._signed(path, data, purpose, method, orders)

        return await (repeated(once, self._reads) if purpose == "read" else once())

    async def _signed(
        self, path: str, data: Mapping[str, Any], purpose: Purpose, method: str, orders: int
    ) -> msgspec.Raw:
        if self._signer is None:
            raise VenueError(
                VenueErrorKind.AUTH,
                "OCEANEX-NO-KEY",
                f"{path} needs credentials; this adapter was made without",
            )
        priority: Priority = "query" if purpose == "read" else purpose
        if orders:
            await self._acquire(SCOPE_ORDERS, priority, orders, goes_out=False)
        await self._acquire(SCOPE_PRIVATE, priority, 1)
        form = urlencode({"user_jwt": self._signer.token(data)})
        scope = SCOPE_ORDERS if orders else SCOPE_PRIVATE
        if method == "GET" and self._options.orders_get_jwt == "query":
            return await self._send("GET", f"{path}?{form}", b"", purpose, scope)
        return await self._send(method, path, form.encode(), purpose, scope)

    async def _acquire(
        self, scope: str, priority: Priority, weight: int, *, goes_out: bool = True
    ) -> None:
        try:
            await self.limiter.acquire(scope, priority, weight, goes_out=goes_out)
        except RateLimited as e:
            raise VenueError(
                VenueErrorKind.RATE_LIMITED,
                "OCEANEX-RATE-BUDGET",
                f"not sent: {e}",
                e.retry_after_secs,
            ) from e

    async def _send(
        self, method: str, path: str, body: bytes, purpose: Purpose, scope: str
    ) -> msgspec.Raw:
        """Send once and open the envelope. Raises VenueError."""
        request = HttpRequest(
            method=method,
            url=f"{self._options.http_url}{path}",
            headers=_FORM,
            body=body,
            timeout_secs=self._options.request_timeout_secs,
        )
        try:
            response = await self._transport.request(request)
        except TransportError as e:
            # The token must not follow the error into a log.
            raise errors.transport_error(e) from None
        wait_secs = retry_after_secs(response.headers, self._now_ns())
        try:
            return _opened(response, purpose, wait_secs)
        except VenueError as e:
            if response.status in LIMITED_STATUSES:
                self.limiter.limited(scope, response.status, wait_secs)
            elif e.kind is VenueErrorKind.RATE_LIMITED:
                self.limiter.penalise(scope, e.retry_after_secs)
            raise


def _opened(response: HttpResponse, purpose: Purpose, wait_secs: float = 0.0) -> msgspec.Raw:
    """Return `data` of a success. `wait_secs` is what the answer asks for. Raises VenueError.

    The venue's code decides, not the HTTP status; but a server error proves nothing about a
    request, and a redirect or a page in place of JSON isn't the venue speaking.
    """
    status = response.status
    if status in LIMITED_STATUSES or status >= 500 or 300 <= status < 400:
        raise _status_error(response, wait_secs)
    try:
        answer = parse.envelope(response.body)
    except ParseError:
        raise _status_error(response, wait_secs) from None
    if answer.code == 0:
        if status >= 400:
            raise _status_error(response, wait_secs)
        return answer.data
    code, message, wrapped = parse.opened_error(answer)
    raise errors.code_error(code, message, purpose, wrapped=wrapped)


def _status_error(response: HttpResponse, wait_secs: float) -> VenueError:
    excerpt = parse.bounded(response.body[:200].decode(errors="replace"))
    return errors.status_error(response.status, wait_secs, excerpt)


def _some(**params: object) -> dict[str, str]:
    return {name: str(value) for name, value in params.items() if value is not None}


def _list(name: str, values: Sequence[str]) -> list[tuple[str, str]]:
    return [(name, value) for value in values]
