"""A strategy that holds: it buys when it has nothing, beside a stop far below the market.

NautilusTrader compares positions as often as CHECK_SECS tells it, where the run has it compare any;
with FORCED also where the run has it compare none. COMPARE_SECS: how often balances are compared.
"""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderSide
from nautilus_trader.trading import StrategyConfig

from fairlead.adapters.base import account
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.guard import GuardedStrategy
from fairlead.engine.orders.model import Role
from fairlead.engine.run import kernel

CHECK_SECS, FORCED = "FAIRLEAD_TEST_CHECK_SECS", "FAIRLEAD_TEST_CHECK_FORCED"
COMPARE_SECS = "FAIRLEAD_TEST_COMPARE_SECS"

if CHECK_SECS in os.environ:
    kernel.POSITION_CHECK_SECS = float(os.environ[CHECK_SECS])
if COMPARE_SECS in os.environ:
    account.COMPARE_EVERY_SECS = float(os.environ[COMPARE_SECS])
if FORCED in os.environ:
    LoadedConfig.tells_positions = property(lambda _: True)  # type: ignore[method-assign,assignment]


class HoldingConfig(StrategyConfig):
    """`quantity` in base units; once there is a `fault_file` it faults."""

    def __init__(
        self,
        *,
        instrument_id: InstrumentId,
        quantity: Decimal,
        fault_file: str = "",
        **native: Any,
    ) -> None:
        self.instrument_id = instrument_id
        self.quantity = quantity
        self.fault_file = fault_file


class Holding(GuardedStrategy):
    """Buys at the market when it holds nothing and has no order; then rests a stop under it."""

    config_class = HoldingConfig

    def __init__(self, config: HoldingConfig) -> None:
        super().__init__(config)
        self.name = config.instrument_id

    def on_start(self) -> None:
        self.subscribe_book_deltas(self.name, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: Any) -> None:
        if self.config.fault_file and Path(self.config.fault_file).exists():
            raise RuntimeError("as it was told")
        buys = [one for one in self.own_orders(self.name) if one.role is Role.ENTRY]
        if buys or self.own_position(self.name) > self.config.quantity / 2:
            return
        size = self.round_quantity(self.name, self.config.quantity)
        self.submit_order(
            self.order_factory.market(self.name, OrderSide.BUY, size, tags=[Role.ENTRY.tag])
        )

    def on_order_filled(self, event: Any) -> None:
        if event.order_side != OrderSide.BUY:
            return
        size = self.round_quantity(self.name, self.own_position(self.name))
        below = event.last_px.as_decimal() * Decimal("0.97")
        price = self.round_price(self.name, OrderSide.SELL, below)
        self.stop_limit(self.name, OrderSide.SELL, size, price, price, role=Role.STOP)
