"""Stops and if-touched orders at the simulated exchange: numbers worked out by hand."""

from __future__ import annotations

import pytest

from fairlead.engine.matching.orders import Watched
from tests.unit.matching.kit import BUY, SELL, Bench

QUIET = ({"99.50": 5, "99.40": 5, "99.30": 5}, {"100.50": 5, "100.60": 5})


def bench(**more):
    made = Bench(**more)
    made.book(0, *QUIET)
    made.trade(50, "100.00", side=BUY)
    return made


def test_a_stop_gets_nothing_of_what_the_trade_that_fires_it_took():
    b = bench()
    b.order(60, "stop", SELL, 12, "97.00", stop="99.00")
    b.trade(100, "98.95", 3)
    assert b.of("stop") == ["accepted", "triggered"]
    b.book(200, {"98.90": 5, "98.80": 9}, {"99.50": 5})
    assert b.filled_of("stop") == ["5@98.9 T", "7@98.8 T"]
    assert b.at("stop") == [200, 200]


def test_two_stops_share_what_the_trade_left():
    b = bench()
    b.order(60, "first", SELL, 2, "97.00", stop="99.45")
    b.order(61, "second", SELL, 2, "97.00", stop="99.45")
    b.trade(100, "99.40", 2)  # of 5
    assert b.filled_of("first") == ["2@99.4 T"]
    assert b.filled_of("second") == ["1@99.4 T", "1@99.3 T"]


@pytest.mark.parametrize(
    ("traded", "fills"),
    [
        (2, ["3@99.4 T", "5@99.3 T"]),  # 99.50 is gone, at 99.40 it left 3
        (5, ["5@99.3 T"]),  # it emptied the level
        (6, ["5@99.3 T"]),  # more than was shown
    ],
)
def test_of_the_trade_s_own_level_stands_what_it_left(traded, fills):
    b = bench()
    b.order(60, "stop", SELL, 9, "97.00", stop="99.45")
    b.trade(100, "99.40", traded)
    assert b.filled_of("stop") == fills


def test_a_buy_stop_gets_what_was_left_too():
    b = bench()
    b.order(60, "stop", BUY, 4, "103.00", stop="100.55")
    b.trade(100, "100.60", 3, side=BUY)
    assert b.filled_of("stop") == ["2@100.6 T"]


def test_what_a_book_says_after_the_trade_is_what_it_left():
    b = bench()
    b.trade(60, "99.40", 5)
    b.level(70, BUY, "99.40", 1)
    b.order(80, "stop", SELL, 2, "97.00", stop="99.35")
    b.trade(100, "99.30", 1)
    b.level(110, BUY, "99.30", 4)
    assert b.filled_of("stop") == ["2@99.3 T"]


def test_a_trade_after_the_book_that_it_led_to_counts_as_newer():
    """Nobody can tell: it gets rather too little than too much."""
    b = bench()
    b.order(60, "stop", SELL, 2, "99.35", stop="99.45")
    b.level(99, BUY, "99.50", 0)
    b.level(99, BUY, "99.40", 2)
    b.trade(100, "99.40", 3)
    assert b.of("stop") == ["accepted", "triggered"]
    b.level(110, BUY, "99.40", 2)
    assert b.filled_of("stop") == ["2@99.4 T"]


def test_a_gap_beyond_the_limit_rests_at_the_limit():
    b = bench()
    b.order(60, "stop", SELL, 1, "98.50", stop="99.00")
    b.trade(100, "98.00", 3)
    b.book(200, {"95.00": 5}, {"96.00": 5})
    assert b.of("stop") == ["accepted", "triggered"]
    b.book(300, {"98.60": 5}, {"98.70": 5})  # the other side crosses it
    assert b.filled_of("stop") == ["1@98.5 M"]


def test_a_trade_beyond_the_limit_is_the_end_of_taking():
    """The book comes back within the limit later: as a maker, at its own price."""
    b = bench()
    b.order(60, "stop", SELL, 1, "98.97", stop="99.00")
    b.trade(100, "98.95", 3)
    b.book(200, {"98.98": 5}, {"99.50": 5})
    assert b.filled_of("stop") == ["1@98.97 M"]


def test_an_if_touched_order_waits_for_the_book_that_the_trade_announces():
    b = bench()
    b.order(60, "dip", BUY, 1, "96.00", touched="95.00")
    b.trade(100, "95.00", 3)
    assert b.of("dip") == ["accepted", "triggered"]
    b.book(200, {"94.50": 5}, {"95.50": 5})
    assert b.filled_of("dip") == ["1@95.5 T"]


def test_a_stop_market_order_takes_the_market_until_it_is_filled():
    b = bench()
    b.order(60, "stop", SELL, 9, stop="99.00")
    b.trade(100, "98.95", 3)
    b.book(200, {"98.90": 4}, {"99.50": 5})
    b.book(300, {"98.70": 4}, {"99.50": 5})
    assert b.filled_of("stop") == ["4@98.9 T", "4@98.7 T"]


def test_a_limit_beyond_the_book_goes_on_taking():
    """The book shows three levels; the next ones come with the next update."""
    b = bench()
    b.order(60, "stop", SELL, 20, "90.00", stop="99.50", watched=Watched.LAST)
    b.trade(100, "99.50", 1)  # of the best bid
    assert b.filled_of("stop") == ["4@99.5 T", "5@99.4 T", "5@99.3 T"]
    b.book(200, {"99.20": 3, "99.10": 9}, {"100.50": 5})
    assert b.filled_of("stop")[3:] == ["3@99.2 T", "3@99.1 T"]


@pytest.mark.parametrize(
    ("side", "kind", "trigger", "bids", "asks", "fills"),
    [
        (BUY, "stop", "105", {"104.50": 5}, {"105.50": 5}, ["1@105.5 T"]),
        (SELL, "stop", "95", {"94.50": 5}, {"95.50": 5}, ["1@94.5 T"]),
        (BUY, "touched", "95", {"93.00": 5}, {"93.50": 5}, ["1@93.5 T"]),
        (SELL, "touched", "105", {"106.50": 5}, {"107.50": 5}, ["1@106.5 T"]),
    ],
)
def test_by_bid_and_ask_the_book_fires_it(side, kind, trigger, bids, asks, fills):
    limit = {"BUY": 106, "SELL": 94}[side.value] if kind == "stop" else trigger
    b = bench()
    b.order(60, "stop", side, 1, limit, watched=Watched.TOUCH, **{kind: trigger})
    b.trade(70, trigger, 9)  # a trade does not
    assert b.of("stop") == ["accepted"]
    b.book(100, bids, asks)
    assert b.of("stop") == ["accepted", "triggered", *(f"filled {one}" for one in fills)]


def test_by_either_both_do():
    for ms, fire in ((100, "trade"), (100, "book")):
        b = bench()
        b.order(60, "stop", SELL, 1, "97", stop="99", watched=Watched.EITHER)
        if fire == "trade":
            b.trade(ms, "98.95", 3)
        else:
            b.book(ms, {"98.95": 3}, {"99.5": 5})
        assert b.of("stop")[:2] == ["accepted", "triggered"]
        assert b.at("stop", "triggered") == [ms]


@pytest.mark.parametrize(
    ("watched", "side", "kind", "trigger"),
    [
        (Watched.LAST, SELL, "stop", "100.00"),
        (Watched.LAST, BUY, "stop", "99.00"),
        (Watched.LAST, BUY, "touched", "100.00"),
        (Watched.LAST, SELL, "touched", "99.00"),
        (Watched.TOUCH, SELL, "stop", "99.50"),
        (Watched.TOUCH, BUY, "stop", "100.50"),
        (Watched.TOUCH, BUY, "touched", "100.50"),
        (Watched.TOUCH, SELL, "touched", "99.50"),
        (Watched.EITHER, SELL, "stop", "99.60"),
    ],
)
def test_a_trigger_that_was_passed_is_refused(watched, side, kind, trigger):
    b = bench()
    b.order(60, "stop", side, 1, "100", watched=watched, **{kind: trigger})
    assert b.of("stop") == ["rejected TRIGGER-PASSED"]
    assert b.balance("BTC") == ("1000", "0")


def test_a_stop_that_fires_in_a_gap_waits_for_the_book():
    b = bench()
    b.order(60, "stop", SELL, 1, "97.00", stop="99.00")
    b.book(90)  # cleared
    b.trade(100, "98.95", 3)
    assert b.of("stop") == ["accepted", "triggered"]
    b.book(200, {"98.20": 5}, {"98.90": 5})
    assert b.filled_of("stop") == ["1@98.2 T"]


def test_three_stops_sell_each_its_own_units():
    """cases: three brackets of 1.0; the market falls through two of the stops."""
    b = Bench(margin=True)
    b.book(0, {"99.50": 9}, {"100.00": 9})
    for n in range(3):
        b.order(10 + n, f"entry {n}", BUY, 1)
    for n, trigger in enumerate(("98.60", "98.50", "95.00")):
        b.order(20 + n, f"stop {n}", SELL, 1, "90", stop=trigger, reduce_only=True)
    b.trade(100, "98.45", 9)
    b.book(110, {"98.45": 3}, {"100.00": 9})
    assert [b.filled_of(f"stop {n}") for n in range(3)] == [["1@98.45 T"], ["1@98.45 T"], []]
    assert b.of("stop 2") == ["accepted"]
    assert b.account.positions.quantity("S-001", "BTC_USDT.TEST") == 1


def test_a_fired_post_only_order_never_takes():
    b = bench()
    b.order(60, "dip", BUY, 1, "101", touched="99.60", post_only=True)
    b.trade(100, "99.60", 1)
    assert b.of("dip") == ["accepted", "triggered", "canceled a post-only order would have traded"]
    b.order(110, "low", BUY, 1, "99.55", touched="99.55", post_only=True)
    b.trade(120, "99.55", 1)
    assert b.of("low") == ["accepted", "triggered"]


def test_a_moved_trigger_fires_where_it_is_now():
    b = bench()
    b.order(60, "stop", SELL, 1, "95", stop="99.00")
    b.modify(70, "stop", trigger_price="98.00")
    b.trade(100, "98.50", 9)
    assert b.of("stop") == ["accepted", "updated 1@95"]
    b.modify(110, "stop", trigger_price="98.60")
    assert b.of("stop")[2:] == ["modify rejected TRIGGER-PASSED"]
    b.trade(120, "97.90", 9)
    b.book(130, {"97.90": 1}, {"99.50": 5})
    assert b.filled_of("stop") == ["1@97.9 T"]
    b.modify(130, "stop", trigger_price="97.00")
    assert b.of("stop")[-1] == "modify rejected NOT-OPEN"
