"""Until when each instrument's data is known, kept on disk, so that a hole between runs shows.

A run writes each second how far its books were whole. The next run that has the book whole again
writes the hole as a row: after a stop, a crash, a kill, or a run that never had the book.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from fairlead.engine.files import decoded, write_whole
from fairlead.engine.recording.commit import JOURNAL
from fairlead.engine.recording.gaps import GapKind, GapLog, GapRow
from fairlead.engine.recording.journal import JournaledRun, journaled_runs
from fairlead.engine.recording.rows import spans_in
from fairlead.engine.status import BookState, RunStatus

SECOND_NS = 1_000_000_000
UNSURE_NS = SECOND_NS  # the newest rows may not be on the disk yet, see FLUSH_INTERVAL_MS


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
        instruments: Iterable[str],
        status: RunStatus,
        gaps: GapLog,
        now_ns: Callable[[], int],
    ) -> None:
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
        self._whole: set[str] = set()
        self._is_over = False
        self.holes: dict[str, GapRow] = {}
        self._names = tuple(instruments)
        for name in self._names:
            if name not in self._seen.instruments:
                spans = spans_in(catalog / "data" / "order_book_deltas" / name)
                if spans:  # of a run that was killed before it wrote the note
                    self._seen.instruments[name] = max(span.end_ns for span in spans)
        for run in journaled_runs(catalog):
            self._left(run)

    def _left(self, run: JournaledRun) -> None:
        """A run whose rows are not in the catalog yet: killed, maybe before its first note."""
        about = run.about
        if about is None or run.is_alive or not any(path.stat().st_size for path in run.files()):
            return
        for name in set(self._names).intersection(about.instruments):
            seen_ns = self._seen.instruments.setdefault(name, about.start_ns)
            if about.start_ns >= seen_ns:
                self._ended = "was killed, or it crashed"

    def look(self) -> None:
        """Take note of how the books stand; called each second."""
        now_ns = self._now_ns()
        for name in () if self._is_over else self._names:
            book = self._status.books.get(name)
            if book is None:
                continue
            if book.state is not BookState.RESYNC:
                self._note(name, now_ns - UNSURE_NS, book.since_ns)
            elif name in self._whole:  # until the book was lost
                self._forward(name, min(book.since_ns, now_ns - UNSURE_NS))
        self._write()

    def close(self) -> None:
        """The run was stopped in order: all that it saw is on the disk."""
        now_ns = self._now_ns()
        for name in self._whole:
            self._forward(name, now_ns)
        self._seen.stopped = True
        self._write()

    def lost(self, from_ns: int) -> None:
        """Nothing since `from_ns` is on the disk, and nothing more will be."""
        self._is_over = True
        self._whole.clear()
        for name in self._names:
            if name in self._seen.instruments:
                self._seen.instruments[name] = min(self._seen.instruments[name], from_ns)
        self._write()

    def _note(self, name: str, known_ns: int, whole_ns: int) -> None:
        if name not in self._whole:
            self._whole.add(name)
            before = self._seen.instruments.get(name)
            if before is not None and whole_ns > before:
                self._hole(name, before, whole_ns)
            self._seen.instruments[name] = whole_ns
        self._forward(name, known_ns)

    def _hole(self, name: str, from_ns: int, to_ns: int) -> None:
        row = GapRow(
            kind=GapKind.BETWEEN_RUNS,
            instrument=name,
            reason=f"not recorded between two runs; the one before {self._ended}",
            from_ns=from_ns,
            to_ns=to_ns,
        )
        self._gaps.append(row)
        self.holes[name] = row

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
