"""hftbacktest's .npz: a file that its own converter made of the real recording, and broken ones.

Made by `hftbacktest.data.utils.binancefutures.convert` (2.4) of `binance_usdm_400.gz`.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.recording.gaps import GapKind, read_gaps
from fairlead.engine.recording.importers.events import Contract
from fairlead.engine.recording.importers.report import ImportReport
from fairlead.engine.recording.importers.staging import ImportFailed
from tests.unit.recording.formats import HERE, books_of, rows_of, run
from tests.unit.recording.test_import_binance import events_of, lines_of

FILE = HERE / "hftbacktest_usdm.npz"
BUY, LOCAL = 1 << 29, 1 << 30
DEPTH, TRADE, CLEAR, SNAPSHOT = 1, 2, 3, 4
np: Any = pytest.importorskip("numpy")


def imported(path: Path, catalog: Path) -> ImportReport:
    asked = {"id": "BTCUSDT-PERP.X", "symbol": "BTC/USDT", "contract": Contract.LINEAR}
    return run("hftbacktest", path, catalog, **asked)


@pytest.fixture
def rows() -> Any:
    return np.load(FILE)["data"]


def test_trades_are_those_of_the_stream(tmp_path):
    report = imported(FILE, tmp_path / "cat")
    ticks = ParquetDataCatalog(str(tmp_path / "cat")).query_trade_ticks()
    events = events_of(lines_of("usdm"), "trade")
    assert (report.malformed, len(ticks)) == (0, len(events))
    for tick, event in zip(ticks, events, strict=True):
        assert tick.price.as_decimal() == Decimal(event["p"])
        assert tick.size.as_decimal() == Decimal(event["q"])
        assert tick.aggressor_side.name == ("SELL" if event["m"] else "BUY")
        assert tick.ts_event == event["T"] * 1_000_000


def test_a_trade_that_cannot_be_held_is_a_row_and_ends_no_book(rows, tmp_path):
    imported(FILE, tmp_path / "good")
    trades = [at for at, row in enumerate(rows) if int(row["ev"]) & 0xFF == TRADE]
    rows["qty"][trades[3]] = -1.0
    np.savez(tmp_path / "bad.npz", data=rows)
    report = imported(tmp_path / "bad.npz", tmp_path / "bad")
    (row,) = read_gaps(tmp_path / "bad")[0]
    assert (row.kind, row.count, report.malformed) == (GapKind.MISSING, 1, 1)
    assert row.reason.startswith("1 trade line left out: ")
    good, bad = (ParquetDataCatalog(str(tmp_path / name)) for name in ("good", "bad"))
    assert bad.query_order_book_deltas() == good.query_order_book_deltas()
    assert len(bad.query_trade_ticks()) == len(good.query_trade_ticks()) - 1


def test_the_book_is_what_the_rows_make_it(rows, tmp_path):
    """By a dict a side, level by level; of the last message, and of one in the middle."""
    imported(FILE, tmp_path / "cat")
    found = {one[0]: one[2] for one in books_of(ParquetDataCatalog(str(tmp_path / "cat")))}
    book: dict[tuple[str, Decimal], Decimal] = {}
    after: dict[int, tuple[Any, ...]] = {}
    newest = 0
    for row in rows:
        ev, kind = int(row["ev"]), int(row["ev"]) & 0xFF
        if not ev & LOCAL or kind not in (DEPTH, CLEAR, SNAPSHOT):
            continue
        if row["local_ts"] != newest:
            after[newest], newest = tuple(sorted(book.items())), int(row["local_ts"])
        side = "BUY" if ev & BUY else "SELL"
        price, size = Decimal(repr(float(row["px"]))), Decimal(repr(float(row["qty"])))
        if kind == CLEAR:
            for key in list(book):
                is_in = key[1] >= price if side == "BUY" else key[1] <= price
                if key[0] == side and is_in:
                    del book[key]
        elif size:
            book[side, price] = size
        else:
            book.pop((side, price), None)
    after[newest] = tuple(sorted(book.items()))
    assert len(found) > 10
    for ts, state in found.items():
        assert state == after[ts]


def test_a_second_run_writes_nothing_and_says_so(tmp_path):
    imported(FILE, tmp_path / "cat")
    with pytest.raises(ImportFailed, match="already holds") as failed:
        imported(FILE, tmp_path / "cat")
    assert failed.value.code == "IMPORT-HELD"


def saved(data: Any, path: Path) -> Path:
    np.savez_compressed(path, data=data)
    return path


def cut(data: Any, path: Path) -> Path:
    path.write_bytes(FILE.read_bytes()[:20_000])
    return path


def other_fields(data: Any, path: Path) -> Path:
    return saved(np.array([(1, 2.0)], dtype=[("ev", "<u8"), ("px", "<f8")]), path)


def not_finite(data: Any, path: Path) -> Path:
    data["px"][5000] = float("nan")
    data["px"][5100] = -1.0
    return saved(data, path)


def disordered(data: Any, path: Path) -> Path:
    data["local_ts"][100:110] += 3600 * 10**9
    return saved(data, path)


def no_side(data: Any, path: Path) -> Path:
    data["ev"][5200] = LOCAL | DEPTH
    return saved(data, path)


def no_numpy(data: Any, path: Path) -> Path:
    path.write_bytes(b"ev,exch_ts\n1,2\n")
    return path


def flat(data: Any, path: Path) -> Path:
    return saved(np.arange(10.0), path)


@pytest.mark.parametrize(
    "broken", [cut, other_fields, not_finite, disordered, no_side, no_numpy, flat]
)
def test_a_broken_file_leaves_nothing_wrong(
    broken: Callable[[Any, Path], Path], rows: Any, tmp_path: Path
) -> None:
    path = broken(rows.copy(), tmp_path / "broken.npz")
    if broken not in (not_finite, no_side):
        with pytest.raises(ImportFailed, match=r"broken\.npz") as failed:
            imported(path, tmp_path / "cat")
        assert failed.value.exit_code == 9
        assert not (tmp_path / "cat").exists()
        return
    assert imported(path, tmp_path / "cat").malformed
    imported(FILE, tmp_path / "good")
    assert rows_of(tmp_path / "cat") < rows_of(tmp_path / "good")
