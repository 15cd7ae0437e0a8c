"""Brackets at a venue that takes an entry with its exits in one call, in both simulations."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.model import BookType, OrderSide

from fairlead.engine.config.model import Risk
from fairlead.engine.guard.strategy import GuardedStrategy
from fairlead.engine.orders.model import Capabilities, Kind, Tif
from fairlead.engine.risk.gate import RiskGate
from tests.unit.nautilus_harness import IID, MODES, Run, px, qty, strategy_config

BUY, SELL = OrderSide.BUY, OrderSide.SELL
FLAT = [100.0] * 5
ABLE = Capabilities(
    kinds=frozenset({Kind.LIMIT, Kind.MARKET, Kind.STOP_LIMIT}),
    time_in_force=frozenset({Tif.GTC}),
    bracket_targets=25,
    cancels=False,
)


class TwoTargets(GuardedStrategy):
    """An entry with two targets and a stop at the third book."""

    side = BUY
    stop: float = 95.0
    targets: tuple[float, ...] = (102.0, 104.0)
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
                qty(1.0),
                stop=px(self.stop),
                target=[px(price) for price in self.targets],
                entry=None if self.entry_at is None else px(self.entry_at),
            )
        self.later()

    def later(self) -> None:
        """At every book."""


def run_of(cls: type, mids: list[float | None], able: Capabilities = ABLE) -> Run:
    gate = RiskGate(Risk(), capabilities={"TEST": able})
    return Run(cls, strategy_config(), mids=mids, steps=len(mids), gate=gate)


@pytest.mark.parametrize("mode", MODES)
def test_each_target_closes_its_part_and_the_stop_goes_with_the_position(mode: str) -> None:
    run = MODES[mode](run_of(TwoTargets, [*FLAT, 101.0, 102.5, 103.0, *[104.5] * 8]))
    assert (run.codes(), run.state.faults, run.state.breach) == ([], [], None)
    assert sorted(run.orders) == [
        ("BUY", "MARKET", "FILLED"),
        ("SELL", "LIMIT", "FILLED"),
        ("SELL", "LIMIT", "FILLED"),
        ("SELL", "STOP_LIMIT", "CANCELED"),
    ]
    assert run.gate.ledger.positions[str(IID)] == 0
    assert (run.gate.ledger.live, run.strategy.open_brackets()) == ({}, ())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("first", [101.0, 102.5])
def test_the_stop_closes_what_targets_have_left(mode: str, first: float) -> None:
    run = MODES[mode](run_of(TwoTargets, [*FLAT, first, 99.0, 96.0, *[94.8] * 10]))
    assert (run.codes(), run.state.faults) == ([], [])
    assert run.gate.ledger.positions[str(IID)] == 0
    assert run.gate.ledger.live == {}
    filled = [kind for side, kind, status in run.orders if side == "SELL" and status == "FILLED"]
    assert "LIMIT" in filled if first > 102 else filled == ["STOP_LIMIT"]


@pytest.mark.parametrize("mode", MODES)
def test_exits_of_a_resting_entry_wait_for_it(mode: str) -> None:
    class Resting(TwoTargets):
        entry_at = 98.0

        def later(self) -> None:
            if self.books == 5:
                self.waiting = [o.status.name for o in self.cache.orders_open()]
                self.held = self.own_position(IID)

    run = MODES[mode](run_of(Resting, [*FLAT, 99.0, 97.5, 100.0, 102.5, *[104.5] * 8]))
    assert (run.codes(), run.state.faults) == ([], [])
    assert run.strategy.held == Decimal(0)
    assert run.gate.ledger.positions[str(IID)] == 0
    assert [status for _, kind, status in run.orders if kind == "LIMIT"] == ["FILLED"] * 3


@pytest.mark.parametrize("mode", MODES)
def test_a_short_bracket_buys_back(mode: str) -> None:
    class Short(TwoTargets):
        side, stop, targets = SELL, 105.0, (98.0, 96.0)

    run = MODES[mode](run_of(Short, [*FLAT, 99.0, 97.5, *[95.5] * 8]))
    assert (run.codes(), run.state.faults) == ([], [])
    assert run.gate.ledger.positions[str(IID)] == 0


def test_other_venues_have_one_target_and_say_so() -> None:
    able = Capabilities(kinds=ABLE.kinds, time_in_force=ABLE.time_in_force)
    run = MODES["backtest"](run_of(TwoTargets, FLAT, able))
    (fault,) = run.state.faults
    assert "2 targets came, the venue has one exit at a time" in fault.message


def test_targets_out_of_order_are_refused() -> None:
    class Wrong(TwoTargets):
        targets = (104.0, 102.0)

    (fault,) = MODES["backtest"](run_of(Wrong, FLAT)).state.faults
    assert "expected targets one after the other, 104.00, 102.00 came" in fault.message
