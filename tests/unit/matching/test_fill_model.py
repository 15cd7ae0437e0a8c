"""What orders of a backtest meet: NautilusTrader's exchange with our fill model, markets by script.

`tests/kernel` says what the exchange does by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from nautilus_trader.backtest import BacktestEngine
from nautilus_trader.model import (
    TimeInForce,
    TriggerType,
)

from fairlead.engine.matching.closing import closing
from fairlead.engine.matching.fill_model import MarketFills
from fairlead.engine.matching.native import HeldRules
from fairlead.engine.orders.held import HeldSettings
from fairlead.engine.orders.model import Capabilities, Kind, Tif, TriggerSource
from tests.kernel.bench import (
    IID,
    Script,
    Seen,
    book,
    cleared,
    level,
    qty,
    run,
    trade,
)
from tests.unit.matching.fills import (
    BOUGHT,
    BUY,
    PAIRS,
    SELL,
    SETTLED,
    SOLD,
    Fed,
    bare,
    bid,
    buy,
    changed,
    fill,
    offer,
    parts,
    sell,
    stop,
    touched,
)

# -- stops and if-touched orders that a trade fires ------------------------------------------------


@pytest.mark.parametrize("traded", [1.0, 5.0, 6.0])
def test_a_stop_gets_what_the_trade_left_of_its_level(traded):
    """The level is 5.0; what is left of the stop takes the next book."""
    market = [*SETTLED, trade(100, 99.4, traded), book(200, {99.35: 9}, {99.5: 5})]
    left = [(100.0, 99.4, 4.0)] if traded == 1.0 else []
    seen = fill(market, [(10, stop(SELL, 99.45, 97.0, 7.0))])
    behind = [(100.0, 99.3, 7.0 - 4.0)] if left else [(100.0, 99.3, 5.0), (200.0, 99.35, 2.0)]
    assert parts(seen, "stop") == left + behind


def test_a_buy_stop_does_so_too():
    market = [*SETTLED, trade(100, 100.6, 3.0, BOUGHT)]
    assert parts(fill(market, [(10, stop(BUY, 100.55, 103.0))]), "stop") == [(100.0, 100.6, 1.0)]
    market = [*SETTLED, trade(100, 101.25, 3.0, BOUGHT), book(200, {100.5: 5}, {101.3: 5})]
    assert parts(fill(market, [(10, stop(BUY, 101.0, 103.0))]), "stop") == [(200.0, 101.3, 1.0)]


def test_a_touched_order_takes_the_other_side_of_the_trade():
    rise = [*SETTLED, trade(100, 100.3, 2.0, BOUGHT)]
    assert parts(fill(rise, [(10, touched(SELL, 100.2, 95.0))]), "stop") == [(100.0, 99.5, 1.0)]
    fall = [*SETTLED, trade(100, 99.55, 2.0)]
    assert parts(fill(fall, [(10, touched(BUY, 99.6, 105.0))]), "stop") == [(100.0, 100.5, 1.0)]


def test_volume_is_what_stood_there_and_the_rest_takes_the_next_book_at_its_prices():
    market = [*SETTLED, trade(100, 98.95, 3.0), book(200, {98.9: 5, 98.8: 5}, {99.5: 5})]
    seen = fill(market, [(10, stop(SELL, 99.0, 97.0, 10.0))])
    assert parts(seen, "stop") == [(200.0, 98.9, 5.0), (200.0, 98.8, 5.0)]
    assert seen.statuses["stop"] == "FILLED"


def test_where_nothing_is_known_to_stand_it_waits_for_the_book():
    market = [*SETTLED, trade(100, 98.95, 3.0, BOUGHT), book(200, {98.9: 5}, {99.5: 5})]
    seen = fill(market, [(10, stop(SELL, 99.0, 97.0))])
    assert parts(seen, "stop") == [(200.0, 98.9, 1.0)]


@pytest.mark.parametrize("size", [1.0, 2.0, 3.0])
def test_stops_of_one_trade_share_what_it_left(size):
    steps = [(10, stop(SELL, 99.45, 99.4, size, "a")), (11, stop(SELL, 99.41, 99.4, size, "b"))]
    seen = fill([*SETTLED, trade(100, 99.4, 2.0)], steps)
    found = parts(seen, "a") + parts(seen, "b")
    assert {(ms, price) for ms, price, _ in found} == {(100.0, 99.4)}
    assert sum(size for _, _, size in found) == min(2 * size, 3.0)


def test_a_gap_beyond_the_limit_rests_and_is_a_maker_behind_its_queue():
    market = [
        *SETTLED,
        trade(100, 96.5),
        book(120, {96.4: 5}, {96.6: 5, 97.0: 2}),
        level(130, SELL, 96.6, 0),
        trade(200, 97.0, 1.5, BOUGHT),  # of the 2.0 before it
        trade(300, 97.0, 0.7, BOUGHT),  # ends them, and 0.2 are over
        trade(400, 97.0, 0.4, BOUGHT),
        trade(500, 97.0, 2.0, BOUGHT),
    ]
    seen = fill(market, [(10, stop(SELL, 99.0, 97.0))])
    assert parts(seen, "stop") == [(300.0, 97.0, 0.2), (400.0, 97.0, 0.4), (500.0, 97.0, 0.4)]
    seen = fill(market, [(10, stop(SELL, 99.0, 97.0))], queues=False)
    assert parts(seen, "stop") == [(200.0, 97.0, 1.0)]


def test_bids_that_come_upon_one_that_rests_pay_its_price_and_no_more_than_they_are():
    market = [*SETTLED, trade(100, 96.5), book(120, {96.4: 5}, {96.6: 5})]
    market += [book(200, {97.5: 0.4, 97.2: 0.2}, {98.0: 5}), trade(300, 97.6, 0.1, BOUGHT)]
    seen = fill(market, [(10, stop(SELL, 99.0, 97.0))])
    assert parts(seen, "stop") == [(200.0, 97.0, 0.6), (300.0, 97.0, 0.1)]  # and who pays 97.60


def test_one_that_rests_takes_again_when_it_is_changed_to():
    market = [*SETTLED, trade(100, 96.5), book(120, {96.4: 5}, {96.6: 5}), trade(300, 96.5, 0.1)]
    seen = fill(market, [(10, stop(SELL, 99.0, 97.0)), (200, changed("stop", 96.0))])
    assert parts(seen, "stop") == [(200.0, 96.4, 1.0)]


def test_a_stop_without_a_limit_takes_what_stands_and_of_the_next_book():
    market = [*SETTLED, trade(100, 98.95, 3.0), book(200, {98.9: 5, 98.8: 1}, {99.5: 5})]
    seen = fill(market, [(10, bare(SELL, 99.0, TriggerType.LAST_PRICE, 8))])
    assert parts(seen, "stop") == [(200.0, 98.9, 5.0), (200.0, 98.8, 1.0)]
    market = [*SETTLED, book(100, {98.9: 5, 98.8: 9}, {99.5: 5}), trade(200, 98.9)]
    seen = fill(market, [(10, bare(SELL, 99.0, TriggerType.LAST_PRICE, 8))])
    assert parts(seen, "stop") == [(200.0, 98.9, 4.0), (200.0, 98.8, 4.0)]


def test_a_stop_without_a_limit_that_is_fired_in_a_gap_waits_for_the_book():
    market = [*SETTLED, cleared(80), trade(100, 98.95), book(200, {98.9: 5}, {99.5: 5})]
    seen = fill(market, [(10, bare(SELL, 99.0, TriggerType.LAST_PRICE))])
    assert parts(seen, "stop") == [(200.0, 98.9, 1.0)]
    assert seen.kinds("stop") == ["Accepted", "Filled"]


# -- what the touch fires --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [TriggerType.BID_ASK, TriggerType.DEFAULT])
def test_a_stop_that_the_book_fires_takes_that_book(kind):
    market = [*SETTLED, book(100, {98.9: 0.4, 98.8: 5}, {99.5: 5}), trade(200, 98.8)]
    seen = fill(market, [(10, stop(SELL, 99.0, 97.0, trigger_type=kind))])
    assert parts(seen, "stop") == [(100.0, 98.9, 0.4), (100.0, 98.8, 0.6)]
    market = [*SETTLED, book(100, {98.9: 5}, {99.2: 0.4, 99.3: 5}), trade(200, 99.2, 1.0, BOUGHT)]
    seen = fill(market, [(10, touched(BUY, 99.4, 99.9, trigger_type=kind))])
    assert parts(seen, "stop") == [(100.0, 99.2, 0.4), (100.0, 99.3, 0.6)]


def test_a_trade_does_not_fire_what_waits_for_the_touch():
    market = [*SETTLED, trade(100, 99.6, 1.0, BOUGHT), trade(150, 99.6, 1.0, BOUGHT)]
    market.append(book(200, {99.55: 2}, {99.7: 5}))  # the bid is there now
    seen = fill(market, [(10, touched(SELL, 99.55, 99.4, trigger_type=TriggerType.BID_ASK))])
    assert parts(seen, "stop") == [(200.0, 99.55, 1.0)]


def test_what_waited_through_a_trade_takes_the_next_books_too():
    market = [*SETTLED, trade(100, 99.6, 1.0, BOUGHT), book(200, {99.55: 2}, {99.7: 5})]
    market.append(book(250, {99.5: 5}, {99.7: 5}))
    seen = fill(market, [(10, touched(SELL, 99.55, 99.4, 3.0, trigger_type=TriggerType.BID_ASK))])
    assert parts(seen, "stop") == [(200.0, 99.55, 2.0), (250.0, 99.5, 1.0)]


@pytest.mark.parametrize("kind", [TriggerType.BID_ASK, TriggerType.DEFAULT])
@pytest.mark.parametrize(
    ("order", "side", "trigger", "trade_price", "fallen", "filled"),
    [
        ("stop_market", SELL, 99.0, 98.95, book(200, {98.9: 5}, {99.5: 5}), 98.9),
        ("stop_market", BUY, 101.0, 101.2, book(200, {100.5: 5}, {101.1: 5}), 101.1),
        ("market_if_touched", SELL, 101.0, 101.2, book(200, {101.1: 5}, {101.5: 5}), 101.1),
        ("market_if_touched", BUY, 99.0, 98.95, book(200, {98.5: 5}, {98.9: 5}), 98.9),
    ],
)
def test_a_trade_does_not_fire_one_without_a_limit_either(
    order, side, trigger, trade_price, fallen, filled, kind
):
    sold = trade(100, trade_price, 3.0, SOLD if trade_price < 100 else BOUGHT)
    back = trade(150, 100.0, 0.1)
    seen = fill([*SETTLED, sold, back], [(10, bare(side, trigger, kind, order=order))])
    assert (seen.statuses, seen.kinds("stop")) == ({"stop": "ACCEPTED"}, ["Accepted"])
    seen = fill([*SETTLED, sold, back, fallen], [(10, bare(side, trigger, kind, order=order))])
    assert parts(seen, "stop") == [(200.0, filled, 1.0)]


# -- orders that come between a trade and the book after it ----------------------------------------


@pytest.mark.parametrize("order", [buy("order", 3.0), bid("order", 102.0, 3.0)])
def test_they_meet_what_the_trades_left(order):
    market = [*SETTLED, trade(100, 100.5, 1.0, BOUGHT), trade(101, 100.6, 2.0, BOUGHT)]
    market += [trade(102, 99.5, 1.0), book(200, {99.5: 5}, {101.0: 5})]
    seen = fill(market, [(150, order)])
    assert parts(seen, "order") == [(150.0, 100.6, 3.0)]


def test_trades_before_a_book_of_the_same_moment_are_newer_than_the_one_before_it():
    market = [*SETTLED, trade(100, 100.6, 2.0, BOUGHT), trade(150, 99.5, 0.1)]
    market.append(book(150, {99.5: 5}, {101.0: 5}))

    def step(script: Script) -> None:
        script.on_trade = lambda _: script.market("order", BUY, 3.0)

    assert parts(fill(market, [(120, step)]), "order") == [(150.0, 100.6, 3.0)]


def test_a_deep_book_is_walked_as_far_as_there_is_need():
    asks = {round(100.5 + step / 100, 2): 1.0 for step in range(400)}
    market = [book(0, {99.5: 5}, asks), trade(50, 100.0, 0.1), trade(300, 100.0, 0.1)]
    prices = list(asks)
    for count in (1, 25, 26, 200, 201, 399):
        for order in (buy("order", count), bid("order", prices[count - 1], count + 1)):
            seen = fill(market, [(60, order)])
            at_once = [price for ms, price, _ in parts(seen, "order") if ms < 300]
            assert at_once == prices[:count]


def test_an_immediate_order_that_meets_nothing_is_cancelled():
    market = [*SETTLED, trade(100, 101.0, 1.0, SOLD), trade(300, 101.0)]
    for consumes in (True, False):
        steps = [(150, bid("order", 100.9, 1.0, time_in_force=TimeInForce.IOC))]
        seen = fill(market, steps, consumes=consumes)
        assert (seen.statuses["order"], parts(seen, "order")) == ("CANCELED", [])


@pytest.mark.parametrize("latency_ms", [0, 5])
def test_what_is_left_of_a_market_order_when_the_book_ends_is_cancelled_at_once(latency_ms):
    market = [*SETTLED, trade(65, 100.0), trade(200, 100.0), book(300, {99.5: 5}, {100.5: 50})]
    seen = fill(market, [(60, buy("order", 12.0))], latency_ms=latency_ms)
    ms = 60.0 + latency_ms
    assert parts(seen, "order") == [(ms, 100.5, 5.0), (ms, 100.6, 5.0)]
    ends = [(round(one.ms, 3), one.kind) for one in seen.events if one.order == "order"]
    assert ends[-1] == (ms, "Canceled")


def test_all_or_nothing_takes_nothing_where_there_is_not_all():
    steps = [(60, bid("all", 100.6, 11.0, time_in_force=TimeInForce.FOK)), (70, buy("other", 10.0))]
    seen = fill([*SETTLED, trade(300, 100.0)], steps)
    assert (seen.statuses["all"], parts(seen, "all")) == ("CANCELED", [])
    assert [size for _, _, size in parts(seen, "other")] == [5.0, 5.0]


# -- consumption -----------------------------------------------------------------------------------

ONE = book(0, {99.5: 50}, {100.5: 1.0})
TICKS = [trade(10 * i + 1, 100.0, 0.1) for i in range(60)]


def taking(changes: Sequence[Any], steps: Sequence[Any], **more: Any) -> Seen:
    data = sorted([ONE, *changes, *TICKS], key=lambda one: one.ts_init)
    return fill(data, steps, **more)


def test_what_was_taken_is_gone():
    seen = taking([], [(50, buy("first", 0.6)), (150, buy("second")), (250, buy("third"))])
    assert parts(seen, "second") == [(150.0, 100.5, 0.4)]
    assert seen.statuses["third"] == "REJECTED"
    seen = taking([], [(50, buy("first")), (150, buy("second"))], consumes=False)
    assert parts(seen, "second") == [(150.0, 100.5, 1.0)]


@pytest.mark.parametrize(
    "changes",
    [
        [level(100, SELL, 100.5, 0), level(110, SELL, 100.5, 1.0)],
        [level(100, SELL, 100.5, 1.0)],
        [book(100, {99.5: 50}, {100.5: 1.0})],
    ],
    ids=["away and back", "told the same", "snapshot"],
)
def test_a_level_that_is_told_again_is_fresh(changes):
    seen = taking(changes, [(50, buy("first")), (90, buy("early")), (150, buy("second"))])
    assert (seen.statuses["first"], seen.statuses["early"]) == ("FILLED", "REJECTED")
    assert parts(seen, "second") == [(150.0, 100.5, 1.0)]


def test_other_levels_told_leave_it_gone():
    seen = taking([level(100, BUY, 99.4, 1)], [(50, buy("first")), (150, buy("second"))])
    assert seen.statuses["second"] == "REJECTED"


def test_an_order_that_is_cut_to_the_position_takes_no_more_than_that():
    """A reduce-only one asks for 5.0 and gets the 0.4 that are held: the rest still stands."""
    bids = book(0, {99.5: 1.0, 99.4: 1.0}, {100.5: 50})
    data = sorted([bids, *TICKS], key=_ts)
    steps = [(50, buy("entry", 0.4)), (100, sell("cut", 5.0, reduce_only=True))]
    seen = fill(data, [*steps, (150, sell("other", 1.0))])
    assert parts(seen, "cut") == [(100.0, 99.5, 0.4)]
    assert parts(seen, "other") == [(150.0, 99.5, 0.6), (150.0, 99.4, 0.4)]


@pytest.mark.parametrize("side", [SELL, BUY])
def test_an_order_that_is_cut_to_the_position_is_cut_once_over_all_levels(side):
    """Each of the levels is smaller than the position, all together are more."""
    bids, asks = {99.5: 0.3, 99.4: 0.3, 99.3: 5}, {100.5: 0.3, 100.6: 0.3, 100.7: 5}
    data = sorted([book(0, bids, asks), *TICKS], key=_ts)
    enter, leave = (buy, sell) if side is SELL else (sell, buy)
    steps = [(50, enter("entry", 0.4)), (100, leave("cut", 1.0, reduce_only=True))]
    seen = fill(data, [*steps, (150, leave("other", 1.0))])
    best, next_, last = bids if side is SELL else asks
    assert parts(seen, "cut") == [(100.0, best, 0.3), (100.0, next_, 0.1)]
    assert parts(seen, "other") == [(150.0, next_, 0.2), (150.0, last, 0.8)]


def test_on_data_that_repeats_each_order_is_filled():
    market = [book(100 * i, {99.5: 1}, {100.5: 1}) for i in range(40)]
    data = sorted([*market, *(trade(100 * i + 1, 100.0, 0.1) for i in range(40))], key=_ts)
    seen = fill(data, [(100 * i + 50, buy(f"order-{i}")) for i in range(40)])
    assert set(seen.statuses.values()) == {"FILLED"}


def _ts(one: Any) -> int:
    return int(one.ts_init)


# -- makers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("queues", [True, False])
def test_one_trade_fills_two_resting_orders_no_more_than_it_was(queues):
    market = [book(0, {99.0: 5}, {100.5: 5}), trade(50, 100.0, 0.1), trade(100, 99.2, 1.5)]
    steps = [(10, bid("a", 99.2)), (20, bid("b", 99.2))]
    seen = fill([*market, trade(300, 100.0, 0.1, BOUGHT)], steps, queues=queues)
    assert parts(seen, "a") == [(100.0, 99.2, 1.0)]
    assert parts(seen, "b") == [(100.0, 99.2, 0.5)]


def test_a_trade_beyond_the_price_fills_whatever_stood_before_the_order():
    market = [*SETTLED, trade(100, 99.45, 0.4), trade(200, 100.0, 0.1, BOUGHT)]
    market += [trade(300, 99.4, 5.0), trade(400, 100.0, 0.1, BOUGHT)]
    seen = fill(market, [(60, bid("bid", 99.5))])
    assert parts(seen, "bid") == [(100.0, 99.5, 0.4), (300.0, 99.5, 0.6)]
    rise = [*SETTLED, trade(100, 100.55, 0.4, BOUGHT), trade(300, 100.7, 5.0, BOUGHT)]
    seen = fill(rise, [(60, offer("offer", 100.5))])
    assert parts(seen, "offer") == [(100.0, 100.5, 0.4), (300.0, 100.5, 0.6)]


def test_an_order_whose_cancel_is_on_its_way_before_it_has_come_rests_until_then():
    def cancel(script: Script) -> None:
        script.cancel_order(script.orders["offer"])

    wakes = [trade(ms, 99.7, 0.1) for ms in (55.0, 60.0, 80.0, 90.0)]
    market = sorted([*SETTLED, *wakes, level(70, BUY, 100.2, 0.4)], key=_ts)
    steps = [(5, buy("other")), (10, offer("offer", 99.9)), (30, cancel)]
    seen = fill(market, steps, latency_ms=50)
    assert parts(seen, "other") == [(55.0, 100.5, 1.0)]  # is asked about in between
    assert parts(seen, "offer") == [(70.0, 99.9, 0.4)]
    assert seen.statuses["offer"] == "CANCELED"


def test_a_post_only_order_that_comes_in_a_gap_rests_as_any_other():
    market = [*SETTLED, cleared(100), trade(150, 99.45, 0.4), trade(200, 99.4, 5.0)]
    seen = fill(market, [(120, bid("bid", 99.5, post_only=True))])
    assert parts(seen, "bid") == [(150.0, 99.5, 0.4), (200.0, 99.5, 0.6)]


def test_orders_beyond_each_others_price_share_the_trade_best_price_first():
    market = [*SETTLED, trade(100, 99.2, 1.5), trade(200, 100.0, 0.1, BOUGHT)]
    seen = fill(market, [(60, bid("low", 99.4)), (61, bid("high", 99.5))])
    assert parts(seen, "high") == [(100.0, 99.5, 1.0)]
    assert parts(seen, "low") == [(100.0, 99.4, 0.5)]


def test_a_gap_in_the_feed_ends_no_queue():
    """While nobody knows the book, a trade at the order's price may have been for those before."""
    nothing_known = cleared(100)
    market = [*SETTLED, nothing_known, trade(150, 99.5, 1.0), trade(200, 99.4, 0.3)]
    seen = fill(market, [(60, bid("order", 99.5))])
    assert [ms for ms, _, _ in parts(seen, "order")] == [200.0]
    seen = fill(market, [(60, bid("order", 99.5))], queues=False)
    assert [ms for ms, _, _ in parts(seen, "order")] == [150.0]


@pytest.mark.parametrize(
    "steps",
    [
        [(70, bid("order", 99.8))],
        [(70, bid("order", 99.6)), (100, changed("order", 99.8))],
    ],
    ids=["came", "changed"],
)
def test_an_order_that_found_nothing_left_rests_and_pays_its_own_price(steps):
    """The exchange calls it a taker: it met a level that the run had taken."""
    market = [book(0, {99.5: 5}, {99.7: 1, 100.5: 5}), trade(50, 99.6, 0.1)]
    market += [book(200, {99.5: 5}, {99.7: 5}), trade(300, 99.7, 0.1)]
    seen = fill(market, [(60, buy("first", 1.0)), *steps])
    assert parts(seen, "order") == [(200.0, 99.8, 1.0)]


def test_after_a_gap_the_queue_is_what_the_new_book_shows():
    market = [*SETTLED, cleared(100), trade(150, 99.5, 1.0), book(170, {99.5: 2}, {100.5: 5})]
    market += [trade(200, 99.5, 1.0), trade(300, 99.5, 1.0)]
    market += [trade(400, 99.5, 0.3), trade(500, 99.5)]
    seen = fill(market, [(60, bid("bid", 99.5))])
    assert parts(seen, "bid") == [(400.0, 99.5, 0.3), (500.0, 99.5, 0.7)]
    seen = fill([*market[:4], trade(160, 99.4, 1.0)], [(60, bid("bid", 99.5))])
    assert parts(seen, "bid") == [(160.0, 99.5, 1.0)]  # through it


def test_asks_that_come_upon_two_resting_bids_are_used_once():
    market = [*SETTLED, book(100, {99.0: 5}, {99.3: 1.5}), trade(200, 99.7, 0.1, BOUGHT)]
    seen = fill(market, [(60, bid("a", 99.6)), (70, bid("b", 99.6))])
    assert parts(seen, "a") == [(100.0, 99.6, 1.0)]
    assert parts(seen, "b") == [(100.0, 99.6, 0.5)]


def test_asks_within_the_spread_are_no_trade():
    market = [*SETTLED, level(100, SELL, 99.7, 0.4), trade(200, 100.0, 0.1, BOUGHT)]
    seen = fill(market, [(60, bid("a", 99.8, 0.3)), (70, bid("b", 99.8, 0.3))])
    assert parts(seen, "a") == [(100.0, 99.8, 0.3)]
    assert parts(seen, "b") == [(100.0, 99.8, 0.1)]


@pytest.mark.parametrize(("price", "side"), [(100.5, BOUGHT), (99.9, SOLD)])
def test_asks_that_come_in_the_moment_of_a_trade_are_used_once(price, side):
    market = [*SETTLED, trade(100, price, 0.1, side), book(100, {99.5: 5}, {99.55: 1.5, 100.5: 5})]
    market.append(trade(200, 100.5, 0.1, BOUGHT))
    takes = touched(BUY, 99.7, 99.8, trigger_type=TriggerType.BID_ASK)
    seen = fill(market, [(60, bid("bid", 99.6)), (70, takes)])
    found = parts(seen, "bid") + parts(seen, "stop")
    assert {(ms, price) for ms, price, _ in found} <= {(100.0, 99.6), (100.0, 99.55)}
    assert sum(size for _, _, size in found) == 1.5


# -- the way it is done ----------------------------------------------------------------------------


@pytest.mark.parametrize("latency_ms", [0, 5, 30])
def test_latency_delays_commands_and_no_fill(latency_ms):
    market = [*SETTLED, level(90, BUY, 99.3, 0), trade(100, 99.4, 2.0)]
    market += [book(200, {98.9: 5}, {99.5: 5}), trade(300, 98.9)]
    seen = fill(market, [(10, stop(SELL, 99.45, 97.0, 4.0))], latency_ms=latency_ms)
    assert parts(seen, "stop") == [(100.0, 99.4, 3.0), (200.0, 98.9, 1.0)]


def test_a_kind_that_the_matching_does_not_know_is_left_to_the_exchange():
    def step(script: Script) -> None:
        build = script.order_factory.market_to_limit
        script.send("order", build(IID, BUY, qty(7)))

    seen = fill([*SETTLED, trade(300, 100.0)], [(60, step), (70, buy("other"))])
    assert parts(seen, "order")[0] == (60.0, 100.5, 5.0)
    assert parts(seen, "other") == [(70.0, 100.5, 1.0)]  # neither is in the other's market


def test_an_error_is_kept():
    class Broken(MarketFills):
        def _answer(self, *_: Any, **__: Any) -> Any:
            raise ArithmeticError("broken")

    fed, ends = Fed([]), closing(0)
    model = Broken(PAIRS, fed, ends, consumes=True, queues=True)

    def prepare(engine: BacktestEngine) -> None:
        engine.add_strategy(ends)

    run([*SETTLED, trade(300, 100.0)], [(60, buy("order"))], prepare=prepare, fill_model=model)
    assert isinstance(ends.error, ArithmeticError)


# -- orders that the engine holds for a venue ------------------------------------------------------


def rules(source: TriggerSource, **settings: Any) -> HeldRules:
    able = Capabilities(
        kinds=frozenset({Kind.LIMIT, Kind.MARKET}),
        time_in_force=frozenset({Tif.FOK}),
        held=frozenset({Kind.STOP_LIMIT, Kind.STOP_MARKET}),
        trigger_sources=(source,),
    )
    return HeldRules(able=able, settings=HeldSettings(**settings))


def test_a_held_stop_is_fired_by_its_own_price_and_filled_at_once():
    market = [*SETTLED, trade(100, 99.4, 2.0), book(200, {98.9: 5, 98.8: 5}, {99.5: 5})]
    by_trade = fill(market, [(10, stop(SELL, 99.45, 97.0, 4.0))], held=rules(TriggerSource.LAST))
    assert parts(by_trade, "stop") == [(100.0, 99.4, 3.0), (100.0, 99.3, 1.0)]
    step = stop(SELL, 99.45, 97.0, trigger_type=TriggerType.BID_ASK)
    by_touch = fill(market, [(10, step)], held=rules(TriggerSource.TOUCH))
    assert parts(by_touch, "stop") == [(200.0, 98.9, 1.0)]


def test_a_held_stop_that_is_not_whole_is_armed_again():
    market = [
        *SETTLED,
        book(200, {98.9: 1}, {99.5: 5}),
        book(300, {98.9: 5}, {99.5: 5}),
        book(1300, {98.9: 5}, {99.5: 5}),
    ]
    step = stop(SELL, 99.0, 97.0, 3.0, trigger_type=TriggerType.BID_ASK)
    seen = fill(market, [(10, step)], held=rules(TriggerSource.TOUCH))
    assert parts(seen, "stop") == [(1300.0, 98.9, 3.0)]


def test_a_held_stop_that_is_not_whole_ends_where_it_is_not_armed_again():
    market = [
        *SETTLED,
        book(200, {98.9: 1}, {99.5: 5}),
        book(300, {98.9: 5}, {99.5: 5}),
        book(1300, {98.9: 5}, {99.5: 5}),
    ]
    step = stop(SELL, 99.0, 97.0, 3.0, trigger_type=TriggerType.BID_ASK)
    seen = fill(market, [(10, step)], held=rules(TriggerSource.TOUCH, rearms=False))
    assert parts(seen, "stop") == []
    assert seen.statuses["stop"] == "CANCELED"
