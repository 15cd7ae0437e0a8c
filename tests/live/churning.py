"""A strategy that sends one order after another, cancels what rests, and looks at old ones."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderSide
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard import GuardedStrategy
from fairlead.engine.guard.denied import NoOrder

OLD = 3  # orders that are sent after one before it is asked for, at least


class ChurningConfig(StrategyConfig):
    """`seen` is a file for what it sees, written whole after each order that is over."""

    def __init__(
        self, *, instrument_id: InstrumentId, seen: str, quantity: str = "0.001", **native: Any
    ) -> None:
        self.instrument_id = instrument_id
        self.seen = seen
        self.quantity = quantity


class Churning(GuardedStrategy):
    config_class = ChurningConfig

    def __init__(self, config: ChurningConfig) -> None:
        super().__init__(config)
        self.name = config.instrument_id
        self.mine: list[Any] = []
        self.over: list[Any] = []
        self.filled = Decimal(0)
        self.first: Any = None

    def on_start(self) -> None:
        self.subscribe_book_deltas(self.name, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: Any) -> None:
        top = self.cache.top_of_book(self.name)
        mine = {"strategy_id": self.strategy_id}
        if top is None or self.cache.orders_inflight(**mine):
            return
        if resting := self.cache.orders_open(**mine):
            for order in resting:
                if not order.is_pending_cancel:
                    self.cancel_order(order.client_order_id)
            return
        if self.mine and self.mine[-1] not in self.over:
            return
        instrument = self.cache.instrument(self.name)
        size = instrument.make_qty(Decimal(self.config.quantity))
        if len(self.mine) % 3 == 2:
            order = self.order_factory.market(self.name, OrderSide.BUY, size)
        else:
            price = instrument.make_price(top[0].as_decimal() * Decimal("0.97"))
            order = self.order_factory.limit(self.name, OrderSide.BUY, size, price)
        self.submit_order(order)
        self.first = self.first or order
        self.mine.append(order.client_order_id)

    def on_order_filled(self, event: Any) -> None:
        self.filled += event.last_qty.as_decimal()
        if self.cache.is_order_closed(event.client_order_id):
            self._over(event)

    def on_order_canceled(self, event: Any) -> None:
        self._over(event)

    def on_order_rejected(self, event: Any) -> None:
        self._over(event)

    def on_order_denied(self, event: Any) -> None:
        self._over(event)

    def on_gate_denied(self, order: Any, denial: Any) -> None:
        if not isinstance(order, NoOrder):  # what it asked of one that is gone
            self.mine.remove(order.client_order_id)

    def _over(self, event: Any) -> None:
        self.over.append(event.client_order_id)
        gone = [one for one in self.over[:-OLD] if self.cache.order(one) is None]
        for one in gone[-1:]:  # what a strategy may ask of an order that it still has in mind
            self.cancel_order(one)
            self.cancel_orders([one])
            self.modify_order(one, quantity=self.first.quantity)
            self.query_order(self.first)
        seen = {
            "sent": len(self.mine),
            "gone": len(gone),
            "first": [str(one) for one in gone[:1]],
            "closed": [self.cache.is_order_closed(one) for one in gone[:1]],
            "cached": len(self.cache.orders()),
            "others": sorted(
                str(one.client_order_id)
                for one in self.cache.orders()
                if one.client_order_id not in self.mine
            ),
            "filled": str(self.filled),
            "net": str(self.portfolio.net_position(self.name)),
        }
        beside = Path(f"{self.config.seen}.new")
        beside.write_text(json.dumps(seen))
        os.replace(beside, self.config.seen)
