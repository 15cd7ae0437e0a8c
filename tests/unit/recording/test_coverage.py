"""How far a recording is whole: the next run writes what was missing as a row."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import pytest
from nautilus_trader.model import CurrencyPair
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.recording.coverage import UNSURE_NS, Coverage
from fairlead.engine.recording.definitions import define
from fairlead.engine.recording.gaps import GapKind, GapLog, gaps_path, read_gaps
from fairlead.engine.recording.journal import RunJournal
from fairlead.engine.recording.rows import KINDS, write_rows
from fairlead.engine.status import BookState, RunStatus
from tests.unit.backtest_kit import spot
from tests.unit.recording.test_promote import X, delta

SECOND = 1_000_000_000
T0 = 1_790_000_000 * SECOND
Y = "ETH_USDT.X"


class Run:
    """A run of one venue, on a clock of seconds."""

    def __init__(self, catalog: Path) -> None:
        self.now = 0.0
        self.status = RunStatus()
        self.gaps = GapLog(gaps_path(catalog))
        self.coverage = Coverage(catalog, "x", self.status, self.gaps, self._now_ns)

    def _now_ns(self) -> int:
        return T0 + int(self.now * SECOND)

    def at(self, now: float, state: BookState | None = None, name: str = X) -> None:
        """Look at `now`; `state` is what the book is in from then on."""
        self.now = now
        if state is not None:
            book = self.status.book(name)
            book.state, book.since_ns = state, self._now_ns()
        self.coverage.look()

    def stop(self, now: float) -> None:
        self.now = now
        self.coverage.close()
        self.gaps.close()


def holes(catalog: Path) -> list[tuple[str, float, float]]:
    rows, _ = read_gaps(catalog)
    assert {row.kind for row in rows} <= {GapKind.BETWEEN_RUNS}
    return [(r.instrument, (r.from_ns - T0) / SECOND, (r.to_ns - T0) / SECOND) for r in rows]


def test_the_time_between_two_runs_is_a_hole(tmp_path):
    first = Run(tmp_path)
    first.at(1, BookState.VALID)
    first.at(10)
    first.stop(20)
    assert holes(tmp_path) == []
    second = Run(tmp_path)
    second.at(2_720, BookState.RESYNC)
    second.at(2_721, BookState.VALID)
    second.at(2_722)
    assert holes(tmp_path) == [(X, 20, 2_721)]
    assert second.coverage.holes[X][0].reason.endswith("was stopped")


def test_a_kill_is_a_hole_from_what_was_surely_written(tmp_path):
    first = Run(tmp_path)
    first.at(1, BookState.VALID)
    first.at(10)  # and killed
    second = Run(tmp_path)
    second.at(30, BookState.VALID)
    assert holes(tmp_path) == [(X, 10 - UNSURE_NS / SECOND, 30)]
    assert "killed" in second.coverage.holes[X][0].reason


def test_a_run_without_a_whole_book_is_a_part_of_the_hole(tmp_path):
    first = Run(tmp_path)
    first.at(1, BookState.VALID)
    first.stop(10)
    for begin in (20, 30):
        idle = Run(tmp_path)
        idle.at(begin, BookState.RESYNC)
        idle.stop(begin + 5)
    third = Run(tmp_path)
    third.at(50, BookState.VALID)
    assert holes(tmp_path) == [(X, 10, 50)]


def test_a_book_that_was_lost_before_the_kill_counts_from_then(tmp_path):
    first = Run(tmp_path)
    first.at(1, BookState.VALID)
    first.at(10, BookState.STALE)  # silent, but whole
    first.at(12, BookState.RESYNC)
    first.at(40)
    second = Run(tmp_path)
    second.at(50, BookState.VALID)
    assert holes(tmp_path) == [(X, 12, 50)]


def test_each_instrument_has_its_own_hole_also_when_it_was_left_out_for_a_run(tmp_path):
    first = Run(tmp_path)
    first.at(1, BookState.VALID)
    first.at(1, BookState.VALID, Y)
    first.stop(10)
    second = Run(tmp_path)
    second.at(20, BookState.VALID)
    second.stop(30)
    third = Run(tmp_path)
    third.at(40, BookState.VALID)
    third.at(41, BookState.VALID, Y)
    assert holes(tmp_path) == [(X, 10, 20), (X, 30, 40), (Y, 10, 41)]


def test_a_recording_without_such_a_note_counts_from_its_last_row(tmp_path):
    write_rows([delta(T0, 128), delta(T0 + 5 * SECOND, 128)], KINDS["order_book_deltas"], tmp_path)
    run = Run(tmp_path)
    run.at(60, BookState.VALID)
    assert holes(tmp_path) == [(X, 5, 60)]


def left_by_a_kill(catalog: Path, start_ns: int, *names: str, rows: bytes = b"rows") -> None:
    """What a run leaves that is killed before its first look."""
    journal = RunJournal(catalog, names, start_ns)
    feather = journal.folder / "live" / "1" / "order_book_deltas" / f"X_{start_ns}.feather.partial"
    feather.parent.mkdir(parents=True)
    feather.write_bytes(rows)
    journal.close()


def promoted(catalog: Path) -> None:
    """All that runs left is in the catalog."""
    for folder in (catalog / "journal").glob("[0-9]*-*/"):
        shutil.rmtree(folder)


def test_a_run_that_was_killed_in_its_first_second_leaves_a_hole(tmp_path):
    left_by_a_kill(tmp_path, T0 + 3 * SECOND, X)
    left_by_a_kill(tmp_path, T0 + 20 * SECOND, X, Y)
    run = Run(tmp_path)
    run.at(59)
    promoted(tmp_path)
    run.at(60, BookState.VALID)
    run.at(61, BookState.VALID, Y)
    assert holes(tmp_path) == [(X, 3, 60), (Y, 20, 61)]
    assert run.coverage.holes[X][0].reason.endswith("was killed, or it crashed")


def test_one_that_was_killed_before_it_had_anything_leaves_none(tmp_path):
    left_by_a_kill(tmp_path, T0 + 3 * SECOND, X, rows=b"")
    run = Run(tmp_path)
    run.at(60, BookState.VALID)
    run.at(60, BookState.VALID, Y)
    assert holes(tmp_path) == []


def test_a_kill_in_the_first_second_after_a_run_that_was_stopped(tmp_path):
    first = Run(tmp_path)
    first.at(1, BookState.VALID)
    first.stop(10)
    left_by_a_kill(tmp_path, T0 + 20 * SECOND, X)
    run = Run(tmp_path)
    promoted(tmp_path)
    run.at(60, BookState.VALID)
    assert holes(tmp_path) == [(X, 10, 60)]
    assert run.coverage.holes[X][0].reason.endswith("was killed, or it crashed")


def test_a_clock_that_went_back_makes_no_hole(tmp_path):
    first = Run(tmp_path)
    first.at(100, BookState.VALID)
    first.stop(110)
    second = Run(tmp_path)
    second.at(50, BookState.VALID)
    second.stop(60)
    assert holes(tmp_path) == []


@pytest.mark.parametrize("note", [b"", b"{", b'{"instruments": 1}'])
def test_a_damaged_note_does_not_end_a_run(tmp_path, note):
    first = Run(tmp_path)
    first.at(1, BookState.VALID)
    next(tmp_path.rglob("seen-x.json")).write_bytes(note)
    second = Run(tmp_path)
    second.at(5, BookState.VALID)
    assert holes(tmp_path) == []


# -- definitions -----------------------------------------------------------------------------------


def test_a_definition_is_written_once_and_told_when_it_changes(tmp_path):
    """Also where the venue's own time never changes, and where only that changes."""
    pair = spot(X)
    assert define(tmp_path, [pair], T0) == []
    fields = pair.to_dict()
    for ts in (pair.ts_init, pair.ts_init + 5):
        again = CurrencyPair.from_dict({**fields, "ts_event": ts, "ts_init": ts})
        assert define(tmp_path, [again], T0 + 1) == []
    assert len(ParquetDataCatalog(str(tmp_path)).instruments()) == 1
    finer = CurrencyPair.from_dict({**fields, "size_increment": "0.0001", "size_precision": 4})
    (told,) = define(tmp_path, [finer], T0 + 2)
    assert X in told
    assert "size_increment" in told
    assert define(tmp_path, [finer], T0 + 3) == []
    found = ParquetDataCatalog(str(tmp_path)).instruments()
    assert [one.size_precision for one in sorted(found, key=lambda one: one.ts_init)][-1] == 4
    (told,) = define(tmp_path, [pair], T0 + 4)  # and back again
    assert "size_increment" in told


def test_what_an_account_says_of_an_instrument_is_written_and_not_told(tmp_path):
    """A run on paper has no key, and so no leverage: the live one after it has both."""
    fields = spot(X).to_dict()

    def defined(margin: str, size_increment: str, ts: int) -> list[str]:
        more = {"margin_init": margin, "size_increment": size_increment}
        more["size_precision"] = len(size_increment) - 2
        return define(tmp_path, [CurrencyPair.from_dict({**fields, **more})], ts)

    assert defined("0", "0.001", T0) == []
    assert defined("0.05", "0.001", T0 + 1) == []
    found = ParquetDataCatalog(str(tmp_path)).instruments()
    newest = max(found, key=lambda one: one.ts_init)
    assert (len(found), Decimal(str(newest.margin_init))) == (2, Decimal("0.05"))
    (told,) = defined("0", "0.0001", T0 + 2)
    assert "size_increment" in told
    assert "margin_init" not in told
    assert "[record] dir" in told, "what to do"


def test_what_one_mode_knows_of_an_instrument_and_another_does_not_is_no_change(tmp_path):
    """A paper run knows the fees of its config, a live run those of the account, or none."""
    fields = spot(X).to_dict()

    def known(**info: str) -> CurrencyPair:
        return CurrencyPair.from_dict({**fields, "info": info})

    assert define(tmp_path, [known()], T0) == []
    assert define(tmp_path, [known(maker_fee="0.001")], T0 + 1) == []
    assert define(tmp_path, [known()], T0 + 2) == []
    found = ParquetDataCatalog(str(tmp_path)).instruments()
    newest = max(found, key=lambda one: one.ts_init)
    assert newest.info == {"maker_fee": "0.001"}
    (told,) = define(tmp_path, [known(maker_fee="0.002")], T0 + 3)
    assert "0.002" in told
