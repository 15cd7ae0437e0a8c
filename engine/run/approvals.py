"""The risk gate as the execution client's last look before the wire."""

from __future__ import annotations

from typing import Any

from adapters.base.translate import dec
from engine.risk.gate import RiskGate
from engine.risk.view import order_facts


class GateApprovals:
    """Denies every order and modify that the gate did not approve exactly as it is."""

    def __init__(self, gate: RiskGate) -> None:
        self._gate = gate
        self.denied = 0

    def order_denial(self, order: Any) -> str | None:
        facts = order_facts(order)
        if self._gate.approved(facts.client_order_id, facts):
            return None
        self.denied += 1
        return "NOT_APPROVED: the risk gate never approved this order; it was not sent"

    def modify_denial(
        self, client_order_id: str, quantity: Any, price: Any, trigger_price: Any
    ) -> str | None:
        change = (dec(quantity), dec(price), dec(trigger_price))
        if self._gate.approved_modify(client_order_id, change):
            return None
        self.denied += 1
        return "NOT_APPROVED: the risk gate never approved this modify; it was not sent"
