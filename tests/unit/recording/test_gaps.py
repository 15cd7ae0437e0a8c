"""Gap rows: written whole, read past a torn line, and summed over a range."""

from __future__ import annotations

import itertools
import os
import threading

import pytest

from fairlead.engine.recording.gaps import (
    REASON_CHARS_MAX,
    GapKind,
    GapLog,
    GapRow,
    crossing,
    gaps_path,
    read_gaps,
    summarize,
    summary_of,
)
from fairlead.engine.recording.session import Recording
from fairlead.engine.run.config import load
from fairlead.engine.status import RunStatus

SECOND = 1_000_000_000


def row(start: int, end: int, kind: GapKind = GapKind.GAP, instrument: str = "A.X") -> GapRow:
    return GapRow(
        kind=kind,
        instrument=instrument,
        reason="r",
        from_ns=start * SECOND,
        to_ns=end * SECOND,
    )


def test_rows_come_back(tmp_path):
    rows = [row(1, 2), row(3, 3, GapKind.RECONNECT), row(5, 9, GapKind.CLOCK_STEP, "")]
    with GapLog(gaps_path(tmp_path)) as log:
        for each in rows[:2]:
            log.append(each)
    with GapLog(gaps_path(tmp_path)) as log:
        log.append(rows[2])
    assert read_gaps(tmp_path) == (rows, 0)
    assert read_gaps(gaps_path(tmp_path)) == (rows, 0)


def test_no_file_is_no_gap(tmp_path):
    assert read_gaps(tmp_path / "none") == ([], 0)
    assert str(summary_of(tmp_path)) == "no gaps"


def test_a_line_torn_by_a_crash_is_counted_and_does_not_hurt_the_next(tmp_path):
    path = gaps_path(tmp_path)
    with GapLog(path) as log:
        log.append(row(1, 2))
        log.append(row(3, 4))
    path.write_bytes(path.read_bytes()[:-20])
    with GapLog(path) as log:
        log.append(row(5, 6))
    rows, unreadable = read_gaps(path)
    assert rows == [row(1, 2), row(5, 6)]
    assert unreadable == 1
    assert summary_of(tmp_path).unreadable_lines == 1


def test_summary_of_a_range_and_of_instruments(tmp_path):
    rows = [
        row(0, 10),
        row(20, 21, GapKind.RECONNECT),
        row(30, 32, GapKind.GAP, "B.X"),
        row(40, 41, GapKind.CLOCK_STEP, ""),
    ]
    with GapLog(gaps_path(tmp_path)) as log:
        for each in rows:
            log.append(each)
    whole = summary_of(tmp_path)
    assert (whole.count, whole.seconds) == (4, 14.0)
    assert whole.kinds == {"gap": 2, "reconnect": 1, "clock_step": 1}
    assert str(whole) == "4 gaps, 14.000 s (clock_step 1, gap 2, reconnect 1)"
    part = summary_of(tmp_path, start_ns=10 * SECOND, end_ns=25 * SECOND)
    assert part.count == 2
    only = summary_of(tmp_path, instruments=["B.X"])
    assert only.kinds == {"gap": 1, "clock_step": 1}  # a row for all concerns each
    assert list(crossing(rows, start_ns=41 * SECOND + 1)) == []
    assert summarize([]).count == 0


def test_a_negative_duration_counts_as_none():
    assert row(5, 3).seconds == 0


def test_long_reasons_are_cut(tmp_path):
    with GapLog(gaps_path(tmp_path)) as log:
        log.append(
            GapRow(kind=GapKind.GAP, instrument="A.X", reason="x" * 5000, from_ns=0, to_ns=1)
        )
    assert len(read_gaps(tmp_path)[0][0].reason) == REASON_CHARS_MAX


def test_rows_of_several_threads_do_not_mix(tmp_path):
    log = GapLog(gaps_path(tmp_path))

    def write(name: str) -> None:
        for i in range(200):
            log.append(row(i, i + 1, instrument=name))

    threads = [threading.Thread(target=write, args=(f"{n}.X",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    rows, unreadable = read_gaps(tmp_path)
    assert (len(rows), unreadable, log.rows) == (800, 0, 800)


def test_a_full_disk_is_an_error(tmp_path):
    os.symlink("/dev/full", gaps_path(tmp_path))
    with GapLog(gaps_path(tmp_path)) as log, pytest.raises(OSError, match="No space left"):
        log.append(row(1, 2))


def test_what_the_disk_refuses_is_told_all_the_same_and_once(tmp_path, monkeypatch):
    write = os.write
    whole, again = row(1, 2), row(5, 7)

    def refused(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with GapLog(gaps_path(tmp_path)) as log:
        log.append(whole)
        monkeypatch.setattr("fairlead.engine.recording.gaps.os.write", refused)
        for _ in range(2):
            with pytest.raises(OSError, match="No space left"):
                log.append(again)
        assert log.untold == [again]
        assert str(summary_of(tmp_path)) == "1 gap, 1.000 s (gap 1)"
        assert str(summary_of(tmp_path, untold=log.untold)) == "2 gaps, 3.000 s (gap 2)"
        monkeypatch.setattr("fairlead.engine.recording.gaps.os.write", write)
        log.append(again)
        assert log.untold == []
    assert read_gaps(tmp_path) == ([whole, again], 0)


def test_a_disk_that_is_full_at_the_end_of_a_run_is_in_its_gaps(tmp_path, monkeypatch):
    """The notes said so, and the summary "no gaps"."""
    path = tmp_path / "run.toml"
    venue = 'adapter = "oceanex"\ninstruments = ["A_B.OCEANEX"]\n'
    path.write_text(f'name = "x"\n[venues.oceanex]\n{venue}')
    times = itertools.count(1_000_000_000, 1_000_000_000)
    recording = Recording(load(path), {}, RunStatus(), lambda: next(times))

    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recording, "_disk_takes_it", full)
    recording._ended.set()
    recording._look_on()
    recording.close()
    assert any("No space left" in problem for problem in recording.problems)
    found = summary_of(recording.catalog, untold=recording.gaps.untold)
    assert (found.count, found.kinds) == (1, {"stopped": 1})
    assert found.seconds > 0
    assert recording.gaps.untold[0].reason == "the disk refused to take what came"


def test_rows_outlive_the_removal_of_their_file(tmp_path):
    with GapLog(gaps_path(tmp_path)) as log, GapLog(gaps_path(tmp_path)) as other:
        log.append(row(1, 2))
        other.append(row(3, 4))
        gaps_path(tmp_path).unlink()
        log.append(row(5, 6))
        other.append(row(7, 8))
    assert read_gaps(tmp_path) == ([row(1, 2), row(3, 4), row(5, 6), row(7, 8)], 0)


def test_a_kind_that_a_report_tells_otherwise_is_left_out(tmp_path):
    with GapLog(gaps_path(tmp_path)) as log:
        log.append(row(1, 2))
        log.append(row(3, 4, kind=GapKind.BETWEEN_RUNS))
    whole = summary_of(tmp_path)
    assert whole.count == 2
    rest = summary_of(tmp_path, leave_out=frozenset({GapKind.BETWEEN_RUNS}))
    assert (rest.count, "between_runs" in rest.kinds) == (1, False)
