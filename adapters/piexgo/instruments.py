"""`/api/v1/symbols` to instruments (section 3.2)."""

from __future__ import annotations

from decimal import Decimal

from fairlead.adapters.base.spot import MAX_PRECISION, FeeTable, spot_instrument
from fairlead.adapters.base.venue import ParseError, VenueInstrument
from fairlead.adapters.piexgo import parse
from fairlead.adapters.piexgo import schemas as s
from fairlead.adapters.piexgo.symbols import instrument_id, rest_symbol, split_symbol

VOLUME_ABOVE = Decimal("0.0001")  # an order's volume must be more (code 10302)


def instrument(row: s.Symbol, venue: str, ts_init: int) -> VenueInstrument:
    """One market. Raises ParseError for a name, precision or fee that can't be.

    The least value of an order is not documented; the venue refuses what is too small.
    """
    base, quote = split_symbol(row.symbol)
    fees = [parse.number(fee, "fee") for fee in (row.maker_fee, row.taker_fee)]
    if not all(0 <= fee <= parse.MAX_FEE for fee in fees):
        raise ParseError("symbol", f"{row.symbol}: expected fees from 0 to {parse.MAX_FEE}")
    return spot_instrument(
        id=instrument_id(row.symbol, venue),
        symbol=rest_symbol(row.symbol),
        base=base,
        quote=quote,
        price_precision=row.price_precision,
        size_precision=row.amount_precision,
        fees=FeeTable(maker=row.maker_fee, taker=row.taker_fee),
        tradable=True,
        state="",
        ts_ns=ts_init,
        min_quantity=_least(row.amount_precision),
        info={"source": "piexgo"},
    )


def _least(precision: int) -> Decimal:
    """The least volume of a market: one step, and more than VOLUME_ABOVE."""
    if not 0 <= precision <= MAX_PRECISION:
        raise ParseError("symbol", f"expected a precision of 0 to {MAX_PRECISION}")
    step = Decimal(1).scaleb(-precision)
    return step if step > VOLUME_ABOVE else VOLUME_ABOVE + step
