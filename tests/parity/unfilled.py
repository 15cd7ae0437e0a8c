"""Resting orders that a trade ran through: who sells lower has met who bids higher first."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from tests.parity.orders import Order
from tests.parity.standing import is_better
from tests.parity.tape import Event, Print

ZERO = Decimal(0)
_TAKER = {"BUY": "SELL", "SELL": "BUY"}  # of the trades that fill a resting order of a side


class Unfilled(NamedTuple):
    """`lack` base units of `order` were not filled at `ts`."""

    order: Order
    ts: int
    price: Decimal
    lack: Decimal
    text: str


def unfilled(orders: Sequence[Order], tape: Sequence[Event], slack_ns: int) -> Iterator[Unfilled]:
    """Moments whose trades beyond the prices of resting orders did not fill them.

    Only plain limit orders that were surely there, and trades whose taker is known.
    """
    for side, taker in _TAKER.items():
        prints = [one for one in tape if isinstance(one, Print) and one.taker == taker]
        times = [one.ts for one in prints]
        moments: dict[int, dict[str, tuple[Order, Decimal]]] = defaultdict(dict)
        for order in orders:
            if order.side != side or order.kind != "LIMIT" or order.reduce_only:
                continue
            for begin, end, price in _spans(order, slack_ns):
                for one in prints[bisect_right(times, begin) : bisect_left(times, end)]:
                    if is_better(side, one.price, price):
                        moments[one.ts][order.id] = (order, price)
        ends = {order.ended for order in orders}
        for ts, there in moments.items():
            if ts in ends:
                continue  # what was traded may have been another's, which ended in that moment
            prices = [price for _, price in there.values()]
            worst = min(prices) if side == "BUY" else max(prices)
            here = prints[bisect_left(times, ts) : bisect_right(times, ts)]
            through = [one.size for one in here if is_better(side, one.price, worst)]
            got = sum(
                (
                    fill.quantity
                    for order in orders
                    for fill in order.fills
                    if ts <= fill.ts <= ts + slack_ns
                ),
                ZERO,
            )
            yield from _lacking(ts, sum(through, ZERO), got, list(there.values()))


def _spans(order: Order, slack_ns: int) -> Iterator[tuple[int, int, Decimal]]:
    """When it surely stood at a price."""
    ends = [*(one.ts for one in order.terms[1:]), order.ended]
    for terms, end in zip(order.terms, ends, strict=True):
        if terms.price is not None:
            yield terms.ts + slack_ns, end - slack_ns, terms.price


def _lacking(
    ts: int, size: Decimal, got: Decimal, there: list[tuple[Order, Decimal]]
) -> Iterator[Unfilled]:
    """`got`: what all orders were filled; some may have come to rest by a trigger."""
    left = ZERO
    for order, _ in there:
        quantity = min(one.quantity for one in order.at(ts))
        before = sum((one.quantity for one in order.fills if one.ts < ts), ZERO)
        left += max(quantity - before, ZERO)
    lack = min(size, left) - got
    if lack > 0:
        order, price = there[0]
        text = f"{size:f} were traded beyond {price:f}, {got:f} of {left:f} filled"
        yield Unfilled(order, ts, price, lack, text)
