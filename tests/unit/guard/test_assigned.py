"""No assignment takes what the guard has put in the place of a strategy's method."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from nautilus_trader.model import BookType, OrderSide
from nautilus_trader.trading import Strategy

from fairlead.engine.config.model import Risk
from fairlead.engine.errors import Exit
from fairlead.engine.guard import GuardedStrategy
from fairlead.engine.guard.assigned import AssignedError, assignments
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.guard.strategy import guard
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.run.ended import ending
from tests.unit.nautilus_harness import IID, Run, backtest, qty, strategy_config

HERE = Path(__file__)


def unheard(event: Any) -> None:  # what is put in a callback's place
    raise ValueError("nobody would hear of it")


def wired(strategy: Any, name: str, value: Any) -> None:
    setattr(strategy, name, value)


class Buying(GuardedStrategy):
    """Buys at each book; at the third it changes what it is."""

    change: Callable[[Any], None]

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.books = 0
        self.is_denied = False

    def on_start(self) -> None:
        self.subscribe_book_deltas(IID, BookType.L2_MBP, managed=True)
        self.subscribe_trades(IID)

    def on_gate_denied(self, order: Any, denial: Any) -> None:
        self.is_denied = True

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        if self.books == 3:
            type(self).change(self)
        self.submit_order(self.order_factory.market(IID, OrderSide.BUY, qty(0.1)))


class Listening(Buying):
    """Sends nothing."""

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        if self.books == 3:
            type(self).change(self)


def changing(base: type, change: Callable[[Any], None]) -> type:
    return type("Changing", (base,), {"change": staticmethod(change)})


CHANGES = {
    "on_order_filled": lambda it: wired(it, "on_order_filled", unheard),
    "on_trade": lambda it: wired(it, "on_trade", functools.partial(unheard)),
    "on_book_deltas": lambda it: it.__dict__.update(on_book_deltas=unheard),
    "on_stop": lambda it: wired(it, "on_stop", lambda: unheard(None)),
    "submit_order_list": lambda it: wired(it, "submit_order_list", unheard),
}


SEEN = [(name, base) for name in CHANGES for base in (Buying, Listening)]


@pytest.mark.parametrize(("name", "base"), [one for one in SEEN if one != ("on_stop", Listening)])
def test_one_of_a_run_is_undone_and_is_the_strategys_fault(name: str, base: type) -> None:
    run = backtest(Run(changing(base, CHANGES[name])))
    (fault,) = run.state.faults
    assert (fault.strategy, fault.callback, fault.error) == ("S-001", name, "AssignedError")
    assert fault.message.startswith(f"self.{name} was assigned: ")
    place, _, line = fault.place.rpartition(":")
    assert place == str(HERE)
    written = HERE.read_text().splitlines()[int(line) - 1]
    assert "put in a callback's place" in written or "lambda: unheard" in written
    assert ending(run.state)[0] is Exit.FAULTED
    if base is Buying:  # the third order found it, and was refused: the book is whole
        assert len(run.orders) == 2
        assert run.codes() == ["STRATEGY_FAULTED"]


def test_in_on_start_it_is_the_fault_of_the_start() -> None:
    class Starting(Buying):
        def on_start(self) -> None:
            super().on_start()
            wired(self, "on_order_filled", unheard)

    run = backtest(Run(Starting))
    assert [fault.callback for fault in run.state.faults] == ["on_order_filled"]
    assert run.orders == []


def test_what_the_engine_itself_has_put_there_stays() -> None:
    run = backtest(Run(changing(Buying, lambda it: None)))  # its trades are filtered
    assert run.state.faults == []
    assert len(run.orders) == run.steps


def test_a_strategy_is_not_bound_with_one() -> None:
    strategy = guard(Buying)(strategy_config())
    wired(strategy, "on_order_filled", unheard)
    with pytest.raises(AssignedError, match=r"self.on_order_filled was assigned: the risk gate"):
        strategy.bind(RiskGate(Risk()), RunState((str(IID),)))


@pytest.mark.parametrize("name", ["on_trade", "on_order_filled", "submit_order", "stop"])
def test_a_class_takes_no_other_method_once_it_is_guarded(name: str) -> None:
    run = backtest(Run(changing(Listening, lambda it: setattr(type(it), name, unheard))))
    (fault,) = run.state.faults
    assert fault.callback == "on_book_deltas"
    assert (fault.error, fault.place.partition(":")[0]) == ("TypeError", str(HERE))
    assert fault.message.startswith(f"Changing.{name} was assigned: ")


def test_what_hides_nothing_is_the_strategys_own() -> None:
    class Counting(Strategy):
        count = 0

        def __init__(self, config: Any) -> None:
            self.bracket = self.price_for = None  # the engine's names, which it does not know
            self.orders = []
            type(self).count += 1

    strategy = guard(Counting)(strategy_config())
    strategy.bind(RiskGate(Risk()), RunState((str(IID),)))
    assert type(strategy).count == 1
    assert strategy.orders == []


def test_an_assignment_is_found_wherever_it_is_written() -> None:
    class Writing:
        def plain(self, value: Any) -> None:
            self.stop = value  # 1
            self.stopped = value

        def several(this, value: Any) -> None:
            this.start, (this.entry, this.stop) = value  # 2 of one line

        def inner(self, value: Any) -> Callable[[], None]:
            def later() -> None:
                self.stop = value  # 3

            class Other:
                def __init__(self) -> None:
                    self.stop = value

            return later if value else Other

        def another(self, value: Any) -> None:
            value.stop = self

        @staticmethod
        def free(value: Any) -> None:
            value.stop = 1

    found = list(assignments([Writing], frozenset({"start", "stop"})))
    lines = HERE.read_text().splitlines()
    assert [name for name, _ in found] == ["stop", "start", "stop", "stop"]
    marks = [lines[int(place.rpartition(":")[2]) - 1].rpartition("# ")[2][0] for _, place in found]
    assert marks == ["1", "2", "2", "3"]
    assert isinstance(Writing.plain, FunctionType)
