"""A strategy that keeps sending, and that blocks the engine's loop once a file appears."""

from __future__ import annotations

import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderSide
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard import GuardedStrategy

FAR = Decimal("0.02")  # from the market: rests


class BlockerConfig(StrategyConfig):
    """`buys` market orders first, then `rests` limit orders; with `goes_on` one each `every_ms`
    for ever. `block_file`: while it exists, the next callback sleeps until its `.release` exists,
    `block_secs` at most; with `busy` it computes that long. With `block_at_buy` it blocks as soon
    as it hears that its last buy was accepted.
    """

    instrument_id: InstrumentId
    every_ms: int
    buys: int
    rests: int
    goes_on: bool
    block_file: str
    block_secs: int
    block_at_buy: bool
    busy: bool

    def __init__(
        self,
        *,
        instrument_id: InstrumentId,
        every_ms: int = 20,
        buys: int = 0,
        rests: int = 3,
        goes_on: bool = True,
        block_file: str = "",
        block_secs: int = 20,
        block_at_buy: bool = False,
        busy: bool = False,
        **native: Any,
    ) -> None:
        self.instrument_id = instrument_id
        self.every_ms = every_ms
        self.buys = buys
        self.rests = rests
        self.goes_on = goes_on
        self.block_file = block_file
        self.block_secs = block_secs
        self.block_at_buy = block_at_buy
        self.busy = busy


class Blocker(GuardedStrategy):
    config_class = BlockerConfig

    def __init__(self, config: BlockerConfig) -> None:
        super().__init__(config)
        self.name = config.instrument_id
        self.bought = 0
        self.accepted = 0
        self.rested = 0

    def on_start(self) -> None:
        self.subscribe_book_deltas(self.name, BookType.L2_MBP, managed=True)
        self.clock.set_timer("tick", timedelta(milliseconds=self.config.every_ms))

    def on_time_event(self, event: Any) -> None:
        top = self.cache.top_of_book(self.name)
        if top is None:
            return
        if self.config.block_file and Path(self.config.block_file).exists():
            self._rest(top)  # sent, and then the loop is blocked
            self._block()
            return
        instrument = self.cache.instrument(self.name)
        if self.bought < self.config.buys:
            self.bought += 1
            size = instrument.make_qty(Decimal("0.0123"))
            self.submit_order(self.order_factory.market(self.name, OrderSide.BUY, size))
        elif self.config.goes_on or self.rested < self.config.rests:
            self._rest(top)

    def on_order_accepted(self, event: Any) -> None:
        self.accepted += 1
        if self.config.block_at_buy and self.accepted == self.config.buys:
            self._block()

    def _block(self) -> None:
        Path(self.config.block_file).with_suffix(".blocked").touch()
        release = Path(self.config.block_file).with_suffix(".release")
        until = time.monotonic() + self.config.block_secs
        while time.monotonic() < until and not release.exists():
            if not self.config.busy:
                time.sleep(0.01)

    def _rest(self, top: Any) -> None:
        self.rested += 1
        instrument = self.cache.instrument(self.name)
        price = instrument.make_price(
            top[0].as_decimal() * (1 - FAR - Decimal(self.rested) / 10000)
        )
        size = instrument.make_qty(Decimal("0.001"))
        self.submit_order(self.order_factory.limit(self.name, OrderSide.BUY, size, price))
