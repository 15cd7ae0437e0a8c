"""A ladder of the venue: which side is which, what a quantity costs, and its levels as a book.

Levels are size tiers: a tier's price is what the whole of an order up to its size costs (section
4). So the price for a quantity is that of the first tier that covers it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import pairwise
from typing import NamedTuple

import msgspec

from fairlead.adapters.zerocap.config import SideCorrection
from fairlead.engine.orders.model import Side


class Tier(NamedTuple):
    """A price for orders up to `size` base units."""

    price: Decimal
    size: Decimal


class Ladder(msgspec.Struct, frozen=True):
    """One price frame, sides as they were sent until `sided`. `ts_event` 0: no time was told."""

    symbol: str
    bids: tuple[Tier, ...]
    asks: tuple[Tier, ...]
    ts_event: int = 0
    is_swapped: bool = False

    def sided(self, correction: SideCorrection, was_swapped: bool | None = None) -> Ladder | None:
        """What a seller gets as bids, what a buyer pays as asks; None where they still cross.

        Dialect A sends them the other way round (section 4): its first bid is above its first
        ask, and each list worsens as the other side's does. `auto` changes them only where both
        hold, so that a ladder that is truly crossed stays one. One list alone does not tell which
        it is: it is what it was in the ladder before (`was_swapped`), and None where none was.
        """
        is_swapped = correction == "always"
        if correction == "auto":
            if self.bids and self.asks:
                is_swapped = self._is_inverted()
            elif was_swapped is not None:
                is_swapped = was_swapped
            elif self.bids or self.asks:
                return None
        found = self
        if is_swapped:
            found = Ladder(self.symbol, self.asks, self.bids, self.ts_event, True)
        return None if found._is_crossed() else found

    def _is_inverted(self) -> bool:
        if self.bids[0].price <= self.asks[0].price:
            return False
        return _worsens(self.bids, 1) and _worsens(self.asks, -1)

    def _is_crossed(self) -> bool:
        if not self.bids or not self.asks:
            return False
        return max(t.price for t in self.bids) >= min(t.price for t in self.asks)

    def price_for(self, side: Side, quantity: Decimal) -> Decimal | None:
        """What an order of `quantity` trades at, of a ladder that is sided; None: it is too large.

        As the limit of a fill-or-kill order it is the least that fills.
        """
        return tier_price(self.asks if side is Side.BUY else self.bids, quantity)


def tier_price(tiers: Sequence[tuple[Decimal, Decimal]], quantity: Decimal) -> Decimal | None:
    """The price of the first tier, of (price, size), that covers the quantity; None: none does."""
    covering = [(size, price) for price, size in tiers if size >= quantity]
    return min(covering, key=lambda one: one[0])[1] if covering else None


def _worsens(tiers: tuple[Tier, ...], sign: int) -> bool:
    """Whether prices rise (sign 1) or fall (-1) with the size, or stay."""
    ordered = sorted(tiers, key=lambda tier: tier.size)
    return all((b.price - a.price) * sign >= 0 for a, b in pairwise(ordered))


def levels(
    tiers: tuple[Tier, ...], side: Side, price_precision: int, size_precision: int
) -> list[tuple[str, str]]:
    """(price, size) texts of a side of the book: BUY are the bids.

    Prices are rounded against us, bids down and asks up, sizes down. Of tiers that fall on one
    price the larger is the level: sizes of tiers are not parts of one another.
    """
    tick, step = Decimal(1).scaleb(-price_precision), Decimal(1).scaleb(-size_precision)
    rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
    found: dict[Decimal, Decimal] = {}
    for tier in tiers:
        price = tier.price.quantize(tick, rounding)
        size = tier.size.quantize(step, ROUND_FLOOR)
        if price > 0 and size > 0:
            found[price] = max(size, found.get(price, size))
    return [(f"{price:f}", f"{size:f}") for price, size in found.items()]
