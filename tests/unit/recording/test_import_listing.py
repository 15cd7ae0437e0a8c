"""Rules of instruments from a venue's own file, for what a stream file cannot tell."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.persistence import ParquetDataCatalog
from typer.testing import CliRunner

from fairlead.engine.cli.app import app
from fairlead.engine.recording.importers.binance import import_binance
from fairlead.engine.recording.importers.binance_instruments import Rules
from fairlead.engine.recording.importers.staging import ImportFailed
from tests.unit.recording.test_import_faults import WHOLE, imported, snapshot, steady, trade

DATA = Path(__file__).resolve().parents[2] / "data" / "recording"
SPOT, USDM = DATA / "exchange_info_spot.json", DATA / "exchange_info_usdm.json"
LINES = [snapshot(0, 1, *WHOLE), *steady(2, 3)]


def of(catalog: Path) -> Any:
    (one,) = ParquetDataCatalog(str(catalog)).instruments()
    return one


def rewritten(folder: Path, **symbol: object) -> Path:
    """The spot file with other fields of BTCUSDT."""
    info = json.loads(SPOT.read_text())
    info["symbols"][0] |= symbol
    path = folder / "info.json"
    path.write_text(json.dumps(info))
    return path


def test_a_spot_pair_has_the_rules_of_the_venues_file(tmp_path):
    import_binance(DATA / "binance_spot_400.gz", tmp_path / "cat", listing=SPOT)
    pair = of(tmp_path / "cat")
    assert (str(pair.price_increment), str(pair.size_increment)) == ("0.01", "0.00001")
    assert (str(pair.min_quantity), str(pair.max_quantity)) == ("0.00002", "9000.00000")
    assert str(pair.min_notional) == "5.00000000 USDT"
    assert pair.info["maker_fee"] == "0.001"  # exchangeInfo has no fees: the market's default


def test_a_perpetual_has_the_rules_and_margins_of_the_venues_file(tmp_path):
    import_binance(DATA / "binance_usdm_400.gz", tmp_path / "cat", listing=USDM)
    perp = of(tmp_path / "cat")
    assert (str(perp.price_increment), str(perp.min_quantity)) == ("0.1", "0.002")
    assert str(perp.min_notional) == "100.00000000 USDT"
    assert (perp.margin_init, perp.margin_maint) == (Decimal("0.04"), Decimal("0.025"))


def test_currencies_come_from_the_file_and_no_limit_is_none(tmp_path):
    """By its letters it would be AAA in USDT; a zero says that there is no such rule."""
    imported(tmp_path, LINES, listing=SPOT)
    pair = of(tmp_path / "cat")
    assert (pair.base_currency.code, pair.quote_currency.code) == ("AA", "AUSDT")
    assert (str(pair.price_increment), str(pair.size_increment)) == ("0.05", "1")
    assert pair.max_quantity is None  # more than can be held
    assert str(pair.min_notional) == "10.00000000 AUSDT"


def test_a_quote_currency_that_nobody_knows_is_no_obstacle_with_a_file(tmp_path):
    lines = [trade(0, 1, "1.5", "2", symbol="BTCXYZW")]
    with pytest.raises(ImportFailed, match="no known quote currency"):
        imported(tmp_path, lines)
    listing = rewritten(tmp_path, symbol="BTCXYZW", quoteAsset="XYZW")
    imported(tmp_path, lines, listing=listing)
    assert of(tmp_path / "cat").quote_currency.code == "XYZW"


def test_what_is_given_wins(tmp_path):
    rules = Rules(tick_size=Decimal("0.001"), min_notional=Decimal("7"))
    import_binance(
        DATA / "binance_spot_400.gz",
        tmp_path / "cat",
        listing=SPOT,
        rules=rules,
        taker_fee=Decimal("0.0004"),
    )
    pair = of(tmp_path / "cat")
    assert (str(pair.price_increment), str(pair.size_increment)) == ("0.001", "0.00001")
    assert (str(pair.min_notional), pair.info["taker_fee"]) == ("7.00000000 USDT", "0.0004")


def test_a_catalogs_instruments_are_a_listing_with_fees(tmp_path):
    import_binance(
        DATA / "binance_spot_400.gz", tmp_path / "one", listing=SPOT, maker_fee=Decimal("0.0003")
    )
    import_binance(DATA / "binance_spot_400.gz", tmp_path / "two", listing=tmp_path / "one")
    first, second = of(tmp_path / "one").to_dict(), of(tmp_path / "two").to_dict()
    assert first == second
    assert second["info"]["maker_fee"] == "0.0003"


@pytest.mark.parametrize("file", ["binance_usdm_400.gz", "binance_spot_400.gz"])
def test_an_instrument_that_the_file_does_not_have_is_an_error(file, tmp_path):
    """The same symbol of the other market is another instrument."""
    other, has = (SPOT, "AAAUSDT.BINANCE") if "usdm" in file else (USDM, "BTCUSDT-PERP.BINANCE")
    with pytest.raises(ImportFailed, match=rf"IMPORT-INSTRUMENT.* has no BTC.*; it has {has}"):
        import_binance(DATA / file, tmp_path / "cat", listing=other)
    assert not (tmp_path / "cat").exists()


def test_a_stream_finer_than_the_files_increment_is_refused(tmp_path):
    filters = [{"filterType": "PRICE_FILTER", "tickSize": "0.1"}]
    listing = rewritten(tmp_path, filters=filters)
    with pytest.raises(ImportFailed, match=r"IMPORT-PRECISION.*2 price decimals"):
        import_binance(DATA / "binance_spot_400.gz", tmp_path / "cat", listing=listing)


@pytest.mark.parametrize("bad", ["abc", "-1", "1e5", "", "NaN", "0.00000000000000000001"])
def test_a_number_that_is_none_is_an_error(bad, tmp_path):
    listing = rewritten(tmp_path, filters=[{"filterType": "LOT_SIZE", "stepSize": bad}])
    with pytest.raises(ImportFailed, match=r"IMPORT-INSTRUMENTS: BTCUSDT in .*step_size"):
        import_binance(DATA / "binance_spot_400.gz", tmp_path / "cat", listing=listing)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"x", b'{"symbols": []}', b"\xff" * 9])
def test_another_kind_of_file_is_an_error(content, tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    for listing in (path, tmp_path):
        with pytest.raises(ImportFailed, match=r"IMPORT-INSTRUMENTS.*exchangeInfo"):
            import_binance(DATA / "binance_spot_400.gz", tmp_path / "cat", listing=listing)
    with pytest.raises(ImportFailed, match="IMPORT-FILE") as caught:
        import_binance(DATA / "binance_spot_400.gz", tmp_path / "cat", listing=tmp_path / "none")
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    "other",
    [
        {"rules": Rules(tick_size=Decimal("0.05"))},
        {"rules": Rules(min_notional=Decimal("5"))},
        {"maker_fee": Decimal("0.0001")},
        {"listing": SPOT},
    ],
)
def test_other_rules_for_what_a_catalog_holds_are_refused_not_forgotten(other, tmp_path):
    imported(tmp_path, LINES)
    later = tmp_path / "later"
    later.write_bytes(b"\n".join(trade(9_000 + i, i, "99.95", "1") for i in range(3)))
    with pytest.raises(ImportFailed, match=r"IMPORT-RULES: AAAUSDT\.BINANCE is in .*give the same"):
        import_binance(later, tmp_path / "cat", **other)
    import_binance(later, tmp_path / "cat")


def test_the_next_file_has_the_rules_of_the_catalog(tmp_path):
    imported(tmp_path, LINES, rules=Rules(tick_size=Decimal("0.05")))
    later = tmp_path / "later"
    later.write_bytes(trade(9_000, 1, "99.96", "1"))
    (each,) = import_binance(later, tmp_path / "cat").instruments
    assert (each.tick_size, each.off_tick) == ("0.05", 1)


def test_the_command_takes_the_file(tmp_path):
    arguments = ["import", str(DATA / "binance_spot_400.gz"), "--catalog", str(tmp_path / "cat")]
    result = CliRunner().invoke(app, [*arguments, "--instruments", str(SPOT)])
    assert result.exit_code == 0, result.output
    assert "rules          tick 0.01, step 0.00001, min notional 5.00000000 USDT" in result.stdout
    result = CliRunner().invoke(app, [*arguments, "--instruments", str(tmp_path / "none")])
    assert (result.exit_code, "IMPORT-FILE" in result.stderr) == (4, True)
