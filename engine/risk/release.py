"""The gate's word on what the desk releases of an order that it held."""

from __future__ import annotations

from fairlead.engine.orders.approved import Approved
from fairlead.engine.orders.held import NotNow
from fairlead.engine.orders.model import NOT_SENT, Intent, Refused
from fairlead.engine.risk.facts import OrderFacts, RiskView
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.verdict import Denial

# Refusals of the moment: the order waits with its release, and is asked for again.
FOR_NOW = frozenset(
    {"INVALID_BOOK", "STALE_REFERENCE", "ORDER_RATE", "CANCEL_RATE", "UNKNOWN_OUTCOMES"}
    | {"CLOCK_OFFSET", "STATE_UNWRITABLE", "KILL_SWITCH"}
    | {"SELF_CROSS"}  # until the own order in the way is over
)


def regate(gate: RiskGate, view: RiskView, sent: Intent) -> Approved | Denial | NotNow:
    """Asked as of a new order; an exit never reduces more than its strategy's position."""
    facts = OrderFacts(
        client_order_id=sent.client_order_id,
        strategy=sent.strategy,
        instrument=sent.instrument,
        side=sent.side,
        kind=sent.kind,
        quantity=sent.quantity,
        price=sent.price,
        time_in_force=sent.time_in_force,
        post_only=sent.post_only,
        reduce_only=sent.reduce_only or sent.role.is_exit,
        role=sent.role,
        is_release=True,
    )
    denial = gate.release(facts, view)
    if denial is None:
        answer = gate.approvals.order(sent)
        assert answer is not None, "approved just now"
        return answer
    return NotNow(denial.code, denial.message) if denial.code in FOR_NOW else denial


def refused(denial: Denial) -> Refused:
    """What the desk is told of a release that the gate refuses for good."""
    message = f"refused by the gate, {NOT_SENT}: {denial.message}"
    return Refused(denial.code, message, is_sent=False)
