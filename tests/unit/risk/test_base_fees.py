"""A buyer's fee in base currency is held no more: one position for all that the gate compares."""

from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.engine.config.model import Risk
from fairlead.engine.orders.model import Role, Side
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.look import Look
from fairlead.engine.run.backtest import RunResult
from tests.unit.backtest_kit import START_NS, run, scripted, spot
from tests.unit.risk.test_exposure import ETH, Markets, book
from tests.unit.risk.test_gate import BTC, NOW, D, View, code, order

OCEANEX = "BTC_USDT.OCEANEX"
TRIPS = 5


def round_trips(gate: RiskGate, count: int, instrument: str = BTC, start: int = 0) -> None:
    """Each buys 1, pays 0.001 of it, and sells what is left of it."""
    for number in range(start, start + count):
        at = NOW + number
        fee = (D("0.001"), "BTC")
        gate.filled("", "S-001", instrument, Side.BUY, D(1), D(100), fee, at)
        sold = D("0.999")
        gate.filled("", "S-001", instrument, Side.SELL, sold, D(100), (D("0.1"), "USDT"), at)


@pytest.mark.parametrize("restarted_after", [0, 10])
def test_flat_after_round_trips_sells_nothing_below_its_least(restarted_after: int) -> None:
    gate = RiskGate(Risk(min_position={BTC: D(0)}))
    view = View(gate)
    round_trips(gate, restarted_after)
    gate.seed_positions({BTC: D(0)}, "S-001")  # by the journal
    round_trips(gate, 25 - restarted_after)
    assert code(gate, order("101", "0.024", side=Side.SELL), view) == "MIN_POSITION"
    assert code(gate, order("101", "0.001", side=Side.SELL), view) == "MIN_POSITION"


@pytest.mark.parametrize("exit_", [{"reduce_only": True}, {"role": Role.STOP}, {"role": Role.EXIT}])
def test_flat_after_round_trips_has_nothing_to_exit(exit_: dict[str, Any]) -> None:
    gate = RiskGate(Risk())
    view = View(gate)
    round_trips(gate, 25)
    found = code(gate, order("101", "0.001", side=Side.SELL, **exit_), view)
    assert found in ("REDUCE_ONLY", "EXIT_EXCEEDS")


def test_flat_after_round_trips_buys_up_to_its_most() -> None:
    gate = RiskGate(Risk(max_position={BTC: D(1)}))
    view = View(gate)
    round_trips(gate, 25)
    assert code(gate, order("99", "1", side=Side.BUY), view) is None
    assert code(gate, order("99", "1.001", side=Side.BUY), view) == "MAX_POSITION"


@pytest.mark.parametrize("limit", ["instrument", "venue", "account"])
def test_exposure_is_of_what_is_held(limit: str) -> None:
    gate = RiskGate(Risk(**{f"max_{limit}_exposure": ["300 USDT"]}))  # type: ignore[arg-type]
    view = Markets(gate)
    view.markets = {BTC: book(100), ETH: book(100)}
    round_trips(gate, 25)
    fee = (D("0.01"), "BTC")
    gate.filled("", "S-001", BTC, Side.BUY, D(2), D(100), fee, NOW)
    denial = gate.check(order("100", "1.011", side=Side.BUY), view)
    assert denial is not None
    assert "would make it 300.100 (199.000 now)" in denial.message
    assert code(gate, order("100", "1.01", side=Side.BUY), view) is None


def test_a_contracts_position_is_what_was_traded_whatever_the_fee_is_paid_in() -> None:
    gate = RiskGate(Risk())
    view = View(gate)
    perp = "BNBUSDT-PERP.TEST"
    facts = msgspec.structs.replace(view.facts, base="BNB", is_contract=True)
    gate.know(perp, facts)
    for _ in range(10):
        for side in Side:
            gate.filled("", "S-001", perp, side, D(10), D(600), (D("0.004"), "BNB"), NOW)
    assert gate.ledger.by_strategy["S-001", perp] == 0


def test_a_fill_that_is_taken_back_gives_its_fee_back() -> None:
    gate = RiskGate(Risk())
    View(gate)
    fee = (D("0.001"), "BTC")
    gate.filled("", "S-001", BTC, Side.BUY, D(1), D(100), fee, NOW)
    gate.fill_voided("S-001", BTC, Side.BUY, D(1), fee)
    assert gate.ledger.by_strategy["S-001", BTC] == 0


def test_a_losing_round_trip_ends_though_a_fee_was_taken_from_it() -> None:
    """Its result is what it has cost, and what is left of it is nothing."""
    gate = RiskGate(Risk(cooldown_losses=2, max_daily_loss=["1000 USDT"]))
    view = View(gate)
    round_trips(gate, 1)
    assert code(gate, order(), view) is None
    assert gate.books.equity.equity("USDT") == D("-0.2")
    assert not gate.books.equity.is_open
    round_trips(gate, 1, start=1)
    assert code(gate, order(), view) == "COOLDOWN"


def test_a_fee_in_an_instrument_that_is_told_later_is_taken_off_then() -> None:
    gate = RiskGate(Risk())
    gate.filled("", "S-001", BTC, Side.BUY, D(1), D(100), (D("0.001"), "BTC"), NOW)
    gate.filled("", "S-001", BTC, Side.BUY, D(1), D(100), (D("0.001"), "USDT"), NOW)
    gate.filled("", "S-002", BTC, Side.BUY, D(1), D(100), (D("0.002"), "BTC"), NOW)
    gate.filled("", "S-003", BTC, Side.BUY, D(1), D(100), (D("0.003"), "BTC"), NOW)
    gate.seed_positions({BTC: D("0.998")}, "S-002")  # as the journal has it
    view = View(gate)  # tells the gate
    gate.know(BTC, view.facts)
    held = {"S-001": D("1.999"), "S-002": D("0.998"), "S-003": D("0.997")}
    assert gate.ledger.by_strategy == {(name, BTC): own for name, own in held.items()}
    assert gate.ledger.positions[BTC] == sum(held.values())


sides = st.sampled_from(list(Side))
sizes = st.integers(1, 5_000).map(lambda one: D(one) / 1_000)
fees = st.integers(-5, 50).map(lambda one: D(one) / 10_000)
FILLS = st.lists(
    st.tuples(
        st.sampled_from(["S-001", "S-002"]),
        sides,
        sizes,
        fees,
        st.sampled_from(["BTC", "USDT", "BNB"]),
        st.booleans(),  # the run starts anew after it
    ),
    max_size=30,
)


@settings(max_examples=200, deadline=None)
@given(FILLS)
def test_the_gates_position_is_the_sum_of_fills_less_base_fees(
    fills: list[tuple[str, Side, Decimal, Decimal, str, bool]],
) -> None:
    def fresh() -> tuple[RiskGate, View]:
        gate = RiskGate(Risk())
        view = View(gate)
        for strategy, quantity in held.items():
            gate.seed_positions({BTC: quantity}, strategy)
        return gate, view

    held: defaultdict[str, Decimal] = defaultdict(Decimal)
    gate, view = fresh()
    for strategy, side, size, fee, currency, restarts in fills:
        gate.filled("", strategy, BTC, side, size, D(100), (fee, currency), NOW)
        held[strategy] += size if side is Side.BUY else -size
        held[strategy] -= fee if currency == "BTC" else D(0)
        if restarts:
            gate, view = fresh()
    total = sum(held.values(), D(0))
    look = Look(view, gate.books, gate.limits)
    look.begin(order("100", side=Side.BUY))
    assert (look.position, gate.snapshot().positions.get(BTC, D(0))) == (total, total)
    assert look.entry.gross == abs(total) * 100
    for strategy, own in held.items():
        selling = order("100", side=Side.SELL, strategy=strategy)
        buying = order("100", side=Side.BUY, strategy=strategy)
        assert (look.own_position(selling), look.own_held(selling)) == (own, own)
        assert look.own_held(buying) == -own


def backtest(
    tmp_path: Path, path: str, params: dict[str, Any], mids: list[str], risk: str = ""
) -> RunResult:
    """Of an account with more of the base currency; a buyer pays a hundredth of it."""
    info = {"buy_fee": "0.01", "sell_fee": "0.01", "buy_fee_in_base": True}
    return run(
        tmp_path,
        scripted(tmp_path / "c", spot(OCEANEX, info), mids),
        path,
        {"instrument_id": OCEANEX, **params},
        instrument=OCEANEX,
        adapter="oceanex",
        account="cash",
        fees=None,
        balances=["100000 USDT", "2 BTC"],
        risk=risk,
    )


def trips(tmp_path: Path, risk: str) -> RunResult:
    params = {"size": "0.100", "trips": TRIPS, "beyond": "0.005"}
    path = "tests.data.round_trips:RoundTrips"
    return backtest(tmp_path, path, params, ["60000"] * 40, risk)


def stepped(tmp_path: Path, steps: list[list[Any]], mids: list[str]) -> RunResult:
    told = json.dumps(steps).replace('"', '\\"')
    params = {"steps": told, "begin_ns": START_NS}
    return backtest(tmp_path, "tests.data.exits:BracketSteps", params, mids)


def test_no_backtest_is_short_below_its_least_position(tmp_path: Path) -> None:
    """Nothing but the limit is in the way."""
    result = trips(tmp_path, f'min_position = {{ "{OCEANEX}" = "0" }}')
    assert result.summary.fills == 2 * TRIPS
    assert result.summary.denials == {"MIN_POSITION": 1}
    assert result.summary.instruments[0].position == 0


def test_no_backtest_is_refused_for_what_it_no_longer_holds(tmp_path: Path) -> None:
    result = trips(tmp_path, f'max_position = {{ "{OCEANEX}" = "0.102" }}')
    assert result.summary.denials == {}
    assert result.summary.fills == 2 * TRIPS + 1
    assert result.summary.instruments[0].position == D("-0.005")


def sold(result: RunResult) -> list[Decimal]:
    orders = sorted(result.cache.orders(), key=lambda one: one.ts_init)
    return [one.filled_qty.as_decimal() for one in orders if one.side.name == "SELL"]


def test_a_position_that_was_turned_round_is_closed_and_no_more(tmp_path: Path) -> None:
    """NautilusTrader takes off no fee where a position turns round."""
    steps = [
        [1_500, "market", "A", "SELL", "0.100"],
        [2_500, "market", "B", "BUY", "0.200"],
        [4_500, "close"],
    ]
    result = stepped(tmp_path, steps, ["60000"] * 10)
    assert sold(result) == [D("0.100"), D("0.098")]
    assert result.summary.denials == {}
    assert result.summary.instruments[0].position == 0


def test_a_bracket_gives_out_what_a_fee_has_left_of_its_entry(tmp_path: Path) -> None:
    """Beside what the strategy holds without one, which is not the bracket's."""
    steps = [
        [500, "market", "A", "BUY", "0.500"],
        [1_500, "bracket", "B", "BUY", "0.200", "59000", "61000"],
        [2_500, "bracket", "C", "BUY", "0.300", "59000", "61000"],
    ]
    result = stepped(tmp_path, steps, ["60000"] * 10 + ["61500"] * 10)
    assert sum(sold(result)) == D("0.198") + D("0.297")
    assert result.summary.denials == {}
    assert result.summary.instruments[0].position == D("0.495")
