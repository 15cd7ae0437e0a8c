"""The pass for plain orders: what has passed says nothing of what is nearer to a limit.

That it answers and counts as all checks do is held by tests/property/test_known_passes.py.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from fairlead.engine.config.model import Risk
from fairlead.engine.orders.model import Side
from fairlead.engine.risk.checks import CHECKS
from fairlead.engine.risk.facts import Funds, Reference
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.known import _SECTIONS, Pass, Place
from fairlead.engine.risk.plans import Plans
from tests.unit.risk.test_gate import BTC, NOW, D, View, code, order


class KeptView(View):
    """Whose balances are the same values until they are read anew, as a strategy's are."""

    def __init__(self, gate: RiskGate) -> None:
        super().__init__(gate)
        self.read: dict[str, Funds | None] = {}

    def funds(self, instrument: str, currency: str) -> Funds | None:
        if currency not in self.read:
            self.read[currency] = super().funds(instrument, currency)
        return self.read[currency]


def test_sections_are_the_checks_of_a_plain_order_in_the_registrys_order() -> None:
    taken = [name for section in _SECTIONS for name in section.codes]
    assert taken == [check.code for check in CHECKS if check.on_plain]


def test_a_check_that_no_section_knows_keeps_a_gate_from_being_made() -> None:
    plan = Plans((CHECKS[0], msgspec.structs.replace(CHECKS[1], code="NEW")), {"NEW": None}).plain  # type: ignore[dict-item]
    gate = RiskGate(Risk())
    place = Place(BTC, View(gate).facts, None, gate.limits, False)
    with pytest.raises(AssertionError, match="NEW"):
        Pass(plan, place)


@pytest.mark.parametrize(
    ("facts", "near", "refused"),
    [
        ({"max_price": D(101)}, order("101"), order("101.01", side=Side.SELL)),
        ({"min_price": D(99)}, order("99"), order("98.99")),
        ({"max_quantity": D(2)}, order(quantity="2"), order(quantity="2.001")),
        ({"min_quantity": D("0.5")}, order(quantity="0.5"), order(quantity="0.499")),
        ({"max_notional": D(200)}, order(quantity="2"), order(quantity="2.001")),
        # The bid, not the ask, values a market order for the least notional
        ({"min_notional": D(100)}, order(quantity="1"), order(None, quantity="1")),
    ],
)
def test_bounds_hold_beside_orders_that_are_within(
    facts: dict[str, Any], near: Any, refused: Any
) -> None:
    gate = RiskGate(Risk(price_collar_bps=D(500)))
    view = KeptView(gate)
    view.facts = msgspec.structs.replace(view.facts, **facts)
    for side in Side:
        sided = msgspec.structs.replace(near, side=side, price=near.price)
        assert code(gate, sided, view) in (None, "PRICE_COLLAR")
    assert code(gate, refused, view) in ("PRICE_BOUNDS", "QUANTITY_BOUNDS", "MIN_NOTIONAL")
    assert code(gate, near, view) is None, "and it says nothing against those"


def test_a_limit_of_another_currency_refuses_from_the_first_order_on() -> None:
    gate = RiskGate(Risk(max_daily_loss=["100 EUR"]))
    view = KeptView(gate)
    for _ in range(3):
        assert code(gate, order(), view) == "DAILY_LOSS"


def test_each_limit_is_reached_step_by_step_and_no_further() -> None:
    gate = RiskGate(Risk(max_position={BTC: D(3)}, max_open_orders=10))
    view = KeptView(gate)
    for number in range(3):
        one = order(client_order_id=f"A{number}")
        assert code(gate, one, view) is None
        gate.approve(one, NOW)
    assert code(gate, order(client_order_id="B"), view) == "MAX_POSITION"
    gate.closed("A1")
    assert code(gate, order(client_order_id="B"), view) is None
    assert gate.snapshot().counters["MAX_POSITION"].nearest == 1.0


def test_an_account_that_is_not_known_yet_pays_for_nothing() -> None:
    gate = RiskGate(Risk())
    view = KeptView(gate)
    view.read["USDT"] = None
    for _ in range(2):
        assert code(gate, order(), view) == "FREE_BALANCE"
    del view.read["USDT"]
    assert code(gate, order(), view) is None
    view.read["USDT"] = None
    assert code(gate, order(), view) == "FREE_BALANCE"


def test_a_balance_that_was_read_anew_is_looked_at_anew() -> None:
    gate = RiskGate(Risk())
    view = KeptView(gate)
    assert code(gate, order(), view) is None
    view.read["USDT"] = Funds(D(99), D(99), True, D(1), NOW)
    assert code(gate, order(), view) == "FREE_BALANCE"


def test_a_market_that_is_older_or_broken_is_looked_at() -> None:
    gate = RiskGate(Risk())
    view = KeptView(gate)
    assert code(gate, order(), view) is None
    view.market = Reference("book", NOW, D("100.1"), D("99.9"), valid=False)
    assert code(gate, order(), view) == "INVALID_BOOK"
    view.market = Reference("book", NOW - 5_001_000_000, D("99.9"), D("100.1"))
    assert code(gate, order(), view) == "STALE_REFERENCE"
    view.market = Reference("book", NOW, D("89.9"), D("90.1"))
    assert code(gate, order(), view) == "PRICE_COLLAR"


def test_what_is_used_of_a_limit_is_the_most_of_all_orders() -> None:
    gate = RiskGate(Risk(max_order_notional="1000 USDT"))
    view = KeptView(gate)
    for quantity in ("1", "4", "2", "4"):
        assert code(gate, order(quantity=quantity), view) is None
        nearest = gate.snapshot().counters["MAX_ORDER_NOTIONAL"].nearest
        assert nearest == (0.1 if quantity == "1" else 0.4)
    assert gate.snapshot().counters["MAX_ORDER_NOTIONAL"].evaluated == 4
    assert Decimal(str(nearest)) == D("0.4")
