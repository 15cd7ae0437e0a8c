"""What a session's judges let pass: exactly that."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from fairlead.adapters.simulation.orders import Status
from fairlead.engine.orders.model import Kind, Side
from fairlead.engine.sessions.checkers import _beside, _is_spent
from fairlead.engine.sessions.host.node import HostNode

D = Decimal


def seen(**changes: Any) -> tuple[Any, Any]:
    """What is known of a stop that was released twice, and an order like it that came late."""
    intent = SimpleNamespace(side=Side.BUY, quantity=D(1), price=D(100))
    evidence = {
        "is_beyond": True,
        "releases": Counter({"A": 2}),
        "orders": {"A": SimpleNamespace(intent=intent)},
    }
    order = {
        "side": Side.BUY,
        "quantity": D(1),
        "price": D(100),
        "executed": D(0),
        "status": Status.CANCELED,
    }
    for name, value in changes.items():
        (evidence if name in evidence else order)[name] = value
    return SimpleNamespace(**evidence), SimpleNamespace(**order)


def test_a_release_that_came_after_all_lag_and_ended_as_it_came_is_no_orphan() -> None:
    assert _is_spent(*seen())


@pytest.mark.parametrize(
    "changes",
    [
        {"is_beyond": False},
        {"executed": D("0.1")},
        {"status": Status.OPEN},
        {"price": D(101)},
        {"quantity": D(2)},
        {"side": Side.SELL},
        {"releases": Counter({"A": 1})},
    ],
    ids=str,
)
def test_any_other_order_that_nobody_knows_is_one(changes: dict[str, Any]) -> None:
    assert not _is_spent(*seen(**changes))


@pytest.mark.parametrize(
    ("refusal", "others", "expected"),
    [
        ("MAX_POSITION: expected at most 5", "-6", True),
        ("MAX_POSITION: expected at most 5", "-5", False),
        ("MAX_POSITION: expected at most 5", "6", True),
        ("PRICE_COLLAR: too far", "-6", False),
    ],
)
def test_a_close_is_kept_back_by_what_others_hold_beyond_the_limit(
    refusal: str, others: str, expected: bool
) -> None:
    held = [
        SimpleNamespace(instrument="X", quantity=D(2)),
        SimpleNamespace(instrument="X", quantity=D(others)),
        SimpleNamespace(instrument="Y", quantity=D(90)),
    ]
    process = SimpleNamespace(
        journal=SimpleNamespace(positions=lambda: held),
        world=SimpleNamespace(plan=SimpleNamespace(max_position="5")),
    )
    node: Any = SimpleNamespace(process=process)
    assert HostNode._is_crowded(node, refusal, "X", D(2)) is expected


@pytest.mark.parametrize(
    ("kind", "position", "resting", "excused"),
    [
        (Kind.MARKET, "-1", "2", "0"),
        (Kind.MARKET, "-1", "3", "1"),
        (Kind.LIMIT, "-1", "3", "0"),
        (Kind.MARKET, "-4", "3", "0"),
        (Kind.MARKET, "3", "0", "0"),
    ],
)
def test_a_way_out_passes_beside_what_rests_by_just_that(
    kind: Kind, position: str, resting: str, excused: str
) -> None:
    """A sale of 2 where 5 is the limit; one that is beyond it alone is excused nothing."""
    intent = SimpleNamespace(kind=kind, reduce_only=True)
    evidence: Any = SimpleNamespace(owners={7: "A"}, orders={"A": SimpleNamespace(intent=intent)})
    order: Any = SimpleNamespace(id=7, side=Side.SELL, quantity=D(2))
    assert _beside(evidence, order, D(position), {1: D(resting)}, D(5)) == D(excused)
