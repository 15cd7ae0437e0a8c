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
