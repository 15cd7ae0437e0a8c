"""A backtest starts and ends anywhere: within a hole, and in the middle of a book update."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from nautilus_trader.model import BookAction, OrderBookDelta
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.errors import FairleadError
from fairlead.engine.recording.definitions import define
from fairlead.engine.recording.gaps import GapKind, GapLog, GapRow, gaps_path
from fairlead.engine.run.backtest_data import select
from tests.unit.backtest_kit import (
    MAKER,
    MAKER_PARAMS,
    START_NS,
    book,
    cleared,
    loaded,
    perpetual,
    run,
    trade,
)

PERP = "BTCUSDT.TEST"
PARAMS = {**MAKER_PARAMS, "allow_short": True}
MS = 1_000_000
SECOND = 1_000 * MS
STEP = 50 * MS  # between the rows of one update
HOLE_SECS = 2_700


def at(ns: int) -> str:
    moment = datetime.fromtimestamp(ns // SECOND, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ns % SECOND // 1000:06}Z"


def spread(rows: list[OrderBookDelta]) -> list[OrderBookDelta]:
    """The rows of an update, each a while after the one before it."""
    fields = [row.to_dict() for row in rows]
    for number, one in enumerate(fields):
        one["ts_init"] += number * STEP
    return [OrderBookDelta.from_dict(one) for one in fields]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four updates, of eleven rows in half a second each; a trade with each."""
    root = tmp_path_factory.mktemp("cuts") / "catalog"
    root.mkdir()
    store = ParquetDataCatalog(str(root))
    store.write_instruments([perpetual(PERP)])
    deltas, trades = [], []
    for number in range(4):
        ts = START_NS + number * SECOND
        mid = Decimal(100 + number)
        deltas += spread(book(perpetual(PERP), mid, ts, number))
        trades.append(trade(perpetual(PERP), mid, ts + 700 * MS, number, "0.100"))
    store.write_order_book_deltas(deltas)
    store.write_trade_ticks(trades)
    return root


@pytest.mark.parametrize("after_ms", [0, 1, 49, 51, 275, 499, 501, 999, 1_000, 1_276, 2_651])
def test_a_start_within_an_update_begins_with_all_of_it(
    tmp_path: Path, catalog: Path, after_ms: int
) -> None:
    start = START_NS + SECOND + after_ms * MS
    done = run(tmp_path, catalog, MAKER, PARAMS, backtest=f"start = {at(start)}")
    assert done.summary.exit_code == 0
    (source,) = select(
        loaded(tmp_path, catalog, MAKER, PARAMS, backtest=f"start = {at(start)}").config, catalog
    ).sources
    within = after_ms % 1_000
    if 0 < within <= 500:
        assert source.deltas_start_ns == start - within * MS
    else:
        assert source.deltas_start_ns is None


@pytest.mark.parametrize("after_ms", [0, 1, 275, 499, 500, 999, 1_000, 3_800])
def test_an_end_within_an_update_leaves_it_out(
    tmp_path: Path, catalog: Path, after_ms: int
) -> None:
    end = START_NS + SECOND + after_ms * MS
    done = run(tmp_path, catalog, MAKER, PARAMS, backtest=f"end = {at(end)}")
    assert done.summary.exit_code == 0
    is_cut = after_ms % 1_000 < 500 and after_ms < 3_000
    assert bool(done.summary.notes) == is_cut


def test_a_range_without_a_whole_update_runs_on_its_trades(tmp_path: Path, catalog: Path) -> None:
    """Two bounds in one update: what was before it is known, it is not."""
    start, end = START_NS + 1_100 * MS, START_NS + 1_300 * MS
    dates = f"start = {at(start)}\nend = {at(end)}"
    assert run(tmp_path, catalog, MAKER, PARAMS, backtest=dates).summary.exit_code == 0
    dates = f"start = {at(START_NS + 650 * MS)}\nend = {at(START_NS + 800 * MS)}"
    assert run(tmp_path, catalog, MAKER, PARAMS, backtest=dates).summary.exit_code == 0


@pytest.fixture(scope="module", params=["cleared whole", "cleared without F_LAST", "not cleared"])
def holed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two stretches with 45 minutes between them, however the first one ended."""
    root = tmp_path_factory.mktemp("holed") / "catalog"
    root.mkdir()
    store = ParquetDataCatalog(str(root))
    store.write_instruments([perpetual(PERP)])
    end = START_NS + SECOND
    again = end + HOLE_SECS * SECOND
    first = book(perpetual(PERP), Decimal(100), START_NS, 1)
    if request.param == "cleared whole":
        first.append(cleared(perpetual(PERP), 2, end))
    elif request.param == "cleared without F_LAST":
        first.append(OrderBookDelta.clear(perpetual(PERP).id, 2, end, end))
    store.write_order_book_deltas(first)
    store.write_order_book_deltas(book(perpetual(PERP), Decimal(101), again, 3))
    ticks = [trade(perpetual(PERP), Decimal(100), ts, ts, "0.100") for ts in (end, again + 1)]
    store.write_trade_ticks(ticks)
    with GapLog(gaps_path(root)) as log:
        log.append(
            GapRow(kind=GapKind.BETWEEN_RUNS, instrument=PERP, reason="r", from_ns=end, to_ns=again)
        )
    return root


@pytest.mark.parametrize(("start_secs", "seconds"), [(0, HOLE_SECS), (1_000, HOLE_SECS - 999)])
def test_a_start_within_a_hole_runs_and_tells_it(
    tmp_path: Path, holed: Path, start_secs: int, seconds: int
) -> None:
    dates = f"start = {at(START_NS + start_secs * SECOND)}"
    summary = run(tmp_path, holed, MAKER, PARAMS, backtest=dates).summary
    assert summary.exit_code == 0
    assert summary.gaps is not None
    assert (summary.gaps.count, summary.gaps.seconds) == (1, seconds)


def test_an_end_within_a_hole_runs_and_tells_it(tmp_path: Path, holed: Path) -> None:
    dates = f"end = {at(START_NS + 1_001 * SECOND)}"
    summary = run(tmp_path, holed, MAKER, PARAMS, backtest=dates).summary
    assert summary.exit_code == 0
    assert summary.gaps is not None
    assert (summary.gaps.count, summary.gaps.seconds) == (1, 1_000)


def test_a_range_within_a_hole_says_what_there_is(tmp_path: Path, holed: Path) -> None:
    dates = f"start = {at(START_NS + 100 * SECOND)}\nend = {at(START_NS + 200 * SECOND)}"
    with pytest.raises(FairleadError, match="CATALOG-RANGE"):
        run(tmp_path, holed, MAKER, PARAMS, backtest=dates)


def test_the_rows_of_the_kit_are_what_is_meant(catalog: Path) -> None:
    rows = ParquetDataCatalog(str(catalog)).query_order_book_deltas([PERP])
    assert [at for at, row in enumerate(rows) if row.flags & 128] == [10, 21, 32, 43]
    assert [row.action for row in rows].count(BookAction.CLEAR) == 4


def test_the_newest_definition_is_the_one(tmp_path: Path, catalog: Path) -> None:
    shutil.copytree(catalog, tmp_path / "c")
    fields = perpetual(PERP).to_dict()
    finer = type(perpetual(PERP)).from_dict({**fields, "size_increment": "0.002"})
    for ts, definition in ((START_NS + 5, finer), (START_NS + 4, perpetual(PERP))):
        define(tmp_path / "c", [definition], ts)
    done = run(tmp_path, tmp_path / "c", MAKER, PARAMS)
    assert done.summary.exit_code == 0
    assert str(done.cache.instrument(perpetual(PERP).id).size_increment) == "0.002"
