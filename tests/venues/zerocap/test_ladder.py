"""Ladders: which side is which, what a quantity costs, and the levels of a book."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from fairlead.adapters.zerocap import parse
from fairlead.adapters.zerocap.ladder import Ladder, Tier, levels
from fairlead.engine.orders.model import Side


def tiers(*pairs: tuple[str, str]) -> tuple[Tier, ...]:
    return tuple(Tier(Decimal(price), Decimal(size)) for price, size in pairs)


@pytest.mark.parametrize("form", ["object", "string"])
def test_the_seed_s_ladder_is_turned_round(sample: Any, form: str) -> None:
    ladder = parse.frame(sample(f"zc_A_ws_price_ladder_data_as_{form}.json"))
    assert isinstance(ladder, Ladder)
    assert (ladder.symbol, ladder.ts_event) == ("USDT/AUD", 1692004676311699400)
    assert ladder.bids[0] == (Decimal("1.539285768676962"), 100)
    sided = ladder.sided("auto")
    assert sided is not None
    assert sided.is_swapped
    assert [str(t.price) for t in sided.bids] == ["1.4591079079161386", "1.4526077275274845"]
    assert [str(t.price) for t in sided.asks] == ["1.539285768676962", "1.546128063822914"]
    assert ladder.sided("never") is None  # crossed, so it is no book
    assert ladder.sided("always") == sided


def test_today_s_ladder_stays_as_it_is(sample: Any) -> None:
    ladder = parse.frame(sample("zc_C_ws_price.json"))
    assert isinstance(ladder, Ladder)
    assert ladder.ts_event == 1692340935428347800
    assert ladder.sided("auto") == ladder.sided("never") == ladder
    assert ladder.sided("always") is None


@pytest.mark.parametrize(
    ("bids", "asks"),
    [
        # Its lists worsen as they should, so that they are not the other way round: it is crossed.
        (tiers(("1.5", "100"), ("1.4", "200")), tiers(("1.45", "100"), ("1.46", "200"))),
        (tiers(("1.5", "100")), tiers(("1.5", "100"))),  # locked
        # Turned round, its second tiers cross.
        (tiers(("1.5", "100"), ("1.6", "200")), tiers(("1.4", "100"), ("1.7", "200"))),
    ],
)
def test_a_ladder_that_is_truly_crossed_is_none(
    bids: tuple[Tier, ...], asks: tuple[Tier, ...]
) -> None:
    assert Ladder("A/B", bids, asks).sided("auto") is None


@pytest.mark.parametrize("side", ["bids", "asks"])
def test_one_side_alone_is_what_it_was_in_the_ladder_before(side: str) -> None:
    """Which of the two it is, itself does not tell: in dialect A they are the other way round."""
    data = {"symbol": "A/B", side: [[1.5, 100.0]]}
    ladder = parse.frame(json.dumps({"type": "price", "data": data}))
    assert isinstance(ladder, Ladder)
    assert ladder.sided("auto") is None
    assert ladder.sided("auto", False) == ladder.sided("never") == ladder
    swapped = ladder.sided("auto", True)
    assert swapped == ladder.sided("always")
    assert swapped is not None
    assert (swapped.bids, swapped.asks) == (ladder.asks, ladder.bids)


def test_the_channel_names_the_symbol_where_the_ladder_does_not() -> None:
    body = {"data": {"bids": [], "asks": []}}
    ladder = parse.frame(json.dumps({"channel": "dma_ladder_price_A/B", "data": body}))
    assert ladder == Ladder("A/B", (), ())


@pytest.mark.parametrize(
    ("side", "quantity", "price"),
    [
        (Side.SELL, "1", "1.47386"),
        (Side.SELL, "5000", "1.47386"),
        (Side.SELL, "5000.01", "1.47238"),
        (Side.SELL, "30000", "1.46941"),
        (Side.SELL, "30001", None),
        (Side.BUY, "1", "1.57236"),
        (Side.BUY, "10001", "1.57548"),
        (Side.BUY, "30001", None),
    ],
)
def test_a_quantity_costs_the_first_tier_that_covers_it(
    sample: Any, side: Side, quantity: str, price: str | None
) -> None:
    ladder = parse.frame(sample("zc_C_ws_price.json"))
    assert isinstance(ladder, Ladder)
    expected = None if price is None else Decimal(price)
    assert ladder.price_for(side, Decimal(quantity)) == expected


def test_tiers_need_not_come_by_size() -> None:
    asks = tiers(("1.6", "200"), ("1.5", "100"))
    assert Ladder("A/B", (), asks).price_for(Side.BUY, Decimal(50)) == Decimal("1.5")


def test_levels_are_rounded_against_us(sample: Any) -> None:
    ladder = parse.frame(sample("zc_A_ws_price_ladder_data_as_object.json"))
    assert isinstance(ladder, Ladder)
    sided = ladder.sided("auto")
    assert sided is not None
    assert levels(sided.bids, Side.BUY, 4, 2) == [("1.4591", "100.00"), ("1.4526", "50000.00")]
    assert levels(sided.asks, Side.SELL, 4, 2) == [("1.5393", "100.00"), ("1.5462", "50000.00")]


def test_tiers_on_one_price_are_the_larger() -> None:
    found = levels(tiers(("1.51", "100"), ("1.52", "300"), ("1.71", "400")), Side.SELL, 1, 0)
    assert found == [("1.6", "300"), ("1.8", "400")]


def test_levels_that_round_to_nothing_are_left_out() -> None:
    assert levels(tiers(("0.001", "100"), ("1.5", "0.4")), Side.BUY, 2, 0) == []


def test_the_largest_ladder_has_levels() -> None:
    data = {"symbol": "A/B", "bids": [["999999999999999.9", "999999999999999.123456789012"]]}
    ladder = parse.frame(json.dumps({"type": "price", "data": data}))
    assert isinstance(ladder, Ladder)
    assert len(levels(ladder.bids, Side.BUY, 12, 12)) == 1
