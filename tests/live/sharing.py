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
from fairlead.engine.orders.model import Role

LOOK_MS = 50


class SharingConfig(StrategyConfig):
    """Buys `quantity` base units where it holds nothing, or sells them where that is negative.
    `folder` gets NAME.json with what the strategy hears and holds; it closes what it holds once
    NAME.exit is there, with the method that the file names (else close_all_positions), and blocks
    the loop while NAME.block is. With NAME.ask it keeps a SELL of that many base units one tick
    inside the spread, or at the touch.
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
            wanted = Decimal(self.config.quantity)
            side = OrderSide.BUY if wanted > 0 else OrderSide.SELL
            if wanted:
                quantity = self.round_quantity(self.name, abs(wanted))
                self.submit_order(self.order_factory.market(self.name, side, quantity))
        if not self.has_left and self._file("exit").exists():
            self.has_left = True
            self._leave(self._file("exit").read_text())
        if self._file("ask").exists():
            self._offer(self._file("ask").read_text())
        self._write()

    def _leave(self, how: str) -> None:
        if how == "market_exit":
            self.market_exit()
        elif how == "close_position":
            for position in self.cache.positions_open(instrument_id=self.name):
                self.close_position(position)
        elif how == "submit_order":
            own = self.own_position(self.name)
            side = OrderSide.SELL if own > 0 else OrderSide.BUY
            size = self.round_quantity(self.name, abs(own))
            self.submit_order(
                self.order_factory.market(self.name, side, size, tags=[Role.EXIT.tag])
            )
        elif how == "limit":
            self.has_left = False  # again at each look
            self._meet()
        else:
            for _ in range(2):  # what is on its way is not sent again
                self.close_all_positions(self.name)

    def _meet(self) -> None:
        """A small BUY, no exit, while a SELL of the run is the best ask."""
        ask = self.cache.top_of_book(self.name)[2]
        sells = self.cache.orders_open(instrument_id=self.name, side=OrderSide.SELL)
        if any(one.price == ask for one in sells):
            size = self.round_quantity(self.name, "0.001")
            price = self.round_price(self.name, OrderSide.BUY, ask.as_decimal() * Decimal("1.02"))
            self.submit_order(self.order_factory.limit(self.name, OrderSide.BUY, size, price))

    def _offer(self, size: str) -> None:
        if self.cache.orders_open(strategy_id=self.strategy_id):
            return
        if self.cache.orders_inflight(strategy_id=self.strategy_id):
            return
        bid, ask = (self.cache.top_of_book(self.name)[i].as_decimal() for i in (0, 2))
        price = max(ask - self.cache.instrument(self.name).price_increment.as_decimal(), bid)
        self._quote(size, ask if price <= bid else price)

    def _quote(self, size: str, price: Decimal) -> None:
        self.submit_order(
            self.order_factory.limit(
                self.name,
                OrderSide.SELL,
                self.round_quantity(self.name, size),
                self.round_price(self.name, OrderSide.SELL, price),
                tags=[Role.QUOTE.tag],
            )
        )

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
