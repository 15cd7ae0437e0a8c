"""Nothing is sent without an approval, and who gives them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.engine.config.model import Risk
from fairlead.engine.orders.approved import Approved
from fairlead.engine.orders.model import Side
from fairlead.engine.risk.approval import approve_closing
from fairlead.engine.risk.gate import RiskGate
from tests.unit.orders.conftest import Bench, intent
from tests.unit.risk.test_gate import NOW, order

ROOT = Path(__file__).resolve().parents[3]
D = Decimal
CHANGE = (D(2), None, None)


def sent(**changes: Any) -> Any:
    """What an execution client makes of the gate tests' order."""
    facts = order()
    return intent(
        facts.client_order_id,
        **{
            "strategy": facts.strategy,
            "instrument": facts.instrument,
            "side": facts.side,
            "quantity": facts.quantity,
            "price": facts.price,
            **changes,
        },
    )


def test_the_gate_gives_what_it_let_through_and_nothing_else() -> None:
    gate = RiskGate(Risk())
    assert gate.approvals.order(sent()) is None
    gate.approve(order(), NOW)
    assert gate.approvals.order(sent()) == Approved(sent())
    for change in ({"quantity": D(3)}, {"price": D(3)}, {"side": Side.SELL}):
        assert gate.approvals.order(msgspec.structs.replace(sent(), **change)) is None
    gate.closed("A")
    assert gate.approvals.order(sent()) is None


def test_what_an_order_changes_to_is_made_of_the_change_that_was_let_through() -> None:
    gate = RiskGate(Risk())
    gate.approve(order(quantity="1"), NOW)
    live = gate.ledger.live["A"]
    assert gate.approvals.replacement(sent(), CHANGE) is None
    gate.approve_modify(order(quantity="2", existing=live), CHANGE, NOW)
    assert gate.approvals.replacement(sent(), CHANGE) == Approved(sent(quantity=D(2)))
    assert gate.approvals.replacement(sent(), (D(3), None, None)) is None
    gate.modify_answered("A", D(2))
    assert gate.approvals.replacement(sent(), CHANGE) is None


@pytest.mark.parametrize("what", ["all", "one of two"])
def test_a_desk_takes_nothing_that_is_not_approved(bench: Bench, what: str) -> None:
    wanted: list[Any] = [Approved(intent("B")), intent("A")][0 if what == "one of two" else 1 :]
    with pytest.raises(TypeError, match="expected an Approved, Intent came; nothing was sent"):
        bench.run(bench.desk.submit(wanted))
    assert bench.venue.creates == []
    assert bench.desk.journal.order("A") is None
    assert bench.desk.journal.order("B") is None


def test_a_desk_replaces_nothing_by_what_is_not_approved(bench: Bench) -> None:
    changed: Any = intent("A", quantity=D(2))
    with pytest.raises(TypeError, match="expected an Approved, Intent came"):
        bench.run(bench.desk.replace(changed))


@pytest.mark.parametrize(
    ("held", "side", "quantity", "closes"),
    [
        ("2", Side.SELL, "2", True),
        ("2", Side.SELL, "0.5", True),
        ("2", Side.SELL, "2.1", False),
        ("2", Side.BUY, "1", False),
        ("-2", Side.BUY, "2", True),
        ("-2", Side.BUY, "2.1", False),
        ("-2", Side.SELL, "1", False),
        ("0", Side.BUY, "1", False),
        ("0", Side.SELL, "1", False),
    ],
)
def test_a_kill_sends_only_what_closes(held: str, side: Side, quantity: str, closes: bool) -> None:
    one = intent(side=side, quantity=D(quantity))
    if closes:
        assert approve_closing(one, D(held)) == Approved(one)
        return
    with pytest.raises(ValueError, match="does not close"):
        approve_closing(one, D(held))


MAKERS = {
    "Approved": "engine/risk/approval.py",
    "Approvals": "engine/risk/gate.py",
    "approvals.add": "engine/risk/gate.py",
    "approvals.add_change": "engine/risk/gate.py",
    "approve_closing": "engine/kill/flatten.py",
}


def calls(path: Path) -> Iterator[str]:
    """Which of them the file calls."""
    text = path.read_text()
    if any(name in text for name in MAKERS):
        called = (node.func for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
        for named in map(ast.unparse, called):
            yield from (name for name in MAKERS if named == name or named.endswith(f".{name}"))


def test_nobody_else_makes_an_approval() -> None:
    found = {
        (name, path.relative_to(ROOT).as_posix())
        for folder in ("engine", "adapters", "strategies", "backtests")
        for path in (ROOT / folder).rglob("*.py")
        for name in calls(path)
    }
    assert found == set(MAKERS.items())
