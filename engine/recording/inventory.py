"""What a recording holds: rows of a catalog by type and instrument, raw frames by venue.

Names and footers of files are read, no rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.recording.catalog import MARKET_DATA, CatalogMissing
from fairlead.engine.recording.commit import JOURNAL
from fairlead.engine.recording.gaps import crossing, read_gaps, summarize
from fairlead.engine.recording.parquet_rows import ParquetFault, parquet_rows
from fairlead.engine.recording.raw import raw_files
from fairlead.engine.recording.rawformat import SUFFIX
from fairlead.engine.recording.rows import Span, spans_in

DATA, RAW, CATALOG = "data", "raw", "catalog"
BARS = "bars"  # folders of bars are named by bar type
READ_ROWS = 50_000  # rows in memory at once, about


class Places(msgspec.Struct, frozen=True):
    """A recording: a catalog, raw frames, or both; None where there is none."""

    folder: Path
    catalog: Path | None
    raw: Path | None

    def require_catalog(self) -> Path:
        """Raises CatalogMissing."""
        if self.catalog is None:
            text = f"{self.folder} has raw frames only; expected a catalog (a folder with data/)"
            raise CatalogMissing("CATALOG-MISSING", text)
        return self.catalog

    def require_raw(self) -> Path:
        """Raises CatalogMissing."""
        if self.raw is None:
            text = f"{self.folder} has no raw frames; expected raw/VENUE/*{SUFFIX} in it"
            raise CatalogMissing("RAW-MISSING", text)
        return self.raw


class Held(msgspec.Struct, kw_only=True):
    """Rows of one type; `name` is an instrument id or a bar type. Times are `ts_init`, UNIX ns."""

    kind: str
    name: str
    files: int
    rows: int
    bytes: int
    start_ns: int
    end_ns: int
    gaps: int = 0
    gap_seconds: float = 0.0
    faults: list[str] = []

    @property
    def instrument(self) -> str:
        return instrument_of_folder(self.kind, self.name)


class RawHeld(msgspec.Struct, kw_only=True):
    """Raw frames of one venue; `start_ns` is that of the first file, by its name."""

    venue: str
    files: int
    bytes: int
    start_ns: int


class Inventory(msgspec.Struct, kw_only=True):
    folder: str
    catalog: str | None
    data: list[Held]
    raw: list[RawHeld]
    unreadable_gap_lines: int = 0
    notes: list[str] = []


def places(folder: Path) -> Places:
    """What there is at `folder`: a recording's root, a catalog, or raw frames.

    Raises CatalogMissing.
    """
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise CatalogMissing("DATA-MISSING", f"{folder} {what}; expected a recording or a catalog")
    catalog = next((one for one in (folder, folder / CATALOG) if (one / DATA).is_dir()), None)
    if catalog is None and (folder / CATALOG / JOURNAL).is_dir():
        catalog = folder / CATALOG
    raw = folder / RAW if (folder / RAW).is_dir() else None
    if raw is None and catalog is None and next(folder.glob(f"*{SUFFIX}"), None):
        raw = folder
    if raw is None and catalog is None:
        text = (
            f"{folder} holds no recording; expected data/ (a catalog), raw/, or catalog/, as "
            "`fairlead record` and `fairlead import` write them"
        )
        raise CatalogMissing("DATA-MISSING", text)
    return Places(folder, catalog, raw)


def instrument_of_folder(kind: str, name: str) -> str:
    """The instrument id of a catalog's folder: of bars their type begins with it."""
    return name.rsplit("-", 4)[0] if kind == BARS and name.count("-") >= 4 else name


def inventory(where: Places) -> Inventory:
    """Raises OSError."""
    found = Inventory(
        folder=str(where.folder),
        catalog=None if where.catalog is None else str(where.catalog),
        data=[] if where.catalog is None else list(_held(where.catalog)),
        raw=[] if where.raw is None else list(_raw(where.raw)),
    )
    if where.catalog is None:
        return found
    rows, found.unreadable_gap_lines = read_gaps(where.catalog)
    for one in found.data:
        names = frozenset((one.instrument,))
        crossed = crossing(rows, start_ns=one.start_ns, end_ns=one.end_ns, instruments=names)
        told = summarize(crossed, start_ns=one.start_ns, end_ns=one.end_ns)
        one.gaps, one.gap_seconds = told.count, told.seconds
    left = _in_journal(where.catalog)
    if left:
        found.notes.append(f"{left} files of runs are still in {where.catalog / JOURNAL}")
    return found


def folders(catalog: Path) -> Iterator[tuple[str, str, list[Span]]]:
    """Type, name and files of each folder of a catalog with files named like NautilusTrader's."""
    for kind in sorted(one for one in (catalog / DATA).glob("*") if one.is_dir()):
        for named in sorted(one for one in kind.iterdir() if one.is_dir()):
            if spans := spans_in(named):
                yield kind.name, named.name, spans


def _held(catalog: Path) -> Iterator[Held]:
    for kind, name, spans in folders(catalog):
        rows, faults = 0, []
        for span in spans:
            try:
                rows += parquet_rows(span.path)
            except ParquetFault as error:
                faults.append(str(error))
        yield Held(
            kind=kind,
            name=name,
            files=len(spans),
            rows=rows,
            bytes=sum(span.path.stat().st_size for span in spans),
            start_ns=min(span.start_ns for span in spans),
            end_ns=max(span.end_ns for span in spans),
            faults=faults,
        )


def _raw(root: Path) -> Iterator[RawHeld]:
    by_venue: dict[str, list[Path]] = {}
    for file in raw_files(root):
        by_venue.setdefault(file.parent.name, []).append(file)
    for venue, files in sorted(by_venue.items()):
        start = files[0].name.removesuffix(SUFFIX)
        yield RawHeld(
            venue=venue,
            files=len(files),
            bytes=sum(file.stat().st_size for file in files),
            start_ns=int(start) if start.isdecimal() else 0,
        )


def _in_journal(catalog: Path) -> int:
    return sum(one.stat().st_size > 0 for one in (catalog / JOURNAL).glob("*/**/*.feather*"))


def kinds_of(store: ParquetDataCatalog) -> dict[str, Any]:
    """NautilusTrader's data types by their folder in the catalog."""
    found = {}
    for kind in store.list_data_types():
        if kind not in MARKET_DATA:
            continue
        for name in store.list_instruments(kind)[:1]:
            for file in store.list_parquet_files(kind, name)[:1]:
                found[Path(file).parts[-3]] = kind
    return found


def rows_of(store: ParquetDataCatalog, kind: Any, name: str, span: Span) -> Iterator[Sequence[Any]]:
    """Rows of a file, READ_ROWS or so at once, by `ts_init`; also those that others have then.

    Raises OSError, ParquetFault.
    """
    count = max(1, parquet_rows(span.path))
    step = max(1, (span.end_ns - span.start_ns + 1) * READ_ROWS // count)
    at = span.start_ns
    while at <= span.end_ns:
        last = min(at + step - 1, span.end_ns)
        rows = store.query(kind, [name], start=at, end=last, optimize_file_loading=True)
        if rows:
            yield rows
        at = last + 1


def no_such(folder: Path, instrument: str, there: Sequence[str]) -> FairleadError:
    """The error of an instrument that a recording does not have."""
    known = ", ".join(there) or "nothing"
    text = f"{folder} has no data of {instrument}; it has {known}"
    return FairleadError("DATA-INSTRUMENT", text, int(Exit.NO_DATA))
