"""Made-up markets that once came out wrong, from the stream file to the fill."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.recording.importers.binance import import_binance
from fairlead.engine.recording.importers.report import ImportReport
from tests.parity.scripted import Scripted
from tests.support.processes import ROOT
from tests.unit import backtest_kit as kit

CASES = ROOT / "tests" / "data" / "cases"
BEGIN_NS = 1_800_000_000_000_500_000
MS = 1_000_000
FEES = '{ maker = "0.001", taker = "0.001" }'
NAME = "AAAUSDT.BINANCE"
WIDE = 'max_order_notional = "10000000 USDT"'


def imported(name: str, folder: Path) -> tuple[ImportReport, Path]:
    report = import_binance(CASES / name, folder / "catalog")
    return report, folder / "catalog"


def follow(
    catalog: Path, folder: Path, steps: Sequence[Sequence[Any]], instrument: str = NAME
) -> tuple[Scripted, list[Any]]:
    """The strategy after its run, and its orders in the order of their creation."""
    params = {"instrument_id": instrument, "script": json.dumps(steps).replace('"', '\\"')}
    result = kit.run(
        folder,
        catalog,
        "tests.parity.scripted:Scripted",
        params,
        instrument=instrument,
        account="cash",
        fees=FEES,
        balances=("100000 USDT", "1000 AAA", "1000 DOGE"),
        latency_ms="5",
        risk=WIDE,
    )
    assert result.exit_code == 0, result.summary.outcome
    (strategy,) = result.parts.strategies
    orders = sorted(result.cache.orders(), key=lambda order: order.ts_init)
    return strategy, orders


def fills_of(order: Any) -> list[tuple[str, str, float]]:
    """(price, quantity, ms after the first line) of each fill."""
    found = [event for event in order.events() if type(event).__name__ == "OrderFilled"]
    return [(str(one.last_px), str(one.last_qty), (one.ts_event - BEGIN_NS) / MS) for one in found]


# -- trades told twice -----------------------------------------------------------------------------


def test_trades_told_twice_trade_once(tmp_path: Path) -> None:
    told: list[Any] = []
    for name in ("trades-once.txt.gz", "trades-twice.txt.gz"):
        folder = tmp_path / name
        folder.mkdir()
        report, root = imported(name, folder)
        trades = ParquetDataCatalog(str(root)).query_trade_ticks()
        _, (order,) = follow(root, folder, [[0, "limit", "BUY", "10.0", "99.9"]])
        told.append(([str(one) for one in trades], fills_of(order)))
        repeated = report.instruments[0].trades_repeated
        assert (len(trades), repeated, report.malformed) == (60, 60 * (name[7:12] == "twice"), 0)
    assert told[0] == told[1]
    # 5.0 are ahead of it, 0.7 trade a second: the 22nd trade brings the last of 10.0
    assert told[0][1][-1][2] == pytest.approx(21_120, abs=1)


# -- sizes and steps -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "malformed", "trades", "books"),
    [
        ("sizes-held.txt.gz", 0, 30, 31),
        ("sizes-over.txt.gz", 2, 30, 0),
        ("sizes-over2.txt.gz", 2, 30, 0),
        ("sizes-overtrade.txt.gz", 30, 0, 31),
    ],
)
def test_a_size_that_can_not_be_held_is_malformed_in_its_line_only(
    name: str, malformed: int, trades: int, books: int, tmp_path: Path
) -> None:
    report, root = imported(name, tmp_path)
    catalog = ParquetDataCatalog(str(root))
    assert report.malformed == malformed
    assert len(catalog.query_trade_ticks()) == trades
    updates = {delta.ts_init for delta in catalog.query_order_book_deltas()}
    assert len(updates) == books  # without its first snapshot a file has no book


def test_a_snapshot_finer_than_the_stream_trades_in_its_step(tmp_path: Path) -> None:
    name = "DOGEUSDT.BINANCE"
    report, root = imported("snapshot-finer.txt", tmp_path)
    assert (report.malformed, report.instruments[0].price_precision) == (0, 5)
    steps = [[50, "book"], [150, "limit", "SELL", "600", "0.30995"]]
    strategy, (order,) = follow(root, tmp_path, steps, name)
    assert strategy.seen[0][0]["0.30995"] == "900.0"
    assert [one[:2] for one in fills_of(order)] == [("0.31000", "501"), ("0.30995", "99")]


# -- bars made of nothing --------------------------------------------------------------------------


def test_nobody_buys_in_a_gap_of_the_feed(tmp_path: Path) -> None:
    _, root = imported("feed-gap.txt.gz", tmp_path)
    params = {"order_quantity": "1.0", "bar": "1-SECOND-LAST", "fast": 3, "slow": 12, "atr": 10}
    params |= {"channel_atr": "0.3", "allow_short": False}
    result = kit.run(
        tmp_path,
        root,
        kit.TREND,
        params,
        instrument=NAME,
        account="cash",
        fees=FEES,
        latency_ms="5",
    )
    assert result.exit_code == 0
    at = [(order.ts_init - BEGIN_NS) / MS for order in result.cache.orders()]
    assert [ms for ms in at if 151_000 <= ms < 210_000] == []
    result.dispose()


# -- books that are whole, or not there ------------------------------------------------------------

LATE = {"99.90": "3.0", "99.85": "2.0", "99.00": "50.0"}
LATE_ASKS = {"100.20": "7.0", "100.25": "1.0", "100.40": "8.0", "101.00": "50.0"}


@pytest.mark.parametrize("name", ["snapshot-late.txt", "snapshot-dirty.txt"])
def test_a_late_snapshot_is_the_first_book(name: str, tmp_path: Path) -> None:
    report, root = imported(name, tmp_path)
    assert report.malformed == 0
    steps = [[1, "book"], [40, "market", "BUY", "8.0"]]
    strategy, (order,) = follow(root, tmp_path, steps)
    assert strategy.began_ns - BEGIN_NS == 450 * MS  # nothing is shown before
    assert strategy.seen[0] == (LATE, LATE_ASKS)
    assert [one[:2] for one in fills_of(order)] == [("100.20", "7.0"), ("100.25", "1.0")]


def test_old_and_early_snapshots_make_no_book_of_their_own(tmp_path: Path) -> None:
    report, root = imported("snapshot-ahead.txt", tmp_path)
    assert report.malformed == 0
    strategy, (order,) = follow(root, tmp_path, [[1, "book"], [60, "market", "BUY", "7.0"]])
    bids, asks = strategy.seen[0]
    assert (next(iter(bids.items())), "90.00" in bids) == (("99.70", "4.0"), False)
    assert next(iter(asks.items())) == ("100.05", "6.0")
    assert [one[:2] for one in fills_of(order)] == [("100.05", "6.0"), ("101.00", "1.0")]


def test_no_book_and_no_fill_after_lost_updates(tmp_path: Path) -> None:
    """Only far levels are told after the loss: the touch is not known, nobody buys at 103."""
    report, root = imported("lost-updates.txt.gz", tmp_path)
    steps = [[500, "book"], [600, "market", "BUY", "1.0"], [1500, "book"]]
    steps += [[1600, "market", "BUY", "1.0"], [2000, "market", "SELL", "1.0"]]
    strategy, orders = follow(root, tmp_path, steps)
    assert next(iter(strategy.seen[0][1])) == "100.15"
    assert strategy.seen[1] == ({}, {})
    assert [fills_of(order)[0][:2] for order in orders] == [("100.15", "1.0")]
    assert strategy.refused == ["INVALID_BOOK", "INVALID_BOOK"]
    (told,) = report.instruments
    assert told.gap_seconds == pytest.approx(2.22)
    assert (report.gaps, told.trades_missing) == (2, 89)  # the trades of that time are lost, too
