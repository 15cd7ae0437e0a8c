"""What an agent wants, in the words of the order path."""

from __future__ import annotations

from decimal import Decimal

from fairlead.engine.orders.model import Intent, Kind, Tif
from fairlead.engine.orders.trigger import condition_of
from fairlead.engine.risk.facts import CountedOrder, OrderFacts


def intent_of(facts: OrderFacts, now_ns: int) -> Intent:
    return Intent(
        client_order_id=facts.client_order_id,
        strategy=facts.strategy,
        instrument=facts.instrument,
        side=facts.side,
        kind=Kind(facts.kind),
        quantity=facts.quantity,
        price=facts.price,
        trigger_price=facts.trigger_price,
        trigger_condition=condition_of(Kind(facts.kind), facts.side),
        trailing_offset=facts.trailing_offset,
        time_in_force=Tif(facts.time_in_force),
        post_only=facts.post_only,
        reduce_only=facts.reduce_only,
        ts_init=now_ns,
        role=facts.role,
    )


def facts_of(
    intent: Intent, quantity: Decimal, price: Decimal, pending: CountedOrder
) -> OrderFacts:
    return OrderFacts(
        client_order_id=intent.client_order_id,
        strategy=intent.strategy,
        instrument=intent.instrument,
        side=intent.side,
        kind=intent.kind.value,
        quantity=quantity,
        price=price,
        trigger_price=intent.trigger_price,
        trailing_offset=intent.trailing_offset,
        time_in_force=intent.time_in_force.value,
        post_only=intent.post_only,
        existing=pending,
        role=intent.role,
    )


def words_of(intent: Intent) -> str:
    trigger = f" trigger {intent.trigger_condition} {intent.trigger_price}" * bool(
        intent.trigger_price
    )
    return (
        f"{intent.client_order_id} {intent.kind} {intent.side} {intent.quantity} @ "
        f"{intent.price}{trigger}"
    )
