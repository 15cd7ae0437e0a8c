"""A strategy with a stop on either side of the last trade; it ends the run when one has filled."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.model import OrderSide

from tests.live.scripted import Scripted, ScriptedConfig

AWAY = Decimal("0.02")  # of the trigger: where the limits are


class Stopping(Scripted):
    config_class = ScriptedConfig

    def __init__(self, config: ScriptedConfig) -> None:
        super().__init__(config)
        self.heard: list[str] = []

    def on_trade(self, trade: Any) -> None:
        if self.began or self.cache.top_of_book(self.name) is None:
            return
        self.began = True
        instrument = self.cache.instrument(self.name)
        tick = instrument.price_increment.as_decimal()
        for side, sign in ((OrderSide.BUY, 1), (OrderSide.SELL, -1)):
            trigger = trade.price.as_decimal() + sign * tick
            limit = instrument.make_price(trigger * (1 + sign * AWAY))
            self.stop_limit(self.name, side, self.size(), instrument.make_price(trigger), limit)

    def on_book_deltas(self, deltas: Any) -> None:
        """Nothing is done by the book."""

    def on_order_rejected(self, event: Any) -> None:
        """The market passed it on its way: a market that goes on so would never reach the other."""
        super().on_order_rejected(event)
        self.began = False

    def on_order_triggered(self, event: Any) -> None:
        self._mark("triggered")

    def on_order_filled(self, event: Any) -> None:
        super().on_order_filled(event)
        self.shutdown_system("a stop was filled")
