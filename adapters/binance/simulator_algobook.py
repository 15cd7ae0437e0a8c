"""Conditional orders of the simulated Binance's futures, while they wait: `AlgoBook`."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from fairlead.adapters.binance.simulator_markets import SimMarket
from fairlead.adapters.simulation.exchange import Exchange, ExchangeListener
from fairlead.adapters.simulation.orders import ZERO, Trade
from fairlead.engine.orders.model import Side

FIRST_ALGO_ID = 1_000_000_100_000_000
OVER = ("CANCELED", "EXPIRED", "REJECTED", "FINISHED")


class AlgoOrder(msgspec.Struct, kw_only=True):
    id: int
    name: str  # clientAlgoId
    market: SimMarket
    side: Side
    type: str
    time_in_force: str
    price: Decimal | None
    quantity: Decimal
    trigger: Decimal
    working_type: str
    position_side: str
    is_reduce_only: bool
    is_closing: bool
    good_till_ms: int
    created_ms: int
    updated_ms: int
    status: str = "NEW"
    triggered_ms: int = 0
    order_id: int = 0
    callback: Decimal = ZERO  # percent that the price comes back by, of a trailing stop
    activate: Decimal | None = None  # the price from which it follows; None: at once
    best: Decimal | None = None  # since it follows

    @property
    def is_trailing(self) -> bool:
        return self.type == "TRAILING_STOP_MARKET"

    @property
    def is_rising(self) -> bool:
        """Whether the price has to rise to the trigger: stops of buys, profits of sells."""
        return self.type.startswith("STOP") == (self.side is Side.BUY)

    @property
    def trigger_now(self) -> Decimal:
        """Of a trailing stop, where it would fire now; before it follows, where it begins."""
        if not self.is_trailing:
            return self.trigger
        if self.best is None:
            return self.activate or ZERO
        share = self.callback / 100
        return self.best * (1 - share if self.side is Side.SELL else 1 + share)

    def is_reached(self, price: Decimal) -> bool:
        return price >= self.trigger if self.is_rising else price <= self.trigger

    def is_fired(self, price: Decimal) -> bool:
        """By the next trade's price, which a trailing stop follows."""
        if not self.is_trailing:
            return self.is_reached(price)
        is_sell = self.side is Side.SELL
        if self.best is None:
            at = self.activate
            if at is None or (price >= at if is_sell else price <= at):
                self.best = price
            return False
        self.best = max(self.best, price) if is_sell else min(self.best, price)
        return price <= self.trigger_now if is_sell else price >= self.trigger_now


class AlgoBook(ExchangeListener):
    """All algo orders of the account; hears the trades that may fire them."""

    def __init__(self, exchange: Exchange, ids_from: int) -> None:
        self.orders: dict[int, AlgoOrder] = {}
        self.live: dict[int, AlgoOrder] = {}  # what is not over
        self._by_name: dict[str, AlgoOrder] = {}
        self.news: list[AlgoOrder] = []  # copies, to be told
        self._next_id = FIRST_ALGO_ID + ids_from
        self._prices: dict[str, list[Decimal]] = {}  # of trades, by market
        exchange.listeners.append(self)

    def traded(self, trade: Trade) -> None:
        if self.live:
            self._prices.setdefault(trade.market, []).append(trade.price)

    def take_prices(self) -> dict[str, list[Decimal]]:
        prices, self._prices = self._prices, {}
        return prices

    def new_id(self) -> int:
        self._next_id += 1
        return self._next_id

    def add(self, algo: AlgoOrder) -> None:
        self.orders[algo.id] = self._by_name[algo.name] = algo

    def open(self, symbol: str | None = None) -> list[AlgoOrder]:
        return [
            one
            for one in self.live.values()
            if one.status == "NEW" and symbol in (None, "", one.market.symbol)
        ]

    def change(self, algo: AlgoOrder, status: str, now_ms: int) -> None:
        algo.status, algo.updated_ms = status, now_ms
        if status in OVER:
            self.live.pop(algo.id, None)
        else:
            self.live[algo.id] = algo
        self.news.append(msgspec.structs.replace(algo))

    def named(self, name: str) -> AlgoOrder | None:
        """The latest of this client id."""
        return self._by_name.get(name)
