"""A strategy that sends its orders one after another, and writes down what it is told it holds."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderSide
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard import GuardedStrategy

ALL = "all"  # of what is held, in whole increments


class FiguresConfig(StrategyConfig):
    """`orders` are signed quantities, or `ALL`; a line of JSON of each event goes to `told`."""

    def __init__(
        self, *, instrument_id: InstrumentId, orders: list[str], told: str, **native: Any
    ) -> None:
        self.instrument_id = instrument_id
        self.orders, self.told = orders, told


class Figures(GuardedStrategy):
    def __init__(self, config: FiguresConfig) -> None:
        super().__init__(config)
        self.iid, self.left, self.file = config.instrument_id, list(config.orders), config.told

    def on_recovered(self, orders: Any, positions: dict[InstrumentId, Decimal]) -> None:
        self._tell("start", str(positions.get(self.iid, "none")))

    def on_start(self) -> None:
        self.subscribe_book_deltas(self.iid, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: Any) -> None:
        if not self.left or self.own_orders(self.iid):
            return
        wanted = self.left.pop(0)
        signed = -self.own_position(self.iid) if wanted == ALL else Decimal(wanted)
        side = OrderSide.BUY if signed > 0 else OrderSide.SELL
        quantity = self.round_quantity(self.iid, abs(signed))
        self.submit_order(self.order_factory.market(self.iid, side, quantity))

    def on_order_filled(self, event: Any) -> None:
        self._tell("own", str(self.own_position(self.iid)))

    def on_gate_denied(self, order: Any, denial: Any) -> None:
        self._tell("denied", denial.code)

    def _tell(self, what: str, value: str) -> None:
        with Path(self.file).open("a") as file:
            file.write(json.dumps([what, value]) + "\n")
