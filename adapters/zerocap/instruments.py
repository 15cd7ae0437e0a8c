"""Markets to instruments: of the config in dialect A, of `get_instruments` in C (section 3)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from nautilus_trader.model import CurrencyPair, InstrumentId, Price, Quantity, Symbol

from fairlead.adapters.base.venue import ParseError, VenueInstrument
from fairlead.adapters.zerocap.config import ZerocapMarket
from fairlead.adapters.zerocap.schemas import Instrument
from fairlead.adapters.zerocap.symbols import instrument_id, split_name
from fairlead.engine.currencies import currency

MAX_PRECISION = 12


def told(row: Instrument) -> ZerocapMarket:
    """A row of the venue as a market of the config would be. Raises ParseError."""
    precisions = []
    for name, value in (("price", row.price_precision), ("quantity", row.quantity_precision)):
        if value is None or value != value.to_integral_value() or not 0 <= value <= MAX_PRECISION:
            raise ParseError(
                "instrument",
                f"{row.name[:40]}: expected a {name} precision of 0 to {MAX_PRECISION}, "
                f"received {value}",
            )
        precisions.append(int(value))
    least, most = row.min_quantity or Decimal(0), row.max_quantity
    if least < 0 or (most is not None and most < least):
        raise ParseError("instrument", f"{row.name[:40]}: expected 0 <= {least} <= {most}")
    return ZerocapMarket(
        symbol=row.name,
        price_precision=precisions[0],
        quantity_precision=precisions[1],
        min_quantity=least,
        max_quantity=most,
    )


def markets(
    rows: Iterable[Instrument], configured: Iterable[ZerocapMarket]
) -> tuple[dict[str, tuple[ZerocapMarket, bool]], dict[str, str]]:
    """Markets by symbol with whether they are traded, and why others are left out.

    What the config says of a market counts, not what the venue says.
    """
    own = {market.symbol: market for market in configured}
    found: dict[str, tuple[ZerocapMarket, bool]] = {}
    skipped: dict[str, str] = {}
    for row in rows:
        try:
            split_name(row.name)
            found[row.name] = own.get(row.name) or told(row), row.is_tradable
        except ParseError as e:
            skipped[row.name] = str(e)
    return found, skipped


def instrument(market: ZerocapMarket, is_tradable: bool, venue: str, ts: int) -> VenueInstrument:
    """Build one instrument. Fees are 0: the spread holds them. Raises ParseError for its name."""
    base, quote = split_name(market.symbol)
    ident = instrument_id(market.symbol, venue)
    tick, step = (
        f"{Decimal(1).scaleb(-precision):.{precision}f}"
        for precision in (market.price_precision, market.quantity_precision)
    )
    least = max(market.min_quantity, Decimal(step))
    pair = CurrencyPair(
        InstrumentId.from_str(ident),
        Symbol(market.symbol),
        currency(base),
        currency(quote),
        market.price_precision,
        market.quantity_precision,
        Price.from_str(tick),
        Quantity.from_str(step),
        ts,
        ts,
        min_quantity=_quantity(least, market),
        max_quantity=None
        if market.max_quantity is None
        else _quantity(market.max_quantity, market),
        info={"maker_fee": "0", "taker_fee": "0", "source": "zerocap"},
    )
    return VenueInstrument(
        id=ident,
        symbol=market.symbol,
        base=base,
        quote=quote,
        nautilus=pair,
        price_precision=market.price_precision,
        size_precision=market.quantity_precision,
        min_quantity=least,
        tradable=is_tradable,
        state="tradable" if is_tradable else "not tradable",
    )


def _quantity(value: Decimal, market: ZerocapMarket) -> Quantity:
    return Quantity.from_str(f"{value:.{market.quantity_precision}f}")
