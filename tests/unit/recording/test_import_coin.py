"""Raw streams of coin-margined perpetuals: those of USD-M with another symbol, and contracts."""

from __future__ import annotations

from pathlib import Path

import pytest
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.recording.importers.binance import import_binance
from fairlead.engine.recording.importers.staging import ImportFailed
from tests.unit.recording.test_import_binance import USDM, lines_of, write

COIN = "BTCUSD_PERP.BINANCE"


def coined(suffix: bytes = b"_PERP") -> list[bytes]:
    """The real USD-M recording with the symbol, the pair and the stream's name of COIN-M."""
    return [
        line.replace(b'"s":"BTCUSDT"', b'"s":"BTCUSD' + suffix + b'","ps":"BTCUSD"').replace(
            b'"btcusdt@', b'"btcusd' + suffix.lower() + b"@"
        )
        for line in lines_of("usdm")
    ]


def test_the_rows_are_those_of_the_stream_and_the_instrument_is_inverse(tmp_path: Path) -> None:
    import_binance(write(tmp_path / "usdm.gz", lines_of("usdm")), tmp_path / "usdm")
    report = import_binance(write(tmp_path / "coin.gz", coined()), tmp_path / "coin")
    (each,) = report.instruments
    assert (each.id, each.market, report.malformed, report.skipped) == (COIN, "coinm", 0, {})
    usdm = ParquetDataCatalog(str(tmp_path / "usdm"))
    coin = ParquetDataCatalog(str(tmp_path / "coin"))
    told = [(t.price, t.size, t.trade_id, t.ts_init) for t in coin.query_trade_ticks([COIN])]
    assert told == [
        (t.price, t.size, t.trade_id, t.ts_init) for t in usdm.query_trade_ticks([USDM])
    ]
    deltas = [(d.action, d.order.price, d.order.size) for d in coin.query_order_book_deltas([COIN])]
    assert deltas == [
        (d.action, d.order.price, d.order.size) for d in usdm.query_order_book_deltas([USDM])
    ]
    (instrument,) = coin.instruments()
    assert instrument.is_inverse
    assert (str(instrument.settlement_currency), instrument.multiplier.as_decimal()) == ("BTC", 100)


def test_a_delivery_contract_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportFailed, match="delivery contract"):
        import_binance(write(tmp_path / "x.gz", coined(b"_240628")), tmp_path / "cat")
