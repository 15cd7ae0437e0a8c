"""Orders of one list: children that wait for a parent, siblings of which one is to be filled.

OTO: a child comes when its parent has its first fill, and never if the parent ends without one.
OCO: a fill of one ends the others. OUO: the others shrink to what is left of it. An order that
ends otherwise takes its siblings with it. `orders` are those that are not over, by id.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from fairlead.engine.matching.orders import ZERO, NewOrder, Order, State

_SIBLINGS = ("OCO", "OUO")


def is_held(new: NewOrder, orders: Mapping[str, Order]) -> bool:
    """Whether it waits for a parent that is at the exchange and has no fill yet."""
    parent = None if new.parent is None else orders.get(new.parent)
    return parent is not None and not parent.filled


def released_by(parent: Order, orders: Mapping[str, Order]) -> list[Order]:
    """The children that a fill of it brings."""
    return [one for one in orders.values() if _is_child(one, parent)]


def resized_by(filled: Order, orders: Mapping[str, Order]) -> list[tuple[Order, Decimal]]:
    """Its siblings after a fill, each with its new total quantity."""
    contingency = filled.new.contingency
    if contingency not in _SIBLINGS:
        return []
    left = ZERO if contingency == "OCO" else filled.remaining
    siblings = _linked(filled, orders)
    return [(one, min(one.quantity, one.filled + left)) for one in siblings]


def ended_with(ended: Order, orders: Mapping[str, Order]) -> list[Order]:
    """Who ends because it did, without being filled."""
    found = [] if ended.filled else [one for one in orders.values() if _is_child(one, ended)]
    if ended.new.contingency in _SIBLINGS:
        found += _linked(ended, orders)
    return found


def _linked(order: Order, orders: Mapping[str, Order]) -> list[Order]:
    return [orders[name] for name in order.new.linked if name in orders]


def _is_child(order: Order, parent: Order) -> bool:
    return order.state is State.HELD and order.new.parent == parent.id
