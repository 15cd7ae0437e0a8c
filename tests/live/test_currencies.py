"""Currencies that NautilusTrader was not built with, in every mode and at every venue."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import configs
from tests.support.processes import ROOT, Venue, run, venue

# Neither code is built in: one is a market's, the other one is nobody's.
MORE = """
[simulated]
balances = ["10000 USDT", "1000 VET", "7.5 NEWCOIN"]
[venues.{venue}.fees]
maker = "0.001"
taker = "0.001"
[risk]
max_daily_loss = ["1000 USDT"]
[backtest]
catalog = "data/catalog"
"""
PARAMS = {"instrument_id": "BTC_USDT.{VENUE}", "does": "rest"}
SOURCES = ("engine", "adapters", "strategies", "backtests")
MADE_HERE = re.compile(r"\b(Currency\.(from_str|register)|Money\.from_str)\(")


@pytest.fixture(scope="module", params=["oceanex", "poloniex"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Venue]:
    key = str(request.param)
    with venue(key, tmp_path_factory.mktemp(key), "--seed", "3") as running:
        yield running


def test_a_currency_that_is_new_is_known_in_every_mode(served: Venue, tmp_path: Path) -> None:
    key = str(served.line["venue"])
    markets = ("BTC_USDT", "VET_USDT") if key == "oceanex" else ("BTC_USDT",)
    params = {name: value.format(VENUE=key.upper()) for name, value in PARAMS.items()}
    strategy = {"id": "S-1", "path": "tests.live.scripted:Scripted", "params": params}
    config = configs.write(
        tmp_path,
        served,
        strategies=[strategy],
        instruments=markets,
        more=MORE.format(venue=key),
    )
    for verb in ("paper", "live", "record"):
        ended = run(verb, config, "--for", "4", "--json")
        assert ended.returncode == 0, (verb, ended.stderr[-2000:])
        idle = "balances[2], 7.5 NEWCOIN, is of no use" in ended.stderr
        assert idle == (verb == "paper"), ended.stderr
    told = run("backtest", config, "--json")
    assert told.returncode == 0, told.stderr[-2000:]
    assert "balances[2], 7.5 NEWCOIN, is of no use" in told.stderr
    assert json.loads(told.stdout)["balance_changes"][key.upper()].keys() >= {
        "USDT",
        "VET",
        "NEWCOIN",
    }


def test_currencies_are_made_in_one_place() -> None:
    """Whoever makes one elsewhere makes one that money can't be read in."""
    elsewhere = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in SOURCES
        for path in (ROOT / folder).rglob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if MADE_HERE.search(line) and path != ROOT / "engine" / "currencies.py"
    ]
    assert elsewhere == []
