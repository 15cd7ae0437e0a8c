"""What flat is: less than the venue takes in an order. A fee in base currency leaves as much."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from fairlead.engine.config.model import Risk
from fairlead.engine.orders.model import Side
from fairlead.engine.risk.facts import InstrumentFacts
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.state import RiskStateFile
from tests.unit.risk.test_base_fees import OCEANEX, backtest
from tests.unit.risk.test_gate import BTC, NOW, D, View, code, order

FEE = D("0.00155")
STEP = D("0.000001")
FACTS = InstrumentFacts(
    price_increment=D("0.01"),
    size_increment=STEP,
    price_precision=2,
    size_precision=6,
    quote="USDT",
    base="BTC",
)


class Trader:
    """Trades as a long-only strategy does: sells of what it holds whole increments."""

    def __init__(self, risk: Risk, file: RiskStateFile | None = None, **facts: Decimal) -> None:
        self.gate = RiskGate(risk, state=file)
        self.view = View(self.gate)
        self.view.facts = msgspec.structs.replace(FACTS, **facts)
        self.gate.know(BTC, self.view.facts)
        self.at = NOW

    @property
    def own(self) -> Decimal:
        return self.gate.ledger.by_strategy["S-001", BTC]

    def fill(self, side: Side, quantity: Decimal, price: Decimal) -> None:
        self.at += 1
        cost = quantity * price * FEE
        fee = (quantity * FEE, "BTC") if side is Side.BUY else (cost, "USDT")
        self.gate.filled("", "S-001", BTC, side, quantity, price, fee, self.at)

    def buy(self, quantity: str = "0.011", price: str = "100") -> None:
        self.fill(Side.BUY, D(quantity), D(price))

    def sell(self, price: str = "100", least: Decimal = STEP) -> None:
        self.fill(Side.SELL, self.own // least * least, D(price))

    @property
    def pauses(self) -> bool:
        return self.gate.books.trips.paused_until("S-001") > self.at


def test_losing_trips_that_leave_dust_are_counted() -> None:
    trader = Trader(Risk(cooldown_losses=2))
    for number in range(2):
        assert not trader.pauses
        trader.buy()
        trader.sell()
        assert 0 < trader.own < STEP, number
    assert trader.pauses
    assert code(trader.gate, order("100", "0.01", side=Side.BUY), trader.view) == "COOLDOWN"


@pytest.mark.parametrize("facts", [{"min_quantity": D("0.001")}, {"min_notional": D("0.1")}])
def test_what_the_venue_takes_no_order_for_ends_a_trip(facts: dict[str, Decimal]) -> None:
    """0.001 is worth 0.1: the rest is below the venue's least, and many increments."""
    trader = Trader(Risk(cooldown_losses=1), **facts)
    trader.buy()
    trader.sell(least=D("0.001"))
    assert STEP < trader.own < D("0.001")
    assert trader.pauses


def test_more_than_the_least_goes_on_with_the_trip() -> None:
    trader = Trader(Risk(cooldown_losses=1), min_quantity=D("0.001"))
    trader.buy("0.012")
    trader.fill(Side.SELL, D("0.010"), D(90))
    assert trader.own > D("0.001")
    assert not trader.pauses
    trader.sell(price="90")
    assert trader.pauses


def test_a_first_execution_below_the_least_begins_a_trip_and_ends_none() -> None:
    trader = Trader(Risk(cooldown_losses=1), min_notional=D("0.1"))
    trader.buy("0.0002")  # a part of an order
    trader.buy("0.0108")
    trader.fill(Side.SELL, D("0.0002"), D(90))
    assert not trader.pauses
    trader.sell(price="90")
    assert trader.pauses


def test_what_one_trip_leaves_begins_the_next_at_its_price() -> None:
    """The dust is worth 0.09: its gain is the second's, which loses less than that without it."""
    trader = Trader(Risk(cooldown_losses=1), min_notional=D("0.1"))
    trader.buy("0.0100", "100")
    trader.fill(Side.SELL, trader.own - D("0.0009"), D(110))
    assert trader.own == D("0.0009")
    trader.buy("0.0100", "200")
    trader.sell(price="199")
    assert not trader.pauses  # (199 - 110) x 0.0009 more than its loss of 0.0416
    trader.buy("0.0100", "200")
    trader.sell(price="199")
    assert trader.pauses


def test_a_long_that_left_dust_may_go_short_without_an_end() -> None:
    trader = Trader(Risk(cooldown_losses=1))
    trader.buy("0.011", "100")
    trader.sell(price="110")
    trader.fill(Side.SELL, D("0.01"), D(100))
    assert not trader.pauses
    trader.fill(Side.BUY, D("0.02"), D(110))  # through zero: the short lost
    assert trader.pauses


@pytest.mark.parametrize("held", ["0.0000004", "-0.0000004", "0"])
def test_dust_of_an_earlier_run_is_no_unknown_beginning(tmp_path: Path, held: str) -> None:
    trader = Trader(Risk(cooldown_losses=1), RiskStateFile(tmp_path / "risk.json"))
    trader.gate.seed_positions({BTC: D(held)}, "S-001")
    trader.buy()
    trader.sell()
    assert trader.pauses


def test_a_trip_goes_on_over_a_restart_with_the_dust_before_it(tmp_path: Path) -> None:
    file, risk = RiskStateFile(tmp_path / "risk.json"), Risk(cooldown_losses=2)
    trader = Trader(risk, file)
    trader.buy()
    trader.sell()
    trader.buy()
    held = trader.own
    trader.gate.persist()
    again = Trader(risk, file)
    again.gate.seed_positions({BTC: held}, "S-001")
    again.at = trader.at
    again.sell()
    assert again.pauses


def test_a_backtest_pauses_a_long_only_strategy_after_its_losses(tmp_path: Path) -> None:
    """A buyer pays a hundredth of 0.111: 0.00111 of it, and 0.00089 of a step stays each time."""
    params = {"size": "0.111", "trips": 5, "beyond": "0.005"}
    risk = "cooldown_losses = 2\ncooldown_secs = 3600"
    path = "tests.data.round_trips:RoundTrips"
    result = backtest(tmp_path, path, params, ["60000"] * 40, risk)
    assert 0 < result.summary.instruments[0].position < D("0.001")
    assert result.summary.fills == 4
    assert set(result.summary.denials) == {"COOLDOWN"}
    assert result.summary.instruments[0].instrument == OCEANEX
