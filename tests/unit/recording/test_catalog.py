"""The catalog: what is in it, and opening it with clear errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from nautilus_trader.model import NautilusDataType

from fairlead.engine.recording.catalog import CatalogEmpty, CatalogMissing, open_catalog
from fairlead.engine.recording.importers.binance import import_binance
from fairlead.engine.recording.parquet_rows import ParquetFault, parquet_rows

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "tests" / "data" / "recording"


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    import_binance(DATA / "binance_usdm_400.gz", tmp_path / "cat")
    return tmp_path / "cat"


def test_row_counts_are_those_that_are_read(catalog):
    store = open_catalog(catalog)
    for folder, rows in (
        ("order_book_deltas", store.query_order_book_deltas()),
        ("quotes", store.query_quote_ticks()),
        ("trades", store.query_trade_ticks()),
    ):
        files = list((catalog / "data" / folder).rglob("*.parquet"))
        assert files
        assert sum(parquet_rows(file) for file in files) == len(rows)


def test_missing_catalog(tmp_path):
    with pytest.raises(CatalogMissing, match="does not exist") as caught:
        open_catalog(tmp_path / "nowhere")
    assert caught.value.exit_code == 4
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "file").write_text("x")
    with pytest.raises(CatalogMissing, match="is not a folder"):
        open_catalog(tmp_path / "file")


def test_empty_catalog(tmp_path, catalog):
    with pytest.raises(CatalogEmpty, match="no `data` folder"):
        open_catalog(tmp_path)
    (tmp_path / "bare" / "data").mkdir(parents=True)
    with pytest.raises(CatalogEmpty, match="no market data"):
        open_catalog(tmp_path / "bare")


def test_row_counts_of_damaged_files_are_refused(catalog):
    file = next((catalog / "data" / "trades").rglob("*.parquet"))
    data = file.read_bytes()
    for bad in (b"", b"PAR1", data[:-1], data[: len(data) // 2], data[:-8] + b"\xff" * 4 + b"PAR1"):
        file.write_bytes(bad)
        with pytest.raises(ParquetFault):
            parquet_rows(file)
        with pytest.raises(ParquetFault):
            open_catalog(catalog)


def test_market_data_types_are_stored_under_the_names_used(catalog):
    store = open_catalog(catalog)
    assert NautilusDataType.OrderBookDelta in store.list_data_types()
