"""`/api/v1/symbols` to instruments (section 3.2)."""

from __future__ import annotations

from decimal import Decimal

from nautilus_trader.model import CurrencyPair, InstrumentId, Price, Quantity, Symbol

from adapters.base.venue import ParseError, VenueInstrument
from adapters.piexgo import parse
from adapters.piexgo import schemas as s
from adapters.piexgo.symbols import instrument_id, rest_symbol, split_symbol
from engine.currencies import currency

MAX_PRECISION = 16
MAX_FEE = Decimal("0.1")
VOLUME_ABOVE = Decimal("0.0001")  # an order's volume must be more (code 10302)


def instrument(row: s.Symbol, venue: str, ts_init: int) -> VenueInstrument:
    """One market. Raises ParseError for a name, precision or fee that can't be.

    The least value of an order is not documented; the venue refuses what is too small.
    """
    base, quote = split_symbol(row.symbol)
    price_precision, size_precision = row.price_precision, row.amount_precision
    if not (0 <= price_precision <= MAX_PRECISION and 0 <= size_precision <= MAX_PRECISION):
        raise ParseError("symbol", f"{row.symbol}: expected precisions of 0 to {MAX_PRECISION}")
    fees = [parse.number(fee, "fee") for fee in (row.maker_fee, row.taker_fee)]
    if not all(0 <= fee <= MAX_FEE for fee in fees):
        raise ParseError("symbol", f"{row.symbol}: expected fees from 0 to {MAX_FEE}")
    tick, step = (Decimal(1).scaleb(-p) for p in (price_precision, size_precision))
    least = VOLUME_ABOVE.quantize(step) if size_precision < 4 else VOLUME_ABOVE
    least = step if least < step else least + step
    ident = instrument_id(row.symbol, venue)
    pair = CurrencyPair(
        InstrumentId.from_str(ident),
        Symbol(rest_symbol(row.symbol)),
        currency(base),
        currency(quote),
        price_precision,
        size_precision,
        Price.from_str(f"{tick:f}"),
        Quantity.from_str(f"{step:f}"),
        ts_init,
        ts_init,
        min_quantity=Quantity.from_str(f"{least:f}"),
        info={
            "maker_fee": str(row.maker_fee),
            "taker_fee": str(row.taker_fee),
            "buy_fee_in_base": True,
            "source": "piexgo",
        },
    )
    return VenueInstrument(
        id=ident,
        symbol=rest_symbol(row.symbol),
        base=base,
        quote=quote,
        nautilus=pair,
        price_precision=price_precision,
        size_precision=size_precision,
        min_quantity=least,
        maker_fee=row.maker_fee,
        taker_fee=row.taker_fee,
        buy_fee_in_base=True,
    )
