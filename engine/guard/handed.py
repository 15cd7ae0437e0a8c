"""What a strategy hands over as an order, looked at before anything is done with it."""

from __future__ import annotations

from typing import Any

from nautilus_trader.model import Price

from fairlead.engine.orders.model import Side, TriggerCondition
from fairlead.engine.orders.trigger import default_condition


def chosen_condition(side: Side, wanted: TriggerCondition | str | None) -> TriggerCondition:
    """What a strategy asked for; None is a plain stop's. Raises ValueError, which names both."""
    if wanted is None:
        return default_condition(side)
    if wanted not in tuple(TriggerCondition):
        raise ValueError(
            'trigger_condition: expected "gte" (fires at or above the trigger) or "lte" (at or '
            f"below it), received {wanted!r}"
        )
    return TriggerCondition(wanted)


def require_order(order: Any) -> Any:
    """`order`. Raises TypeError for what is none."""
    if not hasattr(order, "order_type"):
        raise TypeError(f"expected an order of self.order_factory, {order!r} came")
    return order


def require_marketable(side: Side, trigger: Price, limit: Price) -> None:
    """Raise ValueError for the limit of a limit-if-touched order that could not trade."""
    low, high = (trigger, limit) if side is Side.BUY else (limit, trigger)
    fits = low.as_decimal() <= high.as_decimal()
    if not fits:
        condition, sign = ("lte", ">=") if side is Side.BUY else ("gte", "<=")
        raise ValueError(
            f"{side} with trigger_condition {condition} is a limit-if-touched order: expected "
            f"limit {sign} trigger, limit {limit} and trigger {trigger} came; move the limit, or "
            "use a plain limit order"
        )
