"""What the limits of exposure value positions at: each order's market, never an older price."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from fairlead.engine.config.model import Risk
from fairlead.engine.orders.model import Side
from fairlead.engine.risk.facts import InstrumentFacts, Reference
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.state import RiskStateFile
from tests.unit.risk.test_gate import BTC, NOW, D, View, code, order

ETH = "ETH_USDT.TEST"
SUMS = ("max_venue_exposure", "max_account_exposure")


class Markets(View):
    """A view of several instruments, each with its own market."""

    def __init__(self, gate: RiskGate) -> None:
        super().__init__(gate)
        gate.know(ETH, self.facts)
        self.markets: dict[str, Reference | None] = {BTC: book(100), ETH: book(100)}

    def reference(self, instrument: str) -> Reference | None:
        return self.markets[instrument]


def book(middle: int | str, *, valid: bool = True) -> Reference:
    return Reference("book", NOW, D(middle) - D("0.1"), D(middle) + D("0.1"), None, valid)


def bought(gate: RiskGate, instrument: str, quantity: str, price: str) -> None:
    gate.filled("", "S-001", instrument, Side.BUY, D(quantity), D(price), None, NOW)


@pytest.mark.parametrize("limit", SUMS)
def test_what_else_is_held_is_valued_at_its_market_of_this_order(limit: str) -> None:
    gate = RiskGate(Risk(**{limit: ["1300 USDT"]}))  # type: ignore[arg-type]
    view = Markets(gate)
    bought(gate, ETH, "10", "100")
    assert code(gate, order(quantity="3"), view) is None
    view.markets[ETH] = book("101")  # nobody orders there, and no second has passed
    denial = gate.check(order(quantity="3"), view)
    assert denial is not None
    assert "would make it 1310.0 (1010.0 now)" in denial.message
    assert code(gate, order(quantity="2.9"), view) is None


@pytest.mark.parametrize("limit", ["max_instrument_exposure", *SUMS])
def test_a_fill_below_the_market_makes_no_room(limit: str) -> None:
    gate = RiskGate(Risk(**{limit: ["1300 USDT"]}))  # type: ignore[arg-type]
    view = Markets(gate)
    for instrument in (ETH, BTC):
        assert code(gate, order(instrument=instrument), view) is None  # the market was seen
    bought(gate, ETH, "10", "95")
    over = {"quantity": "3.001", "instrument": BTC if limit in SUMS else ETH}
    assert code(gate, order(**over), view) is not None  # type: ignore[arg-type]


@pytest.mark.parametrize("missing", [None, book(100, valid=False)])
@pytest.mark.parametrize(("paid", "worth"), [("95", 1000), ("105", 1050)])
def test_without_a_whole_market_the_larger_of_its_last_price_and_a_fills_stands(
    missing: Reference | None, paid: str, worth: int
) -> None:
    gate = RiskGate(Risk(max_venue_exposure=["1300 USDT"]))
    view = Markets(gate)
    assert code(gate, order(instrument=ETH), view) is None
    view.markets[ETH] = missing
    bought(gate, ETH, "10", paid)
    most = str((1300 - D(worth)) / 100)
    assert code(gate, order(quantity=most), view) is None
    assert code(gate, order(quantity=str(D(most) + D("0.001"))), view) == "VENUE_EXPOSURE"
    view.markets[ETH] = book("90")
    assert code(gate, order(quantity="4"), view) is None


def test_an_inverse_contract_is_worth_more_at_the_lower_price() -> None:
    gate = RiskGate(Risk())
    view = Markets(gate)
    xbt = "XBT_USD.TEST"
    view.facts = _inverse(view.facts)
    gate.know(xbt, view.facts)
    gate.books.marked(xbt, view.facts, D(100))
    bought(gate, xbt, "10", "110")
    assert gate.ledger.exposure.entry(xbt).gross == D("0.1")
    bought(gate, xbt, "10", "80")
    assert gate.ledger.exposure.entry(xbt).gross == D("0.25")


def _inverse(facts: InstrumentFacts) -> InstrumentFacts:
    return msgspec.structs.replace(facts, quote="USD", base="BTC", inverse=True)


def test_what_is_no_longer_held_is_read_no_more() -> None:
    gate = RiskGate(Risk(max_venue_exposure=["1300 USDT"]))
    view = Markets(gate)
    asked: list[str] = []

    def reference(instrument: str) -> Reference | None:
        asked.append(instrument)
        return view.markets[instrument]

    view.reference = reference  # type: ignore[method-assign]
    bought(gate, ETH, "1", "100")
    assert code(gate, order(), view) is None
    gate.filled("", "S-001", ETH, Side.SELL, Decimal(1), D(100), None, NOW)
    assert code(gate, order(), view) is None
    assert asked == [ETH, BTC, BTC]


def test_without_a_limit_on_a_sum_only_the_orders_market_is_read() -> None:
    gate = RiskGate(Risk(max_instrument_exposure=["1300 USDT"]))
    view = Markets(gate)
    bought(gate, ETH, "1", "100")
    view.markets[ETH] = book("200")
    assert code(gate, order(), view) is None
    assert gate.ledger.exposure.mark_of(ETH) == D(100)


@pytest.mark.parametrize("limit", SUMS)
@pytest.mark.parametrize("kept", [True, False])
def test_what_is_held_since_the_last_run_counts_before_its_market_is_there(
    limit: str, kept: bool, tmp_path: Path
) -> None:
    """At the last run's price; where that kept none, at what the position was bought for."""
    risk = Risk(**{limit: ["1300 USDT"]})  # type: ignore[arg-type]
    file = RiskStateFile(tmp_path / "risk.json")
    if kept:
        gate = RiskGate(risk, state=file)
        Markets(gate)
        bought(gate, ETH, "10", "100")
        gate.persist()
    gate = RiskGate(risk, state=file)
    view = Markets(gate)
    gate.seed_positions({ETH: D(10)}, "S-001", {} if kept else {ETH: D(100)})
    view.markets[ETH] = None
    assert code(gate, order(quantity="3.001"), view) is not None
    assert code(gate, order(quantity="2.999"), view) is None
    view.markets[ETH] = book("50")
    assert code(gate, order(quantity="7.9"), view) is None


def test_margin_is_for_all_that_is_held_at_its_market_of_this_order() -> None:
    gate = RiskGate(Risk())
    view = Markets(gate)
    view.cash = False
    view.money = {"USDT": D(2500)}
    bought(gate, ETH, "10", "100")
    assert code(gate, order(quantity="10"), view) is None
    view.markets[ETH] = book(200)
    assert code(gate, order(quantity="10"), view) == "MARGIN"
