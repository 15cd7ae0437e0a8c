"""One instrument's market as an order meets it: the book, the trade newer than it, what is taken.

The book is as deep as its feed. Beyond its last level nothing is known, also not that there is
nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import islice
from typing import Protocol

from fairlead.engine.matching.taking import Consumed, Offer, Print, met
from fairlead.engine.orders.model import Side, TierPrice

ZERO = Decimal(0)
LEVELS = 20  # of a side that are looked at first, where so many are mostly enough
NEWER_MAX = 1000  # trades without a change of the book that are looked at

Level = tuple[Side, Decimal, Decimal]  # price in quote currency, size in base units; 0 is gone


class Levels(Protocol):
    """One side of a book."""

    def __iter__(self) -> Iterator[Offer]:
        """Best first."""
        ...

    def best(self) -> Decimal | None: ...

    def size(self, price: Decimal) -> Decimal | None:
        """What stands at a price; None where the book does not reach so far."""
        ...


class BookSide:
    """Sizes by price."""

    def __init__(self, side: Side) -> None:
        self._is_bid = side is Side.BUY
        self._sizes: dict[Decimal, Decimal] = {}
        self._prices: list[Decimal] = []  # ascending

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


class Market(ABC):
    """What a book and trades are told to by its own methods, and what is taken by `take`.

    With a `tier_price` the levels are a dealer's tiers: an order trades whole, at what its quantity
    costs there. What the run has dealt since the ladder was told counts to the quantity.
    """

    def __init__(self, sides: Mapping[Side, Levels], tier_price: TierPrice | None = None) -> None:
        self.sides = sides
        self.tier_price = tier_price
        self.taken = {side: Consumed() for side in Side}  # of the run, by book side
        self.newer: list[Print] = []  # trades since the book, oldest first
        # By book side, what trades took of levels of which the best quotes since say nothing
        self.behind_top: dict[Side, dict[Decimal, Decimal]] = {side: {} for side in Side}
        self.last_price: Decimal | None = None
        self.now_ns = 0  # when what is told next was received

    @property
    def is_known(self) -> bool:
        """Whether there is a book: none has come yet, or a gap has cleared it."""
        return any(side.best() is not None for side in self.sides.values())

    @property
    def late_until_ns(self) -> int:
        """Up to when a trade may be of a level that the run took from and that was told since."""
        return max(taken.late_until_ns for taken in self.taken.values())

    @abstractmethod
    def clear(self) -> None:
        """Nothing stands."""

    def replaced(self) -> None:
        """What stood is gone, and what the run took of it."""
        self.clear()
        for side in Side:
            self.taken[side].replaced(self.now_ns)

    def settled(self, *, is_top: bool = False) -> None:
        """The book is as new as the market now; `is_top`: the best of both sides alone."""
        for side, gone in self.behind_top.items():
            if is_top:
                gone.update(self._behind_top(side))
                gone.pop(self.sides[side].best() or ZERO, None)
            else:
                gone.clear()
        self.newer.clear()
        for side, taken in self.taken.items():
            if taken.taken and self.tier_price is not None:  # each ladder is a quote anew
                taken.replaced(self.now_ns)
            elif taken.taken:
                self._forget(side)

    def _behind_top(self, side: Side) -> Iterator[Offer]:
        """What trades newer than the book took of levels that seem to stand, by price."""
        is_bid, best, gone = side is Side.BUY, self.sides[side].best(), self.behind_top[side]
        if best is None or not self.newer:
            return
        prices = [one.price for one in self.newer]
        far = min(prices) if is_bid else max(prices)
        if best > far if is_bid else best < far:
            for price, size in _within(opposite(side), self.sides[side], far):
                yield price, size if price != far else gone.get(far, ZERO) + self._at(side, far)

    def _at(self, side: Side, price: Decimal) -> Decimal:
        """What was traded there since the book, of this side as far as that is told."""
        found = (one for one in self.newer if one.price == price and one.aggressor is not side)
        return sum((one.size for one in found), ZERO)

    def _forget(self, side: Side) -> None:
        """What was taken of a trade, where the book shows nothing that could be told anew."""
        taken = self.taken[side]
        for price in [price for price in taken.taken if not self.sides[side].size(price)]:
            taken.told(price, self.now_ns)

    def trade(self, seen: Print) -> tuple[Side | None, Decimal]:
        """The side of the book that it took from, and how much of it the run had not taken before.

        None where nobody can tell.
        """
        price, hit, late = seen.price, self.hit(seen), ZERO
        for side in Side if hit is None else (hit,):
            part = self.taken[side].late(price, seen.size - late, self.now_ns)
            hit, late = (side, late + part) if part else (hit, late)
        size = fresh = seen.size - late
        if hit is not None and (late or price in self.taken[hit].taken):
            shown = self.sides[hit].size(price) or ZERO
            fresh = self.taken[hit].fresh(price, size, shown)
        self.newer.append(seen)
        del self.newer[:-NEWER_MAX]
        self.last_price = price
        return hit, fresh

    def hit(self, seen: Print) -> Side | None:
        """The side of the book that the trade took from; None where nobody can tell."""
        if seen.aggressor is not None:
            return opposite(seen.aggressor)
        for side in Side:
            best, price = self.sides[side].best(), seen.price
            if best is not None and (price <= best if side is Side.BUY else price >= best):
                return side
        return None

    def take(self, taker: Side, parts: Iterable[Offer], *, is_traded: bool = False) -> None:
        """Remember what an order of `taker` took, or what crossed one that it traded with;
        `is_traded`: what the newest trade took of this side."""
        side = opposite(taker)
        for price, size in parts:
            if size:
                others = (one for one in self.newer if one.price == price)
                traded = sum((one.size for one in others if self.hit(one) is side), ZERO)
                self.taken[side].take(price, size, traded, is_traded=is_traded)

    def touch(self, side: Side) -> Decimal | None:
        """The price that an order of `side` would get by the book: the ask for a BUY."""
        return self.sides[opposite(side)].best()

    def offers(
        self,
        taker: Side,
        limit: Decimal | None,
        *,
        whole: bool = False,
        enough: Decimal | None = None,
    ) -> list[Offer]:
        """What an order of `taker` meets now, best first; `whole`: as if nothing was taken.

        Those behind `enough` base units may be left out.
        """
        taken = None if whole else self.taken[opposite(taker)].taken
        if self.tier_price is not None and enough is not None:
            before = sum((taken or {}).values(), ZERO)
            tiers = list(self.sides[opposite(taker)])
            price = self.tier_price(tiers, enough + before)
            return [] if price is None else list(_within(taker, [(price, enough)], limit))
        gone = self.behind_top[opposite(taker)]
        levels = _within(taker, self.sides[opposite(taker)], limit)
        shown: list[Offer] = []
        while True:
            more = list(islice(levels, max(LEVELS, 3 * len(shown))))
            shown += more
            found: Iterable[Offer] = shown
            if gone:
                found = [(price, size - gone.get(price, ZERO)) for price, size in shown]
            for trade in self.newer:  # each of them took what was better, and of its own price
                found = met(taker, found, last=trade)
            offers = met(taker, found, taken=taken, limit=limit)
            if not more:
                return offers
            if enough is not None and sum((size for _, size in offers), ZERO) >= enough:
                return offers


class LevelMarket(Market):
    """A market that is told in plain levels."""

    def __init__(self, tier_price: TierPrice | None = None) -> None:
        self._own = {side: BookSide(side) for side in Side}
        super().__init__(self._own, tier_price)

    def update(self, levels: Iterable[Level], *, is_whole: bool) -> None:
        """One batch of the book; `is_whole`: what stood before is gone."""
        if is_whole:
            self.replaced()
        for side, price, size in levels:
            self._own[side].set(price, size)
            self.taken[side].told(price, self.now_ns)
        self.settled()

    def clear(self) -> None:
        for side in self._own.values():
            side.clear()


def _within(taker: Side, levels: Iterable[Offer], limit: Decimal | None) -> Iterator[Offer]:
    for price, size in levels:
        if limit is not None and (price > limit if taker is Side.BUY else price < limit):
            return
        yield price, size


def opposite(side: Side) -> Side:
    """The book side that an order of `side` takes from."""
    return Side.SELL if side is Side.BUY else Side.BUY
