"""A dealer's ladder: an order trades whole, at what its quantity costs; not level by level."""

from __future__ import annotations

from decimal import Decimal

import pytest
from nautilus_trader.model import OrderSide

from fairlead.engine.matching.kernel_book import KernelMarket
from fairlead.engine.matching.market import LevelMarket
from fairlead.engine.orders.model import Side
from tests.kernel.bench import IID, level, pair
from tests.unit.matching.kit import BUY, SELL, Bench

BIDS, ASKS = {"99.50": 2, "99.40": 5}, {"100.50": 2, "100.60": 5}


def first_that_covers(tiers, quantity):
    return next((price for price, size in tiers if size >= quantity), None)


def bench(**more):
    made = Bench(tier_price=first_that_covers, **more)
    made.book(0, BIDS, ASKS)
    return made


@pytest.mark.parametrize(
    ("side", "quantity", "limit", "told"),
    [
        (BUY, 2, "101", "filled 2@100.5 T"),
        (BUY, 3, "101", "filled 3@100.6 T"),  # not 2 at 100.50 and 1 at 100.60
        (BUY, 5, "100.60", "filled 5@100.6 T"),
        (BUY, 3, None, "filled 3@100.6 T"),
        (SELL, 5, "99", "filled 5@99.4 T"),
        (BUY, 3, "100.55", "canceled fill or kill: the market did not hold its quantity"),
        (BUY, 6, "101", "canceled fill or kill: the market did not hold its quantity"),
        (SELL, 3, "99.45", "canceled fill or kill: the market did not hold its quantity"),
    ],
)
def test_the_whole_quantity_at_the_price_of_its_tier(side, quantity, limit, told):
    b = bench()
    b.order(10, "one", side, quantity, limit, tif="FOK" if limit else "GTC")
    assert b.of("one") == ["accepted", told]


def test_a_market_order_that_no_tier_covers_is_refused():
    b = bench()
    b.order(10, "buy", BUY, 6)
    (told,) = b.of("buy")
    assert told.startswith("rejected NO-MARKET")


def test_what_was_dealt_since_the_ladder_was_told_counts_to_the_quantity():
    """Two halves get no better price than the whole."""
    b = bench()
    b.order(10, "first", BUY, 2, "101", tif="FOK")
    b.order(20, "second", BUY, 2, "101", tif="FOK")
    b.order(30, "third", BUY, 2, "101", tif="FOK")
    assert b.filled_of("first") == ["2@100.5 T"]
    assert b.filled_of("second") == ["2@100.6 T"]
    assert b.filled_of("third") == []
    b.level(40, SELL, "100.60", 5)  # one tier told anew is the whole ladder told anew
    b.order(50, "fourth", BUY, 2, "101", tif="FOK")
    assert b.filled_of("fourth") == ["2@100.5 T"]


def test_without_consumption_each_order_is_quoted_alone():
    b = bench(consume=False)
    for number in range(3):
        b.order(10 + number, f"o{number}", BUY, 2, "101", tif="FOK")
        assert b.filled_of(f"o{number}") == ["2@100.5 T"]


@pytest.mark.parametrize("quantity", ["1", "2", "2.5", "5", "5.5"])
@pytest.mark.parametrize("limit", [None, "100.55", "101"])
def test_a_backtest_s_book_says_the_same(quantity: str, limit: str | None) -> None:
    kernel = KernelMarket(pair(IID), first_that_covers)
    plain = LevelMarket(first_that_covers)
    for ms, (price, size) in enumerate(ASKS.items()):
        kernel.told(level(ms, OrderSide.SELL, float(price), size))
        plain.update([(Side.SELL, Decimal(price), Decimal(size))], is_whole=False)
    cap = None if limit is None else Decimal(limit)
    for _ in range(2):  # and again, with what was taken
        found = [m.offers(Side.BUY, cap, enough=Decimal(quantity)) for m in (kernel, plain)]
        assert found[0] == found[1]
        for market in (kernel, plain):
            market.take(Side.BUY, found[0])
