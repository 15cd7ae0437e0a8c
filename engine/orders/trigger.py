"""Which order kind a trigger condition means: one table for strategies, adapters and simulators.

A stop-limit that waits for the price to move against the position's owner (BUY above, SELL below)
is a STOP_LIMIT; one that waits for a better price (BUY below, SELL above) is a LIMIT_IF_TOUCHED.
"""

from __future__ import annotations

from fairlead.engine.orders.model import Kind, Side, TriggerCondition

_KINDS = {
    (Side.BUY, TriggerCondition.GTE): Kind.STOP_LIMIT,
    (Side.SELL, TriggerCondition.LTE): Kind.STOP_LIMIT,
    (Side.BUY, TriggerCondition.LTE): Kind.LIMIT_IF_TOUCHED,
    (Side.SELL, TriggerCondition.GTE): Kind.LIMIT_IF_TOUCHED,
}
_CONDITIONS = {(side, kind): condition for (side, condition), kind in _KINDS.items()}


def kind_for(side: Side, condition: TriggerCondition) -> Kind:
    """STOP_LIMIT or LIMIT_IF_TOUCHED, for an order that fires on `condition`."""
    return _KINDS[side, condition]


def condition_of(kind: Kind, side: Side) -> TriggerCondition | None:
    """The condition on which an order of this kind and side fires; None for LIMIT and MARKET."""
    return _CONDITIONS.get((side, kind))


def default_condition(side: Side) -> TriggerCondition:
    """The condition of a plain stop: BUY at or above, SELL at or below."""
    return TriggerCondition.GTE if side is Side.BUY else TriggerCondition.LTE
