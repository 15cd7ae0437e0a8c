"""Instruments of importers: from what a file, a venue's list and the options say of a market."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from nautilus_trader.model import (
    CryptoPerpetual,
    CurrencyPair,
    InstrumentId,
    Money,
    Price,
    Quantity,
    Symbol,
)

from fairlead.engine.currencies import currency
from fairlead.engine.recording.importers.events import Contract, Market
from fairlead.engine.recording.importers.listing import Listed


def decimals_of(step: Decimal) -> int:
    """How many decimals a finite number has."""
    exponent = step.normalize().as_tuple().exponent
    assert isinstance(exponent, int)  # a finite number
    return max(0, -exponent)


def build(
    market: Market,
    precision: tuple[int, int],
    terms: Listed,
    ts: int,
    info: Mapping[str, str],
    margins: tuple[Decimal, Decimal] | None = None,
) -> Any:
    """A CurrencyPair or CryptoPerpetual; `precision` is decimals of price and of size.

    NautilusTrader's instruments have no fee fields: `info` has those that are known as text.
    `margins`, initial and maintenance, hold where the terms have none.
    """
    price_precision, size_precision = precision
    step = _step(size_precision, terms.step_size)
    quote = currency(terms.quote)
    common: dict[str, Any] = {
        "price_precision": price_precision,
        "size_precision": size_precision,
        "price_increment": Price.from_str(_step(price_precision, terms.tick_size)),
        "size_increment": Quantity.from_str(step),
        "min_quantity": _quantity(terms.min_size, size_precision) or Quantity.from_str(step),
        "max_quantity": _quantity(terms.max_size, size_precision),
        "ts_event": ts,
        "ts_init": ts,
        "info": {**info},
    }
    if terms.min_notional is not None:
        common["min_notional"] = Money.from_decimal(terms.min_notional, quote)
    base = currency(terms.base)
    names = (InstrumentId.from_str(market.id), Symbol(market.symbol), base, quote)
    if market.contract is Contract.SPOT:
        return CurrencyPair(*names, **common)
    init, maint = margins or (None, None)
    common["margin_init"] = init if terms.margin_init is None else terms.margin_init
    common["margin_maint"] = maint if terms.margin_maint is None else terms.margin_maint
    if market.multiplier is not None:
        common["multiplier"] = Quantity.from_str(f"{market.multiplier.normalize():f}")
    is_inverse = market.contract is Contract.INVERSE
    return CryptoPerpetual(*names, base if is_inverse else quote, is_inverse, **common)


def _step(precision: int, given: Decimal | None) -> str:
    if given is not None:
        return f"{given:.{precision}f}"
    return f"0.{'0' * (precision - 1)}1" if precision else "1"


def _quantity(size: Decimal | None, precision: int) -> Quantity | None:
    """With the instrument's decimals; None for none, and for one that those do not reach."""
    if size is None or decimals_of(size) > precision:
        return None
    return Quantity.from_str(f"{size:.{precision}f}")
