"""A market in NautilusTrader's own book: of the many levels told few are ever looked at."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from nautilus_trader.model import (
    BookAction,
    BookType,
    OrderBook,
    OrderBookDeltas,
    OrderSide,
    Price,
)

from engine.matching.market import LEVELS, ZERO, Market
from engine.matching.taking import Offer
from engine.orders.model import Side

GROWTH = 8  # of the levels that are read, where those before were too few


class KernelSide:
    """One side of `book`, of an instrument with these precisions."""

    def __init__(self, book: OrderBook, side: Side, instrument: Any) -> None:
        self._book, self._is_bid = book, side is Side.BUY
        self._taker = OrderSide.SELL if self._is_bid else OrderSide.BUY
        self._price_precision = instrument.price_precision
        self._size_precision = instrument.size_precision

    def __iter__(self) -> Iterator[Offer]:
        """Best first."""
        done = 0
        for levels in self._read():
            for level in levels[done:]:
                yield level.price.as_decimal(), level.first().size.as_decimal()
            done = len(levels)

    def best(self) -> Decimal | None:
        found = self._book.best_bid_price() if self._is_bid else self._book.best_ask_price()
        return None if found is None else found.as_decimal()

    def size(self, price: Decimal) -> Decimal | None:
        """What stands at a price; None where the book does not reach so far."""
        at = Price.from_decimal_dp(price, self._price_precision)
        shown = self._book.get_quantity_at_level(at, self._taker, self._size_precision)
        if shown.raw:
            return shown.as_decimal()
        for levels in self._read():
            if levels and self._is_as_far(levels[-1].price.raw, at.raw):
                return ZERO
        return None

    def _is_as_far(self, raw: int, other: int) -> bool:
        return raw <= other if self._is_bid else raw >= other

    def _read(self) -> Iterator[list[Any]]:
        """The best levels, then more of them: a few are mostly enough."""
        count = LEVELS
        while True:
            levels = self._book.bids(count) if self._is_bid else self._book.asks(count)
            yield levels
            if len(levels) < count:
                return
            count *= GROWTH


class KernelMarket(Market):
    """A market that is told in NautilusTrader's deltas and depths."""

    def __init__(self, instrument: Any) -> None:
        self._book = OrderBook(instrument.id, BookType.L2_MBP)
        super().__init__({side: KernelSide(self._book, side, instrument) for side in Side})
        self._bids, self._asks = self.taken[Side.BUY], self.taken[Side.SELL]

    def told(self, deltas: OrderBookDeltas) -> None:
        """A batch of the book."""
        self._book.apply_deltas(deltas)
        if self._bids.taken or self._asks.taken:
            self._told_again(deltas)
            self.settled()
        elif self.newer:
            self.newer.clear()

    def told_whole(self, depth: Any) -> None:
        """An OrderBookDepth."""
        self.replaced()
        self._book.apply_depth(depth)
        self.settled()

    def lost(self) -> None:
        """From now on nobody knows the book."""
        self.replaced()
        self.settled()

    def clear(self) -> None:
        self._book.reset()

    def _told_again(self, deltas: OrderBookDeltas) -> None:
        for row in deltas.deltas:
            if row.action == BookAction.CLEAR:
                self._bids.replaced()
                self._asks.replaced()
                continue
            taken = self._bids if row.order.side == OrderSide.BUY else self._asks
            if taken.taken:
                taken.told(row.order.price.as_decimal())
