"""Checks of an order against the market: reference, collar, recent trades, own orders."""

from __future__ import annotations

from decimal import Decimal

from fairlead.engine.orders.model import Capabilities, Side, Tif
from fairlead.engine.risk.facts import OrderFacts, Reference
from fairlead.engine.risk.ledger import RESTING_KINDS
from fairlead.engine.risk.look import STOPS, TRIGGER, Look
from fairlead.engine.risk.verdict import Denial, Verdict

_ZERO = Decimal(0)
_TOUCHES = frozenset({"LIMIT_IF_TOUCHED", "MARKET_IF_TOUCHED"})


def invalid_book(order: OrderFacts, view: Look) -> Verdict:
    """Prices are compared only with a market that is whole; a protection with what `Look` has."""
    reference = view.market
    if reference is None or reference.valid:
        return None
    return Denial(
        "INVALID_BOOK",
        f"the {reference.source} of {order.instrument} is empty, one-sided or crossed "
        f"(bid {reference.bid}, ask {reference.ask}); wait until it is whole",
    )


def stale_reference(order: OrderFacts, view: Look) -> Verdict:
    """Prices are compared only with a market that is there and recent."""
    reference = view.market
    limit_ns = view.limits.stale_after_ns
    if reference is None:
        return Denial(
            "STALE_REFERENCE",
            f"expected market data of {order.instrument} not older than {limit_ns // 1_000_000} "
            "ms, none came; subscribe its book, quotes or trades and wait for the first",
        )
    age_ns = view.now_ns - reference.ts_ns
    if age_ns > limit_ns:
        return Denial(
            "STALE_REFERENCE",
            f"expected a {reference.source} of {order.instrument} not older than "
            f"{limit_ns // 1_000_000} ms, it is {age_ns // 1_000_000} ms old; wait for the feed",
        )
    return max(age_ns, 0) / limit_ns


def price_collar(order: OrderFacts, view: Look) -> Verdict:
    """A limit price may not lie too far through the market on the losing side.

    A stop is compared with the market at the moment it fires: a STOP_LIMIT with the worse of
    trigger and market, a LIMIT_IF_TOUCHED with the better. A dealer's market is the tier that
    covers the quantity.
    """
    if order.price is None:
        return None
    center = _center(order, view.price_for(order))
    if center is None or center <= _ZERO:
        return None
    through = (order.price - center) if order.is_buy else (center - order.price)
    collar = view.limits.price_collar
    if through <= _ZERO:
        return _ZERO
    reach = center * collar
    if through > reach:
        fraction = through / center
        return Denial(
            "PRICE_COLLAR",
            f"expected a limit price at most {collar * 10_000:f} bps through {center:f}, "
            f"{order.side} at {order.price} is {fraction * 10_000:.1f} bps through; "
            "check the price",
        )
    return through / reach


def _center(order: OrderFacts, market: Decimal | None) -> Decimal | None:
    if market is None or order.trigger_price is None:
        return market
    worse = max if order.is_buy else min
    better = min if order.is_buy else max
    pick = worse if order.kind == "STOP_LIMIT" else better
    return pick(order.trigger_price, market)


def stop_side(order: OrderFacts, view: Look) -> Verdict:
    """A trigger that the whole spread has passed fires at once, or is refused by the venue.

    The child of a parent that has not filled waits for it, and is not compared; nor is a stop that
    has fired, which only its limit price is left of.
    """
    trigger = order.trigger_price
    if (
        trigger is None
        or order.fired
        or (order.parent is not None and view.pending(order.parent) is not None)
    ):
        return None
    if order.kind in STOPS:
        above = order.is_buy
    elif order.kind in _TOUCHES:
        above = not order.is_buy
    else:
        return None
    reference = view.market
    if reference is None or reference.source == TRIGGER:
        return None
    market = reference.bid if above else reference.ask
    if market is None:
        market = reference.last
    if market is None or (trigger > market if above else trigger < market):
        return None
    return Denial(
        "STOP_SIDE",
        f"expected the trigger of a {order.side} {order.kind} {'above' if above else 'below'} the "
        f"market ({market}), {trigger} came; it would fire at once: use a limit order",
    )


def self_cross(order: OrderFacts, view: Look) -> Verdict:
    """Would this order trade with one of our own, of whatever strategy of the run?

    Stops are not in the book before they fire, nor is an order that the engine holds; a post-only
    order never takes, and an exit is let pass: what is in its way is cancelled first
    (engine/guard/way.py), and nothing new comes into it while it waits.
    """
    if (waiting := _meets_waiting(order, view)) is not None:
        return waiting
    if order.post_only or order.reduce_only or none_rests(view.able):
        return None
    if order.is_exit and not order.is_modify:
        return None
    other = Side.SELL if order.is_buy else Side.BUY
    own = view.books.ledger.best_price(order.instrument, other)
    if own is None:
        return None
    if order.kind in RESTING_KINDS and order.price is not None:
        reach: Decimal | None = order.price
    elif order.kind == "MARKET":
        reach = _touch(order, view.market)
    else:
        return None
    if reach is not None and (reach < own if order.is_buy else reach > own):
        return None
    return Denial(
        "SELF_CROSS",
        f"{order.side} at {order.price or 'market'} would trade with our own {other} at {own}; "
        "cancel that first, or stay on your side of it",
    )


def _meets_waiting(order: OrderFacts, view: Look) -> Denial | None:
    ledger, price = view.books.ledger, order.price
    if not ledger.waiting or order.is_exit or price is None or order.kind not in RESTING_KINDS:
        return None
    if not ledger.meets_waiting(order.instrument, order.side, price):
        return None
    return Denial(
        "SELF_CROSS",
        f"{order.side} at {price} would be in the way of an exit of this run, which is about to be "
        "sent; quote again when it is over",
    )


def none_rests(able: Capabilities | None) -> bool:
    """Whether no order stands in this venue's book: what is to rest, the engine holds."""
    return able is not None and able.holds_limits and Tif.GTC not in able.time_in_force


def _touch(order: OrderFacts, reference: Reference | None) -> Decimal | None:
    """The first price that a market order takes; None: it may take any."""
    if reference is None:
        return None
    touch = reference.ask if order.is_buy else reference.bid
    return touch if touch is not None else reference.last


def fat_finger(order: OrderFacts, view: Look) -> Verdict:
    multiple = view.limits.fat_finger
    if multiple is None or order.reduce_only:
        return None
    largest = view.limits.fat_finger_largest
    size = view.books.tape.size(order.instrument, largest=largest)
    if size is None:
        return Denial(
            "FAT_FINGER",
            f"no trade of {order.instrument} came yet to compare the quantity with; wait for one",
        )
    limit = size * multiple
    remaining = view.remaining
    if remaining > limit:
        what = "largest" if largest else "median"
        return Denial(
            "FAT_FINGER",
            f"expected at most {multiple} times the {what} recent trade ({size}), that is "
            f"{limit:f}, {remaining} came; check the quantity, or split the order",
        )
    return remaining / limit
