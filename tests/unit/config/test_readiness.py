"""Notes of `fairlead check`: what prevents no start, and a person should know of."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.engine.run.config import load
from fairlead.engine.run.readiness import start_look

TREND = "fairlead.strategies.trend_follower:TrendFollower"
CONTRACT = "BTCUSDT-PERP.BINANCE"
OTHER = "ETHUSDT-PERP.BINANCE"
CONFIG = f"""
name = "two"
[venues.binance]
adapter = "nautilus:binance"
instruments = ["{CONTRACT}", "{OTHER}"]
account_type = "%s"
fees = {{ maker = "0.0002", taker = "0.0005" }}
[venues.binance.options]
product_type = "USD_M"
"""
STRATEGY = """
[[strategies]]
id = "{name}"
path = "{path}"
params = {{ instrument_id = "{instrument}", order_quantity = "0.01" }}
"""
GATEWAY = """
name = "gateway"
[venues.mudawyl]
adapter = "mudawyl"
instruments = ["BTC_USDT.MUDAWYL"]
options = {{ captcha = "{captcha}" }}
"""


def notes(folder: Path, text: str, mode: str = "live") -> list[str]:
    path = folder / "run.toml"
    path.write_text(text)
    return start_look(load(path), mode)[1]  # type: ignore[arg-type]


def shared(folder: Path, account: str, *instruments: str, mode: str = "live") -> list[str]:
    text = CONFIG % account
    for number, one in enumerate(instruments):
        text += STRATEGY.format(name=f"Trend-{number}", path=TREND, instrument=one)
    return [one for one in notes(folder, text, mode) if "one net position" in one]


def test_two_strategies_on_one_contract_of_a_margin_account_are_told(tmp_path: Path) -> None:
    (told,) = shared(tmp_path, "margin", CONTRACT, CONTRACT, OTHER)
    assert told.startswith(f"Trend-0, Trend-1 name one contract, {CONTRACT}, of which binance's")
    assert "docs/nautilus-venues.md" in told


@pytest.mark.parametrize(
    ("account", "instruments", "mode"),
    [
        ("margin", (CONTRACT, OTHER), "live"),
        ("cash", (CONTRACT, CONTRACT), "live"),  # nothing is taken by a net there
        ("margin", (CONTRACT, CONTRACT), "paper"),
    ],
)
def test_others_are_not(
    tmp_path: Path, account: str, instruments: tuple[str, ...], mode: str
) -> None:
    assert shared(tmp_path, account, *instruments, mode=mode) == []


@pytest.mark.parametrize(("captcha", "told"), [("none", True), ("prompt", False)])
def test_a_gateway_without_a_person_sends_no_order(
    tmp_path: Path, captcha: str, told: bool
) -> None:
    found = [one for one in notes(tmp_path, GATEWAY.format(captcha=captcha)) if "captcha" in one]
    assert bool(found) is told
    if told:
        assert found[0].startswith('[venues.mudawyl.options] captcha = "none": no order can be')
