"""Markets of the venue as NautilusTrader instruments (document section 1)."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from nautilus_trader.model import (
    InstrumentId,
    InstrumentStatus,
    MarketStatusAction,
)

from fairlead.adapters.base.book import Numbers
from fairlead.adapters.base.spot import FeeTable, spot_instrument
from fairlead.adapters.base.venue import ParseError, VenueInstrument
from fairlead.adapters.poloniex.schemas import FeeInfo, Market
from fairlead.adapters.poloniex.symbols import instrument_of

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
    return spot_instrument(
        id=instrument_of(market.symbol, venue),
        symbol=market.symbol,
        base=market.base_currency_name.upper(),
        quote=market.quote_currency_name.upper(),
        price_precision=limit.price_scale,
        size_precision=limit.quantity_scale,
        fees=None if fees is None else FeeTable(maker=fees.maker_rate, taker=fees.taker_rate),
        tradable=market.state in TRADABLE,
        state=market.state,
        ts_ns=market.tradable_start_time * 1_000_000,
        min_quantity=limit.min_quantity,
        min_notional=limit.min_amount,
        info={"state": market.state, "amount_scale": limit.amount_scale},
    )


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
