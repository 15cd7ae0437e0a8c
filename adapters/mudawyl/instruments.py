"""The config's markets to instruments: no endpoint tells precisions, limits or fees (section 3)."""

from __future__ import annotations

from decimal import ROUND_UP, Decimal

from fairlead.adapters.base.spot import FeeTable, spot_instrument
from fairlead.adapters.base.venue import VenueInstrument
from fairlead.adapters.mudawyl.config import MudawylMarket
from fairlead.adapters.mudawyl.symbols import instrument_id, split_symbol

MARGIN_STEP = Decimal("0.00000001")


def instrument(
    market: MudawylMarket, venue: str, ts_init: int, leverage: Decimal | None = None
) -> VenueInstrument:
    """One market. Both sides pay in quote currency. `leverage` as the exchange has it tells the
    initial margin; the config's goes first. Raises ParseError for a name that is none.
    """
    leverage = leverage if market.leverage is None else Decimal(market.leverage)
    margin = Decimal(0)
    if leverage is not None:
        margin = (1 / leverage).quantize(MARGIN_STEP, ROUND_UP)
    base, quote = split_symbol(market.symbol)
    return spot_instrument(
        id=instrument_id(market.symbol, venue),
        symbol=market.symbol,
        base=base,
        quote=quote,
        price_precision=market.price_precision,
        size_precision=market.quantity_precision,
        fees=FeeTable(maker=market.maker_fee, taker=market.taker_fee),
        tradable=True,
        state="",
        ts_ns=ts_init,
        min_quantity=market.min_quantity,
        min_notional=market.min_notional,
        buy_fee_in_base=False,
        margin_init=margin,
        info={"source": "mudawyl"},
    )
