"""The gate's word on releases of held orders, and own orders in each other's way."""

from __future__ import annotations

from types import MethodType, SimpleNamespace

import msgspec
import pytest

from fairlead.adapters.base.account import Account
from fairlead.adapters.base.execution_client import VenueExecutionClient
from fairlead.engine.config.model import Risk
from fairlead.engine.orders.held import NotNow
from fairlead.engine.orders.model import (
    NOT_SENT,
    Capabilities,
    Intent,
    Kind,
    Refused,
    Side,
    Tif,
)
from fairlead.engine.risk.checks import Denial
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.release import regate
from fairlead.engine.sessions.holding import released
from tests.unit.risk.test_gate import BTC, NOW, D, View, code, holding, order, stop_order

RESTS = Capabilities(
    kinds=frozenset({Kind.LIMIT}),
    time_in_force=frozenset({Tif.GTC, Tif.FOK}),
    held=frozenset({Kind.STOP_LIMIT}),
)


def release_of(name: str) -> Intent:
    return Intent(
        client_order_id=name,
        strategy="S-001",
        instrument=BTC,
        side=Side.BUY,
        kind=Kind.LIMIT,
        quantity=D(1),
        price=D(101),
        time_in_force=Tif.FOK,
    )


def test_a_release_waits_while_an_own_order_is_in_its_way() -> None:
    gate = RiskGate(Risk())
    view = View(gate)
    view.able = RESTS
    gate.approve(order("101", client_order_id="B", side=Side.SELL), NOW)
    view.ids.add("A")
    gate.approve(stop_order(), NOW)
    sent = release_of("A")
    answer = regate(gate, view, sent)
    assert isinstance(answer, NotNow)
    assert answer.code == "SELF_CROSS"
    gate.closed("B")
    assert not isinstance(regate(gate, view, sent), NotNow | Denial)


@pytest.mark.parametrize(
    ("times", "expected"), [({Tif.FOK}, None), ({Tif.FOK, Tif.GTC}, "SELF_CROSS")]
)
def test_an_order_that_the_engine_holds_is_in_nobodys_way(
    times: set[Tif], expected: str | None
) -> None:
    """Where the venue lets no limit rest, none of ours is there to trade with."""
    gate = RiskGate(Risk())
    view = View(gate)
    view.able = msgspec.structs.replace(holding(holds_limits=True), time_in_force=frozenset(times))
    gate.approve(order("99", client_order_id="B", side=Side.SELL), NOW)
    assert code(gate, order("99", time_in_force="FOK"), view) == expected


def test_a_release_that_is_held_again_is_in_nobodys_way() -> None:
    gate = RiskGate(Risk())
    view = View(gate)
    view.able = RESTS
    view.ids.add("A")
    gate.approve(stop_order(), NOW)
    sell = order("100", client_order_id="B", side=Side.SELL)
    assert code(gate, sell, view) is None
    assert not isinstance(regate(gate, view, release_of("A")), NotNow | Denial)
    assert code(gate, sell, view) == "SELF_CROSS"  # it may be at the venue
    gate.held_again("A", Kind.STOP_LIMIT)
    assert code(gate, sell, view) is None
    gate.held_again("unknown", Kind.STOP_LIMIT)
    assert gate.ledger.working_quantity(BTC, Side.BUY) == D(1)
    assert not isinstance(regate(gate, view, release_of("A")), NotNow | Denial)
    assert code(gate, sell, view) == "SELF_CROSS"


def test_what_the_gate_refuses_of_a_release_in_a_session_was_not_sent() -> None:
    gate = RiskGate(Risk(max_order_quantity={BTC: D("0.5")}))
    view = View(gate)
    view.able = RESTS
    view.ids.add("A")
    gate.approve(stop_order(), NOW)
    counted: list[str] = []
    trace = SimpleNamespace(count=counted.append)
    process = SimpleNamespace(gate=gate, view=view, world=SimpleNamespace(trace=trace))
    sent = release_of("A")
    answer = released(process, sent, sent)
    assert isinstance(answer, Refused)
    assert (answer.code, answer.is_sent, NOT_SENT in answer.message) == (
        counted[0].removeprefix("release:"),
        False,
        True,
    )


def test_the_execution_client_tells_the_gate_what_is_held() -> None:
    told: list[tuple[str, str]] = []
    account = SimpleNamespace(on_held=lambda *one: told.append(one))
    account.order_held = MethodType(Account.order_held, account)
    client = SimpleNamespace(
        _trading=account, _cached=lambda _: SimpleNamespace(venue_order_id="V")
    )
    held = msgspec.structs.replace(release_of("A"), kind=Kind.STOP_LIMIT)
    VenueExecutionClient.order_held(client, held, NOW)
    account.on_held = None
    VenueExecutionClient.order_held(client, held, NOW)
    assert told == [("A", "STOP_LIMIT")]
