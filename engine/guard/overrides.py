"""The methods that create or change orders, which a strategy may call and not replace."""

from __future__ import annotations

from collections.abc import Iterable

from nautilus_trader.trading import Strategy

ORDER_METHODS = (
    "submit_order",
    "submit_order_list",
    "modify_order",
    "modify_orders",
    "close_position",
    "close_all_positions",
    "market_exit",
)
_LIBRARY = frozenset(Strategy.__mro__)


def own_classes(cls: type, guard: type) -> list[type]:
    """The classes of `cls` that its author wrote; those of `guard` are the engine's."""
    return [base for base in cls.__mro__ if base not in _LIBRARY and not issubclass(guard, base)]


def refuse_overrides(cls: type, own: Iterable[type]) -> None:
    """Raise TypeError when a class of `own` defines an order-creating method."""
    bad = sorted({name for base in own for name in ORDER_METHODS if name in base.__dict__})
    if bad:
        raise TypeError(
            f"{cls.__name__} overrides {', '.join(bad)}: orders could pass the risk gate unseen; "
            "call these methods instead, and use on_gate_denied to see what was refused"
        )
