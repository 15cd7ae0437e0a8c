"""A book in NautilusTrader's own numbers: of the many levels told few are ever looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from heapq import heapify, heappop, heappush
from typing import Any

from nautilus_trader.model import BookAction, BookOrder, OrderBookDelta, OrderSide, Price

from engine.matching.market import Market
from engine.matching.taking import ZERO, Offer
from engine.orders.model import Side

SLACK = 1000  # prices that are gone, in the heaps of a side


class KernelSide:
    """Levels by raw price. The heaps hold every price told, also such as are gone again."""

    def __init__(self, side: Side, precision: int) -> None:
        self.sign = -1 if side is Side.BUY else 1
        self.levels: dict[int, BookOrder] = {}
        self.best_first: list[int] = []  # raw prices by `sign`
        self.worst_first: list[int] = []
        self._precision = precision

    def __len__(self) -> int:
        return len(self.levels)

    def __iter__(self) -> Iterator[Offer]:
        """Best first."""
        heap, last = self.best_first.copy(), None
        while heap:
            raw = heappop(heap)
            level = self.levels.get(raw * self.sign)
            if level is None or raw == last:
                continue
            last = raw
            yield level.price.as_decimal(), level.size.as_decimal()

    def add(self, raw: int, order: BookOrder) -> None:
        """A price that was not there."""
        self.levels[raw] = order
        told = max(len(self.best_first), len(self.worst_first))
        if told > 4 * len(self.levels) + SLACK:  # prices come and go for days
            self._rank()
        else:
            heappush(self.best_first, raw * self.sign)
            heappush(self.worst_first, -raw * self.sign)

    def _rank(self) -> None:
        self.best_first[:] = [raw * self.sign for raw in self.levels]
        self.worst_first[:] = [-raw * self.sign for raw in self.levels]
        heapify(self.best_first)
        heapify(self.worst_first)

    def set(self, price: Decimal, size: Decimal) -> None:
        raise NotImplementedError("KernelMarket.told changes both sides")

    def clear(self) -> None:
        self.levels.clear()
        self.best_first.clear()
        self.worst_first.clear()

    def replace(self, levels: Iterable[BookOrder]) -> None:
        self.clear()
        self.levels.update((one.price.raw, one) for one in levels if one.size.raw)
        self._rank()

    def best(self) -> Decimal | None:
        raw = self._first(self.best_first, self.sign)
        return None if raw is None else self.levels[raw].price.as_decimal()

    def size(self, price: Decimal) -> Decimal | None:
        """What stands at a price; None where the book does not reach so far."""
        raw = self._raw(price)
        level = self.levels.get(raw)
        if level is not None:
            return level.size.as_decimal()
        worst = self._first(self.worst_first, -self.sign)
        return None if worst is None or (raw - worst) * self.sign > 0 else ZERO

    def _raw(self, price: Decimal) -> int:
        return int(Price.from_decimal_dp(price, self._precision).raw)

    def _first(self, heap: list[int], sign: int) -> int | None:
        while heap:
            raw = heap[0] * sign
            if raw in self.levels:
                return raw
            heappop(heap)
        return None


class KernelMarket(Market):
    """A market that is told in NautilusTrader's deltas and depths."""

    def __init__(self, precision: int) -> None:
        self._bids = KernelSide(Side.BUY, precision)
        self._asks = KernelSide(Side.SELL, precision)
        super().__init__({Side.BUY: self._bids, Side.SELL: self._asks})
        self._taken = tuple(self.taken.values())

    def told(self, rows: Iterable[OrderBookDelta]) -> None:
        """A batch of the book."""
        self._apply(rows)
        bought, sold = self._taken
        if bought.taken or sold.taken:
            self._told_again(rows)
            self.settled()
        else:
            self.newer.clear()

    def told_whole(self, depth: Any) -> None:
        """An OrderBookDepth."""
        self.replaced()
        self._bids.replace(depth.bids)
        self._asks.replace(depth.asks)
        self.settled()

    def lost(self) -> None:
        """From now on nobody knows the book."""
        self.replaced()
        self.settled()

    def _apply(self, rows: Iterable[OrderBookDelta]) -> None:
        """The one loop over all levels of a recording: no call more than there has to be."""
        bids, asks = self._bids, self._asks
        bid_levels, ask_levels = bids.levels, asks.levels
        buy, sell, delete = OrderSide.BUY, OrderSide.SELL, BookAction.DELETE
        for row in rows:
            order = row.order
            side = order.side
            raw = order.price.raw
            if side == buy:
                of, levels = bids, bid_levels
            elif side == sell:
                of, levels = asks, ask_levels
            else:
                self.clear()
                continue
            if row.action == delete:
                levels.pop(raw, None)
                continue
            if raw in levels:
                levels[raw] = order
            else:
                of.add(raw, order)

    def _told_again(self, rows: Iterable[OrderBookDelta]) -> None:
        for row in rows:
            order = row.order
            if order.side is None:
                for taken in self.taken.values():
                    taken.replaced()
            else:
                taken = self.taken[Side.BUY if order.side == OrderSide.BUY else Side.SELL]
                if taken.taken:
                    taken.told(order.price.as_decimal())
