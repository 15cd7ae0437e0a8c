"""`/markets?show_details` and `/fees/trading` to instruments (section 1.1, 4.9)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from fairlead.adapters.base.spot import FeeTable, spot_instrument
from fairlead.adapters.base.venue import ParseError, VenueInstrument
from fairlead.adapters.oceanex import parse
from fairlead.adapters.oceanex.schemas import Market, TradingFee
from fairlead.adapters.oceanex.symbols import instrument_id, is_market, split_name

MAX_FEE = Decimal("0.1")


def _fees(market: str, fees: Iterable[TradingFee]) -> FeeTable | None:
    """The market's rates, or None if the table has no such market.

    They are per side; who makes or takes pays the same, at most the higher.
    """
    for row in fees:
        if row.market != market:
            continue
        for fee in (row.ask_fee, row.bid_fee):
            rate = parse.decimal(fee.value, "fee")
            if fee.type != "relative" or not 0 <= rate <= MAX_FEE:
                raise ParseError("fee", f"{market}: expected a relative fee up to {MAX_FEE}")
        buy, sell = row.bid_fee.value, row.ask_fee.value
        return FeeTable(maker=max(buy, sell), taker=max(buy, sell), buy=buy, sell=sell)
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
    if not is_market(market.id):
        raise ParseError("market", f"expected a market id, received {market.id[:40]!r}")
    base, quote = split_name(market.name)
    rates = _fees(market.id, fees)
    return spot_instrument(
        id=instrument_id(market.name, venue),
        symbol=market.id,
        base=base,
        quote=quote,
        price_precision=price_precision,
        size_precision=size_precision,
        fees=rates,
        tradable=market.enabled and rates is not None,
        state=_state(market.enabled, has_fee=rates is not None),
        ts_ns=ts_init,
        min_quantity=Decimal(1).scaleb(-size_precision),
        min_notional=parse.decimal(
            market.minimum_trading_amount or Decimal(0), "minimum_trading_amount"
        ),
        info={"source": "oceanex"},
    )


def _state(enabled: bool, *, has_fee: bool) -> str:
    if not enabled:
        return "disabled"
    return "enabled" if has_fee else "no fee known"
