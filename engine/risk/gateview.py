"""What every view of the gate answers alike: from the gate's own account of orders."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from engine.orders.model import Capabilities, Side
from engine.risk.facts import LiveOrder, OrderFacts
from engine.risk.gate import RiskGate


class GateView:
    """The part of a `RiskView` that needs nothing but the gate."""

    __slots__ = ("_gate", "limits")

    def __init__(self, gate: RiskGate) -> None:
        self._gate = gate
        self.limits = gate.limits

    def position(self, instrument: str) -> Decimal:
        return self._gate.ledger.positions.get(instrument, Decimal(0))

    def working(self, instrument: str) -> Iterable[LiveOrder]:
        return self._gate.ledger.working(instrument)

    def working_quantity(self, instrument: str, side: Side) -> Decimal:
        return self._gate.ledger.working_quantity(instrument, side)

    def open_order_count(self) -> int:
        return len(self._gate.ledger.live)

    def pending(self, client_order_id: str) -> LiveOrder | None:
        return self._gate.ledger.live.get(client_order_id)

    def capabilities(self, instrument: str) -> Capabilities | None:
        return self._gate.capabilities.get(instrument.rpartition(".")[2])

    def kill_switch(self, order: OrderFacts) -> str | None:
        return self._gate.kill.reason(order.strategy, order.instrument)
