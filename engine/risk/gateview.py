"""What every view of the gate answers alike: from the gate's own account of orders."""

from __future__ import annotations

from fairlead.engine.orders.model import Capabilities
from fairlead.engine.risk.facts import CountedOrder, OrderFacts
from fairlead.engine.risk.gate import RiskGate


class GateView:
    """The part of a `RiskView` that needs nothing but the gate."""

    __slots__ = ("_gate",)

    def __init__(self, gate: RiskGate) -> None:
        self._gate = gate

    def pending(self, client_order_id: str) -> CountedOrder | None:
        return self._gate.ledger.live.get(client_order_id)

    def capabilities(self, instrument: str) -> Capabilities | None:
        return self._gate.capabilities.get(instrument.rpartition(".")[2])

    def kill_switch(self, order: OrderFacts) -> str | None:
        return self._gate.kill.reason(order.strategy, order.instrument)
