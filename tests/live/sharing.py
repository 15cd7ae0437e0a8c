"""Strategies that hold the same instrument, and write down what they hear of it."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderSide
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard import GuardedStrategy

LOOK_MS = 50


class SharingConfig(StrategyConfig):
    """Buys `quantity` base units where it holds nothing. `folder` gets NAME.json with what the
    strategy hears and holds; it closes what it holds once NAME.exit is there, and blocks the loop
    while NAME.block is.
    """

    def __init__(
        self, *, instrument_id: InstrumentId, quantity: str, folder: str, **native: Any
    ) -> None:
        self.instrument_id = instrument_id
        self.quantity = quantity
        self.folder = folder


class Sharing(GuardedStrategy):
    config_class = SharingConfig

    def __init__(self, config: SharingConfig) -> None:
        super().__init__(config)
        self.name = config.instrument_id
        self.folder = Path(config.folder)
        self.fills: list[str] = []
        self.denied: list[str] = []
        self.has_bought = self.has_left = False

    def on_recovered(self, orders: Any, positions: Any) -> None:
        self.has_bought = bool(positions)

    def on_start(self) -> None:
        self.subscribe_book_deltas(self.name, BookType.L2_MBP, managed=True)
        self.clock.set_timer("look", timedelta(milliseconds=LOOK_MS))

    def on_time_event(self, event: Any) -> None:
        if self.cache.top_of_book(self.name) is None:
            return
        while self._file("block").exists():
            self._file("blocked").touch()
            time.sleep(LOOK_MS / 1000)
        if not self.has_bought:
            self.has_bought = True
            quantity = self.round_quantity(self.name, self.config.quantity)
            self.submit_order(self.order_factory.market(self.name, OrderSide.BUY, quantity))
        if not self.has_left and self._file("exit").exists():
            self.has_left = True
            self.close_all_positions(self.name)
        self._write()

    def on_order_filled(self, event: Any) -> None:
        self.fills.append(f"{event.order_side.name} {event.last_qty}")

    def on_gate_denied(self, order: Any, denial: Any) -> None:
        self.denied.append(denial.code)

    def _file(self, ending: str) -> Path:
        return self.folder / f"{self.strategy_id}.{ending}"

    def _write(self) -> None:
        cached = self.cache.positions_open(instrument_id=self.name, strategy_id=self.strategy_id)
        found = {
            "fills": self.fills,
            "denied": self.denied,
            "own": str(self.own_position(self.name)),
            "cached": str(sum((Decimal(repr(one.signed_qty)) for one in cached), Decimal(0))),
        }
        partial = self._file("partial")
        partial.write_text(json.dumps(found))
        partial.replace(self._file("json"))
