"""Data of one venue, orders at the gateway: one config, on paper and as a backtest of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Venue, command, run, venue

HERE = Path(__file__).parent
CONFIG = """
name = "two"
[venues.mudawyl]
adapter = "mudawyl"
account_type = "margin"
instruments = ["BTC_USDT.MUDAWYL"]
[[venues.mudawyl.options.markets]]
symbol = "BTC/USDT"
price_precision = 1
quantity_precision = 3
{source}
[prices_from]
"BTC_USDT.MUDAWYL" = "{name}"
[[strategies]]
id = "two-1"
path = "{here}/two_targets.py:TwoTargets"
params = {{ instrument_id = "BTC_USDT.MUDAWYL", feed = "book" }}
[[strategies]]
id = "trail-2"
path = "{here}/two_targets.py:TwoTargets"
params = {{ instrument_id = "BTC_USDT.MUDAWYL", feed = "book", trails = true }}
[record]
[run]
stop_timeout_secs = 30
"""
OCEANEX = """
[venues.oceanex]
adapter = "oceanex"
data_only = true
instruments = ["BTC_USDT.OCEANEX"]
options = {{ http_url = "{rest}", ws_url = "{ws}", app_key = "{app_key}" }}
"""
BINANCE = """
[venues.binance]
adapter = "nautilus:binance"
account_type = "margin"
data_only = true
instruments = ["BTCUSDT-PERP.BINANCE"]
credentials = {{ api_key = "{api_key}", api_secret = "{api_secret}" }}
[venues.binance.options]
product_type = "USD_M"
base_url_http = "{usdm_rest}"
base_url_ws = "{usdm_ws}"
base_url_ws_trading = "{usdm_ws_api}"
"""
SOURCES = {
    "oceanex": ("BTC_USDT.OCEANEX", OCEANEX),
    "binance": ("BTCUSDT-PERP.BINANCE", BINANCE),
}


def written(folder: Path, served: Venue, key: str) -> Path:
    name, source = SOURCES[key]
    line: dict[str, Any] = dict(served.line)
    text = source.format(**(line | line["credentials"]))
    path = folder / "run.toml"
    path.write_text(CONFIG.format(source=text, name=name, here=HERE))
    return path


def told(text: str, row: str) -> str:
    found = re.search(rf"│ {re.escape(row)}\s+│ (.*?)\s+│", text)
    assert found is not None, text
    return found[1]


@pytest.mark.parametrize("key", SOURCES)
def test_on_paper_and_in_a_backtest_of_what_that_recorded(tmp_path: Path, key: str) -> None:
    """Its book is told under the gateway's name, on its decimals, and so recorded. A trailing stop
    is refused by its name: no simulated exchange has it. No order goes to the other venue: of its
    instruments, which tell no fees, none are asked for."""
    with venue(key, tmp_path / "keys") as served:
        config = written(tmp_path, served, key)
        paper = run("paper", config, "--for", "8")
    assert paper.returncode == 0, paper.stderr[-3000:]
    backtest = command("backtest", config)
    assert backtest.returncode == 0, backtest.stderr[-3000:]
    for text in (paper.stdout, backtest.stdout):
        assert told(text, "order kinds") == "LIMIT 2, MARKET 1, STOP_LIMIT 1"
        assert told(text, "denials") == "UNSUPPORTED 1"
        assert "bought 0.05, sold 0 BTC" in told(text, "BTC_USDT.MUDAWYL turnover")
