"""Files whose instrument or kind only a person or the file's name tells."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.recording.gaps import GapKind, read_gaps
from fairlead.engine.recording.importers.staging import ImportFailed
from tests.unit.recording.formats import run

AT_US = 1_709_300_000_000_000
HEAD = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"


def tardis(path: Path, *symbols: tuple[str, str]) -> Path:
    lines = [
        f"{exchange},{symbol},{AT_US + n},{AT_US + n},{n},buy,61000.5,0.1"
        for n, (exchange, symbol) in enumerate(symbols)
    ]
    path.write_text("\n".join([HEAD, *lines, ""]))
    return path


@pytest.mark.parametrize(
    ("exchange", "symbol"),
    [
        *(("kraken", "XBT/USD"), ("ascendex", "BTC/USDT"), ("hyperliquid", "@107")),
        ("binance", "\u5e01\u5b89USDT"),
    ],
)
def test_a_symbol_that_is_no_id_is_imported_under_one(exchange, symbol, tmp_path):
    path = tardis(tmp_path / "t.csv", (exchange, symbol))
    with pytest.raises(ImportFailed, match=r"--symbol BASE/QUOTE") as failed:
        run("tardis", path, tmp_path / "cat")
    assert ("--id" in str(failed.value)) is not symbol.startswith("@")
    run("tardis", path, tmp_path / "cat", id="AB.V", symbol="A/B")
    (tick,) = ParquetDataCatalog(str(tmp_path / "cat")).query_trade_ticks()
    assert (str(tick.instrument_id), str(tick.price)) == ("AB.V", "61000.5")


@pytest.mark.parametrize("asked", [{"id": "AB.V"}, {"symbol": "BTC/USD"}])
def test_one_name_for_several_symbols_of_a_file_is_refused(asked: dict[str, Any], tmp_path: Path):
    """Prices of one were trades of the other."""
    path = tardis(tmp_path / "t.csv", ("kraken", "BTCUSD"), ("kraken", "ETHUSD"))
    with pytest.raises(ImportFailed, match=r"IMPORT-MIXED.* has BTCUSD and ETHUSD"):
        run("tardis", path, tmp_path / "cat", **asked)
    assert not (tmp_path / "cat").exists()
    run("tardis", path, tmp_path / "cat")
    assert len(ParquetDataCatalog(str(tmp_path / "cat")).instruments()) == 2
    only = {"instruments": ["BTCUSD.KRAKEN"], "symbol": "BTC/USD"}
    assert run("tardis", path, tmp_path / "one", **only).instruments[0].trades == 1


@pytest.mark.parametrize(
    ("symbol", "named"), [("BTCUSD", "BTCUSD.KRAKEN"), ("ETHUSD", "ETHUSD.KRAKEN"), ("BTCUSX", "")]
)
def test_a_malformed_trade_is_left_out_of_its_own_instrument(symbol, named, tmp_path):
    """A symbol that no other line tells may be what is damaged: it may be of any."""
    told = ["BTCUSD", "ETHUSD", symbol, "BTCUSD", "ETHUSD"]
    path = tardis(tmp_path / "t.csv", *(("kraken", each) for each in told))
    lines = path.read_text().split("\n")
    lines[3] = lines[3].replace("61000.5", "none")
    path.write_text("\n".join(lines))
    assert run("tardis", path, tmp_path / "cat").malformed == 1
    rows, _ = read_gaps(tmp_path / "cat")
    (row,) = [row for row in rows if "line 4" in row.reason]
    assert (row.instrument, row.kind) == (named, GapKind.MISSING)
    assert row.reason.startswith("1 trade line left out: line 4: 'none'")


def klines(path: Path, months: int) -> Path:
    edges = [
        int(datetime(2023, month, 1, tzinfo=UTC).timestamp()) * 1000
        for month in range(1, months + 2)
    ]
    path.write_text(
        "".join(
            f"{begin},8001,8003,8000,8002,12.5,{end - 1},100.0,5,6.0,50.0,0\n"
            for begin, end in pairwise(edges)
        )
    )
    return path


@pytest.mark.parametrize("name", ["BNBUSDT-1mo-2023-01.csv", "bars.csv"])
def test_bars_of_calendar_months_are_refused_and_said_to_be(name, tmp_path):
    """Those of 28 to 30 days were left out, with no gap."""
    path = klines(tmp_path / name, 4)
    with pytest.raises(ImportFailed, match=r"IMPORT-FORMAT.*bars of calendar months.*\(1d\)"):
        run("binance-archive", path, tmp_path / "cat", symbol="BNB/USDT")
    assert not (tmp_path / "cat").exists()
