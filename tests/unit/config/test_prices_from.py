"""Data of one venue and orders at another: what a config may say of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.engine.config.problems import ConfigError
from fairlead.engine.config.resolved import Mode, resolve
from fairlead.engine.run.build import capabilities, venue_offer
from fairlead.engine.run.config import load
from fairlead.engine.run.readiness import start_look

HERE, THERE = "BTC_USDT.MUDAWYL", "BTC_USDT.OCEANEX"
CONFIG = """
name = "two"
[venues.mudawyl]
adapter = "mudawyl"
instruments = ["BTC_USDT.MUDAWYL", "ETH_USDT.MUDAWYL"]
[venues.oceanex]
adapter = "oceanex"
instruments = ["BTC_USDT.OCEANEX"]
{role}
[prices_from]
{prices}
[[strategies]]
id = "two-1"
path = "fairlead.strategies.trend_follower:TrendFollower"
params = {{ instrument_id = "BTC_USDT.MUDAWYL", order_quantity = "0.01" }}
"""


def written(folder: Path, prices: str = f'"{HERE}" = "{THERE}"', role: str = "") -> Path:
    path = folder / "run.toml"
    path.write_text(CONFIG.format(prices=prices, role=role))
    return path


def codes(path: Path, mode: Mode) -> list[tuple[str, str]]:
    return [(one.code, one.key) for one in resolve(load(path), mode).problems]


@pytest.mark.parametrize(
    ("prices", "code"),
    [
        (f'"{HERE}" = "BTC_USDT.NOWHERE"', "E-CFG-030"),
        (f'"{HERE}" = "ETH_USDT.OCEANEX"', "E-CFG-032"),
        (f'"SOL_USDT.MUDAWYL" = "{THERE}"', "E-CFG-032"),
        (f'"{HERE}" = "{HERE}"', "E-CFG-047"),
        (f'"{HERE}" = "{THERE}"\n"ETH_USDT.MUDAWYL" = "{HERE}"', "E-CFG-047"),
    ],
)
def test_both_instruments_are_of_the_config_and_one_has_prices(
    tmp_path: Path, prices: str, code: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, prices))
    assert {one.code for one in caught.value.problems} == {code}


def test_what_stands_for_an_instrument_is_what_it_offers(tmp_path: Path) -> None:
    sources = venue_offer(load(written(tmp_path))).sources
    assert sources[HERE] == sources[THERE]
    assert "book deltas" in sources[HERE].kinds
    assert sources["ETH_USDT.MUDAWYL"].kinds == {"mark prices", "statuses", "instruments"}


def test_a_venue_of_data_only_needs_no_key_and_takes_no_order(tmp_path: Path) -> None:
    """And the trend follower's stops are not compared with what it can do."""
    told = codes(written(tmp_path, role="data_only = true"), "live")
    assert not [key for _, key in told if "oceanex" in key]
    told = codes(written(tmp_path), "live")
    assert ("E-CFG-042", "venues.oceanex.credentials.key_id") in told or [
        key for _, key in told if "oceanex" in key
    ]
    able = capabilities(load(written(tmp_path, role="data_only = true")))
    assert able["OCEANEX"].kinds == frozenset()


def test_a_ticker_is_no_market_for_a_run_on_paper(tmp_path: Path) -> None:
    told = codes(written(tmp_path, role="data_only = true"), "paper")
    assert ("E-CFG-046", "venues.mudawyl.instruments[1]") in told
    assert ("E-CFG-046", "venues.mudawyl.instruments[0]") not in told


def test_check_tells_what_a_venue_lacks(tmp_path: Path) -> None:
    _, notes = start_look(load(written(tmp_path, role="data_only = true")), "live")
    assert any("mudawyl has no book, trades or bars of ETH_USDT.MUDAWYL" in one for one in notes)
    assert any("mudawyl can't cancel one order" in one for one in notes)
