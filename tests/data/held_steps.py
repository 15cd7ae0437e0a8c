"""A strategy that sends one stop-limit or if-touched order at its first book."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderSide
from nautilus_trader.trading import StrategyConfig

from fairlead import GuardedStrategy


class OneOrderConfig(StrategyConfig):
    def __init__(
        self,
        *,
        instrument_id: InstrumentId,
        side: str,
        trigger: Decimal,
        limit: Decimal,
        condition: str,
        **native: Any,
    ) -> None:
        self.instrument_id, self.side, self.condition = instrument_id, side, condition
        self.trigger, self.limit = trigger, limit


class OneOrder(GuardedStrategy):
    config_class = OneOrderConfig

    def __init__(self, config: OneOrderConfig) -> None:
        super().__init__(config)
        self._c, self._sent = config, False

    def on_start(self) -> None:
        self.subscribe_book_deltas(self._c.instrument_id, BookType.L2_MBP, managed=True)
        self.subscribe_trades(self._c.instrument_id)

    def on_trade(self, trade: Any) -> None:
        if self._sent:
            return
        self._sent, c = True, self._c
        instrument = self.cache.instrument(c.instrument_id)
        self.stop_limit(
            c.instrument_id,
            OrderSide.SELL if c.side == "SELL" else OrderSide.BUY,
            instrument.make_qty(1),
            instrument.make_price(c.trigger),
            instrument.make_price(c.limit),
            trigger_condition=c.condition,
        )
