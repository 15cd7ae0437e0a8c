"""A strategy that ends its run itself after so many books: a target that was reached."""

from __future__ import annotations

from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderSide, Quantity
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard import GuardedStrategy


class EndingConfig(StrategyConfig):
    """`ends_after`: books; 0: never. `every`: books between two orders."""

    def __init__(
        self, *, instrument_id: InstrumentId, ends_after: int, every: int = 7, **native: Any
    ) -> None:
        self.instrument_id = instrument_id
        self.ends_after = ends_after
        self.every = every


class Ending(GuardedStrategy):
    """Buys and sells by turns; what it has when it ends the run it keeps."""

    config_class = EndingConfig

    def __init__(self, config: EndingConfig) -> None:
        super().__init__(config)
        self.asked = config
        self.books = 0
        self.side = OrderSide.BUY

    def on_start(self) -> None:
        self.subscribe_book_deltas(self.asked.instrument_id, BookType.L2_MBP)

    def on_book_deltas(self, deltas: Any) -> None:
        self.books += 1
        if self.books == self.asked.ends_after:
            self.shutdown_system("target reached")
        elif self.books % self.asked.every == 0:
            quantity = Quantity.from_str("0.010")
            name = self.asked.instrument_id
            self.submit_order(self.order_factory.market(name, self.side, quantity))
            self.side = OrderSide.SELL if self.side == OrderSide.BUY else OrderSide.BUY
