"""What the journal holds, counted at the gate before the first order."""

from __future__ import annotations

from decimal import Decimal

from engine.orders.desk import OrderDesk
from engine.orders.journal import Journal
from engine.orders.live import LiveOrder
from engine.risk.facts import LiveOrder as GateOrder
from engine.risk.gate import RiskGate


def count_in(gate: RiskGate, journal: Journal, desk: OrderDesk) -> None:
    """Positions by strategy, and every order that is not proven to be over."""
    by_strategy: dict[str, dict[str, Decimal]] = {}
    for position in journal.positions():
        by_strategy.setdefault(position.strategy, {})[position.instrument] = position.quantity
    for strategy, positions in by_strategy.items():
        gate.seed_positions(positions, strategy)
    for order in desk.live_orders():
        gate.adopt(_standing(order))


def count_again(gate: RiskGate, venue: str, journal: Journal, desk: OrderDesk) -> None:
    """The same at a later moment, before the first order: what is over counts no more."""
    for order in list(gate.ledger.live.values()):
        if order.instrument.rpartition(".")[2] == venue:
            gate.closed(order.client_order_id)
    count_in(gate, journal, desk)


def _standing(order: LiveOrder) -> GateOrder:
    """One whose replacement is not settled may have either quantity: it counts with the larger."""
    intent, changed = order.intent, order.replacing
    return GateOrder(
        client_order_id=intent.client_order_id,
        strategy=intent.strategy,
        instrument=intent.instrument,
        side=intent.side,
        quantity=max(intent.quantity, changed.quantity) if changed else intent.quantity,
        filled=order.filled,
        reduce_only=intent.reduce_only,
        kind=intent.kind,
        price=intent.price,
        role=intent.role,
    )
