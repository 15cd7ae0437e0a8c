"""Numbers that a program computed with floats, in each format that has such."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.recording.importers.binance_instruments import Rules
from fairlead.engine.recording.importers.binance_wire import Malformed, parts
from fairlead.engine.recording.importers.events import Contract
from fairlead.engine.recording.importers.floats import meant
from fairlead.engine.recording.importers.report import ImportReport
from fairlead.engine.recording.importers.staging import ImportFailed
from tests.unit.recording.formats import books_of, run

ASKED: dict[str, Any] = {"id": "BTCUSDT.X", "symbol": "BTC/USDT", "contract": Contract.SPOT}
TRADES = "time=t,price=p,size=q"
BARS = "time=t,open=o,high=h,low=l,close=c,volume=v,bar=1-MINUTE,stamp=open"
TICKS = ["0.1", "0.5", "0.01", "0.05", "0.0025", "0.00001", "0.00000001"]
START_NS = 1_709_300_000 * 10**9
BUY, SELL, LOCAL = 1 << 29, 1 << 28, 1 << 30
DEPTH, TRADE, SNAPSHOT = 1, 2, 4


def ticks_of(catalog: Path) -> list[tuple[Decimal, Decimal]]:
    found = ParquetDataCatalog(str(catalog)).query_trade_ticks()
    return [(tick.price.as_decimal(), tick.size.as_decimal()) for tick in found]


# -- one number -----------------------------------------------------------------------------------


@given(st.sampled_from(TICKS), st.integers(1, 10**9) | st.integers(10**9, 10**13))
def test_ticks_times_tick_size_is_that_tick(tick, count):
    """As a program writes it: the shortest text of the double, or with 17 digits, or 18."""
    value = count * float(tick)
    for text in (f"{Decimal(repr(value)):f}", f"{Decimal(f'{value:.16e}'):f}"):
        assert Decimal(meant(text)) == count * Decimal(tick)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4.8100000000000005", "4.81"),
        ("0.30000000000000004", "0.3"),
        ("0.10000000000000001", "0.1"),
        ("0.1000000000000000056", "0.1"),
        ("100.3000000000000114", "100.3"),
    ],
)
def test_float_error_stands_for_the_decimal(text, expected):
    assert Decimal(meant(text)) == Decimal(expected)


@pytest.mark.parametrize(
    "text",
    [
        "100.3000000001",  # off, by more than float error
        "100.30000000000012",  # nine steps of the double
        "4.8123456789012345",  # a number of 17 digits
        "1.000000000000000001",  # 18 decimals, which no double writes
        "1234567890.12345678",
        "61000.1",
        "-0.30000000000000004",
        "0.00000000000000000",
        "nan",
        "",
    ],
)
def test_any_other_number_is_what_it_says(text):
    assert meant(text) == text


@pytest.mark.parametrize("text", ["-0.2", "-1"])
def test_a_negative_number_is_told_as_one(text):
    with pytest.raises(Malformed, match="above 0 expected"):
        parts(text)


# -- hftbacktest ----------------------------------------------------------------------------------


def events(path: Path, rows: list[tuple[int, int, float, float]]) -> Path:
    """Kind and side, milliseconds, price, size."""
    np: Any = pytest.importorskip("numpy")
    names = ("ev", "exch_ts", "local_ts", "px", "qty", "order_id", "ival", "fval")
    types = ("<u8", "<i8", "<i8", "<f8", "<f8", "<u8", "<i8", "<f8")
    told = [
        (LOCAL | ev, START_NS + ms * 10**6, START_NS + ms * 10**6, price, size, 0, 0, 0.0)
        for ev, ms, price, size in rows
    ]
    np.savez_compressed(path, data=np.array(told, dtype=list(zip(names, types, strict=True))))
    return path


def end_of_day(path: Path) -> Path:
    """As its own writer does: ticks x tick size."""
    bids = [(SNAPSHOT | BUY, 0, ticks * 0.1, 2.0) for ticks in (1001, 1000, 999)]
    asks = [(SNAPSHOT | SELL, 0, ticks * 0.1, 2.0) for ticks in (1003, 1006, 1007)]
    assert asks[0][2] == 100.30000000000001
    return events(path, [*bids, *asks])


NEXT_DAY = [
    (DEPTH | SELL, 1000, 100.3, 0.0),
    (DEPTH | SELL, 1001, 100.4, 1.0),
    (DEPTH | BUY, 1002, 100.1, 5.0),
    (TRADE | BUY, 1003, 1004 * 0.1, 0.1 + 0.2),
]


@pytest.mark.parametrize("rules", [Rules(), Rules(tick_size=Decimal("0.1"))])
def test_a_snapshot_of_ticks_times_tick_size_has_no_levels_of_its_own(rules, tmp_path):
    """The true ask is 100.4: the one at 100.30000000000001 could not be deleted by 100.3."""
    snapshot = end_of_day(tmp_path / "eod.npz")
    path = events(tmp_path / "day.npz", NEXT_DAY)
    asked = {**ASKED, "snapshot": snapshot, "rules": rules}
    report = run("hftbacktest", path, tmp_path / "cat", **asked)
    catalog = ParquetDataCatalog(str(tmp_path / "cat"))
    last = dict(books_of(catalog)[-1][2])
    sides = {"BUY": ("100.1", "100", "99.9"), "SELL": ("100.4", "100.6", "100.7")}
    expected = {(side, Decimal(price)) for side, prices in sides.items() for price in prices}
    assert set(last) == expected
    assert last["BUY", Decimal("100.1")] == 5
    assert ticks_of(tmp_path / "cat") == [(Decimal("100.4"), Decimal("0.3"))]
    (told,) = report.instruments
    assert (told.tick_size, told.step_size, report.malformed) == ("0.1", "0.1", 0)
    assert told.float_noise >= 3


def test_a_price_that_is_truly_off_the_tick_is_refused_by_name(tmp_path):
    path = events(tmp_path / "day.npz", [*NEXT_DAY, (DEPTH | BUY, 1004, 100.0500001, 1.0)])
    asked = {**ASKED, "snapshot": end_of_day(tmp_path / "eod.npz")}
    with pytest.raises(ImportFailed, match=r"IMPORT-PRECISION.*\(100\.0500001, more than float"):
        run("hftbacktest", path, tmp_path / "c", rules=Rules(tick_size=Decimal("0.1")), **asked)
    report = run("hftbacktest", path, tmp_path / "cat", **asked)
    assert report.instruments[0].tick_size == "0.0000001"


# -- tables ---------------------------------------------------------------------------------------

ROWS = [(START_NS, 4.81, 0.5), (START_NS + 1, 4.8100000000000005, 0.1 + 0.2)]
MEANT = [(Decimal("4.81"), Decimal("0.5")), (Decimal("4.81"), Decimal("0.3"))]


def csv_of(path: Path, columns: dict[str, list[Any]]) -> Path:
    rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join([",".join(columns), *rows, ""]))
    return path


def parquet_of(path: Path, columns: dict[str, Any]) -> Path:
    arrow: Any = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(arrow.table(columns), path)
    return path


@pytest.mark.parametrize("write", [csv_of, parquet_of])
@pytest.mark.parametrize("tick", [None, Decimal("0.01")])
def test_trades_of_a_table_are_at_their_tick(
    write: Callable[[Path, dict[str, list[Any]]], Path], tick: Decimal | None, tmp_path: Path
) -> None:
    times, prices, sizes = map(list, zip(*ROWS, strict=True))
    path = write(tmp_path / "any", {"t": times, "p": prices, "q": sizes})
    rules = Rules(tick_size=tick)
    report = run("table", path, tmp_path / "cat", mapping=TRADES, rules=rules, **ASKED)
    assert ticks_of(tmp_path / "cat") == MEANT
    (told,) = report.instruments
    assert (told.tick_size, told.step_size, told.float_noise) == ("0.01", "0.1", 2)
    assert report.malformed == 0


def test_numbers_within_float_error_are_counted_each_time_and_in_the_last_reading_alone(tmp_path):
    """A finer number at the end has the file read again."""
    noisy, times = 4.8100000000000005, [START_NS + i for i in range(5)]
    columns = {"t": times, "p": [noisy, noisy, 4.81, noisy, 4.8125], "q": [0.5] * 5}
    path = csv_of(tmp_path / "any", columns)
    (told,) = run("table", path, tmp_path / "cat", mapping=TRADES, **ASKED).instruments
    assert (told.trades, told.tick_size, told.float_noise) == (5, "0.0001", 3)


def test_bars_of_a_table_are_at_their_tick(tmp_path):
    columns = {"t": [START_NS], "o": [4.69], "h": [4.8100000000000005], "l": [4.69]}
    columns |= {"c": [4.8100000000000005], "v": [1.1 + 2.2]}
    path = csv_of(tmp_path / "bars.csv", columns)
    report = run("table", path, tmp_path / "cat", mapping=BARS, **ASKED)
    (bar,) = ParquetDataCatalog(str(tmp_path / "cat")).query_bars()
    assert [str(one) for one in (bar.high, bar.close, bar.volume)] == ["4.81", "4.81", "3.3"]
    assert report.instruments[0].tick_size == "0.01"


# -- Parquet's types ------------------------------------------------------------------------------


def test_a_float32_is_its_own_shortest_decimal(tmp_path):
    arrow: Any = pytest.importorskip("pyarrow")
    prices = arrow.array([61000.1, 1e-05, 1.1], arrow.float32())
    sizes = arrow.array([0.1, 16777216, 2.5], arrow.float32())
    times = [START_NS, START_NS + 1, START_NS + 2]
    expected = [("61000.1", "0.1"), ("0.00001", "16777216"), ("1.1", "2.5")]
    for name, price in (("plain", prices), ("dictionary", prices.dictionary_encode())):
        path = parquet_of(tmp_path / f"{name}.parquet", {"t": times, "p": price, "q": sizes})
        run("table", path, tmp_path / name, mapping=TRADES, **ASKED)
        assert ticks_of(tmp_path / name) == [(Decimal(p), Decimal(q)) for p, q in expected]
    columns = {"t": times[:1], "v": sizes[:1]} | dict.fromkeys("ohlc", prices[:1])
    path = parquet_of(tmp_path / "bars.parquet", columns)
    run("table", path, tmp_path / "bars", mapping=BARS, **ASKED)
    (bar,) = ParquetDataCatalog(str(tmp_path / "bars")).query_bars()
    assert (str(bar.close), str(bar.volume)) == ("61000.1", "0.1")


@pytest.mark.parametrize(
    ("column", "values", "says"),
    [
        ("t", lambda pa: pa.array([1], pa.timestamp("us")), r"column t: times without a zone.*UTC"),
        ("t", lambda pa: pa.array([1], pa.timestamp("ns")), r"column t: .*tz_localize\(\"UTC\"\)"),
        ("t", lambda pa: pa.array([1.5], pa.float32()), "column t: a time needs more digits"),
        ("p", lambda pa: pa.array([1.5]).cast("float").cast("halffloat"), "column p: a price"),
    ],
)
def test_a_type_that_cannot_hold_it_is_refused_with_the_remedy(column, values, says, tmp_path):
    arrow: Any = pytest.importorskip("pyarrow")
    columns: dict[str, Any] = {"t": [START_NS], "p": [1.5], "q": [1.0]}
    columns[column] = values(arrow)
    path = parquet_of(tmp_path / "any.parquet", columns)
    with pytest.raises(ImportFailed, match=f"IMPORT-FORMAT.*{says}"):
        run("table", path, tmp_path / "cat", mapping=TRADES, **ASKED)
    assert not (tmp_path / "cat").exists()


def test_a_timestamp_with_its_zone_is_that_moment(tmp_path):
    arrow: Any = pytest.importorskip("pyarrow")
    moment = arrow.array([START_NS // 1000], arrow.timestamp("us", "Europe/Berlin"))
    path = parquet_of(tmp_path / "any.parquet", {"t": moment, "p": [1.5], "q": [1.0]})
    run("table", path, tmp_path / "cat", mapping=TRADES, **ASKED)
    (tick,) = ParquetDataCatalog(str(tmp_path / "cat")).query_trade_ticks()
    assert tick.ts_event == START_NS


def test_a_report_counts_none_where_numbers_are_exact(tmp_path):
    path = csv_of(tmp_path / "any.csv", {"t": [START_NS], "p": ["4.81"], "q": ["0.30"]})
    report: ImportReport = run("table", path, tmp_path / "cat", mapping=TRADES, **ASKED)
    assert report.instruments[0].float_noise == 0
