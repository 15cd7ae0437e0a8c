"""What the handlers of the simulated Binance work on: `BinanceState`."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Unpack

import msgspec

from fairlead.adapters.binance.simulator_algobook import AlgoBook
from fairlead.adapters.binance.simulator_auth import ApiError, Authenticator, Credentials
from fairlead.adapters.binance.simulator_limits import Limits
from fairlead.adapters.binance.simulator_markets import (
    BinanceSimOptions,
    Product,
    SimMarket,
    millis,
)
from fairlead.adapters.binance.simulator_news import ListenKeys, UserNews
from fairlead.adapters.binance.simulator_positions import UsdmAccount
from fairlead.adapters.simulation.exchange import ExchangeListener, ExchangeOptions
from fairlead.adapters.simulation.shell import SimState, Start
from fairlead.engine.orders.model import Side

SPOT_ACCOUNT, USDM_ACCOUNT = "spot", "usdm"
FIRST_ORDER_ID = 8_389_765_000_000  # beyond 2**32, as on the venue
FIRST_TRADE_ID = 3_500_000_000
# What the futures account pledges to the exchange, which knows no debts: of each contract and of
# the margin's currency. A position is what the account has of a contract beyond it.
PLEDGE = Decimal(10) ** 12


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request: parameters of query and body, and the product that it is about."""

    product: Product
    params: Mapping[str, str]
    remote: str = ""
    key: str | None = None  # the API key's header

    def need(self, name: str) -> str:
        """Raises ApiError -1102."""
        value = self.params.get(name)
        if value is None or value == "":
            raise ApiError(
                -1102,
                f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.",
            )
        return value


class BookClock(ExchangeListener):
    """The update ids of books: each changed level is one.

    Spot counts by symbol, one after the other. Futures count over all symbols, so ids jump.
    """

    def __init__(self, markets: Mapping[str, SimMarket], first: int) -> None:
        self._markets = markets
        self._usdm = first
        self.ids = dict.fromkeys(markets, first)
        self.changes: list[tuple[str, Side, Decimal, Decimal, int]] = []
        self.is_watched = False  # nobody takes the changes where nobody watches

    def book_changed(self, market: str, side: Side, price: Decimal, size: Decimal) -> None:
        if self._markets[market].product is Product.SPOT:
            self.ids[market] += 1
        else:
            self._usdm += 1
            self.ids[market] = self._usdm
        if self.is_watched:
            self.changes.append((market, side, price, size, self.ids[market]))

    def take(self) -> list[tuple[str, Side, Decimal, Decimal, int]]:
        changes, self.changes = self.changes, []
        return changes


class BinanceState(SimState[BinanceSimOptions]):
    """Markets, keys, request counts and books' update ids."""

    def __init__(self, options: BinanceSimOptions | None = None, **start: Unpack[Start]) -> None:
        options = options or BinanceSimOptions()
        matching = ExchangeOptions(
            first_order_id=FIRST_ORDER_ID,
            first_trade_id=FIRST_TRADE_ID,
            self_trade="expire_taker",
            duplicate_client_ids="open",
        )
        self.markets = {market.id: market for market in options.markets}
        listed = [
            (market.spec(options.fees(market.product)), market.start_price)
            for market in options.markets
        ]
        super().__init__(options, SPOT_ACCOUNT, listed, matching, **start)
        self.book_clock = BookClock(self.markets, start["now_ns"] // 1_000)
        self.exchange.listeners.append(self.book_clock)
        self.credentials = Credentials.of_seed(self.seed)
        self.auth = Authenticator(self.credentials)
        self.limits = {
            Product.SPOT: Limits(options.spot_weights, options.spot_orders_10s),
            Product.USDM: Limits(options.usdm_weights, options.usdm_orders_10s),
        }
        self.started_ms = self.now_ms
        self._open_usdm(start["now_ns"])
        self.keys = ListenKeys(self.seed)
        self.algos = AlgoBook(self.exchange, start.get("ids_from", 0))
        self.news = UserNews(self.exchange, self.usdm, self.markets)
        self._by_symbol = {(one.product, one.symbol): one for one in options.markets}
        self._names = 0

    def _open_usdm(self, now_ns: int) -> None:
        markets = self.of_product(Product.USDM)
        self.exchange.open_account(USDM_ACCOUNT)
        for currency in dict.fromkeys(name for one in markets for name in (one.id, one.quote)):
            self.exchange.adjust(USDM_ACCOUNT, currency, PLEDGE, Decimal(0), "pledge", now_ns)
        symbols = [market.symbol for market in markets]
        self.usdm = UsdmAccount(self.options.margin, self.options.leverage, symbols)

    @property
    def now_ms(self) -> int:
        return millis(self.exchange.now_ns)

    def of_product(self, product: Product) -> list[SimMarket]:
        return [market for market in self.markets.values() if market.product is product]

    def market(self, product: Product, symbol: str) -> SimMarket:
        """Raises ApiError -1121."""
        found = self._by_symbol.get((product, symbol.upper()))
        if found is None:
            raise ApiError(-1121)
        return found

    def market_of(self, call: Call) -> SimMarket:
        """Of the parameter `symbol`. Raises ApiError -1102 or -1121."""
        return self.market(call.product, call.need("symbol"))

    def last_price(self, market: SimMarket) -> Decimal:
        """The last trade's, also the mark and index price: there is one exchange to look at."""
        return self.exchange.markets[market.id].tape.last_price or market.start_price

    def new_name(self) -> str:
        """A client order id for who sent none."""
        self._names += 1
        return f"web_{self.started_ms:x}{self._names:06x}"
