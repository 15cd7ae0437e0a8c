"""Strategies that send one order which waits, at the first that they hear."""

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


class OneBare(OneOrder):
    """Without a limit: a stop-market, or a market-if-touched order."""

    def on_book_deltas(self, deltas: Any) -> None:
        if self._sent:
            return
        self._sent, c = True, self._c
        instrument = self.cache.instrument(c.instrument_id)
        side = OrderSide.SELL if c.side == "SELL" else OrderSide.BUY
        is_stop = (c.side == "BUY") == (c.condition == "gte")
        build = self.order_factory.stop_market if is_stop else self.order_factory.market_if_touched
        trigger = instrument.make_price(c.trigger)
        self.submit_order(build(c.instrument_id, side, instrument.make_qty(1), trigger))
