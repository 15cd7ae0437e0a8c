"""A strategy that keeps orders of every kind in flight, to be killed at any moment."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderSide
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard import GuardedStrategy


class HammerConfig(StrategyConfig):
    """`every_ms` between actions; `seed` of what is done; `idle` does nothing."""

    instrument_id: InstrumentId
    every_ms: int
    seed: int
    idle: bool

    def __init__(
        self,
        *,
        instrument_id: InstrumentId,
        every_ms: int = 20,
        seed: int = 1,
        idle: bool = False,
        **native: Any,
    ) -> None:
        self.instrument_id = instrument_id
        self.every_ms = every_ms
        self.seed = seed
        self.idle = idle


class Hammer(GuardedStrategy):
    config_class = HammerConfig

    def __init__(self, config: HammerConfig) -> None:
        super().__init__(config)
        self.random = random.Random(config.seed)
        self.name = config.instrument_id

    def on_start(self) -> None:
        self.subscribe_book_deltas(self.name, BookType.L2_MBP, managed=True)
        self.subscribe_trades(self.name)
        if not self.config.idle:
            every = timedelta(milliseconds=self.config.every_ms)
            self.clock.set_timer("hammer", every)

    def on_time_event(self, event: Any) -> None:
        top = self.cache.top_of_book(self.name)
        if top is None:
            return
        bid, ask = top[0].as_decimal(), top[2].as_decimal()
        choice = self.random.random()
        if choice < 0.35:
            self._limit(bid, ask)
        elif choice < 0.55:
            self._market()
        elif choice < 0.75:
            self._stop(bid, ask)
        elif choice < 0.85:
            orders = self.cache.orders_open(strategy_id=self.strategy_id)
            if orders:
                self.cancel_order(self.random.choice(orders).client_order_id)
        elif choice < 0.95:
            self._pair(bid, ask)
        else:
            self.cancel_all_orders(self.name)

    def _instrument(self) -> Any:
        return self.cache.instrument(self.name)

    def _size(self) -> Any:
        units = Decimal(self.random.randint(10, 40)) / 10_000
        return self._instrument().make_qty(units)

    def _side(self) -> Any:
        return OrderSide.BUY if self.random.random() < 0.5 else OrderSide.SELL

    def _price(self, side: Any, bid: Decimal, ask: Decimal) -> Any:
        away = Decimal(self.random.randint(-2, 30)) / 10_000
        value = bid * (1 - away) if side == OrderSide.BUY else ask * (1 + away)
        return self._instrument().make_price(value)

    def _limit(self, bid: Decimal, ask: Decimal) -> None:
        side = self._side()
        order = self.order_factory.limit(self.name, side, self._size(), self._price(side, bid, ask))
        self.submit_order(order)

    def _market(self) -> None:
        self.submit_order(self.order_factory.market(self.name, self._side(), self._size()))

    def _pair(self, bid: Decimal, ask: Decimal) -> None:
        orders = []
        for side in (OrderSide.BUY, OrderSide.SELL):
            price = self._price(side, bid, ask)
            orders.append(self.order_factory.limit(self.name, side, self._size(), price))
        self.submit_order_list(orders)

    def _stop(self, bid: Decimal, ask: Decimal) -> None:
        side = self._side()
        condition = "gte" if self.random.random() < 0.5 else "lte"
        above = Decimal(self.random.randint(3, 15)) / 10_000
        middle = (bid + ask) / 2
        trigger = middle * (1 + above) if condition == "gte" else middle * (1 - above)
        slack = Decimal("0.002")
        limit = trigger * (1 + slack) if side == OrderSide.BUY else trigger * (1 - slack)
        make = self._instrument().make_price
        self.stop_limit(self.name, side, self._size(), make(trigger), make(limit), condition)
