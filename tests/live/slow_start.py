"""A strategy that reads a model for so long that no loop turns meanwhile."""

from __future__ import annotations

import time
from typing import Any

from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard import GuardedStrategy


class SlowStartConfig(StrategyConfig):
    """`where`: init or on_start."""

    def __init__(self, *, where: str, secs: int, **native: Any) -> None:
        self.where = where
        self.secs = secs


class SlowStart(GuardedStrategy):
    config_class = SlowStartConfig

    def __init__(self, config: SlowStartConfig) -> None:
        super().__init__(config)
        self.asked = config
        self._read("init")

    def on_start(self) -> None:
        self._read("on_start")

    def _read(self, where: str) -> None:
        if where == self.asked.where:
            time.sleep(self.asked.secs)
