"""A strategy that buys once at the market, and leaves in its on_stop by one of the ways."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderSide
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard import GuardedStrategy

QUANTITY = Decimal("0.01")


class LeavingConfig(StrategyConfig):
    """`how` is a method of NautilusTrader's, or "" for none; `told` a file for what it heard."""

    def __init__(
        self, *, instrument_id: InstrumentId, how: str = "", told: str = "", **native: Any
    ) -> None:
        self.instrument_id = instrument_id
        self.how = how
        self.told = told


class Leaving(GuardedStrategy):
    config_class = LeavingConfig

    def __init__(self, config: LeavingConfig) -> None:
        super().__init__(config)
        self._c = config
        self._is_in = False

    def on_start(self) -> None:
        self._tell("start")
        self.subscribe_book_deltas(self._c.instrument_id, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: Any) -> None:
        if not self._is_in and self.cache.top_of_book(self._c.instrument_id) is not None:
            self._is_in = True
            size = self.cache.instrument(self._c.instrument_id).make_qty(QUANTITY)
            order = self.order_factory.market(self._c.instrument_id, OrderSide.BUY, size)
            self.submit_order(order)

    def on_order_filled(self, event: Any) -> None:
        self._tell("filled")

    def on_stop(self) -> None:
        self._tell("stop")
        if self._c.how == "market_exit":
            self.market_exit()
        elif self._c.how == "close_all_positions":
            self.close_all_positions(self._c.instrument_id)

    def _tell(self, what: str) -> None:
        with Path(self._c.told).open("a") as file:
            file.write(f"{what}\n")
