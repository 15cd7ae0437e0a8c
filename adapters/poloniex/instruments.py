"""Markets of the venue as NautilusTrader instruments (document section 1)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from decimal import Decimal

from nautilus_trader.model import (
    CurrencyPair,
    InstrumentId,
    InstrumentStatus,
    MarketStatusAction,
    Money,
    Price,
    Quantity,
    Symbol,
)

from adapters.base.book import Numbers
from adapters.base.venue import ParseError, VenueInstrument
from adapters.poloniex.schemas import FeeInfo, Market
from adapters.poloniex.symbols import instrument_of
from engine.currencies import currency

logger = logging.getLogger(__name__)

STATUS_ACTIONS: dict[str, MarketStatusAction] = {
    "NORMAL": MarketStatusAction.TRADING,
    "PAUSE": MarketStatusAction.PAUSE,
    "OFFLINE": MarketStatusAction.NOT_AVAILABLE_FOR_TRADING,
    "NEW": MarketStatusAction.PRE_OPEN,
    "POST_ONLY": MarketStatusAction.QUOTING,
    "MAINTENANCE": MarketStatusAction.SUSPEND,  # venue-wide, from the `exchange` channel
}
TRADABLE = frozenset({"NORMAL", "POST_ONLY"})


class StreamInstrument:
    """What the hot path needs of one instrument, made once."""

    __slots__ = ("instrument_id", "name", "numbers", "price_precision", "size_precision", "symbol")

    def __init__(self, instrument: VenueInstrument) -> None:
        self.symbol = instrument.symbol
        self.name = instrument.id
        self.instrument_id = InstrumentId.from_str(instrument.id)
        self.price_precision = instrument.price_precision
        self.size_precision = instrument.size_precision
        self.numbers = Numbers(instrument.price_precision, instrument.size_precision)


def venue_instrument(market: Market, venue: str, fees: FeeInfo | None) -> VenueInstrument:
    """One market, with the account's fee rates where they are known.

    Raises ParseError when the market contradicts itself or is outside of NautilusTrader's ranges.
    """
    limit = market.symbol_trade_limit
    name = instrument_of(market.symbol, venue)
    base, quote = market.base_currency_name.upper(), market.quote_currency_name.upper()
    try:
        nautilus = CurrencyPair(
            InstrumentId.from_str(name),
            Symbol(market.symbol),
            currency(base),
            currency(quote),
            limit.price_scale,
            limit.quantity_scale,
            Price.from_decimal_dp(Decimal(1).scaleb(-limit.price_scale), limit.price_scale),
            Quantity.from_decimal_dp(
                Decimal(1).scaleb(-limit.quantity_scale), limit.quantity_scale
            ),
            market.tradable_start_time * 1_000_000,
            market.tradable_start_time * 1_000_000,
            min_quantity=_min_quantity(limit.min_quantity, limit.quantity_scale),
            min_notional=_min_notional(limit.min_amount, quote),
            info={"state": market.state, "amount_scale": limit.amount_scale, **_fee_info(fees)},
        )
    except (ValueError, OverflowError, ArithmeticError) as error:
        raise ParseError("market", f"{market.symbol[:32]}: {str(error)[:120]}") from error
    return VenueInstrument(
        id=name,
        symbol=market.symbol,
        base=base,
        quote=quote,
        nautilus=nautilus,
        price_precision=limit.price_scale,
        size_precision=limit.quantity_scale,
        min_quantity=limit.min_quantity,
        min_notional=limit.min_amount,
        maker_fee=fees.maker_rate if fees else Decimal(0),
        taker_fee=fees.taker_rate if fees else Decimal(0),
        buy_fee_in_base=True,
        tradable=market.state in TRADABLE,
        state=market.state,
    )


def _fee_info(fees: FeeInfo | None) -> dict[str, object]:
    """The account's rates as a recording keeps them; nothing where they are not known."""
    if fees is None:
        return {}
    return {
        "maker_fee": str(fees.maker_rate),
        "taker_fee": str(fees.taker_rate),
        "buy_fee_in_base": True,
    }


def venue_instruments(
    markets: Iterable[Market], venue: str, fees: FeeInfo | None
) -> dict[str, VenueInstrument]:
    """Every market in every state, by instrument id; one that can't be read is logged and left."""
    found: dict[str, VenueInstrument] = {}
    for market in markets:
        try:
            instrument = venue_instrument(market, venue, fees)
        except ParseError as error:
            logger.warning("left out: %s", error)
            continue
        found[instrument.id] = instrument
    return found


def instrument_status(
    instrument_id: InstrumentId, state: str, ts_event: int, ts_init: int
) -> InstrumentStatus:
    """A market's state; one that the document doesn't name is NONE with the text as reason."""
    return InstrumentStatus(
        instrument_id,
        STATUS_ACTIONS.get(state, MarketStatusAction.NONE),
        ts_event,
        ts_init,
        reason=state[:40],
        is_trading=state in TRADABLE,
        is_quoting=state in TRADABLE,
    )


def _min_quantity(value: Decimal, precision: int) -> Quantity | None:
    return Quantity.from_decimal_dp(value, precision) if value > 0 else None


def _min_notional(value: Decimal, quote: str) -> Money | None:
    return Money.from_decimal(value, currency(quote)) if value > 0 else None
