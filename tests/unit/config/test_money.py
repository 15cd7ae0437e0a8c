"""Currencies of a config: limits that would deny every order, balances that are named twice."""

from __future__ import annotations

import json
import typing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fairlead.engine.cli.app import app
from fairlead.engine.config import model, rules
from fairlead.engine.config.problems import ConfigError
from fairlead.engine.run.backtest import run_backtest
from fairlead.engine.run.config import load
from tests.unit import backtest_kit as kit

CONFIG = """\
name = "t"
[venues.poloniex]
adapter = "poloniex"
instruments = {instruments}
[risk]
{risk}
[simulated]
balances = {balances}
"""


def problems(
    folder: Path,
    risk: str = "",
    instruments: str = '["BTC_USDT.POLONIEX", "ETH_BTC.POLONIEX"]',
    balances: str = '["100 USDT"]',
) -> list[tuple[str, str, str]]:
    path = folder / "run.toml"
    path.write_text(CONFIG.format(risk=risk, instruments=instruments, balances=balances))
    try:
        load(path)
    except ConfigError as error:
        return [(one.code, one.key, one.expected) for one in error.problems]
    return []


def test_every_limit_of_money_is_looked_at() -> None:
    hints = typing.get_type_hints(model.Risk, include_extras=True)
    money = {name for name, kind in hints.items() if "Amount and currency" in repr(kind)}
    assert money == {*rules.OF_MONEY}


@pytest.mark.parametrize("option", rules.OF_MONEY)
@pytest.mark.parametrize("currency", ["EUR", "USD", "ETH"])
def test_a_limit_in_a_currency_of_no_instrument_is_refused(
    tmp_path: Path, option: str, currency: str
) -> None:
    """ETH is bought and sold, and nothing is priced in it."""
    is_list = option != "max_order_notional"
    risk = f'{option} = ["5 BTC", "5 {currency}"]' if is_list else f'{option} = "5 {currency}"'
    ((code, key, expected),) = problems(tmp_path, risk)
    assert (code, key) == ("E-CFG-040", f"risk.{option}" + ("[1]" if is_list else ""))
    assert expected == "a currency that an instrument is priced in (BTC, USDT)"


@pytest.mark.parametrize(
    "risk",
    [
        'max_order_notional = "5 USDT"',
        'max_venue_exposure = ["5 USDT", "1 BTC"]',
    ],
)
def test_a_limit_that_can_hold_passes(tmp_path: Path, risk: str) -> None:
    assert problems(tmp_path, risk) == []


@pytest.mark.parametrize(
    ("instrument", "currency", "passes"),
    [
        ("BTCUSDT.POLONIEX", "USDT", True),
        ("BTCUSDT.POLONIEX", "USD", False),
        ("BTCUSDT.POLONIEX", "EUR", False),
        ("BTC_USDT.POLONIEX", "T", False),
    ],
)
def test_a_name_of_another_form_is_priced_in_what_it_ends_with(
    tmp_path: Path, instrument: str, currency: str, passes: bool
) -> None:
    found = problems(tmp_path, f'max_order_notional = "5 {currency}"', f'["{instrument}"]')
    assert (found == []) == passes


@pytest.mark.parametrize(
    ("balances", "at"),
    [('["100 USDT", "7 USDT"]', 1), ('["1 BTC", "100 USDT", "1 BTC"]', 2)],
)
def test_a_balance_named_twice_is_refused(tmp_path: Path, balances: str, at: int) -> None:
    found = problems(tmp_path, balances=balances)
    assert found == [("E-CFG-043", f"simulated.balances[{at}]", "each currency once")]


@pytest.mark.parametrize(
    ("fees", "wrong"),
    [
        ('maker = "0.001"\ntaker = "41"', [("taker", "at most 0.05")]),
        ('maker = "41"\ntaker = "0.1"', [("maker", "at most 0.05"), ("taker", "at most 0.05")]),
        (
            'maker = "-0.1"\ntaker = "-0.001"',
            [("maker", "at least -0.05"), ("taker", "at least 0")],
        ),
        ('maker = "-0.05"\ntaker = "0.05"', []),
    ],
)
def test_a_fee_rate_that_is_no_fraction_is_refused(
    tmp_path: Path, fees: str, wrong: list[tuple[str, str]]
) -> None:
    path = tmp_path / "run.toml"
    venue = f"[venues.poloniex.fees]\n{fees}\n[risk]"
    text = CONFIG.format(risk="", instruments='["BTC_USDT.POLONIEX"]', balances='["100 USDT"]')
    path.write_text(text.replace("[risk]", venue))
    told = CliRunner().invoke(app, ["check", str(path), "--json"])
    found = json.loads(told.stdout)["problems"]
    assert {one["code"] for one in found} == ({"E-CFG-024"} if wrong else set())
    assert [(one["key"].rpartition(".")[2], one["expected"]) for one in found] == wrong
    assert all(one["hint"] == "it is a fraction: 0.001 is 0.1 %, or 10 bps" for one in found)


IDLE = "simulated.balances[{}], {} {}, is of no use: no instrument of the run is bought, sold or "
IDLE += "settled in {}"


@pytest.mark.parametrize(
    ("instrument", "currency", "is_idle"),
    [
        ("BTC_USDT", "USDT", False),
        ("BTC_USDT", "BTC", False),
        ("BTC_USDT", "USD", True),
        ("BTC_USDT", "EUR", True),
        ("BTCUSDT", "BTC", False),
        ("BTCUSDT-PERP", "USDT", False),
        ("BTCUSDT-PERP", "EUR", True),
    ],
)
@pytest.mark.parametrize("mode", [None, "paper", "live"])
def test_a_balance_of_no_instrument_is_told_by_check(
    tmp_path: Path, instrument: str, currency: str, is_idle: bool, mode: str | None
) -> None:
    path = tmp_path / "run.toml"
    balances = f'["1 {currency}"]'
    instruments = f'["{instrument}.POLONIEX"]'
    path.write_text(CONFIG.format(risk="", instruments=instruments, balances=balances))
    words = [] if mode is None else ["--mode", mode]
    told = CliRunner().invoke(app, ["check", str(path), "--json", *words])
    idle = is_idle and mode != "live"  # which has no simulated balances
    expected = [IDLE.format(0, 1, currency, currency)] if idle else []
    assert json.loads(told.stdout)["notes"] == expected


def test_the_balance_that_is_no_key_of_the_file_is_told_on_paper_alone(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    text = CONFIG.format(risk="", instruments='["ETH_BTC.POLONIEX"]', balances="[]")
    path.write_text(text.replace("balances = []", ""))
    for words, count in ([], 0), (["--mode", "paper"], 1), (["--mode", "live"], 0):
        told = CliRunner().invoke(app, ["check", str(path), "--json", *words])
        assert len(json.loads(told.stdout)["notes"]) == count


def test_a_backtest_knows_what_its_catalog_is_traded_in(tmp_path: Path) -> None:
    kit.write_catalog(tmp_path / "catalog", kit.perpetual("BTCUSDT.TEST"), seconds=5, seed=1)
    balances = ("9 USDT", "7 EUR", "1 BTC")
    path = kit.config(
        tmp_path, tmp_path / "catalog", kit.MAKER, kit.MAKER_PARAMS, balances=balances
    )
    result = run_backtest(load(path))
    line = IDLE.format(1, 7, "EUR", "EUR")
    assert [one for one in result.summary.notes if "BALANCE" in one] == [f"BALANCE-IDLE: {line}"]
    result.dispose()
    told = CliRunner().invoke(app, ["check", str(path), "--mode", "backtest", "--json"])
    assert (json.loads(told.stdout)["notes"], told.exit_code) == ([line], 0)


@pytest.mark.parametrize("risk", ['max_order_notional = "5 EUR"', 'max_drawdown = ["5 USD"]'])
def test_a_backtest_knows_what_its_catalog_is_priced_in(tmp_path: Path, risk: str) -> None:
    kit.write_catalog(tmp_path / "catalog", kit.perpetual("BTCUSDT.TEST"), seconds=5, seed=1)
    path = kit.config(tmp_path, tmp_path / "catalog", kit.MAKER, kit.MAKER_PARAMS, risk=risk)
    with pytest.raises(ConfigError, match=r"E-CFG-040 risk\..*priced in \(USDT\)"):
        run_backtest(load(path))
    result = CliRunner().invoke(app, ["check", str(path), "--mode", "backtest", "--json"])
    (problem,) = json.loads(result.stdout)["problems"]
    assert (problem["code"], result.exit_code) == ("E-CFG-040", 3)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("ws_public_url", "ws_url"),  # which was called public_ws_url
        ("public_url", "ws_url"),
        ("url_http", "http_url"),
        ("ws_private_url", "private_ws_url"),
    ],
)
def test_the_nearest_option_of_a_venue_is_told(tmp_path: Path, name: str, nearest: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        'name = "t"\n[venues.poloniex]\nadapter = "poloniex"\n'
        f'instruments = ["BTC_USDT.POLONIEX"]\noptions = {{ {name} = "x" }}\n'
    )
    with pytest.raises(ConfigError, match=f"did you mean {nearest}\\?"):
        load(path)


SHUT = "risk.{} is in {}: every order in {}, priced otherwise, is refused; "


def test_instruments_that_a_limit_shuts_out_are_named_by_check(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    risk = 'max_order_notional = "5 USDT"\nmax_drawdown = ["5 BTC", "5 USDT"]\n'
    risk += 'max_daily_loss = ["1 BTC"]'
    instruments = '["BTC_USDT.POLONIEX", "ETH_BTC.POLONIEX", "ETH_USDT.POLONIEX"]'
    text = CONFIG.format(risk=risk, instruments=instruments, balances='["100 USDT"]')
    path.write_text(text)
    expected = [
        SHUT.format("max_order_notional", "USDT", "ETH_BTC.POLONIEX")
        + "it takes one currency, so that these need a config of their own",
        SHUT.format("max_daily_loss", "BTC", "BTC_USDT.POLONIEX, ETH_USDT.POLONIEX")
        + "add an amount in theirs",
    ]
    for words in [], ["--mode", "live"], ["--mode", "paper"]:
        told = CliRunner().invoke(app, ["check", str(path), "--json", *words])
        assert json.loads(told.stdout)["notes"] == expected
    path.write_text(text.replace("adapter =", "data_only = true\nadapter ="))
    told = CliRunner().invoke(app, ["check", str(path), "--json"])
    assert json.loads(told.stdout)["notes"] == [], "no order goes there"


def test_a_backtest_knows_which_of_its_instruments_a_limit_shuts_out(tmp_path: Path) -> None:
    """By what the catalog says of them."""
    names = ("BTC_USDT.TEST", "BTC_EUR.TEST")
    for seed, name in enumerate(names):
        kit.write_catalog(tmp_path / "catalog", kit.perpetual(name), seconds=5, seed=seed)
    path = kit.config(
        tmp_path,
        tmp_path / "catalog",
        kit.MAKER,
        kit.MAKER_PARAMS,
        instrument=names[0],
        risk='max_order_notional = "5000 USDT"',
    )
    path.write_text(path.read_text().replace(f'["{names[0]}"]', f'["{names[0]}", "{names[1]}"]'))
    line = SHUT.format("max_order_notional", "USDT", names[1])
    line += "it takes one currency, so that these need a config of their own"
    told = CliRunner().invoke(app, ["check", str(path), "--mode", "backtest", "--json"])
    assert (json.loads(told.stdout)["notes"], told.exit_code) == ([line], 0)
    run = run_backtest(load(path))
    assert [one for one in run.summary.notes if "LIMIT" in one] == [f"LIMIT-CURRENCY: {line}"]
    run.dispose()
