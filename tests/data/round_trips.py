"""A strategy that buys and sells all of it again, by what it is told that it holds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderSide
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard import GuardedStrategy


class RoundTripsConfig(StrategyConfig):
    """`size` is bought each time; after so many `trips` it sells `beyond`, once, while flat."""

    def __init__(
        self, *, instrument_id: InstrumentId, size: str, trips: int, beyond: str, **native: Any
    ) -> None:
        self.instrument_id = instrument_id
        self.size, self.beyond = Decimal(size), Decimal(beyond)
        self.trips = trips


class RoundTrips(GuardedStrategy):
    def __init__(self, config: RoundTripsConfig) -> None:
        super().__init__(config)
        self.settings, self.iid, self.done = config, config.instrument_id, 0

    def on_start(self) -> None:
        self.subscribe_book_deltas(self.iid, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: Any) -> None:
        own = self.own_position(self.iid)
        if self.own_orders(self.iid):
            return
        own = self.round_quantity(self.iid, own).as_decimal() if own > 0 else own
        if own > 0:
            self.done += 1
            self._send(OrderSide.SELL, own)
        elif self.done < self.settings.trips:
            self._send(OrderSide.BUY, self.settings.size)
        elif self.done == self.settings.trips and own == 0:
            self.done += 1
            self._send(OrderSide.SELL, self.settings.beyond)

    def _send(self, side: OrderSide, size: Decimal) -> None:
        quantity = self.round_quantity(self.iid, size)
        self.submit_order(self.order_factory.market(self.iid, side, quantity))
