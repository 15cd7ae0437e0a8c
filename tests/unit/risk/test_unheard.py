"""Fills that no strategy hears, and those taken back: they wipe no loss and hide no trip."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.engine.config.model import Risk
from fairlead.engine.orders.model import Side
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.state import RiskStateFile
from tests.unit.risk.test_flat import FACTS, Trader
from tests.unit.risk.test_gate import BTC, NOW, D

S = "S-001"
RISK = Risk(max_daily_loss=["1000 USDT"])


class Runs:
    """Runs of one account, one after the other."""

    def __init__(self, folder: Path) -> None:
        self._file = RiskStateFile(folder / "risk.json")
        self.gate = self._begun()

    def again(self, **held: str) -> None:
        """The run ends, the next holds so much by strategy."""
        self.gate.persist()
        self.gate = self._begun()
        for strategy, quantity in held.items():
            self.gate.seed_positions({BTC: D(quantity)}, strategy, {BTC: D(100)})

    def _begun(self) -> RiskGate:
        gate = RiskGate(RISK, state=self._file)
        gate.know(BTC, FACTS)
        gate.books.equity.roll(NOW)
        return gate

    def fill(self, side: Side, price: str, quantity: str = "1") -> None:
        self.gate.filled("", S, BTC, side, D(quantity), D(price), None, NOW + 1)

    def mark(self, price: str) -> None:
        self.gate.books.marked(BTC, FACTS, D(price))

    @property
    def lost(self) -> Decimal:
        return self.gate.books.equity.lost_today("USDT")


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    found = Runs(tmp_path)
    found.fill(Side.BUY, "100")
    return found


@pytest.mark.parametrize("is_another", [False, True])
def test_an_exit_nobody_heard_at_the_end_wipes_no_loss(runs: Runs, *, is_another: bool) -> None:
    """Held at 100 in the last run; the loss is of this one, and stays in the file."""
    if is_another:
        runs.again(**{S: "1"})
    runs.mark("80")
    assert runs.lost == 20
    runs.gate.settle(S, BTC, D(0), D(0))
    assert runs.lost == 20
    runs.again()
    assert runs.lost == 20


def test_an_entry_nobody_heard_at_the_end_brings_no_loss(runs: Runs) -> None:
    """Its price is not told: it counts at the mark."""
    runs.again(**{S: "1"})
    runs.mark("80")
    runs.gate.settle(S, BTC, D(2), D(90))
    assert runs.lost == 20


def test_what_the_start_held_is_valued_at_its_price_at_an_end_without_a_market(runs: Runs) -> None:
    runs.again(**{S: "1"})
    runs.gate.settle(S, BTC, D(2), D(90))
    assert runs.lost == 0
    runs.again(**{S: "2"})
    runs.mark("90")
    assert runs.lost == 20


def test_what_is_counted_late_brings_no_loss_of_the_last_runs_price(runs: Runs) -> None:
    """Filled between the recovery and the second look, at the market's price of then."""
    runs.again(**{S: "1"})
    runs.mark("80")
    runs.gate.seed_positions({BTC: D(2)}, S)
    runs.mark("80")
    assert runs.lost == 20


@pytest.mark.parametrize("side", list(Side))
def test_a_fill_taken_back_wipes_no_loss(runs: Runs, side: Side) -> None:
    runs.again(**{S: "1"})
    runs.mark("80")
    runs.fill(side, "80")
    runs.gate.fill_voided(S, BTC, side, D(1))
    runs.mark("80")
    assert runs.lost == 20
    runs.mark("70")
    assert runs.lost == 30


def test_a_fill_taken_back_counts_at_once(runs: Runs) -> None:
    runs.gate.fill_voided(S, BTC, Side.BUY, D(1))
    assert not runs.gate.books.equity.is_open


def test_a_fill_taken_back_ends_no_cooldown_of_the_run() -> None:
    trader = Trader(Risk(cooldown_losses=1))
    trader.buy("1")
    trader.gate.fill_voided(S, BTC, Side.BUY, D(1), (D("0.00155"), "BTC"))
    assert not trader.own
    trader.buy("1")
    trader.sell(price="90")
    assert trader.pauses


def test_a_trip_of_which_a_part_was_taken_back_has_no_result() -> None:
    """What is left of it had a price that nobody knows; the next trip is counted."""
    trader = Trader(Risk(cooldown_losses=1))
    trader.buy("1")
    trader.buy("1")
    trader.gate.fill_voided(S, BTC, Side.BUY, D(1), (D("0.00155"), "BTC"))
    trader.sell(price="90")
    assert not trader.pauses
    trader.buy("1")
    trader.sell(price="90")
    assert trader.pauses
