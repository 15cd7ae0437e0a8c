"""Conditional orders of the simulated Binance's futures, while they wait: `AlgoBook`."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from fairlead.adapters.binance.simulator_markets import SimMarket
from fairlead.adapters.simulation.exchange import Exchange, ExchangeListener
from fairlead.adapters.simulation.orders import Trade
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

    @property
    def is_rising(self) -> bool:
        """Whether the price has to rise to the trigger: stops of buys, profits of sells."""
        return self.type.startswith("STOP") == (self.side is Side.BUY)

    def is_reached(self, price: Decimal) -> bool:
        return price >= self.trigger if self.is_rising else price <= self.trigger


class AlgoBook(ExchangeListener):
    """All algo orders of the account; hears the trades that may fire them."""

    def __init__(self, exchange: Exchange, ids_from: int) -> None:
        self.orders: dict[int, AlgoOrder] = {}
        self.live: dict[int, AlgoOrder] = {}  # what is not over
        self._by_name: dict[str, AlgoOrder] = {}
        self.news: list[AlgoOrder] = []  # copies, to be told
        self._next_id = FIRST_ALGO_ID + ids_from
        self._prices: dict[str, tuple[Decimal, Decimal]] = {}  # lowest and highest since
        exchange.listeners.append(self)

    def traded(self, trade: Trade) -> None:
        low, high = self._prices.get(trade.market, (trade.price, trade.price))
        self._prices[trade.market] = min(low, trade.price), max(high, trade.price)

    def take_prices(self) -> dict[str, tuple[Decimal, Decimal]]:
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
