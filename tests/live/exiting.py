"""A strategy that buys once at the market and then leaves its position the way `how` names."""

from __future__ import annotations

import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderSide
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard import GuardedStrategy
from fairlead.engine.risk.checks import Denial
from tests.support.patience import PATIENCE_SECS


class ExitingConfig(StrategyConfig):
    """`quantity` base units to buy; `how` is a method's name after `_leave_` or "nothing".

    `told` is a file that takes a line per denial. `faults` is where the venue takes `fault`, JSON,
    which then meets the first request after the buy. `resting` is a side on which an order rests.
    """

    instrument_id: InstrumentId
    quantity: str
    how: str
    told: str
    faults: str
    fault: str
    resting: str

    def __init__(
        self,
        *,
        instrument_id: InstrumentId,
        quantity: str = "0.0123",
        how: str = "nothing",
        told: str = "",
        faults: str = "",
        fault: str = "",
        resting: str = "",
        **native: Any,
    ) -> None:
        self.instrument_id = instrument_id
        self.quantity = quantity
        self.how = how
        self.told = told
        self.faults = faults
        self.fault = fault
        self.resting = resting


class Exiting(GuardedStrategy):
    config_class = ExitingConfig

    def __init__(self, config: ExitingConfig) -> None:
        super().__init__(config)
        self.name = config.instrument_id
        self.has_bought = self.has_left = False

    def on_start(self) -> None:
        Path(self.config.told).touch()
        self.subscribe_book_deltas(self.name, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: Any) -> None:
        if self.cache.top_of_book(self.name) is None:
            return
        if not self.has_bought:
            self.has_bought = True
            size = self.cache.instrument(self.name).make_qty(Decimal(self.config.quantity))
            self.submit_order(self.order_factory.market(self.name, OrderSide.BUY, size))
        elif not self.has_left and self._holds_all():
            self.has_left = True
            getattr(self, f"_leave_{self.config.how}", lambda: None)()

    def _holds_all(self) -> bool:
        mine = {"strategy_id": self.strategy_id}
        open_orders = self.cache.orders_open(**mine)
        if self.cache.orders_inflight(**mine) or len(open_orders) != bool(self.config.resting):
            return False
        return bool(self.cache.positions_open(**mine))

    def on_order_filled(self, event: Any) -> None:
        order = self.cache.order(event.client_order_id)
        if event.order_side != OrderSide.BUY or not order.is_closed:
            return
        if self.config.resting:
            self._rest(OrderSide.BUY if self.config.resting == "BUY" else OrderSide.SELL)
        elif self.config.fault:
            request = urllib.request.Request(self.config.faults, self.config.fault.encode())
            urllib.request.urlopen(request, timeout=PATIENCE_SECS).close()

    def _rest(self, side: OrderSide) -> None:
        """An order 3 % away from the market; a SELL is reduce-only and of the whole position."""
        instrument, top = self.cache.instrument(self.name), self.cache.top_of_book(self.name)
        is_buy = side == OrderSide.BUY
        price = top[0].as_decimal() * (Decimal("0.97") if is_buy else Decimal("1.03"))
        (position,) = self.cache.positions_open(strategy_id=self.strategy_id)
        size = position.quantity.as_decimal() - (0 if is_buy else Decimal("0.000001"))
        self.submit_order(
            self.order_factory.limit(
                self.name,
                side,
                instrument.make_qty(size),
                instrument.make_price(price),
                reduce_only=not is_buy,
            )
        )

    def on_gate_denied(self, order: Any, denial: Denial) -> None:
        with Path(self.config.told).open("a") as file:
            file.write(f"{denial}\n")

    def _leave_close_position(self) -> None:
        (position,) = self.cache.positions_open(strategy_id=self.strategy_id)
        self.close_position(position)

    def _leave_close_all_positions(self) -> None:
        self.close_all_positions(self.name)

    def _leave_market_exit(self) -> None:
        self.market_exit()
