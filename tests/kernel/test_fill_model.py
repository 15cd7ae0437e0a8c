"""What NautilusTrader asks a fill model in Python, and what it does with the answers.

Each test is of the bare library; `fairlead.engine.matching` leans on it, or corrects it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from nautilus_trader.backtest import BacktestVenueConfig
from nautilus_trader.execution import FillModel
from nautilus_trader.model import (
    AggressorSide,
    BookAction,
    BookOrder,
    BookType,
    OrderBook,
    OrderBookDelta,
    OrderBookDeltas,
    OrderBookDepth,
    OrderSide,
    RecordFlag,
    TimeInForce,
    TriggerType,
)

from tests.kernel.bench import (
    BEGIN,
    IID,
    MS,
    OTHER,
    Script,
    Seen,
    at,
    book,
    cleared,
    level,
    px,
    qty,
    run,
    trade,
)
from tests.kernel.test_matching import QUIET, buy, stop, touched

BUY, SELL = OrderSide.BUY, OrderSide.SELL
FALL = [QUIET, trade(50, 100.0), trade(100, 98.95, 3.0), book(200, {98.9: 5}, {99.5: 5})]
EMPTY = OrderBook(IID, BookType.L2_MBP)


class Told(FillModel):
    """Notes each question with what the script's cache shows; answers by `answer`."""

    script: Any = None

    def __init__(self, answer: Callable[[Any], OrderBook | None] = lambda _: EMPTY) -> None:
        super().__init__()
        self.answer = answer
        self.asked: list[dict[str, Any]] = []

    def get_orderbook_for_fill_simulation(
        self, instrument: Any, order: Any, best_bid: Any = None, best_ask: Any = None
    ) -> OrderBook | None:
        cache, clock = self.script.cache, self.script.clock
        last = cache.trade(IID)
        self.asked.append(
            {
                "ms": (clock.timestamp_ns() - BEGIN) / MS,
                "status": order.status.name,
                "side": order.liquidity_side.name,
                "touch": (float(best_bid), float(best_ask)),
                "book": tuple(float(one) for one in cache.top_of_book(IID)[::2]),
                "trade": None if last is None else float(last.price),
                "triggered": getattr(order, "ts_triggered", None),
            }
        )
        return self.answer(order)


def told(
    data: Sequence[Any],
    steps: Sequence[Any],
    answer: Callable[[Any], OrderBook | None] = lambda _: EMPTY,
    **venue: Any,
) -> tuple[Seen, Told]:
    model = Told(answer)

    def begin(script: Script) -> None:
        model.script = script

    return run(data, [(1, begin), *steps], fill_model=model, **venue), model


def test_an_empty_book_is_no_fill():
    seen, model = told(FALL, [(10, stop(SELL, 99.0, 97.0)), (20, buy("market"))])
    assert seen.statuses == {"stop": "TRIGGERED", "market": "REJECTED"}
    assert "No market" in next(one.reason for one in seen.events if one.kind == "Rejected")
    assert len(model.asked) == 3  # the stop again as the book changes


@pytest.mark.parametrize("tif", [TimeInForce.IOC, TimeInForce.FOK])
def test_it_ends_an_order_that_does_not_wait(tif):
    step = (20, lambda script: script.limit("order", BUY, 1.0, 100.5, time_in_force=tif))
    assert told(FALL, [step])[0].statuses == {"order": "CANCELED"}


def test_it_is_asked_before_anyone_else_has_the_data():
    _, model = told(FALL, [(10, stop(SELL, 99.0, 97.0))])
    of_trade, of_book = model.asked
    assert of_trade["touch"] == (98.95, 98.95)  # both sides are moved to the trade's price
    assert (of_trade["book"], of_trade["trade"]) == ((99.5, 100.5), 100.0)  # the one before
    assert of_book["touch"] == (98.9, 99.5)
    assert (of_book["book"], of_book["trade"]) == ((99.5, 100.5), 98.95)


def test_a_fired_stop_is_a_taker_to_its_end():
    _, model = told(FALL, [(10, stop(SELL, 99.0, 97.0))])
    assert [one["status"] for one in model.asked] == ["TRIGGERED", "TRIGGERED"]
    assert [one["side"] for one in model.asked] == ["TAKER", "TAKER"]
    assert {one["triggered"] for one in model.asked} == {BEGIN + 100 * MS}
    gap = [QUIET, trade(50, 100.0), trade(100, 96.5), book(120, {96.4: 5}, {96.6: 5, 97.0: 5})]
    gap.append(trade(200, 97.0, 1.0, AggressorSide.BUY))
    seen = run(gap, [(10, stop(SELL, 99.0, 97.0))], queue_position=True)
    assert [one.liquidity for one in seen.events if one.kind == "Filled"] == ["TAKER"]


def test_one_that_rests_has_no_queue_before_it():
    gap = [QUIET, trade(50, 100.0), trade(100, 96.5), book(120, {96.4: 5}, {96.6: 5, 97.0: 5})]
    gap.append(trade(200, 97.0, 1.0, AggressorSide.BUY))  # 5 stood at that price
    seen = run(gap, [(10, stop(SELL, 99.0, 97.0))], queue_position=True)
    assert seen.fills("stop") == [(200.0, 97.0, 1.0)]


def test_a_gap_clears_the_queues_and_a_whole_book_does_not():
    steps = [(10, lambda script: script.limit("bid", BUY, 1.0, 99.5))]
    again = book(150, {99.5: 5}, {100.5: 5})
    seen = run([QUIET, again, trade(200, 99.5, 1.0)], steps, queue_position=True)
    assert seen.fills("bid") == []
    seen = run([QUIET, cleared(100), again, trade(200, 99.5, 1.0)], steps, queue_position=True)
    assert seen.fills("bid") == [(200.0, 99.5, 1.0)]


def test_a_trade_fires_what_waits_for_the_touch():
    def step(script: Script) -> None:
        build, kind = script.order_factory.limit_if_touched, TriggerType.BID_ASK
        script.send("order", build(IID, SELL, qty(1), px(99.4), px(99.55), trigger_type=kind))

    market = [QUIET, trade(100, 99.6, 1.0, AggressorSide.BUY)]  # the bid is 99.50
    assert run(market, [(10, step)]).statuses == {"order": "FILLED"}


def test_a_trade_against_the_touch_moves_neither_side():
    market = [QUIET, trade(50, 100.0), trade(100, 98.95, 3.0, AggressorSide.BUY)]
    _, model = told(market, [(10, stop(SELL, 99.0, 97.0))])
    assert [one["touch"] for one in model.asked] == [(99.5, 100.5)]


def test_a_resting_order_that_a_trade_reaches_is_asked_about_too():
    market = [QUIET, trade(100, 99.6, 1.0)]
    seen, model = told(market, [(10, lambda script: script.limit("bid", BUY, 1.0, 99.6))])
    assert [one["side"] for one in model.asked] == ["MAKER"]
    assert seen.statuses == {"bid": "ACCEPTED"}
    seen, _ = told(market, [(10, lambda s: s.limit("bid", BUY, 1.0, 99.6))], lambda _: None)
    assert seen.fills("bid") == [(100.0, 99.6, 1.0)]


def test_orders_that_the_trade_leaves_nothing_for_are_not_asked_about():
    steps = [
        (10, lambda script: script.limit("bid", BUY, 1.0, 99.6)),
        (11, touched(BUY, 99.6, 99.8)),
    ]
    market = [QUIET, trade(50, 100.0), trade(100, 99.6, 1.0)]
    seen, model = told(market, steps, lambda _: None, queue_position=True)
    assert seen.fills("bid") == [(100.0, 99.6, 1.0)]
    assert [one["status"] for one in model.asked] == ["ACCEPTED"]
    assert seen.statuses["stop"] == "TRIGGERED"


def test_one_trade_fills_each_of_two_resting_orders_if_neither_queue_nor_consumption_is_kept():
    market = [QUIET, trade(100, 99.6, 1.0)]
    steps = [(ms, lambda s, n=n: s.limit(n, BUY, 1.0, 99.6)) for ms, n in ((10, "a"), (20, "b"))]
    for options, size in (
        ({}, 2.0),
        ({"queue_position": True}, 1.0),
        ({"liquidity_consumption": True}, 1.0),
    ):
        seen = run(market, steps, **options)
        filled = sum(part for name in "ab" for _, _, part in seen.fills(name))
        assert filled == size


def test_a_command_without_effect_has_the_exchange_look_again_when_it_is_stamped_early():
    latency = 5

    def again(script: Script) -> None:
        now = script.clock.timestamp_ns()

        def ask(_: Any) -> None:
            script.clock.set_time(now - latency * MS)
            script.cancel_all_orders(OTHER, strategy_only=False)
            script.clock.set_time(now)

        script.clock.set_time_alert_ns("again", now, ask)

    model = Told()

    def answer(_: Any) -> OrderBook:
        if len(model.asked) == 1:
            again(model.script)
        return EMPTY

    model.answer = answer

    def begin(script: Script) -> None:
        model.script = script

    steps = [(1, begin), (10, stop(SELL, 99.0, 97.0))]
    run(FALL[:3], steps, latency_ms=latency, fill_model=model)
    first, second = model.asked
    assert (first["ms"], second["ms"]) == (100.0, 100.0)
    assert (second["touch"], second["book"]) == ((99.5, 100.5), (99.5, 100.5))
    assert second["trade"] == 98.95


def test_who_stops_listening_to_a_book_leaves_the_others_theirs():
    def leave(script: Script) -> None:
        script.subscribe_book_deltas(IID, BookType.L2_MBP)
        script.unsubscribe_book_deltas(IID)

    found = []

    class Other(Script):
        def on_start(self) -> None:
            self.clock.set_time_alert_ns("a", BEGIN + 10 * MS, lambda _: leave(self))

        def on_order_event(self, event: Any) -> None: ...

    def prepare(engine: Any) -> None:
        engine.add_strategy(Other())

    def peek(script: Script) -> None:
        found.append(tuple(float(one) for one in script.cache.top_of_book(IID)[::2]))

    run([QUIET, level(50, BUY, 99.7, 1), trade(200, 100.0)], [(100, peek)], prepare=prepare)
    assert found == [(99.7, 100.5)]


def test_a_book_knows_the_venues_times_only_and_the_largest_of_them():
    known = OrderBook(IID, BookType.L2_MBP)
    for event, received in ((100, 500), (150, 450), (120, 700)):
        order, flags = BookOrder(BUY, px(99.0), qty(1), 0), RecordFlag.F_LAST.value
        one = OrderBookDelta(IID, BookAction.ADD, order, flags, 0, event, received)
        known.apply_deltas(OrderBookDeltas(IID, [one]))
    assert (known.ts_event, known.ts_init, known.ts_last) == (150, 150, 150)


def test_a_node_takes_no_fill_model_in_python():
    with pytest.raises(TypeError, match="to FillModel"):
        BacktestVenueConfig(
            name="TEST",
            oms_type="NETTING",
            account_type="CASH",
            starting_balances=["1 USDT"],
            book_type="L2_MBP",
            fill_model=Told(),
        )


def test_what_a_fill_model_raises_ends_nothing():
    def fails(_: Any) -> OrderBook:
        raise ArithmeticError("broken")

    seen, model = told(FALL, [(10, stop(SELL, 99.0, 97.0))], fails)
    assert seen.statuses == {"stop": "TRIGGERED"}
    assert len(model.asked) == 2


BARE = ("stop_market", "market_if_touched")


def bare(order: str, kind: TriggerType) -> Callable[[Script], None]:
    def step(script: Script) -> None:
        trigger, build = (99.0 if order == BARE[0] else 100.9), getattr(script.order_factory, order)
        script.send("stop", build(IID, SELL, qty(1), px(trigger), trigger_type=kind))

    return step


@pytest.mark.parametrize("order", BARE)
@pytest.mark.parametrize("kind", [TriggerType.LAST_PRICE, TriggerType.BID_ASK])
def test_one_without_a_limit_is_asked_about_once_unless_the_answer_fails(order, kind):
    price = 98.95 if order == BARE[0] else 101.2
    moved = book(200, {price: 5}, {price + 1: 5})
    market = [QUIET, trade(50, 100.0), trade(100, price, 3.0, AggressorSide.NO_AGGRESSOR), moved]
    step = (10, bare(order, kind))
    seen, model = told(market, [step])  # a trade fires it whatever it waits for
    assert (seen.statuses, len(model.asked)) == ({"stop": "CANCELED"}, 1)

    def fails_once(_: Any) -> OrderBook | None:
        if len(model.asked) == 1:
            raise ArithmeticError("not now")
        return None

    model = Told(fails_once)

    def begin(script: Script) -> None:
        model.script = script

    seen = run(market, [(1, begin), step], fill_model=model)
    assert seen.statuses == {"stop": "FILLED"}
    assert [(one["ms"], one["status"]) for one in model.asked] == [
        (100.0, "ACCEPTED"),
        (200.0, "ACCEPTED"),
    ]


def test_a_whole_book_moves_the_exchange_and_is_heard_by_nobody_who_asked_for_changes():
    asked: list[tuple[float, float]] = []

    class Noted(FillModel):
        def get_orderbook_for_fill_simulation(
            self, instrument: Any, order: Any, best_bid: Any = None, best_ask: Any = None
        ) -> None:
            asked.append((float(best_bid), float(best_ask)))

    def depth(ms: float, bid: float, ask: float) -> OrderBookDepth:
        rows = [BookOrder(side, px(one), qty(1), 0) for side, one in ((BUY, bid), (SELL, ask))]
        return OrderBookDepth(IID, rows[:1], rows[1:], [1], [1], 0, 0, at(ms), at(ms))

    def look(script: Script) -> None:
        seen, quote = script.cache.order_book(IID), script.cache.quote(IID)
        told = seen.best_bid_price(), seen.best_ask_price(), quote.bid_price, quote.ask_price
        assert [float(one) for one in told] == [99.5, 100.5] * 2
        assert script.cache.book_update_count(IID) == 3
        done.append(script)

    done: list[Script] = []
    market = [book(0, {99.5: 5}, {100.5: 5}), depth(100, 100.01, 100.0), trade(200, 102.0)]

    def send(script: Script) -> None:
        build, kind = script.order_factory.market_if_touched, TriggerType.BID_ASK
        script.send("touched", build(IID, BUY, qty(1), px(100.0), trigger_type=kind))

    steps = [(10, send), (150, look)]
    run(market, steps, fill_model=Noted())
    assert done
    assert asked[0] == (100.01, 100.0)


def test_one_that_is_triggered_is_told_of_no_new_trigger():
    def fails(_: Any) -> OrderBook:
        raise ArithmeticError("not now")

    events: list[Any] = []

    def change(script: Script) -> None:
        script.modify_order(script.orders["stop"], trigger_price=px(98.0))

    def look(script: Script) -> None:
        order = script.cache.order(script.orders["stop"])
        events.append((order.status.name, float(order.trigger_price), order.last_event))

    steps = [(10, stop(SELL, 99.0, 97.0)), (110, change), (120, look)]
    told(FALL, steps, fails)
    ((status, trigger, event),) = events
    assert (status, trigger) == ("TRIGGERED", 99.0)
    assert (type(event).__name__, event.trigger_price) == ("OrderUpdated", None)
