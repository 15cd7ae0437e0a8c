"""A strategy that looks ahead is found, one that does not is not; `fairlead check --lookahead`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fairlead.engine.cli.app import app
from fairlead.engine.run.lookahead import look
from tests.unit import backtest_kit as kit

TREND = {"order_quantity": "0.010", "fast": 2, "slow": 4, "atr": 2, "bar": "1-SECOND-LAST"}
SEER = "tests.data.lookahead_strategy:Seer"
PERP = "BTCUSDT.TEST"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = tmp_path_factory.mktemp("lookahead") / "catalog"
    return kit.write_catalog(root, kit.perpetual(PERP), seconds=20, seed=3)


def _seer(folder: Path, catalog: Path, way: str) -> Any:
    params = {"instrument_id": PERP, "way": way, "data": str(catalog)}
    return kit.loaded(folder, catalog, SEER, params)


@pytest.mark.parametrize("way", ["later", "whole"])
def test_a_strategy_that_looks_ahead_is_found(way: str, catalog: Path, tmp_path: Path) -> None:
    found = look(_seer(tmp_path, catalog, way))
    assert found.repeats is None
    assert not found.is_ok
    (first, *_) = (one for one in found.cuts if one.difference is not None)
    assert "Test-001 BTCUSDT.TEST Order" in (first.difference or "")
    assert first.words.startswith("data until 2023-11-14T22:13:")


def test_one_that_does_not_is_not(catalog: Path, tmp_path: Path) -> None:
    found = look(_seer(tmp_path, catalog, "honest"))
    assert found.is_ok
    assert [one.events > 10 for one in found.cuts] == [True] * 3


def test_one_that_is_by_chance_can_not_be_judged(catalog: Path, tmp_path: Path) -> None:
    found = look(_seer(tmp_path, catalog, "chance"))
    assert not found.is_ok
    assert found.repeats is not None
    assert found.cuts == ()


@pytest.mark.parametrize(
    ("path", "params"),
    [
        (kit.MAKER, {**kit.MAKER_PARAMS, "half_spread_bps": "0.02", "allow_short": True}),
        (
            kit.TREND,
            {"order_quantity": "0.010", "fast": 2, "slow": 4, "atr": 2, "bar": "1-SECOND-LAST"},
        ),
    ],
)
def test_shipped_strategies_do_not_look_ahead(
    path: str, params: dict[str, Any], catalog: Path, tmp_path: Path
) -> None:
    found = look(kit.loaded(tmp_path, catalog, path, params))
    assert found.is_ok, [one.words for one in found.cuts]
    assert found.cuts[-1].events > 0


def test_the_command_says_so(catalog: Path, tmp_path: Path) -> None:
    honest = _seer(tmp_path, catalog, "honest")
    ended = CliRunner().invoke(app, ["check", str(honest.path), "--lookahead"])
    assert ended.exit_code == 0, ended.output
    assert "ok: the same orders with no later data" in ended.stdout
    later = _seer(tmp_path, catalog, "later")
    ended = CliRunner().invoke(app, ["check", str(later.path), "--lookahead", "--json"])
    assert ended.exit_code == 3
    assert '"difference": "with all of the data 2023' in ended.stdout
