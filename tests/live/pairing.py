"""A strategy that meets what its own order has left: two of one side, one right after the other."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderSide
from nautilus_trader.trading import StrategyConfig

from fairlead import GuardedStrategy, Role

EVERY_NS = 700_000_000
PART = Decimal("0.4")  # of the best level
MOST = Decimal("0.3")


class PairingConfig(StrategyConfig):
    def __init__(self, *, instrument_id: InstrumentId, **native: Any) -> None:
        self.instrument_id = instrument_id


class Pairing(GuardedStrategy):
    """Two market orders, the second as soon as the first is accepted; sells and buys in turn."""

    def __init__(self, config: PairingConfig) -> None:
        super().__init__(config)
        self.name = config.instrument_id
        self.first: Any = None
        self.last_ns = self.count = 0

    def on_start(self) -> None:
        self.subscribe_book_deltas(self.name, BookType.L2_MBP, managed=True)
        self.subscribe_trades(self.name)

    def on_book_deltas(self, _deltas: Any) -> None:
        now = self.clock.timestamp_ns()
        if now - self.last_ns < EVERY_NS:
            return
        book = self.cache.order_book(self.name)
        self.side = OrderSide.BUY if self.count % 2 else OrderSide.SELL
        is_buy = self.side == OrderSide.BUY
        size = book.best_ask_size() if is_buy else book.best_bid_size()
        if size is None or not Decimal("0.01") < size.as_decimal() < MOST:
            return
        self.last_ns, self.count = now, self.count + 1
        self.quantity = self.round_quantity(self.name, size.as_decimal() * PART)
        self.first = self._give()

    def on_order_accepted(self, event: Any) -> None:
        if event.client_order_id == self.first:
            self.first = None
            self._give()

    def _give(self) -> Any:
        order = self.order_factory.market(self.name, self.side, self.quantity)
        self.submit_order(order)
        return order.client_order_id


class Turning(Pairing):
    """One order: it buys, or sells what an earlier run has bought."""

    config_class = PairingConfig

    def on_book_deltas(self, _deltas: Any) -> None:
        if self.count or self.cache.order_book(self.name).best_ask_price() is None:
            return
        self.count = 1
        held = self.own_position(self.name)
        side = OrderSide.SELL if held else OrderSide.BUY
        quantity = self.round_quantity(self.name, held or Decimal("0.0123"))
        order = self.order_factory.market(self.name, side, quantity, reduce_only=bool(held))
        self.submit_order(order)

    def on_order_accepted(self, event: Any) -> None:
        pass


class Keeping(Pairing):
    """Rests a BUY under the market where it has nothing; else it sells what it holds, once and to
    whoever is there, when that is `MUCH` at least."""

    config_class = PairingConfig
    BOOKS = 10
    SIZE, MUCH = Decimal("0.03"), Decimal("0.029")

    def on_book_deltas(self, _deltas: Any) -> None:
        top = self.cache.top_of_book(self.name)
        if top is None:
            return
        self.count += 1
        held = self.own_position(self.name)
        if held > self.MUCH and self.count >= self.BOOKS and self.first is None:
            self._limit(OrderSide.SELL, held, top[0].as_decimal() * Decimal("0.98"), Role.EXIT)
        elif not held and self.count == 1 and not self.own_orders(self.name):
            self._limit(OrderSide.BUY, self.SIZE, top[0].as_decimal() * Decimal("0.99"), Role.ENTRY)

    def _limit(self, side: OrderSide, size: Decimal, price: Any, role: Role) -> None:
        quantity = self.round_quantity(self.name, size)
        at = self.round_price(self.name, side, Decimal(str(price)))
        order = self.order_factory.limit(self.name, side, quantity, at, tags=[role.tag])
        self.first = order.client_order_id
        self.submit_order(order)

    def on_order_accepted(self, event: Any) -> None:
        pass
