"""Rules over the keys of a config."""

from __future__ import annotations

import typing
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.engine.config import rules
from fairlead.engine.config.model import Risk
from fairlead.engine.config.problems import ConfigError
from fairlead.engine.run.config import load
from tests.unit import backtest_kit as kit

WRONG = ("BTC_USDT", "BTCUSD.TEST", "btcusdt.TEST", "BTCUSDT.OTHER")


def test_every_limit_by_instrument_is_checked() -> None:
    """A limit of an instrument that is not there would hold for nothing, in silence."""
    hints = typing.get_type_hints(Risk)
    by_name = {name for name, kind in hints.items() if kind == dict[str, Decimal]}
    assert by_name == set(rules.OF_INSTRUMENTS)


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("option", rules.OF_INSTRUMENTS)
def test_a_limit_of_an_unknown_instrument_is_refused(
    tmp_path: Path, option: str, name: str
) -> None:
    risk = f'{option} = {{ "{name}" = "0.01" }}'
    path = kit.config(tmp_path, tmp_path / "catalog", kit.MAKER, kit.MAKER_PARAMS, risk=risk)
    with pytest.raises(ConfigError, match=rf"risk\.{option}"):
        load(path)


def test_an_adapter_of_nautilustrader_is_named_where_its_prefix_is_missing() -> None:
    found: list[str] = []

    def report(path: object, code: str, *words: str, **more: object) -> None:
        found.append(f"{code} {words[-1]}")

    raw = {"venues": {"BINANCE": {"adapter": "binance"}}}
    rules.check_rules(raw, ("binancex", "nautilus:binance"), report)
    assert 'E-CFG-035 did you mean "nautilus:binance"?' in found
