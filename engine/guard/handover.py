"""What a strategy has when it starts: its live orders, with their roles, and its positions.

A run that was killed leaves orders at the venue. The journal knows whose they are and what for;
the gate counts them from the first moment; here the strategy gets them back, before its `on_start`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
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

from engine.orders.journal import Journal, JournaledOrder
from engine.orders.model import Kind, Role, Side, TriggerCondition
from engine.orders.trigger import condition_of
from engine.risk.facts import Declared, LiveOrder
from engine.risk.gate import RiskGate
from engine.risk.view import order_facts

_SIDES = {Side.BUY: OrderSide.BUY, Side.SELL: OrderSide.SELL}
NEVER_THERE = "ABSENT-PROVEN: its outcome was unknown at the start, and the venue never had it"


class OwnOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One live order of a strategy. Quantities are base units, prices quote currency.

    `kind` is NautilusTrader's name of the order type. Not `is_proven`: it was sent, and nothing
    shows yet whether the venue has it; then NautilusTrader's cache may not know it either.
    """

    client_order_id: ClientOrderId
    instrument_id: InstrumentId
    side: OrderSide
    kind: str
    role: Role
    quantity: Decimal
    filled: Decimal
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    trigger_condition: TriggerCondition | None = None
    is_proven: bool = True

    @property
    def remaining(self) -> Decimal:
        return max(self.quantity - self.filled, Decimal(0))


class HandOverMixin:
    """The part of a guarded strategy that gives it back what is its own."""

    _guard_gate: RiskGate | None
    _guard_id: str
    _guard_journals: Mapping[str, Journal]
    _guard_unproven: dict[str, OwnOrder] | None = None  # handed over, of unknown outcome

    # To override

    def declared(self) -> Mapping[InstrumentId, Declared]:
        """What the account holds and hands to this strategy, by instrument; asked once, at start.

        Its exits may sell that besides its position; without `may_short` it never sells more.
        """
        return {}

    def on_recovered(
        self, orders: Sequence[OwnOrder], positions: Mapping[InstrumentId, Decimal]
    ) -> None:
        """Called before `on_start`, with every live order of this strategy, oldest first, and its
        positions (signed base units, fees in base currency taken off); both empty at a first start.

        From here on it has to manage these orders like those that it sends itself. One that is not
        `is_proven` can't be cancelled yet; what becomes of it comes to `on_order_*`: when it is
        proven that the venue never had it, to `on_order_rejected`.
        """

    # To ask

    def own_orders(self, instrument_id: InstrumentId | None = None) -> list[OwnOrder]:
        """This strategy's live orders now, those of unknown outcome too, oldest first."""
        assert self._guard_gate is not None
        wanted = None if instrument_id is None else str(instrument_id)
        return [
            self._guard_own(live)
            for live in self._guard_gate.ledger.live.values()
            if live.strategy == self._guard_id and wanted in (None, live.instrument)
        ]

    def own_position(self, instrument_id: InstrumentId) -> Decimal:
        """Signed base units, fees in base currency taken off."""
        assert self._guard_gate is not None
        key = (self._guard_id, str(instrument_id))
        ledger = self._guard_gate.ledger
        return ledger.by_strategy.get(key, Decimal(0)) - ledger.base_fees.get(key, Decimal(0))

    # Machinery

    def _guard_take_back(self: Any) -> None:
        """Part of every on_start: the events of its orders are its own, whoever gets them."""
        for order in HandOverMixin.own_orders(self):
            known = self.cache.order(order.client_order_id)
            if known is None or str(known.strategy_id) != self._guard_id:
                self._guard_run.lent[str(order.client_order_id)] = self

    def _guard_hand_over(self: Any) -> None:
        """Part of on_start, before the strategy's own."""
        for instrument_id, declared in self.declared().items():
            self._guard_gate.declare(self._guard_id, str(instrument_id), declared)
        orders = self.own_orders()
        self._guard_unproven = {
            str(order.client_order_id): order
            for order in orders
            if not order.is_proven and not self.cache.order_exists(order.client_order_id)
        }
        positions = {iid: self.own_position(iid) for iid in self._guard_held()}
        self.on_recovered(orders, positions)

    def _guard_held(self) -> Iterator[InstrumentId]:
        assert self._guard_gate is not None
        for (strategy, instrument), quantity in self._guard_gate.ledger.by_strategy.items():
            if strategy == self._guard_id and quantity:
                yield InstrumentId.from_str(instrument)

    def _guard_own(self: Any, live: LiveOrder) -> OwnOrder:
        """As NautilusTrader has it, else as the journal has it, else as the gate approved it."""
        client_order_id = ClientOrderId(live.client_order_id)
        order = self.cache.order(client_order_id)
        known = None if order is not None else self._guard_journaled(live)
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

    def _guard_journaled(self, live: LiveOrder) -> JournaledOrder | None:
        journal = self._guard_journals.get(live.instrument.rpartition(".")[2])
        return None if journal is None else journal.order(live.client_order_id)

    def _guard_settle_unproven(self: Any) -> None:
        """Tell the strategy of orders that are proven never to have been there.

        NautilusTrader never had them, so it tells nothing; one that was found comes from it.
        """
        live, waiting = self._guard_gate.ledger.live, self._guard_unproven
        for name, order in list(waiting.items()):
            if self.cache.order_exists(order.client_order_id):
                del waiting[name]
            elif name not in live:
                del waiting[name]
                self.on_order_rejected(self._guard_rejection(order))

    def _guard_rejection(self: Any, order: OwnOrder) -> OrderRejected:
        now_ns = self.clock.timestamp_ns()
        venue = order.instrument_id.venue
        account = self.cache.account_id(venue) or AccountId(f"{venue}-main")
        return OrderRejected(
            TraderId(str(self.trader_id)),
            StrategyId(self._guard_id),
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
