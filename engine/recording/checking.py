"""Whether a recording is as it was written: every row can be read, every checksum holds.

Raw frames have checksums of their own. Those of a catalog's files are in `checksums.sha256` at its
root, in the form of sha256sum, which checks them too (`sha256sum -c checksums.sha256`). A recorder
joins the files of an hour, and then those of a day; a file that is part of a larger one since is
no loss.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.files import write_whole
from fairlead.engine.recording.gaps import read_gaps
from fairlead.engine.recording.inventory import Places, folders, kinds_of, rows_of
from fairlead.engine.recording.parquet_rows import ParquetFault, parquet_rows
from fairlead.engine.recording.raw import verify
from fairlead.engine.recording.rows import Span, span_of, spans_in

CHECKSUMS = "checksums.sha256"
READ_BYTES = 1 << 20
FAULTS_KEPT_MAX = 100
_LINE = re.compile(r"([0-9a-f]{64}) [ *](data/.+)")


class Checked(msgspec.Struct, kw_only=True):
    """What was read; `faults` name file, what was expected and what came."""

    files: int = 0
    rows: int = 0
    raw_files: int = 0
    raw_records: int = 0
    checksums: int = 0  # files whose checksum is as it was written down
    unlisted: int = 0  # files without one
    joined: int = 0  # files that were joined into others since
    written: int = 0  # checksums that were written down now
    dropped: int = 0  # raw records that the recorder could not keep
    torn: list[str] = []  # ends that a crash cut off: no fault
    faults: list[str] = []
    fault_count: int = 0

    @property
    def is_good(self) -> bool:
        return not self.fault_count

    def fault(self, text: str) -> None:
        self.fault_count += 1
        if len(self.faults) < FAULTS_KEPT_MAX:
            self.faults.append(text)


def check(where: Places, *, write: bool = False) -> Checked:
    """Read all there is. `write`: note the checksums of files that are whole and have none.

    Raises OSError.
    """
    found = Checked()
    if where.raw is not None:
        _check_raw(where.raw, found)
    if where.catalog is not None:
        _check_catalog(where.catalog, found, write)
    return found


def _check_raw(root: Path, found: Checked) -> None:
    for one in verify(root):
        found.raw_files += 1
        found.raw_records += one.records
        found.dropped += one.dropped
        if one.torn:
            found.torn.append(one.torn)
        for fault in one.faults:
            found.fault(fault)


def _check_catalog(catalog: Path, found: Checked, write: bool) -> None:
    _, unreadable = read_gaps(catalog)
    if unreadable:
        found.fault(f"{catalog}/gaps.jsonl: {unreadable} lines are no gap rows")
    listed = read_checksums(catalog)
    store = ParquetDataCatalog(str(catalog))
    kinds = kinds_of(store)
    sums: dict[str, str] = {}
    for folder, name, spans in folders(catalog):
        for span in spans:
            path = str(span.path.relative_to(catalog))
            sums[path] = sha256(span.path)
            before = found.fault_count
            if (told := listed.pop(path, None)) is None:
                found.unlisted += 1
            elif told == sums[path]:
                found.checksums += 1
            else:
                text = f"checksum {told[:12]}... expected, {sums[path][:12]}... received"
                found.fault(f"{span.path}: {text}: it has changed since it was written down")
            found.files += 1
            _check_rows(store, kinds.get(folder), name, span, found)
            if found.fault_count > before:
                sums.pop(path)
    for path in listed:
        if _is_joined(catalog / path):
            found.joined += 1
        else:
            found.fault(f"{catalog / path}: it has a checksum, and is gone")
    if write and found.is_good:
        found.written = found.unlisted
        write_checksums(catalog, sums)


def _check_rows(
    store: ParquetDataCatalog, kind: object, name: str, span: Span, found: Checked
) -> None:
    """Rows of a type that NautilusTrader reads are all read; else only their number."""
    try:
        told = parquet_rows(span.path)
        found.rows += told
        if kind is None:
            return
        count, newest = 0, span.start_ns
        for rows in rows_of(store, kind, name, span):
            count += len(rows)
            for row in rows:
                if row.ts_init < newest:
                    found.fault(f"{span.path}: ts_init {row.ts_init} after {newest}")
                    return
                newest = row.ts_init
    except (OSError, ParquetFault, ValueError, RuntimeError) as error:
        found.fault(f"{span.path}: {str(error)[:300]}")
        return
    if count < told:
        text = f"{told} rows expected within the time of its name, {count} received"
        found.fault(f"{span.path}: {text}")


def _is_joined(path: Path) -> bool:
    """Whether another file of its folder has its time."""
    span = span_of(path)
    if span is None:
        return False
    others = spans_in(path.parent)
    return any(one.start_ns <= span.start_ns and one.end_ns >= span.end_ns for one in others)


def sha256(path: Path) -> str:
    """Raises OSError."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            found.update(block)
    return found.hexdigest()


def read_checksums(catalog: Path) -> dict[str, str]:
    """By file, relative to the catalog; lines that are none are left out. Raises OSError."""
    path = catalog / CHECKSUMS
    if not path.exists():
        return {}
    text = path.read_bytes().decode("utf-8", "replace")
    found = [_LINE.fullmatch(line) for line in text.splitlines()]
    return {one[2]: one[1] for one in found if one is not None and ".." not in one[2]}


def write_checksums(catalog: Path, sums: dict[str, str]) -> None:
    """Raises OSError."""
    lines = [f"{digest}  {path}\n" for path, digest in sorted(sums.items())]
    write_whole(catalog / CHECKSUMS, "".join(lines).encode())
