"""The gate's cases as strategies of a live run: `case` names one of test_gate_modes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nautilus_trader.model import InstrumentId
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.risk.checks import Denial
from tests.unit.risk.test_gate_modes import CASES, Script


class CaseConfig(StrategyConfig):
    """`folder` takes one file per case: a line per denial code, in order."""

    instrument_id: InstrumentId
    case: str
    folder: str

    def __init__(
        self, *, instrument_id: InstrumentId, case: str, folder: str, **native: Any
    ) -> None:
        self.instrument_id = instrument_id
        self.case = case
        self.folder = folder


class CaseScript(Script):
    config_class = CaseConfig

    def __init__(self, config: CaseConfig) -> None:
        super().__init__(config)
        self.actions = CASES[config.case].actions
        self.kill_file = Path(config.folder) / "KILL"
        self.told = Path(config.folder) / config.case
        self.told.write_text("")

    def on_book_deltas(self, deltas: Any) -> None:
        if any(order.is_inflight for order in self.cache.orders()):
            return  # what comes next is done to an order that the venue has, as in a backtest
        super().on_book_deltas(deltas)
        if self.books >= max(self.actions, default=0):
            self.told.with_suffix(".done").touch()

    def on_gate_denied(self, order: Any, denial: Denial) -> None:
        with self.told.open("a") as file:
            file.write(f"{denial.code}\n")


class ClearedScript(CaseScript):
    """The case `cleared book`, at the first book that is empty after one that was not."""

    def __init__(self, config: CaseConfig) -> None:
        super().__init__(config)
        (self.act,) = self.actions.values()
        self.actions = {}
        self.was_whole = self.acted = False

    def on_book_deltas(self, deltas: Any) -> None:
        if self.cache.top_of_book(self.config.instrument_id) is not None:
            self.was_whole = True
            self.told.with_suffix(".whole").touch()
        elif self.was_whole and not self.acted:
            self.acted = True
            self.act(self)
            self.told.with_suffix(".acted").touch()
