"""What the engine asks of NautilusTrader for a strategy, whatever that makes of the names."""

from __future__ import annotations

from typing import Any

import pytest
from nautilus_trader.model import BookType, OrderSide
from nautilus_trader.trading import Strategy

from tests.unit.guard.test_breach import Bypassing, unbound_submit
from tests.unit.guard.test_guarded import IID, MODES, Run, px, qty


class Deaf(Bypassing):
    """Its own methods cancel nothing, and end nothing."""

    def cancel_order(self, *args: Any, **more: Any) -> None:
        """Of its own use."""

    def cancel_orders(self, *args: Any, **more: Any) -> None:
        """Of its own use."""

    def cancel_all_orders(self, *args: Any, **more: Any) -> None:
        """Of its own use."""

    def shutdown_system(self, *args: Any, **more: Any) -> None:
        """Of its own use."""


@pytest.mark.parametrize("mode", MODES)
def test_a_breach_cancels_and_ends_a_run_whose_strategy_overrides_the_cancels(mode: str) -> None:
    deaf = type("Deaf", (Deaf,), {"bypass": staticmethod(unbound_submit)})
    run = MODES[mode](Run(deaf, steps=60))
    assert run.state.breach is not None
    assert run.strategy.books < 60
    assert not {status for _, _, status in run.orders} & {"ACCEPTED", "PARTIALLY_FILLED"}


@pytest.mark.parametrize("mode", MODES)
def test_a_market_exit_cancels_what_the_strategy_would_not(mode: str) -> None:
    deaf = type("Deaf", (Deaf,), {"bypass": staticmethod(lambda s: s.market_exit())})
    run = MODES[mode](Run(deaf, steps=30))
    assert (run.state.breach, run.state.faults) == (None, [])
    assert ("BUY", "LIMIT", "CANCELED") in run.orders
    assert ("SELL", "MARKET", "FILLED") in run.orders


class Again(Strategy):
    """Sends an order that the gate approved, and that rests, once more: past the gate."""

    def on_start(self) -> None:
        self.books = 0
        self.subscribe_book_deltas(IID, BookType.L2_MBP)

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        if self.books == 2:
            self.kept = self.order_factory.limit(IID, OrderSide.BUY, qty(1), px(96))
            self.submit_order(self.kept)
        if self.books == 10:
            Strategy.submit_order(self, self.kept)


@pytest.mark.parametrize("mode", MODES)
def test_an_approved_order_that_is_sent_again_is_a_breach(mode: str) -> None:
    run = MODES[mode](Run(Again, steps=60))
    assert run.state.breach is not None
    assert run.state.breach.what == "order"
    assert run.strategy.books < 60
