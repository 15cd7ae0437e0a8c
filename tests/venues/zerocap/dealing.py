"""A strategy that deals: a limit that fills, one that is killed, a market order, one that rests."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderSide, TimeInForce
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard import GuardedStrategy


class DealingConfig(StrategyConfig):
    """`seen` is the file that gets what becomes of the orders, a line each."""

    def __init__(self, *, instrument_id: InstrumentId, seen: str, **native: Any) -> None:
        self.instrument_id = instrument_id
        self.seen = seen


class Dealing(GuardedStrategy):
    """Each order is sent when the one before has ended."""

    config_class = DealingConfig

    def __init__(self, config: DealingConfig) -> None:
        super().__init__(config)
        self.name = config.instrument_id
        self.step = 0
        self.is_asked = False

    def on_start(self) -> None:
        self.subscribe_book_deltas(self.name, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: Any) -> None:
        if not self.is_asked and self.cache.top_of_book(self.name) is not None:
            self.is_asked = True
            quantity = self.round_quantity(self.name, "3000")
            self.request_quote(self.name, OrderSide.BUY, quantity, self._quoted)

    def _quoted(self, quoted: Any) -> None:
        covers = self.price_for(self.name, OrderSide.BUY, self.round_quantity(self.name, "3000"))
        assert covers is not None
        assert abs(quoted.price / covers - 1) < Decimal("0.01")
        self._next()

    def _next(self) -> None:
        self.step += 1
        steps = {1: self._fills, 2: self._killed, 3: self._market, 4: self._rests}
        if self.step in steps:
            steps[self.step]()

    def _limit(self, side: OrderSide, part: str, tif: TimeInForce) -> None:
        quantity = self.round_quantity(self.name, "3000")  # the second tier
        covers = self.price_for(self.name, side, quantity)
        assert covers is not None
        price = self.round_price(self.name, side, covers * Decimal(part))
        order = self.order_factory.limit(self.name, side, quantity, price, time_in_force=tif)
        if self.submit_order(order) is None and tif == TimeInForce.GTC:
            self._tell("denied", order)

    def _fills(self) -> None:
        self._limit(OrderSide.BUY, "1.01", TimeInForce.FOK)

    def _killed(self) -> None:
        self._limit(OrderSide.BUY, "0.99", TimeInForce.FOK)

    def _market(self) -> None:
        quantity = self.round_quantity(self.name, "50")
        self.submit_order(self.order_factory.market(self.name, OrderSide.SELL, quantity))

    def _rests(self) -> None:
        self._limit(OrderSide.BUY, "0.99", TimeInForce.GTC)

    # -- what becomes of them ----------------------------------------------------------------------

    def on_order_filled(self, event: Any) -> None:
        self._tell("filled", event, price=str(event.last_px), quantity=str(event.last_qty))
        self._next()

    def on_order_rejected(self, event: Any) -> None:
        self._tell("rejected", event, reason=str(event.reason))
        self._next()

    def on_order_canceled(self, event: Any) -> None:
        """A limit that can't be filled at once is killed, in every mode."""
        self._tell("canceled", event)
        self._next()

    def on_order_denied(self, event: Any) -> None:
        self._tell("denied", event, reason=str(event.reason))

    def _tell(self, what: str, event: Any, **more: str) -> None:
        line = {"what": what, "id": str(event.client_order_id), **more}
        with Path(self.config.seen).open("a") as file:
            file.write(json.dumps(line) + "\n")
