"""What a result hangs on, against runs of its own and sums over their fills."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fairlead.engine.cli.app import app
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.research.runs import Run
from fairlead.engine.run.backtest import run_backtest
from fairlead.engine.run.config import load
from tests.unit.backtest_kit import perpetual, write_catalog
from tests.unit.observe.test_same_bytes import PERP, all_strategies


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("sensitive")
    catalog = write_catalog(folder / "catalog", perpetual(PERP), seconds=60, seed=9)
    return all_strategies(folder, catalog)


def asked(file: Path, out: Path, *words: str) -> dict[str, Any]:
    command = ["backtest", str(file), "--sensitivity", "--json", "--out", str(out), *words]
    ended = CliRunner().invoke(app, command)
    assert ended.exit_code == 0, ended.output
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def net_of(run: Run) -> Decimal:
    """Cash of the fills, and what is held at the last mid."""
    cash = sum((Decimal(fill["cash"]) for fill in run.rows("fills")), Decimal(0))
    held = sum((Decimal(fill["moved"]) for fill in run.rows("fills")), Decimal(0))
    last = run.rows("marks")[-1]
    return cash + held * (Decimal(last["bid"]) + Decimal(last["ask"])) / 2


def digest(loaded: LoadedConfig) -> str:
    result = run_backtest(loaded)
    try:
        return result.summary.orders_digest
    finally:
        result.dispose()


def test_each_case_is_a_run_of_its_own(file: Path, tmp_path: Path) -> None:
    found = asked(file, tmp_path / "out")
    cases = {one["name"]: one for one in found["cases"]}
    assert list(cases) == [
        "as configured",
        "half the latency",
        "double latency",
        "without queue",
        "fees up by half",
        "maker fees up by half",
        "taker fees up by half",
    ]
    runs = {name: Run.at(Path(one["run"])) for name, one in cases.items()}
    for name, one in cases.items():
        assert abs(Decimal(one["net"]["USDT"]) - net_of(runs[name])) < Decimal("0.001"), name
        assert one["fills"] == len(runs[name].rows("fills"))
    apart = {
        "half the latency": {"simulated.latency_ms": "0.5"},
        "double latency": {"simulated.latency_ms": "2"},
        "without queue": {"simulated.queue_position": False},
    }
    for name, changes in apart.items():
        assert runs[name].manifest.orders_digest == digest(load(file, changes)), name
    assert len({run.manifest.orders_digest for run in runs.values()}) >= 4
    # Nobody here looks at fees: the same fills, each dearer by half
    base, dear = runs["as configured"], runs["fees up by half"]
    told = [
        [(fill["ts_event"], fill["quantity"], fill["price"]) for fill in run.rows("fills")]
        for run in (base, dear)
    ]
    assert told[0] == told[1]
    paid = sum(Decimal(fill["fee"]) for fill in base.rows("fills"))
    more = Decimal(cases["as configured"]["net"]["USDT"]) - Decimal(
        cases["fees up by half"]["net"]["USDT"]
    )
    assert abs(more - paid / 2) < Decimal("0.0001")
    for side in ("maker", "taker"):  # each alone: what fills of that side paid, and no other
        mine = sum(
            Decimal(fill["fee"]) for fill in base.rows("fills") if fill["liquidity"] == side.upper()
        )
        assert 0 < mine < paid
        one = Decimal(cases[f"{side} fees up by half"]["net"]["USDT"])
        assert abs(Decimal(cases["as configured"]["net"]["USDT"]) - one - mine / 2) < Decimal(
            "0.0001"
        )


def test_it_says_what_moves_the_result_most(file: Path, tmp_path: Path) -> None:
    found = asked(file, tmp_path / "out")
    base, *others = found["cases"]
    moves = {
        one["name"]: abs(Decimal(one["net"]["USDT"]) - Decimal(base["net"]["USDT"]))
        for one in others
    }
    most = max(moves, key=lambda name: moves[name])
    (words,) = found["hangs_on"]
    assert words.startswith(f"USDT: most on {most} (")


def test_draws_are_the_runs_of_their_seeds(file: Path, tmp_path: Path) -> None:
    drawn = file.with_name("drawn.toml")
    text = file.read_text()
    assert 'latency_ms = "1"\n' in text
    latency = 'latency = "lognormal median=20 p99=80 max=200"\n'
    drawn.write_text(text.replace('latency_ms = "1"\n', latency))
    found = asked(drawn, tmp_path / "out", "--draws", "5")
    nets = [Decimal(net) for net in found["draws"]["USDT"]]
    assert len(nets) == 5
    assert len(set(nets)) > 1
    result = run_backtest(load(drawn, {"run.seed": 3}))
    assert result.summary.net["USDT"] == nets[2]
    result.dispose()
    ordered = sorted(nets)
    assert [Decimal(one) for one in found["quantiles"]["USDT"].values()] == [
        ordered[0],
        ordered[1],
        ordered[2],
        ordered[3],
        ordered[4],
    ]
    half = next(one for one in found["cases"] if one["name"] == "half the latency")
    assert half["changes"] == {"simulated.latency": "lognormal median=10.0 p99=40.0 max=100.0"}


def test_what_cant_be_is_said(file: Path, tmp_path: Path) -> None:
    free = file.with_name("free.toml")
    text = file.read_text()
    line = next(line for line in text.splitlines() if line.startswith("fees ="))
    free.write_text(text.replace(line, 'fees = "none"'))
    found = asked(free, tmp_path / "out", "--draws", "2")
    assert {one["why"] for one in found["cases"] if "fees" in one["name"]} == {
        'every venue says fees = "none"'
    }
    assert found["draws_why"] == "simulated.latency is fixed: there is nothing to draw"
    wrong = CliRunner().invoke(app, ["backtest", str(file), "--draws", "2"])
    assert wrong.exit_code == 2
