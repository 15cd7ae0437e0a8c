"""In which order NautilusTrader tells several strategies of one event: what engine/guard/turns.py
leans on and corrects. Each test is of the bare library."""

from __future__ import annotations

from typing import Any

from nautilus_trader.backtest import BacktestEngine
from nautilus_trader.model import BarType, BookType, StrategyId
from nautilus_trader.trading import Strategy, StrategyConfig

from tests.kernel.bench import IID, MS, at, book, run, trade

NAMES = ("S-4", "S-9", "S-6", "S-3", "S-8", "S-5", "S-2", "S-7")  # as they are added
DATA = [one for ms in (0, 1000, 2000) for one in (book(ms, {99: 5}, {101: 5}), trade(ms + 9, 100))]


class Listener(Strategy):
    heard: list[tuple[str, int, str]]  # what, milliseconds, who

    def on_start(self) -> None:
        self.subscribe_book_deltas(IID, BookType.L2_MBP)
        self.subscribe_trades(IID)
        self.subscribe_bars(BarType.from_str(f"{IID}-1-SECOND-LAST-INTERNAL"))
        for name in (f"b-{self.strategy_id}", "a"):
            self.clock.set_time_alert_ns(name, at(1500), lambda event: self.note(event.name[0]))

    def note(self, what: str) -> None:
        ms = (self.clock.timestamp_ns() - at(0)) // MS
        self.heard.append((what, ms, str(self.strategy_id)))

    def on_book_deltas(self, deltas: Any) -> None:
        self.note("deltas")

    def on_trade(self, tick: Any) -> None:
        self.note("trade")

    def on_bar(self, bar: Any) -> None:
        self.note("bar")


def heard() -> dict[tuple[str, int], tuple[str, ...]]:
    """Who heard of each event, in their order."""
    notes: list[tuple[str, int, str]] = []

    def add(engine: BacktestEngine) -> None:
        for name in NAMES:
            strategy = Listener(StrategyConfig(strategy_id=StrategyId(name)))
            strategy.heard = notes
            engine.add_strategy(strategy)

    run(DATA, [], prepare=add)
    found: dict[tuple[str, int], tuple[str, ...]] = {}
    for what, ms, name in notes:
        found[what, ms] = (*found.get((what, ms), ()), name)
    return found


def test_the_subscribers_of_one_event_are_told_in_an_order_drawn_anew() -> None:
    """By an id of each subscription that is random: of eight, once in 40320 times as added."""
    orders = {told for _ in range(3) for (what, _), told in heard().items() if what == "trade"}
    assert len(orders) > 1
    assert {tuple(sorted(told)) for told in orders} == {tuple(sorted(NAMES))}


def test_it_is_the_same_for_all_events_of_a_subscription() -> None:
    found = heard()
    assert len({told for (what, _), told in found.items() if what == "deltas"}) == 1


def test_each_topic_has_an_order_of_its_own() -> None:
    found = heard()
    assert len({found["deltas", 1000], found["trade", 1009], found["bar", 1000]}) > 1


def test_timers_of_one_time_come_by_their_names_then_as_strategies_were_added() -> None:
    found = heard()
    assert found["a", 1500] == NAMES
    assert found["b", 1500] == tuple(sorted(NAMES))
