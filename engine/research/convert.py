"""A catalog as plain tables: a CSV or Parquet file a type and instrument, for other programs.

Prices and sizes are decimal numbers as the venue told them, in CSV as text, in Parquet as
decimal128; times are UNIX nanoseconds, in Parquet timestamps of UTC. Rows are read some at a time.
"""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.recording.catalog import open_catalog
from fairlead.engine.recording.inventory import (
    folders,
    instrument_of_folder,
    kinds_of,
    no_such,
    rows_of,
)
from fairlead.engine.recording.rows import Span
from fairlead.engine.research.extra import need

TIMES = ("ts_event", "ts_init")
NUMBERS = frozenset(
    "price size bid bid_size ask ask_size open high low close volume value".split()  # noqa: SIM905
)
COUNTS = frozenset(("flags", "sequence"))


class TableFormat(StrEnum):
    CSV = "csv"
    PARQUET = "parquet"


class Converted(msgspec.Struct, frozen=True):
    """One table; a type that has no table here is told by name, with its rows."""

    file: str
    kind: str
    name: str
    rows: int


Row = tuple[Any, ...]


def _trade(row: Any) -> Row:
    return (row.price, row.size, row.aggressor_side.name, row.trade_id)


def _quote(row: Any) -> Row:
    return (row.bid_price, row.bid_size, row.ask_price, row.ask_size)


def _delta(row: Any) -> Row:
    order = row.order
    side = order.side.name if order.side is not None else ""
    return (row.action.name, side, order.price, order.size, row.flags, row.sequence)


def _bar(row: Any) -> Row:
    return (row.open, row.high, row.low, row.close, row.volume)


def _value(row: Any) -> Row:
    return (row.value,)


# The columns after the times, by folder
TABLES: dict[str, tuple[tuple[str, ...], Callable[[Any], Row]]] = {
    "trades": (("price", "size", "aggressor", "trade_id"), _trade),
    "quotes": (("bid", "bid_size", "ask", "ask_size"), _quote),
    "order_book_deltas": (("action", "side", "price", "size", "flags", "sequence"), _delta),
    "bars": (("open", "high", "low", "close", "volume"), _bar),
    "mark_prices": (("value",), _value),
    "index_prices": (("value",), _value),
}


def convert(
    catalog: Path,
    out: Path,
    format_: TableFormat,
    instruments: Sequence[str] = (),
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Converted]:
    """Write `out/KIND/NAME.csv`, or `.parquet`; each is there whole or not at all.

    Raises FairleadError: no catalog, no such instrument, a table that is there already, and for
    Parquet without pyarrow.
    """
    store = open_catalog(catalog)
    kinds = kinds_of(store)
    found = [one for one in folders(catalog) if one[0] in TABLES and one[0] in kinds]
    there = sorted({instrument_of_folder(kind, name) for kind, name, _ in found})
    for name in instruments:
        if name not in there:
            raise no_such(catalog, name, there)
    if instruments:
        found = [one for one in found if instrument_of_folder(one[0], one[1]) in instruments]
    if format_ is TableFormat.PARQUET:
        need("pyarrow", "a Parquet table")
    files = {one[:2]: out / one[0] / f"{one[1]}.{format_.value}" for one in found}
    for path in files.values():
        if path.exists():
            text = f"{path} is there already; remove it, or name another --out"
            raise FairleadError("CONVERT-EXISTS", text, int(Exit.USAGE))
    done = []
    for number, (kind, name, spans) in enumerate(found):
        if progress is not None:
            progress("tables", number, len(found))
        path = files[kind, name]
        rows = _rows(store, kinds[kind], kind, name, spans)
        written = _write(path, kind, format_, rows)
        done.append(Converted(str(path), kind, name, written))
    return done


def _rows(
    store: ParquetDataCatalog, data_type: Any, kind: str, name: str, spans: Sequence[Span]
) -> Iterator[list[Row]]:
    values = TABLES[kind][1]
    for span in spans:
        for rows in rows_of(store, data_type, name, span):
            yield [(row.ts_event, row.ts_init, *values(row)) for row in rows]


def _write(path: Path, kind: str, format_: TableFormat, blocks: Iterator[list[Row]]) -> int:
    """The number of rows. Raises FairleadError."""
    columns = (*TIMES, *TABLES[kind][0])
    part = path.with_name(f".{path.name}.part")
    write = _write_csv if format_ is TableFormat.CSV else _write_parquet
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = write(part, columns, blocks)
        os.replace(part, path)
    except OSError as error:
        text = f"{path} cannot be written: {error}; nothing of it is left"
        raise FairleadError("CONVERT-DISK", text, int(Exit.FAILED)) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return rows


def _write_csv(path: Path, columns: Sequence[str], blocks: Iterator[list[Row]]) -> int:
    count = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for rows in blocks:
            writer.writerows(rows)
            count += len(rows)
    return count


def _write_parquet(path: Path, columns: Sequence[str], blocks: Iterator[list[Row]]) -> int:
    arrow = need("pyarrow", "a Parquet table")
    parquet = need("pyarrow.parquet", "a Parquet table")
    schema = arrow.schema([(name, _type(arrow, name)) for name in columns])
    count = 0
    with parquet.ParquetWriter(path, schema) as writer:
        for rows in blocks:
            values = [[_exact(name, row[at]) for row in rows] for at, name in enumerate(columns)]
            writer.write_table(arrow.table(dict(zip(columns, values, strict=True)), schema=schema))
            count += len(rows)
    return count


def _type(arrow: Any, name: str) -> Any:
    if name in TIMES:
        return arrow.timestamp("ns", tz="UTC")
    if name in NUMBERS:
        return arrow.decimal128(38, 16)
    return arrow.int64() if name in COUNTS else arrow.string()


def _exact(name: str, value: Any) -> Any:
    if name in NUMBERS:
        return value.as_decimal()
    return value if name in TIMES or name in COUNTS else str(value)
