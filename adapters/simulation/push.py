"""What a venue's streams publish of its markets: heard at once, told at once or on an interval."""

from __future__ import annotations

from decimal import Decimal

from fairlead.adapters.simulation.exchange import Exchange, ExchangeListener
from fairlead.adapters.simulation.market import MS
from fairlead.adapters.simulation.orders import Trade
from fairlead.engine.orders.model import Side


class Due:
    """Names that wait until an interval is over. The first may be told at once."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}
        self._next_ns = 0

    def add(self, name: str) -> None:
        self._names[name] = None

    def take(self, now_ns: int, interval_ms: int) -> list[str]:
        """In the order they came, each once; the interval begins when there are any."""
        if not self._names or now_ns < self._next_ns:
            return []
        self._next_ns = now_ns + interval_ms * MS
        names, self._names = [*self._names], {}
        return names


class MarketNews(ExchangeListener):
    """Trades, and the markets whose book or ticker has changed, since they were last taken."""

    def __init__(self, exchange: Exchange) -> None:
        self.books = Due()
        self.tickers = Due()
        self._trades: list[Trade] = []
        exchange.listeners.append(self)

    def take_trades(self) -> list[Trade]:
        trades, self._trades = self._trades, []
        return trades

    def traded(self, trade: Trade) -> None:
        self._trades.append(trade)
        self.tickers.add(trade.market)

    def book_changed(self, market: str, side: Side, price: Decimal, size: Decimal) -> None:
        self.books.add(market)
