"""What a person writes as a number is ASCII digits: Python's own readers take more."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from fairlead.engine.cli import import_, resolve
from fairlead.engine.config.problems import ConfigError
from fairlead.engine.config.walk import is_exact_decimal
from fairlead.engine.run.config import load
from tests.unit import backtest_kit as kit

ODD = ("1_0", "0.0_12", "\u0663", "１", " 1", "1 ", "1\n")


@pytest.mark.parametrize("text", ODD)
def test_an_odd_number_is_refused_wherever_one_is_written(text: str, tmp_path: Path) -> None:
    assert not is_exact_decimal(text)
    for read in (
        lambda: import_._fee("--maker-fee", text),
        lambda: import_._above_zero("--tick-size", text),
        lambda: resolve._number(text, "--fee"),
    ):
        with pytest.raises(typer.BadParameter, match="received"):
            read()
    quoted = text.replace("\n", "\\n")
    for risk in (f'max_order_notional = "{quoted} USDT"', f'price_collar_bps = "{quoted}"'):
        path = kit.config(tmp_path, tmp_path / "catalog", kit.MAKER, kit.MAKER_PARAMS, risk=risk)
        with pytest.raises(ConfigError, match=r"E-CFG-02[25]"):
            load(path)


def test_what_is_one_is_read() -> None:
    assert [resolve._number(each, "x") for each in ("0.5", "-1", "1e-3")]
    assert import_._fee("--maker-fee", "0.0002") is not None
    assert import_._above_zero("--tick-size", "0.01") is not None
