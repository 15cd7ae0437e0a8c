"""What a taker meets: numbers worked out by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fairlead.engine.matching.taking import Consumed, Print, met, walk
from fairlead.engine.orders.model import Side

BIDS = [
    (Decimal("99.50"), Decimal(5)),
    (Decimal("99.40"), Decimal(4)),
    (Decimal("98.90"), Decimal(3)),
]
ASKS = [(Decimal("100.50"), Decimal(5)), (Decimal("100.60"), Decimal(4))]


def of(text: str) -> list[tuple[Decimal, Decimal]]:
    """`"2@99.50 1@99.40"`, sizes at prices."""
    pairs = (part.split("@") for part in text.split())
    return [(Decimal(price), Decimal(size)) for size, price in pairs]


def test_without_a_newer_trade_it_is_the_book():
    assert met(Side.SELL, BIDS) == BIDS


@pytest.mark.parametrize(
    ("price", "size", "expected"),
    [
        ("98.95", 3, "3@98.90"),  # between two levels: what stood there is what it took
        ("99.40", 9, "3@98.90"),  # more than was shown: nothing is known to be left
        ("99.40", 4, "3@98.90"),  # all of it
        ("99.40", 1, "3@99.40 3@98.90"),  # a part of it
        ("98.00", 2, ""),  # below all that is known
        ("99.70", 2, "5@99.50 4@99.40 3@98.90"),  # better than all that is known: it is gone
    ],
)
def test_a_newer_sale_takes_the_better_bids_away(price, size, expected):
    last = Print(Decimal(price), Decimal(size), Side.SELL)
    assert met(Side.SELL, BIDS, last=last) == of(expected)


@pytest.mark.parametrize("aggressor", [Side.BUY, None])
def test_a_purchase_shows_no_bid_above_its_price(aggressor):
    at_ask = Print(Decimal("100.50"), Decimal(2), aggressor)
    assert met(Side.SELL, BIDS, last=at_ask) == BIDS
    below = Print(Decimal("98.95"), Decimal(2), aggressor)
    assert met(Side.SELL, BIDS, last=below) == of("3@98.90")


@pytest.mark.parametrize(("aggressor", "left"), [(Side.BUY, 4), (Side.SELL, 1), (None, 1)])
def test_who_may_have_taken_from_a_level_has_taken_from_it(aggressor, left):
    last = Print(Decimal("99.40"), Decimal(3), aggressor)
    assert met(Side.SELL, BIDS, last=last) == of(f"{left}@99.40 3@98.90")


def test_each_trade_takes_of_what_the_one_before_has_left():
    found = BIDS
    for size in (1, 2, 1):
        found = met(Side.SELL, found, last=Print(Decimal("99.40"), Decimal(size), Side.SELL))
    assert found == of("3@98.90")


def test_the_same_holds_for_the_asks():
    last = Print(Decimal("100.55"), Decimal(2), Side.BUY)
    assert met(Side.BUY, ASKS, last=last) == of("4@100.60")
    at_bid = Print(Decimal("99.50"), Decimal(2), Side.SELL)
    assert met(Side.BUY, ASKS, last=at_bid) == ASKS


def test_nothing_worse_than_the_limit():
    assert met(Side.SELL, BIDS, limit=Decimal("99.40")) == BIDS[:2]
    assert met(Side.BUY, ASKS, limit=Decimal("100.49")) == []


def test_what_was_taken_is_gone_until_the_level_is_told_again():
    consumed = Consumed()
    consumed.take(Decimal("99.50"), Decimal(2))
    consumed.take(Decimal("99.50"), Decimal(3))
    consumed.take(Decimal("99.40"), Decimal(1))
    assert met(Side.SELL, BIDS, taken=consumed.taken) == of("3@99.40 3@98.90")
    consumed.told(Decimal("99.50"), 0)
    assert met(Side.SELL, BIDS, taken=consumed.taken) == of("5@99.50 3@99.40 3@98.90")
    consumed.replaced(0)
    assert met(Side.SELL, BIDS, taken=consumed.taken) == BIDS


def test_a_walk_takes_no_more_than_stands():
    assert walk(BIDS, Decimal("6.5")) == of("5@99.50 1.5@99.40")
    assert walk(BIDS, Decimal(100)) == BIDS
