"""What NautilusTrader's simulated exchange does, as our layer leans on it or corrects it.

Each test is of the bare library. One that fails after an update says which of our corrections is
needed no more, or anew.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.execution import FillModel
from nautilus_trader.model import (
    BookAction,
    BookOrder,
    BookType,
    OrderBook,
    OrderBookDelta,
    OrderSide,
    TriggerType,
)

from tests.kernel.bench import IID, OTHER, Script, book, level, px, qty, quote, run, trade

BUY, SELL = OrderSide.BUY, OrderSide.SELL
QUIET = book(0, {99.5: 5, 99.4: 5, 99.3: 5}, {100.5: 5, 100.6: 5})
FALL = [
    QUIET,
    trade(50, 100.0),
    trade(100, 98.95, 3.0),  # through a stop at 99.00; the depth message comes later
    book(200, {98.9: 5, 98.8: 5}, {99.5: 5}),
]
DENSE = [book(t, {99.5 - t / 1000: 5}, {100.5 + t / 1000: 5}) for t in range(0, 1000, 50)]


def stop(side: OrderSide, trigger: float, limit: float, **more: Any):
    def step(script: Script) -> None:
        more.setdefault("trigger_type", TriggerType.LAST_PRICE)
        build = script.order_factory.stop_limit
        script.send("stop", build(IID, side, qty(1), px(limit), px(trigger), **more))

    return step


def touched(side: OrderSide, trigger: float, limit: float):
    def step(script: Script) -> None:
        build = script.order_factory.limit_if_touched
        last = TriggerType.LAST_PRICE
        script.send("stop", build(IID, side, qty(1), px(limit), px(trigger), trigger_type=last))

    return step


def buy(name: str, size: float = 1.0):
    return lambda script: script.market(name, BUY, size)


def reduce(name: str, size: float, price: float):
    return lambda script: script.limit(name, SELL, size, price, reduce_only=True)


# -- stops -----------------------------------------------------------------------------------------


def test_a_stop_that_a_trade_fires_fills_at_its_own_limit():
    assert run(FALL, [(10, stop(SELL, 99.0, 97.0))]).fills("stop") == [(100.0, 97.0, 1.0)]


def test_an_if_touched_order_does_too():
    fall = [QUIET, trade(100, 95.0, 3.0), book(200, {94.5: 5}, {95.5: 5})]
    assert run(fall, [(10, touched(BUY, 95.0, 96.0))]).fills("stop") == [(100.0, 96.0, 1.0)]


def test_without_trade_execution_it_fills_on_the_book_from_before_the_trade():
    seen = run(FALL, [(10, stop(SELL, 99.0, 97.0))], trade_execution=False)
    assert seen.fills("stop") == [(100.0, 99.5, 1.0)]


def test_an_emulated_stop_is_released_without_latency_onto_the_book_from_before_the_trade():
    emulated = stop(SELL, 99.0, 97.0, emulation_trigger=TriggerType.LAST_PRICE)
    seen = run(FALL, [(10, emulated)], latency_ms=5)
    assert seen.fills("stop") == [(100.0, 99.5, 1.0)]
    assert seen.kinds("stop") == ["Released", "Accepted", "Filled"]


def test_no_event_tells_that_a_stop_fired():
    crash = [QUIET, trade(50, 100.0), trade(100, 98.0), book(200, {95.0: 5}, {96.0: 5})]
    seen = run(crash, [(10, stop(SELL, 99.0, 98.5))])
    assert "Triggered" not in seen.kinds("stop")


def test_a_stop_whose_trigger_was_passed_already_is_rejected():
    passed = stop(SELL, 101.0, 97.0, trigger_type=TriggerType.DEFAULT)
    seen = run([QUIET, trade(50, 100.0), trade(400, 100.0)], [(60, passed)])
    assert seen.statuses["stop"] == "REJECTED"
    (event,) = [e for e in seen.events if e.kind == "Rejected"]
    assert "was in the market" in event.reason


class Answers(FillModel):  # type: ignore[misc]
    """Fills against a book of its own, and notes what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str, str | None]] = []

    def get_orderbook_for_fill_simulation(
        self, instrument: Any, order: Any, best_bid: Any = None, best_ask: Any = None
    ) -> Any:
        self.asked.append((order.order_type.name, order.status.name, str(best_bid)))
        made = OrderBook(IID, BookType.L2_MBP)
        for side, price, size in ((BUY, 98.7, 0.4), (BUY, 98.6, 5), (SELL, 100.7, 5)):
            row = BookOrder(side, px(price), qty(size), 0)
            made.apply_delta(OrderBookDelta(IID, BookAction.ADD, row, 128, 0, 0, 0))
        return made


def test_a_fill_model_in_python_decides_prices_and_volume_of_stops_and_market_orders():
    """Backtests only: the sandbox takes none (TypeError, "Cannot convert PyFill to FillModel")."""
    model = Answers()
    seen = run(FALL, [(10, stop(SELL, 99.0, 97.0)), (20, buy("market"))], fill_model=model)
    assert seen.fills("stop") == [(100.0, 98.7, 0.4), (100.0, 98.6, 0.6)]
    assert seen.fills("market") == [(20.0, 100.7, 1.0)]
    assert model.asked == [("MARKET", "SUBMITTED", "99.50"), ("STOP_LIMIT", "TRIGGERED", "98.95")]


# -- reduce-only (nautilus_trader#4264) ------------------------------------------------------------


def test_every_reduce_only_order_is_set_to_the_size_of_the_position():
    market = [book(0, {99.5: 50}, {100.5: 50}), *(trade(10 * i, 100.0) for i in range(1, 30))]
    seen = run(
        market,
        [
            (5, buy("first")),
            (15, reduce("exit of the first", 1.0, 105.0)),
            (25, buy("second", 2.0)),
            (35, reduce("exit of the second", 2.0, 106.0)),
        ],
    )
    assert seen.quantities["exit of the first"] == 3.0
    assert seen.quantities["exit of the second"] == 2.0


# -- latency (nautilus_trader#4891, #5054) ---------------------------------------------------------


def test_a_command_waits_for_the_next_data_after_it_is_due():
    seen = run(DENSE, [(110, buy("order"))], latency_ms=5)
    assert seen.fills("order") == [(150.0, 100.65, 1.0)]  # 35 ms later, and the book after that


@pytest.mark.parametrize(("timer_ms", "filled_ms"), [(112, 150.0), (115, 115.0), (120, 120.0)])
def test_a_timer_at_or_after_the_time_when_it_is_due_releases_it(timer_ms, filled_ms):
    seen = run(DENSE, [(110, buy("order"))], latency_ms=5, timers_ms=[timer_ms])
    assert seen.fills("order")[0][0] == filled_ms


def test_data_of_another_instrument_does_not_release_it():
    other = [book(0, {9: 1}, {11: 1}, instrument=OTHER), trade(117, 10.0, instrument=OTHER)]
    market = sorted([*DENSE, *other], key=lambda one: one.ts_init)
    assert run(market, [(110, buy("order"))], latency_ms=5).fills("order")[0][0] == 150.0


def test_what_is_on_its_way_when_the_data_ends_is_executed_all_the_same():
    seen = run([QUIET, trade(100, 100.0)], [(98, buy("order"))], latency_ms=5)
    assert seen.statuses["order"] == "FILLED"
    assert seen.fills("order") == []  # the strategy is not told


# -- consumed liquidity (nautilus_trader#5017) -----------------------------------------------------

TICKS = [trade(10 * i + 1, 100.0) for i in range(60)]


def consuming(market, steps):
    data = sorted([*market, *TICKS], key=lambda one: one.ts_init)
    return run(data, steps, liquidity_consumption=True)


def test_a_level_that_went_away_and_came_back_of_the_same_size_counts_as_consumed():
    market = [book(0, {99.5: 50}, {100.5: 1.0}), level(100, SELL, 100.5, 0)]
    market.append(level(110, SELL, 100.5, 1.0))
    seen = consuming(market, [(50, buy("first")), (150, buy("second"))])
    assert (seen.statuses["first"], seen.statuses["second"]) == ("FILLED", "REJECTED")


def test_a_snapshot_of_the_same_size_does_not_refill_it_either():
    market = [book(0, {99.5: 50}, {100.5: 1.0}), book(100, {99.5: 50}, {100.5: 1.0})]
    seen = consuming(market, [(50, buy("first")), (150, buy("second"))])
    assert seen.statuses["second"] == "REJECTED"


def test_another_size_in_between_refills_it_only_if_something_was_filled_then():
    market = [book(0, {99.5: 50}, {100.5: 1.0}), level(100, SELL, 100.5, 0.5)]
    market.append(level(200, SELL, 100.5, 1.0))
    seen = consuming(market, [(50, buy("first")), (250, buy("last"))])
    assert seen.statuses["last"] == "REJECTED"
    seen = consuming(market, [(50, buy("first")), (150, buy("between", 0.5)), (250, buy("last"))])
    assert seen.fills("last") == [(250.0, 100.5, 1.0)]


# -- market data -----------------------------------------------------------------------------------


def test_quotes_beside_a_book_do_not_touch_the_matching():
    seen = run([QUIET, quote(100, 98.0, 98.5), trade(400, 99.0)], [(150, buy("order"))])
    assert seen.fills("order") == [(150.0, 100.5, 1.0)]


def test_a_market_order_needs_a_quote_that_a_book_alone_is_not():
    assert (
        run([QUIET, trade(400, 99.0)], [(10, buy("order"))], emit_quotes=False).fills("order") == []
    )
    assert run([QUIET, trade(400, 99.0)], [(10, buy("order"))]).fills("order")


def test_bars_without_trades_are_made_flat_and_of_no_volume():
    market = [QUIET, trade(500, 100.0), trade(1500, 101.0), trade(5500, 102.0), trade(6500, 102.0)]
    bars = run(market, [], bars="1-SECOND-LAST").bars
    assert [(str(bar.close), str(bar.volume)) for bar in bars] == [
        ("100.00", "1.000"),
        ("101.00", "1.000"),
        *[("101.00", "0.000")] * 3,
        ("102.00", "1.000"),
    ]


def test_an_update_that_is_out_of_sequence_is_applied():
    late = book(200, {98.0: 5}, {98.5: 5}, sequence=1)
    market = [book(0, {99.5: 5}, {100.5: 5}, sequence=9), late, trade(400, 98.2)]
    assert run(market, [(250, buy("order"))]).fills("order") == [(250.0, 98.5, 1.0)]


def test_the_queue_ahead_must_trade_before_a_resting_order_fills():
    market = [book(0, {99.5: 2.0}, {100.5: 5}), trade(100, 99.5, 1.5), trade(200, 99.5, 1.0)]
    steps = [(10, lambda script: script.limit("bid", BUY, 1.0, 99.5))]
    seen = run([*market, trade(300, 99.5, 1.0)], steps, queue_position=True)
    assert seen.fills("bid") == [(200.0, 99.5, 0.5), (300.0, 99.5, 0.5)]
    assert Decimal(str(seen.quantities["bid"])) == 1


@pytest.mark.parametrize("side", [BUY, SELL])
def test_a_post_only_order_is_judged_by_the_book_also_where_a_newer_trade_ran_through_it(side):
    price, swept = (100.8, 101.0) if side == BUY else (99.2, 99.0)
    step = (150, lambda script: script.limit("maker", side, 1, price, post_only=True))
    later = book(200, {98.9: 5}, {101.0: 5})
    seen = run([QUIET, trade(50, 100.0), trade(100, swept, 9.0), trade(150, swept), later], [step])
    assert seen.kinds("maker")[-1] == "Rejected"
