"""Which resting orders the market fills, and how much of each: at their own prices, never better.

A resting order stands behind the size that was displayed when it came, less what traded at its
price or left since: what the book told of a trade shortly before that is counted once. Each yield
waits for the caller to execute it before the next is worked out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

import msgspec

from fairlead.engine.matching.market import Market, opposite
from fairlead.engine.matching.orders import ZERO, Order, State
from fairlead.engine.matching.taking import Offer, Print, walk
from fairlead.engine.orders.model import Side


class MakerFill(msgspec.Struct, frozen=True):
    """At the order's `price`; `met` is what of the other side's levels it stands for."""

    order: Order
    price: Decimal
    quantity: Decimal
    met: tuple[Offer, ...] = ()


def by_priority(orders: Iterable[Order]) -> list[Order]:
    """Resting orders, each side's best price first, then the oldest."""
    resting = [order for order in orders if order.state is State.RESTING]
    return sorted(resting, key=_rank)


def _rank(order: Order) -> tuple[Decimal, int]:
    assert order.price is not None
    return (-order.price if order.side is Side.BUY else order.price, order.number)


def from_book(market: Market, resting: Sequence[Order]) -> Iterator[MakerFill]:
    """After an update of the book: who leaves moves the queue on, who crosses trades, once."""
    for order in resting:
        if order.state is not State.RESTING:
            continue
        assert order.price is not None
        best = market.touch(order.side)
        if best is not None and _reaches(order, best):
            offers = market.offers(order.side, order.price, enough=order.remaining)
            parts = walk(offers, order.remaining)
            order.shown(ZERO, market.now_ns)  # else the other side could not stand there
            if parts:
                quantity = sum((size for _, size in parts), ZERO)
                yield MakerFill(order, order.price, quantity, tuple(parts))
            continue
        shown = market.sides[order.side].size(order.price)
        if shown is not None:
            order.shown(shown, market.now_ns)


def from_trade(
    seen: Print, hit: Side | None, fresh: Decimal, resting: Sequence[Order], now_ns: int
) -> Iterator[MakerFill]:
    """Whom a trade fills that is told now; all together at most its size.

    An order that it ran through has had its turn. At its own price, the order's turn comes after
    what is ahead, and after what stands before it of the run's own orders. A trade of another one
    on the order's side took from the side that was `hit` what the order would have met, as far as
    it is `fresh`, not taken by the run before: that comes last.
    """
    left = seen.size
    rivals: list[Order] = []
    for order in resting:
        assert order.price is not None
        if order.state is not State.RESTING or not _is_through(order, seen.price):
            continue
        order.ahead = ZERO
        if hit is opposite(order.side):
            rivals.append(order)
            continue
        part = min(order.remaining, left)
        if part > 0:
            before = order.filled
            yield MakerFill(order, order.price, part)
            left -= order.filled - before
    for order in resting:
        if order.state is not State.RESTING or order.price != seen.price or order.side is not hit:
            continue
        if order.ahead is None:
            continue  # the book never showed what stands there
        part = min(order.remaining, order.traded(left, now_ns))
        if part > 0:
            before = order.filled
            yield MakerFill(order, order.price, part)
            left -= order.filled - before
    left = min(left, fresh)
    for order in rivals:
        part = min(order.remaining, left)
        if order.state is State.RESTING and part > 0:
            assert order.price is not None
            before = order.filled
            yield MakerFill(order, order.price, part, ((seen.price, part),))
            left -= order.filled - before


def _reaches(order: Order, best: Decimal) -> bool:
    assert order.price is not None
    return best <= order.price if order.side is Side.BUY else best >= order.price


def _is_through(order: Order, price: Decimal) -> bool:
    assert order.price is not None
    return price < order.price if order.side is Side.BUY else price > order.price
