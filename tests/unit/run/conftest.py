"""A run to be compared with its commands in a backtest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fairlead.engine.run.backtest import run_backtest
from fairlead.engine.run.config import load
from tests.unit.backtest_kit import perpetual, write_catalog
from tests.unit.observe.test_same_bytes import PERP, all_strategies


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of every shipped strategy, and its data beside it: `run`, `catalog`, `run.toml`."""
    folder: Path = tmp_path_factory.mktemp("kept")
    catalog = write_catalog(folder / "catalog", perpetual(PERP), seconds=60, seed=9)
    result = run_backtest(load(all_strategies(folder, catalog)))
    result.record().write(folder / "run")
    result.dispose()
    changed(folder / "run", mode="paper")
    return folder


def changed(run: Path, **manifest: Any) -> None:
    """What the run says of itself."""
    told = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(told | manifest))


@pytest.fixture
def copied(kept: Path, tmp_path: Path) -> Path:
    """The run to be tampered with; its data stays where it was."""
    shutil.copytree(kept / "run", tmp_path / "run")
    return tmp_path / "run"
