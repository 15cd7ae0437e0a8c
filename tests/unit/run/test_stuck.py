"""A callback that does not come back is told while a backtest waits for it; others never are."""

from __future__ import annotations

import re
import threading
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fairlead.engine.run import stuck
from fairlead.engine.run.stopguard import SameCallback
from tests.data import stuck as strategies
from tests.unit.backtest_kit import perpetual, run, write_catalog

PERP = "BTCUSDT.TEST"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stuck") / "catalog"
    return write_catalog(root, perpetual(PERP), seconds=2, seed=11)


@pytest.mark.parametrize("where", ["on_start", "on_book_deltas", "on_stop"])
def test_a_callback_that_does_not_come_back_is_told_once(
    tmp_path: Path, catalog: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    def say(text: str) -> None:
        lines.append(text)
        if f"in {where} since" in text:  # and not of a callback that a busy machine keeps waiting
            strategies.let_go.set()

    monkeypatch.setattr(stuck, "say", say)
    monkeypatch.setattr(stuck, "LOOK_SECS", 0.01)
    monkeypatch.setattr(stuck, "STUCK_SECS", 0.1)
    strategies.let_go.clear()
    params = {"instrument_id": PERP, "where": where}
    result = run(tmp_path, catalog, "tests.data.stuck:Stuck", params)
    result.dispose()
    assert result.exit_code == 0
    told = [line for line in lines if f"in {where} since" in line]
    (line,) = told
    begin = f"warning CALLBACK-STUCK: strategy Test-001 has been in {where} since "
    assert line.startswith(begin)
    assert re.search(r"since \d\d:\d\d:\d\d UTC \(\d+ s\), now at stuck\.py:\d+, in _wait,", line)
    assert not [one for one in threading.enumerate() if one.name == "callbacks"]


class Local:
    """What a callback has among its locals."""


class Strategy:
    """As `SameCallback` knows one: by its guard."""

    def __init__(self, same: SameCallback) -> None:
        self._guard = SimpleNamespace(id="S-001")
        self.same = same
        self.went_on: list[bool] = []
        self.local: weakref.ref[Local] | None = None

    def look(self) -> bool:
        went_on: list[bool] = []
        self.same(lambda: went_on.append(True))
        return bool(went_on)

    def on_trade(self, event: Any) -> list[bool]:
        local = Local()
        self.local = weakref.ref(local)
        return [self.look(), self.look(), self.look()]

    def on_any(self, *events: Any) -> list[bool]:
        return [self.look(), self.look()]

    def on_start(self) -> list[bool]:
        return [self.look(), self.look()]


def test_a_call_is_the_same_as_long_as_it_lasts_and_no_longer() -> None:
    strategy = Strategy(SameCallback())
    for _ in range(50):  # of equal events, at addresses that come again
        assert strategy.on_trade(("trade", 1.5)) == [True, False, False]
        assert strategy.on_any("trade") == [True, False]
        assert strategy.on_trade(object()) == [True, False, False]
    assert strategy.on_start() == [True, False]
    assert strategy.look()


def test_nothing_of_a_call_but_its_event_is_kept() -> None:
    """NautilusTrader's objects among its locals may not be dropped by another thread."""
    strategy = Strategy(SameCallback())
    strategy.on_trade(object())
    assert strategy.local is not None
    assert strategy.local() is None
