"""`/markets?show_details` and `/fees/trading` to instruments (section 1.1, 4.9)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from nautilus_trader.model import (
    CurrencyPair,
    InstrumentId,
    Money,
    Price,
    Quantity,
    Symbol,
)

from adapters.base.venue import ParseError, VenueInstrument
from adapters.oceanex import parse
from adapters.oceanex.schemas import Market, TradingFee
from adapters.oceanex.symbols import instrument_id, is_market, split_name
from engine.currencies import currency

MAX_PRECISION = 16
MAX_FEE = Decimal("0.1")


def _increment(precision: int) -> str:
    return f"{Decimal(1).scaleb(-precision):.{precision}f}"


def _fees(market: str, fees: Iterable[TradingFee]) -> tuple[Decimal, Decimal] | None:
    """Return (ask fee, bid fee) as fractions, or None if the table has no such market."""
    for row in fees:
        if row.market != market:
            continue
        for fee in (row.ask_fee, row.bid_fee):
            rate = parse.decimal(fee.value, "fee")
            if fee.type != "relative" or not 0 <= rate <= MAX_FEE:
                raise ParseError("fee", f"{market}: expected a relative fee up to {MAX_FEE}")
        return row.ask_fee.value, row.bid_fee.value
    return None


def instrument(
    market: Market, fees: Iterable[TradingFee], venue: str, ts_init: int
) -> VenueInstrument:
    """Build one instrument.

    `tradable` is False for a disabled market, and for one without a fee. Raises ParseError if the
    market has no usable name or precisions.
    """
    price_precision, size_precision = market.price_precision, market.amount_precision
    if price_precision is None or size_precision is None:
        raise ParseError("market", f"{market.id[:40]}: expected precisions, received none")
    if not (0 <= price_precision <= MAX_PRECISION and 0 <= size_precision <= MAX_PRECISION):
        raise ParseError("market", f"{market.id[:40]}: expected precisions of 0 to {MAX_PRECISION}")
    if not is_market(market.id):
        raise ParseError("market", f"expected a market id, received {market.id[:40]!r}")
    base, quote = split_name(market.name)
    ident = instrument_id(market.name, venue)
    rates = _fees(market.id, fees)
    ask_fee, bid_fee = rates or (Decimal(0), Decimal(0))
    least = parse.decimal(market.minimum_trading_amount or Decimal(0), "minimum_trading_amount")
    quote_currency = currency(quote)
    worst = max(ask_fee, bid_fee)
    pair = CurrencyPair(
        InstrumentId.from_str(ident),
        Symbol(market.id),
        currency(base),
        quote_currency,
        price_precision,
        size_precision,
        Price.from_str(_increment(price_precision)),
        Quantity.from_str(_increment(size_precision)),
        ts_init,
        ts_init,
        min_quantity=Quantity.from_str(_increment(size_precision)),
        min_notional=Money.from_decimal(least, quote_currency) if least > 0 else None,
        info={
            "maker_fee": str(worst),
            "taker_fee": str(worst),
            "buy_fee": str(bid_fee),
            "sell_fee": str(ask_fee),
            "buy_fee_in_base": True,
            "source": "oceanex",
        },
    )
    return VenueInstrument(
        id=ident,
        symbol=market.id,
        base=base,
        quote=quote,
        nautilus=pair,
        price_precision=price_precision,
        size_precision=size_precision,
        min_quantity=Decimal(1).scaleb(-size_precision),
        min_notional=least,
        # The venue's fees are per side; who makes or takes pays the same, at most this.
        maker_fee=worst,
        taker_fee=worst,
        buy_fee=bid_fee if rates else None,
        sell_fee=ask_fee if rates else None,
        buy_fee_in_base=True,
        tradable=market.enabled and rates is not None,
        state=_state(market.enabled, has_fee=rates is not None),
    )


def _state(enabled: bool, *, has_fee: bool) -> str:
    if not enabled:
        return "disabled"
    return "enabled" if has_fee else "no fee known"
