"""A person's word of an order: what can't be is refused, what is unlikely is asked about."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from fairlead.engine.errors import FairleadError
from fairlead.engine.orders.journal_reads import JournaledOrder
from fairlead.engine.orders.model import Intent, Kind, OrderState, Side
from fairlead.engine.orders.plausible import Market, Told, require_plausible

MARKET = Market(base="BTC", quote="USDT", step=D("0.0001"), mid=D(100))


def order(side: Side = Side.BUY, limit: str | None = "90", filled: str = "0") -> JournaledOrder:
    return JournaledOrder(
        intent=Intent(
            client_order_id="C-1",
            strategy="S-1",
            instrument="BTC_USDT.STUBEX",
            side=side,
            kind=Kind.MARKET if limit is None else Kind.LIMIT,
            quantity=D(1),
            price=None if limit is None else D(limit),
        ),
        state=OrderState.OPEN,
        venue_order_id="1",
        filled=D(filled),
        cost=D(0),
        cancel_requested=False,
        ts_sent=0,
    )


def told(quantity: str, price: str, fee: str = "0", currency: str = "") -> Told:
    return Told(fills=((D(quantity), D(price)),), fee=D(fee), fee_currency=currency)


@pytest.mark.parametrize(
    ("ordered", "said"),
    [
        (order(), told("1", "90")),
        (order(), told("0.5", "72.01", "0.005", "BTC")),
        (order(), told("0.5", "90", "-0.01", "USDT")),  # a rebate
        (order(Side.SELL, "110"), told("1", "131")),
        (order(limit=None), told("1", "119", "1.19")),
        (order(filled="0.33335"), told("0.66665", "90")),  # the whole rest, off the grid
    ],
)
def test_what_can_be_is_taken(ordered: JournaledOrder, said: Told) -> None:
    require_plausible(ordered, said, MARKET, force=False)


@pytest.mark.parametrize(
    ("ordered", "said", "market", "text", "never"),
    [
        (order(filled="0.5"), told("0.6", "90"), MARKET, "at most 0.5 of 1 .0.5 is booked", True),
        (order(), told("0.00005", "90"), MARKET, "a multiple of 0.0001", True),
        (order(), told("1", "90.01"), MARKET, "from 72.0 to 90 .BUY, limit 90; the market", False),
        (order(), told("1", "71"), MARKET, "from 72.0 to 90", False),
        (order(Side.SELL, "110"), told("1", "109"), MARKET, "from 110 to 132.0", False),
        (order(Side.SELL, "110"), told("1", "1100"), MARKET, "from 110 to 132.0", False),
        (order(limit=None), told("1", "79"), MARKET, "from 80.0 to 120.0", False),
        (
            order(limit=None),
            told("1", "100"),
            Market(base="BTC", quote="USDT", step=D("0.0001")),
            "no price to compare with",
            False,
        ),
        (order(), told("1", "90", "0.011", "BTC"), MARKET, "up to 0.01 BTC", False),
        (order(), told("1", "90", "0.91"), MARKET, "up to 0.90 USDT", False),
        (order(), told("1", "90", "1", "BTC"), MARKET, "as much as what was executed", True),
        (order(), told("1", "90", "0.1", "DOGE"), MARKET, "in BTC or USDT, received DOGE", False),
        (order(), told("1", "90"), Market(), "lists BTC_USDT.STUBEX no more", False),
    ],
)
def test_what_can_not_be_is_refused_and_the_unlikely_is_asked_about(
    ordered: JournaledOrder, said: Told, market: Market, text: str, never: bool
) -> None:
    with pytest.raises(FairleadError, match=text) as refused:
        require_plausible(ordered, said, market, force=False)
    assert refused.value.message.endswith("Nothing was booked")
    assert ("--force" in refused.value.message) is not never
    if never:
        with pytest.raises(FairleadError, match=text):
            require_plausible(ordered, said, market, force=True)
    else:
        require_plausible(ordered, said, market, force=True)
