"""Rows of a catalog's files in memory: read from Feather or Parquet, written as Parquet.

One object stands for one type of data. Files are read by way of a small catalog of their own, so
that nothing but the files named is read; hard links make it, no copy.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.model import (
    Bar,
    InstrumentStatus,
    NautilusDataType,
    OrderBookDelta,
    TradeTick,
)
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.recording.arrow_tail import whole_bytes
from fairlead.engine.recording.journal import FEATHER

ROW_GROUP_SIZE = 8_192  # rows; a reader holds a whole group of each file
SECOND_NS = 1_000_000_000
UNBORN_BYTES_MAX = 64 << 10  # of a Feather file whose first message, the schema, is torn
_ONE = "one"
_MOMENT = r"(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d)-(\d{9})Z"
_NAME = re.compile(rf"{_MOMENT}_{_MOMENT}(?:_[0-9a-f]+)?\.parquet")


class Kind(msgspec.Struct, frozen=True):
    """A type of data that is recorded; `folder` is its name in Feather streams and catalogs."""

    folder: str
    data_type: Any
    row_type: Any
    write: str  # method of ParquetDataCatalog
    identifier: str  # field of a row by which the catalog keeps it


KINDS = {
    kind.folder: kind
    for kind in (
        Kind(
            "order_book_deltas",
            NautilusDataType.OrderBookDelta,
            OrderBookDelta,
            "write_order_book_deltas",
            "instrument_id",
        ),
        Kind("trades", NautilusDataType.TradeTick, TradeTick, "write_trade_ticks", "instrument_id"),
        Kind("bars", NautilusDataType.Bar, Bar, "write_bars", "bar_type"),
        Kind(
            "instrument_status",
            NautilusDataType.InstrumentStatus,
            InstrumentStatus,
            "write_instrument_statuses",
            "instrument_id",
        ),
    )
}


class UnreadableRows(Exception):
    """A file whose rows can't be read, also without a torn end."""


class Span(msgspec.Struct, frozen=True, order=True):
    """A Parquet file and the `ts_init` of its first and last row, by its name."""

    start_ns: int
    end_ns: int
    path: Path


def span_of(path: Path) -> Span | None:
    """None for a file that is not named like one of a catalog."""
    found = _NAME.fullmatch(path.name)
    if found is None:
        return None
    first, first_ns, last, last_ns = found.groups()
    return Span(_ns(first, first_ns), _ns(last, last_ns), path)


def _ns(seconds: str, rest: str) -> int:
    moment = datetime.strptime(seconds, "%Y-%m-%dT%H-%M-%S").replace(tzinfo=UTC)
    return int(moment.timestamp()) * SECOND_NS + int(rest)


def spans_in(folder: Path) -> list[Span]:
    """The Parquet files of one type and identifier, oldest first; only names are read."""
    if not folder.is_dir():
        return []
    return sorted(span for entry in folder.iterdir() if (span := span_of(entry)) is not None)


def read_feather(path: Path, kind: Kind | None, stage: Path) -> list[Any]:
    """Rows of a Feather file by `ts_init`; those that its torn end cut off are left out.

    `kind` None: instruments. Raises UnreadableRows, OSError.
    """
    folder = stage / "live" / _ONE / (kind.folder if kind else "instruments/any")
    folder.mkdir(parents=True)
    data = path.read_bytes()
    whole = whole_bytes(data)
    if not whole:
        if len(data) > UNBORN_BYTES_MAX:
            raise UnreadableRows(f"{path}: {len(data)} bytes, and no Arrow message at the start")
        return []  # killed before the first flush: not even the schema is there
    name = path.name.partition(FEATHER)[0] + FEATHER
    (folder / name).write_bytes(data[:whole])
    try:
        return list(ParquetDataCatalog(str(stage)).read_live_run(_ONE))
    except OSError as error:
        raise UnreadableRows(f"{path}: {error}") from error


def read_parquet(spans: Sequence[Span], kind: Kind, stage: Path) -> list[Any]:
    """Rows of Parquet files of one identifier, in order. Raises UnreadableRows, OSError."""
    touching = any(a.end_ns >= b.start_ns for a, b in pairwise(spans))
    parts = [[span] for span in spans] if touching else [list(spans)]
    rows: list[Any] = []
    for number, part in enumerate(parts):
        root = stage / str(number)
        folder = root / "data" / kind.folder / part[0].path.parent.name
        folder.mkdir(parents=True)
        for span in part:
            _link(span.path, folder / span.path.name)
        try:
            rows += ParquetDataCatalog(str(root)).query(kind.data_type)
        except OSError as error:
            raise UnreadableRows(f"{part[0].path.parent}: {error}") from error
    return rows


def last_row(span: Span, kind: Kind, stage: Path) -> Any:
    """The last row of a Parquet file. Raises UnreadableRows, OSError."""
    folder = stage / "data" / kind.folder / span.path.parent.name
    folder.mkdir(parents=True)
    _link(span.path, folder / span.path.name)
    try:
        return ParquetDataCatalog(str(stage)).query(kind.data_type, start=span.end_ns)[-1]
    except (OSError, IndexError) as error:
        raise UnreadableRows(f"{span.path}: {error}") from error


def _link(path: Path, to: Path) -> None:
    try:
        os.link(path, to)
    except OSError:  # a disk without hard links
        shutil.copy2(path, to)


def write_rows(rows: Sequence[Any], kind: Kind, stage: Path) -> Path:
    """Write rows of one identifier, ordered by `ts_init`, as a Parquet file below `stage`."""
    stage.mkdir(parents=True, exist_ok=True)
    store = ParquetDataCatalog(str(stage), max_row_group_size=ROW_GROUP_SIZE)
    return stage / str(getattr(store, kind.write)(rows))


def by_identifier(rows: Sequence[Any], kind: Kind) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(str(getattr(row, kind.identifier)), []).append(row)
    return found


def instrument_of(row: Any) -> str:
    """The instrument id of a row of any type."""
    return str(row.bar_type.instrument_id if isinstance(row, Bar) else row.instrument_id)


def with_ts_init(row: Any, ts_init: int) -> Any:
    """The same row at another time of this machine."""
    fields = row.to_dict()
    fields["ts_init"] = ts_init
    return type(row).from_dict(fields)
