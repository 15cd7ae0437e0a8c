"""Brackets of a guarded strategy, in a backtest and on paper."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.model import BookType, OrderSide

from fairlead.engine.config.model import Risk
from fairlead.engine.guard.strategy import GuardedStrategy
from tests.unit.nautilus_harness import IID, Run, backtest, paper, px, qty, strategy_config

BUY, SELL = OrderSide.BUY, OrderSide.SELL
MODES: dict[str, Callable[[Run], Run]] = {"backtest": backtest, "paper": paper}
FLAT = [100.0] * 5


class Bracketed(GuardedStrategy):
    """One bracket at the third book; then whatever `later` says."""

    side = BUY
    quantity = 1.0
    stop, target = 95.0, 105.0
    entry_at: float | None = None

    def on_start(self) -> None:
        self.books = 0
        self.entry: Any = None
        self.subscribe_book_deltas(IID, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        if self.books == 3:
            self.entry = self.bracket(
                IID,
                self.side,
                qty(self.quantity),
                stop=px(self.stop),
                target=px(self.target),
                entry=None if self.entry_at is None else px(self.entry_at),
            )
        self.later()

    def later(self) -> None:
        """At every book."""


def run_of(cls: type, mids: list[float | None], **options: Any) -> Run:
    return Run(cls, strategy_config(), mids=mids, steps=len(mids), **options)


@pytest.mark.parametrize("mode", MODES)
def test_target_takes_the_place_of_the_stop(mode: str) -> None:
    run = MODES[mode](run_of(Bracketed, [*FLAT, 101.0, 103.0, *[105.5] * 15]))
    assert (run.codes(), run.state.faults, run.state.breach) == ([], [], None)
    assert sorted(run.orders) == [
        ("BUY", "MARKET", "FILLED"),
        ("SELL", "LIMIT", "FILLED"),
        ("SELL", "STOP_LIMIT", "CANCELED"),
    ]
    assert run.gate.ledger.positions[str(IID)] == 0
    assert run.gate.ledger.live == {}


@pytest.mark.parametrize("mode", MODES)
def test_stop_ends_it(mode: str) -> None:
    run = MODES[mode](run_of(Bracketed, [*FLAT, 99.0, 96.0, *[94.8] * 15]))
    assert (run.codes(), run.state.faults) == ([], [])
    assert sorted(run.orders) == [("BUY", "MARKET", "FILLED"), ("SELL", "STOP_LIMIT", "FILLED")]
    assert run.gate.ledger.positions[str(IID)] == 0


@pytest.mark.parametrize("mode", MODES)
def test_a_timer_that_runs_on_after_the_stop_creates_none_and_is_no_fault(mode: str) -> None:
    class Late(Bracketed):
        def on_stop(self) -> None:
            self.clock.set_time_alert_ns("late", self.clock.timestamp_ns(), self.again)

        def again(self, _event: Any = None) -> None:
            self.bracket(IID, BUY, qty(1.0), stop=px(95.0), target=px(105.0))

    run = MODES[mode](run_of(Late, FLAT))
    orders = len(run.orders)
    run.strategy.again()
    assert (run.state.faults, len(run.orders)) == ([], orders)
    assert len(run.strategy.open_brackets()) == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_bracket_that_outlives_the_stop_is_not_cancelled_any_more(
    mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It stays for the next start, which a late `cancel_bracket` (of a timer) must not spoil."""
    run = MODES[mode](run_of(Bracketed, FLAT))
    (bracket,) = run.strategy.open_brackets()
    orders = list(run.orders)
    run.strategy.cancel_bracket(run.strategy.entry.client_order_id)
    assert run.strategy.open_brackets() == (bracket,)
    assert (run.state.faults, list(run.orders)) == ([], orders)
    (told,) = (one.getMessage() for one in caplog.records if "stays as it is" in one.getMessage())
    assert bracket.entry in told


def test_market_turns_back_before_the_target_has_filled() -> None:
    class Large(Bracketed):
        quantity = 4.0  # at the target the book takes less

    run = backtest(run_of(Large, [*FLAT, 105.01, *[99.0] * 12]))
    assert (run.codes(), run.state.faults) == ([], [])
    kinds = [(kind, status) for side, kind, status in run.orders if side == "SELL"]
    assert ("LIMIT", "CANCELED") in kinds
    assert kinds.count(("STOP_LIMIT", "ACCEPTED")) == 1
    (working,) = run.gate.ledger.live.values()
    assert 0 < working.remaining == run.gate.ledger.positions[str(IID)] < 4


def test_short_bracket_buys_back() -> None:
    class Short(Bracketed):
        side, stop, target = SELL, 105.0, 95.0

    run = backtest(run_of(Short, [*FLAT, 99.0, *[94.0] * 10]))
    assert (run.codes(), run.state.faults) == ([], [])
    assert ("BUY", "LIMIT", "FILLED") in run.orders
    assert run.gate.ledger.positions[str(IID)] == 0


@pytest.mark.parametrize("leave", ["close_all_positions", "market_exit"])
@pytest.mark.parametrize("latency_ms", [0, 300])
def test_position_closed_by_the_strategy_ends_the_bracket(leave: str, latency_ms: int) -> None:
    class Closing(Bracketed):
        def later(self) -> None:
            if self.books == 6:
                getattr(self, leave)(*([IID] if leave == "close_all_positions" else []))
            self.left = len(self.open_brackets())

    run = backtest(run_of(Closing, [100.0] * 12), latency_ms)
    assert (run.codes(), run.state.faults) == ([], [])
    assert ("SELL", "STOP_LIMIT", "CANCELED") in run.orders
    assert run.gate.ledger.positions[str(IID)] == 0
    assert (run.gate.ledger.live, run.strategy.left) == ({}, 0)


def test_cancelled_bracket_leaves_what_it_holds() -> None:
    class Leaving(Bracketed):
        def later(self) -> None:
            if self.books == 6:
                self.cancel_bracket(self.entry.client_order_id)

    run = backtest(run_of(Leaving, [100.0] * 12))
    assert sorted(run.orders) == [("BUY", "MARKET", "FILLED"), ("SELL", "STOP_LIMIT", "CANCELED")]
    assert run.gate.ledger.positions[str(IID)] == 1


def test_what_is_on_its_way_when_its_bracket_is_cancelled_is_cancelled_too() -> None:
    """It can't be before its first event; then, by the next look. An entry was executed without an
    exit, and a stop stayed without its position."""

    class Rash(Bracketed):
        entry_at = 97.0

        def later(self) -> None:
            if self.books == 3:
                self.cancel_bracket(self.entry.client_order_id)

    run = backtest(run_of(Rash, [*FLAT, *[100.0] * 10, *[96.0] * 10]))
    assert run.state.faults == []
    assert run.orders == [("BUY", "LIMIT", "CANCELED")]
    assert run.gate.ledger.positions[str(IID)] == 0


def test_entry_that_waits_is_cancelled_and_ends() -> None:
    class Waiting(Bracketed):
        entry_at = 97.0

        def later(self) -> None:
            if self.books == 6:
                self.cancel_order(self.entry.client_order_id)
            self.left = len(self.open_brackets())

    run = backtest(run_of(Waiting, [100.0] * 12))
    assert run.orders == [("BUY", "LIMIT", "CANCELED")]
    assert run.strategy.left == 0


def test_entry_that_the_gate_refuses_has_no_bracket() -> None:
    class Refused(Bracketed):
        def later(self) -> None:
            if self.books == 3:
                assert self.entry is None
                assert self.open_brackets() == ()

    run = backtest(
        run_of(Refused, [100.0] * 12, risk=Risk(max_order_quantity={str(IID): Decimal("0.5")}))
    )
    assert (run.codes(), run.state.faults, run.orders) == (["MAX_ORDER_QUANTITY"], [], [])


def test_exits_go_through_the_gate_and_are_tried_again() -> None:
    class Halted(Bracketed):
        def later(self) -> None:
            if self.books == 3:
                self._guard.gate.halt("a person", self.clock.timestamp_ns())
            if self.books == 8:
                self._guard.gate.clear_halt()

    run = backtest(run_of(Halted, [100.0] * 12))
    assert (set(run.codes()), run.state.faults) == ({"HALTED"}, [])
    assert 1 < len(run.codes()) < 6
    assert sorted(run.orders) == [("BUY", "MARKET", "FILLED"), ("SELL", "STOP_LIMIT", "ACCEPTED")]


def test_bracket_whose_exit_the_gate_would_refuse_can_not_be() -> None:
    run = backtest(run_of(Bracketed, [100.0] * 6, risk=Risk(max_order_notional="103 USDT")))
    (fault,) = run.state.faults
    assert "an exit would be worth 105" in fault.message
    assert run.orders == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"stop": 106.0}, "stop_limit <= stop < target"),
        ({"entry_at": 94.0}, "an entry price between 95.00 and 105.00"),
        ({"quantity": 0.0001}, "too small for an exit"),
    ],
)
def test_bracket_that_can_not_be(changes: dict[str, float], expected: str) -> None:
    run = backtest(run_of(type("Wrong", (Bracketed,), dict(changes)), [100.0] * 6))
    (fault,) = run.state.faults
    assert fault.error == "ValueError"
    assert expected in fault.message
    assert run.orders == []
