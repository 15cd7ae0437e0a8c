"""A book is as old as its receipt: a clock that is apart from the venue's makes none stale."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.model import (
    BookAction,
    BookType,
    OrderBookDelta,
    OrderBookDeltas,
    OrderSide,
    StrategyId,
)
from nautilus_trader.trading import Strategy, StrategyConfig

from fairlead.engine.config.model import Risk
from fairlead.engine.guard.strategy import guard
from tests.unit.nautilus_harness import IID, SECOND, Run, backtest, book, px, qty, trade

STEPS = 10
STALE_MS = 3_000


def shifted(deltas: Any, behind_ns: int) -> Any:
    """The same update, its venue's time `behind_ns` before its receipt."""
    moved = []
    for one in deltas.deltas:
        ts_event = one.ts_event - behind_ns
        if one.action == BookAction.CLEAR:
            moved.append(OrderBookDelta.clear(IID, one.sequence, ts_event, one.ts_init))
            continue
        stamps = (one.flags, one.sequence, ts_event, one.ts_init)
        moved.append(OrderBookDelta(IID, one.action, one.order, *stamps))
    return OrderBookDeltas(IID, moved)


class OnTrades(Strategy):
    """Sends an order at each trade; the book is subscribed for it, or by it."""

    def on_start(self) -> None:
        self.subscribe_trades(IID)

    def on_trade(self, event: Any) -> None:
        self.submit_order(self.order_factory.limit(IID, OrderSide.BUY, qty(1), px(99)))


class OnBooks(OnTrades):
    def on_start(self) -> None:
        super().on_start()
        self.subscribe_book_deltas(IID, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, event: Any) -> None:
        pass


class Watcher(Strategy):
    """Subscribes the book, so that the gate does not do it for the one that trades."""

    def on_start(self) -> None:
        self.subscribe_book_deltas(IID, BookType.L2_MBP, managed=True)


def behind_watcher(run: Run) -> Run:
    watcher = guard(Watcher)(StrategyConfig(strategy_id=StrategyId("A-000")))
    watcher.bind(run.gate, run.state, "book")
    return backtest(run, more=[watcher])


def orders(strategy: type, behind_secs: float, silent_from: int, *, watched: bool = False) -> Run:
    """A book and, a bit later, a trade each second; from `silent_from` on trades only."""
    data: list[Any] = []
    for step in range(1, STEPS + 1):
        ts = (100 + step) * SECOND
        if step <= silent_from:
            data.append(shifted(book(100.0, ts), int(behind_secs * SECOND)))
        data.append(trade(100.0, ts + 1))
    run = Run(
        strategy,
        risk=Risk(stale_after_ms=STALE_MS, price_collar_bps=Decimal(500)),
        steps=0,
        extra=data,
    )
    return behind_watcher(run) if watched else backtest(run)


@pytest.mark.parametrize("strategy", [OnTrades, OnBooks])
@pytest.mark.parametrize("behind_secs", [-12, -1.2, 0, 1.2, 12])
def test_orders_are_the_same_whatever_the_distance_of_the_clocks(strategy, behind_secs):
    run = orders(strategy, behind_secs, STEPS)
    assert run.codes() == []
    assert len(run.orders) == STEPS


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("strategy", [OnTrades, OnBooks])
@pytest.mark.parametrize("behind_secs", [-12, 0, 12])
def test_a_silent_book_is_stale_at_the_same_time(strategy, behind_secs, watched):
    run = orders(strategy, behind_secs, silent_from=4, watched=watched)
    # good until 3 s after the fourth book; trades come 1 ns after the full second
    assert run.codes() == ["STALE_REFERENCE"] * 4
    assert len(run.orders) == 4 + 2
