"""What an order that takes liquidity meets: the rules of simulated matching, on plain values.

The newest market that is known decides. Book and trades come apart: a trade shows what it took
before the next change of the book says so. So levels better than a trade newer than the book do
not count, and of the level at its own price counts what it left: what was shown, less what was
traded. What stood where the book showed nothing was taken by the trade itself. What the run took
of a level is gone until the market data tells of that level again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from fairlead.engine.orders.model import Side

ZERO = Decimal(0)
LATE_NS = 1_000_000_000  # a trade may come so much after the book that it led to

Offer = tuple[Decimal, Decimal]  # price in quote currency, size in base units


class Print(msgspec.Struct, frozen=True):
    """A trade of the market: price in quote currency, size in base units, None: side unknown."""

    price: Decimal
    size: Decimal
    aggressor: Side | None


class Consumed:
    """What the run took of one side's levels, base units by price.

    Others traded there as well: of one level, or of another that nobody had told of.
    """

    def __init__(self) -> None:
        self.taken: dict[Decimal, Decimal] = {}
        self.traded: dict[Decimal, Decimal] = {}  # by others, of what the run took from
        self._kept: dict[Decimal, Decimal] = {}  # of it, what the run has not taken before them
        self._late: dict[Decimal, tuple[Decimal, int]] = {}  # taken of what is told anew, until
        self.late_until_ns = 0

    def take(
        self, price: Decimal, size: Decimal, traded: Decimal = ZERO, *, is_traded: bool = False
    ) -> None:
        """`traded`: by others, since the level was told; `is_traded`: it is a part of that."""
        if price not in self.taken:
            self.traded[price] = self._kept[price] = traded
        self.taken[price] = self.taken.get(price, ZERO) + size
        if is_traded:
            self._kept[price] -= size

    def told(self, price: Decimal, now_ns: int) -> None:
        """The market data said anew what stands at `price`, were it the same size as before."""
        taken = self.taken.pop(price, ZERO)
        if taken:
            self._late = {one: late for one, late in self._late.items() if late[1] >= now_ns}
            late, _ = self._late.get(price, (ZERO, 0))
            late += max(taken + self._kept.pop(price) - self.traded.pop(price), ZERO)
            if late:
                self.late_until_ns = now_ns + LATE_NS
                self._late[price] = late, self.late_until_ns

    def replaced(self, now_ns: int) -> None:
        """A snapshot: every level was told anew."""
        for price in list(self.taken):
            self.told(price, now_ns)

    def late(self, price: Decimal, size: Decimal, now_ns: int) -> Decimal:
        """How much of a trade took what the run had taken before, of a level that has been told
        anew since: the trade came after the book that it led to."""
        if price not in self._late:
            return ZERO
        left, until_ns = self._late[price]
        part = ZERO if now_ns > until_ns else min(left, size)
        self._late[price] = left - part, until_ns
        return part

    def fresh(self, price: Decimal, size: Decimal, shown: Decimal) -> Decimal:
        """How much of a trade shows that more stood than the run took, of `shown` by the book."""
        if price not in self.taken:
            return size
        self.traded[price] += size
        stood = max(shown, self.traded[price]) - self._kept[price]
        fresh = max(min(stood - self.taken[price], size), ZERO)
        self._kept[price] += fresh
        return fresh


def met(
    taker: Side,
    levels: Iterable[Offer],
    *,
    last: Print | None = None,
    taken: Mapping[Decimal, Decimal] | None = None,
    limit: Decimal | None = None,
) -> list[Offer]:
    """The offers that `taker` meets, best first, none of size zero.

    `levels` is the side that it takes from, best first; `last` a trade that is newer, None where
    there is none; `taken` what the run took of each price before; `limit` the taker's own, None for
    a market order.
    """
    found = list(levels) if last is None else _after(taker, levels, last)
    gone = taken or {}
    left = ((price, size - gone.get(price, ZERO)) for price, size in found)
    return [
        (price, size)
        for price, size in left
        if size > 0 and (limit is None or not _is_better(taker, limit, price))
    ]


def _after(taker: Side, levels: Iterable[Offer], last: Print) -> list[Offer]:
    """What a trade that is newer than the levels has left of them."""
    may_have_taken = last.aggressor in (taker, None)
    return [
        (price, size - last.size if may_have_taken and price == last.price else size)
        for price, size in levels
        if not _is_better(taker, price, last.price)
    ]


def walk(offers: Iterable[Offer], quantity: Decimal) -> list[Offer]:
    """The fills of `quantity` base units against `offers`, in their order and not above them."""
    fills: list[Offer] = []
    left = quantity
    for price, size in offers:
        if left <= 0:
            break
        part = min(left, size)
        fills.append((price, part))
        left -= part
    return fills


def _is_better(taker: Side, price: Decimal, other: Decimal) -> bool:
    """Whether the taker would rather have `price`."""
    return price < other if taker is Side.BUY else price > other
