"""What one message is: lines that were received at one moment are one batch of the book."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.recording.importers import messages
from fairlead.engine.recording.importers.staging import ImportFailed
from tests.unit.recording.formats import books_of, run
from tests.unit.recording.test_import_floats import ASKED, BUY, DEPTH, LOCAL, SELL, SNAPSHOT, TRADE

BEGIN_US = 1_709_300_000_000_000
HEAD = "exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount"
# Received at 60 ms, though of two of the exchange's times: a bid that came and went
TWO_STAMPS = [(50, "bid", "101.5", "3"), (51, "bid", "101.5", "0"), (51, "bid", "100.5", "4")]
SNAPSHOT_LEVELS = [("bid", "100.5", "1"), ("ask", "101.5", "2"), ("ask", "102.5", "3")]
BOOK = (
    (("BUY", Decimal("100.5")), Decimal(4)),
    (("SELL", Decimal("101.5")), Decimal(2)),
    (("SELL", Decimal("102.5")), Decimal(3)),
)


def tardis(path: Path, stamps: int) -> Path:
    lines = [HEAD]
    for side, price, size in SNAPSHOT_LEVELS:
        lines.append(f"bitstamp,XBTUSD,{BEGIN_US},{BEGIN_US},true,{side},{price},{size}")
    for ms, side, price, size in TWO_STAMPS:
        at = BEGIN_US + 1000 * (ms if stamps == 2 else 51)
        lines.append(f"bitstamp,XBTUSD,{at},{BEGIN_US + 60_000},false,{side},{price},{size}")
    path.write_text("\n".join([*lines, ""]))
    return path


def batches(catalog: Path) -> list[tuple[Any, ...]]:
    return books_of(ParquetDataCatalog(str(catalog)))


@pytest.mark.parametrize("stamps", [1, 2])
def test_a_tardis_message_with_two_exchange_times_is_one_batch(stamps, tmp_path):
    """Half of it crossed, and the ask that it seemed to cross was lost for good."""
    report = run("tardis", tardis(tmp_path / "b.csv", stamps=stamps), tmp_path / "cat")
    first, last = batches(tmp_path / "cat")
    assert len(first[2]) == 3
    assert last == ((BEGIN_US + 60_000) * 1000, (BEGIN_US + 51_000) * 1000, BOOK)
    (told,) = report.instruments
    assert (told.depth_messages, told.book.crossed_levels) == (2, 0)


def test_two_tardis_messages_of_one_exchange_time_stay_two(tmp_path):
    path = tardis(tmp_path / "b.csv", stamps=1)
    more = f"bitstamp,XBTUSD,{BEGIN_US + 51_000},{BEGIN_US + 61_000},false,bid,100.5,9\n"
    path.write_text(path.read_text() + more)
    run("tardis", path, tmp_path / "cat")
    assert [one[0] // 10**6 % 1000 for one in batches(tmp_path / "cat")] == [0, 60, 61]


def levels(ms: int, snapshot: bool, *rows: tuple[str, str, str]) -> list[str]:
    at, kind = BEGIN_US + 1000 * ms, str(snapshot).lower()
    return [f"bitstamp,XBTUSD,{at},{at},{kind},{side},{p},{q}" for side, p, q in rows]


LAST_OF_THE_FIRST = pytest.mark.parametrize(
    "bad",
    [
        f"bitstamp,XBTUSD,{BEGIN_US},{BEGIN_US},true,ask,xx,2",
        f"bitstamp,XBTUSD,{BEGIN_US},{BEGIN_US},true,none,103.5,2",
        f"bitstamp,XBTUSD,?,{BEGIN_US},true,ask,103.5,2",
        f"bitstamp,XBTUSD,{BEGIN_US},{BEGIN_US},true,ask,0,2",
    ],
)


@LAST_OF_THE_FIRST
def test_a_malformed_line_leaves_out_its_own_tardis_message_alone(bad, tmp_path):
    """The snapshot after it is whole, and the book is shown from there."""
    path = tmp_path / "b.csv"
    before, after = levels(0, True, *SNAPSHOT_LEVELS), levels(60, True, *SNAPSHOT_LEVELS)
    path.write_text("\n".join([HEAD, *before, bad, *after, ""]))
    report = run("tardis", path, tmp_path / "cat")
    assert [(one[0] // 10**6 % 1000, len(one[2])) for one in batches(tmp_path / "cat")] == [(60, 3)]
    assert (report.malformed, report.malformed_first[0].line, report.gaps) == (1, 5, 1)


def test_a_line_that_does_not_tell_its_tardis_message_may_be_of_either(tmp_path):
    path = tmp_path / "b.csv"
    parts = [levels(ms, True, *SNAPSHOT_LEVELS) for ms in (0, 60, 120)]
    path.write_text("\n".join([HEAD, *parts[0], "bitstamp,XBTUSD", *parts[1], *parts[2], ""]))
    report = run("tardis", path, tmp_path / "cat")
    assert [one[0] // 10**6 % 1000 for one in batches(tmp_path / "cat")] == [120]
    assert (report.malformed, report.gaps) == (1, 1)


def test_a_malformed_line_of_one_instrument_ends_no_book_of_another(tmp_path):
    path = tmp_path / "b.csv"
    first = levels(0, True, *SNAPSHOT_LEVELS)
    other = [line.replace("XBTUSD", "ETHUSD") for line in first]
    bad = levels(60, False, ("bid", "xx", "1"))
    last = [line.replace("XBTUSD", "ETHUSD") for line in levels(120, False, ("bid", "100.5", "7"))]
    again = levels(180, True, *SNAPSHOT_LEVELS)
    path.write_text("\n".join([HEAD, *first, *other, *bad, *last, *again, ""]))
    report = run("tardis", path, tmp_path / "cat")
    gaps = {each.id: each.gaps for each in report.instruments}
    assert gaps == {"ETHUSD.BITSTAMP": 0, "XBTUSD.BITSTAMP": 1}
    assert report.gaps == 1


@pytest.mark.parametrize("at", [1, 2, 3, 5])
def test_a_line_with_a_damaged_key_does_not_part_a_depth_message_in_two(at, tmp_path):
    """The second half came as a whole snapshot: a book without the levels of the first."""
    head = "symbol,timestamp,first_update_id,last_update_id,side,update_type,price,qty,pu"
    rows = [("b", "100.5"), ("b", "100.4"), ("a", "101.5"), ("a", "101.6")]
    lines = [f"BTCUSDT,1667346579146,7,7,{side},snap,{price},1,-1" for side, price in rows]
    fields = lines[1].split(",")
    fields[at] = "?"
    lines[1] = ",".join(fields)
    whole = [f"BTCUSDT,1667346580146,9,9,{side},snap,{price},1,-1" for side, price in rows]
    path = tmp_path / "BTCUSDT_T_DEPTH_2022-11-02_depth_snap.csv"
    path.write_text("\n".join([head, *lines, *whole, ""]))
    report = run("binance-archive", path, tmp_path / "cat")
    shown = [len(one[2]) for one in batches(tmp_path / "cat") if one[2]]
    assert shown == [4]
    assert report.malformed == 1


def npz(path: Path, rows: list[tuple[int, int, int, float, float]]) -> Path:
    """Kind and side, exchange's and local milliseconds, price, size."""
    np: Any = pytest.importorskip("numpy")
    names = ("ev", "exch_ts", "local_ts", "px", "qty", "order_id", "ival", "fval")
    types = ("<u8", "<i8", "<i8", "<f8", "<f8", "<u8", "<i8", "<f8")
    begin_ns = BEGIN_US * 1000
    told = [
        (LOCAL | ev, begin_ns + exch * 10**6, begin_ns + local * 10**6, price, size, 0, 0, 0.0)
        for ev, exch, local, price, size in rows
    ]
    np.savez_compressed(path, data=np.array(told, dtype=list(zip(names, types, strict=True))))
    return path


@pytest.mark.parametrize("has_trade", [False, True], ids=["levels", "with-a-trade"])
def test_rows_of_one_local_time_are_one_batch_of_an_npz(has_trade, tmp_path):
    sides = {"bid": BUY, "ask": SELL}
    rows = [
        (SNAPSHOT | sides[side], 0, 0, float(price), float(size))
        for side, price, size in SNAPSHOT_LEVELS
    ]
    rows += [
        (DEPTH | sides[side], ms, 60, float(price), float(size))
        for ms, side, price, size in TWO_STAMPS
    ]
    if has_trade:
        rows.insert(4, (TRADE | BUY, 50, 60, 101.5, 1.0))
    report = run("hftbacktest", npz(tmp_path / "e.npz", rows), tmp_path / "cat", **ASKED)
    _, last = batches(tmp_path / "cat")
    assert last == ((BEGIN_US + 60_000) * 1000, (BEGIN_US + 51_000) * 1000, BOOK)
    (told,) = report.instruments
    assert (told.depth_messages, told.trades, told.book.crossed_levels) == (2, has_trade, 0)
    assert report.lines == len(rows)


@pytest.mark.parametrize("format_", ["tardis", "hftbacktest"])
def test_a_message_without_an_end_is_refused(format_, tmp_path, monkeypatch):
    """Of a file whose receipt times are all one: memory does not grow with the file."""
    monkeypatch.setattr(messages, "LEVELS_MAX", 3)
    rows = [(DEPTH | BUY, n, 5, 100.0 + n, 1.0) for n in range(4)]
    lines = [f"bitstamp,XBTUSD,{BEGIN_US},{BEGIN_US},true,bid,{n}.5,1" for n in range(1, 5)]
    path = tmp_path / "any"
    if format_ == "tardis":
        path.write_text("\n".join([HEAD, *lines, ""]))
    else:
        path = npz(tmp_path / "any.npz", rows)
    with pytest.raises(ImportFailed, match=r"any.*: line \d: more than 3 levels of one message"):
        run(format_, path, tmp_path / "cat", **(ASKED if format_ == "hftbacktest" else {}))
