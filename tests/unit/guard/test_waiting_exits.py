"""An exit that waits goes, or is told of, within a bound, and is as large as what is held then."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.model import OrderSide, StrategyId
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.config.model import Risk
from fairlead.engine.guard.strategy import guard
from fairlead.engine.orders.model import Role
from fairlead.engine.risk.checks import Denial
from tests.unit.guard.test_way import TOUCH, Leaving, leaves
from tests.unit.nautilus_harness import IID, SECOND, Run, backtest, paper, px, qty, strategy_config

BUY, SELL = OrderSide.BUY, OrderSide.SELL


def own(run: Run) -> Decimal:
    return run.gate.ledger.by_strategy[run.strategy._guard.id, str(IID)]


def test_a_cancel_of_all_buys_leaves_a_waiting_sell_alone() -> None:
    cls = leaves(then=lambda s: s.cancel_all_orders(IID, BUY))
    run = backtest(Run(cls, strategy_config(), steps=30), latency_ms=700)
    assert run.strategy.says == ["BUY 1.000000", "canceled", "SELL 1.000000"]
    assert own(run) == 0


def test_control_nothing_in_the_way_and_a_cancel_of_all_buys() -> None:
    cls = leaves(rests_at=0, then=lambda s: s.cancel_all_orders(IID, BUY))
    run = backtest(Run(cls, strategy_config(), steps=30), latency_ms=700)
    assert own(run) == 0


class Asking(Leaving):
    """A SELL of 0.3 that is no exit rests beside."""

    asks = True

    def on_book_deltas(self, deltas: Any) -> None:
        super().on_book_deltas(deltas)
        if self.books == 5 and self.asks:
            self.submit_order(
                self.order_factory.limit(IID, SELL, qty(0.3), px(100.2), tags=[Role.QUOTE.tag])
            )


@pytest.mark.parametrize("rests_at", [0, TOUCH])
def test_what_waits_is_sized_by_what_is_held_when_it_goes(rests_at: float) -> None:
    """0: control, nothing in the way."""
    cls = type("Asking", (Asking,), {"rests_at": rests_at})
    mids = [100.0] * 10 + [100.5] * 30
    run = backtest(Run(cls, strategy_config(), steps=30, mids=mids), latency_ms=1_500)
    assert own(run) == 0, run.strategy.says


def test_an_exit_that_waits_is_not_counted_twice_by_the_rate() -> None:
    run = Run(Leaving, strategy_config(), steps=30, risk=Risk(max_orders_per_second=1))
    backtest(run, latency_ms=700)
    assert own(run) == 0, run.strategy.says


@pytest.mark.parametrize("rests_at", [0, TOUCH])
def test_a_strategy_that_closes_and_stops_itself_is_flat(rests_at: float) -> None:
    cls = leaves(rests_at=rests_at, then=lambda s: s.stop())
    run = backtest(Run(cls, strategy_config(), steps=30), latency_ms=700)
    sells = [one for one in run.orders if one[0] == "SELL"]
    assert [one[2] for one in sells] == ["FILLED"], run.orders


class Young(Leaving):
    """Its own BUY at the touch is sent in the moment in which it leaves, and not accepted yet."""

    rests_at = 0
    hears_accepted = False

    def on_book_deltas(self, deltas: Any) -> None:
        if self.books == 9:
            self.submit_order(self.order_factory.limit(IID, BUY, qty(0.5), px(TOUCH)))
        super().on_book_deltas(deltas)


class YoungHearing(Young):
    def on_order_accepted(self, event: Any) -> None:
        self.hears("accepted", event)


@pytest.mark.parametrize("cls", [Young, YoungHearing])
def test_an_own_order_on_its_way_is_cancelled_as_soon_as_it_can_be(cls: Any) -> None:
    """STOPPING leaves on_order_accepted unheard where the strategy has no such callback."""
    run = backtest(Run(cls, strategy_config(), steps=30), latency_ms=200)
    assert "canceled" in run.strategy.says, "the exit went into the own order"
    assert run.strategy.at["SELL 1.000000"] < 11 * SECOND, "it waited 3 s"


def test_what_a_fault_leaves_waiting_is_told() -> None:
    """It was dropped without a word, and counted as an open order still."""

    def boom(s: Any) -> None:
        raise ValueError("boom")

    run = backtest(Run(leaves(then=boom), strategy_config(), steps=30), latency_ms=700)
    assert run.codes() == ["STRATEGY_FAULTED"]
    assert [one.kind for one in run.gate.ledger.live.values()] == ["LIMIT"]


def test_a_refusal_of_the_moment_is_asked_about_again_and_told_in_the_end() -> None:
    def refuses(s: Any) -> None:
        s._guard.gate.release = lambda *_: Denial("ORDER_RATE", "for a test")

    run = backtest(Run(leaves(then=refuses), strategy_config(), steps=60), latency_ms=700)
    assert run.strategy.says == ["BUY 1.000000", "canceled", "ORDER_RATE MARKET"]
    assert run.gate.snapshot().open_orders == 0


def test_paper_too_an_own_order_on_its_way_is_cancelled_as_soon_as_it_can_be() -> None:
    run = paper(Run(Young, strategy_config(), steps=500))
    assert "canceled" in run.strategy.says, "the exit went into the own order"


@pytest.mark.parametrize("latency_ms", [0, 20, 50])
def test_an_exit_goes_beside_one_that_quotes_again_and_hears_of_accepted(latency_ms: int) -> None:
    """Two levels, the rate at its default (10): each new quote is cancelled and quoted again, until
    the rate refuses the next one, and then the exit too."""
    run = Run(leaves(rests_at=0), strategy_config(), steps=30, risk=Risk())

    class Quoting(Leaving):
        def on_book_deltas(self, deltas: Any) -> None:
            self.books += 1
            if self.books == 4:
                self.quote()
                self.quote()

        def quote(self) -> None:
            self.submit_order(self.order_factory.limit(IID, BUY, qty(0.5), px(TOUCH)))

        def on_order_accepted(self, event: Any) -> None:
            pass

        def on_order_canceled(self, event: Any) -> None:
            super().on_order_canceled(event)
            self.quote()

    config = StrategyConfig(strategy_id=StrategyId("Q-002"), use_uuid_client_order_ids=True)
    other = guard(Quoting)(config)
    other.bind(run.gate, run.state)
    backtest(run, latency_ms=latency_ms, more=[other])
    assert own(run) == 0, (run.strategy.says, other.says)
