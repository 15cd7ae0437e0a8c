"""Strategies that know what they can not know: they read the recording that they are tested on."""

from __future__ import annotations

import random
from typing import Any

from nautilus_trader.model import InstrumentId, OrderSide, Quantity, TradeTick
from nautilus_trader.persistence import ParquetDataCatalog
from nautilus_trader.trading import StrategyConfig

from fairlead import GuardedStrategy

LOOK_NS = 3_000_000_000


class SeerConfig(StrategyConfig):
    def __init__(
        self, *, instrument_id: InstrumentId, data: str = "", way: str = "later", **native: Any
    ) -> None:
        self.instrument_id = instrument_id
        self.data = data
        self.way = way


class Seer(GuardedStrategy):
    """Buys at most once a second. `later`: when the price is higher three seconds later; `whole`:
    when it is below the mean of the whole recording; `chance`: by lot, and no look at all;
    `honest`: after a rise."""

    def __init__(self, config: SeerConfig) -> None:
        super().__init__(config)
        self._instrument_id, self._way = config.instrument_id, config.way
        self._trades = []
        if config.data:
            catalog = ParquetDataCatalog(config.data)
            self._trades = list(catalog.query_trade_ticks([str(config.instrument_id)]))
        self._last = 0.0
        self._next = 0

    def on_start(self) -> None:
        self.subscribe_trades(self._instrument_id)

    def on_trade(self, trade: TradeTick) -> None:
        now, price = self.clock.timestamp_ns(), float(trade.price)
        is_wanted, self._last = self._wants(now, price), price
        if now >= self._next and is_wanted:
            self._next = now + 1_000_000_000
            order = self.order_factory.market(
                self._instrument_id, OrderSide.BUY, Quantity.from_str("0.001")
            )
            self.submit_order(order)

    def _wants(self, now: int, price: float) -> bool:
        if self._way == "later":
            later = (one for one in self._trades if one.ts_init >= now + LOOK_NS)
            return any(float(one.price) > price for one in list(later)[:1])
        if self._way == "whole":
            prices = [float(one.price) for one in self._trades]
            return price < sum(prices) / len(prices)
        if self._way == "chance":
            return random.random() < 0.5
        return price > self._last > 0
