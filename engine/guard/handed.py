"""What a strategy hands over, looked at before anything is done with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from nautilus_trader.model import (
    ClientOrderId,
    InstrumentId,
    OrderSide,
    Position,
    Price,
    Quantity,
)

from fairlead.engine.orders.model import Role, Side, TriggerCondition
from fairlead.engine.orders.trigger import default_condition

UPDATE_PARTS = 4  # of one change, at most
_SIDES = (OrderSide.BUY, OrderSide.SELL)
_PRICE = "a nautilus_trader.model.Price", "write self.round_price(instrument_id, side, value)"
# Of an argument by its name: what it has to be, and how one is made; any other is a price
_EXPECTED: Final[Mapping[str, tuple[type, str, str]]] = {
    "client_order_id": (
        ClientOrderId,
        "a nautilus_trader.model.ClientOrderId",
        "write order.client_order_id, or ClientOrderId(text)",
    ),
    "instrument_id": (
        InstrumentId,
        "a nautilus_trader.model.InstrumentId",
        'write InstrumentId.from_str("SYMBOL.VENUE")',
    ),
    "quantity": (
        Quantity,
        "a nautilus_trader.model.Quantity",
        "write self.round_quantity(instrument_id, value)",
    ),
    "role": (Role, "a fairlead.Role", "write role=Role.STOP, or another of its names"),
}


def require(**handed: Any) -> None:
    """Raises TypeError, with its name and how it is made, for an argument of another type."""
    for name, value in handed.items():
        kind, what, how = _EXPECTED.get(name, (Price, *_PRICE))
        if not isinstance(value, kind):
            raise TypeError(f"{name}: expected {what}, {_told(value)} came; {how}")


def require_given(**handed: Any) -> None:
    """The same; what is None was not given."""
    for name, value in handed.items():
        if value is not None:
            require(**{name: value})


def require_ids(client_order_ids: Any) -> list[ClientOrderId]:
    """Several of them. Raises TypeError for what is none, or holds another."""
    if isinstance(client_order_ids, str) or not isinstance(client_order_ids, Iterable):
        raise TypeError(
            "client_order_ids: expected a list of nautilus_trader.model.ClientOrderId, "
            f"{_told(client_order_ids)} came; write [order.client_order_id for order in ...]"
        )
    listed = list(client_order_ids)
    for one in listed:
        require(client_order_id=one)
    return listed


def require_updates(updates: Any) -> list[Any]:
    """What `modify_orders` takes. Raises TypeError for what is none."""
    listed = list(updates) if isinstance(updates, list | tuple) else [updates]
    for one in listed:
        if not isinstance(one, list | tuple) or not 1 <= len(one) <= UPDATE_PARTS:
            raise TypeError(
                "updates: expected a list of (client_order_id, quantity, price, trigger_price), "
                f"with None for what stays, {_told(one)} came"
            )
    return listed


def require_side(side: Any) -> OrderSide:
    """`side`. Raises TypeError for what is neither side of an order."""
    if side not in _SIDES:
        raise TypeError(
            f"side: expected a nautilus_trader.model.OrderSide, {_told(side)} came; write "
            "OrderSide.BUY or OrderSide.SELL"
        )
    return side  # type: ignore[no-any-return]


def exact(value: Any) -> Decimal:
    """A number that a strategy gave, as it is written. Raises TypeError for a float and for what is
    no number at all, ValueError for text that is none and for what is not finite."""
    if isinstance(value, Price | Quantity):
        return value.as_decimal()
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise TypeError(f"expected an exact number, {_told(value)} came; use Decimal or text")
    try:
        number = Decimal(value)
    except ArithmeticError:
        raise ValueError(f"expected an exact number, the text {value!r} came") from None
    if not number.is_finite():
        raise ValueError(f"expected a finite number, {value} came")
    return number


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
        raise TypeError(
            f"expected an order of self.order_factory, {order!r} came; write "
            "self.order_factory.limit(...), or self.cache.order(client_order_id)"
        )
    return order


def require_position(position: Any) -> Any:
    """`position`. Raises TypeError for what is none."""
    if not isinstance(position, Position):
        raise TypeError(
            f"expected a position of self.cache, {_told(position)} came; write "
            "self.cache.position(position_id), or self.close_all_positions(instrument_id)"
        )
    return position


def _told(value: Any) -> str:
    if value is None:
        return "None"
    kind = "text" if isinstance(value, str) else type(value).__name__
    return f"the {kind} {value!r}" if kind == "text" else f"the {kind} {value}"


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
