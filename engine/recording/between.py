"""What a recording lacks of an instrument within a time: neither rows nor a row of a gap are there.

Files are told by their names. Of a file of a book the last row is read: where a book was cleared
its recording ended, else the next file goes on with it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import mkdtemp

from nautilus_trader.model import BookAction

from fairlead.engine.recording.commit import JOURNAL
from fairlead.engine.recording.gaps import SECOND_NS, GapKind, GapRow, read_gaps
from fairlead.engine.recording.rows import KINDS, Span, UnreadableRows, last_row, spans_in

LEAST_NS = 1_000_000  # shorter is no hole: the moments of two kinds of data differ by that
BOOKS = KINDS["order_book_deltas"]
_TOLD = frozenset({GapKind.GAP, GapKind.STOPPED, GapKind.BETWEEN_RUNS})
Times = tuple[int, int]  # UNIX ns, from and to


def lacking(catalog: Path, instrument: str, from_ns: int, to_ns: int) -> list[Times]:
    """The holes of an instrument from `from_ns` to `to_ns`, in order. Raises OSError."""
    books = books_of(catalog, instrument)
    rows, _ = read_gaps(catalog)
    there = [
        *((span.start_ns, span.end_ns) for span in books),
        *_bridges(books, from_ns, to_ns, catalog),
        *_others(catalog, instrument, books),
        *((row.from_ns, row.to_ns) for row in rows if _is_told(row, instrument)),
    ]
    return [one for one in _without(there, from_ns, to_ns) if one[1] - one[0] >= LEAST_NS]


def books_of(catalog: Path, instrument: str) -> list[Span]:
    """The files of its book, oldest first."""
    return spans_in(catalog / "data" / BOOKS.folder / instrument)


def _others(catalog: Path, instrument: str, books: Sequence[Span]) -> Iterator[Times]:
    """Of its trades, which may be a moment older or newer than the book: one just after the book's
    end is of the run that ended."""
    for span in spans_in(catalog / "data" / KINDS["trades"].folder / instrument):
        before = max((one.end_ns for one in books if one.end_ns <= span.start_ns), default=0)
        is_next = span.start_ns - before < SECOND_NS
        yield before if is_next else span.start_ns, span.end_ns


def _is_told(row: GapRow, instrument: str) -> bool:
    """A row of a gap of this instrument; of all, when the disk took nothing."""
    is_its = row.instrument == instrument
    return row.kind in _TOLD and (is_its or (row.kind is GapKind.STOPPED and not row.instrument))


def _bridges(books: Sequence[Span], from_ns: int, to_ns: int, catalog: Path) -> Iterator[Times]:
    """Times between two files of a book that goes on from one to the next."""
    near = [(a, b) for a, b in pairwise(books) if from_ns < b.start_ns <= to_ns]
    if not near:
        return
    # On the catalog's disk: hard links, no copies
    stage = Path(mkdtemp(prefix=".between-", dir=catalog / JOURNAL))
    try:
        for number, (a, b) in enumerate(near):
            if a.end_ns < b.start_ns and not _is_cleared(a, stage / str(number)):
                yield a.end_ns, b.start_ns
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _is_cleared(span: Span, stage: Path) -> bool:
    try:
        return bool(last_row(span, BOOKS, stage).action == BookAction.CLEAR)
    except UnreadableRows:
        return True


def _without(there: Iterable[Times], from_ns: int, to_ns: int) -> Iterator[Times]:
    at = from_ns
    for begin, end in sorted(there):
        if begin >= to_ns:
            break
        if begin > at:
            yield at, begin
        at = max(at, end)
    if at < to_ns:
        yield at, to_ns
