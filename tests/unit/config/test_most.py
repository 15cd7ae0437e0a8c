"""A number of which nothing could be made is refused by its key, like one below its least."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.engine.config.changes import parsed
from fairlead.engine.config.problems import ConfigError
from fairlead.engine.run.config import load
from tests.unit import backtest_kit as kit

TOO_MUCH = {
    # A window of as many times is kept: 8 bytes each
    "risk.max_orders_per_second": ("1000001", "at most 1000000"),
    "risk.max_modifies_per_second": ("9223372036854775807", "at most 1000000"),
    "risk.max_cancels_per_second": ("9223372036854775807", "at most 1000000"),
    "risk.stale_after_ms": ("9223372036854775807", "at most 31536000000"),
    "risk.cooldown_secs": ("31536001", "at most 31536000"),
    "run.stuck_exit_secs": ("9223372036854775807", "at most 31536000"),
    "execution.settle_timeout_secs": ("1e308", "at most 31536000"),
    "execution.absent_quarantine_secs": ("1e308", "at most 31536000"),
    "execution.closed_orders_secs": ("1e308", "at most 31536000"),
    "execution.unknown_query_ms": ("[250, 9223372036854775807]", "at most 31536000000"),
    "execution.poll_ms": ("99999999999999999999", "a whole number"),
}
NO_NUMBER = ("nan", "inf", "-inf", "1e400")


def problems(folder: Path, key: str, value: str) -> str:
    file = kit.config(folder, folder / "catalog", kit.MAKER, kit.MAKER_PARAMS)
    with pytest.raises(ConfigError) as refused:
        load(file, parsed([f"{key}={value}"]))
    return str(refused.value)


@pytest.mark.parametrize("key", TOO_MUCH)
def test_a_number_beyond_use_is_refused(key: str, tmp_path: Path) -> None:
    value, expected = TOO_MUCH[key]
    told = problems(tmp_path, key, value)
    assert "E-CFG-02" in told
    assert key in told
    assert expected in told


@pytest.mark.parametrize("value", NO_NUMBER)
@pytest.mark.parametrize("key", ["execution.settle_timeout_secs", "risk.stale_after_ms"])
def test_what_is_no_finite_number_is_refused(key: str, value: str, tmp_path: Path) -> None:
    assert key in problems(tmp_path, key, value)


def test_the_largest_of_each_is_taken(tmp_path: Path) -> None:
    file = kit.config(tmp_path, tmp_path / "catalog", kit.MAKER, kit.MAKER_PARAMS)
    most = ["risk.max_orders_per_second=1000000", "risk.stale_after_ms=31536000000"]
    assert load(file, parsed(most)).config.risk.max_orders_per_second == 1_000_000
