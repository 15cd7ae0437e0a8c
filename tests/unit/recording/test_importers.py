"""Every importer on a small file of its format, and on that file broken in five ways."""

from __future__ import annotations

import csv
import errno
import gzip
import io
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
import typer
from nautilus_trader.model import BookAction
from nautilus_trader.persistence import ParquetDataCatalog
from typer.testing import CliRunner

from fairlead.engine.cli.import_ import command
from fairlead.engine.recording.gaps import GapKind, read_gaps
from fairlead.engine.recording.importers.binance_wire import Malformed, parts
from fairlead.engine.recording.importers.csv_lines import plain
from fairlead.engine.recording.importers.events import Contract
from fairlead.engine.recording.importers.report import ImportReport
from fairlead.engine.recording.importers.staging import ImportFailed, StagedCatalog
from tests.unit.recording.formats import (
    BREAKS,
    CASES,
    HERE,
    SHARED,
    Case,
    bad_number,
    books_of,
    imported,
    lines_in,
    out_of_order,
    rows_of,
    run,
    zipped,
)
from tests.unit.recording.test_import_binance import events_of, lines_of

EVERY = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
BAD_DATA = 9


def tried(
    case: Case, folder: Path, content: str | bytes
) -> tuple[ImportReport | None, ImportFailed | None]:
    try:
        return imported(case, folder, content), None
    except ImportFailed as error:
        return None, error


def dicts(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@EVERY
def test_a_whole_file_is_imported_and_states_its_rules(case, tmp_path):
    report = imported(case, tmp_path)
    (each,) = report.instruments
    assert each.id == case.id
    assert (report.malformed, report.damage) == (0, "")
    assert Decimal(each.tick_size) > 0
    assert Decimal(each.step_size) > 0
    assert each.trades + each.quotes + each.bars + each.delta_rows > 0
    assert rows_of(tmp_path / "cat")


@EVERY
def test_a_zip_and_a_gzip_of_it_give_the_same(case, tmp_path):
    imported(case, tmp_path / "a")
    imported(case, tmp_path / "b", zipped(case.text()))
    imported(case, tmp_path / "c", gzip.compress(case.text().encode()))
    rows = rows_of(tmp_path / "a" / "cat")
    assert rows_of(tmp_path / "b" / "cat") == rows == rows_of(tmp_path / "c" / "cat")


@EVERY
def test_a_second_run_writes_nothing_and_says_so(case, tmp_path):
    imported(case, tmp_path)
    before = {one: one.stat().st_mtime_ns for one in (tmp_path / "cat").rglob("*")}
    with pytest.raises(ImportFailed, match="already holds") as failed:
        imported(case, tmp_path)
    assert failed.value.code == "IMPORT-HELD"
    assert {one: one.stat().st_mtime_ns for one in (tmp_path / "cat").rglob("*")} == before
    assert not list(tmp_path.glob(".importing-*"))


@EVERY
@pytest.mark.parametrize("broken", BREAKS, ids=lambda one: one.__name__)
def test_a_broken_file_leaves_nothing_wrong(case, broken, tmp_path):
    """What it gives is part of what the whole file gives; a book is never another than it was."""
    imported(case, tmp_path / "good")
    good = rows_of(tmp_path / "good" / "cat")
    report, error = tried(case, tmp_path, broken(case))
    if report is None:
        assert error is not None
        assert error.exit_code == BAD_DATA
        assert case.name in str(error)
        assert not (tmp_path / "cat").exists()
        assert not list(tmp_path.glob(".importing-*"))
    else:
        found = rows_of(tmp_path / "cat")
        assert found < good
        assert broken is not out_of_order, "it is refused"
        assert report.malformed or report.damage
        assert report.gaps == len(read_gaps(tmp_path / "cat")[0]) > 0


@EVERY
@pytest.mark.parametrize("at", ["first", "amid", "last"])
def test_a_line_that_is_left_out_is_in_a_row_wherever_it_stands(case, at, tmp_path):
    head, lines = lines_in(case)
    place = {"first": 0, "amid": len(lines) // 2, "last": len(lines) - 1}[at]
    if at == "first" and case.format == "binance-archive" and not case.has_header:
        pytest.skip("a first line that is no number is a header")
    lines[place] = re.sub(r"[0-9]{10,}", "?", lines[place])  # its time
    report = imported(case, tmp_path, "\n".join([*head, *lines, ""]))
    rows, _ = read_gaps(tmp_path / "cat")
    assert (report.malformed, report.gaps) == (1, len(rows))
    if report.instruments[0].depth_messages:
        rows = [row for row in rows if "line" in row.reason]
    (row,) = rows
    assert row.instrument == case.id
    assert report.start_ns <= row.from_ns <= row.to_ns <= report.end_ns
    if not report.instruments[0].depth_messages:
        assert (row.kind, row.count) == (GapKind.MISSING, 1)


@EVERY
def test_a_cut_archive_gives_what_was_readable(case, tmp_path):
    imported(case, tmp_path / "good")
    whole = gzip.compress(case.text().encode(), mtime=0)
    report, error = tried(case, tmp_path, whole[: len(whole) * 3 // 4])
    if report is None:
        assert error is not None
        assert error.exit_code == BAD_DATA
    else:
        assert "truncated" in report.damage
        assert "the file ends before its end: " in read_gaps(tmp_path / "cat")[0][-1].reason
        assert rows_of(tmp_path / "cat") <= rows_of(tmp_path / "good" / "cat")


@EVERY
def test_an_instrument_that_is_not_in_it_is_said(case, tmp_path):
    path = tmp_path / case.name
    path.write_text(case.text())
    with pytest.raises(ImportFailed, match=case.id) as failed:
        run(case.format, path, tmp_path / "cat", **case.asked, instruments=["NO.X"])
    assert failed.value.exit_code == 4
    assert not (tmp_path / "cat").exists()


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\x00\x01\x02" * 99, b"PAR1", b"{}\n" * 30])
@pytest.mark.parametrize("name", list(CASES))
def test_other_files_are_refused(name, content, tmp_path):
    with pytest.raises(ImportFailed) as failed:
        imported(CASES[name], tmp_path, content)
    assert failed.value.exit_code == BAD_DATA
    assert not (tmp_path / "cat").exists()


# -- values, by csv and Decimal alone -------------------------------------------------------------


def test_tardis_trades_are_the_file_s(tmp_path):
    case = CASES["tardis-trades"]
    imported(case, tmp_path)
    ticks = ParquetDataCatalog(str(tmp_path / "cat")).query_trade_ticks()
    rows = dicts(case.text())
    assert len(ticks) == len(rows) == 10
    for tick, row in zip(ticks, rows, strict=True):
        assert tick.price.as_decimal() == Decimal(row["price"])
        assert tick.size.as_decimal() == Decimal(row["amount"])
        assert str(tick.trade_id) == row["id"]
        assert tick.aggressor_side.name == row["side"].upper()
        assert tick.ts_event == int(row["timestamp"]) * 1000
        assert tick.ts_init == int(row["local_timestamp"]) * 1000
    (instrument,) = ParquetDataCatalog(str(tmp_path / "cat")).instruments()
    assert instrument.is_inverse
    assert str(instrument.settlement_currency) == "XBT"


def test_tardis_quotes_are_the_file_s(tmp_path):
    case = CASES["tardis-quotes"]
    imported(case, tmp_path)
    ticks = ParquetDataCatalog(str(tmp_path / "cat")).query_quote_ticks()
    for tick, row in zip(ticks, dicts(case.text()), strict=True):
        told = (tick.bid_price, tick.bid_size, tick.ask_price, tick.ask_size)
        names = ("bid_price", "bid_amount", "ask_price", "ask_amount")
        assert [one.as_decimal() for one in told] == [Decimal(row[name]) for name in names]


def test_a_tardis_book_is_rebuilt_and_its_reconnect_is_a_gap(tmp_path):
    case = CASES["tardis-book"]
    report = imported(case, tmp_path)
    book: dict[tuple[str, Decimal], Decimal] = {}
    expected, snapshot_ns = [], 0
    by_time: dict[int, list[dict[str, str]]] = {}
    for row in dicts(case.text()):
        by_time.setdefault(int(row["local_timestamp"]) * 1000, []).append(row)
    for ns, rows in by_time.items():
        if rows[0]["is_snapshot"] == "true":
            book.clear()
            snapshot_ns = ns
        for row in rows:
            side = "BUY" if row["side"] == "bid" else "SELL"
            book[side, Decimal(row["price"])] = Decimal(row["amount"])
        book = {key: size for key, size in book.items() if size}
        expected.append((ns, tuple(sorted(book.items()))))
    found = [(one[0], one[2]) for one in books_of(ParquetDataCatalog(str(tmp_path / "cat")))]
    assert found == [one for one in expected if one in found]
    assert found[-1] == expected[-1]
    rows, _ = read_gaps(tmp_path / "cat")
    assert [row.to_ns for row in rows] == [snapshot_ns]
    assert report.gaps == 1


def test_a_tardis_snapshot_keeps_the_exchange_s_time(tmp_path):
    """The newest of its lines'; the times of receipt stood in its place."""
    case = CASES["tardis-book"]
    rows = dicts(case.text())
    (last,) = {int(row["timestamp"]) for row in rows[:2]}
    text = case.text().replace(str(last), str(last - 5), 1)  # one of several
    imported(case, tmp_path, text)
    deltas = ParquetDataCatalog(str(tmp_path / "cat")).query_order_book_deltas()
    received = int(rows[0]["local_timestamp"]) * 1000
    begin = [delta for delta in deltas if delta.ts_init == received]
    assert {delta.ts_event for delta in begin} == {last * 1000}
    assert last * 1000 != received
    known = {int(row["timestamp"]) * 1000 for row in rows}
    assert {delta.ts_event for delta in deltas} <= known


def test_klines_become_bars_at_their_close(tmp_path):
    case = CASES["archive-klines"]
    imported(case, tmp_path)
    bars = ParquetDataCatalog(str(tmp_path / "cat")).query_bars()
    rows = list(csv.reader(io.StringIO(case.text())))
    assert str(bars[0].bar_type) == "ADABTC.BINANCE-1-MINUTE-LAST-EXTERNAL"
    for bar, row in zip(bars, rows, strict=True):
        told = (bar.open, bar.high, bar.low, bar.close, bar.volume)
        assert [one.as_decimal() for one in told] == [Decimal(text) for text in row[1:6]]
        assert bar.ts_event == bar.ts_init == (int(row[6]) + 1) * 1_000_000


@pytest.mark.parametrize("name", ["archive-trades", "archive-agg", "archive-spot"])
def test_archived_trades_are_those_of_the_stream(name, tmp_path):
    market = "spot" if name == "archive-spot" else "usdm"
    imported(CASES[name], tmp_path)
    ticks = ParquetDataCatalog(str(tmp_path / "cat")).query_trade_ticks()
    for tick, event in zip(ticks, events_of(lines_of(market), "trade"), strict=True):
        assert (tick.price.as_decimal(), tick.size.as_decimal()) == (
            Decimal(event["p"]),
            Decimal(event["q"]),
        )
        assert tick.aggressor_side.name == ("SELL" if event["m"] else "BUY")
        micros = event["T"] * 1000 + (7 if market == "spot" else 0)
        assert (str(tick.trade_id), tick.ts_event) == (str(event["t"]), micros * 1000)


def test_missing_trades_are_a_gap_row(tmp_path):
    case = CASES["archive-trades"]
    lines = case.text().splitlines(keepends=True)
    report = imported(case, tmp_path, "".join(lines[:10] + lines[13:]))
    (row,) = read_gaps(tmp_path / "cat")[0]
    assert row.count == 3
    assert report.gaps == 1


def test_missing_bars_are_a_gap_row(tmp_path):
    case = CASES["table-bars"]
    lines = case.text().splitlines(keepends=True)
    imported(case, tmp_path, "".join(lines[:5] + lines[7:]))
    (row,) = read_gaps(tmp_path / "cat")[0]
    assert row.count == 2


@pytest.mark.parametrize("name", ["archive-klines", "archive-trades", "table-bars"])
def test_a_file_that_is_missing_between_two_others_is_a_row_until_it_is_there(name, tmp_path):
    """Days of an archive: what lies between tells of itself by time, or by ids."""
    case = CASES[name]
    head, lines = lines_in(case)
    stamps = [line.split(",")[4 if name == "archive-trades" else 0] for line in lines]
    moves = [at for at in range(1, len(lines)) if stamps[at] != stamps[at - 1]]
    parts = [lines[: moves[3]], lines[moves[3] : moves[6]], lines[moves[6] :]]
    found = []
    for at in (0, 2, 1):
        report = imported(case, tmp_path, "\n".join([*head, *parts[at], ""]))
        assert report.gaps == 0
        rows, _ = read_gaps(tmp_path / "cat")
        found.append([(row.kind, row.from_ns, row.to_ns) for row in rows])
        if at == 0:
            end_ns = report.end_ns
        if at == 2:
            assert report.instruments[0].between_seconds == rows[0].seconds > 0
            begin_ns = report.start_ns
    assert found == [[], [(GapKind.BETWEEN_RUNS, end_ns, begin_ns)], []]


def test_a_lost_book_message_clears_the_book_until_the_next_snapshot(tmp_path):
    case = CASES["bybit-book"]
    lines = case.text().splitlines(keepends=True)
    again = (
        lines[0]
        .replace('"u": 7', '"u": 20')
        .replace("200691", "201691")
        .replace("200601", "201601")
    )
    imported(case, tmp_path, "".join([*lines[:2], *lines[3:], again]))
    times = [one[0] // 1_000_000 for one in books_of(ParquetDataCatalog(str(tmp_path / "cat")))]
    assert times == [1_733_011_200_691, 1_733_011_200_791, 1_733_011_201_691]
    (row,) = read_gaps(tmp_path / "cat")[0]
    assert (row.from_ns // 1_000_000, row.to_ns // 1_000_000) == (times[1], times[2])
    assert row.count == 1


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (0, 2, 1), (1, 0, 2)])
def test_books_of_several_files_end_where_their_file_does(order, tmp_path):
    """In whatever order they come: a CLEAR after each, and a row for each time between two."""
    case = CASES["bybit-book"]
    files = []
    for day in range(3):
        text = case.text().replace("173301120", f"17330{day + 1}120")
        files.append(tmp_path / f"{day}.data")
        files[-1].write_text(text)
    for day in order:
        run(case.format, files[day], tmp_path / "cat")
    store = ParquetDataCatalog(str(tmp_path / "cat"))
    deltas = store.query_order_book_deltas()
    assert [one.ts_init for one in deltas] == sorted(one.ts_init for one in deltas)
    books = [one[0] // 10**15 for one in books_of(store)]
    assert books == [1733] * 15
    clears = [one.ts_init for one in deltas if one.action == BookAction.CLEAR]
    ends = [int(f"17330{day + 1}1201091000001") for day in range(2)]
    assert [ns for ns in clears if ns % 1_000_000] == ends
    rows = sorted(read_gaps(tmp_path / "cat")[0], key=lambda row: row.from_ns)
    assert [row.kind for row in rows] == [GapKind.BETWEEN_RUNS] * 2
    for day, row in enumerate(rows):
        assert row.from_ns == ends[day] - 1
        assert row.to_ns == int(f"17330{day + 2}1200691000000")


def test_a_malformed_line_of_a_book_ends_it(tmp_path):
    case = CASES["archive-depth"]
    report = imported(case, tmp_path, bad_number(case))
    assert report.malformed == 1
    assert books_of(ParquetDataCatalog(str(tmp_path / "cat"))) == [], "its snapshot is not whole"
    text = case.text().replace("20380.20,0.2", "20380.20,0.x")
    imported(case, tmp_path / "b", text)
    assert len(books_of(ParquetDataCatalog(str(tmp_path / "b" / "cat")))) == 2


def test_changes_follow_a_snapshot_of_another_file(tmp_path):
    case = CASES["archive-depth"]
    head, _, rest = case.text().partition("\n")
    changes = tmp_path / "update.csv"
    rows = [line for line in rest.splitlines() if ",set," in line]
    changes.write_text("\n".join([head, *rows]) + "\n")
    imported(case, tmp_path / "one")
    asked = {"snapshot": HERE / "depth_snap.csv"}
    run(case.format, changes, tmp_path / "cat", **asked)
    assert rows_of(tmp_path / "cat") == rows_of(tmp_path / "one" / "cat")


def test_depth_by_percents_is_refused_with_the_reason(tmp_path):
    path = tmp_path / "BTCUSDT-bookDepth-2024-08-08.csv"
    path.write_text("timestamp,percentage,depth,notional\n2024-08-08 00:00:08,-5,1.5,9\n")
    with pytest.raises(ImportFailed, match="no book in it"):
        run("binance-archive", path, tmp_path / "cat")


def test_a_contract_that_the_file_does_not_tell_must_be_named(tmp_path):
    case = CASES["tardis-quotes"]
    path = tmp_path / "q.csv"
    path.write_text(case.text())
    with pytest.raises(ImportFailed, match="--contract inverse with --multiplier"):
        run("tardis", path, tmp_path / "cat")
    imported(case, tmp_path)
    (instrument,) = ParquetDataCatalog(str(tmp_path / "cat")).instruments()
    assert (instrument.is_inverse, instrument.multiplier.as_decimal()) == (True, 100)


def test_parquet_tables_give_the_same_as_csv(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    for name in ("table-trades", "table-bars"):
        case = CASES[name]
        imported(case, tmp_path / name)
        rows = dicts(case.text())
        columns: dict[str, list[object]] = {}
        for column in rows[0]:
            texts = [row[column] for row in rows]
            is_number = column not in ("taker", "when", "t")
            columns[column] = [float(text) for text in texts] if is_number else texts
        path = tmp_path / f"{name}.parquet"
        parquet.write_table(arrow.table(columns), path)
        run("table", path, tmp_path / f"{name}-p", **case.asked)
        assert rows_of(tmp_path / f"{name}-p") == rows_of(tmp_path / name / "cat")
        path.write_bytes(path.read_bytes()[:-200])
        with pytest.raises(ImportFailed, match="damaged Parquet"):
            run("table", path, tmp_path / "none", **case.asked)


def test_a_number_with_an_exponent_is_what_it_says(tmp_path):
    """As programs write small floats: those lines were left out, so the lowest prices were."""
    path = tmp_path / "p.csv"
    rows = ["1760003278000,0.0001,5", "1760003279000,9.97e-05,1.5E+1", "1760003280000,1e-4,2e0"]
    path.write_text("\n".join(["ts,price,amount", *rows, ""]))
    asked = {"id": "PEPEUSDT.X", "symbol": "PEPE/USDT", "contract": Contract.SPOT}
    report = run(
        "table", path, tmp_path / "cat", mapping="time=ts,price=price,size=amount", **asked
    )
    assert report.malformed == 0
    ticks = ParquetDataCatalog(str(tmp_path / "cat")).query_trade_ticks()
    told = [(tick.price.as_decimal(), tick.size.as_decimal()) for tick in ticks]
    expected = [("0.0001", "5"), ("0.0000997", "15"), ("0.0001", "2")]
    assert told == [(Decimal(price), Decimal(size)) for price, size in expected]


@pytest.mark.parametrize("number", ["1e", "e5", "1e-999", "-1e-5", "1_0e2", "nan", "1e40"])
def test_no_other_exponent_is_a_number(number):
    with pytest.raises(Malformed):
        parts(plain(number))


@pytest.mark.parametrize(
    "mapping", ["", "time", "time=t,time=u", "time=t,price=p", "what=x", "time=t,open=o,stamp=now"]
)
def test_a_mapping_that_is_none_is_told_what_it_should_be(mapping, tmp_path):
    path = tmp_path / "any.csv"
    path.write_text("t,p\n1,2\n")
    with pytest.raises(ImportFailed, match="--map"):
        run("table", path, tmp_path / "cat", id="A.X", symbol="A/B", mapping=mapping)


@pytest.mark.parametrize("name", ["archive-klines", "tardis-trades", "bybit-book"])
def test_a_full_disk_is_told_as_one_and_leaves_nothing(name, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(StagedCatalog, "commit", full)
    with pytest.raises(ImportFailed, match="takes no more") as failed:
        imported(CASES[name], tmp_path)
    assert (failed.value.code, failed.value.exit_code) == ("IMPORT-DISK", BAD_DATA)
    assert not (tmp_path / "cat").exists()
    assert not list(tmp_path.glob(".importing-*"))


# -- several files, and the command ---------------------------------------------------------------


@pytest.fixture
def invoke():
    app = typer.Typer()
    app.command()(command)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_several_files_go_on_where_an_import_was_cut_short(invoke, tmp_path):
    case = CASES["archive-klines"]
    lines = case.text().splitlines(keepends=True)
    files = []
    for day, part in enumerate((lines[:4], lines[4:7], lines[7:]), 1):
        files.append(tmp_path / f"ADABTC-1m-2021-11-{day:02}.csv")
        files[-1].write_text("".join(part))
    words = ("--catalog", tmp_path / "cat", "--format", "binance-archive", "--json")
    assert invoke(files[0], *words).exit_code == 0
    ended = invoke(*files, *words)
    assert ended.exit_code == 0
    assert "passed over" in ended.stderr
    assert [report["lines"] for report in json.loads(ended.stdout)] == [3, 3]
    assert len(ParquetDataCatalog(str(tmp_path / "cat")).query_bars()) == 10
    alone = invoke(files[0], *words)
    assert alone.exit_code == BAD_DATA
    assert "IMPORT-HELD" in alone.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--format", "nothing"), "expected one of binance, binance-archive"),
        (("--format", "binance", "--map", "time=t"), "--map: the format binance has no use"),
        (("--format", "tardis", "--depth", "5"), "--depth: the format tardis has no use"),
        (("--format", "table"), "the format table needs --symbol"),
        (("--format", "hftbacktest", "--symbol", "A/B"), "needs --id"),
    ],
)
def test_options_that_a_format_has_no_use_for_are_refused(words, says, invoke, tmp_path):
    ended = invoke(HERE / "tardis_trades.csv", "--catalog", tmp_path / "cat", *words)
    assert ended.exit_code == 2
    assert says in " ".join(ended.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("name", "format_", "asked"),
    [
        ("bitmex_trades_XBTUSD.csv", "tardis", {}),
        ("deribit_incremental_book_L2_BTC-PERPETUAL.csv", "tardis", {}),
        ("deltas_with_snapshot.csv", "tardis", {}),
        ("huobi-dm-swap_quotes_BTC-USD.csv", "tardis", dict(CASES["tardis-quotes"].asked)),
        ("binance-futures_book_snapshot_5_BTCUSDT.csv", "tardis", {}),
        ("ADABTC-1m-2021-11-27.csv", "binance-archive", {}),
        ("btcusdt-depth-snap.csv", "binance-archive", {}),
        ("xrpusdt-ob500.data.zip", "bybit-book", {}),
    ],
)
def test_the_public_samples_are_imported_whole(name, format_, asked, tmp_path):
    if not (SHARED / name).exists():
        pytest.skip(f"{SHARED} is not on this machine; smaller ones of the format are above")
    report = run(format_, SHARED / name, tmp_path / "cat", **asked)
    assert (report.malformed, report.damage, len(report.instruments)) == (0, "", 1)
    assert rows_of(tmp_path / "cat")
