"""What happened to the accounts of the simulated Binance since it was last told of."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from fairlead.adapters.binance.simulator_markets import Product, SimMarket, millis
from fairlead.adapters.binance.simulator_positions import ZERO, OrderMeta, Position, UsdmAccount
from fairlead.adapters.simulation.exchange import Exchange, ExchangeListener
from fairlead.adapters.simulation.orders import FillEntry, SimOrder, Status


class OrderNews(msgspec.Struct, kw_only=True):
    """An order changed: copies of how it, and what goes with it, was just after.

    `event` is one of the exchange's (`OrderEntry`), `filled` with `fill`. The rest is of futures.
    """

    order: SimOrder
    event: str
    ts_event: int
    fill: FillEntry | None = None
    profit: Decimal = ZERO
    meta: OrderMeta | None = None
    position: Position | None = None
    wallet: Decimal = ZERO


class UserNews(ExchangeListener):
    """Hears the exchange; books futures fills into the account at once."""

    def __init__(
        self, exchange: Exchange, usdm: UsdmAccount, markets: Mapping[str, SimMarket]
    ) -> None:
        self.pending: OrderMeta | None = None  # of the futures order that is being placed
        self.profits: dict[tuple[int, int], Decimal] = {}  # by order and trade
        self.cancel_names: dict[int, str] = {}  # what a spot cancel was called, by order
        self._exchange = exchange
        self._usdm = usdm
        self._markets = markets
        self._orders: list[OrderNews] = []
        self._currencies: dict[str, None] = {}
        exchange.listeners.append(self)

    def take(self) -> tuple[list[OrderNews], list[str]]:
        """Orders, and spot currencies whose balance changed."""
        orders, self._orders = self._orders, []
        currencies, self._currencies = [*self._currencies], {}
        return orders, currencies

    def order_changed(self, order: SimOrder, event: str) -> None:
        meta = self._meta(order, event)
        if event == "filled":
            self._end_of_value(order)
        elif meta is None or not meta.is_clipped_now:
            self._orders.append(
                OrderNews(
                    order=copy.copy(order),
                    event=event,
                    ts_event=self._exchange.now_ns,
                    meta=copy.copy(meta),
                )
            )

    def _meta(self, order: SimOrder, event: str) -> OrderMeta | None:
        if self._markets[order.market].product is Product.SPOT:
            return None
        if event == "accepted":
            assert self.pending is not None, "a futures order comes through the venue"
            self._usdm.metas[order.id], self.pending = self.pending, None
        return self._usdm.metas[order.id]

    def _end_of_value(self, order: SimOrder) -> None:
        """A market buy by value is over after its last fill, which was told as if it were not."""
        if order.quote_amount is not None and order.status is Status.FILLED:
            for news in reversed(self._orders):
                if news.order.id == order.id and news.fill is not None:
                    news.order.status = Status.FILLED
                    news.order.quantity = order.quantity
                    return

    def filled(self, fill: FillEntry) -> None:
        order = self._exchange.order(fill.account, fill.order_id)
        assert order is not None, "a fill without its order"
        news = OrderNews(order=copy.copy(order), event="filled", ts_event=fill.ts_event, fill=fill)
        market = self._markets[fill.market]
        if market.product is Product.USDM:
            meta = self._usdm.metas[order.id]
            cost = fill.quantity, fill.price, fill.fee
            now_ms = millis(fill.ts_event)
            news.profit = self._usdm.fill(market.symbol, meta, fill.side, cost, now_ms)
            self.profits[fill.order_id, fill.trade_id] = news.profit
            news.meta = copy.copy(meta)
            news.position = copy.copy(self._usdm.position(market.symbol, meta.position_side))
            news.wallet = self._usdm.wallet
        self._orders.append(news)

    def balance_changed(self, account: str, currency: str) -> None:
        if account == "spot":
            self._currencies[currency] = None


class ListenKeys:
    """The keys of accounts' streams: valid for an hour since they were asked for or kept alive."""

    VALID_MS = 3_600_000

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._made = 0
        self._valid: dict[tuple[Product, str], int] = {}  # until, ms

    def start(self, product: Product, now_ms: int) -> str:
        """The one that is valid, or a new one."""
        for (of, key), until in self._valid.items():
            if of is product and now_ms < until:
                self._valid[of, key] = now_ms + self.VALID_MS
                return key
        self._made += 1
        key = f"{product.value}listen{self._seed:x}key{now_ms:x}{self._made:04d}"
        self._valid[product, key] = now_ms + self.VALID_MS
        return key

    def keep(self, product: Product, key: str, now_ms: int) -> bool:
        if not self.is_valid(product, key, now_ms):
            return False
        self._valid[product, key] = now_ms + self.VALID_MS
        return True

    def end(self, product: Product, key: str) -> bool:
        return self._valid.pop((product, key), None) is not None

    def is_valid(self, product: Product, key: str, now_ms: int) -> bool:
        return now_ms < self._valid.get((product, key), 0)

    def only(self, product: Product, now_ms: int) -> str:
        """The valid key of an account, which futures' calls need not name; empty for none."""
        valid = (k for (of, k), until in self._valid.items() if of is product and now_ms < until)
        return next(valid, "")

    def expire(self) -> None:
        """All of them, now."""
        self._valid = dict.fromkeys(self._valid, 0)

    def take_expired(self, now_ms: int) -> list[tuple[Product, str]]:
        expired = [key for key, until in self._valid.items() if until <= now_ms]
        for key in expired:
            del self._valid[key]
        return expired
