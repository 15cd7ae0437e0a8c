"""A strategy that buys once at the market, puts one stop under it, and sends no other."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderSide
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard import GuardedStrategy
from fairlead.engine.orders.model import Role
from tests.live.desk import INSTRUMENT, QUICK, Desk
from tests.support import configs

BELOW = Decimal("0.91")  # of what was paid


class StoppedOnceConfig(StrategyConfig):
    """`quantity` base units."""

    def __init__(
        self, *, instrument_id: InstrumentId, quantity: str = "0.001", **native: Any
    ) -> None:
        self.instrument_id = instrument_id
        self.quantity = Decimal(quantity)


class StoppedOnce(GuardedStrategy):
    config_class = StoppedOnceConfig

    def __init__(self, config: StoppedOnceConfig) -> None:
        super().__init__(config)
        self.name = config.instrument_id
        self.has_bought = self.has_stop = False

    def on_start(self) -> None:
        self.subscribe_book_deltas(self.name, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: Any) -> None:
        if not self.has_bought and self.cache.top_of_book(self.name) is not None:
            self.has_bought = True
            size = self.round_quantity(self.name, self.config.quantity)
            order = self.order_factory.market(self.name, OrderSide.BUY, size, tags=[Role.ENTRY.tag])
            self.submit_order(order)

    def on_order_filled(self, event: Any) -> None:
        if self.has_stop or event.order_side != OrderSide.BUY:
            return
        self.has_stop = True
        price = self.round_price(self.name, OrderSide.SELL, event.last_px.as_decimal() * BELOW)
        held = self.round_quantity(self.name, self.own_position(self.name))
        self.stop_limit(self.name, OrderSide.SELL, held, price, price, role=Role.STOP)


class Raising(StoppedOnce):
    """Fails once its stop rests."""

    def on_order_accepted(self, event: Any) -> None:
        if self.has_stop:
            raise ValueError("the test's own")


def once(desk: Desk, more: str = "", cls: str = "StoppedOnce") -> Path:
    """The config of a run with this strategy."""
    strategy = {
        "id": "S-1",
        "path": f"tests.live.stopped_once:{cls}",
        "params": {"instrument_id": INSTRUMENT, "quantity": "0.001"},
    }
    return configs.write(desk.folder, desk.served, strategies=[strategy], more=QUICK + more)
