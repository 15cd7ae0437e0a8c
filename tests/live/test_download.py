"""`fairlead download` from a simulated venue on loopback, as a person runs it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from nautilus_trader.persistence import ParquetDataCatalog

from tests.support import configs
from tests.support.processes import run, venue


@pytest.mark.parametrize("key", ["oceanex", "poloniex"])
def test_bars_of_a_served_venue_are_downloaded_once(key: str, tmp_path: Path) -> None:
    name = f"BTC_USDT.{key.upper()}"
    start = f"{datetime.now(UTC) - timedelta(hours=2):%Y-%m-%dT%H:%M}"
    with venue(key, tmp_path / "venue", "--seed", "3") as served:
        config = configs.write(tmp_path, served, strategies=[])
        words = [key, name, "--catalog", str(tmp_path / "cat"), "--start", start, "--json"]
        words += ["--config", str(config), "--bar", "1-MINUTE"]
        ended = run("download", *words)
        assert ended.returncode == 0, ended.stderr[-1000:]
        assert "100 %" in ended.stderr
        told = json.loads(ended.stdout)
        assert told["rows"] >= 119
        again = json.loads(run("download", *words).stdout)
        assert again["rows"] <= 2, "only what has closed since"
    bars = ParquetDataCatalog(str(tmp_path / "cat")).query_bars()
    times = [bar.ts_event for bar in bars]
    assert times == sorted(set(times))
    assert len(times) == told["rows"] + again["rows"]
