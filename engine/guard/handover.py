"""What a strategy has when it starts: its live orders, with their roles, and its positions.

A run that was killed leaves orders at the venue. The journal knows whose they are and what for;
the gate counts them from the first moment; here the strategy gets them back, before its `on_start`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.core import UUID4
from nautilus_trader.model import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    OrderRejected,
    OrderSide,
    StrategyId,
    TraderId,
)

from fairlead.engine.guard.answers import declared, none_of
from fairlead.engine.guard.core import Core
from fairlead.engine.guard.hooks import OwnOrder
from fairlead.engine.orders.journal import JournaledOrder
from fairlead.engine.orders.model import Kind, Side
from fairlead.engine.orders.trigger import condition_of
from fairlead.engine.risk.facts import CountedOrder
from fairlead.engine.risk.view import order_facts

_SIDES = {Side.BUY: OrderSide.BUY, Side.SELL: OrderSide.SELL}
NEVER_THERE = "ABSENT-PROVEN: its outcome was unknown at the start, and the venue never had it"


class HandOver:
    """The part of a strategy's guard that gives it back what is its own."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._unproven: dict[str, OwnOrder] = {}  # handed over, of unknown outcome

    def own_orders(self, instrument_id: InstrumentId | None = None) -> list[OwnOrder]:
        """The strategy's live orders now, those of unknown outcome too, oldest first."""
        wanted = None if instrument_id is None else str(instrument_id)
        return [
            self._own(live)
            for live in self._core.gate.ledger.live.values()
            if live.strategy == self._core.id and wanted in (None, live.instrument)
        ]

    def require_known(self, instrument_id: InstrumentId) -> None:
        """Raises ValueError for an instrument of which the run has nothing, and never will."""
        if not self._is_known(instrument_id):
            name = str(instrument_id)
            expected, near = none_of(self._core.run.instruments, name)
            raise ValueError(f"expected {expected}, {name} came{near}")

    def _is_known(self, instrument_id: Any) -> bool:
        core, name = self._core, str(instrument_id)
        if name in core.run.instruments or (core.id, name) in core.gate.ledger.by_strategy:
            return True
        is_id = isinstance(instrument_id, InstrumentId)
        return is_id and core.strategy.cache.instrument(instrument_id) is not None

    def own_position(self, instrument_id: InstrumentId) -> Decimal:
        """Signed base units, fees in base currency taken off."""
        return self._core.own_position(str(instrument_id))

    def take_back(self) -> None:
        """Part of every on_start: the events of its orders are its own, whoever gets them."""
        core = self._core
        for order in self.own_orders():
            known = core.strategy.cache.order(order.client_order_id)
            if known is None or str(known.strategy_id) != core.id:
                core.run.lent[str(order.client_order_id)] = core.strategy

    def hand_over(self) -> None:
        """Part of on_start, before the strategy's own; a plain one knows nothing of it."""
        core, strategy = self._core, self._core.strategy
        if strategy._guard_is_plain:
            return
        with core.within("declared"):
            said_of = declared(strategy, core.run.instruments, self._is_known)
        for instrument_id, said in said_of.items():
            core.gate.declare(core.id, str(instrument_id), said)
        orders = self.own_orders()
        self._unproven = {
            str(order.client_order_id): order
            for order in orders
            if not order.is_proven and not strategy.cache.order_exists(order.client_order_id)
        }
        held = core.own_positions().items()
        positions = {
            InstrumentId.from_str(name): quantity
            for name, quantity in held
            if not core.is_flat(name, quantity)
        }
        with core.within("on_recovered"):
            strategy.on_recovered(orders, positions)

    def _own(self, live: CountedOrder) -> OwnOrder:
        """As NautilusTrader has it, else as the journal has it, else as the gate approved it."""
        client_order_id = ClientOrderId(live.client_order_id)
        order = self._core.strategy.cache.order(client_order_id)
        order = order or self._core.parked.get(live.client_order_id)
        known = None if order is not None else self._journaled(live)
        trigger, kind, proven = None, live.kind, False
        price = live.price
        if order is not None:
            facts = order_facts(order)
            kind, price, trigger = facts.kind, facts.price, facts.trigger_price
            proven = order.venue_order_id is not None
        elif known is not None:
            kind, price = known.intent.kind.value, known.intent.price
            trigger, proven = known.intent.trigger_price, known.venue_order_id is not None
        plain = Kind(kind) if kind in Kind else None
        return OwnOrder(
            client_order_id=client_order_id,
            instrument_id=InstrumentId.from_str(live.instrument),
            side=_SIDES[live.side],
            kind=kind,
            role=live.role,
            quantity=live.quantity,
            filled=live.filled,
            price=price,
            trigger_price=trigger,
            trigger_condition=None if plain is None else condition_of(plain, live.side),
            is_proven=proven,
        )

    def _journaled(self, live: CountedOrder) -> JournaledOrder | None:
        journal = self._core.journals.get(live.instrument.rpartition(".")[2])
        return None if journal is None else journal.order(live.client_order_id)

    def waits_for(self, client_order_id: str) -> bool:
        """Whether it is not looked at yet what became of an order of unknown outcome."""
        return client_order_id in self._unproven

    def settle_unproven(self) -> None:
        """Tell the strategy of orders that are proven never to have been there.

        NautilusTrader never had them, so it tells nothing; one that was found comes from it.
        """
        if not self._unproven:
            return
        live, strategy = self._core.gate.ledger.live, self._core.strategy
        for name, order in list(self._unproven.items()):
            if strategy.cache.order_exists(order.client_order_id):
                del self._unproven[name]
            elif name not in live:
                del self._unproven[name]
                strategy.on_order_rejected(self._rejection(order))

    def _rejection(self, order: OwnOrder) -> OrderRejected:
        strategy = self._core.strategy
        now_ns = strategy.clock.timestamp_ns()
        venue = order.instrument_id.venue
        account = strategy.cache.account_id(venue) or AccountId(f"{venue}-main")
        return OrderRejected(
            TraderId(str(strategy.trader_id)),
            StrategyId(self._core.id),
            order.instrument_id,
            order.client_order_id,
            account,
            NEVER_THERE,
            UUID4(),
            now_ns,
            now_ns,
            True,
            False,
        )
