"""A strategy of which one callback does not come back before `let_go` is set."""

from __future__ import annotations

import threading
from typing import Any

from nautilus_trader.model import BookType, InstrumentId
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard import GuardedStrategy

PATIENCE_SECS = 60.0
let_go = threading.Event()


class StuckConfig(StrategyConfig):
    def __init__(self, *, instrument_id: InstrumentId, where: str, **native: Any) -> None:
        self.instrument_id = instrument_id
        self.where = where


class Stuck(GuardedStrategy):
    def __init__(self, config: StuckConfig) -> None:
        super().__init__(config)
        self.asked = config

    def on_start(self) -> None:
        self.subscribe_book_deltas(self.asked.instrument_id, BookType.L2_MBP)
        self._wait("on_start")

    def on_book_deltas(self, deltas: Any) -> None:
        self._wait("on_book_deltas")

    def on_stop(self) -> None:
        self._wait("on_stop")

    def _wait(self, where: str) -> None:
        if where == self.asked.where:
            assert let_go.wait(PATIENCE_SECS)
