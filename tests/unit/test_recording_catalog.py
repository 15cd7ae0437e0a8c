"""The catalog: what is in it, and opening it with clear errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from nautilus_trader.model import NautilusDataType
from nautilus_trader.persistence import ParquetDataCatalog

from engine.recording.catalog import (
    CatalogEmpty,
    CatalogMissing,
    Holding,
    NoDataInRange,
    catalog_bytes,
    inventory,
    open_catalog,
    require,
)
from engine.recording.importers.binance import import_binance
from engine.recording.parquet_rows import ParquetFault, parquet_rows

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data" / "recording"
USDM = "BTCUSDT-PERP.BINANCE"


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    import_binance(DATA / "binance_usdm_400.gz", tmp_path / "cat")
    return tmp_path / "cat"


def test_inventory_names_all_that_is_there(catalog):
    store = ParquetDataCatalog(str(catalog))
    for holding, rows in zip(
        inventory(catalog),
        (store.query_order_book_deltas(), store.query_quote_ticks(), store.query_trade_ticks()),
        strict=True,
    ):
        assert holding.instrument == USDM
        assert holding.type == type(rows[0]).__name__
        assert holding.rows == len(rows)
        assert (holding.start_ns, holding.end_ns) == (rows[0].ts_init, rows[-1].ts_init)
    assert catalog_bytes(catalog) > 1000


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
        inventory(tmp_path)
    (tmp_path / "bare" / "data").mkdir(parents=True)
    with pytest.raises(CatalogEmpty, match="no market data"):
        inventory(tmp_path / "bare")


def test_unknown_instrument_is_named_beside_those_there(catalog):
    with pytest.raises(CatalogEmpty, match=rf"no data of ETHUSDT\.BINANCE; it has {USDM}"):
        require(catalog, ["ETHUSDT.BINANCE"])


def test_data_without_its_instrument_is_refused(catalog):
    for file in (catalog / "data" / "crypto_perpetual").rglob("*.parquet"):
        file.unlink()
    with pytest.raises(CatalogEmpty, match="not its definition"):
        require(catalog, [USDM])


def test_range_without_data_says_what_there_is(catalog):
    there: list[Holding] = require(catalog, [USDM])
    first = min(each.start_ns for each in there)
    last = max(each.end_ns for each in there)
    assert len(require(catalog, [USDM], start_ns=first, end_ns=first)) == 1
    with pytest.raises(NoDataInRange, match=r"it has 2024-08-08T23:54:15\.088Z to 2024-08-08"):
        require(catalog, [USDM], start_ns=last + 1)
    with pytest.raises(NoDataInRange, match=r"from \(open\) to"):
        require(catalog, [USDM], end_ns=first - 1)


def test_row_counts_of_damaged_files_are_refused(catalog):
    file = next((catalog / "data" / "trades").rglob("*.parquet"))
    data = file.read_bytes()
    for bad in (b"", b"PAR1", data[:-1], data[: len(data) // 2], data[:-8] + b"\xff" * 4 + b"PAR1"):
        file.write_bytes(bad)
        with pytest.raises(ParquetFault):
            parquet_rows(file)


def test_market_data_types_are_stored_under_the_names_used(catalog):
    store = open_catalog(catalog)
    assert NautilusDataType.OrderBookDelta in store.list_data_types()
