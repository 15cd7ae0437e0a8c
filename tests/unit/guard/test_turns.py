"""Strategies that share a topic hear each event in the order in which they were bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from nautilus_trader.model import (
    BarType,
    BookOrder,
    BookType,
    IndexPriceUpdate,
    InstrumentStatus,
    MarketStatusAction,
    MarkPriceUpdate,
    OrderBookDepth,
    OrderSide,
    StrategyId,
)
from nautilus_trader.trading import Strategy, StrategyConfig

from fairlead.engine.config.model import Risk
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.guard.strategy import guard
from fairlead.engine.guard.turns import KEYS
from fairlead.engine.risk.gate import RiskGate
from tests.unit.nautilus_harness import IID, MID, SECOND, book, exchange, px, qty, quote, trade

# Six in another order than that of their names: by chance it comes right once in 720 times.
NAMES = ("S-4", "S-1", "S-6", "S-3", "S-5", "S-2")
BARS = BarType.from_str(f"{IID}-1-SECOND-LAST-INTERNAL")
TICKS = BarType.from_str(f"{IID}-1-TICK-LAST-INTERNAL")
BUILT = BarType.from_str(f"{IID}-2-SECOND-LAST-INTERNAL@1-SECOND-INTERNAL")
BUILT_AS = str(BUILT.standard())
Heard = list[tuple[str, int, str]]  # what, second, who


class Listener(Strategy):
    """Keeps what it hears; `begin` subscribes, `then` does more with an event."""

    heard: Heard
    begin: Callable[[Any], None]
    then: Callable[[Any, str, int], None] = staticmethod(lambda *_: None)  # type: ignore[assignment]

    @property
    def name(self) -> str:
        return str(self.strategy_id)

    def on_start(self) -> None:
        self.begin(self)

    def _hear(self, what: str) -> None:
        second = self.clock.timestamp_ns() // SECOND
        self.heard.append((what, second, self.name))
        self.then(self, what, second)

    def on_book_deltas(self, event: Any) -> None:
        self._hear("deltas")

    def on_book_depth(self, event: Any) -> None:
        self._hear("depth")

    def on_quote(self, event: Any) -> None:
        self._hear("quote")

    def on_trade(self, event: Any) -> None:
        self._hear("trade")

    def on_bar(self, event: Any) -> None:
        self._hear(str(event.bar_type))

    def on_mark_price(self, event: Any) -> None:
        self._hear("mark")

    def on_index_price(self, event: Any) -> None:
        self._hear("index")

    def on_instrument_status(self, event: Any) -> None:
        self._hear("status")


def depth(ts: int) -> OrderBookDepth:
    bids, asks = (
        [BookOrder(side, px(price), qty(1), 0)]
        for side, price in ((OrderSide.BUY, MID - 0.01), (OrderSide.SELL, MID + 0.01))
    )
    return OrderBookDepth(IID, bids, asks, [1], [1], 0, 0, ts, ts)


def listeners(start: Callable[[Any], None], then: Any = None) -> tuple[list[Any], RunState]:
    state, heard = RunState((str(IID),)), []
    made = []
    for name in NAMES:
        one = guard(Listener)(StrategyConfig(strategy_id=StrategyId(name)))
        one.heard, one.begin = heard, start
        if then is not None:
            one.then = then
        one.bind(RiskGate(Risk()), state, None)
        made.append(one)
    return made, state


def hear(
    strategies: list[Any], more: Callable[[int], list[Any]] = lambda ts: [], seconds: int = 4
) -> Heard:
    """Each second a book, half a second later a trade, and `more`."""
    engine = exchange()
    for strategy in strategies:
        engine.add_strategy(strategy)
    data: list[Any] = []
    for second in range(1, seconds + 1):
        ts = second * SECOND
        data += [book(MID, ts), *more(ts + 1), trade(MID, ts + SECOND // 2)]
    engine.add_data(data)
    engine.run()
    engine.dispose()
    heard: Heard = strategies[0].heard
    return heard


def who(heard: Heard, what: str, second: int) -> tuple[str, ...]:
    return tuple(name for kind, at, name in heard if (kind, at) == (what, second))


def everything(one: Any) -> None:
    one.subscribe_book_deltas(IID, BookType.L2_MBP)
    one.subscribe_book_depth(IID, BookType.L2_MBP)
    one.subscribe_quotes(instrument_id=IID)
    one.subscribe_trades(IID)
    for bars in (BARS, TICKS, BUILT):
        one.subscribe_bars(bars)
    one.subscribe_mark_prices(IID)
    one.subscribe_index_prices(IID)
    one.subscribe_instrument_status(IID)


def others(ts: int) -> list[Any]:
    return [
        depth(ts),
        quote(MID, ts),
        MarkPriceUpdate(IID, px(MID), ts, ts),
        IndexPriceUpdate(IID, px(MID), ts, ts),
        InstrumentStatus(IID, MarketStatusAction.TRADING, ts, ts),
    ]


def test_all_kinds_come_in_order_to_all() -> None:
    made, state = listeners(everything)
    heard = hear(made, others)
    kinds = {what for what, _, _ in heard}
    assert kinds >= {"deltas", "depth", "trade", "mark", "index", "status", str(BARS), str(TICKS)}
    assert len(kinds) == 10, kinds
    for at in range(0, len(heard), len(NAMES)):
        told = heard[at : at + len(NAMES)]
        assert tuple(name for _, _, name in told) == NAMES
        assert len({(what, second) for what, second, _ in told}) == 1
    assert state.warned() == []


def test_a_bar_built_on_bars_ends_with_its_subscription() -> None:
    def then(one: Any, what: str, second: int) -> None:
        if one.name == "S-6" and what == BUILT_AS:
            one.unsubscribe_bars(bar_type=BUILT)

    def start(one: Any) -> None:
        one.subscribe_bars(BARS)
        one.subscribe_bars(BUILT)

    made, state = listeners(start, then)
    heard = hear(made, seconds=9)
    rest = tuple(name for name in NAMES if name != "S-6")
    first, *later = sorted({second for what, second, _ in heard if what == BUILT_AS})
    assert who(heard, BUILT_AS, first) == NAMES
    assert {who(heard, BUILT_AS, second) for second in later} == {rest}
    assert who(heard, str(BARS), 4) == NAMES
    assert state.warned() == []


def test_the_order_is_not_that_of_subscription() -> None:
    def start(one: Any) -> None:
        if one.name == NAMES[-1]:
            for other in reversed(made):
                other.subscribe_trades(IID)

    made, _ = listeners(start)
    heard = hear(made)
    assert [who(heard, "trade", second) for second in (1, 2, 3, 4)] == [NAMES] * 4


def test_indicators_know_the_event_when_their_strategy_is_called() -> None:
    class Counts:
        name, has_inputs, initialized, seen = "Counts", True, True, 0

        def handle_trade_tick(self, tick: Any) -> None:
            self.seen += 1

        def reset(self) -> None:
            self.seen = 0

    seen = []

    def start(one: Any) -> None:
        one.counts = Counts()
        one.register_indicator_for_trade_ticks(IID, one.counts)
        one.subscribe_trades(IID)

    def then(one: Any, what: str, second: int) -> None:
        seen.append((one.counts.seen, second))

    made, _ = listeners(start, then)
    hear(made)
    assert len(seen) == 4 * len(NAMES)
    assert all(count == second for count, second in seen)


def test_who_unsubscribed_hears_no_more_and_the_others_go_on() -> None:
    def then(one: Any, what: str, second: int) -> None:
        if one.name == "S-6" and second == 2:
            one.unsubscribe_trades(IID)
        if one.name == "S-4" and what == "deltas" and second == 3:
            one.unsubscribe_book_deltas(IID)

    def start(one: Any) -> None:
        one.subscribe_trades(IID)
        one.subscribe_book_deltas(IID, BookType.L2_MBP)

    made, state = listeners(start, then)
    heard = hear(made)
    rest = tuple(name for name in NAMES if name != "S-6")
    assert who(heard, "trade", 1) == NAMES
    assert [who(heard, "trade", second) for second in (2, 3, 4)] == [rest] * 3
    assert who(heard, "deltas", 3) == NAMES
    assert who(heard, "deltas", 4) == NAMES[1:]
    assert state.warned() == []


@pytest.mark.parametrize("victim", NAMES)
def test_who_is_stopped_hears_no_more(victim: str) -> None:
    """By the third of them: those after it do not hear of the same event either."""

    def then(one: Any, what: str, second: int) -> None:
        if one.name == "S-6" and second == 2:
            next(other for other in made if other.name == victim).stop()

    made, state = listeners(lambda one: one.subscribe_trades(IID), then)
    heard = hear(made)
    rest = tuple(name for name in NAMES if name != victim)
    after = NAMES.index(victim) > NAMES.index("S-6")
    assert [who(heard, "trade", second) for second in (1, 2, 3)] == [
        NAMES,
        rest if after else NAMES,
        rest,
    ]
    (told,) = state.warned()
    assert told.startswith(f"STRATEGY-STOPPED: {victim} was stopped by its stop(): it hears")


def test_a_fault_of_one_takes_no_event_from_the_others() -> None:
    def then(one: Any, what: str, second: int) -> None:
        if one.name == "S-6" and second == 2:
            raise ValueError("a defect")

    made, state = listeners(lambda one: one.subscribe_trades(IID), then)
    heard = hear(made)
    assert who(heard, "trade", 2) == NAMES
    assert state.fault_count == 1


@pytest.mark.parametrize("joining", NAMES)
def test_who_subscribes_in_a_callback_hears_from_the_next_event_on(joining: str) -> None:
    def start(one: Any) -> None:
        one.subscribe_bars(TICKS)
        if one.name != joining:
            one.subscribe_trades(IID)

    def then(one: Any, what: str, second: int) -> None:
        if one.name == joining and what == str(TICKS) and second == 2:
            one.subscribe_trades(IID)  # the trade that made this bar is on its way to the others

    made, state = listeners(start, then)
    heard = hear(made)
    rest = tuple(name for name in NAMES if name != joining)
    told = [who(heard, "trade", second) for second in (1, 2, 3, 4)]
    assert told == [rest, rest, NAMES, NAMES]
    assert state.warned() == []


def test_nobody_waits_for_ever_for_one_that_is_not_told() -> None:
    """What stands for its callback takes no turn."""

    def start(one: Any) -> None:
        one.subscribe_trades(IID)
        if one.name == "S-3":
            one._guard.put("on_trade", lambda event: None)

    made, state = listeners(start)
    heard = hear(made)
    rest = tuple(name for name in NAMES if name != "S-3")
    assert [who(heard, "trade", second) for second in (3, 4)] == [rest] * 2
    assert sum(what == "trade" for what, _, _ in heard) == 4 * len(rest)
    (text,) = state.warned()
    assert text.startswith("DATA-ORDER: S-3")


def test_what_only_the_gate_subscribed_is_waited_for_by_nobody() -> None:
    def start(one: Any) -> None:
        if one.name in ("S-1", "S-2"):
            one.subscribe_trades(IID)
        else:
            one._guard.feeds.need_trades(IID)

    made, state = listeners(start)
    heard = hear(made)
    assert [who(heard, "trade", second) for second in (1, 2, 3, 4)] == [("S-1", "S-2")] * 4
    assert state.warned() == []


def test_one_subscriber_passes_by() -> None:
    made, _ = listeners(lambda one: one.subscribe_trades(IID) if one.name == "S-3" else None)
    heard = hear(made)
    assert [name for _, _, name in heard] == ["S-3"] * 4
    assert not any(one._guard.shares for one in made)


def test_each_kind_of_market_data_has_its_turn() -> None:
    callbacks = {name for name in dir(Strategy) if name.startswith("on_")}
    assert set(KEYS) <= callbacks
