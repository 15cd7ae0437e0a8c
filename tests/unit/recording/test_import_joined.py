"""Files that are imported into one catalog: what lies between two of them is not invented."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from nautilus_trader.model import BookAction
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.recording.catalog import utc
from fairlead.engine.recording.gaps import GapKind, GapRow, read_gaps, summary_of
from fairlead.engine.recording.importers.binance import import_binance
from fairlead.engine.recording.importers.report import ImportReport
from fairlead.engine.recording.importers.staging import ImportFailed
from tests.unit.recording.test_import_binance import tree
from tests.unit.recording.test_import_faults import (
    BEGIN_MS,
    NAME,
    WHOLE,
    depth,
    shown,
    snapshot,
    steady,
    trade,
)

EMPTY: dict[str, dict[str, str]] = {"BUY": {}, "SELL": {}}


def add(folder: Path, lines: list[bytes]) -> ImportReport:
    path = folder / "file.txt"
    path.write_bytes(b"\n".join(lines) + b"\n")
    return import_binance(path, folder / "cat")


def rows(folder: Path) -> list[tuple[float, float]]:
    """From and to of each row, in milliseconds; in order."""
    found, unreadable = read_gaps(folder / "cat")
    assert unreadable == 0
    assert {row.kind for row in found} <= {GapKind.BETWEEN_RUNS}
    assert {row.instrument for row in found} <= {NAME}
    return sorted((of(row.from_ns), of(row.to_ns)) for row in found)


def of(ns: int) -> float:
    return (ns - 500_000) // 1_000_000 - BEGIN_MS


def part(number: int, *, whole_after_ms: int = 0) -> list[bytes]:
    """Half a second of depth from `number` seconds on, and when its snapshot comes."""
    at, last = 1000 * number, 1000 * (number + 1)
    lines = steady(last + 1, 5, first_ms=at)
    here = snapshot(at + whole_after_ms, last + whole_after_ms // 100, *WHOLE)
    return sorted([*lines, here])


ORDERS = list(itertools.permutations(range(3)))


@pytest.mark.parametrize("order", ORDERS)
def test_between_two_files_there_is_a_row_and_no_book(order, tmp_path):
    parts = [part(0), part(2), part(7)]
    for number in order:
        add(tmp_path, parts[number])
    assert rows(tmp_path) == [(400, 2000), (2400, 7000)]
    books = shown(ParquetDataCatalog(str(tmp_path / "cat")))
    assert [at for at, book in books if book == EMPTY] == [400, 2400]
    assert next(book for at, book in books if at == 400) != EMPTY  # whole to the last row
    found = summary_of(tmp_path / "cat", instruments=[NAME])
    assert (found.count, found.kinds) == (2, {"between_runs": 2})
    assert found.seconds == pytest.approx(1.6 + 4.6)


@pytest.mark.parametrize("order", ORDERS)
def test_the_row_lasts_until_the_book_is_whole_again(order, tmp_path):
    parts = [part(0), part(2, whole_after_ms=200), part(7, whole_after_ms=300)]
    reports = {number: add(tmp_path, parts[number]) for number in order}
    assert rows(tmp_path) == [(400, 2200), (2400, 7300)]
    last = reports[order[-1]].instruments[0]
    assert last.between_seconds > 0
    assert (last.gaps, last.gap_seconds) == (0, 0)
    deltas = ParquetDataCatalog(str(tmp_path / "cat")).query_order_book_deltas()
    times = [delta.ts_init for delta in deltas]
    assert times == sorted(times)


def test_a_file_whose_book_never_gets_whole_is_within_the_row(tmp_path):
    add(tmp_path, part(0))
    add(tmp_path, [*steady(5_000, 5, first_ms=3000), trade(3400, 1, "99.95", "1")])
    assert rows(tmp_path) == [(400, 3400)]
    assert "ends before the book is whole" in read_gaps(tmp_path / "cat")[0][0].reason
    add(tmp_path, part(9))
    assert rows(tmp_path) == [(400, 3400), (3400, 9000)]


def test_a_file_of_trades_alone_has_no_book_either(tmp_path):
    add(tmp_path, part(0))
    add(tmp_path, [trade(2000 + 100 * i, i, "99.95", "1") for i in range(5)])
    assert rows(tmp_path) == [(400, 2400)]
    assert shown(ParquetDataCatalog(str(tmp_path / "cat")))[-1] == (400, EMPTY)


TRADES = [trade(100 * i, 50 + i, "99.95", "1") for i in range(30)]


@pytest.mark.parametrize("order", ORDERS)
def test_trades_that_go_on_by_their_ids_leave_no_row(order, tmp_path):
    parts = [TRADES[:10], TRADES[10:20], TRADES[20:]]
    for number in order[:2]:
        add(tmp_path, parts[number])
    if {*order[:2]} != {0, 2}:
        assert rows(tmp_path) == []
    add(tmp_path, parts[order[2]])
    assert rows(tmp_path) == []
    assert len(ParquetDataCatalog(str(tmp_path / "cat")).query_trade_ticks()) == 30


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_trades_that_are_missing_between_two_files_leave_one(order, tmp_path):
    parts = [TRADES[:10], TRADES[11:]]
    for number in order:
        add(tmp_path, parts[number])
    assert rows(tmp_path) == [(900, 1100)]


def test_another_instrument_of_the_catalog_has_no_row(tmp_path):
    add(tmp_path, part(0))
    add(tmp_path, [depth(9000, 1, 1, {"5.00": "1.0"}, {"5.10": "1.0"}, symbol="BBBUSDT")])
    assert rows(tmp_path) == []


@pytest.mark.parametrize("lines", [part(0)[3:], part(0) + part(2), TRADES[:2]])
def test_a_file_of_a_time_that_is_there_changes_nothing(lines, tmp_path):
    add(tmp_path, part(0))
    before = tree(tmp_path / "cat")
    with pytest.raises(ImportFailed, match=r"IMPORT-OVERLAP.*already holds AAAUSDT\.BINANCE"):
        add(tmp_path, lines)
    assert tree(tmp_path / "cat") == before


@pytest.mark.parametrize("inside_ms", [350, 400])
def test_a_file_begins_with_its_snapshot(inside_ms, tmp_path):
    """Its rows would lie within the time that is there."""
    add(tmp_path, part(0))
    before = tree(tmp_path / "cat")
    lines = [snapshot(inside_ms, 100, *WHOLE), *steady(101, 5, first_ms=500)]
    begin = int(lines[0].split(b" ")[0])
    with pytest.raises(ImportFailed, match=rf"IMPORT-OVERLAP.* file is from {utc(begin)} to "):
        add(tmp_path, lines)
    assert tree(tmp_path / "cat") == before


def test_files_a_nanosecond_apart_are_joined(tmp_path):
    """The CLEAR has the time of the second one's first row, and stands before it."""
    first, second = part(0), part(1)
    end = max(int(line.split(b" ")[0]) for line in first)
    second[0] = b"%d %s" % (end + 1, second[0].split(b" ", 1)[1])
    add(tmp_path, first)
    add(tmp_path, second)
    deltas = ParquetDataCatalog(str(tmp_path / "cat")).query_order_book_deltas()
    lone = [d for d in deltas if d.action == BookAction.CLEAR and d.flags & 128]
    assert [d.ts_init for d in lone] == [end + 1]


def test_a_row_of_a_recording_stays_as_it_is(tmp_path):
    add(tmp_path, part(0))
    file = tmp_path / "cat" / "gaps.jsonl"
    torn = b'{"kind":"between_runs","instr'
    file.write_bytes(torn + b"\n")
    add(tmp_path, part(7))
    add(tmp_path, part(2))
    assert file.read_bytes().splitlines()[0] == torn
    found, unreadable = read_gaps(tmp_path / "cat")
    assert unreadable == 1
    assert all(isinstance(row, GapRow) for row in found)
    assert [(of(row.from_ns), of(row.to_ns)) for row in found] == [(400, 2000), (2400, 7000)]
