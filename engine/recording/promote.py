"""Journal to catalog: every row of every run once, in files by minutes and size.

`promote` may be called at any time, by any process, and killed at any time: each step is one
commit (`fairlead.engine.recording.commit`), so that a row is either still in the journal or in the
catalog. `python -m fairlead.engine.recording.promote` does it in a process of its own, so that a
trading process never waits for it, and prints its report as JSON.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.model import (
    BookAction,
    InstrumentId,
    OrderBookDelta,
    RecordFlag,
)

from fairlead.engine.recording.attempts import ATTEMPTS_MAX, Attempts
from fairlead.engine.recording.commit import JOURNAL, commit, drop_stage, new_stage, redo
from fairlead.engine.recording.compact import Joins, compact
from fairlead.engine.recording.definitions import define
from fairlead.engine.recording.gaps import GapKind, GapLog, GapRow, gaps_path
from fairlead.engine.recording.journal import (
    DAMAGED,
    PARTIAL,
    JournaledRun,
    journaled_runs,
    remove_unborn,
    started_ns,
)
from fairlead.engine.recording.locks import FileLock
from fairlead.engine.recording.rows import (
    KINDS,
    Kind,
    Span,
    UnreadableRows,
    by_identifier,
    instrument_of,
    last_row,
    read_feather,
    read_parquet,
    spans_in,
    with_ts_init,
    write_rows,
)

GROUP_BYTES = 32 << 20  # Feather files that are promoted together; bounds memory
FIT_TRIES_MAX = 1_000  # files that one batch of rows may be moved past
LOCK_FILE = "lock"
_WANTED = "wanted-"
_WANTED_SECS = 120.0  # nobody waits longer
NATIVE_PROMOTIONS = "_nautilus_promotions"  # NautilusTrader's notes on what it promoted itself
NICE = 10
_BOOKS = KINDS["order_book_deltas"]


class Promoted(msgspec.Struct, kw_only=True):
    """What one `promote` did. `is_busy`: another one was at work, or a backtest reads."""

    files: int = 0  # of the journal
    rows: int = 0
    merged: int = 0  # Parquet files that were joined into larger ones
    is_busy: bool = False
    problems: list[str] = []


class CatalogLock(FileLock):
    """Exclusive to move rows and files, shared to read them. Raises OSError.

    Who waits for it says so, and whoever joins files then ends after the file at hand.
    """

    def __init__(self, catalog: Path) -> None:
        folder = catalog / JOURNAL
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder / LOCK_FILE)
        self._wanted = folder / f"{_WANTED}{os.getpid()}-{id(self)}"

    def take(self, *, shared: bool = False, wait_secs: float = 0.0) -> bool:
        if super().take(shared=shared):
            return True
        if wait_secs <= 0:
            return False
        self._wanted.touch()
        try:
            return super().take(shared=shared, wait_secs=wait_secs)
        finally:
            self._wanted.unlink(missing_ok=True)

    def is_wanted(self) -> bool:
        """Whether somebody waits; who was killed while waiting is forgotten after a while."""
        for path in self.path.parent.glob(f"{_WANTED}*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime < _WANTED_SECS:
                    return True
                path.unlink()
        return False


def promote(
    catalog: Path | str,
    *,
    wait_secs: float = 0.0,
    joins: Joins = Joins.ALL,
    now_ns: Callable[[], int] = time.time_ns,
) -> Promoted:
    """Move what the journal holds into the catalog, and join small files. Raises OSError.

    Of running recordings only closed files are taken. Repeating it changes nothing. A run that
    ends has no time for joins.
    """
    root = Path(catalog)
    done = Promoted()
    with CatalogLock(root) as lock, GapLog(gaps_path(root)) as gaps:
        if not lock.take(wait_secs=wait_secs):
            done.is_busy = True
            return done
        redo(root)
        remove_unborn(root)
        work = _Promotion(root, gaps, done)
        for run in list(journaled_runs(root)):
            work.run(run)
        shutil.rmtree(root / NATIVE_PROMOTIONS, ignore_errors=True)
        done.merged = compact(root, now_ns(), done.problems, joins, is_over=lock.is_wanted)
        drop_stage(root)
    return done


class _Promotion:
    """One pass, under the catalog's exclusive lock."""

    def __init__(self, root: Path, gaps: GapLog, done: Promoted) -> None:
        self._root = root
        self._gaps = gaps
        self._done = done
        self._attempts = Attempts(root)

    def run(self, run: JournaledRun) -> None:
        for file in run.files():
            if self._attempts.failed(str(file)) >= ATTEMPTS_MAX:
                self._damaged([file], "it takes the process down that reads it")
        for group in _groups(run.files(), self._attempts):
            names = [str(file) for file in group]
            self._attempts.begin(*names)
            self._group(run, group)
            self._attempts.end(*names)
        if run.is_alive:
            return
        if not run.is_legacy:
            self._close_books(run)
        run.remove()

    def _group(self, run: JournaledRun, files: list[Path]) -> None:
        """One commit: the rows of some files of one type."""
        stage = new_stage(self._root)
        parts = files[0].relative_to(run.folder).parts
        folder = next((part for part in parts if part in KINDS), "")
        if not folder and "instruments" not in parts:
            self._damaged(files, f"expected one of {', '.join(KINDS)}")
            return
        kind = KINDS.get(folder)
        rows: list[Any] = []
        whole = []
        for number, file in enumerate(files):
            try:
                rows += read_feather(file, kind, stage / "in" / str(number))
                whole.append(file)
            except UnreadableRows as error:
                self._damaged([file], str(error))
        taken: list[Path] = list(whole)
        staged = stage / "out"
        staged.mkdir()
        if kind is None:
            define(self._root, rows)
            rows = []
        else:
            for number, own in enumerate(by_identifier(rows, kind).values()):
                taken += self._stage(run, kind, own, stage / f"fit{number}", staged)
        commit(self._root, staged, taken)
        self._done.files += len(whole)
        self._done.rows += len(rows)

    def _stage(
        self, run: JournaledRun, kind: Kind, rows: list[Any], stage: Path, staged: Path
    ) -> list[Path]:
        """Write rows of one identifier; gives the catalog's files that this replaces."""
        probe = write_rows(rows[:1], kind, stage / "probe")  # the catalog's own name of the folder
        name = probe.parent.relative_to(stage / "probe")
        spans = spans_in(self._root / name)
        if run.is_legacy:
            rows = [row for row in rows if not _is_within(row.ts_init, spans)]
            if not rows:
                return []
        first = rows[0].ts_init
        rows = self._fitted(kind, rows, spans)
        # The journal may have been split within a book update: what belongs together is one file.
        touched = [span for span in spans if span.end_ns == rows[0].ts_init == first]
        if touched:
            rows = read_parquet(touched, kind, stage / "touched") + rows
        write_rows(rows, kind, staged)
        return [span.path for span in touched]

    def _fitted(self, kind: Kind, rows: list[Any], spans: Sequence[Span]) -> list[Any]:
        """Rows whose time is in the catalog already, because the clock was set back, come after.

        Their order is kept, one nanosecond apart; a row of the gap file tells it.
        """
        fitted = rows
        for _ in range(FIT_TRIES_MAX):
            first, last = fitted[0].ts_init, fitted[-1].ts_init
            over = [s.end_ns for s in spans if s.start_ns <= last and s.end_ns > first]
            if not over:
                break
            fitted = _after(max(over), rows)
        else:
            raise OSError(f"{spans[0].path.parent}: no place for rows after {FIT_TRIES_MAX} tries")
        if fitted is not rows:
            self._gaps.append(
                GapRow(
                    kind=GapKind.CLOCK_STEP,
                    instrument=instrument_of(rows[0]),
                    reason=f"{len(rows)} rows of {kind.folder} begin at a time that is recorded "
                    "already: the clock was set back; they are kept after it",
                    from_ns=rows[0].ts_init,
                    to_ns=fitted[0].ts_init,
                )
            )
        return fitted

    def _damaged(self, files: Sequence[Path], why: str) -> None:
        """Put files aside that nobody can read, and tell."""
        aside = self._root / JOURNAL / "damaged"
        aside.mkdir(exist_ok=True)
        for file in files:
            kept = aside / f"{time.time_ns()}-{file.name.removesuffix(PARTIAL)}{DAMAGED}"
            ended_ns = file.stat().st_mtime_ns
            begun_ns = started_ns(file) or ended_ns
            file.rename(kept)
            reason = f"{kept.name}: {why}"
            self._done.problems.append(f"a file of the journal can't be read, see {kept}: {why}")
            self._gaps.append(
                GapRow(
                    kind=GapKind.GAP,
                    instrument="",
                    reason=reason,
                    from_ns=min(begun_ns, ended_ns),
                    to_ns=ended_ns,
                )
            )

    def _close_books(self, run: JournaledRun) -> None:
        """A book is not known after its recording ended: say so where the run could not."""
        about = run.about
        stage = new_stage(self._root)
        staged = stage / "out"
        staged.mkdir()
        for number, name in enumerate(about.instruments if about else []):
            folder = self._root / "data" / _BOOKS.folder / name
            spans = spans_in(folder)
            if not spans:
                continue
            newest = max(spans, key=lambda span: span.end_ns)
            try:
                last = last_row(newest, _BOOKS, stage / f"in{number}")
            except UnreadableRows as error:
                self._done.problems.append(f"{error}; its book is not cleared in the recording")
                continue
            if last.action != BookAction.CLEAR:
                write_rows([_clear(last)], _BOOKS, staged)
        commit(self._root, staged, [])


def _groups(files: Sequence[Path], attempts: Attempts) -> Iterator[list[Path]]:
    """Neighbours of one folder, at most GROUP_BYTES together; a suspect file alone."""
    group: list[Path] = []
    size = 0
    for file in files:
        more = file.stat().st_size
        suspect = any(attempts.failed(str(one)) for one in (file, *group[:1]))
        if group and (suspect or file.parent != group[0].parent or size + more > GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(file)
        size += more
    if group:
        yield group


def _is_within(ts_init: int, spans: Sequence[Span]) -> bool:
    return any(span.start_ns <= ts_init <= span.end_ns for span in spans)


def _after(floor_ns: int, rows: Sequence[Any]) -> list[Any]:
    """Rows not before `floor_ns` + 1; rows of one time stay at one time, the order is kept."""
    moved = []
    before, at = -1, floor_ns
    for row in rows:
        own = row.ts_init
        if own != before:
            at = max(at + 1, own)
            before = own
        moved.append(row if at == own else with_ts_init(row, at))
    return moved


def _clear(last: OrderBookDelta) -> OrderBookDelta:
    ts = last.ts_init + 1
    identifier: InstrumentId = last.instrument_id
    plain = OrderBookDelta.clear(identifier, last.sequence, ts, ts)
    flags = RecordFlag.F_SNAPSHOT.value | RecordFlag.F_LAST.value
    return OrderBookDelta(identifier, BookAction.CLEAR, plain.order, flags, last.sequence, ts, ts)


def main() -> None:
    """`python -m fairlead.engine.recording.promote CATALOG WAIT_SECS all|recent|none`."""
    os.nice(NICE)
    catalog, wait_secs, joins = sys.argv[1:]
    try:
        done = promote(catalog, wait_secs=float(wait_secs), joins=Joins(joins))
    except OSError as error:  # a full disk is no defect: it is told, and the next one tries again
        done = Promoted(problems=[f"rows stay in the journal, the next start tries again: {error}"])
    sys.stdout.write(msgspec.json.encode(done).decode() + "\n")


if __name__ == "__main__":
    main()
