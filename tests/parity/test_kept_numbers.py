"""What is kept of a run, reckoned anew from its fills and the catalog: mark-outs, equity."""

from __future__ import annotations

from bisect import bisect_right
from decimal import Decimal
from pathlib import Path

import pytest
from nautilus_trader.model import BookAction, OrderBookDelta, OrderSide
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.research.report import report
from fairlead.engine.research.runs import Run
from fairlead.engine.run.backtest import run_backtest
from fairlead.engine.run.config import load
from tests.unit.backtest_kit import perpetual, write_catalog
from tests.unit.observe.test_same_bytes import PERP, all_strategies


@pytest.fixture(scope="module", params=[0, 1_200_000_000], ids=["one-clock", "two-clocks"])
def catalog(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clock of the venue agrees with that of the recorder, or is ahead of it."""
    root: Path = tmp_path_factory.mktemp("numbers") / "catalog"
    write_catalog(root, perpetual(PERP), seconds=90, seed=9)
    return root if not request.param else ahead(root, root.with_name("ahead"), request.param)


def ahead(root: Path, made: Path, by_ns: int) -> Path:
    made.mkdir()
    before, after = ParquetDataCatalog(str(root)), ParquetDataCatalog(str(made))
    after.write_instruments(before.instruments())
    after.write_order_book_deltas(
        [
            OrderBookDelta(
                *(one.instrument_id, one.action, one.order, one.flags, one.sequence),
                one.ts_event + by_ns,
                one.ts_init,
            )
            for one in before.query_order_book_deltas([PERP])
        ]
    )
    after.write_trade_ticks(before.query_trade_ticks([PERP]))
    return made


@pytest.fixture(scope="module")
def run(catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder: Path = tmp_path_factory.mktemp("ran")
    result = run_backtest(load(all_strategies(folder, catalog)))
    result.record().write(folder / "out")
    result.dispose()
    return Run.at(folder / "out")


@pytest.fixture(scope="module")
def mids(catalog: Path) -> tuple[list[int], list[Decimal]]:
    """Times, and the mid from then on: the deltas applied to plain dicts."""
    sides: dict[OrderSide, dict[Decimal, Decimal]] = {OrderSide.BUY: {}, OrderSide.SELL: {}}
    times, prices = [], []
    for delta in ParquetDataCatalog(str(catalog)).query_order_book_deltas([PERP]):
        if delta.action == BookAction.CLEAR:
            for levels in sides.values():
                levels.clear()
            continue
        price, levels = delta.order.price.as_decimal(), sides[delta.order.side]
        if delta.action == BookAction.DELETE:
            levels.pop(price, None)
        else:
            levels[price] = delta.order.size.as_decimal()
        if delta.flags & 128:  # F_LAST
            times.append(delta.ts_init)
            prices.append((max(sides[OrderSide.BUY]) + min(sides[OrderSide.SELL])) / 2)
    return times, prices


def at(mids: tuple[list[int], list[Decimal]], ts: int) -> Decimal:
    return mids[1][bisect_right(mids[0], ts) - 1]


def test_mark_outs_are_the_mids_of_the_recording(
    run: Run, mids: tuple[list[int], list[Decimal]]
) -> None:
    fills = run.rows("fills")
    assert len(fills) > 20
    seen = 0
    for fill in fills:
        for secs in (1, 10, 60):
            due = fill["ts_event"] + secs * 10**9
            if due > run.summary["end_ns"]:
                assert fill[f"mid_{secs}s"] is None
            else:
                seen += 1
                assert Decimal(fill[f"mid_{secs}s"]) == at(mids, due), (fill, secs)
    assert seen > len(fills)


def test_equity_by_time_is_cash_and_position_at_the_mid(
    run: Run, mids: tuple[list[int], list[Decimal]]
) -> None:
    fills, rows = run.rows("fills"), run.rows("equity")
    assert len(rows) > 80
    first = at(mids, rows[0]["ts"])
    for row in rows:
        mid, cash, position = at(mids, row["ts"]), Decimal(100000), Decimal(0)
        for fill in fills:
            if fill["ts_event"] <= row["ts"]:
                signed = Decimal(fill["quantity"]) * (1 if fill["side"] == "BUY" else -1)
                position += signed
                cash -= signed * Decimal(fill["price"]) + Decimal(fill["fee"])
        assert Decimal(row["equity"]) == cash + position * mid
        assert Decimal(row["kept"]) == 100000
        assert abs(Decimal(row["held"]) - 100000 * mid / first) < Decimal("0.0001")
    (worth,) = run.summary["equity"]["TEST"].values()
    assert abs(Decimal(rows[-1]["equity"]) - Decimal(worth["end"])) < Decimal("0.001")


def test_positions_and_latencies_follow_from_the_fills(run: Run) -> None:
    held: dict[str, Decimal] = {}
    for fill, row in zip(run.rows("fills"), run.rows("positions"), strict=True):
        sign = 1 if fill["side"] == "BUY" else -1
        name = fill["strategy"]
        held[name] = held.get(name, Decimal(0)) + sign * Decimal(fill["quantity"])
        assert (row["strategy"], Decimal(row["position"])) == (name, held[name])
    accepted = [row["accepted_ns"] for row in run.rows("latencies") if row["accepted_ns"]]
    assert min(accepted) >= 1_000_000  # simulated.latency_ms is 1


def test_the_report_means_what_the_recording_says(
    run: Run, mids: tuple[list[int], list[Decimal]]
) -> None:
    """Mark-outs in bps, fill ratio and maker share by strategy, from fills and catalog alone."""
    end = run.summary["end_ns"]
    for one in report(run)["execution"]:
        fills = [fill for fill in run.rows("fills") if fill["strategy"] == one["strategy"]]
        for secs in (1, 10, 60):
            gains = []
            for fill in fills:
                if fill["ts_event"] + secs * 10**9 <= end:
                    price, sign = Decimal(fill["price"]), 1 if fill["side"] == "BUY" else -1
                    after = at(mids, fill["ts_event"] + secs * 10**9)
                    gains.append(float(sign * (after - price) / price * 10_000))
            told = one["mark_outs"]["all"][f"{secs}s"]
            assert told["count"] == len(gains)
            if gains:
                assert told["mean"] == pytest.approx(sum(gains) / len(gains))
        orders = [row for row in run.rows("orders") if row["strategy"] == one["strategy"]]
        assert one["with_fills"] == len({fill["client_order_id"] for fill in fills})
        assert one["orders"] == len(orders)
