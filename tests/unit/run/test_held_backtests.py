"""Held orders in a backtest of a venue's own adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model import (
    BookAction,
    BookOrder,
    OrderBookDelta,
    OrderSide,
    Price,
    Quantity,
    RecordFlag,
)
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.run.backtest import RunResult
from tests.unit.backtest_kit import SECOND_NS, START_NS, run, scripted, spot

ONE = "tests.data.held_steps:OneOrder"


def played(
    folder: Path, venue: str, mids: list[str], latency_ms: str, *, more: str = "", **params: Any
) -> RunResult:
    instrument = f"BTC_USDT.{venue.upper()}"
    catalog = scripted(folder / "catalog", spot(instrument), mids)
    return run(
        folder,
        catalog,
        ONE,
        {"instrument_id": instrument, **params},
        instrument=instrument,
        adapter=venue,
        account="cash",
        balances=("100000 USDT", "10 BTC"),
        latency_ms=latency_ms,
        backtest=more,
    )


@pytest.mark.parametrize("side", ["SELL", "BUY"])
def test_a_stop_that_is_passed_when_it_comes_is_held_at_piexgo(tmp_path: Path, side: str) -> None:
    """By the last trade, which has passed it while it was on its way: the next fires it."""
    falls = ["100", "99", "98", "97", "97"]
    mids = falls if side == "SELL" else [str(200 - int(one)) for one in falls]
    trigger, limit = ("99.5", "96") if side == "SELL" else ("100.5", "104")
    condition = "lte" if side == "SELL" else "gte"
    result = played(
        tmp_path,
        "piexgo",
        mids,
        "1500",
        side=side,
        trigger=trigger,
        limit=limit,
        condition=condition,
    )
    (order,) = result.cache.orders()
    assert (result.summary.fills, str(order.status.name)) == (1, "FILLED")
    touch = {"SELL": 97.9, "BUY": 102.1}[side]  # of the book that the next trade meets
    assert float(order.avg_px) == touch
    result.dispose()


@pytest.mark.parametrize("side", ["SELL", "BUY"])
def test_an_if_touched_order_fires_by_the_mid_at_zerocap(tmp_path: Path, side: str) -> None:
    """The touch never comes so far."""
    falls = ["100", "99.5", "99", "99", "99.5"]
    mids = falls if side == "BUY" else [str(200 - float(one)) for one in falls]
    trigger, limit = ("99", "99.5") if side == "BUY" else ("101", "100.5")
    condition = "lte" if side == "BUY" else "gte"
    result = played(
        tmp_path,
        "zerocap",
        mids,
        "1",
        side=side,
        trigger=trigger,
        limit=limit,
        condition=condition,
        more='[venues.zerocap.held]\nsource = "mid"',
    )
    (order,) = result.cache.orders()
    assert (order.order_type.name, order.status.name) == ("LIMIT_IF_TOUCHED", "FILLED")
    assert float(order.avg_px) == {"BUY": 99.1, "SELL": 100.9}[side]
    assert order.ts_last == START_NS + 2 * SECOND_NS
    assert result.summary.events == 10  # a book and a trade a second: what is shown is none
    result.dispose()


@pytest.mark.parametrize("side", ["SELL", "BUY"])
def test_one_that_the_exchange_takes_for_passed_and_we_do_not_is_sent_anew(
    tmp_path: Path, side: str
) -> None:
    """The mid lies between two prices: the order waits, whatever the exchange says of it."""
    instrument = spot("BTC_USDT.ZEROCAP")
    (tmp_path / "catalog").mkdir()
    catalog = ParquetDataCatalog(str(tmp_path / "catalog"))
    catalog.write_instruments([instrument])
    touches = [("99.8", "100.1"), ("99.8", "100.1"), ("99.8", "100.1"), ("99.8", "100.0")]
    if side == "SELL":
        touches[-1] = ("99.9", "100.1")
    touches.append(touches[0])
    deltas: list[OrderBookDelta] = []
    for at, touch in enumerate(touches):
        deltas += best(instrument, *touch, START_NS + at * SECOND_NS, at)
    catalog.write_order_book_deltas(deltas)
    result = run(
        tmp_path,
        tmp_path / "catalog",
        "tests.data.held_steps:OneBare",
        {
            "instrument_id": "BTC_USDT.ZEROCAP",
            "side": side,
            "trigger": "99.9" if side == "BUY" else "100",
            "limit": "1",
            "condition": "lte" if side == "BUY" else "gte",
        },
        instrument="BTC_USDT.ZEROCAP",
        adapter="zerocap",
        account="cash",
        balances=("100000 USDT", "10 BTC"),
        latency_ms="100",
        backtest='[venues.zerocap.held]\nsource = "mid"',
    )
    (order,) = result.cache.orders()
    assert result.summary.fills == 1
    assert float(order.avg_px) == {"BUY": 100.0, "SELL": 99.9}[side]
    assert order.ts_last - START_NS - 3 * SECOND_NS in (0, 1)  # once the exchange has the book
    result.dispose()


def best(instrument: Any, bid: str, ask: str, ts: int, sequence: int) -> list[OrderBookDelta]:
    rows = ((OrderSide.BUY, bid, 0), (OrderSide.SELL, ask, RecordFlag.F_LAST.value))
    found = [OrderBookDelta.clear(instrument.id, sequence, ts, ts)]
    for side, price, last in rows:
        order = BookOrder(side, Price.from_str(price), Quantity.from_str("5.000"), 0)
        flags = RecordFlag.F_SNAPSHOT.value | last
        found.append(OrderBookDelta(instrument.id, BookAction.ADD, order, flags, sequence, ts, ts))
    return found
