"""A strategy that ends itself, or the run, from one of its callbacks."""

from __future__ import annotations

from typing import Any

from nautilus_trader.model import BookType, InstrumentId
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard import GuardedStrategy


class StoppingConfig(StrategyConfig):
    def __init__(
        self, *, instrument_id: InstrumentId, where: str, how: str, reason: str = "", **native: Any
    ) -> None:
        self.instrument_id = instrument_id
        self.where = where
        self.how = how
        self.reason = reason


class Stopping(GuardedStrategy):
    def __init__(self, config: StoppingConfig) -> None:
        super().__init__(config)
        self.asked = config

    def on_start(self) -> None:
        self.subscribe_book_deltas(self.asked.instrument_id, BookType.L2_MBP)
        self._end("on_start")

    def on_book_deltas(self, deltas: Any) -> None:
        self._end("on_book_deltas")

    def quiet(self) -> None:
        """Goes on."""

    def _end(self, where: str) -> None:
        if where == self.asked.where:
            getattr(self, self.asked.how)(*filter(None, [self.asked.reason]))


class Wordy(Stopping):
    def flat_on_stop(self) -> Any:
        return "BTCUSDT.TEST"


class Raising(Stopping):
    def flat_on_stop(self) -> Any:
        raise LookupError("no word")


class Replaced(Stopping):
    """Its own on_stop is another one at the end."""

    def quiet(self) -> None:
        vars(self)["on_stop"] = lambda: None
