"""Odd lines of a Binance stream file: each is read rightly or named, none bends the rest."""

from __future__ import annotations

import json
import zipfile
from decimal import Decimal
from pathlib import Path

import pytest
from nautilus_trader.model import BookAction
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.recording.gaps import GapKind, read_gaps
from fairlead.engine.recording.importers.binance import import_binance
from fairlead.engine.recording.importers.binance_instruments import Rules
from fairlead.engine.recording.importers.report import ImportReport
from fairlead.engine.recording.importers.staging import ImportFailed

BEGIN_MS = 1_800_000_000_000
SYMBOL, NAME = "AAAUSDT", "AAAUSDT.BINANCE"
WHOLE = ({"99.95": "5.0", "99.85": "9.0", "97.00": "50.0"}, {"100.15": "5.0", "103.00": "50.0"})

Side = dict[str, str]


def stamped(ms: float, body: dict) -> bytes:
    return b"%d %s" % (int((BEGIN_MS + ms) * 1_000_000) + 500_000, json.dumps(body).encode())


def snapshot(ms: float, last: int, bids: Side, asks: Side) -> bytes:
    return stamped(ms, {"lastUpdateId": last, "bids": [*bids.items()], "asks": [*asks.items()]})


def depth(ms: float, first: int, last: int, bids: Side, asks: Side, symbol: str = SYMBOL) -> bytes:
    data = {"e": "depthUpdate", "E": BEGIN_MS + int(ms), "s": symbol, "U": first, "u": last}
    data |= {"b": [*bids.items()], "a": [*asks.items()]}
    return stamped(ms, {"stream": f"{symbol.lower()}@depth@100ms", "data": data})


def trade(ms: float, number: int, price: str, size: str, symbol: str = SYMBOL, **other) -> bytes:
    data = {"e": "trade", "E": BEGIN_MS + int(ms), "s": symbol, "t": number, "p": price, "q": size}
    data |= {"T": BEGIN_MS + int(ms), "m": True, "M": True} | other
    return stamped(ms, {"stream": f"{symbol.lower()}@trade", "data": data})


def imported(
    folder: Path, lines: list[bytes], **options
) -> tuple[ImportReport, ParquetDataCatalog]:
    path = folder / "file.txt"
    path.write_bytes(b"\n".join(lines) + b"\n")
    report = import_binance(path, folder / "cat", **options)
    return report, ParquetDataCatalog(str(folder / "cat"))


def shown(catalog: ParquetDataCatalog, name: str = NAME) -> list[tuple[int, dict[str, Side]]]:
    """Each book that a strategy sees: milliseconds after the beginning, sizes by price."""
    books: list[tuple[int, dict[str, Side]]] = []
    book: dict[str, Side] = {"BUY": {}, "SELL": {}}
    for delta in catalog.query_order_book_deltas([name]):
        side = book[str(delta.order.side)] if delta.action != BookAction.CLEAR else {}
        if delta.action == BookAction.CLEAR:
            book = {"BUY": {}, "SELL": {}}
        elif delta.action == BookAction.DELETE:
            del side[str(delta.order.price)]
        else:
            side[str(delta.order.price)] = str(delta.order.size)
        if delta.flags & 128:
            at = (delta.ts_init // 1_000_000) - BEGIN_MS
            books.append((at, {one: dict(levels) for one, levels in book.items()}))
    return books


def steady(begin: int, count: int, *, first_ms: int = 100) -> list[bytes]:
    """Depth messages that touch a far level only."""
    return [
        depth(first_ms + 100 * i, begin + i, begin + i, {"97.00": f"{50 + i % 2}.0"}, {})
        for i in range(count)
    ]


# -- trades ----------------------------------------------------------------------------------------


def test_trades_told_twice_are_once_in_the_catalog(tmp_path):
    trades = [trade(120 + 1000 * i, 700 + i, "99.90", "0.7") for i in range(60)]
    told_twice = [line for line in trades for _ in range(2)]
    now = told_twice[39].split(b" ")[0]  # a reconnect tells old ones again
    old = [now + b" " + line.split(b" ", 1)[1] for line in trades[:5]]
    late = [*told_twice[:40], *old, *told_twice[40:]]
    report, catalog = imported(tmp_path, [snapshot(0, 1000, *WHOLE), *late])
    assert len(catalog.query_trade_ticks()) == 60
    assert report.instruments[0].trades_repeated == 65
    assert report.malformed == 0


def test_the_newest_trades_are_remembered(tmp_path, monkeypatch):
    monkeypatch.setattr("fairlead.engine.recording.importers.binance_symbol.TRADES_KEPT_MAX", 3)
    told = [1, 2, 3, 4, 5, 3, 5, 1]  # the first has been forgotten by then
    when = [{"E": BEGIN_MS + 100 * number, "T": BEGIN_MS + 100 * number} for number in told]
    lines = [trade(1000 + i, number, "99.90", "0.7", **when[i]) for i, number in enumerate(told)]
    report, catalog = imported(tmp_path, lines)
    assert [int(str(t.trade_id)) for t in catalog.query_trade_ticks()] == [1, 2, 3, 4, 5, 1]
    assert report.instruments[0].trades_repeated == 2


def test_a_trade_of_a_known_id_with_other_content_is_malformed(tmp_path):
    lines = [
        trade(100, 7, "99.90", "0.7"),
        trade(200, 7, "99.90", "0.8"),
        trade(300, 7, "99.80", "0.7"),
        trade(400, 7, "99.90", "0.7", m=False),
        trade(500, 8, "99.90", "0.7"),
    ]
    report, catalog = imported(tmp_path, lines)
    assert [str(t.trade_id) for t in catalog.query_trade_ticks()] == ["7", "8"]
    assert [bad.line for bad in report.malformed_first] == [2, 3, 4]
    assert "trade 7 was told before" in report.malformed_first[0].reason


# -- numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd",
    [
        snapshot(350, 1003, {"99.95": "40000000000000.0"}, {"100.15": "1.0"}),
        snapshot(350, 1003, {"99.95": "900000000000000.00"}, {"100.15": "1.0"}),
        snapshot(350, 1003, {"99.95": "1"}, {"20000000000000.0": "1.0"}),
        trade(350, 9, "99.95", "34028236692093"),
        trade(350, 9, "17014118346046", "1"),
    ],
)
def test_a_number_beyond_what_the_kernel_holds_is_malformed_in_its_line_only(odd, tmp_path):
    lines = [snapshot(0, 1000, *WHOLE), *steady(1001, 3), odd, *steady(1004, 3, first_ms=400)]
    report, catalog = imported(tmp_path, lines)
    assert [bad.line for bad in report.malformed_first] == [5]
    assert "more than NautilusTrader can hold" in report.malformed_first[0].reason
    assert len(shown(catalog)) == 7
    (row,) = read_gaps(tmp_path / "cat")[0]
    assert (report.gaps, row.kind, row.count) == (1, GapKind.MISSING, 1)


def test_a_depth_message_that_cannot_be_held_is_a_gap(tmp_path):
    lines = [snapshot(0, 1000, *WHOLE), *steady(1001, 2)]
    lines += [depth(300, 1003, 1003, {"99.95": "40000000000000"}, {})]
    lines += steady(1004, 2, first_ms=400)
    report, catalog = imported(tmp_path, lines)
    assert (report.malformed, report.gaps) == (1, 1)
    assert shown(catalog)[-1][1] == {"BUY": {}, "SELL": {}}


def test_a_snapshot_finer_than_the_stream_sets_the_precision(tmp_path):
    whole = ({"0.31": "500.0", "0.30995": "900.25"}, {"0.32": "500.0", "0.33": "900.0"})
    lines = [snapshot(0, 1000, *whole), depth(100, 1001, 1001, {"0.31": "501.0"}, {})]
    report, catalog = imported(tmp_path, lines)
    (each,) = report.instruments
    assert (each.price_precision, each.size_precision) == (5, 2)
    assert shown(catalog)[-1][1]["BUY"] == {"0.31000": "501.00", "0.30995": "900.25"}


def test_a_finer_number_far_behind_the_head_begins_the_import_again(tmp_path, monkeypatch):
    monkeypatch.setattr("fairlead.engine.recording.importers.binance.HEAD_LINES", 3)
    lines = [snapshot(0, 1000, *WHOLE), *steady(1001, 20), trade(3000, 1, "100.123", "0.0001")]
    report, catalog = imported(tmp_path, lines)
    (each,) = report.instruments
    assert (each.price_precision, each.size_precision) == (3, 4)
    assert (report.lines, len(shown(catalog))) == (22, 21)
    (tick,) = catalog.query_trade_ticks()
    assert (str(tick.price), str(tick.size)) == ("100.123", "0.0001")


def test_rules_that_a_file_cannot_tell_can_be_given(tmp_path):
    rules = Rules(tick_size=Decimal("0.05"), step_size=Decimal("0.001"), min_notional=Decimal("10"))
    report, catalog = imported(tmp_path, [snapshot(0, 1, *WHOLE), *steady(2, 3)], rules=rules)
    (pair,) = catalog.instruments()
    assert (str(pair.price_increment), str(pair.size_increment)) == ("0.05", "0.001")
    assert str(pair.min_notional) == "10.00000000 USDT"
    assert (report.instruments[0].off_tick, report.instruments[0].off_step) == (0, 0)
    other = tmp_path / "other"
    other.mkdir()
    coarse = Rules(tick_size=Decimal("0.1"))
    with pytest.raises(ImportFailed, match=r"2 price decimals.*0\.1, has 1"):
        imported(other, [snapshot(0, 1, *WHOLE), *steady(2, 3)], rules=coarse)
    assert not (other / "cat").exists()


# -- the book --------------------------------------------------------------------------------------


def test_no_book_after_a_loss_until_it_is_whole_again(tmp_path):
    """Of the near levels nothing is told after the loss: the far ones alone are no book."""
    lines = [snapshot(0, 1000, *WHOLE), *steady(1001, 10)]
    lines += steady(1015, 30, first_ms=1200)  # four updates are lost
    report, catalog = imported(tmp_path, lines)
    books = shown(catalog)
    assert books[10][1]["SELL"].keys() == {"100.15", "103.00"}
    assert books[11] == (1200, {"BUY": {}, "SELL": {}})  # with what shows the loss
    assert len(books) == 12
    assert report.gaps == 1
    assert report.instruments[0].gap_seconds == pytest.approx(3.1)

    again = tmp_path / "again"
    again.mkdir()
    lines.append(snapshot(5000, 1044, {"99.95": "1.5", "97.00": "1.5"}, {"100.15": "2.5"}))
    report, catalog = imported(again, lines)
    assert shown(catalog)[-1][1]["BUY"] == {"99.95": "1.5", "97.00": "1.5"}
    assert report.instruments[0].gap_seconds == pytest.approx(4.0)


LATE = [
    depth(100, 1001, 1004, {"99.95": "1.0"}, {"100.15": "1.5"}),
    depth(200, 1005, 1008, {"99.95": "0.0", "99.85": "2.0"}, {}),
    depth(300, 1009, 1013, {"99.90": "3.0"}, {"100.15": "0.0", "100.25": "1.0"}),
    depth(400, 1014, 1016, {}, {"100.20": "7.0"}),
]


def test_no_book_before_the_first_snapshot_and_the_right_one_after_it(tmp_path):
    late = snapshot(
        450,
        1010,
        {"99.00": "50.0", "99.85": "2.0", "99.93": "0.0", "99.90": "1.0"} | {"99.90": "3.0"},
        {"101.00": "50.0", "99.99": "0.00", "100.40": "8.0", "100.15": "1.5"},
    )
    follow = depth(500, 1017, 1017, {"99.00": "51.0"}, {})
    report, catalog = imported(tmp_path, [*LATE, late, follow])
    books = shown(catalog)
    assert [at for at, _ in books] == [450, 450, 450, 500]
    bids = {"99.00": "50.0", "99.85": "2.0", "99.90": "3.0"}
    asks = {"101.00": "50.0", "100.40": "8.0", "100.15": "1.5"}
    assert books[0][1] == {"BUY": bids, "SELL": asks}
    del asks["100.15"]
    assert books[1][1] == {"BUY": bids, "SELL": asks | {"100.25": "1.0"}}
    assert books[2][1] == {"BUY": bids, "SELL": asks | {"100.25": "1.0", "100.20": "7.0"}}
    rows = catalog.query_order_book_deltas()
    assert [row.sequence for row in rows if row.flags & 128] == [1010, 1013, 1016, 1017]
    assert [row.flags & 32 for row in rows] == [32] * 7 + [0] * 5
    assert report.instruments[0].unseen_seconds == pytest.approx(0.35)


def test_a_snapshot_ahead_of_the_stream_waits_for_nothing_and_old_ones_are_none(tmp_path):
    old = snapshot(440, 900, {"90.00": "1.0"}, {"110.00": "1.0"})
    ahead = snapshot(460, 1022, {"99.70": "4.0", "99.00": "50.0"}, {"100.05": "6.0"})
    until = depth(470, 1017, 1022, {"99.85": "0.0", "98.00": "4.0"}, {"100.05": "6.0"})
    report, catalog = imported(tmp_path, [*LATE, old, ahead, until])
    (first, second) = shown(catalog)
    assert first[1]["BUY"] == {"99.70": "4.0", "99.00": "50.0"}
    assert second[1]["BUY"] == {"99.70": "4.0", "99.00": "50.0", "98.00": "4.0"}
    assert report.instruments[0].book.snapshots_unconnected == 1


def test_a_file_without_any_snapshot_says_that_there_is_no_book(tmp_path):
    report, catalog = imported(tmp_path, steady(1, 10))
    assert shown(catalog) == []
    assert report.instruments[0].book_from_ns == 0
    assert report.instruments[0].unseen_seconds == pytest.approx(0.9)


def test_snapshots_of_several_symbols_find_their_own_by_update_ids(tmp_path):
    def other(ms: float, first: int, last: int) -> bytes:
        return depth(ms, first, last, {"5.00": "1.0"}, {"5.10": "1.0"}, symbol="BBBUSDT")

    lines = [
        depth(10, 1001, 1001, {"97.00": "1.0"}, {}),
        other(20, 70_001, 70_001),
        trade(30, 1, "99.95", "1"),
        trade(40, 1, "5.05", "1", symbol="BBBUSDT"),
        snapshot(50, 70_001, {"5.00": "1.5", "4.90": "2.5"}, {"5.10": "1.0"}),
        snapshot(60, 1005, *WHOLE),  # ahead: waits for the message that spans it
        other(70, 70_002, 70_003),
        depth(80, 1002, 1006, {"97.00": "2.5"}, {}),
        snapshot(90, 500_000, {"1.00": "1"}, {"2.00": "1"}),  # nobody's
    ]
    report, catalog = imported(tmp_path, lines)
    assert shown(catalog, "BBBUSDT.BINANCE")[0][1]["BUY"] == {"5.00": "1.5", "4.90": "2.5"}
    assert shown(catalog)[-1][1]["BUY"] == {"99.95": "5.0", "99.85": "9.0", "97.00": "2.5"}
    assert report.skipped == {"snapshot without symbol": 1}


# -- times, and what a file is ---------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 7, 19])
@pytest.mark.parametrize("ahead_ms", [6_000, 600_000, 80_000_000])
def test_a_time_far_ahead_isolates_its_own_line(at, ahead_ms, tmp_path):
    lines = [trade(100 * i, i, "99.95", "1") for i in range(20)]
    stamp, _, rest = lines[at].partition(b" ")
    lines[at] = b"%d %s" % (int(stamp) + ahead_ms * 1_000_000, rest)
    report, catalog = imported(tmp_path, lines)
    if at == 19:  # nothing after it says that it is wrong
        assert report.malformed == 0
        return
    assert [bad.line for bad in report.malformed_first] == [at + 1]
    assert "ahead of the lines around it" in report.malformed_first[0].reason
    times = [(t.ts_init - 500_000) // 1_000_000 - BEGIN_MS for t in catalog.query_trade_ticks()]
    assert times == [100 * i for i in range(20) if i != at]


@pytest.mark.parametrize("kind", ["trade", "depth"])
@pytest.mark.parametrize("pieces", [(1, 0), (0, 2, 1), (2, 1, 0)])
def test_pieces_that_are_joined_in_the_wrong_order_are_refused(pieces, kind, tmp_path):
    lines = [trade(1000 * i, i, "99.95", "1") for i in range(30)]
    if kind == "depth":
        lines = [line for i in range(30) for line in steady(i, 1, first_ms=1000 * i)]
    joined = [line for piece in pieces for line in lines[10 * piece : 10 * piece + 10]]
    said = r"IMPORT-ORDER.*not in order of time: line \d+ .* Sort the lines"
    with pytest.raises(ImportFailed, match=said):
        imported(tmp_path, joined)
    assert not (tmp_path / "cat").exists()


def test_a_clock_that_is_set_back_is_no_wrong_order(tmp_path):
    lines = []
    for i in range(20):
        stamp, _, rest = trade(1000 * i, i, "99.95", "1").partition(b" ")
        back_ns = 600 * 10**9 if i > 9 else 0
        lines.append(b"%d %s" % (int(stamp) - back_ns, rest))
    report, catalog = imported(tmp_path, lines)
    assert (report.clock_steps, len(catalog.query_trade_ticks())) == (1, 20)


@pytest.mark.parametrize("usdm", [False, True])
def test_microseconds_of_the_exchange_are_read_as_such(usdm, tmp_path):
    def finer(line: bytes) -> bytes:
        stamp, _, text = line.partition(b" ")
        body = json.loads(text)
        data = body.get("data", {})
        for field in {"E", "T"} & data.keys():
            data[field] = data[field] * 1000 + 321
        if usdm and data:
            data |= {"X": "MARKET"} if data["e"] == "trade" else {"pu": data["U"] - 1}
        return stamp + b" " + json.dumps(body).encode()

    lines = [snapshot(0, 1000, *WHOLE), *steady(1001, 5), trade(700, 1, "99.95", "1")]
    report, catalog = imported(tmp_path, [finer(line) for line in lines])
    assert (report.malformed, report.gaps) == (0, 0)
    (tick,) = catalog.query_trade_ticks()
    assert tick.ts_event == (BEGIN_MS + 700) * 1_000_000 + 321_000
    newest = catalog.query_order_book_deltas()[-1]
    assert newest.ts_event == (BEGIN_MS + 500) * 1_000_000 + 321_000


def test_a_symbol_that_is_not_ascii_is_said_to_be_unsupported(tmp_path):
    lines = [trade(100 * i, i, "99.95", "1", symbol="\u5e01\u5b89USDT") for i in range(3)]
    with pytest.raises(ImportFailed, match="symbol \u5e01\u5b89USDT is not supported"):
        imported(tmp_path, lines)
    report, catalog = imported(tmp_path, [*lines, trade(400, 9, "99.95", "1")])
    assert (report.malformed, len(catalog.query_trade_ticks())) == (0, 1)
    assert list(report.skipped.values()) == [3]


def test_a_clock_that_stays_ahead_is_believed(tmp_path):
    lines = [trade(100 * i + (60_000 if i > 9 else 0), i, "99.95", "1") for i in range(20)]
    report, catalog = imported(tmp_path, lines)
    assert (report.malformed, len(catalog.query_trade_ticks())) == (0, 20)


def test_a_byte_order_mark_costs_no_line(tmp_path):
    lines = [trade(100 * i, i, "99.95", "1") for i in range(3)]
    lines[0] = b"\xef\xbb\xbf" + lines[0]
    report, catalog = imported(tmp_path, lines)
    assert (report.malformed, len(catalog.query_trade_ticks())) == (0, 3)


def zipped(path: Path, names: list[str]) -> Path:
    lines = b"\n".join(trade(100 * i, i, "99.95", "1") for i in range(300))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, lines)
    return path


def test_a_zip_of_one_file_is_read_whole(tmp_path):
    report = import_binance(zipped(tmp_path / "a.zip", ["a.txt"]), tmp_path / "cat")
    assert (report.lines, report.malformed, report.damage) == (300, 0, "")


def test_a_damaged_zip_is_said(tmp_path):
    path = zipped(tmp_path / "a.zip", ["a.txt"])
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 30] = b"\x55" * 30
    path.write_bytes(bytes(data))
    with pytest.raises(ImportFailed, match=r"IMPORT-FORMAT.*zip archive is damaged"):
        import_binance(path, tmp_path / "cat")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x28\xb5\x2f\xfd" + bytes(60), "compressed with zstandard"),
        (b"\xfd7zXZ\x00" + bytes(60), "compressed with xz"),
        (b"BZh91AY&SY" + bytes(60), "compressed with bzip2"),
        ("1 {}".encode("utf-16"), "UTF-16 text"),
        (b"PAR1" + bytes(60), "a Parquet file"),
    ],
)
def test_a_file_that_has_no_lines_is_refused_by_what_it_is(content, said, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ImportFailed, match=f"IMPORT-FORMAT.*{said}"):
        import_binance(path, tmp_path / "cat")
    with pytest.raises(ImportFailed, match="a zip archive of 2 files"):
        import_binance(zipped(tmp_path / "b.zip", ["a", "b"]), tmp_path / "cat")
    assert not (tmp_path / "cat").exists()
