"""Stresses that a study requires, against runs with the same values written out."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fairlead.engine.cli.app import app
from fairlead.engine.config.loaded import LoadedConfig
from fairlead.engine.errors import FairleadError
from fairlead.engine.research.gates import Gate, gates_of, require
from fairlead.engine.research.holdout import Held, hold
from fairlead.engine.research.trials import Registry
from fairlead.engine.run.backtest import run_backtest
from fairlead.engine.run.config import load
from fairlead.engine.run.gated import require_borne
from tests.unit import backtest_kit as kit

KEY = "strategies[0].params.half_spread_bps"
FEES = {"maker": "0.0002", "taker": "0.0005"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gated")
    catalog = kit.write_catalog(folder / "catalog", kit.perpetual("BTCUSDT.TEST"), seconds=20)
    params = {**kit.MAKER_PARAMS, "allow_short": True}
    return kit.config(folder, catalog, kit.MAKER, params)


def fairlead(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def net(file: Path, **changes: Any) -> Decimal:
    result = run_backtest(load(file, changes), marks=False)
    try:
        return result.summary.net["USDT"]
    finally:
        result.dispose()


def borne(loaded: LoadedConfig, gate: Gate, is_borne: bool) -> None:
    if is_borne:
        assert require_borne(loaded, [gate], "s") == [gate.words]
        return
    with pytest.raises(FairleadError, match="STUDY-GATE") as failed:
        require_borne(loaded, [gate], "s")
    assert gate.words in failed.value.message


@pytest.mark.parametrize("spread", ["0.02", "0.5", "2"])
def test_a_gate_says_what_the_same_run_says(file: Path, spread: str) -> None:
    loaded = load(file, {KEY: spread})
    slow = net(file, **{KEY: spread, "simulated.latency_ms": "4"})
    borne(loaded, Gate(latency=Decimal(4)), slow > 0)
    dear = {f"venues.test.fees.{name}": str(Decimal(rate) * 3) for name, rate in FEES.items()}
    borne(loaded, Gate(fees=Decimal(3)), net(file, **{KEY: spread}, **dear) > 0)
    borne(loaded, Gate(), net(file, **{KEY: spread}) > 0)


def test_draws_are_counted(file: Path) -> None:
    drawn = file.with_name("drawn.toml")
    latency = 'latency = "lognormal median=5 p99=50 max=100"'
    drawn.write_text(file.read_text().replace('latency_ms = "1"', latency))
    nets = [net(drawn, **{"run.seed": seed}) for seed in range(1, 6)]
    share = Decimal(sum(one > 0 for one in nets)) / 5
    assert len(set(nets)) > 1
    for wanted in ("0.2", "0.5", "0.9", "1"):
        gate = Gate(draws=5, share=Decimal(wanted))
        borne(load(drawn), gate, share >= Decimal(wanted))
    with pytest.raises(FairleadError, match="nothing to draw"):
        require_borne(load(file), [Gate(draws=5)], "s")


def test_a_trial_that_fails_spends_nothing(file: Path, tmp_path: Path) -> None:
    file = Path(shutil.copy(file, tmp_path))  # the study is in its state folder
    assert fairlead("study", "hold", "s", file, "--from", "2023-11-14T22:13:35").exit_code == 0
    required = fairlead("study", "require", "s", file, "--fees-times", "100")
    assert required.exit_code == 0, required.output
    values = ("--param", "half_spread_bps=0.02..0.06:0.02", "--jobs", 1, "--study", "s")
    assert fairlead("sweep", file, *values, "--out", file.parent / "out").exit_code == 0
    spent = fairlead("study", "spend", "s", file, "--set", f"{KEY}=0.04")
    assert spent.exit_code == 1
    assert "STUDY-GATE" in spent.stderr
    shown = json.loads(fairlead("study", "show", "s", file, "--json").stdout)
    assert shown["held_out"]["is_spent"] is False
    assert shown["requires"] == ["fees times 100"]
    for words in (("--latency-times", "0"), ("--share", "2"), ("--losing-most", "x")):
        wrong = fairlead("study", "require", "s", file, *words)
        assert wrong.exit_code == 2
        assert "GATE-VALUE" in wrong.stderr


def test_what_is_required_stays_and_comes_before(tmp_path: Path) -> None:
    with Registry(tmp_path / "studies" / "s") as registry:
        first, second = Gate(latency=Decimal(2)), Gate(orders=Decimal("0.05"), draws=3)
        for gate in (first, second, first):
            require(registry, gate)
        assert gates_of(registry) == [first, second]
        told = {"study": "s", "catalog": "/c", "instruments": ("A.B",)}
        hold(registry, Held(**told, start_ns=1, end_ns=2))
        registry.append("spend", "begun", {})
        with pytest.raises(FairleadError, match="GATE-LATE"):
            require(registry, Gate(fees=Decimal(2)))
