"""Strategies that rest one order of a role, and write down what a restart gives them back."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderSide
from nautilus_trader.trading import Strategy, StrategyConfig

from fairlead.engine.guard import GuardedStrategy
from fairlead.engine.orders.model import Role

PARTS = (97, 96, 95)  # of the price, in per cent: trigger, limit, quote


class TakingConfig(StrategyConfig):
    """`seen` is the file that gets what the strategy finds; `rests` whether it sends its orders."""

    def __init__(
        self,
        *,
        instrument_id: InstrumentId,
        seen: str,
        rests: bool = False,
        takes: str = "0.001",
        each: str = "0.0009",
        unasked: str = "one",
        **native: Any,
    ) -> None:
        self.takes = takes  # bought at the market
        self.each = each  # of the orders that rest
        self.unasked = unasked  # how what passes no gate is asked for
        self.instrument_id = instrument_id
        self.seen = seen
        self.rests = rests


class Taking(GuardedStrategy):
    """Buys at the market, then rests a stop under what it bought and a quote below the market."""

    config_class = TakingConfig

    def __init__(self, config: TakingConfig) -> None:
        super().__init__(config)
        self.name = config.instrument_id
        self.events: list[str] = []
        self.told: dict[str, Any] = {}

    def on_recovered(self, orders: Any, positions: Any) -> None:
        self.events.append("recovered")
        self.told = {
            "orders": [
                {
                    "id": str(order.client_order_id),
                    "side": order.side.name,
                    "kind": order.kind,
                    "role": order.role,
                    "quantity": str(order.quantity),
                    "filled": str(order.filled),
                    "price": str(order.price),
                    "trigger": str(order.trigger_price),
                    "proven": order.is_proven,
                }
                for order in orders
            ],
            "positions": {str(name): str(quantity) for name, quantity in positions.items()},
        }

    def on_start(self) -> None:
        self.events.append("start")
        self._write()
        self.subscribe_book_deltas(self.name, BookType.L2_MBP, managed=True)
        self.subscribe_trades(self.name)
        self.sent = not self.config.rests

    def on_book_deltas(self, deltas: Any) -> None:
        if self.sent or self.cache.top_of_book(self.name) is None:
            return
        self.sent = True
        quantity = self.round_quantity(self.name, self.config.takes)
        self.submit_order(self.order_factory.market(self.name, OrderSide.BUY, quantity))

    def on_order_filled(self, event: Any) -> None:
        if not self.config.rests or self.events[-1] == "rested":
            return
        self.events.append("rested")
        price = event.last_px.as_decimal()
        at = [self.round_price(self.name, OrderSide.SELL, price * part / 100) for part in PARTS]
        size = self.round_quantity(self.name, self.config.each)
        self.stop_limit(self.name, OrderSide.SELL, size, at[0], at[1], role=Role.STOP)
        self.submit_order(
            self.order_factory.limit(self.name, OrderSide.BUY, size, at[2], tags=[Role.QUOTE.tag])
        )

    def on_order_rejected(self, event: Any) -> None:
        self.events.append(f"rejected {event.client_order_id}")
        self._write()

    def on_order_accepted(self, event: Any) -> None:
        self.events.append(f"accepted {event.client_order_id}")
        self._write()

    def _write(self) -> None:
        found = Path(self.config.seen)
        partial = found.with_suffix(".partial")
        partial.write_text(json.dumps({"events": self.events, **self.told}))
        partial.replace(found)


class Plain(Strategy):
    """Any NautilusTrader strategy: it asks the cache, and cancels what it finds."""

    config_class = TakingConfig

    def __init__(self, config: TakingConfig) -> None:
        super().__init__(config)

    def on_start(self) -> None:
        orders = self.cache.orders_open(strategy_id=self.strategy_id)
        positions = self.cache.positions_open(strategy_id=self.strategy_id)
        found = {
            "orders": sorted(str(order.client_order_id) for order in orders),
            "positions": [str(position.quantity) for position in positions],
        }
        Path(self.config.seen).write_text(json.dumps(found))
        for order in orders:
            self.cancel_order(order.client_order_id)


class Cancelling(Taking):
    """Cancels what it gets back, when the market is there."""

    config_class = TakingConfig

    def on_book_deltas(self, deltas: Any) -> None:
        if self.events[-1] == "start":
            self.events.append("cancelling")
            for order in self.own_orders():
                self.cancel_order(order.client_order_id)

    def on_order_canceled(self, event: Any) -> None:
        self.events.append(f"canceled {event.client_order_id}")
        self._write()


class SilentConfig(StrategyConfig):
    def __init__(self, *, seen: str, rests: bool = False, **native: Any) -> None:
        self.seen = seen


class Silent(Plain):
    """Its params name no instrument."""

    config_class = SilentConfig

    def __init__(self, config: Any) -> None:
        super().__init__(config)


class Rogue(Taking):
    """Sends an order past its own guard."""

    def on_book_deltas(self, deltas: Any) -> None:
        if self.events[-1] != "gone" and self.cache.top_of_book(self.name) is not None:
            self.events.append("gone")
            quantity = self.round_quantity(self.name, self.config.takes)
            order = self.order_factory.market(self.name, OrderSide.BUY, quantity)
            Strategy.submit_order(self, order)


class Changing(Taking):
    """Changes what it rests: as the gate approves, as it refuses, and last past the gate."""

    config_class = TakingConfig

    def __init__(self, config: TakingConfig) -> None:
        super().__init__(config)
        self.denied: list[str] = []

    def on_gate_denied(self, order: Any, denial: Any) -> None:
        self.denied.append(denial.code)

    def on_order_accepted(self, event: Any) -> None:
        own = {one.kind: one for one in self.own_orders(self.name) if one.is_proven}
        if {"LIMIT", "STOP_LIMIT"} <= own.keys() and not self.denied:
            self.quote, self.rest = own["LIMIT"], own["STOP_LIMIT"]
            self._refused()
            lower = self._share(self.quote.price, "0.999")
            self.modify_order(self.quote.client_order_id, price=lower)

    def _refused(self) -> None:
        """Each of price, quantity and trigger, alone and several at once."""
        quote, stop = self.quote, self.rest
        more = self.round_quantity(self.name, "0.5")
        far, above = self._share(quote.price, "1.2"), self._share(stop.trigger_price, "1.2")
        self.modify_order(quote.client_order_id, price=far)
        self.modify_order(quote.client_order_id, quantity=more)
        self.modify_order(stop.client_order_id, trigger_price=above)
        self.modify_orders([(quote.client_order_id, more, None, None)])

    def _share(self, price: Any, share: str) -> Any:
        return self.round_price(self.name, OrderSide.BUY, price * Decimal(share))

    def on_order_updated(self, event: Any) -> None:
        self.told = {"denied": self.denied}
        self._write()
        name, unasked = self.quote.client_order_id, self._share(self.quote.price, "0.99")
        if self.config.unasked == "one":
            Strategy.modify_order(self, name, price=unasked)
        else:
            Strategy.modify_orders(self, [(name, None, unasked, None)])
