"""One market's book: levels of the market's own liquidity with users' orders queued among it.

A user's order stands behind the background size that was displayed when it arrived (`ahead`).
Background that leaves a level without a trade is taken to leave from behind, so a queue position
is never better than the real one could be.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from fairlead.adapters.simulation.orders import ZERO, SimOrder
from fairlead.engine.orders.model import Side


class Resting:
    """A user's order in a level's queue."""

    __slots__ = ("ahead", "order")

    def __init__(self, order: SimOrder, ahead: Decimal) -> None:
        self.order = order
        self.ahead = ahead


class Level:
    """One price. Invariant: `ahead` never decreases along `resting`, nor exceeds `background`."""

    __slots__ = ("background", "price", "resting")

    def __init__(self, price: Decimal) -> None:
        self.price = price
        self.background = ZERO
        self.resting: list[Resting] = []

    @property
    def total(self) -> Decimal:
        if not self.resting:
            return self.background
        return self.background + sum((r.order.remaining for r in self.resting), ZERO)

    def front(self) -> tuple[SimOrder | None, Decimal]:
        """Who is first in the queue (None: the market) and how much it offers."""
        if not self.resting:
            return None, self.background
        first = self.resting[0]
        if first.ahead > 0:
            return None, first.ahead
        return first.order, first.order.remaining

    def take_background(self, quantity: Decimal) -> None:
        """Execute `quantity` of the background at the front of the queue (see `front`)."""
        self.background -= quantity
        for resting in self.resting:
            resting.ahead -= quantity

    def set_background(self, size: Decimal) -> None:
        self.background = size
        for resting in self.resting:
            resting.ahead = min(resting.ahead, size)

    def rest(self, order: SimOrder) -> None:
        """Put the order at the end of the queue."""
        self.resting.append(Resting(order, self.background))

    def remove(self, order: SimOrder) -> None:
        self.resting = [r for r in self.resting if r.order is not order]


class BookSide:
    """Levels of one side by price; empty levels do not exist."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self._levels: dict[Decimal, Level] = {}
        self._prices: list[Decimal] = []  # ascending

    def __iter__(self) -> Iterator[Level]:
        """Best first. Do not change the side while iterating."""
        prices = self._prices if self.side is Side.SELL else reversed(self._prices)
        return (self._levels[price] for price in prices)

    def worst_first(self) -> Iterator[Level]:
        """As iteration, from the other end."""
        prices = self._prices if self.side is Side.BUY else reversed(self._prices)
        return (self._levels[price] for price in prices)

    def __len__(self) -> int:
        return len(self._prices)

    def best(self) -> Level | None:
        if not self._prices:
            return None
        return self._levels[self._prices[0 if self.side is Side.SELL else -1]]

    def get(self, price: Decimal) -> Level | None:
        return self._levels.get(price)

    def need(self, price: Decimal) -> Level:
        level = self._levels.get(price)
        if level is None:
            level = self._levels[price] = Level(price)
            insort(self._prices, price)
        return level

    def prune(self, level: Level) -> None:
        """Drop the level if nothing is left of it."""
        if level.background <= 0 and not level.resting and level.price in self._levels:
            del self._levels[level.price]
            del self._prices[bisect_left(self._prices, level.price)]

    def is_within(self, price: Decimal, limit: Decimal | None) -> bool:
        """Whether a taker with `limit` may trade at this side's `price`."""
        if limit is None:
            return True
        return price <= limit if self.side is Side.SELL else price >= limit

    def levels(self, depth: int) -> list[tuple[Decimal, Decimal]]:
        """(price, total size), best first, at most `depth`."""
        out: list[tuple[Decimal, Decimal]] = []
        for level in self:
            if len(out) >= depth:
                break
            out.append((level.price, level.total))
        return out

    def grouped(self, step: Decimal, depth: int) -> list[tuple[Decimal, Decimal]]:
        """As `levels`, with prices aggregated to multiples of `step`, away from the spread."""
        rounding = ROUND_CEILING if self.side is Side.SELL else ROUND_FLOOR
        sums: dict[Decimal, Decimal] = {}
        for level in self:
            price = (level.price / step).to_integral_value(rounding) * step
            if price == 0:
                break  # nothing is offered for nothing: the rest rounds down to it as well
            if price not in sums and len(sums) >= depth:
                break
            sums[price] = sums.get(price, ZERO) + level.total
        return list(sums.items())

    def available(self, limit: Decimal | None) -> Decimal:
        """Size that a taker with `limit` could get."""
        total = ZERO
        for level in self:
            if not self.is_within(level.price, limit):
                break
            total += level.total
        return total

    def cost(self, quantity: Decimal) -> Decimal:
        """Quote value of taking `quantity` (or all there is) from the best price on."""
        cost, left = ZERO, quantity
        for level in self:
            if left <= 0:
                break
            part = min(left, level.total)
            cost += part * level.price
            left -= part
        return cost


class Book:
    """Both sides of one market."""

    def __init__(self) -> None:
        self.bids = BookSide(Side.BUY)
        self.asks = BookSide(Side.SELL)

    def side(self, side: Side) -> BookSide:
        """Where orders of `side` rest."""
        return self.bids if side is Side.BUY else self.asks

    def opposite(self, side: Side) -> BookSide:
        """What orders of `side` take from."""
        return self.asks if side is Side.BUY else self.bids
