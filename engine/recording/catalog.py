"""The normalized recording: NautilusTrader's Parquet catalog, opened with clear errors."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from nautilus_trader.model import NautilusDataType
from nautilus_trader.persistence import ParquetDataCatalog

from engine.errors import FairleadError
from engine.recording.parquet_rows import ParquetFault, parquet_rows

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


class Holding(msgspec.Struct, frozen=True):
    """What a catalog holds of one type and instrument; times are `ts_init`, UNIX ns."""

    type: str
    instrument: str
    start_ns: int
    end_ns: int
    rows: int
    files: int


def open_catalog(path: Path | str) -> ParquetDataCatalog:
    """A catalog that holds market data. Raises CatalogMissing, CatalogEmpty."""
    root = Path(path)
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        text = f"{root} {what}; expected a catalog, as `fairlead import` or `record` writes it"
        raise CatalogMissing("CATALOG-MISSING", text)
    if not (root / "data").is_dir():
        text = f"{root} has no `data` folder; expected a catalog with market data"
        raise CatalogEmpty("CATALOG-EMPTY", text)
    store = ParquetDataCatalog(str(root))
    if not any(kind in MARKET_DATA for kind in store.list_data_types()):
        raise CatalogEmpty("CATALOG-EMPTY", f"{root} holds no market data")
    return store


def inventory(path: Path | str) -> list[Holding]:
    """Everything of market data in a catalog. Raises CatalogMissing, CatalogEmpty, ParquetFault."""
    store = open_catalog(path)
    found = []
    for kind in store.list_data_types():
        if kind not in MARKET_DATA:
            continue
        for identifier in store.list_instruments(kind):
            intervals = store.get_intervals(kind, identifier)
            files = [Path(path) / name for name in store.list_parquet_files(kind, identifier)]
            if not intervals:
                continue
            found.append(
                Holding(
                    str(kind),
                    identifier,
                    min(start for start, _ in intervals),
                    max(end for _, end in intervals),
                    sum(parquet_rows(file) for file in files),
                    len(files),
                )
            )
    return sorted(found, key=lambda each: (each.instrument, each.type))


def require(
    path: Path | str,
    instruments: Iterable[str],
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> list[Holding]:
    """What a backtest of `instruments` will read.

    Raises CatalogMissing, CatalogEmpty (also: an instrument or its definition is not there), or
    NoDataInRange. Bars are found under their bar type, which begins with the instrument id.
    """
    holdings = inventory(path)
    defined = {str(each.id) for each in ParquetDataCatalog(str(path)).instruments()}
    wanted: list[Holding] = []
    for name in instruments:
        own = [each for each in holdings if _is_of(each.instrument, name)]
        if not own:
            there = ", ".join(sorted({each.instrument for each in holdings}))
            raise CatalogEmpty("CATALOG-EMPTY", f"{path} has no data of {name}; it has {there}")
        if name not in defined:
            text = f"{path} has data of {name} but not its definition; expected an instrument too"
            raise CatalogEmpty("CATALOG-EMPTY", text)
        inside = [
            each
            for each in own
            if (end_ns is None or each.start_ns <= end_ns)
            and (start_ns is None or each.end_ns >= start_ns)
        ]
        if not inside:
            first = min(each.start_ns for each in own)
            last = max(each.end_ns for each in own)
            text = (
                f"{path} has no data of {name} from {utc(start_ns)} to {utc(end_ns)}; "
                f"it has {utc(first)} to {utc(last)}"
            )
            raise NoDataInRange("CATALOG-RANGE", text)
        wanted += inside
    return wanted


def _is_of(identifier: str, instrument: str) -> bool:
    return identifier == instrument or identifier.startswith(f"{instrument}-")


def utc(ns: int | None) -> str:
    """A time for people; an open end is named."""
    if ns is None:
        return "(open)"
    seconds, rest = divmod(ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03}Z"


def catalog_bytes(path: Path | str) -> int:
    """Size on disk of a catalog's Parquet files."""
    return sum(each.stat().st_size for each in Path(path).joinpath("data").rglob("*.parquet"))


__all__ = [
    "MARKET_DATA",
    "CatalogEmpty",
    "CatalogError",
    "CatalogMissing",
    "Holding",
    "NoDataInRange",
    "ParquetFault",
    "catalog_bytes",
    "inventory",
    "open_catalog",
    "require",
    "utc",
]
