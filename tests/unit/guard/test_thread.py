"""Another thread that reaches for a strategy gets an error to read; the run goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from nautilus_trader.model import BookType, ClientOrderId, OrderSide, TimeInForce
from nautilus_trader.trading import Strategy

from fairlead.engine.guard.overrides import ORDER_METHODS
from fairlead.engine.guard.strategy import GuardedStrategy
from fairlead.engine.guard.thread import MEMBERS, WrongThreadError
from tests.unit.nautilus_harness import IID, MODES, Run, px, qty, strategy_config

ID = ClientOrderId("O-1")


def _calls(strategy: Any, order: Any) -> dict[str, Callable[[], Any]]:
    """What a thread may try, by name; `order` was made in the strategy's own thread."""
    return {
        "submit_order": lambda: strategy.submit_order(order),
        "submit_order_list": lambda: strategy.submit_order_list([order]),
        "modify_order": lambda: strategy.modify_order(ID, qty(2)),
        "modify_orders": lambda: strategy.modify_orders([(ID, qty(2), None, None)]),
        "cancel_order": lambda: strategy.cancel_order(ID),
        "cancel_orders": lambda: strategy.cancel_orders([ID]),
        "cancel_all_orders": lambda: strategy.cancel_all_orders(IID),
        "close_position": lambda: strategy.close_position(None),
        "close_all_positions": lambda: strategy.close_all_positions(IID),
        "market_exit": strategy.market_exit,
        "stop_limit": lambda: strategy.stop_limit(IID, OrderSide.BUY, qty(1), px(1), px(1)),
        "round_price": lambda: strategy.round_price(IID, OrderSide.BUY, "1"),
        "subscribe_trades": lambda: strategy.subscribe_trades(IID),
        "shutdown_system": strategy.shutdown_system,
        "order_factory": lambda: strategy.order_factory,
        "cache": lambda: strategy.cache,
        "clock": lambda: strategy.clock,
        "log": lambda: strategy.log,
        "portfolio": lambda: strategy.portfolio,
        "strategy_id": lambda: strategy.strategy_id,
    }


class _Threaded:
    """Tries everything from a thread of its own, between two orders of its own."""

    def __init__(self, config: Any = None) -> None:
        self.books = 0
        self.caught: dict[str, str] = {}

    def on_start(self: Any) -> None:
        self.subscribe_book_deltas(IID, BookType.L2_MBP)

    def on_book_deltas(self: Any, deltas: Any) -> None:
        self.books += 1
        if self.books not in (2, 4):
            return
        make = self.order_factory.limit
        self.submit_order(make(IID, OrderSide.BUY, qty(1), px(90), TimeInForce.GTC))
        if self.books == 2:
            order = make(IID, OrderSide.BUY, qty(1), px(90), TimeInForce.GTC)
            thread = threading.Thread(target=self.try_all, args=(order,), name="my-thread")
            thread.start()
            thread.join()

    def try_all(self, order: Any) -> None:
        for name, call in _calls(self, order).items():
            try:
                call()
            except WrongThreadError as error:
                self.caught[name] = str(error)


class Plain(_Threaded, Strategy):  # type: ignore[misc]
    pass


class Guarded(_Threaded, GuardedStrategy):
    def __init__(self, config: Any = None) -> None:
        _Threaded.__init__(self, config)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("cls", [Plain, Guarded])
def test_another_thread_gets_an_error_and_nothing_is_done(mode: str, cls: type) -> None:
    run = MODES[mode](Run(cls, strategy_config(), steps=8))
    names = set(_calls(run.strategy, None))
    assert set(run.strategy.caught) == names
    assert names >= set(ORDER_METHODS)
    for name, text in run.strategy.caught.items():
        assert f"S-001: {name} was used from thread my-thread" in text
        assert "queue.SimpleQueue" in text
    assert run.orders == [("BUY", "LIMIT", "ACCEPTED")] * 2
    assert run.state.faults == []
    assert sum("WRONG-THREAD: S-001: submit_order " in line for line in run.state.warned()) == 1


def _use(strategy: Any, name: str) -> None:
    found = getattr(strategy, name)
    if callable(found):
        found()


def test_everything_that_is_nautilus_traders_is_bound() -> None:
    run = Run(Plain, strategy_config())
    caught: list[str] = []

    def reach(name: str) -> None:
        with pytest.raises(WrongThreadError):
            _use(run.strategy, name)
        caught.append(name)

    def reach_all() -> None:
        for name in MEMBERS:
            reach(name)

    thread = threading.Thread(target=reach_all)
    thread.start()
    thread.join()
    assert caught == list(MEMBERS)


def test_what_the_author_wrote_is_the_authors() -> None:
    class Mine(Plain):
        def round_price(self, *args: Any) -> str:
            return "mine"

        def save(self) -> dict[str, bytes]:
            return {}

    strategy = Run(Mine, strategy_config()).strategy
    answers: list[Any] = []
    thread = threading.Thread(
        target=lambda: answers.append((strategy.round_price(), strategy.save()))
    )
    thread.start()
    thread.join()
    assert answers == [("mine", {})]
