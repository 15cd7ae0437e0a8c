"""Fees of zero are said, with `fees = "none"`; fees that nobody tells are refused, saying how."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.engine.config.model import Fees
from fairlead.engine.config.problems import ConfigError
from fairlead.engine.errors import FairleadError
from fairlead.engine.matching.orders import Fee
from fairlead.engine.observe.assumptions import FeeRates
from fairlead.engine.orders.model import Side
from fairlead.engine.run.build import build_gate
from fairlead.engine.run.config import explain, json_schema, load
from fairlead.engine.run.fees import configured_rates, fee_rates
from fairlead.engine.run.simulated import _fees
from tests.unit.backtest_kit import MAKER, MAKER_PARAMS, config, perpetual, run, spot, write_catalog

PERP = "BTCUSDT.TEST"
OCEANEX = "BTC_USDT.OCEANEX"
TRADING = {**MAKER_PARAMS, "allow_short": True}
ZERO = FeeRates(maker=Decimal(0), taker=Decimal(0))
REMEDY = r'FEES-MISSING.*\[venues\.oceanex\.fees\].*or fees = "none" in \[venues\.oceanex\]'


def test_a_backtest_without_fees_trades_and_pays_nothing(tmp_path: Path) -> None:
    root = write_catalog(tmp_path / "c", perpetual(PERP), seconds=30, seed=11)
    free = run(tmp_path, root, MAKER, TRADING, fees='"none"').summary
    paid = run(tmp_path, root, MAKER, TRADING).summary
    assert free.fills == paid.fills > 5
    assert sum(free.fees.values()) == 0
    assert sum(paid.fees.values()) > 0


def test_none_wins_over_the_rates_of_the_data(tmp_path: Path) -> None:
    info = {"buy_fee": "0.002", "sell_fee": "0.001", "buy_fee_in_base": True}
    root = write_catalog(tmp_path / "c", spot(OCEANEX, info), seconds=30, seed=11)
    summary = run(
        tmp_path,
        root,
        MAKER,
        MAKER_PARAMS,
        instrument=OCEANEX,
        adapter="oceanex",
        fees='"none"',
        account="cash",
    ).summary
    assert summary.fills
    assert sum(summary.fees.values()) == 0


def test_the_paper_exchange_charges_nothing_either(tmp_path: Path) -> None:
    file = config(
        tmp_path,
        tmp_path,
        MAKER,
        MAKER_PARAMS,
        instrument=OCEANEX,
        adapter="oceanex",
        fees='"none"',
    )
    fee = _fees(load(file).config, "oceanex", [spot(OCEANEX)])
    for is_maker in (True, False):
        paid = fee(OCEANEX, Side.BUY, is_maker=is_maker, quantity=Decimal(2), price=Decimal(50))
        assert paid == Fee(Decimal(0), "USDT")
    file.write_text(file.read_text().replace('fees = "none"\n', ""))
    with pytest.raises(FairleadError, match=REMEDY):
        _fees(load(file).config, "oceanex", [spot(OCEANEX)])


def test_rates_of_the_config(tmp_path: Path) -> None:
    assert configured_rates(None) is None
    assert configured_rates("none") == ZERO
    rates = FeeRates(maker=Decimal("-0.0001"), taker=Decimal("0.0005"))
    assert configured_rates(Fees(maker=rates.maker, taker=rates.taker)) == rates
    assert fee_rates("oceanex", "none", spot(OCEANEX, {"maker_fee": "1", "taker_fee": "1"})) == ZERO


def test_rates_of_the_config_are_taken_in_the_currency_that_the_venue_takes() -> None:
    """They say how much, not in what: a run with them else holds what it would not live."""
    info = {"buy_fee": "0.001", "sell_fee": "0.001", "buy_fee_in_base": True}
    rates = Fees(maker=Decimal("0.002"), taker=Decimal("0.003"))
    found = fee_rates("oceanex", rates, spot(OCEANEX, info))
    assert (found.maker, found.taker, found.buy_in_base) == (rates.maker, rates.taker, True)
    assert not fee_rates("oceanex", rates, spot(OCEANEX)).buy_in_base


def test_the_gate_reckons_with_none(tmp_path: Path) -> None:
    file = config(tmp_path, tmp_path, MAKER, TRADING, fees='"none"')
    assert build_gate(load(file)).fees == {"TEST": Decimal(0)}


def test_what_is_missing_names_both_ways_out(tmp_path: Path) -> None:
    root = write_catalog(tmp_path / "c", spot(OCEANEX), seconds=5)
    more = {"instrument": OCEANEX, "adapter": "oceanex", "fees": None, "account": "cash"}
    with pytest.raises(FairleadError, match=REMEDY):
        run(tmp_path, root, MAKER, MAKER_PARAMS, **more)
    with pytest.raises(ConfigError, match=r'E-CFG-034.*or fees = "none"'):
        load(config(tmp_path, root, MAKER, TRADING, fees=None))


@pytest.mark.parametrize("word", ['"zero"', '"0"', "0", "false", '"None"'])
def test_no_other_word_means_none(tmp_path: Path, word: str) -> None:
    with pytest.raises(ConfigError, match=r"venues\.test\.fees"):
        load(config(tmp_path, tmp_path, MAKER, TRADING, fees=word))


def test_it_is_documented_where_fees_are() -> None:
    assert 'fees = "none"' in explain("venues.oceanex.fees")
    assert '"none"' in explain("venues.oceanex")
    assert 'fees = "none"' in explain("simulated.fees")
    options = json_schema()["$defs"]["Venue"]["properties"]["fees"]["anyOf"]
    assert {"enum": ["none"]} in options
