"""The gate changes nothing it does not refuse: bare NautilusTrader and fairlead trade the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.backtest_ratio import run_fairlead, run_helped
from benchmarks.datasets import INSTRUMENT, RECORDING, write_config
from fairlead.engine.recording.importers.binance import import_binance
from fairlead.engine.run.backtest import run_backtest
from fairlead.engine.run.config import load
from tests.unit.backtest_kit import perpetual, write_catalog


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config over two minutes of a seeded market."""
    folder = tmp_path_factory.mktemp("small")
    catalog = write_catalog(folder / "catalog", perpetual(INSTRUMENT), seconds=120, seed=5)
    return write_config(folder, catalog)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config over the real recording, where it lies beside the repository."""
    if not RECORDING.exists():
        pytest.skip(f"{RECORDING.name} is not beside the repository; the seeded twin runs")
    folder = tmp_path_factory.mktemp("recorded")
    import_binance(RECORDING, folder / "catalog")
    return write_config(folder, folder / "catalog")


def agree(config: Path) -> dict[str, Any]:
    bare, ours = run_helped(config), run_fairlead(config)
    assert ours["orders"] == bare["orders"]
    assert ours["digest"] == bare["digest"]
    return ours


def test_same_orders_as_a_bare_backtest_node(small: Path) -> None:
    assert agree(small)["orders"] > 20


@pytest.mark.long
def test_same_orders_as_a_bare_backtest_node_on_real_data(recorded: Path) -> None:
    assert agree(recorded)["orders"] > 300


@pytest.mark.long
def test_real_data_gives_orders_fills_fees_and_pnl(recorded: Path) -> None:
    summary = run_backtest(load(recorded)).summary
    (one,) = summary.instruments
    assert summary.exit_code == 0
    assert summary.orders > 300
    assert summary.fills > 10
    assert summary.fees["USDT"] > 0
    assert one.net != 0
    assert summary.balance_changes["BINANCE"]["USDT"] == one.net - one.unrealized
    assert summary.denials == {}
