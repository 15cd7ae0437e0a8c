"""A hash of the recorded data that a backtest reads: equal hash, equal data.

It covers, for each instrument of the run: its definitions; the name below the catalog's root, the
size and the content of every Parquet file with rows in the run's range, of the types that are
replayed; the book that was rebuilt for a start inside the recording; the rows of `gaps.jsonl` that
the range crosses; and the range itself. So rows of the same files outside the range count too, and
the same rows in other files (a compacted recording) are another hash.

Read once more in full: about 1 % of what replaying the same files takes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.observe.assumptions import Data
from fairlead.engine.recording.gaps import crossing, read_gaps
from fairlead.engine.run.backtest_data import Selection, Source

BLOCK_BYTES = 1 << 20


def data_used(selection: Selection, scratch: Path) -> Data:
    """`scratch` has the books that were rebuilt at the start (`Selection.configs`)."""
    catalog = ParquetDataCatalog(str(selection.catalog))
    begin, end = selection.start_ns, selection.end_ns
    found = hashlib.sha256(f"{begin}/{end}".encode())
    files = _files(selection, catalog)
    size = 0
    for root, names in ((selection.catalog, files), (scratch, _rebuilt(scratch))):
        for name in names:
            path = root / name
            length = path.stat().st_size
            size += length
            found.update(f"\n{name} {length}\n".encode())
            with path.open("rb") as file:
                while block := file.read(BLOCK_BYTES):
                    found.update(block)
    for text in (*_definitions(selection, catalog), *_gaps(selection)):
        found.update(b"\n" + text)
    return Data(
        folder=str(selection.catalog),
        sha256=found.hexdigest(),
        start_ns=begin,
        end_ns=end,
        files=len(files),
        bytes=size,
    )


def _files(selection: Selection, catalog: ParquetDataCatalog) -> list[str]:
    """Of the sources, relative to the catalog, in order."""
    found: set[str] = set()
    for source in selection.sources:
        for kind in source.types:
            start = _start(selection, source, kind)
            for path in catalog.query_files(kind, [source.id], start, selection.end_ns):
                found.add(_relative(path, selection.catalog))
    return sorted(found)


def _start(selection: Selection, source: Source, kind: Any) -> int | None:
    if source.deltas_start_ns is not None and source.has_deltas and kind == source.types[0]:
        return source.deltas_start_ns
    return selection.start_ns


def _relative(path: str, root: Path) -> str:
    whole = Path(path)
    return str(whole.relative_to(root)) if whole.is_absolute() else path


def _rebuilt(scratch: Path) -> list[Path]:
    return sorted(one.relative_to(scratch) for one in scratch.rglob("*.parquet"))


def _definitions(selection: Selection, catalog: ParquetDataCatalog) -> Iterator[bytes]:
    wanted = {source.id for source in selection.sources}
    defined = [one for one in catalog.instruments() if str(one.id) in wanted]
    rows = (msgspec.json.encode(one.to_dict(), order="sorted", enc_hook=str) for one in defined)
    yield from sorted(rows)


def _gaps(selection: Selection) -> Iterator[bytes]:
    names = frozenset(source.id for source in selection.sources)
    begin, end = selection.range_ns
    rows, _ = read_gaps(selection.catalog)
    for row in crossing(
        rows,
        start_ns=selection.start_ns or begin,
        end_ns=selection.end_ns or end,
        instruments=names,
    ):
        yield msgspec.json.encode(row)
