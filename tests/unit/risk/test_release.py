"""The gate's word on releases of held orders, and own orders in each other's way."""

from __future__ import annotations

import msgspec
import pytest

from fairlead.engine.config.model import Risk
from fairlead.engine.orders.held import NotNow
from fairlead.engine.orders.model import Capabilities, Intent, Kind, Side, Tif
from fairlead.engine.risk.checks import Denial
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.release import regate
from tests.unit.risk.test_gate import BTC, NOW, D, View, code, holding, order, stop_order


def test_a_release_waits_while_an_own_order_is_in_its_way() -> None:
    gate = RiskGate(Risk())
    view = View(gate)
    view.able = Capabilities(
        kinds=frozenset({Kind.LIMIT}),
        time_in_force=frozenset({Tif.GTC, Tif.FOK}),
        held=frozenset({Kind.STOP_LIMIT}),
    )
    gate.approve(order("101", client_order_id="B", side=Side.SELL), NOW)
    view.ids.add("A")
    gate.approve(stop_order(), NOW)
    sent = Intent(
        client_order_id="A",
        strategy="S-001",
        instrument=BTC,
        side=Side.BUY,
        kind=Kind.LIMIT,
        quantity=D(1),
        price=D(101),
        time_in_force=Tif.FOK,
    )
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
