"""A strategy that does one thing: rests an order, and then what `does` names."""

from __future__ import annotations

import json
import sys
import threading
import time
import zlib
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import BookType, ExecAlgorithmId, InstrumentId, OrderSide
from nautilus_trader.trading import Strategy, StrategyConfig

from fairlead.engine.guard import GuardedStrategy

BLOCK_SECS = 30
THINK_SECS = 0.1


class ScriptedConfig(StrategyConfig):
    """`does` is a method's name after `_do_`; `seen` a file for what the strategy sees."""

    instrument_id: InstrumentId
    does: str
    seen: str
    quantity: str

    def __init__(
        self,
        *,
        instrument_id: InstrumentId,
        does: str = "rest",
        seen: str = "",
        quantity: str = "0.001",
        **native: Any,
    ) -> None:
        self.instrument_id = instrument_id
        self.does = does
        self.seen = seen
        self.quantity = quantity


class Scripted(GuardedStrategy):
    config_class = ScriptedConfig

    def __init__(self, config: ScriptedConfig) -> None:
        super().__init__(config)
        self.name = config.instrument_id
        self.does = config.does
        self.began = self.acted = False

    def on_start(self) -> None:
        if self.does == "raise_on_start":
            raise ValueError("raised on purpose in on_start")
        self._write_seen()
        self.subscribe_book_deltas(self.name, BookType.L2_MBP, managed=True)
        self.subscribe_quotes(self.name)
        self.subscribe_trades(self.name)

    def on_book_deltas(self, deltas: Any) -> None:
        if self.cache.top_of_book(self.name) is None:
            return
        if not self.began:
            self.began = True
            self._mark("book")
            if self.does not in ("nothing", "see", "raise_on_start"):
                self.rest()
            return
        if not self.acted and (self.cache.orders_open(strategy_id=self.strategy_id)):
            self.acted = True
            getattr(self, f"_do_{self.does}", lambda: None)()
            self._mark("acted")

    def on_order_accepted(self, event: Any) -> None:
        self._mark("accepted")

    def on_order_denied(self, event: Any) -> None:
        self._mark("refused")

    def on_order_rejected(self, event: Any) -> None:
        self._mark("refused")

    def on_gate_denied(self, order: Any, denial: Any) -> None:
        self._mark("refused")

    def on_time_event(self, event: Any) -> None:
        if self.does == "raise_on_timer":
            raise ValueError("raised on purpose in on_time_event")

    def on_quote(self, quote: Any) -> None:
        if self.does == "raise_on_quote" and self.acted:
            raise ValueError("raised on purpose in on_quote")

    def on_order_filled(self, event: Any) -> None:
        self._mark("filled")
        if self.does == "raise_on_fill":
            raise ValueError("raised on purpose in on_order_filled")
        if self.does == "native_close":
            Strategy.close_all_positions(self, self.name)

    # What it can do

    def _do_raise_on_book(self) -> None:
        raise ValueError("raised on purpose in on_book_deltas")

    def _do_raise_on_timer(self) -> None:
        self.clock.set_timer("soon", timedelta(milliseconds=20))

    def _do_raise_on_fill(self) -> None:
        self.market()

    def _do_native_close(self) -> None:
        self.market()

    def _do_algorithm(self) -> None:
        self.market(exec_algorithm_id=ExecAlgorithmId("TWAP"))

    def _do_native_submit(self) -> None:
        order = self.order_factory.market(self.name, OrderSide.BUY, self.size())
        Strategy.submit_order(self, order)

    def _do_block(self) -> None:
        Path(self.config.seen).write_text("blocked")
        time.sleep(BLOCK_SECS)

    def _do_spin(self) -> None:
        Path(self.config.seen).write_text("blocked")
        while True:
            pass

    def _do_flood(self) -> None:
        for _ in range(30_000):
            print("x" * 99, file=sys.stderr)

    def _do_thread(self) -> None:
        threading.Thread(target=time.sleep, args=(BLOCK_SECS * 10,), name="mine").start()

    def on_stop(self) -> None:
        if self.does == "block_on_stop":
            while True:
                time.sleep(0.01)

    def _do_many(self) -> None:
        """One more order with every book from now on."""
        self.acted = False
        self.rest()

    def _do_shutdown(self) -> None:
        self.shutdown_system("done for today")

    def _do_buy(self) -> None:
        self.market()

    def _do_buy_and_think(self) -> None:
        self.market()
        time.sleep(THINK_SECS)

    # Parts

    def size(self) -> Any:
        return self.cache.instrument(self.name).make_qty(Decimal(self.config.quantity))

    def rest(self) -> None:
        bid = self.cache.top_of_book(self.name)[0].as_decimal()
        # Each test at its own price: the venue tells orders apart by their fields only.
        apart = Decimal(zlib.crc32(self.config.seen.encode()) % 2000) / 100_000
        price = self.cache.instrument(self.name).make_price(bid * (Decimal("0.97") - apart))
        order = self.order_factory.limit(self.name, OrderSide.BUY, self.size(), price)
        self.submit_order(order)

    def market(self, **options: Any) -> None:
        order = self.order_factory.market(self.name, OrderSide.BUY, self.size(), **options)
        self.submit_order(order)

    def _mark(self, what: str) -> None:
        """Let a test see how far the run has come."""
        if self.config.seen:
            Path(self.config.seen).with_suffix(f".{what}").touch()

    def _write_seen(self) -> None:
        if self.does != "see":
            return
        mine = {"strategy_id": self.strategy_id}
        gate = self._guard.gate
        seen = {
            "net": str(self.portfolio.net_position(self.name)),
            "open": [
                (str(o.client_order_id), str(o.filled_qty), str(o.avg_px or ""))
                for o in self.cache.orders_open(**mine)
            ],
            "external": [
                str(o.client_order_id)
                for o in self.cache.orders_open()
                if str(o.strategy_id) == "EXTERNAL"
            ],
            "gate": str(gate.ledger.by_strategy[self._guard.id, str(self.name)]),
        }
        Path(self.config.seen).write_text(json.dumps(seen))
        self.cancel_all_orders(self.name)


class ManagedConfig(ScriptedConfig):
    """Turns on what a run's config refuses: NautilusTrader's own exit at the stop."""

    def __new__(cls, **native: Any) -> ManagedConfig:
        made: ManagedConfig = super().__new__(cls, **{**native, "manage_stop": True})
        return made


class Managed(Scripted):
    config_class = ManagedConfig
