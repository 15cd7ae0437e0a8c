"""A bracket as one list of NautilusTrader orders, for a venue that takes it in one call.

The entry is the exits' parent: a simulated exchange holds them until it is filled, and the gate
counts them as what can only undo it. No sibling ends another: a target is a part of the position,
and what is left of a stop goes with the position, at the venue or by the bracket's next look.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Any

from nautilus_trader.model import (
    ClientOrderId,
    InstrumentId,
    OrderInitialized,
    OrderSide,
    Price,
    Quantity,
)

from fairlead.engine.brackets.steps import Bracket
from fairlead.engine.orders.model import ENTRY_TAG, Role, Side

_SIDES = {Side.BUY: OrderSide.BUY, Side.SELL: OrderSide.SELL}


def parts_of(quantity: Decimal, count: int, step: Decimal) -> list[Decimal]:
    """`quantity` in `count` equal parts on the step; the last has what remains."""
    part = (quantity / count).quantize(step, ROUND_DOWN)
    return [part] * (count - 1) + [quantity - part * (count - 1)]


def with_exits(
    factory: Any, entry: Any, bracket: Bracket, instrument: Any, trigger_type: Any
) -> list[Any]:
    """The entry, its targets in order, and its stop; their ids are the bracket's."""
    instrument_id = InstrumentId.from_str(bracket.instrument)
    side = _SIDES[bracket.exit_side]
    step = instrument.size_increment.as_decimal()
    parts = parts_of(bracket.quantity, len(bracket.targets), step)
    *targets, stop = bracket.sent
    exits = [
        factory.limit(
            instrument_id,
            side,
            Quantity.from_str(f"{part:.{instrument.size_precision}f}"),
            _price(price, instrument),
            **_named(name, Role.TARGET, bracket),
        )
        for name, part, price in zip(targets, parts, bracket.targets, strict=True)
    ]
    exits.append(
        factory.stop_limit(
            instrument_id,
            side,
            entry.quantity,
            _price(bracket.stop_limit, instrument),
            _price(bracket.stop, instrument),
            trigger_type=trigger_type,
            **_named(stop, Role.STOP, bracket),
        )
    )
    return _listed(entry, exits, str(factory.generate_order_list_id()))


def _price(value: Decimal, instrument: Any) -> Price:
    return Price.from_str(f"{value:.{instrument.price_precision}f}")


def _named(name: str, role: Role, bracket: Bracket) -> dict[str, Any]:
    return {
        "reduce_only": True,
        "client_order_id": ClientOrderId(name),
        "tags": [role.tag, f"{ENTRY_TAG}{bracket.entry}"],
    }


def _listed(entry: Any, exits: Sequence[Any], list_id: str) -> list[Any]:
    """The factory makes lists of one target only: the links are given here."""
    first = {
        "order_list_id": list_id,
        "contingency_type": "OTO",
        "linked_order_ids": [str(one.client_order_id) for one in exits],
    }
    rest = {"order_list_id": list_id, "parent_order_id": str(entry.client_order_id)}
    return [_with(entry, first), *(_with(one, rest) for one in exits)]


def _with(order: Any, changes: dict[str, Any]) -> Any:
    fields = order.init_event.to_dict() | changes
    return type(order).create(OrderInitialized.from_dict(fields))
