"""Resting orders: the queue ahead, trades, and the other side's book. Worked out by hand."""

from __future__ import annotations

import pytest

from tests.unit.matching.kit import BUY, SELL, Bench

BIDS, ASKS = {"99.50": 2, "99.40": 4}, {"100.50": 2, "100.60": 3}


def bench(**more):
    made = Bench(**more)
    made.book(0, BIDS, ASKS)
    return made


def test_the_queue_ahead_trades_first():
    b = bench()
    b.order(10, "bid", BUY, 1, "99.50")
    b.trade(100, "99.50", "1.5")
    b.trade(200, "99.50", 1)
    b.trade(300, "99.50", 1)
    assert b.of("bid") == ["accepted", "filled 0.5@99.5 M", "filled 0.5@99.5 M"]
    assert b.at("bid") == [200, 300]


def test_without_queue_position_it_is_first():
    b = bench(queue=False)
    b.order(10, "bid", BUY, 1, "99.50")
    b.trade(100, "99.50", "0.3")
    b.level(110, BUY, "99.50", 8)
    b.trade(120, "99.50", 9)
    assert b.filled_of("bid") == ["0.3@99.5 M", "0.7@99.5 M"]


def test_who_leaves_the_queue_moves_it_on_and_who_comes_stands_behind():
    b = bench()
    b.order(10, "bid", BUY, 1, "99.50")
    b.level(20, BUY, "99.50", "0.5")
    b.level(30, BUY, "99.50", 9)
    b.trade(80, "99.50", "0.6")
    assert b.filled_of("bid") == ["0.1@99.5 M"]


def test_a_level_that_is_gone_leaves_nobody_ahead():
    b = bench()
    b.order(10, "bid", BUY, 1, "99.50")
    b.level(20, BUY, "99.50", 0)  # 99.40 still stands: the book reaches so far
    b.trade(80, "99.50", 1)  # the worst that is shown is beyond it
    assert b.filled_of("bid") == ["1@99.5 M"]


def test_a_level_out_of_the_book_s_sight_keeps_its_queue():
    b = bench()
    b.order(10, "bid", BUY, 1, "99.40")
    b.book(20, {"99.60": 1, "99.50": 2}, ASKS)  # two levels are shown
    b.book(30, {"99.50": 2, "99.40": 9}, ASKS)
    b.trade(40, "99.40", 4)
    assert b.filled_of("bid") == []
    b.trade(50, "99.40", 1)
    assert b.filled_of("bid") == ["1@99.4 M"]


def test_what_stood_where_the_book_did_not_reach_counts_as_ahead():
    b = bench()
    b.order(10, "bid", BUY, 1, "99.00")
    b.trade(20, "99.00", 9)  # nobody knows who was first
    assert b.filled_of("bid") == []
    b.book(30, {"99.10": 1, "99.00": 2}, {"99.50": 5})
    b.trade(40, "99.00", 2)
    assert b.filled_of("bid") == []
    b.trade(50, "99.00", 1)
    assert b.filled_of("bid") == ["1@99 M"]


def test_a_trade_through_the_price_fills_it_at_its_own():
    b = bench()
    b.order(10, "bid", BUY, 3, "99.40")
    b.trade(20, "99.30", 2)
    assert b.filled_of("bid") == ["2@99.4 M"]  # no more than what traded
    b.trade(30, "99.30", 5)
    assert b.filled_of("bid") == ["2@99.4 M", "1@99.4 M"]


def test_a_trade_s_size_is_used_once():
    b = bench()
    b.order(10, "high", BUY, 1, "99.45")
    b.order(11, "first", BUY, 1, "99.40")
    b.order(12, "second", BUY, 1, "99.40")
    b.trade(20, "99.40", "5.5")  # 1 to the better bid, 4 to the queue, 0.5 is left
    assert [b.filled_of(name) for name in ("high", "first", "second")] == [
        ["1@99.45 M"],
        ["0.5@99.4 M"],
        [],
    ]
    b.trade(30, "99.40", 1)
    assert b.filled_of("first")[1:] == ["0.5@99.4 M"]
    assert b.filled_of("second") == ["0.5@99.4 M"]


def test_what_a_trade_filled_of_the_run_s_own_it_has_not_left_for_a_stop():
    b = bench()
    b.order(10, "bid", BUY, 2, "99.45")
    b.order(11, "stop", SELL, 5, "90", stop="99.30")
    b.trade(20, "99.20", 3)
    assert b.filled_of("bid") == ["2@99.45 M"]
    assert b.filled_of("stop") == []
    b.book(30, {"99.10": 9}, {"99.60": 5})
    assert b.filled_of("stop") == ["5@99.1 T"]


@pytest.mark.parametrize(("side", "fills"), [(SELL, ["1@99.5 M"]), (BUY, []), (None, ["1@99.5 M"])])
def test_the_aggressor_says_which_queue_traded(side, fills):
    b = bench()
    b.order(10, "bid", BUY, 1, "99.50")
    b.trade(20, "99.50", 3, side=side)
    assert b.filled_of("bid") == fills


def test_an_unknown_aggressor_between_bid_and_ask_hits_nobody():
    b = bench()
    b.order(10, "bid", BUY, 1, "100.00")
    b.trade(20, "100.00", 3, side=None)
    assert b.filled_of("bid") == []
    b.trade(30, "100.00", 3)
    assert b.filled_of("bid") == ["1@100 M"]


def test_the_other_side_that_crosses_it_trades_at_its_price():
    b = bench()
    b.order(10, "bid", BUY, 3, "99.50")
    b.book(20, {"99.00": 5}, {"99.40": 1, "99.50": 1, "99.60": 9})
    assert b.filled_of("bid") == ["2@99.5 M"]
    b.level(30, BUY, "98.00", 1)  # what stood there is used up until it is told anew
    assert b.filled_of("bid") == ["2@99.5 M"]
    b.level(40, SELL, "99.40", 1)
    assert b.filled_of("bid") == ["2@99.5 M", "1@99.5 M"]


def test_two_that_are_crossed_share_what_came():
    b = bench()
    b.order(10, "low", SELL, 1, "100.50")
    b.order(11, "high", SELL, 1, "100.60")
    b.book(20, {"100.70": "1.5"}, {"100.80": 5})
    assert b.filled_of("low") == ["1@100.5 M"]
    assert b.filled_of("high") == ["0.5@100.6 M"]


def test_more_quantity_or_another_price_goes_to_the_end_of_the_queue():
    b = bench()
    b.order(10, "bid", BUY, 1, "99.50")
    b.trade(20, "99.50", 2)
    b.modify(30, "bid", quantity="0.5")
    b.trade(40, "99.50", "0.2")
    assert b.filled_of("bid") == ["0.2@99.5 M"]
    b.modify(50, "bid", quantity=1)
    b.trade(60, "99.50", 2)
    assert b.filled_of("bid") == ["0.2@99.5 M"]
    b.trade(70, "99.50", "0.1")
    b.modify(80, "bid", price="99.45")
    b.trade(90, "99.45", "0.1")
    assert b.filled_of("bid") == ["0.2@99.5 M", "0.1@99.5 M", "0.1@99.45 M"]


def test_a_cancelled_order_fills_no_more():
    b = bench()
    b.order(10, "bid", BUY, 1, "99.50")
    b.cancel(20, "bid")
    b.trade(30, "99.00", 9)
    assert b.of("bid") == ["accepted", "canceled"]


# -- lists -----------------------------------------------------------------------------------------


def bracket(b, entry_price="99.50"):
    from tests.unit.matching.kit import new

    pair = {"parent": "entry", "contingency": "OUO", "reduce_only": True}
    b.exchange.submit(
        [
            new("entry", BUY, 2, entry_price, contingency="OTO", linked=("stop", "target")),
            new("stop", SELL, 2, stop="98.00", linked=("target",), **pair),
            new("target", SELL, 2, "101", linked=("stop",), **pair),
        ],
        10_000_000,
    )


def test_children_come_with_the_first_fill_and_shrink_together():
    b = bench(margin=True, queue=False)
    bracket(b)
    b.trade(20, "99.50", 1)
    assert b.of("entry") == ["accepted", "filled 1@99.5 M"]
    assert b.of("stop") == b.of("target") == ["accepted"]
    b.trade(30, "99.50", 1)
    b.trade(40, "101", "0.5", side=BUY)
    assert b.of("stop") == ["accepted", "updated 1.5"]
    b.trade(50, "101", 2, side=BUY)
    assert b.of("target")[-1] == "filled 1.5@101 M"
    assert b.of("stop") == ["accepted", "updated 1.5", "canceled"]


def test_children_end_with_a_parent_that_was_not_filled():
    b = bench(margin=True)
    bracket(b)
    b.cancel(20, "entry")
    assert [b.of(name) for name in ("entry", "stop", "target")] == [
        ["accepted", "canceled"],
        ["canceled"],
        ["canceled"],
    ]
    assert b.exchange.open_orders() == []


def test_one_cancels_the_other():
    from tests.unit.matching.kit import new

    b = bench(margin=True)
    b.exchange.submit(
        [
            new("low", BUY, 1, "99.50", contingency="OCO", linked=("high",)),
            new("high", BUY, 1, "101", stop="100.90", contingency="OCO", linked=("low",)),
        ],
        10_000_000,
    )
    b.trade(20, "99.50", "2.5")
    assert b.of("low") == ["accepted", "filled 0.5@99.5 M"]
    assert b.of("high") == ["accepted", "canceled"]
