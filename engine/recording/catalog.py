"""The normalized recording: NautilusTrader's Parquet catalog, opened with clear errors."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from nautilus_trader.model import NautilusDataType
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.errors import FairleadError
from fairlead.engine.recording.parquet_rows import parquet_rows

# What a backtest reads. Everything else in a catalog (orders, accounts) is a record of a run.
MARKET_DATA = (
    NautilusDataType.OrderBookDelta,
    NautilusDataType.OrderBookDepth,
    NautilusDataType.TradeTick,
    NautilusDataType.QuoteTick,
    NautilusDataType.Bar,
    NautilusDataType.MarkPriceUpdate,
    NautilusDataType.IndexPriceUpdate,
    NautilusDataType.FundingRateUpdate,
    NautilusDataType.InstrumentStatus,
    NautilusDataType.InstrumentClose,
)
_NO_DATA = 4  # exit code: not found, or no data


class CatalogError(FairleadError):
    """A catalog that can't be used as asked."""

    exit_code = _NO_DATA


class CatalogMissing(CatalogError):
    """There is no catalog at the path."""


class CatalogEmpty(CatalogError):
    """The catalog has no market data, or none of the instrument."""


class NoDataInRange(CatalogError):
    """The catalog has data, but not in the time range; the text says what there is."""


def open_catalog(path: Path | str) -> ParquetDataCatalog:
    """A catalog that holds market data, each file of it whole.

    Raises CatalogMissing, CatalogEmpty, ParquetFault.
    """
    root = Path(path)
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        text = f"{root} {what}; expected a catalog, as `fairlead import` or `record` writes it"
        raise CatalogMissing("CATALOG-MISSING", text)
    if not (root / "data").is_dir():
        text = f"{root} has no `data` folder; expected a catalog with market data"
        raise CatalogEmpty("CATALOG-EMPTY", text)
    store = ParquetDataCatalog(str(root))
    kinds = [kind for kind in store.list_data_types() if kind in MARKET_DATA]
    if not kinds:
        raise CatalogEmpty("CATALOG-EMPTY", f"{root} holds no market data")
    for kind in kinds:
        for name in store.list_instruments(kind):
            for file in store.list_parquet_files(kind, name):
                parquet_rows(root / file)
    return store


def utc(ns: int | None) -> str:
    """A time for people; an open end is named."""
    if ns is None:
        return "(open)"
    seconds, rest = divmod(ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03}Z"
