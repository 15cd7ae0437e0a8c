"""What a margin account can carry, and what a balance that has paid for positions is worth."""

from __future__ import annotations

import msgspec
import pytest

from fairlead.engine.config.model import Risk
from fairlead.engine.orders.model import Capabilities, Kind, Side, Tif
from fairlead.engine.risk.facts import Reference
from fairlead.engine.risk.gate import RiskGate
from tests.unit.risk.test_gate import BTC, NOW, D, View, code, order

PAID = Capabilities(
    kinds=frozenset({Kind.LIMIT}), time_in_force=frozenset({Tif.GTC}), pays_positions=True
)


def test_margin_account_pays_initial_margin_of_orders_and_positions() -> None:
    gate = RiskGate(Risk())
    view = View(gate)
    view.cash, view.leverage = False, D(10)
    view.money = {"USDT": D(100)}
    assert code(gate, order(quantity="10"), view) is None
    assert code(gate, order(quantity="10.001"), view) == "MARGIN"
    gate.seed_positions({BTC: D(6)}, "S-001")
    gate.approve(order("99", client_order_id="B", quantity="2"), NOW)  # 19.8 of margin
    assert code(gate, order(quantity="2.02"), view) is None
    assert code(gate, order(quantity="2.03"), view) == "MARGIN"
    exit_order = order("101", quantity="6", side=Side.SELL)
    assert code(gate, exit_order, view) is None


def leveraged(gate: RiskGate, held: D, money: D) -> View:
    """An initial margin of 10 %, a market at 100, and a position that is priced."""
    view = View(gate)
    view.market = Reference("book", NOW, D(100), D(100))
    view.cash = False
    view.facts = msgspec.structs.replace(view.facts, margin=D("0.1"))
    gate.seed_positions({BTC: held}, "S-001")
    view.money = {"USDT": D(10_000)}
    assert code(gate, order("100", quantity="0.001", client_order_id="X"), view) is None
    view.money = {"USDT": money}
    return view


@pytest.mark.parametrize("held", [D(6), D(-6), D(0)])
@pytest.mark.parametrize("is_told_so", [True, False])
@pytest.mark.parametrize("is_simulated", [False, True])
def test_a_balance_that_has_paid_for_positions_is_not_the_equity(
    held: D, is_told_so: bool, is_simulated: bool
) -> None:
    """1000 of equity. A gateway that tells balances as paid says 400 of a long and 1600 of a short;
    a simulated exchange keeps a margin account, whatever the venue tells."""
    gate = RiskGate(Risk(), is_simulated=is_simulated)
    is_paid = is_told_so and not is_simulated
    view = leveraged(gate, held, D(1000) - (held * 100 if is_paid else 0))
    view.able = PAID if is_told_so else None
    side = Side.SELL if held < 0 else Side.BUY
    room = D(100) - abs(held)  # base units at 10 each: what the rest of the equity carries
    assert code(gate, order("100", quantity=str(room), side=side), view) is None
    too_much = order("100", quantity=str(room + D("0.01")), side=side)
    assert code(gate, too_much, view) == "MARGIN"


def test_what_closes_needs_none() -> None:
    gate = RiskGate(Risk())
    view = leveraged(gate, D(6), D(1))
    assert code(gate, order("100", quantity="6", side=Side.SELL), view) is None
    assert code(gate, order("100", quantity="0.5", side=Side.BUY), view) == "MARGIN"


def test_it_can_be_switched_off_by_its_name() -> None:
    gate = RiskGate(Risk(off=["MARGIN"]))
    view = leveraged(gate, D(0), D(1))
    assert code(gate, order(quantity="10"), view) is None


def test_a_cash_account_has_no_margin_and_a_margin_account_no_free_balance() -> None:
    gate = RiskGate(Risk())
    view = leveraged(gate, D(0), D(1))
    assert code(gate, order(quantity="10"), view) == "MARGIN"
    view.cash = True
    assert code(gate, order(quantity="10"), view) == "FREE_BALANCE"
