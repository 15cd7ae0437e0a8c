"""Every REST endpoint of the venue, typed, one function each (document sections 0 to 3).

Every function raises `VenueError`, classified by `errors.py`, and nothing else. The bytes that are
signed are the bytes that are sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Literal, TypedDict, Unpack
from urllib.parse import quote

import msgspec

from fairlead.adapters.base.clock import VenueClock
from fairlead.adapters.base.decode import Answer
from fairlead.adapters.base.http import Call, Purpose, VenueHttp
from fairlead.adapters.base.limits import READ_LIMITS, ReadLimits
from fairlead.adapters.base.ratelimit import Rate, RateLimiter
from fairlead.adapters.base.transport import HttpRequest, HttpResponse, HttpTransport
from fairlead.adapters.base.venue import VenueError, VenueErrorKind
from fairlead.adapters.poloniex import schemas as s
from fairlead.adapters.poloniex.config import PoloniexOptions
from fairlead.adapters.poloniex.errors import OK, http_error, read_error_body, venue_error
from fairlead.adapters.poloniex.signing import encode_query, sign, string_to_sign
from fairlead.engine.secrets import Secret

PUBLIC, PRIVATE, BULK = "public", "private", "bulk"  # budgets (section 0)
CANCEL_RESERVE = 0.2  # share of each budget that creates can't use
CLOCK_TOLERANCE_NS = 1_000_000_000  # the venue's (section 3)
MS = 1_000_000  # nanoseconds
MAX_BATCH = 20  # orders in one batch create
MAX_OPEN_ORDERS = 2000  # page of open orders, and the venue's limit of open orders
MAX_HISTORY = 1000
MAX_CANDLES = 500
MAX_PUBLIC_TRADES = 1000
BOOK_LIMITS = (5, 10, 20, 50, 100, 150)

Direction = Literal["PRE", "NEXT"]


class HistoryFilters(TypedDict, total=False):
    """What of past orders is wanted; times are UNIX milliseconds."""

    symbol: str | None
    side: str | None
    type: str | None
    states: Sequence[str]
    from_id: str | None
    direction: Direction | None
    limit: int | None
    hide_cancel: bool | None
    start_ms: int | None
    end_ms: int | None
    account_type: str | None


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A create, regular or smart (sections 2.1 and 2.2). Numbers are decimal text.

    `quantity` is base. `amount` is quote, for a MARKET BUY. Without `type` the venue would make a
    MARKET order (trap 5): it is required here.
    """

    symbol: str
    side: str
    type: str
    time_in_force: str | None = None
    price: str | None = None
    quantity: str | None = None
    amount: str | None = None
    client_order_id: str | None = None
    account_type: str | None = None
    allow_borrow: bool | None = None
    stp_mode: str | None = None
    slippage_tolerance: str | None = None
    stop_price: str | None = None
    trailing_offset: str | None = None
    limit_offset: str | None = None
    operator: str | None = None


class ReplaceRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A cancel-replace; `client_order_id` is the new order's. Absent fields stay as they are."""

    price: str | None = None
    stop_price: str | None = None
    quantity: str | None = None
    amount: str | None = None
    type: str | None = None
    time_in_force: str | None = None
    allow_borrow: bool | None = None
    client_order_id: str | None = None
    proceed_on_failure: bool | None = None


def plain(value: Decimal) -> str:
    """Decimal text without an exponent."""
    return format(value, "f")


def order_path(base: str, order_id: str | None, client_order_id: str | None) -> str:
    """`/orders/{id}` or `/orders/cid:{clientOrderId}`."""
    if order_id is not None:
        return f"{base}/{quote(order_id, safe='')}"
    assert client_order_id is not None, "an order is named by either id"
    return f"{base}/cid:{quote(client_order_id, safe='')}"


class PoloniexHttp(VenueHttp):
    """The venue's REST API."""

    def __init__(
        self,
        options: PoloniexOptions,
        transport: HttpTransport,
        secrets: Mapping[str, Secret],
        now_ns: Callable[[], int],
        reads: ReadLimits = READ_LIMITS,
    ) -> None:
        self._options = options
        self._key, self._secret = secrets.get("key"), secrets.get("secret")
        self.clock = VenueClock(
            self._server_ns,
            code="POLONIEX",
            now_ns=now_ns,
            resolution_ns=MS,
            tolerance_ns=CLOCK_TOLERANCE_NS,
            check_secs=options.clock_check_secs,
        )
        limits = {
            PUBLIC: Rate(options.public_rate, 1.0),
            PRIVATE: Rate(options.private_rate, 1.0),
            BULK: Rate(options.bulk_rate, 1.0),
        }
        super().__init__(
            code="POLONIEX",
            base_url=options.http_url,
            transport=transport,
            limiter=RateLimiter(limits, CANCEL_RESERVE),
            now_ns=now_ns,
            timeout_secs=options.request_timeout_secs,
            is_keyed=self._key is not None and self._secret is not None,
            reads=reads,
            clock=self.clock,
        )

    # -- public: reference data (section 1) ----------------------------------------------------

    async def markets(self) -> list[s.Market]:
        return await self._public(_MARKETS, "/markets", BULK)

    async def market(self, symbol: str) -> s.Market:
        """The document leaves open whether one market comes alone or in a list."""
        found = await self._public(_MARKET, f"/markets/{symbol}")
        return _one(found, symbol)

    async def currencies(self, *, multi_chain: bool | None = None) -> dict[str, s.Currency]:
        rows = await self._public(
            _CURRENCIES, "/currencies", BULK, includeMultiChainCurrencies=multi_chain
        )
        return {name: currency for row in rows for name, currency in row.items()}

    async def currency(self, name: str, *, multi_chain: bool | None = None) -> s.Currency:
        row = await self._public(
            _CURRENCY, f"/currencies/{name}", BULK, includeMultiChainCurrencies=multi_chain
        )
        currencies: s.Currency | list[s.Currency] = list(row.values())
        return _one(currencies, name)

    async def currencies_v2(self) -> list[s.CurrencyV2]:
        return await self._public(_CURRENCIES_V2, "/v2/currencies", BULK)

    async def currency_v2(self, name: str) -> s.CurrencyV2:
        return _one(await self._public(_CURRENCY_V2, f"/v2/currencies/{name}", BULK), name)

    async def timestamp(self) -> s.ServerTime:
        return await self._public(_TIME, "/timestamp")

    # -- public: market data (section 1) -------------------------------------------------------

    async def prices(self) -> list[s.MarketPrice]:
        return await self._public(_PRICES, "/markets/price", BULK)

    async def price(self, symbol: str) -> s.MarketPrice:
        return await self._public(_PRICE, f"/markets/{symbol}/price")

    async def mark_prices(self) -> list[s.MarkPrice]:
        """Cross-margin symbols only."""
        return await self._public(_MARK_PRICES, "/markets/markPrice", BULK)

    async def mark_price(self, symbol: str) -> s.MarkPrice:
        return await self._public(_MARK_PRICE, f"/markets/{symbol}/markPrice")

    async def mark_price_components(self, symbol: str) -> s.MarkPriceComponents:
        return await self._public(_MARK_COMPONENTS, f"/markets/{symbol}/markPriceComponents")

    async def order_book(
        self, symbol: str, *, limit: int | None = None, scale: str | None = None
    ) -> s.OrderBook:
        """`limit` is one of BOOK_LIMITS; `scale` aggregates prices. There is no sequence id."""
        path = f"/markets/{symbol}/orderBook"
        return await self._public(_BOOK, path, limit=limit, scale=scale)

    async def candles(
        self,
        symbol: str,
        interval: str,
        *,
        limit: int | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> list[s.Candle]:
        """At most MAX_CANDLES; the last one may still be open."""
        return await self._public(
            _CANDLES,
            f"/markets/{symbol}/candles",
            interval=interval,
            limit=limit,
            startTime=start_ms,
            endTime=end_ms,
        )

    async def public_trades(self, symbol: str, *, limit: int | None = None) -> list[s.PublicTrade]:
        """The latest trades, at most MAX_PUBLIC_TRADES; there is no time window."""
        return await self._public(_PUBLIC_TRADES, f"/markets/{symbol}/trades", BULK, limit=limit)

    async def tickers(self) -> list[s.Ticker24h]:
        return await self._public(_TICKERS, "/markets/ticker24h", BULK)

    async def ticker(self, symbol: str) -> s.Ticker24h:
        return await self._public(_TICKER, f"/markets/{symbol}/ticker24h", BULK)

    # -- private: account (section 2) ----------------------------------------------------------

    async def accounts(self) -> list[s.Account]:
        return await self._private(_ACCOUNTS, "GET", "/accounts")

    async def balances(self, *, account_type: str | None = None) -> list[s.AccountBalances]:
        params = {"accountType": account_type}
        return await self._private(_BALANCES, "GET", "/accounts/balances", params=params)

    async def account_balances(self, account_id: str) -> list[s.AccountBalances]:
        return await self._private(_BALANCES, "GET", f"/accounts/{account_id}/balances")

    async def fee_info(self) -> s.FeeInfo:
        return await self._private(_FEES, "GET", "/feeinfo", group=BULK)

    # -- private: orders (section 2) -----------------------------------------------------------

    async def create_order(self, order: OrderRequest) -> s.Created:
        return await self._private(_CREATED, "POST", "/orders", body=order, purpose="create")

    async def create_orders(self, orders: Sequence[OrderRequest]) -> list[s.BatchItem]:
        """At most MAX_BATCH; the answer is positional and mixes successes and errors."""
        assert 0 < len(orders) <= MAX_BATCH, f"a batch has 1 to {MAX_BATCH} orders"
        return await self._private(
            _BATCH, "POST", "/orders/batch", group=BULK, body=list(orders), purpose="create"
        )

    async def replace_order(
        self,
        change: ReplaceRequest,
        *,
        order_id: str | None = None,
        client_order_id: str | None = None,
    ) -> s.Created:
        """Cancel-replace: the answer names the new order."""
        path = order_path("/orders", order_id, client_order_id)
        return await self._private(_CREATED, "PUT", path, group=BULK, body=change, purpose="create")

    async def open_orders(
        self,
        *,
        symbol: str | None = None,
        side: str | None = None,
        from_id: str | None = None,
        direction: Direction | None = None,
        limit: int | None = MAX_OPEN_ORDERS,
        account_type: str | None = None,
    ) -> list[s.Order]:
        """Regular orders only: smart ones have their own list (trap 18)."""
        params = {
            "symbol": symbol,
            "side": side,
            "from": from_id,
            "direction": direction,
            "limit": limit,
            "accountType": account_type,
        }
        return await self._private(_ORDERS, "GET", "/orders", group=BULK, params=params)

    async def order(
        self, *, order_id: str | None = None, client_order_id: str | None = None
    ) -> s.Order:
        path = order_path("/orders", order_id, client_order_id)
        return await self._private(_ORDER, "GET", path)

    async def cancel_order(
        self, *, order_id: str | None = None, client_order_id: str | None = None
    ) -> s.CancelItem:
        path = order_path("/orders", order_id, client_order_id)
        return await self._private(_CANCEL, "DELETE", path, purpose="cancel")

    async def cancel_orders(
        self, order_ids: Sequence[str] = (), client_order_ids: Sequence[str] = ()
    ) -> list[s.CancelItem]:
        """Per-item codes; an item with a code other than 200 was not cancelled."""
        body = {"orderIds": list(order_ids), "clientOrderIds": list(client_order_ids)}
        return await self._cancel("/orders/cancelByIds", body)

    async def cancel_all_orders(
        self, symbols: Sequence[str] = (), account_types: Sequence[str] = ()
    ) -> list[s.CancelItem]:
        """No symbols: everything."""
        body = {"symbols": list(symbols), "accountTypes": list(account_types)}
        return await self._cancel("/orders", body)

    async def order_history(self, **wanted: Unpack[HistoryFilters]) -> list[s.Order]:
        """Without both times the window is 7 days; cancelled orders are kept for 7 days only."""
        return await self._history(_ORDERS, "/orders/history", wanted)

    async def trades(
        self,
        *,
        symbols: Sequence[str] = (),
        from_page: str | None = None,
        direction: Direction | None = None,
        limit: int | None = MAX_HISTORY,
        start_ms: int | None = None,
        end_ms: int | None = None,
    ) -> list[s.Trade]:
        """Executions of the account; `from_page` is a `pageId`."""
        params = {
            "symbols": ",".join(symbols) or None,
            "from": from_page,
            "direction": direction,
            "limit": limit,
            "startTime": start_ms,
            "endTime": end_ms,
        }
        return await self._private(_TRADES, "GET", "/trades", group=BULK, params=params)

    async def order_trades(self, order_id: str) -> list[s.Trade]:
        path = order_path("/orders", order_id, None) + "/trades"
        return await self._private(_TRADES, "GET", path)

    async def kill_switch(self, timeout_secs: int) -> s.KillSwitch:
        """Arm (10 to 600 s), re-arm, or disable (-1): on expiry the venue cancels every order."""
        assert timeout_secs == -1 or 10 <= timeout_secs <= 600, "-1, or 10 to 600 seconds"
        body = {"timeout": str(timeout_secs)}
        return await self._private(_KILL, "POST", "/orders/killSwitch", body=body, purpose="cancel")

    async def kill_switch_status(self) -> s.KillSwitch:
        """Raises VenueError NOT_FOUND (25020) when none is armed."""
        return await self._private(_KILL, "GET", "/orders/killSwitchStatus")

    # -- private: smart orders (section 2.2) ---------------------------------------------------

    async def create_smart_order(self, order: OrderRequest) -> s.Created:
        return await self._private(_CREATED, "POST", "/smartorders", body=order, purpose="create")

    async def open_smart_orders(self, *, limit: int | None = None) -> list[s.SmartOrder]:
        params = {"limit": limit}
        return await self._private(_SMARTS, "GET", "/smartorders", group=BULK, params=params)

    async def smart_order(
        self, *, order_id: str | None = None, client_order_id: str | None = None
    ) -> s.SmartOrder:
        """An object or a list of one: clients disagree (section 2.2)."""
        path = order_path("/smartorders", order_id, client_order_id)
        return _one(await self._private(_SMART, "GET", path), "smart order")

    async def replace_smart_order(
        self,
        change: ReplaceRequest,
        *,
        order_id: str | None = None,
        client_order_id: str | None = None,
    ) -> s.Created:
        path = order_path("/smartorders", order_id, client_order_id)
        return await self._private(_CREATED, "PUT", path, group=BULK, body=change, purpose="create")

    async def cancel_smart_order(
        self, *, order_id: str | None = None, client_order_id: str | None = None
    ) -> s.CancelItem:
        path = order_path("/smartorders", order_id, client_order_id)
        return await self._private(_CANCEL, "DELETE", path, purpose="cancel")

    async def cancel_smart_orders(
        self, order_ids: Sequence[str] = (), client_order_ids: Sequence[str] = ()
    ) -> list[s.CancelItem]:
        """Per-item codes; an item with a code other than 200 was not cancelled."""
        body = {"orderIds": list(order_ids), "clientOrderIds": list(client_order_ids)}
        return await self._cancel("/smartorders/cancelByIds", body)

    async def cancel_all_smart_orders(
        self, symbols: Sequence[str] = (), account_types: Sequence[str] = ()
    ) -> list[s.CancelItem]:
        """No symbols: everything."""
        body = {"symbols": list(symbols), "accountTypes": list(account_types)}
        return await self._cancel("/smartorders", body)

    async def smart_order_history(self, **wanted: Unpack[HistoryFilters]) -> list[s.SmartOrder]:
        return await self._history(_SMARTS, "/smartorders/history", wanted)

    # -- sending -------------------------------------------------------------------------------

    async def _server_ns(self) -> int:
        return (await self.timestamp()).server_time * MS

    async def _public[T](
        self, answer: Answer[T], path: str, group: str = PUBLIC, **params: object
    ) -> T:
        return await self._ask(answer, Call(path=path, budgets=((group, 1),), query=_text(params)))

    async def _private[T](
        self,
        answer: Answer[T],
        method: str,
        path: str,
        *,
        group: str = PRIVATE,
        params: Mapping[str, object] | None = None,
        body: object = None,
        purpose: Purpose = "read",
    ) -> T:
        call = Call(
            method=method,
            path=path,
            budgets=((group, 1),),
            purpose=purpose,
            is_signed=True,
            query=_text(params or {}),
            data=b"" if body is None else msgspec.json.encode(body),
        )
        return await self._ask(answer, call)

    async def _cancel(self, path: str, body: Mapping[str, object]) -> list[s.CancelItem]:
        return await self._private(
            _CANCELS, "DELETE", path, group=BULK, body=body, purpose="cancel"
        )

    async def _history[T](self, answer: Answer[T], path: str, wanted: HistoryFilters) -> T:
        params = {
            "symbol": wanted.get("symbol"),
            "side": wanted.get("side"),
            "type": wanted.get("type"),
            "states": ",".join(wanted.get("states", ())) or None,
            "from": wanted.get("from_id"),
            "direction": wanted.get("direction"),
            "limit": wanted.get("limit", MAX_HISTORY),
            "hideCancel": wanted.get("hide_cancel"),
            "startTime": wanted.get("start_ms"),
            "endTime": wanted.get("end_ms"),
            "accountType": wanted.get("account_type"),
        }
        return await self._private(answer, "GET", path, group=BULK, params=params)

    def _request(self, call: Call) -> HttpRequest:
        query, body = encode_query(call.query), call.data or b""
        return HttpRequest(
            method=call.method,
            url=f"{self._base_url}{call.path}{'?' if query else ''}{query}",
            headers=self._headers(call, body) if call.is_signed else {},
            body=body,
            timeout_secs=self._timeout_secs,
        )

    def _headers(self, call: Call, body: bytes) -> dict[str, str]:
        """Section 3."""
        assert self._key is not None, "a signed request has a key"
        assert self._secret is not None, "a signed request has a secret"
        stamp = self.clock.now_ns() // MS
        text = string_to_sign(call.method, call.path, stamp, call.query, body)
        headers = {
            "key": self._key.reveal(),
            "signTimestamp": str(stamp),
            "signature": sign(self._secret.reveal(), text),
        }
        if self._options.recv_window_ms is not None:
            headers["recvWindow"] = str(self._options.recv_window_ms)
        if body:
            headers["Content-Type"] = "application/json"
        return headers

    def _opened(self, call: Call, response: HttpResponse, wait_secs: float) -> bytes:
        if not 200 <= response.status < 300:
            raise http_error(response.status, response.body, wait_secs)
        told = read_error_body(response.body)
        if told is not None and told.code != OK:
            raise venue_error(told.code, told.message)
        return response.body


def _text(params: Mapping[str, object]) -> dict[str, str]:
    """Parameters that are there, as the query writes them."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in params.items()
        if value is not None
    }


def _alone_or_listed[T](type_: type[T]) -> Answer[T | list[T]]:
    return Answer(type_ | list[type_])  # type: ignore[valid-type, arg-type]


def _one[T](found: T | list[T], what: str) -> T:
    if not isinstance(found, list):
        return found
    if not found:
        raise VenueError(VenueErrorKind.NOT_FOUND, "POLONIEX-EMPTY", f"{what}: an empty list")
    return found[0]


_MARKETS = Answer(list[s.Market])
_MARKET = _alone_or_listed(s.Market)
_CURRENCIES = Answer(list[dict[str, s.Currency]])
_CURRENCY = Answer(dict[str, s.Currency])
_CURRENCIES_V2 = Answer(list[s.CurrencyV2])
_CURRENCY_V2 = _alone_or_listed(s.CurrencyV2)
_TIME = Answer(s.ServerTime)
_PRICES = Answer(list[s.MarketPrice])
_PRICE = Answer(s.MarketPrice)
_MARK_PRICES = Answer(list[s.MarkPrice])
_MARK_PRICE = Answer(s.MarkPrice)
_MARK_COMPONENTS = Answer(s.MarkPriceComponents)
_BOOK = Answer(s.OrderBook)
_CANDLES = Answer(list[s.Candle])
_PUBLIC_TRADES = Answer(list[s.PublicTrade])
_TICKERS = Answer(list[s.Ticker24h])
_TICKER = Answer(s.Ticker24h)
_ACCOUNTS = Answer(list[s.Account])
_BALANCES = Answer(list[s.AccountBalances])
_FEES = Answer(s.FeeInfo)
_CREATED = Answer(s.Created)
_BATCH = Answer(list[s.BatchItem])
_ORDERS = Answer(list[s.Order])
_ORDER = Answer(s.Order)
_CANCEL = Answer(s.CancelItem)
_CANCELS = Answer(list[s.CancelItem])
_TRADES = Answer(list[s.Trade])
_KILL = Answer(s.KillSwitch)
_SMARTS = Answer(list[s.SmartOrder])
_SMART = _alone_or_listed(s.SmartOrder)
