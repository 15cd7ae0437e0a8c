"""Orders that take at once: numbers worked out by hand."""

from __future__ import annotations

import pytest

from tests.unit.matching.kit import BUY, ETH, SELL, Bench

BIDS, ASKS = {"99.50": 5, "99.40": 4}, {"100.50": 2, "100.60": 3}


def bench(**more):
    made = Bench(**more)
    made.book(0, BIDS, ASKS)
    return made


def test_a_market_order_walks_the_book():
    b = bench()
    b.order(10, "buy", BUY, 3)
    assert b.of("buy") == ["accepted", "filled 2@100.5 T", "filled 1@100.6 T"]
    assert b.at("buy") == [10, 10]


def test_it_ends_where_the_book_ends():
    b = bench()
    b.order(10, "buy", BUY, 9)
    assert b.of("buy") == [
        "accepted",
        "filled 2@100.5 T",
        "filled 3@100.6 T",
        "canceled the book held no more",
    ]


@pytest.mark.parametrize(("price", "size"), [("100.70", 1), ("100.60", 3), ("100.60", 9)])
def test_behind_a_trade_that_swept_the_book_nothing_is_known_to_stand(price, size):
    b = bench()
    b.trade(10, price, size, side=BUY)
    b.order(20, "buy", BUY, 2)
    assert b.of("buy") == ["rejected NO-MARKET"]
    b.order(21, "limit", BUY, 2, "101")  # it rests, as any limit order
    b.book(30, BIDS, {"100.80": 5})
    assert b.filled_of("limit") == ["2@101 M"]


def test_each_trade_since_the_book_has_taken_what_it_ran_through():
    """Also where the market turned round since: a later trade gives nothing back."""
    b = bench()
    b.trade(10, "99.40", 1)  # the bid at 99.50 is gone
    b.trade(20, "100.50", 1, side=BUY)
    b.order(30, "sell", SELL, 4)
    b.order(31, "buy", BUY, 2)
    assert b.filled_of("sell") == ["3@99.4 T"]
    assert b.filled_of("buy") == ["1@100.5 T", "1@100.6 T"]
    b.level(40, SELL, "100.60", 9)
    b.order(50, "later", SELL, 2)
    assert b.filled_of("later") == ["2@99.5 T"]


@pytest.mark.parametrize("known", [False, True])
def test_without_a_book_a_market_order_is_refused(known):
    b = Bench()
    if known:
        b.book(0, BIDS, ASKS)
        b.book(5)  # a gap has cleared it
    b.trade(6, "100.00")
    b.order(10, "buy", BUY, 1)
    assert b.of("buy") == ["rejected NO-MARKET"]


def test_without_offers_it_is_refused_too():
    b = Bench()
    b.book(0, BIDS, {})
    b.order(10, "buy", BUY, 1)
    b.order(11, "sell", SELL, 1)
    assert b.of("buy") == ["rejected NO-MARKET"]
    assert b.filled_of("sell") == ["1@99.5 T"]


def test_a_book_of_another_instrument_is_none():
    b = bench()
    b.order(10, "buy", BUY, 1, instrument=ETH)
    assert b.of("buy") == ["rejected NO-MARKET"]


def test_a_marketable_limit_takes_up_to_its_price_and_rests():
    b = bench()
    b.order(10, "buy", BUY, 3, "100.50")
    assert b.of("buy") == ["accepted", "filled 2@100.5 T"]
    b.trade(20, "100.50", 1)  # a seller meets the rest of it, at the front of the queue
    assert b.filled_of("buy") == ["2@100.5 T", "1@100.5 M"]


def test_a_limit_that_comes_without_a_book_rests():
    b = Bench()
    b.order(10, "buy", BUY, 3, "105")
    assert b.of("buy") == ["accepted"]
    b.book(20, BIDS, ASKS)
    assert b.filled_of("buy") == ["3@105 M"]


def test_taken_levels_are_gone_until_the_data_tells_of_them():
    b = bench()
    b.order(10, "first", BUY, 2)
    b.order(11, "second", BUY, 1)
    assert b.filled_of("second") == ["1@100.6 T"]
    b.level(20, SELL, "100.50", 2)  # of the same size as before
    b.order(21, "third", BUY, 2)
    assert b.filled_of("third") == ["2@100.5 T"]
    b.level(30, SELL, "100.60", 3)
    b.order(31, "fourth", BUY, 4)
    assert b.filled_of("fourth") == ["3@100.6 T"]
    b.order(32, "fifth", BUY, 1)
    assert b.of("fifth") == ["rejected NO-MARKET"]
    b.book(40, BIDS, ASKS)
    b.order(41, "sixth", BUY, 5)
    assert b.filled_of("sixth") == ["2@100.5 T", "3@100.6 T"]


@pytest.mark.parametrize(("traded", "left"), [(1, ["3@99.4 T"]), (4, []), (7, [])])
@pytest.mark.parametrize("price", [None, "99.00"])
def test_what_comes_right_after_a_trade_gets_what_it_left(price, traded, left):
    """And a limit order that finds nothing rests, behind nobody knows whom."""
    b = bench()
    b.trade(10, "99.40", traded)
    b.order(20, "sell", SELL, 4, price)
    assert b.filled_of("sell") == left
    if price is None:
        assert b.of("sell")[-1] == (
            "canceled the book held no more" if left else "rejected NO-MARKET"
        )
        return
    b.book(30, {"99.30": 9}, ASKS)
    assert b.filled_of("sell")[len(left) :] == [f"{4 - 3 * len(left)}@99 M"]


def test_the_book_after_a_trade_says_what_it_left():
    b = bench()
    b.trade(10, "99.50", 4)
    b.level(15, BUY, "99.50", 3)  # it was refilled
    b.order(20, "sell", SELL, 4)
    assert b.filled_of("sell") == ["3@99.5 T", "1@99.4 T"]


def test_without_consumption_each_order_meets_the_whole_level():
    b = bench(consume=False)
    b.order(10, "first", BUY, 2)
    b.order(11, "second", BUY, 2)
    assert b.filled_of("first") == b.filled_of("second") == ["2@100.5 T"]
    b.order(12, "large", BUY, 6, "110")
    b.level(20, BUY, "99.40", 7)  # of the other side: what crosses it is used once all the same
    assert b.filled_of("large") == ["2@100.5 T", "3@100.6 T"]
    b.level(30, SELL, "100.60", 3)
    assert b.filled_of("large")[2:] == ["1@110 M"]


@pytest.mark.parametrize(
    ("tif", "quantity", "limit", "told"),
    [
        ("IOC", 3, "100.50", ["filled 2@100.5 T", "canceled immediate or cancel: the rest found"]),
        ("IOC", 1, "100.00", ["canceled immediate or cancel: the rest found"]),
        ("IOC", 1, "100.50", ["filled 1@100.5 T"]),
        ("FOK", 5, "100.60", ["filled 2@100.5 T", "filled 3@100.6 T"]),
        ("FOK", 6, "100.60", ["canceled fill or kill: the market did not"]),
        ("FOK", 3, "100.50", ["canceled fill or kill: the market did not"]),
    ],
)
def test_times_in_force(tif, quantity, limit, told):
    b = bench()
    b.order(10, "buy", BUY, quantity, limit, tif=tif)
    seen = b.of("buy")
    assert seen[0] == "accepted"
    assert len(seen) == len(told) + 1
    assert all(a.startswith(e) for a, e in zip(seen[1:], told, strict=True))
    assert b.balance("USDT")[1] == "0"


def test_a_gtd_order_expires_at_its_time():
    b = bench()
    b.order(10, "bid", BUY, 1, "99.00", tif="GTD", expire_ns=50_000_000)
    b.order(11, "late", BUY, 1, "99.00", tif="GTD", expire_ns=70_000_000)
    assert b.exchange.next_expiry_ns() == 50_000_000
    b.trade(60, "99.00", 9)
    assert b.of("bid") == ["accepted", "expired"]
    assert b.at("bid", "expired") == [50]
    b.cancel(65, "late")
    assert b.exchange.next_expiry_ns() is None
    assert b.balance("USDT") == ("1000000", "0")


@pytest.mark.parametrize(("price", "refused"), [("100.50", True), ("100.49", False)])
def test_a_post_only_order_that_would_take_is_refused(price, refused):
    b = bench()
    b.order(10, "buy", BUY, 1, price, post_only=True)
    assert b.of("buy") == (["rejected POST-ONLY"] if refused else ["accepted"])


def test_post_only_is_judged_by_the_first_book():
    b = Bench()
    b.order(10, "high", BUY, 1, "101", post_only=True)
    b.order(11, "low", BUY, 1, "100", post_only=True)
    b.book(20, BIDS, ASKS)
    assert b.of("high") == ["accepted", "canceled a post-only order would have traded"]
    assert b.of("low") == ["accepted"]
    b.modify(30, "low", price="100.50")
    assert b.of("low") == ["accepted", "modify rejected POST-ONLY"]
    b.modify(31, "low", price="100.40")
    assert b.of("low")[2:] == ["updated 1@100.4"]


def test_a_modify_to_a_marketable_price_takes():
    b = bench()
    b.order(10, "buy", BUY, 3, "99.00")
    b.modify(20, "buy", price="100.50")
    assert b.of("buy") == ["accepted", "updated 3@100.5", "filled 2@100.5 T"]
    b.modify(21, "buy", quantity=2)
    assert b.of("buy")[3:] == ["modify rejected QUANTITY"]
    b.modify(22, "buy", trigger_price=90)
    assert b.of("buy")[4:] == ["modify rejected UNSUPPORTED"]
    b.modify(23, "nobody", quantity=2)
    assert b.of("nobody") == ["modify rejected NOT-OPEN"]


def test_a_cancel_of_what_is_over_is_refused():
    b = bench()
    b.order(10, "buy", BUY, 1)
    b.cancel(20, "buy")
    assert b.of("buy")[-1] == "cancel rejected NOT-OPEN"


# -- reduce-only -----------------------------------------------------------------------------------


def test_a_reduce_only_order_is_not_resized_and_never_passes_through_zero():
    b = bench(margin=True)
    b.order(10, "in", BUY, 2)
    b.order(11, "out", SELL, 3, "101", reduce_only=True)
    b.order(12, "part", SELL, 1)
    assert b.exchange.order("out").quantity == 3
    b.trade(20, "101.10", 9, side=BUY)
    assert b.of("out") == [
        "accepted",
        "filled 1@101 M",
        "canceled reduce-only: its position is closed",
    ]


def test_without_a_position_it_ends_at_its_first_fill():
    b = bench(margin=True)
    b.order(10, "mine", BUY, 1)
    b.order(11, "out", SELL, 1, strategy="S-002", reduce_only=True)
    assert b.of("out") == ["accepted", "canceled reduce-only: its position is closed"]
    assert b.account.positions.quantity("S-001", "BTC_USDT.TEST") == 1


def test_what_others_hold_is_not_its_business():
    """As the gate counts: a strategy's own position, also where the sum of all is zero."""
    b = bench(margin=True)
    b.order(10, "long", BUY, 1)
    b.order(11, "short", SELL, 1, strategy="S-002")
    b.order(12, "out", SELL, 1, reduce_only=True)
    assert b.filled_of("out") == ["1@99.5 T"]
