"""A strategy whose one bid outlives its runs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderSide
from nautilus_trader.trading import StrategyConfig

from fairlead import GuardedStrategy


class KeptBidConfig(StrategyConfig):
    """`at` is its price, as a part of the best bid that was first."""

    def __init__(
        self, *, instrument_id: InstrumentId, quantity: str, at: str, **native: Any
    ) -> None:
        self.instrument_id = instrument_id
        self.quantity = quantity
        self.at = at


class KeptBid(GuardedStrategy):
    def __init__(self, config: KeptBidConfig) -> None:
        super().__init__(config)
        self.name = config.instrument_id
        self.has = False

    def on_recovered(self, orders: Any, positions: Any) -> None:
        self.has = bool(orders or positions)

    def on_start(self) -> None:
        self.subscribe_book_deltas(self.name, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, _deltas: Any) -> None:
        bid = self.cache.order_book(self.name).best_bid_price()
        if self.has or bid is None:
            return
        self.has = True
        side, price = OrderSide.BUY, bid.as_decimal() * Decimal(self.config.at)
        self.submit_order(
            self.order_factory.limit(
                self.name,
                side,
                self.round_quantity(self.name, self.config.quantity),
                self.round_price(self.name, side, price),
            )
        )
