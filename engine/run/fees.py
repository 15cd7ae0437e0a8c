"""Fees of simulated execution (paper and backtest): the venue's rates, charged as the venue does.

Rates come from the config's `[venues.NAME.fees]` where that is present (`fees = "none"` is none at
all, and must be said), else from the instrument's `info`, where adapters and importers put them as
exact decimals in text: `maker_fee`, `taker_fee`, or per side `buy_fee`, `sell_fee` with
`buy_fee_in_base` (a buyer pays in base currency).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from nautilus_trader.execution import FeeModel, MakerTakerFeeModel
from nautilus_trader.model import LiquiditySide, Money, OrderSide, Price, Quantity

from fairlead.engine.config.model import Fees
from fairlead.engine.config.resolved import missing_fees_hint
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.observe.assumptions import FeeRates
from fairlead.engine.risk.facts import unit_worth

Configured = Fees | str | None  # of a venue in the config; the text is "none"


def rates_from_info(info: Mapping[str, Any] | None) -> FeeRates | None:
    """The rates an instrument carries, or None where it carries no whole set."""
    if not info:
        return None
    try:
        found = {
            name: Decimal(str(info[name]))
            for name in ("maker_fee", "taker_fee", "buy_fee", "sell_fee")
            if info.get(name) is not None
        }
    except InvalidOperation:
        return None
    in_base = _is_in_base(info)
    if "buy_fee" in found and "sell_fee" in found:
        return FeeRates(
            maker=found.get("maker_fee", found["sell_fee"]),
            taker=found.get("taker_fee", found["sell_fee"]),
            buy=found["buy_fee"],
            sell=found["sell_fee"],
            buy_in_base=in_base,
        )
    if "maker_fee" in found and "taker_fee" in found:
        return FeeRates(maker=found["maker_fee"], taker=found["taker_fee"], buy_in_base=in_base)
    return None


def _is_in_base(info: Mapping[str, Any] | None) -> bool:
    return info is not None and info.get("buy_fee_in_base") in (True, "true", "True")


def configured_rates(
    configured: Configured, info: Mapping[str, Any] | None = None
) -> FeeRates | None:
    """What a venue's `fees` of the config say; None: nothing.

    They say how much, not in which currency: that is the instrument's.
    """
    if configured is None:
        return None
    if isinstance(configured, str):
        return FeeRates(maker=Decimal(0), taker=Decimal(0))
    return FeeRates(maker=configured.maker, taker=configured.taker, buy_in_base=_is_in_base(info))


def known_rates(configured: Configured, instrument: Any) -> FeeRates | None:
    """The rates of one instrument, by the config, else by its data; None: neither tells them."""
    info = instrument.info
    return configured_rates(configured, info) or rates_from_info(info)


def fee_rates(venue: str, configured: Configured, instrument: Any) -> FeeRates:
    """The rates of one instrument.

    Raises FairleadError `FEES-MISSING`: a run without fees must say so.
    """
    found = known_rates(configured, instrument)
    if found is None:
        raise FairleadError(
            "FEES-MISSING",
            f"expected fee rates of {instrument.id} in its data or under [venues.{venue}.fees], "
            f"received none; {missing_fees_hint(venue)}",
            int(Exit.CONFIG),
        )
    return found


class VenueFeeModel(FeeModel):
    """Charges each instrument its own rates, in the currency the venue takes them in."""

    def __new__(cls, rates: Mapping[str, FeeRates]) -> VenueFeeModel:
        model: VenueFeeModel = super().__new__(cls)
        model.rates = dict(rates)
        return model

    rates: dict[str, FeeRates]

    def get_commission(
        self, order: Any, fill_quantity: Quantity, fill_px: Price, instrument: Any
    ) -> Money:
        rates = self.rates[str(instrument.id)]
        quantity, price = fill_quantity.as_decimal(), fill_px.as_decimal()
        return commission(rates, instrument, order.side, order.liquidity_side, quantity, price)


def commission(
    rates: FeeRates,
    instrument: Any,
    side: OrderSide,
    liquidity: LiquiditySide,
    quantity: Decimal,
    price: Decimal,
) -> Money:
    """What an execution costs, rounded to its currency; negative where it is paid to us."""
    rate = rates.rate(side, liquidity)
    if rates.buy_in_base and side == OrderSide.BUY:
        return Money.from_decimal(quantity * rate, instrument.base_currency)
    currency = getattr(instrument, "settlement_currency", instrument.quote_currency)
    worth = unit_worth(instrument.multiplier.as_decimal(), price, inverse=instrument.is_inverse)
    return Money.from_decimal(quantity * abs(worth) * rate, currency)


def fee_model(venue: str, configured: Configured, instruments: Iterable[Any]) -> FeeModel:
    """One model for a venue's instruments; NautilusTrader's own where it charges the same."""
    rates = {str(one.id): fee_rates(venue, configured, one) for one in instruments}
    distinct = set(rates.values())
    if len(distinct) == 1:
        (only,) = distinct
        if only.is_plain:
            return MakerTakerFeeModel(only.maker, only.taker)
    return VenueFeeModel(rates)
