"""What a recording lacks between two moments: what is there, or told, is no hole."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from nautilus_trader.model import BookAction

from fairlead.engine.recording.coverage import Coverage
from fairlead.engine.recording.gaps import GapKind, GapLog, GapRow, gaps_path, read_gaps
from fairlead.engine.recording.rows import KINDS, write_rows
from fairlead.engine.status import BookState, RunStatus
from tests.unit.recording.test_coverage import Run, holes, left_by_a_kill, promoted
from tests.unit.recording.test_promote import SECOND, T0, X, delta, trade


def rows_at(catalog: Path, *seconds: float, last: BookAction = BookAction.CLEAR) -> None:
    """A file of a book, cleared at its last moment or not."""
    *rows, end = (T0 + int(at * SECOND) for at in seconds)
    rows = [*(delta(ts, 128) for ts in rows), delta(end, 160, last)]
    write_rows(rows, KINDS["order_book_deltas"], catalog)


def test_a_run_that_no_note_tells_is_no_hole_and_the_times_around_it_are(tmp_path):
    first = Run(tmp_path)
    first.at(1, BookState.VALID)
    rows_at(tmp_path, 1, 10)
    first.stop(10)
    rows_at(tmp_path, 20, 25, last=BookAction.ADD)  # two files of one run
    rows_at(tmp_path, 26, 30)
    last = Run(tmp_path)
    last.at(60, BookState.VALID)
    assert holes(tmp_path) == [(X, 10, 20), (X, 30, 60)]
    assert [row.seconds for row in last.coverage.holes[X]] == [10, 30]


def test_rows_after_the_last_look_of_a_killed_run_are_no_hole(tmp_path):
    first = Run(tmp_path)
    first.at(1, BookState.VALID)
    first.at(10)  # it is killed at 10.8
    left_by_a_kill(tmp_path, T0, X)
    last = Run(tmp_path)
    last.at(60, BookState.VALID)
    last.at(61)
    assert holes(tmp_path) == [], "not before its rows are in the catalog"
    rows_at(tmp_path, 1, 10.7)
    promoted(tmp_path)
    last.at(62)
    assert holes(tmp_path) == [(X, 10.7, 60)]
    last.at(70)
    last.stop(80)
    third = Run(tmp_path)
    third.at(90, BookState.VALID)
    assert holes(tmp_path)[1:] == [(X, 80, 90)]


@pytest.mark.parametrize("before", [None, 1])
def test_a_first_run_that_is_killed_before_its_first_look_begins_with_its_first_row(
    tmp_path, before
):
    """Unless something was there before it."""
    if before is not None:
        rows_at(tmp_path, 0, before)
    left_by_a_kill(tmp_path, T0 + 3 * SECOND, X)
    last = Run(tmp_path)
    rows_at(tmp_path, 3.5, 4)
    promoted(tmp_path)
    last.at(60, BookState.VALID)
    assert holes(tmp_path) == [*([] if before is None else [(X, 1, 3.5)]), (X, 4, 60)]


def test_a_trade_after_the_last_row_of_a_killed_run_s_book_makes_no_second_hole(tmp_path):
    first = Run(tmp_path)
    first.at(1, BookState.VALID)
    first.at(10)
    rows_at(tmp_path, 1, 10.7)
    write_rows([trade(1, T0 + 10 * SECOND + 900_000_000)], KINDS["trades"], tmp_path)
    last = Run(tmp_path)
    last.at(60, BookState.VALID)
    assert holes(tmp_path) == [(X, 10.9, 60)]


def test_a_short_run_leaves_no_hole_untold_whose_rows_nobody_brought_in(tmp_path):
    first = Run(tmp_path)
    first.at(1, BookState.VALID)
    first.at(10)
    left_by_a_kill(tmp_path, T0, X)
    last = Run(tmp_path)
    last.at(60, BookState.VALID)
    last.stop(61)
    assert holes(tmp_path) == [(X, 9, 60)]


def test_what_a_row_tells_is_not_told_again(tmp_path):
    first = Run(tmp_path)
    first.at(1, BookState.VALID)
    first.at(12, BookState.RESYNC)
    lost, end = T0 + 12 * SECOND, T0 + 20 * SECOND
    told = GapRow(kind=GapKind.GAP, instrument=X, reason="lost", from_ns=lost, to_ns=end)
    first.gaps.append(told)
    first.stop(20)
    last = Run(tmp_path)
    last.at(50, BookState.VALID)
    between = [row for row in read_gaps(tmp_path)[0] if row != told]
    assert [(row.from_ns, row.to_ns) for row in between] == [(told.to_ns, T0 + 50 * SECOND)]


def test_a_book_that_is_subscribed_no_more_and_then_again_has_a_gap_within_the_run(tmp_path):
    run = Run(tmp_path)
    run.at(1, BookState.VALID)
    run.at(5)
    run.status.book(X).last_update_ns = T0 + 8 * SECOND
    del run.status.books[X]
    run.at(9)
    run.at(30, BookState.RESYNC)
    run.at(31, BookState.VALID)
    run.at(32)
    (row,) = read_gaps(tmp_path)[0]
    assert (row.kind, row.from_ns, row.to_ns) == (GapKind.GAP, T0 + 8 * SECOND, T0 + 31 * SECOND)
    assert run.coverage.holes == {}, "told among the gaps of the run"


@pytest.mark.parametrize(("traded", "late"), [(59.9, []), (50.0, [(50, 60)])])
def test_a_hole_ends_with_the_first_trade_and_a_book_that_is_late_is_a_gap(tmp_path, traded, late):
    first = Run(tmp_path)
    first.at(1, BookState.VALID)
    first.stop(10)
    last = Run(tmp_path)
    last.status.book(X).traded_ns = T0 + int(traded * SECOND)
    last.at(60, BookState.VALID)
    rows = read_gaps(tmp_path)[0]
    of = {kind: [(r.from_ns, r.to_ns) for r in rows if r.kind is kind] for kind in GapKind}
    assert of[GapKind.BETWEEN_RUNS] == [(T0 + 10 * SECOND, T0 + int(traded * SECOND))]
    assert of[GapKind.GAP] == [(T0 + a * SECOND, T0 + b * SECOND) for a, b in late]


def test_each_venue_of_a_run_has_its_own_instruments(tmp_path):
    other = "BTC_USDT.Z"
    status, gaps = RunStatus(), GapLog(gaps_path(tmp_path))
    for now in (10, 30):
        at_ns = T0 + now * SECOND
        both = [Coverage(tmp_path, key, status, gaps, partial(int, at_ns)) for key in "xz"]
        for name in (X, other):
            book = status.book(name)
            book.state, book.since_ns = BookState.VALID, at_ns
        for one in both:
            one.look()
            one.close()
    assert holes(tmp_path) == [(X, 10, 30), (other, 10, 30)]
