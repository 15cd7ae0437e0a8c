"""What a recording is missing: gaps, reconnects, resyncs and clock steps, as rows.

The rows live in `gaps.jsonl` at the root of a catalog (or of a raw recording), one JSON object a
line, append only. Every report says how many of them its data crosses.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

import msgspec

GAPS_FILE = "gaps.jsonl"
REASON_CHARS_MAX = 300
UNTOLD_MAX = 1_000
SECOND_NS = 1_000_000_000
Int64 = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]  # JSON sets no bound


class GapKind(StrEnum):
    GAP = "gap"  # data is missing; the book was cleared
    MISSING = "missing"  # trades, quotes, bars or lines of a file are; a book is whole
    RECONNECT = "reconnect"  # a connection was lost and opened again
    RESYNC = "resync"  # a book was rebuilt from a snapshot without a loss
    CLOCK_STEP = "clock_step"  # the local clock was set; durations across it are wrong
    OVERFLOW = "overflow"  # the recorder dropped records
    STOPPED = "stopped"  # recording ended before the run did
    BETWEEN_RUNS = "between_runs"  # no run recorded, or it was killed; between imported files


class GapRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One hole. `from_ns` and `to_ns` are local UNIX nanoseconds; `to_ns` is when it was mended.

    `instrument` is a NautilusTrader instrument id, or empty where all are concerned. `count` is
    the number of things lost where that is known, else 0: of a depth stream update ids, of which a
    message has many; of trades, bars, numbered messages and records one each.
    """

    kind: GapKind
    instrument: str
    reason: str
    from_ns: Int64
    to_ns: Int64
    count: Int64 = 0

    @property
    def seconds(self) -> float:
        return max(0, self.to_ns - self.from_ns) / SECOND_NS


class GapSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Rows crossed: their number, the time that they cover, and the number of each kind."""

    count: int
    seconds: float
    kinds: dict[str, int]
    unreadable_lines: int = 0

    def __str__(self) -> str:
        if not self.count:
            return "no gaps"
        kinds = ", ".join(f"{name} {number}" for name, number in sorted(self.kinds.items()))
        gaps = "1 gap" if self.count == 1 else f"{self.count} gaps"
        return f"{gaps}, {self.seconds:.3f} s ({kinds})"


class GapLog:
    """Appends rows to one file, from any thread; a row and its newline are one write.

    `untold` are the rows that the disk refused, for who tells of the recording without it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self.rows = 0
        self.untold: list[GapRow] = []
        self._fd: int | None = None

    def append(self, row: GapRow) -> None:
        """Raises OSError when the disk refuses."""
        row = msgspec.structs.replace(row, reason=row.reason[:REASON_CHARS_MAX])
        line = msgspec.json.encode(row) + b"\n"
        with self._lock:
            try:
                self._write(line)
            except OSError:
                self._keep(row)
                raise
            if row in self.untold:
                self.untold.remove(row)
            self.rows += 1

    def keep(self, row: GapRow) -> None:
        """A row that is only told, of a disk that takes nothing."""
        with self._lock:
            self._keep(row)

    def _keep(self, row: GapRow) -> None:
        if row not in self.untold and len(self.untold) < UNTOLD_MAX:
            self.untold.append(row)

    def _write(self, line: bytes) -> None:
        kept = self._kept()
        if self._fd is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            _end_torn_line(self._fd)
            if kept:
                os.write(self._fd, kept)
        written = os.write(self._fd, line)
        if written != len(line):
            raise OSError(f"{self.path}: {written} of {len(line)} bytes of a row written")

    def _kept(self) -> bytes:
        """The rows of a file that was removed meanwhile, for the one in its place.

        Where another process has made one, they are its to keep.
        """
        if self._fd is None:
            return b""
        try:
            if os.path.samestat(os.stat(self.path), os.fstat(self._fd)):
                return b""
            kept = b""
        except FileNotFoundError:
            kept = os.pread(self._fd, os.fstat(self._fd).st_size, 0)
        os.close(self._fd)
        self._fd = None
        return kept

    def close(self) -> None:
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _end_torn_line(fd: int) -> None:
    """Close off a last line that a crash cut short, so that the next row starts its own line."""
    size = os.fstat(fd).st_size
    if size and os.pread(fd, 1, size - 1) != b"\n":
        os.write(fd, b"\n")


def gaps_path(root: Path | str) -> Path:
    """The gap file of a catalog or raw recording at `root`."""
    return Path(root) / GAPS_FILE


def read_gaps(path: Path | str) -> tuple[list[GapRow], int]:
    """Rows of a gap file, and the number of lines that could not be read (torn by a crash).

    A missing file has no rows. A directory means the gap file in it.
    """
    file = Path(path)
    if file.is_dir():
        file = gaps_path(file)
    if not file.exists():
        return [], 0
    rows: list[GapRow] = []
    unreadable = 0
    decoder = msgspec.json.Decoder(GapRow)
    with file.open("rb") as lines:
        for line in lines:
            if not line.strip():
                continue
            try:
                rows.append(decoder.decode(line))
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                unreadable += 1
    return rows, unreadable


def crossing(
    rows: Iterable[GapRow],
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    instruments: frozenset[str] | None = None,
) -> Iterator[GapRow]:
    """Rows that touch the time range and, if given, one of the instruments."""
    for row in rows:
        if start_ns is not None and row.to_ns < start_ns:
            continue
        if end_ns is not None and row.from_ns > end_ns:
            continue
        if instruments is not None and row.instrument and row.instrument not in instruments:
            continue
        yield row


def summarize(
    rows: Iterable[GapRow],
    unreadable_lines: int = 0,
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> GapSummary:
    """Number and time of rows. Time in which several are open counts once, and so does only the
    part from `start_ns` to `end_ns`."""
    kinds: Counter[str] = Counter()
    spans = []
    for row in rows:
        kinds[row.kind.value] += 1
        begin = row.from_ns if start_ns is None else max(row.from_ns, start_ns)
        end = row.to_ns if end_ns is None else min(row.to_ns, end_ns)
        spans.append((begin, end))
    return GapSummary(
        count=kinds.total(),
        seconds=round(_covered_ns(spans) / SECOND_NS, 9),
        kinds=dict(kinds),
        unreadable_lines=unreadable_lines,
    )


def _covered_ns(spans: Iterable[tuple[int, int]]) -> int:
    """Length of the union of spans."""
    total, reached = 0, None
    for begin, end in sorted(spans):
        start = begin if reached is None else max(begin, reached)
        if end > start:
            total += end - start
        reached = end if reached is None else max(reached, end)
    return total


def summary_of(
    root: Path | str,
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    instruments: Iterable[str] | None = None,
    leave_out: frozenset[GapKind] = frozenset(),
    untold: Iterable[GapRow] = (),
) -> GapSummary:
    """What a report prints: the gaps of the recording at `root` that its data crosses.

    `leave_out` are kinds that the report tells otherwise, `untold` rows that its disk refused.
    """
    rows, unreadable = read_gaps(root)
    rows = [row for row in (*rows, *untold) if row.kind not in leave_out]
    wanted = None if instruments is None else frozenset(instruments)
    found = crossing(rows, start_ns=start_ns, end_ns=end_ns, instruments=wanted)
    return summarize(found, unreadable, start_ns=start_ns, end_ns=end_ns)
