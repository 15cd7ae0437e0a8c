"""The market as held orders see it: each book and trade on its way to NautilusTrader."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import Any, Protocol

from nautilus_trader.model import OrderBookDeltas, TradeTick

from fairlead.engine.matching.market import LEVELS, BookSide
from fairlead.engine.matching.native import levels_of
from fairlead.engine.orders.model import Side
from fairlead.engine.orders.trigger import Levels


class Watcher(Protocol):
    """Who is shown it: the order desk's `Held`."""

    def book(self, instrument: str, bids: Levels, asks: Levels, ts_event: int, ts: int) -> None: ...

    def trade(self, instrument: str, price: Any, ts_event: int, ts: int) -> None: ...


class TriggerFeed:
    """Keeps the books that the streams tell of. A book that was cleared has no levels."""

    def __init__(self, watcher: Watcher, instruments: Collection[str]) -> None:
        self._watcher = watcher
        self._instruments = instruments
        self._books: dict[str, dict[Side, BookSide]] = {}

    def show(self, data: Any) -> None:
        """An event of the market, as the data client passes it on; others are not looked at."""
        if isinstance(data, OrderBookDeltas):
            self._book(data)
        elif isinstance(data, TradeTick):
            name = str(data.instrument_id)
            if name in self._instruments:
                price = data.price.as_decimal()
                self._watcher.trade(name, price, data.ts_event, data.ts_init)

    def _book(self, deltas: Any) -> None:
        name = str(deltas.instrument_id)
        if name not in self._instruments:
            return
        book = self._books.setdefault(name, {side: BookSide(side) for side in Side})
        levels, is_whole = levels_of(deltas)
        if is_whole:
            for side in book.values():
                side.clear()
        for side_of, price, size in levels:
            book[side_of].set(price, size)
        bids, asks = (tuple(islice(book[side], LEVELS)) for side in Side)
        self._watcher.book(name, bids, asks, deltas.ts_event, deltas.ts_init)
