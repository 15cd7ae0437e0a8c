"""Tables as DataFrames and Parquet, by `COLUMNS`; the extra `research` has what it takes.

Numbers become float64 here: for pictures and statistics. The JSON lines have them exactly.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

from fairlead.engine.research.columns import COLUMNS, Row
from fairlead.engine.research.extra import has, need


def can_parquet() -> bool:
    return has("pyarrow")


def arrow(name: str, rows: Sequence[Row]) -> Any:
    """A pyarrow Table. Raises FairleadError RESEARCH-EXTRA."""
    pa = need("pyarrow", "a table")
    kinds = {
        "ts": pa.timestamp("ns", tz="UTC"),
        "text": pa.string(),
        "number": pa.float64(),
        "int": pa.int64(),
        "flag": pa.bool_(),
    }
    columns = COLUMNS[name]
    arrays = [
        pa.array(_values(rows, column, kind), type=kinds[kind]) for column, kind in columns.items()
    ]
    return pa.Table.from_arrays(arrays, names=list(columns))


def _values(rows: Iterable[Row], column: str, kind: str) -> list[Any]:
    values = [row.get(column) for row in rows]
    if kind == "number":
        return [None if value is None else float(value) for value in values]
    if kind == "ts":
        return [value or None for value in values]  # NautilusTrader's 0 is no time
    return values


def parquet(name: str, rows: Sequence[Row]) -> bytes:
    """A Parquet file: the same bytes for the same rows. Raises FairleadError RESEARCH-EXTRA."""
    pq = need("pyarrow.parquet", "Parquet")
    out = io.BytesIO()
    pq.write_table(arrow(name, rows), out, compression="zstd")
    return out.getvalue()


def frame(name: str, rows: Sequence[Row]) -> Any:
    """A pandas DataFrame. Raises FairleadError RESEARCH-EXTRA."""
    need("pandas", "a DataFrame")
    return arrow(name, rows).to_pandas()
