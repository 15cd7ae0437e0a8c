"""Own resting orders in an exit's way go first, and the exit waits for their end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from nautilus_trader.model import BookType, OrderSide, StrategyId
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.config.model import Risk
from fairlead.engine.guard import GuardedStrategy
from fairlead.engine.guard.strategy import guard
from fairlead.engine.orders.model import Role
from tests.unit.nautilus_harness import IID, MODES, SECOND, Run, backtest, px, qty, strategy_config

BUY, SELL = OrderSide.BUY, OrderSide.SELL
TOUCH = 99.99  # the best bid, of 1; the next is 99.98


class Leaving(GuardedStrategy):
    """Long by 1 from its second book on, with an own BUY of 0.5 from its fourth, which it leaves
    at its sixth; `says` is what it hears, in its order."""

    leave: Callable[[Any], None] = staticmethod(lambda s: s.close_all_positions(IID))
    rests_at = TOUCH
    then: Callable[[Any], None] = staticmethod(lambda s: None)  # right after

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.books, self.says = 0, list[str]()
        self.at: dict[str, int] = {}

    def on_start(self) -> None:
        self.subscribe_book_deltas(IID, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        if self.books == 2:
            self.submit_order(self.order_factory.market(IID, BUY, qty(1)))
        if self.books == 4 and self.rests_at:
            order = self.order_factory.limit(IID, BUY, qty(0.5), px(self.rests_at))
            self.submit_order(order)
        if self.books == 10:
            self.leave(self)
            self.then(self)

    def hears(self, what: str, event: Any) -> None:
        self.says.append(what)
        self.at[what] = event.ts_event

    def on_order_canceled(self, event: Any) -> None:
        self.hears("canceled", event)

    def on_order_filled(self, event: Any) -> None:
        self.hears(f"{event.order_side.name} {event.last_qty}", event)

    def on_gate_denied(self, order: Any, denial: Any) -> None:
        self.says.append(f"{denial.code} {order.order_type.name}")


def leaves(**attributes: Any) -> type[Leaving]:
    named = {name: staticmethod(one) if callable(one) else one for name, one in attributes.items()}
    return type("Leaving", (Leaving,), named)


def submits(s: Any) -> None:
    tags = [Role.EXIT.tag]
    s.order = s.order_factory.market(IID, SELL, qty(1), tags=tags)
    s.submit_order(s.order)


def crosses(s: Any) -> None:
    s.submit_order(s.order_factory.limit(IID, SELL, qty(1), px(99.98), reduce_only=True))


WAYS = {
    "close_all_positions": lambda s: (s.close_all_positions(IID), s.close_all_positions(IID)),
    "close_position": lambda s: s.close_position(s.cache.positions_open()[0]),
    "market_exit": lambda s: s.market_exit(),
    "a market order": submits,
    "a limit order": crosses,
}


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("mode", MODES)
def test_an_exit_waits_for_the_end_of_an_own_order_in_its_way(mode: str, how: str) -> None:
    run = MODES[mode](Run(leaves(leave=WAYS[how]), strategy_config(), steps=30))
    says = run.strategy.says
    assert run.state.faults == []
    assert says[:2] == ["BUY 1.000000", "canceled"]
    assert says[2:] == ["SELL 1.000000"], "one exit, sent once the own order was over"


def test_it_does_so_where_cancels_take_a_while() -> None:
    run = backtest(Run(Leaving, strategy_config(), steps=30), latency_ms=700)
    assert run.strategy.says == ["BUY 1.000000", "canceled", "SELL 1.000000"]
    wait_ns = run.strategy.at["SELL 1.000000"] - run.strategy.at["canceled"]
    assert wait_ns == 700_000_000, "it was sent in the moment in which that was told"


@pytest.mark.parametrize("rests_at", [0, 99.87])
@pytest.mark.parametrize("how", ["close_all_positions", "a market order"])
def test_an_exit_with_nothing_in_its_way_goes_at_once(how: str, rests_at: float) -> None:
    """Not an order that it does not reach."""
    cls = leaves(leave=WAYS[how], rests_at=rests_at)
    run = backtest(Run(cls, strategy_config(), steps=30), latency_ms=700)
    assert run.strategy.says == ["BUY 1.000000", "SELL 1.000000"]
    assert run.strategy.at["SELL 1.000000"] == 10 * SECOND + 700_000_000


def test_the_touch_may_move_while_a_market_exit_is_on_its_way() -> None:
    """0.1 % of the price beyond the last level that it takes, 99.99."""
    run = backtest(Run(leaves(rests_at=99.90), strategy_config(), steps=30), latency_ms=700)
    assert run.strategy.says == ["BUY 1.000000", "canceled", "SELL 1.000000"]


def test_a_cancel_that_is_not_answered_keeps_no_position_open() -> None:
    run = backtest(Run(Leaving, strategy_config(), steps=30), latency_ms=5_000)
    assert run.strategy.says == ["BUY 1.000000", "canceled", "SELL 1.000000"]
    assert run.strategy.at["SELL 1.000000"] == 18 * SECOND  # 10 + 3 of waiting + 5 on its way


def test_what_waits_is_asked_for_no_second_time_and_can_be_cancelled() -> None:
    def then(s: Any) -> None:
        s.close_all_positions(IID)
        s.cancel_order(s.order.client_order_id)
        s.cancel_order(s.order.client_order_id)

    cls = leaves(leave=submits, then=then)
    run = backtest(Run(cls, strategy_config(), steps=30), latency_ms=700)
    assert run.strategy.says == ["BUY 1.000000", "SELF_CROSS MARKET", "canceled"]
    assert run.state.faults == []


def test_a_halt_meanwhile_is_asked_about() -> None:
    def then(s: Any) -> None:
        s._guard.gate.fault(s._guard.id, "for a test")

    run = backtest(Run(leaves(then=then), strategy_config(), steps=30), latency_ms=700)
    assert run.strategy.says == ["BUY 1.000000", "STRATEGY_FAULTED MARKET", "canceled"]


def test_so_it_is_of_an_order_of_another_strategy() -> None:
    """Whose owner hears of the cancel; the exit does not wait for the next second."""
    run = Run(leaves(rests_at=0), strategy_config(), steps=30, risk=Risk())

    class Quoting(Leaving):
        def on_book_deltas(self, deltas: Any) -> None:
            self.books += 1
            if self.books == 4:
                order = self.order_factory.limit(IID, BUY, qty(0.5), px(TOUCH))
                self.submit_order(order)

    config = StrategyConfig(strategy_id=StrategyId("Q-002"), use_uuid_client_order_ids=True)
    other = guard(Quoting)(config)
    other.bind(run.gate, run.state)
    backtest(run, latency_ms=700, more=[other])
    assert other.says == ["canceled"]
    assert run.strategy.says == ["BUY 1.000000", "SELL 1.000000"]
    assert run.strategy.at["SELL 1.000000"] - other.at["canceled"] == 700_000_000
    assert run.state.faults == []
