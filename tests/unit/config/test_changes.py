"""Values in place of the file's, by key: the same checks, other places in messages."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fairlead.engine.cli.app import app
from fairlead.engine.config.changes import parsed, plain, written
from fairlead.engine.config.problems import ConfigError
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.run.config import load

CONFIG = Path(__file__).resolve().parents[3] / "configs" / "demo.toml"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("run.on_stop=keep", lambda c: c.run.on_stop == "keep"),
        ("run.seed=7", lambda c: c.run.seed == 7),
        ("simulated.latency_ms=2.50", lambda c: c.simulated.latency_ms == Decimal("2.50")),
        (
            "execution.absent_quarantine_secs=2.5",
            lambda c: c.execution.absent_quarantine_secs == 2.5,
        ),
        ('risk.max_drawdown=["30 USDT"]', lambda c: c.risk.max_drawdown == ["30 USDT"]),
        ("simulated.queue_position=false", lambda c: c.simulated.queue_position is False),
        ("backtest.start=2026-11-01T00:00:00Z", lambda c: c.backtest.start.year == 2026),
        ('risk.max_position."BTC_USDT.OCEANEX"=0.5', lambda c: "0.5" in str(c.risk.max_position)),
        ("strategies[1].params.fast=3", lambda c: c.strategies[1].params["fast"] == 3),
        ("strategies.Trend-002.params.slow=9", lambda c: c.strategies[1].params["slow"] == 9),
        (
            "strategies.Maker-001.params.skew_bps=1.5",
            lambda c: c.strategies[0].params["skew_bps"] == "1.5",
        ),
        (
            "venues.oceanex.fees={ maker = 0.001, taker = 0.002 }",
            lambda c: c.venues["oceanex"].fees.maker == Decimal("0.001"),
        ),
    ],
)
def test_a_key_of_every_kind_is_set(text: str, read: object) -> None:
    changes = parsed([text])
    found = load(CONFIG, changes)
    assert callable(read)
    assert read(found.config), found.config
    again = parsed(f"{key}={written(value)}" for key, value in found.changes.items())
    assert load(CONFIG, again).config == found.config


def test_a_notebook_sets_values_of_python() -> None:
    told = {"simulated.latency_ms": Decimal("2.5"), "strategies[0].params.skew_bps": 0.1}
    config = load(str(CONFIG), told).config
    assert config.simulated.latency_ms == Decimal("2.5")
    assert config.strategies[0].params["skew_bps"] == "0.1"
    assert plain({"a": [0.1], "b": {"c": Decimal("1E-3")}}) == {"a": ["0.1"], "b": {"c": "0.001"}}
    assert config != load(CONFIG).config


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("risk.max_drawdwon=1", "--set E-CFG-014 risk.max_drawdwon is not a key"),
        ("simulated.latency_ms=fast", "--set E-CFG-022 simulated.latency_ms: expected"),
        ("run.seed=1.5", "--set E-CFG-020 run.seed: expected a whole number"),
        ("strategies[9].params.fast=1", "--set strategies[9].params.fast E-CFG-014"),
        ("strategies.Nobody-1.id=A-1", "or one of Maker-001, Trend-002, Breakout-003"),
        ("strategies.2.id=A-1", "expected [0] to [2], in brackets, or one of Maker-001, Trend-002"),
        ("name.first=1", "expected a table before first"),
        ("venues.oceanex.credentials.uid=q7Rv2mXw9TzK4LpN", "E-SEC-001"),
    ],
)
def test_what_does_not_fit_is_said_with_its_key(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(CONFIG, parsed([text]))
    assert says in str(caught.value)
    assert "q7Rv2mXw9TzK4LpN" not in str(caught.value)


def test_what_is_no_setting_is_refused() -> None:
    with pytest.raises(FairleadError, match="SET-FORM"):
        parsed(["run.seed"])
    done = CliRunner().invoke(app, ["backtest", str(CONFIG), "--set", "run.seed"])
    assert done.exit_code == Exit.USAGE
