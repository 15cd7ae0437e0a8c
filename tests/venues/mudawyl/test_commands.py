"""`fairlead gateway ...` against a served gateway: tables, JSON, and never a secret."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fairlead.adapters.mudawyl.commands import COMMANDS
from fairlead.adapters.mudawyl.simulator import MudawylSimOptions, MudawylSimulator
from fairlead.adapters.mudawyl.simulator_matching import Asked, Leg
from fairlead.engine.cli.app import app
from fairlead.engine.cli.venue import write_credentials
from fairlead.engine.errors import Exit
from fairlead.engine.orders.model import Side
from tests.support.serving import Serving, serving

CONFIG = """
name = "gateway"
[venues.mudawyl]
adapter = "mudawyl"
instruments = ["BTC_USDT.MUDAWYL"]
[venues.mudawyl.credentials]
token = "{token}"
[venues.mudawyl.options]
http_url = "{url}"
key_id = "{key}"
markets = [{{ symbol = "BTC/USDT", price_precision = 1, quantity_precision = 3 }}]
{more}
"""


class Gateway:
    def __init__(self, folder: Path, simulator: MudawylSimulator, made: Serving) -> None:
        self.sim, self.do = simulator, made.do
        line: dict[str, Any] = dict(made.served.describe())
        self._folder = folder
        self._token = write_credentials(folder / "keys", line["credentials"])["token"]
        self._url = line["rest"]

    def config(self, more: str = "") -> Path:
        path = self._folder / "run.toml"
        text = CONFIG.format(token=self._token, url=self._url, key=self.sim.main.id, more=more)
        path.write_text(text)
        return path

    def run(self, *words: str, more: str = "") -> Result:
        arguments = ["gateway", *words, "--config", str(self.config(more))]
        return CliRunner().invoke(app, arguments)

    def told(self, *words: str, more: str = "") -> Any:
        result = self.run(*words, "--json", more=more)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    options = MudawylSimOptions(is_market_live=False)
    simulator = MudawylSimulator(options, now_ns=time.time_ns(), seed=3)
    with serving(simulator) as made:
        yield Gateway(tmp_path, simulator, made)


def person(gateway: Gateway) -> str:
    """A config's provider of one reCAPTCHA token, as a command of the user's."""
    captcha = gateway.sim.new_captcha()
    command = json.dumps([sys.executable, "-S", "-c", f"print({captcha!r})"])
    return f'captcha = "command"\ncaptcha_command = {command}'


def test_without_a_name_the_commands_are_listed(gateway: Gateway) -> None:
    assert [row["command"] for row in gateway.told()] == [one.name for one in COMMANDS]
    text = gateway.run().stdout
    assert "history STRATEGY [INTERVAL] [LIMIT]" in text
    assert "follow KEY STRATEGY RISK" in text


def test_strategies_and_what_they_made(gateway: Gateway) -> None:
    rows = gateway.told("strategies")
    strategy = rows[0]["id"]
    assert rows[0]["symbol"] == "BTC/USDT"
    history = gateway.told("history", strategy, "1d", "5")
    assert len(history) == 5
    (total,) = gateway.told("performance", strategy, "1d", "5")
    assert total["trades"] == sum(row["trades"] for row in history)
    assert next(row["name"] for row in gateway.told("risks")) == "CONSERVATIVE"
    table = gateway.run("history", strategy).stdout
    assert "net_profit_percent" in table
    assert history[0]["start"] in table


def test_keys_and_balances_hold_no_secret(gateway: Gateway) -> None:
    secrets = [key.api_key for key in gateway.sim.keys.values()]
    rows = gateway.told("keys")
    assert {row["name"] for row in rows} == {"Trading", "Spot", "Automated"}
    for words in (("keys",), ("keys", "--json"), ("balances",), ("balances", "--json")):
        output = gateway.run(*words).output
        assert not any(secret in output for secret in [*secrets, gateway.sim.token])
    (usdt,) = gateway.told("balances", gateway.sim.main.id)
    assert (usdt["currency"], float(usdt["total"])) == ("USDT", 10_000)
    assert gateway.told("balances") == [usdt]


def test_following_is_a_word_of_a_person(gateway: Gateway) -> None:
    key, strategy = gateway.sim.main.id, gateway.sim.strategies[0].id
    words = ("follow", key, strategy, gateway.sim.risks[1].id)
    refused = gateway.run(*words)
    assert refused.exit_code == Exit.VENUE
    assert "MUDAWYL-NO-CAPTCHA" in refused.output
    assert gateway.told("follows", key) == []
    (made,) = gateway.told(*words, more=person(gateway))
    assert (made["strategy"], made["risk_percent"], made["active"]) == (strategy, "2", True)
    (ended,) = gateway.told("unfollow", made["id"], more=person(gateway))
    assert ended["active"] is False
    assert gateway.told("follows", key) == [ended]


def test_a_position_is_told_and_flattened_by_a_word_of_its_own(gateway: Gateway) -> None:
    (flat,) = gateway.told("position", "BTC/USDT")
    assert (flat["quantity"], flat["mark"]) == ("0", None)
    amount = Decimal("0.05")
    leg = Leg(type="stop", stop_price=Decimal(61000), price=Decimal(61100), amount=amount)
    asked = Asked(
        symbol="BTC/USDT",
        type="MARKET",
        side=Side.SELL,
        amount=amount,
        price=None,
        callback=None,
        legs=(leg,),
    )
    gateway.do(lambda: gateway.sim.create(asked))
    (held,) = gateway.told("position", "BTC/USDT")
    assert held["quantity"] == "-0.05"
    (stop,) = gateway.told("orders", "BTC/USDT")
    assert (stop["type"], stop["trigger"]) == ("stop", "61000")
    refused = gateway.run("flatten", "BTC/USDT")
    assert "MUDAWYL-NO-CAPTCHA" in refused.output
    assert gateway.sim.holdings["BTC/USDT"].quantity == Decimal("-0.05")
    (left,) = gateway.told("flatten", "BTC/USDT", more=person(gateway))
    assert left["quantity"] == "0"
    assert gateway.told("orders", "BTC/USDT") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("strategeis",), "did you mean strategies?"),
        (("history",), "expected history STRATEGY [INTERVAL] [LIMIT]"),
        (("history", "x", "1h"), "INTERVAL: expected 1d or 1M"),
        (("history", "x", "1d", "0"), "LIMIT: expected 1 to 1000"),
        (("balances", "x"), "KEY: no stored key"),
        (("flatten", "ETH/USDT"), "SYMBOL: expected one of BTC/USDT"),
        (("keys", "--venue", "other"), "--venue: expected one of mudawyl"),
    ],
)
def test_what_is_not_understood_is_wrong_usage(
    gateway: Gateway, words: tuple[str, ...], said: str
) -> None:
    result = gateway.run(*words)
    assert result.exit_code == Exit.USAGE
    assert said in " ".join(result.output.replace("│", " ").split())


def test_what_the_gateway_refuses_is_one_line_and_its_code(gateway: Gateway) -> None:
    result = gateway.run("history", "nonsense")
    assert result.exit_code == Exit.VENUE
    assert "MUDAWYL-422" in result.output
    assert "must be UUID" in result.output


def test_a_name_can_not_speak_to_the_terminal(gateway: Gateway) -> None:
    gateway.sim.main.name = "\x1b[2Jred [bold]"
    output = gateway.run("keys").output
    assert "\x1b" not in output
    assert "?[2Jred [bold]" in output


def test_a_config_whose_venues_have_no_commands_says_so(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        'name = "x"\n[venues.one]\nadapter = "oceanex"\ninstruments = ["BTC_USDT.ONE"]\n'
    )
    for more, code in (([], Exit.OK), (["keys"], Exit.USAGE)):
        result = CliRunner().invoke(app, ["gateway", *more, "--config", str(path)])
        assert result.exit_code == code
        assert "has commands of its own" in result.output
    result = CliRunner().invoke(app, ["gateway", "--config", str(path), "--json"])
    assert (result.exit_code, result.output.strip()) == (Exit.OK, "[]")
