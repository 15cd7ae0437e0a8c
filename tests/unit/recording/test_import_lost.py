"""What a Binance stream file lost without a word: a gap row, a book that ends where it shows."""

from __future__ import annotations

import errno
import gzip
import itertools
import os
import re
from pathlib import Path

import pytest
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.cli.import_ import render
from fairlead.engine.recording.gaps import GapKind, GapRow, read_gaps, summary_of
from fairlead.engine.recording.importers.binance import BinanceImport
from fairlead.engine.recording.importers.report import ImportReport
from fairlead.engine.recording.importers.staging import CHUNK_ROWS, ImportFailed
from fairlead.engine.recording.importers.trade_ids import TradeIds
from tests.unit.recording.test_import_binance import tree
from tests.unit.recording.test_import_faults import BEGIN_MS, WHOLE, shown, snapshot, stamped, trade

SPOT, USDM = "AAAUSDT.BINANCE", "AAAUSDT-PERP.BINANCE"
EMPTY: dict[str, dict[str, str]] = {"BUY": {}, "SELL": {}}
HOLE_MS = 1_800_000
MARKETS = pytest.mark.parametrize("name", [SPOT, USDM])
QUOTES = pytest.mark.parametrize("quotes", [False, True])


def depth(name: str, ms: int, first: int, last: int, previous: int, size: str) -> bytes:
    """A change of a far level; USD-M names the id that it follows."""
    data = {"e": "depthUpdate", "E": BEGIN_MS + ms, "s": "AAAUSDT", "U": first, "u": last}
    data |= {"b": [["97.00", size]], "a": []}
    if name == USDM:
        data |= {"T": BEGIN_MS + ms, "pu": previous}
    return stamped(ms, {"stream": "aaausdt@depth@100ms", "data": data})


def quote(name: str, ms: int, last: int, bid: str) -> bytes:
    data = {"u": last, "s": "AAAUSDT", "b": "99.95", "B": bid, "a": "100.15", "A": "5.0"}
    if name == USDM:
        data |= {"e": "bookTicker", "E": BEGIN_MS + ms, "T": BEGIN_MS + ms}
    return stamped(ms, {"stream": "aaausdt@bookTicker", "data": data})


def run(name: str, begin_ms: int, last: int, count: int, quotes: bool) -> list[bytes]:
    """`count` changes of one update each, 100 ms apart, after update `last`."""
    lines = []
    for i in range(1, count + 1):
        ms = begin_ms + 100 * i
        lines.append(depth(name, ms, last + i, last + i, last + i - 1, f"{50 + i % 2}.0"))
        if quotes:
            lines.append(quote(name, ms + 50, last + i, f"{5 + i % 2}.0"))
    return lines


def imported(
    folder: Path, lines: list[bytes], chunk_rows: int = CHUNK_ROWS
) -> tuple[ImportReport, ParquetDataCatalog]:
    path = folder / "file.txt"
    path.write_bytes(b"\n".join(lines) + b"\n")
    report = BinanceImport(path, folder / "cat", chunk_rows=chunk_rows).run()
    return report, ParquetDataCatalog(str(folder / "cat"))


def gaps(folder: Path) -> list[GapRow]:
    rows, unreadable = read_gaps(folder / "cat")
    assert unreadable == 0
    assert {row.kind for row in rows} <= {GapKind.GAP, GapKind.MISSING}
    return rows


def of(row: GapRow) -> tuple[float, float]:
    return tuple((ns - 500_000 - BEGIN_MS * 1_000_000) / 1e6 for ns in (row.from_ns, row.to_ns))


# -- best quotes of the update that has just come --------------------------------------------------


@MARKETS
def test_quotes_that_come_after_the_depth_of_their_update_check_the_book(name, tmp_path):
    lines = [snapshot(0, 5000, *WHOLE), *run(name, 0, 5000, 10, True)]
    report, catalog = imported(tmp_path, lines)
    book = report.instruments[0].book
    assert (book.tops_checked, book.tops_agreed, book.contradicted_levels) == (10, 10, 0)
    assert len(catalog.query_order_book_deltas([name])) == 6 + 10


@MARKETS
def test_what_such_a_quote_shows_to_be_gone_is_gone(name, tmp_path):
    lines = [snapshot(0, 5000, *WHOLE), *run(name, 0, 5000, 2, False)]
    gone = quote(name, 250, 5002, "5.0").replace(b"99.95", b"99.85")
    report, catalog = imported(tmp_path, [*lines, gone, *run(name, 200, 5002, 2, False)])
    book = report.instruments[0].book
    assert (book.tops_checked, book.tops_agreed, book.contradicted_levels) == (1, 1, 1)
    at, last = shown(catalog, name)[-3]
    assert (at, "99.95" in last["BUY"], "99.85" in last["BUY"]) == (250, False, True)


# -- a hole that a snapshot closes -----------------------------------------------------------------


@MARKETS
@QUOTES
def test_a_hole_that_a_new_snapshot_closes_is_a_gap(name, quotes, tmp_path):
    lines = [snapshot(0, 5000, *WHOLE), *run(name, 0, 5000, 100, quotes)]
    back_ms = 10_000 + HOLE_MS
    lines += [snapshot(back_ms, 50_100, *WHOLE), *run(name, back_ms, 50_100, 100, quotes)]
    report, catalog = imported(tmp_path, lines)
    (row,) = gaps(tmp_path)
    assert of(row) == (10_000, back_ms)
    assert row.count == 45_000
    assert "update 5100 expected before, a snapshot of 50100 received" in row.reason
    assert (report.gaps, report.instruments[0].gap_seconds) == (1, pytest.approx(1800))
    books = shown(catalog, name)
    (at,) = [i for i, (_, book) in enumerate(books) if book == EMPTY]
    assert books[at - 1][0] <= 10_050
    assert [books[at][0], books[at + 1][0]] == [back_ms, back_ms]  # nobody knew before
    deltas = catalog.query_order_book_deltas([name])
    assert all(a.ts_init <= b.ts_init for a, b in itertools.pairwise(deltas))
    assert all(a.sequence <= b.sequence for a, b in itertools.pairwise(deltas))


@MARKETS
@QUOTES
def test_the_book_ends_when_the_loss_is_met_and_the_gap_began_with_its_last_change(
    name, quotes, tmp_path
):
    lines = [snapshot(0, 5000, *WHOLE), *run(name, 0, 5000, 100, quotes)]
    lines += run(name, 10_000 + HOLE_MS, 50_100, 100, False)
    report, catalog = imported(tmp_path, lines)
    (row,) = gaps(tmp_path)
    assert (row.from_ns, report.gaps) == ((BEGIN_MS + 10_000) * 1_000_000 + 500_000, 1)
    assert shown(catalog, name)[-1] == (10_000 + HOLE_MS + 100, EMPTY)
    last = catalog.query_order_book_deltas([name])[-1]
    assert (last.flags & 128, last.ts_init % 1_000_000) == (128, 500_000)  # the message's own time


@MARKETS
@QUOTES
def test_a_snapshot_whose_changes_are_still_to_come_is_no_gap(name, quotes, tmp_path):
    lines = [snapshot(0, 5000, *WHOLE), *run(name, 0, 5000, 10, quotes)]
    lines += [snapshot(1060, 5012, *WHOLE), *run(name, 1000, 5010, 10, quotes)]
    lines += [snapshot(2060, 5015, *WHOLE), *run(name, 2000, 5020, 10, quotes)]
    lines += [snapshot(3060, 5030, *WHOLE), *run(name, 3000, 5030, 10, quotes)]
    report, catalog = imported(tmp_path, sorted(lines, key=lambda line: int(line.split()[0])))
    assert (report.gaps, gaps(tmp_path)) == (0, [])
    assert report.instruments[0].book.snapshots == 4
    assert EMPTY not in [book for _, book in shown(catalog, name)]


@MARKETS
def test_changes_that_are_lost_on_the_way_to_a_snapshot_are_a_gap(name, tmp_path):
    """One of those that the snapshot is ahead of comes, the next does not."""
    lines = [snapshot(0, 5000, *WHOLE), *run(name, 0, 5000, 10, False)]
    lines += [snapshot(1060, 5020, *WHOLE), *run(name, 1000, 5010, 1, False)]
    lines += run(name, 2000, 5020, 5, False)
    report, catalog = imported(tmp_path, lines)
    (row,) = gaps(tmp_path)
    assert (of(row), row.count, report.gaps) == ((1000, 1060), 9, 1)
    assert [at for at, book in shown(catalog, name) if book == EMPTY] == [1060]


@MARKETS
def test_two_snapshots_in_the_hole_and_the_end_of_the_file(name, tmp_path):
    lines = [snapshot(0, 5000, *WHOLE), *run(name, 0, 5000, 10, False)]
    lines += [snapshot(60_000, 9000, *WHOLE), snapshot(70_000, 9500, *WHOLE)]
    report, catalog = imported(tmp_path, lines)
    (row,) = gaps(tmp_path)
    assert (of(row), report.gaps) == ((1000, 70_000), 1)
    books = shown(catalog, name)[-4:]
    assert [(at, book == EMPTY) for at, book in books] == [
        (60_000, True),
        (60_000, False),
        (70_000, True),
        (70_000, False),
    ]
    assert report.instruments[0].delta_rows == len(catalog.query_order_book_deltas([name]))


@MARKETS
def test_a_snapshot_that_the_changes_reach_ends_no_book_where_a_later_one_does(name, tmp_path):
    lines = [snapshot(0, 5000, *WHOLE), *run(name, 0, 5000, 10, False)]
    lines += [snapshot(1060, 5012, *WHOLE), snapshot(1070, 5050, *WHOLE)]
    lines += [*run(name, 1100, 5010, 5, False), *run(name, 2000, 5060, 5, False)]
    report, catalog = imported(tmp_path, lines)
    assert [at for at, book in shown(catalog, name) if book == EMPTY] == [1070, 2100]
    assert report.gaps == len(gaps(tmp_path)) == 2


@pytest.mark.parametrize(("chunk_rows", "clears"), [(4, 0), (1000, 1)])
def test_the_clear_has_its_place_unless_its_file_is_written(chunk_rows, clears, tmp_path):
    """Until the changes tell of the loss, the quotes folded in may have been too many."""
    lines = [snapshot(0, 5000, *WHOLE), *run(SPOT, 0, 5000, 10, True)]
    lines += [snapshot(60_000, 9000, *WHOLE)]
    lines += [quote(SPOT, 60_100 + i, 9001 + i, f"{2 + i}.0") for i in range(40)]
    lines += run(SPOT, 70_000, 9000, 5, True)
    report, catalog = imported(tmp_path, lines, chunk_rows)
    assert (report.gaps, of(gaps(tmp_path)[0])) == (1, (1000, 60_000))
    assert [book for _, book in shown(catalog)].count(EMPTY) == clears
    deltas = catalog.query_order_book_deltas([SPOT])
    assert len(deltas) == report.instruments[0].delta_rows


# -- the first change after the first snapshot, and the number of gaps -----------------------------


@MARKETS
def test_a_gap_after_a_first_snapshot_begins_with_it(name, tmp_path):
    lines = [snapshot(0, 5000, *WHOLE), *run(name, 0, 5011, 10, False)]
    report, _ = imported(tmp_path, lines)
    (row,) = gaps(tmp_path)
    assert (of(row), report.gaps) == ((0, 1000), 1)


@MARKETS
def test_the_number_of_gaps_is_that_of_their_rows(name, tmp_path):
    """Losses before the book is whole again are of one gap."""
    lines = [snapshot(0, 5000, *WHOLE), *run(name, 0, 5000, 10, False)]
    lines += [*run(name, 2000, 5050, 10, False), *run(name, 4000, 5090, 10, False)]
    lines += [snapshot(6000, 5100, *WHOLE), *run(name, 6000, 5100, 3, False)]
    lines += run(name, 9000, 6000, 3, False)
    report, _ = imported(tmp_path, lines)
    assert [of(row) for row in gaps(tmp_path)] == [(1000, 6000), (6300, 9300)]
    assert report.gaps == 2


# -- a disk that is full ---------------------------------------------------------------------------


@pytest.mark.parametrize("rows_before", [0, 1])
def test_a_full_disk_leaves_the_gap_file_as_it_was(rows_before, tmp_path, monkeypatch):
    lines = [snapshot(0, 5000, *WHOLE), *run(SPOT, 0, 5011, 10, False)]
    lines += run(SPOT, 2000, 6000, 3, False)
    later = [line.replace(b"AAAUSDT", b"BBBUSDT") for line in lines]
    if rows_before:
        imported(tmp_path, lines)
    before = tree(tmp_path)
    (tmp_path / "later.txt").write_bytes(b"\n".join(later))
    write, target = os.write, tmp_path / "cat" / "gaps.jsonl"

    def refused(descriptor: int, data: bytes) -> int:
        if target.exists() and os.path.samestat(os.fstat(descriptor), os.stat(target)):
            write(descriptor, data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr("fairlead.engine.recording.gaps.os.write", refused)
    with pytest.raises(ImportFailed, match=r"IMPORT-DISK.*No space left"):
        BinanceImport(tmp_path / "later.txt", tmp_path / "cat").run()
    (tmp_path / "later.txt").unlink()
    assert tree(tmp_path) == before


# -- depth that stops, or cannot be read -----------------------------------------------------------


def trades(name: str, begin_ms: int, number: int, count: int, step_ms: int = 100) -> list[bytes]:
    other = {"X": "MARKET"} if name == USDM else {}
    return [
        trade(begin_ms + step_ms * i, number + i, "99.95", "1.0", **other) for i in range(count)
    ]


@MARKETS
def test_depth_that_stops_before_the_trades_do_is_a_gap(name, tmp_path):
    lines = [snapshot(0, 5000, *WHOLE), *run(name, 0, 5000, 20, False)]
    report, catalog = imported(tmp_path, [*lines, *trades(name, 2000, 1, 301)])
    (row,) = gaps(tmp_path)
    assert (of(row), report.gaps) == ((2000, 32_000), 1)
    assert "depth messages stopped, the file goes on" in row.reason
    assert shown(catalog, name)[-1] == (12_000, EMPTY)  # when it was silent for too long
    assert "depth messages stopped 1 times" in render(report)


@MARKETS
def test_depth_that_is_quiet_no_longer_than_usual_has_not_stopped(name, tmp_path):
    lines = [snapshot(0, 5000, *WHOLE)]
    for i in range(3):  # a message each 10 s
        lines += run(name, 10_000 * i, 5000 + i, 1, False)
    report, _ = imported(tmp_path, [*lines, *trades(name, 20_200, 1, 300)])
    assert (report.gaps, report.instruments[0].depth_stops) == (0, 0)


@MARKETS
def test_depth_that_stops_while_quotes_go_on_is_a_gap(name, tmp_path):
    """The book of the newest quote over old levels ends; it is back with the depth messages."""
    lines = [snapshot(0, 5000, *WHOLE), *run(name, 0, 5000, 20, True)]
    late = run(name, 60_000, 5020, 20, True)
    quotes = [quote(name, 3000 + 500 * i, 5021 + i % 20, f"{2 + i % 2}.0") for i in range(100)]
    report, catalog = imported(tmp_path, [*lines, *quotes, *late])
    (row,) = gaps(tmp_path)
    assert (of(row), report.gaps) == ((2000, 60_100), 1)
    books = shown(catalog, name)
    (at,) = [i for i, (_, book) in enumerate(books) if book == EMPTY]
    assert 11_000 < books[at][0] < 13_000
    assert books[at + 1][0] == 60_100


@MARKETS
@pytest.mark.parametrize("seconds", [False, True])
def test_a_file_whose_depth_is_mostly_malformed_is_refused(name, seconds, tmp_path):
    lines = [snapshot(0, 5000, *WHOLE), *run(name, 0, 5000, 5, False)]
    bad = run(name, 500, 5005, 20, False)
    if seconds:
        bad = [re.sub(rb'("[ET]": \d{10})\d{3}', rb"\1", line) for line in bad]
    else:
        bad = [line.replace(b'"97.00"', b'"?"') for line in bad]
    file = tmp_path / "cat"
    with pytest.raises(ImportFailed, match=r"20 of 25 depth .* malformed .line 7: ") as failed:
        imported(tmp_path, [*lines, *bad, *trades(name, 2600, 1, 30)])
    assert failed.value.exit_code == 9
    assert not file.exists()
    report, _ = imported(tmp_path, [*lines, *bad[:4], *trades(name, 1000, 1, 30)])
    assert report.malformed == 4


# -- trades alone ----------------------------------------------------------------------------------


@MARKETS
def test_trades_that_are_missing_by_their_ids_are_a_gap_where_there_is_no_book(name, tmp_path):
    lines = trades(name, 0, 100, 10)
    lines += [trades(name, 60_000, 877, 1)[0], *trades(name, 60_100, 880, 5)]
    lines += trades(name, 60_600, 878, 2)  # late ones are not missing
    report, _ = imported(tmp_path, lines)
    (row,) = gaps(tmp_path)
    assert (of(row), row.kind, row.count) == ((900, 60_000), GapKind.MISSING, 767)
    assert (report.gaps, report.instruments[0].trades_missing) == (1, 767)


def by_time(lines: list[bytes]) -> list[bytes]:
    return sorted(lines, key=lambda line: int(line.split()[0]))


@MARKETS
@QUOTES
def test_trades_that_are_missing_beside_a_whole_book_are_a_row_and_end_no_book(
    name, quotes, tmp_path
):
    """Ids 4 to 10 of 12 are gone."""
    whole = [snapshot(0, 5000, *WHOLE), *run(name, 0, 5000, 20, quotes)]
    told = trades(name, 110, 1, 12)
    for folder, lines in (("all", told), ("lost", [*told[:3], *told[10:]])):
        (tmp_path / folder).mkdir()
        report, catalog = imported(tmp_path / folder, by_time([*whole, *lines]))
        books = shown(catalog, name)
        assert EMPTY not in [book for _, book in books]
        assert len(books) == 1 + 20
    (row,) = gaps(tmp_path / "lost")
    assert (row.kind, of(row), row.count) == (GapKind.MISSING, (310, 1110), 7)
    assert row.reason == "trade ids: none after 3 before 11"
    (each,) = report.instruments
    assert (each.gaps, each.trades_missing, each.gap_seconds) == (1, 7, 0)
    assert each.missing_seconds == pytest.approx(0.8)
    assert "5 (7 missing by their ids)" in render(report)
    assert "; 0.800 s in which trades, bars or lines are missing" in render(report)
    assert gaps(tmp_path / "all") == []
    before, after = (
        ParquetDataCatalog(str(tmp_path / folder / "cat")).query_order_book_deltas([name])
        for folder in ("all", "lost")
    )
    assert before == after
    assert str(summary_of(tmp_path / "lost" / "cat")) == "1 gap, 0.800 s (missing 1)"


@MARKETS
def test_trades_off_the_book_late_ones_and_ones_told_again_are_no_loss(name, tmp_path):
    whole = [snapshot(0, 5000, *WHOLE), *run(name, 0, 5000, 30, False)]
    told = trades(name, 110, 1, 12)
    if name == USDM:
        told[5] = trade(610, 6, "99.95", "1.0", X="INSURANCE_FUND")
    late = [*told[:8], told[9], told[8], *told[10:]]  # in another order
    stamps = sorted(line.split(b" ")[0] for line in told)
    told = [stamp + b" " + line.split(b" ", 1)[1] for stamp, line in zip(stamps, late, strict=True)]
    again = [b"%d %s" % (int(stamps[-1]) + 1, line.split(b" ", 1)[1]) for line in told[2:5]]
    report, _ = imported(tmp_path, by_time([*whole, *told, *again]))
    assert (report.gaps, gaps(tmp_path)) == (0, [])
    assert report.instruments[0].trades_repeated == 3
    assert report.instruments[0].trades_off_book == (name == USDM)


@MARKETS
@pytest.mark.parametrize("number", [1, 6, 12], ids=["first", "amid", "last"])
def test_a_trade_that_cannot_be_read_is_a_row_wherever_it_stands(number, name, tmp_path):
    whole = [snapshot(0, 5000, *WHOLE), *run(name, 0, 5000, 20, False)]
    told = trades(name, 110, 1, 12)
    told[number - 1] = told[number - 1].replace(b'"99.95"', b'"-99.95"')
    report, catalog = imported(tmp_path, by_time([*whole, *told]))
    (row,) = gaps(tmp_path)
    assert (row.kind, row.count, row.instrument) == (GapKind.MISSING, 1, name)
    assert (report.malformed, report.gaps) == (1, 1)
    told_by_ids = number == 6  # of which the next one tells, too: once is enough
    assert ("after 5 before 7" in row.reason) == told_by_ids
    assert ("1 trade line left out: line" in row.reason) == (not told_by_ids)
    at = 10 + 100 * number
    assert row.from_ns < (BEGIN_MS + at) * 1_000_000 + 500_000 < row.to_ns
    assert EMPTY not in [book for _, book in shown(catalog, name)]


@MARKETS
def test_a_change_that_cannot_be_read_is_told_once(name, tmp_path):
    """By the book that ended with it, or, where nothing follows, by a row of its own."""
    changes = run(name, 0, 5000, 20, False)
    bad = [line.replace(b'"97.00"', b'"?"') for line in changes]
    for folder, lines in (("amid", [*changes[:9], bad[9], *changes[10:]]), ("end", bad[-1:])):
        (tmp_path / folder).mkdir()
        lines = lines if folder == "amid" else [*changes[:-1], *lines]
        report, _ = imported(tmp_path / folder, [snapshot(0, 5000, *WHOLE), *lines])
        (row,) = gaps(tmp_path / folder)
        kind = GapKind.GAP if folder == "amid" else GapKind.MISSING
        assert (row.kind, report.gaps, report.malformed) == (kind, 1, 1)
    assert row.reason.startswith("1 book line left out: line 21: ")


def test_quotes_of_no_use_are_a_row_until_the_next_one(tmp_path):
    lines = [quote(SPOT, 100 * i, 5000 + i, f"{i}.0") for i in range(1, 11)]
    lines[4] = lines[4].replace(b"99.95", b"100.95")
    lines[5] = lines[5].replace(b"99.95", b"100.95")
    report, _ = imported(tmp_path, lines)
    (row,) = gaps(tmp_path)
    assert (row.kind, of(row), row.count) == (GapKind.MISSING, (400, 700), 2)
    assert row.reason == "2 quote lines left out: a side is empty, or crossed"
    assert report.instruments[0].quotes_unusable == 2


def test_lines_of_nobody_knows_which_symbol_are_a_row_of_any(tmp_path):
    mine = trades(SPOT, 0, 1, 5)
    other = [
        line.replace(b"AAAUSDT", b"BBBUSDT").replace(b"aaausdt", b"bbbusdt")
        for line in trades(SPOT, 50, 1, 5)
    ]
    other[2] = other[2].replace(b'"99.95"', b'"?"')
    nobodys = stamped(420, {})[:-1]
    report, _ = imported(tmp_path, by_time([*mine, *other, nobodys]))
    rows = {row.instrument: row for row in gaps(tmp_path)}
    assert set(rows) == {"", "BBBUSDT.BINANCE"}
    assert report.gaps == len(gaps(tmp_path)) == 2
    assert rows[""].reason.startswith("1 line left out: line 10: ")
    assert "1 of lines of nobody knows which" in render(report)
    assert [each.gaps for each in report.instruments] == [0, 1]


def test_a_file_that_was_cut_has_a_row_at_its_end(tmp_path):
    lines = trades(SPOT, 0, 1, 400)
    path = tmp_path / "file.gz"
    whole = gzip.compress(b"\n".join(lines) + b"\n", mtime=0)
    path.write_bytes(whole[: len(whole) * 3 // 4])
    report = BinanceImport(path, tmp_path / "cat").run()
    (row,) = gaps(tmp_path)
    assert (row.kind, row.from_ns, row.to_ns) == (GapKind.MISSING, report.end_ns, report.end_ns)
    assert row.reason.startswith("the file ends before its end: gzip file is truncated")


# -- ids -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "missing"),
    [
        ([5, 6, 7], 0),
        ([5, 9], 3),
        ([5, 9, 6, 8, 7], 0),  # late
        ([5, 9, 6], 2),
        ([5, 4, 3, 6], 0),
        ([*range(900, 950), *range(1, 300)], 0),  # the venue counts anew
        ([*range(900, 950), *range(1, 300), 350], 50),
        ([*range(900, 950), *range(700, 950), 950], 0),  # told again, up to where it was
        ([*range(900, 950), *range(700, 820), 950], 0),
        ([*range(900, 950), *range(700, 820), 952], 2),
    ],
)
def test_ids_that_are_missing(ids, missing):
    numbers = TradeIds()
    for at, number in enumerate(ids):
        numbers.add(number, at)
    assert sum(hole.missing for hole in numbers.holes()) == missing
