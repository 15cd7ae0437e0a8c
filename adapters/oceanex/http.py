"""Every REST endpoint of the venue's document, typed, one method each (sections 1.1, 1.2, 2).

Each method raises VenueError, whose kind says what the failure proves about this request.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import urlencode

import msgspec

from fairlead.adapters.base.clock import VenueClock
from fairlead.adapters.base.decode import Answer, bounded
from fairlead.adapters.base.http import Call, Purpose, VenueHttp
from fairlead.adapters.base.limits import READ_LIMITS, ReadLimits
from fairlead.adapters.base.ratelimit import LIMITED_STATUSES, Rate, RateLimiter
from fairlead.adapters.base.transport import HttpRequest, HttpResponse, HttpTransport
from fairlead.adapters.base.venue import ParseError, VenueError, VenueErrorKind
from fairlead.adapters.oceanex import errors, parse
from fairlead.adapters.oceanex import schemas as s
from fairlead.adapters.oceanex.config import OceanexOptions
from fairlead.adapters.oceanex.signing import Signer
from fairlead.adapters.oceanex.symbols import is_market

SCOPE_ORDERS = "orders"  # created orders, counted one by one
SCOPE_PRIVATE = "private"
SCOPE_PUBLIC = "public"
MAX_TRADES = 1_000
MAX_CANDLES = 10_000
MAX_FILTER_PAGE = 100
NS_PER_SEC = parse.NS_PER_SEC
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}

Params = Mapping[str, Any] | Sequence[tuple[str, str]]


_markets = Answer(list[s.Market])
_ticker = Answer(s.TickerAt)
_tickers_multi = Answer(list[s.TickerAt])
_tickers = Answer(dict[str, s.MarketTicker])
_order_book = Answer(s.OrderBook)
_order_books = Answer(list[s.OrderBook])
_trades = Answer(list[s.Trade])
_candles = Answer(list[s.Candle])
_fees = Answer(list[s.TradingFee])
_timestamp = Answer(int)
_keys = Answer(list[s.ApiKey])
_member = Answer(s.Member)
_order = Answer(s.Order)
_orders = Answer(list[s.Order])
_rows = Answer(list[msgspec.Raw])
_groups = Answer(list[s.OrderGroup])
_withdrawal = Answer(s.Withdrawal)
_withdrawals = Answer(s.Withdrawals)
_deposit_address = Answer(s.DepositAddress)
_deposit_addresses = Answer(s.DepositAddressesData)
_deposits = Answer(s.Deposits)


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


class OceanexHttp(VenueHttp):
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
        self._signer = signer
        requests = Rate(options.requests_per_minute, 60.0)
        limits = {
            SCOPE_ORDERS: Rate(options.orders_per_minute, 60.0),
            SCOPE_PRIVATE: requests,
            SCOPE_PUBLIC: requests,
        }
        self.clock = VenueClock(
            self._server_ns, code="OCEANEX", now_ns=now_ns, resolution_ns=NS_PER_SEC
        )
        super().__init__(
            code="OCEANEX",
            base_url=options.http_url,
            transport=transport,
            limiter=limiter or RateLimiter(limits, options.rate_reserve, options.rate_wait_secs),
            now_ns=now_ns,
            timeout_secs=options.request_timeout_secs,
            is_keyed=signer is not None,
            reads=reads,
            clock=None if options.jwt_ttl_secs is None else self.clock,
        )

    # -- public (1.1) ------------------------------------------------------------------------------

    async def markets(self, show_details: bool = True) -> list[s.Market]:
        """`POST /markets`."""
        params = {"show_details": "true"} if show_details else {}
        return await self._public(_markets, "/markets", params)

    async def ticker(self, market: str) -> s.TickerAt:
        """`POST /tickers/{market}`."""
        if not is_market(market):
            raise VenueError(
                VenueErrorKind.REFUSED, "OCEANEX-UNKNOWN-MARKET", f"no market {market[:40]!r}"
            )
        return await self._public(_ticker, f"/tickers/{market}", {})

    async def tickers_multi(self, markets: Sequence[str]) -> list[s.TickerAt]:
        """`POST /tickers_multi`."""
        return await self._public(_tickers_multi, "/tickers_multi", _list("markets[]", markets))

    async def tickers(self) -> dict[str, s.MarketTicker]:
        """`POST /tickers`: every market, by id."""
        return await self._public(_tickers, "/tickers", {})

    async def order_book(self, market: str, limit: int | None = None) -> s.OrderBook:
        """`POST /order_book`: both sides high to low; the venue's default depth is 300."""
        params = {"market": market} | _some(limit=limit)
        return await self._public(_order_book, "/order_book", params)

    async def order_book_multi(
        self, markets: Sequence[str], limit: int | None = None
    ) -> list[s.OrderBook]:
        """`POST /order_book/multi`."""
        params = _list("markets[]", markets)
        if limit is not None:
            params.append(("limit", str(limit)))
        return await self._public(_order_books, "/order_book/multi", params)

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
        return await self._public(_trades, "/trades", params)

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
        return await self._public(_candles, "/k", params)

    async def trading_fees(self) -> list[s.TradingFee]:
        """`POST /fees/trading`."""
        return await self._public(_fees, "/fees/trading", {})

    async def timestamp(self) -> int:
        """`POST /timestamp`: the venue's clock, epoch seconds."""
        return await self._public(_timestamp, "/timestamp", {})

    # -- account (1.2) -----------------------------------------------------------------------------

    async def key(self) -> list[s.ApiKey]:
        """`POST /key`: scopes and state of the account's keys."""
        return await self._private(_keys, "/key", {})

    async def member(self) -> s.Member:
        """`POST /members/me`: balances."""
        return await self._private(_member, "/members/me", {})

    # -- orders (1.2) ------------------------------------------------------------------------------

    async def create_order(self, order: NewOrder) -> s.Order:
        """`POST /orders`. UNKNOWN unless the answer proves otherwise."""
        data = msgspec.to_builtins(order)
        return await self._private(_order, "/orders", data, purpose="create", orders=1)

    async def create_orders(self, market: str, orders: Sequence[NewOrder]) -> list[msgspec.Raw]:
        """`POST /orders/multi`: rows as they came; one market per call."""
        data = {"market": market, "orders": [msgspec.to_builtins(order) for order in orders]}
        return await self._private(
            _rows, "/orders/multi", data, purpose="create", orders=len(orders)
        )

    async def orders(self, ids: Sequence[int]) -> list[s.Order]:
        """`GET /orders`: states by id, in any order. POST would create."""
        return await self._private(_orders, "/orders", {"ids": list(ids)}, method="GET")

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
        return await self._private(_groups, "/orders/filter", data)

    async def cancel_order(self, order_id: int) -> s.Order:
        """`POST /order/delete`; the answer isn't final (4.5)."""
        return await self._private(_order, "/order/delete", {"id": order_id}, purpose="cancel")

    async def cancel_orders(self, ids: Sequence[int]) -> list[s.Order]:
        """`POST /order/delete/multi`; the answer isn't final (4.5)."""
        data = {"ids": list(ids)}
        return await self._private(_orders, "/order/delete/multi", data, purpose="cancel")

    async def clear_orders(self, side: Literal["buy", "sell"] | None = None) -> list[s.Order]:
        """`POST /orders/clear`: cancels in **every** market; `side` is the only filter (4.11)."""
        data = {} if side is None else {"side": side}
        return await self._private(_orders, "/orders/clear", data, purpose="cancel")

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
        return await self._private(_withdrawal, "/withdraws/special/new", data, purpose="create")

    async def deposit_address(self, currency: str) -> s.DepositAddress:
        """`POST /deposit_address`."""
        return await self._private(_deposit_address, "/deposit_address", {"currency": currency})

    async def deposit_addresses(self, currency: str) -> s.DepositAddresses:
        """`POST /deposit_addresses`: one address per chain."""
        answer = await self._private(
            _deposit_addresses, "/deposit_addresses", {"currency": currency}
        )
        return answer.data

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
        return await self._private(_deposits, "/deposit_history", data)

    async def withdraw_history(
        self, currency: str | None = None, *, page: int = 1, limit: int = 100
    ) -> s.Withdrawals:
        """`POST /withdraw_history`."""
        data: dict[str, Any] = {"page": page, "limit": limit} | _some(currency=currency)
        return await self._private(_withdrawals, "/withdraw_history", data)

    # -- sending -----------------------------------------------------------------------------------

    async def _server_ns(self) -> int:
        return await self.timestamp() * NS_PER_SEC

    async def _public[T](self, answer: Answer[T], path: str, params: Params) -> T:
        call = Call(method="POST", path=path, budgets=((SCOPE_PUBLIC, 1),), data=params)
        return await self._ask(answer, call)

    async def _private[T](
        self,
        answer: Answer[T],
        path: str,
        data: Mapping[str, Any],
        *,
        purpose: Purpose = "read",
        method: str = "POST",
        orders: int = 0,
    ) -> T:
        counted = ((SCOPE_ORDERS, orders),) if orders else ()
        call = Call(
            method=method,
            path=path,
            budgets=(*counted, (SCOPE_PRIVATE, 1)),
            purpose=purpose,
            is_signed=True,
            data=data,
        )
        return await self._ask(answer, call)

    def _request(self, call: Call) -> HttpRequest:
        params, path = call.data, call.path
        if call.is_signed:
            assert self._signer is not None, "a signed request has a key"
            params = {"user_jwt": self._signer.token(call.data)}
        form = urlencode(params)
        if call.method == "GET" and self._options.orders_get_jwt == "query":
            path, form = f"{path}?{form}", ""
        return HttpRequest(
            method=call.method,
            url=f"{self._base_url}{path}",
            headers=_FORM,
            body=form.encode(),
            timeout_secs=self._timeout_secs,
        )

    def _opened(self, call: Call, response: HttpResponse, wait_secs: float) -> msgspec.Raw:
        return _opened(response, wait_secs)


def _opened(response: HttpResponse, wait_secs: float = 0.0) -> msgspec.Raw:
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
    raise errors.code_error(code, message, wrapped=wrapped)


def _status_error(response: HttpResponse, wait_secs: float) -> VenueError:
    excerpt = bounded(response.body[:200].decode(errors="replace"))
    return errors.status_error(response.status, wait_secs, excerpt)


def _some(**params: object) -> dict[str, str]:
    return {name: str(value) for name, value in params.items() if value is not None}


def _list(name: str, values: Sequence[str]) -> list[tuple[str, str]]:
    return [(name, value) for value in values]
