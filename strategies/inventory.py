"""Exact holdings of one strategy in one instrument, and rounding to the venue's increments."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from nautilus_trader.model import OrderFilled, OrderSide, Price, Quantity


def price_down(instrument: Any, price: Decimal) -> Price:
    """The highest valid price at or below `price` (quote currency)."""
    return _price(instrument, price, ROUND_FLOOR)


def price_up(instrument: Any, price: Decimal) -> Price:
    """The lowest valid price at or above `price` (quote currency)."""
    return _price(instrument, price, ROUND_CEILING)


def quantity_down(instrument: Any, quantity: Decimal) -> Quantity | None:
    """The largest tradable quantity within `quantity` (base units), or None where there is none."""
    step = instrument.size_increment.as_decimal()
    rounded = (quantity / step).to_integral_value(ROUND_FLOOR) * step
    least = instrument.min_quantity
    if rounded <= 0 or (least is not None and rounded < least.as_decimal()):
        return None
    return Quantity.from_decimal_dp(rounded, instrument.size_precision)


def _price(instrument: Any, price: Decimal, rounding: str) -> Price:
    step = instrument.price_increment.as_decimal()
    rounded = (price / step).to_integral_value(rounding) * step
    return Price.from_decimal_dp(rounded, instrument.price_precision)


class Inventory:
    """Base units held: what the strategy was handed at the start, plus its own fills.

    A fee paid in base currency (spot buys on some venues) makes the holding smaller than the sum
    of the fills, so that what can be sold is known exactly.
    """

    def __init__(self, instrument: Any, start: Decimal, position: Decimal) -> None:
        self.start = start
        self.position = position  # signed, base units
        self._base = instrument.base_currency.code

    @property
    def held(self) -> Decimal:
        return self.start + self.position

    def apply(self, fill: OrderFilled) -> None:
        signed = fill.last_qty.as_decimal()
        self.position += signed if fill.order_side == OrderSide.BUY else -signed
        fee = fill.commission
        if fee is not None and fee.currency.code == self._base:
            self.position -= fee.as_decimal()
