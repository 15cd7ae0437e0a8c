"""Prices and quantities on an instrument's grid, toward safety."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from nautilus_trader.common import Cache
from nautilus_trader.model import InstrumentId, OrderSide, Price, Quantity

from fairlead.engine.guard.handed import exact, require, require_side


def round_price(
    cache: Cache, instrument_id: InstrumentId, side: OrderSide, price: Decimal | Price | int | str
) -> Price:
    """A BUY never pays more, a SELL never gets less.

    Raises ValueError for an instrument that the cache has not, TypeError for a float or no side.
    """
    instrument = _instrument(cache, instrument_id)
    rounding = ROUND_FLOOR if require_side(side) == OrderSide.BUY else ROUND_CEILING
    step = instrument.price_increment.as_decimal()
    return Price.from_str(_on_grid(price, step, instrument.price_precision, rounding))


def round_quantity(
    cache: Cache, instrument_id: InstrumentId, quantity: Decimal | Quantity | int | str
) -> Quantity:
    """Never more, whichever the side. May be 0, which no order can have.

    Raises ValueError for an instrument that the cache has not or a negative quantity, TypeError for
    a float.
    """
    instrument = _instrument(cache, instrument_id)
    step = instrument.size_increment.as_decimal()
    return Quantity.from_str(_on_grid(quantity, step, instrument.size_precision, ROUND_FLOOR))


def _instrument(cache: Cache, instrument_id: InstrumentId) -> Any:
    require(instrument_id=instrument_id)
    instrument = cache.instrument(instrument_id)
    if instrument is None:
        raise ValueError(f"expected an instrument of this run, {instrument_id} is none")
    return instrument


def _on_grid(value: Any, step: Decimal, precision: int, rounding: str) -> str:
    """`value` in whole steps, written with `precision` digits."""
    steps = (exact(value) / step).to_integral_value(rounding=rounding)
    return f"{steps * step:.{precision}f}"
