"""A strategy that follows a list of steps: [[ms after the first data, verb, ...], ...] as JSON."""

from __future__ import annotations

import json
from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderSide, Price, Quantity, TriggerType
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard import GuardedStrategy

MS_NS = 1_000_000


class ScriptedConfig(StrategyConfig):
    def __init__(self, *, instrument_id: InstrumentId, script: str, **native: Any) -> None:
        self.instrument_id = instrument_id
        self.script = script


class Scripted(GuardedStrategy):
    """`seen` has the book at each step "book": (bids, asks), price to size as text."""

    config_class = ScriptedConfig

    def __init__(self, config: ScriptedConfig) -> None:
        super().__init__(config)
        self.name = config.instrument_id
        self.steps: list[list[Any]] = json.loads(config.script)
        self.began_ns = 0
        self.seen: list[tuple[dict[str, str], dict[str, str]]] = []
        self.refused: list[str] = []

    def on_start(self) -> None:
        self.subscribe_book_deltas(self.name, BookType.L2_MBP, managed=True)
        self.subscribe_trades(self.name)

    def on_book_deltas(self, deltas: Any) -> None:
        self._tick()

    def on_trade(self, trade: Any) -> None:
        self._tick()

    def on_gate_denied(self, order: Any, denial: Any) -> None:
        self.refused.append(denial.code)

    def _tick(self) -> None:
        now = self.clock.timestamp_ns()
        self.began_ns = self.began_ns or now
        while self.steps and now - self.began_ns >= self.steps[0][0] * MS_NS:
            _, verb, *given = self.steps.pop(0)
            getattr(self, f"_do_{verb}")(*given)

    def _do_book(self) -> None:
        book = self.cache.order_book(self.name)
        sides = (book.bids(), book.asks()) if book is not None else ((), ())
        bids, asks = ({str(one.price): str(one.size()) for one in side} for side in sides)
        self.seen.append((bids, asks))

    def _do_market(self, side: str, quantity: str) -> None:
        where = (self.name, getattr(OrderSide, side), Quantity.from_str(quantity))
        self.submit_order(self.order_factory.market(*where))

    def _do_limit(self, side: str, quantity: str, price: str) -> None:
        where = (
            self.name,
            getattr(OrderSide, side),
            Quantity.from_str(quantity),
            Price.from_str(price),
        )
        self.submit_order(self.order_factory.limit(*where))

    def _do_stop(
        self, side: str, quantity: str, trigger: str, limit: str, condition: str | None = None
    ) -> None:
        self.stop_limit(
            self.name,
            getattr(OrderSide, side),
            Quantity.from_str(quantity),
            Price.from_str(trigger),
            Price.from_str(limit),
            trigger_condition=condition,
        )

    def _do_bare(self, side: str, quantity: str, trigger: str) -> None:
        """A stop without a limit, that waits for bid and ask."""
        where = (self.name, getattr(OrderSide, side), Quantity.from_str(quantity))
        order = self.order_factory.stop_market(
            *where, Price.from_str(trigger), trigger_type=TriggerType.BID_ASK
        )
        self.submit_order(order)

    def _do_reprice(self, price: str) -> None:
        (order,) = self.cache.orders_open(instrument_id=self.name)
        self.modify_order(order.client_order_id, price=Price.from_str(price))
