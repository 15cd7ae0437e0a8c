"""A spot market as an instrument: NautilusTrader's object, and the facts it has no field for."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.model import CurrencyPair, InstrumentId, Money, Price, Quantity, Symbol

from fairlead.adapters.base.venue import ParseError, VenueInstrument
from fairlead.engine.currencies import currency

MAX_PRECISION = 16
_ZERO = Decimal(0)


class FeeTable(msgspec.Struct, frozen=True, kw_only=True):
    """Rates as fractions of the executed value; per side where the venue has those."""

    maker: Decimal
    taker: Decimal
    buy: Decimal | None = None
    sell: Decimal | None = None


def spot_instrument(
    *,
    id: str,
    symbol: str,
    base: str,
    quote: str,
    price_precision: int,
    size_precision: int,
    fees: FeeTable | None,
    tradable: bool,
    state: str,
    ts_ns: int,
    min_quantity: Decimal = _ZERO,
    min_notional: Decimal = _ZERO,
    buy_fee_in_base: bool = True,
    margin_init: Decimal = _ZERO,
    info: Mapping[str, Any] | None = None,
) -> VenueInstrument:
    """One market; `fees` None: not known, which is not the same as none. `margin_init` is a part of
    the notional, where positions are leveraged; 0: not known.

    NautilusTrader's object carries the rates in `info` as decimal text, and so a recording too.
    Raises ParseError where the market contradicts itself or is beyond NautilusTrader's ranges.
    """
    for precision in (price_precision, size_precision):
        if not 0 <= precision <= MAX_PRECISION:
            raise ParseError("market", f"{symbol[:40]}: {precision} decimals of {MAX_PRECISION}")
    try:
        pair = CurrencyPair(
            InstrumentId.from_str(id),
            Symbol(symbol),
            currency(base),
            currency(quote),
            price_precision,
            size_precision,
            Price.from_decimal_dp(Decimal(1).scaleb(-price_precision), price_precision),
            Quantity.from_decimal_dp(Decimal(1).scaleb(-size_precision), size_precision),
            ts_ns,
            ts_ns,
            min_quantity=(
                Quantity.from_decimal_dp(min_quantity, size_precision) if min_quantity > 0 else None
            ),
            min_notional=(
                Money.from_decimal(min_notional, currency(quote)) if min_notional > 0 else None
            ),
            margin_init=margin_init if margin_init > 0 else None,
            info={**(info or {}), **_told(fees, buy_fee_in_base=buy_fee_in_base)},
        )
    except (ValueError, OverflowError, ArithmeticError) as error:
        raise ParseError("market", f"{symbol[:40]}: {str(error)[:120]}") from error
    return VenueInstrument(
        id=id,
        symbol=symbol,
        base=base,
        quote=quote,
        nautilus=pair,
        price_precision=price_precision,
        size_precision=size_precision,
        min_quantity=min_quantity,
        min_notional=min_notional,
        maker_fee=fees.maker if fees else _ZERO,
        taker_fee=fees.taker if fees else _ZERO,
        buy_fee=fees.buy if fees else None,
        sell_fee=fees.sell if fees else None,
        buy_fee_in_base=buy_fee_in_base,
        tradable=tradable,
        state=state,
    )


def _told(fees: FeeTable | None, *, buy_fee_in_base: bool) -> dict[str, object]:
    """What `fairlead.engine.run.fees` reads: the currency also where only the config has rates."""
    told: dict[str, object] = {"buy_fee_in_base": buy_fee_in_base}
    if fees is not None:
        rates = {
            "maker_fee": fees.maker,
            "taker_fee": fees.taker,
            "buy_fee": fees.buy,
            "sell_fee": fees.sell,
        }
        told |= {name: str(rate) for name, rate in rates.items() if rate is not None}
    return told
