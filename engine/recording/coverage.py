"""Until when each instrument's data is known, kept on disk, so that a hole between runs shows.

A run writes each second how far its books were whole: those that it streams, whoever asked for
them. The next run that has the book whole again writes the hole as a row: after a stop, a crash, a
kill, or a run that never had the book.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from fairlead.engine.files import decoded, write_whole
from fairlead.engine.recording.between import Times, books_of, lacking
from fairlead.engine.recording.commit import JOURNAL
from fairlead.engine.recording.gaps import GapKind, GapLog, GapRow
from fairlead.engine.recording.journal import JournaledRun, journaled_runs
from fairlead.engine.recording.promote import CatalogLock
from fairlead.engine.status import BookState, BookStatus, RunStatus

SECOND_NS = 1_000_000_000
UNSURE_NS = SECOND_NS  # the newest rows may not be on the disk yet, see FLUSH_INTERVAL_MS
WAIT_SECS = 5.0  # at the end, for who moves files
LATE_NS = SECOND_NS  # of a book after the trades: told by itself
LATE = "the trades were there before the book"
UNWATCHED = "not recorded: the book was subscribed no more"


class Seen(msgspec.Struct):
    """Per instrument the last moment, UNIX ns, at which the recording was whole."""

    instruments: dict[str, int] = {}
    stopped: bool = True  # in order


class Coverage:
    """The coverage of one venue in a recording folder. Used by one thread. Raises OSError."""

    def __init__(
        self,
        catalog: Path,
        venue: str,
        status: RunStatus,
        gaps: GapLog,
        now_ns: Callable[[], int],
    ) -> None:
        self._catalog = catalog
        self._suffix = f".{venue.upper()}"
        self._path = catalog / JOURNAL / f"seen-{venue.lower()}.json"
        self._status = status
        self._gaps = gaps
        self._now_ns = now_ns
        seen = _read(self._path)
        self._seen = seen or Seen()
        self._ended = "was stopped" if self._seen.stopped else "was killed, or it crashed"
        if seen is None:
            self._ended = "left no note of its end"
        self._seen.stopped = False
        self._begun: dict[str, BookStatus] = {}  # as it was when it was whole, not noted yet
        self._whole: dict[str, BookStatus] = {}
        self._dropped: set[str] = set()  # not streamed any more, by this run
        self._is_over = False
        self.holes: dict[str, list[GapRow]] = {}
        self._left: list[JournaledRun] = []  # their rows are not in the catalog yet
        self._started: dict[str, int] = {}  # the first of those, by instrument
        for run in journaled_runs(catalog):
            self._leaves(run)

    def _leaves(self, run: JournaledRun) -> None:
        """A run whose rows are not in the catalog yet: killed, maybe before its first note."""
        about = run.about
        if about is None or run.is_alive or not any(path.stat().st_size for path in run.files()):
            return
        for name in about.instruments:
            if name.endswith(self._suffix):
                self._left.append(run)
                self._started.setdefault(name, about.start_ns)
                if about.start_ns >= self._seen.instruments.get(name, 0):
                    self._ended = "was killed, or it crashed"

    @property
    def is_settled(self) -> bool:
        """Whether all that other runs left is in the catalog, so that a hole shows where it is."""
        self._left = [run for run in self._left if run.folder.exists()]
        return not self._left

    def look(self) -> None:
        """Take note of how the books stand; called each second."""
        if not self._is_over:
            self._look(self._now_ns())
        if self._begun and self.is_settled:
            with CatalogLock(self._catalog) as lock:
                if lock.take(shared=True):  # else files are moved just now
                    self._begin()
        self._write()

    def _look(self, now_ns: int) -> None:
        books = {n: b for n, b in list(self._status.books.items()) if n.endswith(self._suffix)}
        for name in [n for n, book in self._whole.items() if books.get(n) is not book]:
            self._forward(name, self._whole.pop(name).last_update_ns)
            self._dropped.add(name)
        for name, book in books.items():
            if book.state is BookState.RESYNC:
                if name in self._whole:  # until the book was lost
                    self._forward(name, min(book.since_ns, now_ns - UNSURE_NS))
            elif name in self._whole:
                self._forward(name, now_ns - UNSURE_NS)
            else:
                self._begun.setdefault(name, msgspec.structs.replace(book))

    def _begin(self) -> None:
        """Books that are whole for the first time, and the holes before them."""
        for name, book in sorted(self._begun.items()):
            self._holes(name, book)
            self._whole[name] = self._status.books.get(name, book)
        self._begun.clear()

    def _holes(self, name: str, book: BookStatus) -> None:
        """Up to the first trade, where that was earlier: what it lacks then is the book alone."""
        whole_ns = book.since_ns
        begun_ns = min(whole_ns, book.traded_ns or whole_ns)
        before = self._seen.instruments.get(name) or self._last(name, begun_ns)
        if before is not None:
            kind = GapKind.BETWEEN_RUNS
            reason = f"not recorded between two runs; the one before {self._ended}"
            if name in self._dropped:
                kind, reason = GapKind.GAP, UNWATCHED
            self._write_holes(kind, name, reason, (before, begun_ns))
        if whole_ns - begun_ns >= LATE_NS:
            self._write_holes(GapKind.GAP, name, LATE, (begun_ns, whole_ns))
        self._seen.instruments[name] = whole_ns

    def _write_holes(self, kind: GapKind, name: str, reason: str, within: Times) -> None:
        for begin, end in lacking(self._catalog, name, *within):
            row = GapRow(kind=kind, instrument=name, reason=reason, from_ns=begin, to_ns=end)
            self._gaps.append(row)
            if kind is GapKind.BETWEEN_RUNS:
                self.holes.setdefault(name, []).append(row)

    def _last(self, name: str, before_ns: int) -> int | None:
        """Of what was recorded without a note; of runs that were killed before their first, what
        was there before them, or their first row."""
        books = [span for span in books_of(self._catalog, name) if span.end_ns < before_ns]
        started_ns = self._started.get(name, before_ns)
        ends = [span.end_ns for span in books if span.end_ns < started_ns]
        later = [span.start_ns for span in books if span.end_ns >= started_ns]
        started = self._started.get(name)
        return max(ends, default=None) or min(later, default=started)

    def close(self) -> None:
        """The run was stopped in order: all that it saw is on the disk."""
        now_ns = self._now_ns()
        if self._begun:
            with CatalogLock(self._catalog) as lock:
                lock.take(shared=True, wait_secs=WAIT_SECS)
                self._begin()
        for name in self._whole:
            self._forward(name, now_ns)
        self._seen.stopped = True
        self._write()

    def lost(self, from_ns: int) -> None:
        """Nothing since `from_ns` is on the disk, and nothing more will be."""
        self._is_over = True
        self._whole.clear()
        self._begun.clear()
        for name, seen_ns in self._seen.instruments.items():
            self._seen.instruments[name] = min(seen_ns, from_ns)
        self._write()

    def _forward(self, name: str, at_ns: int) -> None:
        self._seen.instruments[name] = max(self._seen.instruments.get(name, 0), at_ns)

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._path, msgspec.json.encode(self._seen), durable=False)


def _read(path: Path) -> Seen | None:
    """None where no run has written one."""
    try:
        return decoded(path.read_bytes(), Seen) or Seen(stopped=False)
    except FileNotFoundError:
        return None
