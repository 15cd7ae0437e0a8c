"""One instrument's market as an order meets it: the book, the trade newer than it, what is taken.

The book is as deep as its feed. Beyond its last level nothing is known, also not that there is
nothing.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from engine.matching.taking import Consumed, Offer, Print, met
from engine.orders.model import Side

ZERO = Decimal(0)

Level = tuple[Side, Decimal, Decimal]  # price in quote currency, size in base units; 0 is gone


class BookSide:
    """Sizes by price."""

    def __init__(self, side: Side) -> None:
        self._is_bid = side is Side.BUY
        self._sizes: dict[Decimal, Decimal] = {}
        self._prices: list[Decimal] = []  # ascending

    def __len__(self) -> int:
        return len(self._prices)

    def __iter__(self) -> Iterator[Offer]:
        """Best first."""
        prices = reversed(self._prices) if self._is_bid else self._prices
        return ((price, self._sizes[price]) for price in prices)

    def set(self, price: Decimal, size: Decimal) -> None:
        if size > 0:
            if price not in self._sizes:
                insort(self._prices, price)
            self._sizes[price] = size
        elif self._sizes.pop(price, None) is not None:
            del self._prices[bisect_left(self._prices, price)]

    def clear(self) -> None:
        self._sizes.clear()
        self._prices.clear()

    def best(self) -> Decimal | None:
        if not self._prices:
            return None
        return self._prices[-1 if self._is_bid else 0]

    def size(self, price: Decimal) -> Decimal | None:
        """What stands at a price; None where the book does not reach so far."""
        if not self._prices:
            return None
        worst = self._prices[0 if self._is_bid else -1]
        if price < worst if self._is_bid else price > worst:
            return None
        return self._sizes.get(price, ZERO)


class Market:
    """Change it through `update` and `trade` only."""

    def __init__(self) -> None:
        self.sides = {side: BookSide(side) for side in Side}
        self.taken = {side: Consumed() for side in Side}  # of the run, by book side
        self.newer: Print | None = None  # the newest trade, where the book is older
        self.last_price: Decimal | None = None

    @property
    def is_known(self) -> bool:
        """Whether there is a book: none has come yet, or a gap has cleared it."""
        return any(len(side) for side in self.sides.values())

    def update(self, levels: Iterable[Level], *, is_whole: bool) -> None:
        """One batch of the book; `is_whole`: what stood before is gone."""
        if is_whole:
            for side in Side:
                self.sides[side].clear()
                self.taken[side].replaced()
        for side, price, size in levels:
            self.sides[side].set(price, size)
            self.taken[side].told(price)
        self.newer = None
        for side in Side:
            self.forget(side, self.taken[side])

    def forget(self, side: Side, taken: Consumed) -> None:
        """What was taken of a trade, where the book shows nothing that could be told anew."""
        for price in [price for price in taken.taken if not self.sides[side].size(price)]:
            taken.told(price)

    def trade(self, seen: Print) -> None:
        self.newer = seen
        self.last_price = seen.price

    def touch(self, side: Side) -> Decimal | None:
        """The price that an order of `side` would get by the book: the ask for a BUY."""
        return self.sides[opposite(side)].best()

    def offers(
        self,
        taker: Side,
        limit: Decimal | None,
        taken: Mapping[Decimal, Decimal] | None = None,
    ) -> list[Offer]:
        """What an order of `taker` meets now, best first, less what is `taken` of each price."""
        levels = self.sides[opposite(taker)]
        return met(taker, levels, last=self.newer, taken=taken, limit=limit)


def opposite(side: Side) -> Side:
    """The book side that an order of `side` takes from."""
    return Side.SELL if side is Side.BUY else Side.BUY
