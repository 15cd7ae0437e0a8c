"""Markets as instruments: what both venues tell, and what they don't know."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fairlead.adapters.base.spot import FeeTable, spot_instrument
from fairlead.adapters.base.venue import ParseError
from fairlead.adapters.oceanex.instruments import instrument
from fairlead.adapters.oceanex.schemas import Market
from fairlead.engine.config.model import Fees
from fairlead.engine.orders.model import Fee, Side
from fairlead.engine.run.fees import configured_rates, rates_from_info

FACTS: dict[str, Any] = {
    "id": "BTC_USDT.X",
    "symbol": "btcusdt",
    "base": "BTC",
    "quote": "USDT",
    "price_precision": 2,
    "size_precision": 6,
    "fees": None,
    "tradable": True,
    "state": "on",
    "ts_ns": 1,
}
PER_SIDE = FeeTable(
    maker=Decimal("0.002"), taker=Decimal("0.002"), buy=Decimal("0.001"), sell=Decimal("0.002")
)
BY_ROLE = FeeTable(maker=Decimal("-0.0001"), taker=Decimal("0.00155"))


@pytest.mark.parametrize("fees", [PER_SIDE, BY_ROLE])
def test_a_recording_holds_the_rates_that_live_orders_pay(fees: FeeTable) -> None:
    made = spot_instrument(**FACTS | {"fees": fees})
    told = rates_from_info(made.nautilus.info)
    assert told is not None
    assert (told.maker, told.taker, told.buy, told.sell) == (
        fees.maker,
        fees.taker,
        fees.buy,
        fees.sell,
    )
    assert told.buy_in_base
    rate = fees.taker if fees.buy is None else fees.buy
    assert made.fee(Side.BUY, Decimal(2), Decimal(100)) == Fee(2 * rate, "BTC")
    rate = fees.taker if fees.sell is None else fees.sell
    assert made.fee(Side.SELL, Decimal(2), Decimal(100)) == Fee(200 * rate, "USDT")


def test_the_currency_of_a_fee_is_told_where_only_the_config_has_its_rate() -> None:
    info = spot_instrument(**FACTS).nautilus.info
    rates = configured_rates(Fees(maker=Decimal("0.001"), taker=Decimal("0.002")), info)
    assert rates is not None
    assert rates.buy_in_base


def test_rates_that_are_not_known_are_not_told_as_none() -> None:
    """OceanEx told a market without a row in its table as one without fees."""
    assert rates_from_info(spot_instrument(**FACTS).nautilus.info) is None
    market = Market(id="btcusdt", name="BTC/USDT", price_precision=2, amount_precision=6)
    made = instrument(market, [], "OCEANEX", 1)
    assert rates_from_info(made.nautilus.info) is None
    assert not made.tradable


@pytest.mark.parametrize(
    "wrong",
    [
        {"price_precision": -1},
        {"size_precision": 17},
        {"min_quantity": Decimal("1e30")},
        {"min_notional": Decimal("1e30")},
        {"id": "no venue"},
        {"base": ""},
    ],
)
def test_what_nautilus_can_not_hold_is_a_parse_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParseError):
        spot_instrument(**FACTS | wrong)
