"""Trailing stops: a trigger that follows the price at a distance, and never goes back."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from fairlead.adapters.simulation.orders import Offset, SimOrder, Trail
from fairlead.engine.orders.model import Side, TriggerCondition
from fairlead.engine.orders.trigger import is_met


def first_trigger(trail: Trail, side: Side, last: Decimal) -> Decimal:
    """Where the trigger is before any trade: from the activation price, else from the last."""
    return _trigger(trail, side, last if trail.activation is None else trail.activation)


def is_fired(order: SimOrder, prices: Iterable[Decimal]) -> bool:
    """Follow trades in their order, until one of them fires the stop."""
    trail = order.trail
    assert trail is not None, "not a trailing stop"
    assert order.trigger_price is not None
    for price in prices:
        is_rise = order.trigger_condition is TriggerCondition.GTE
        if order.is_trailing and is_met(order.trigger_price, price, is_rise=is_rise):
            return True
        if order.is_trailing:
            better = max if order.side is Side.SELL else min
            followed = _trigger(trail, order.side, price)
            order.trigger_price = better(order.trigger_price, followed)
        elif trail.activation is None or is_met(
            trail.activation, price, is_rise=trail.operator is TriggerCondition.GTE
        ):
            order.is_trailing = True
            order.trigger_price = _trigger(trail, order.side, price)
    return False


def limit_price(order: SimOrder, tick: Decimal) -> Decimal | None:
    """Of the order that a trailing stop becomes, in ticks away from the market; None: market."""
    assert order.trail is not None
    assert order.trigger_price is not None
    if order.trail.limit is None:
        return None
    beyond = _away(order.trail.limit, order.side, order.trigger_price)
    rounding = ROUND_CEILING if order.side is Side.BUY else ROUND_FLOOR
    return max(tick, (beyond / tick).to_integral_value(rounding) * tick)


def _trigger(trail: Trail, side: Side, price: Decimal) -> Decimal:
    """Below the price for a sell, above it for a buy."""
    return _away(trail.offset, side, price)


def _away(offset: Offset, side: Side, price: Decimal) -> Decimal:
    distance = price * offset.value if offset.is_ratio else offset.value
    return price + distance if side is Side.BUY else price - distance
