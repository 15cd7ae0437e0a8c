"""Stops and if-touched orders, from the stream file to the fill: at prices that stood or traded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fairlead.engine.recording.importers.binance import import_binance
from tests.parity.oracle import judge
from tests.parity.orders import Rules, orders_of
from tests.parity.tape import of_catalog
from tests.parity.test_cases import (
    BEGIN_NS,
    FEES,
    MS,
    NAME,
    WIDE,
    fills_of,
    follow,
    imported,
)
from tests.support.order_lines import order_lines
from tests.support.processes import run
from tests.unit import backtest_kit as kit

FIRED_MS = 1004.0  # the trade of 3.0 at 98.95, through bids of 99.50 to 99.30
NEXT_MS = 1096.0  # the book after it: 5.0 each at 98.90, 98.80 and 98.70


def taken(
    name: str, folder: Path, steps: Sequence[Sequence[Any]]
) -> list[list[tuple[str, str, float]]]:
    """The fills of each order: price, quantity, ms."""
    _, catalog = imported(f"stop-{name}.txt.gz", folder)
    strategy, orders = follow(catalog, folder, steps)
    assert strategy.refused == []
    return [fills_of(order) for order in orders]


@pytest.mark.parametrize("name", ["first", "lag", "lagfar"])
def test_a_stop_gets_nothing_of_what_the_trade_that_fires_it_took(
    name: str, tmp_path: Path
) -> None:
    """No bid was shown at 98.95: whoever stood there met the trade."""
    steps = [[0, "stop", "SELL", "1.0", "99.00", "97.00"]]
    assert taken(name, tmp_path, steps) == [[("98.90", "1.0", NEXT_MS)]]


@pytest.mark.parametrize("name", ["first", "lag"])
def test_it_takes_the_next_book_at_its_prices(name: str, tmp_path: Path) -> None:
    steps = [[0, "stop", "SELL", "12.0", "99.00", "97.00"]]
    (fills,) = taken(name, tmp_path, steps)
    assert fills == [
        ("98.90", "5.0", NEXT_MS),
        ("98.80", "5.0", NEXT_MS),
        ("98.70", "2.0", NEXT_MS),
    ]


def test_stops_of_one_trade_share_the_book_after_it(tmp_path: Path) -> None:
    steps = [[0, "stop", "SELL", "4.0", f"99.0{n}", f"97.0{n}"] for n in range(4)]
    total: dict[str, Decimal] = {}
    for fills in taken("first", tmp_path, steps):
        for price, quantity, ms in fills:
            if ms == NEXT_MS:
                total[price] = total.get(price, Decimal(0)) + Decimal(quantity)
    assert total == {"98.90": 5, "98.80": 5, "98.70": 5}


def test_a_gap_beyond_the_limit_rests(tmp_path: Path) -> None:
    steps = [[0, "stop", "SELL", "1.0", "99.0", "97.0"]]
    assert taken("gap", tmp_path, steps) == [[]]


def test_it_can_be_moved_after_the_market_which_has_passed_its_trigger(tmp_path: Path) -> None:
    steps = [[0, "stop", "SELL", "1.0", "99.0", "97.0"], [1500, "reprice", "95.0"]]
    ((fill,),) = taken("gap", tmp_path, steps)
    assert fill[:2] == ("95.0", "1.0")


def test_a_touch_does_not_fill_the_queue(tmp_path: Path) -> None:
    steps = [[0, "limit", "BUY", "1.0", "99.5"], [0, "stop", "SELL", "1.0", "99.0", "97.0"]]
    assert taken("touch", tmp_path, steps) == [[], []]


def test_a_buy_stop_gets_the_new_ask(tmp_path: Path) -> None:
    steps = [[0, "stop", "BUY", "1.0", "100.00", "102.00"]]
    assert taken("rise", tmp_path, steps) == [[("100.05", "1.0", 1005.0)]]


def test_a_touched_order_gets_the_market_too(tmp_path: Path) -> None:
    steps = [[0, "stop", "BUY", "1.0", "99.00", "103.00", "lte"]]
    (fills,) = taken("first", tmp_path, steps)
    assert fills == [("99.60", "1.0", FIRED_MS)]  # the ask, which a sale leaves where it was
    steps = [[0, "stop", "SELL", "1.0", "100.00", "95.00", "gte"]]
    (fills,) = taken("rise", tmp_path / "rise", steps)
    assert fills == [("99.95", "1.0", 1005.0)]


def test_a_market_order_ends_with_the_known_book(tmp_path: Path) -> None:
    _, catalog = imported("stop-first.txt.gz", tmp_path)
    _, (order,) = follow(catalog, tmp_path, [[0, "market", "SELL", "20.0"]])
    assert fills_of(order) == [("99.50", "5.0", 5.0), ("99.40", "5.0", 5.0), ("99.30", "5.0", 5.0)]
    ended = order.last_event
    assert type(ended).__name__ == "OrderCanceled"
    assert (ended.ts_event - BEGIN_NS) / MS == 5.0


def test_one_without_a_limit_waits_for_the_touch_and_nothing_is_said_of_it(tmp_path: Path) -> None:
    _, catalog = imported("stop-first.txt.gz", tmp_path)
    steps = [[0, "bare", "SELL", "1.0", "99.00"]]
    params = {"instrument_id": NAME, "script": json.dumps(steps).replace('"', '\\"')}
    config = kit.config(
        tmp_path,
        catalog,
        "tests.parity.scripted:Scripted",
        params,
        instrument=NAME,
        account="cash",
        fees=FEES,
        balances=("100000 USDT", "1000 AAA"),
        risk=WIDE,
    )
    done = run("backtest", config, "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stdout + done.stderr
    (one,) = json.loads((tmp_path / "out" / "orders.jsonl").read_text())["fills"]
    assert (one["price"], (one["ts_event"] - BEGIN_NS) / MS) == ("98.90", NEXT_MS)


RECORDING = (
    Path(__file__).resolve().parents[3] / "shared" / "data" / "binance_spot_btcusdt_20240809.gz"
)


@pytest.mark.long
def test_no_stop_on_a_real_file_fills_where_nothing_stood(tmp_path: Path) -> None:
    if not RECORDING.exists():
        pytest.skip(f"{RECORDING.name} is not beside the repository; the made-up markets run")
    catalog = tmp_path / "catalog"
    import_binance(RECORDING, catalog)
    tapes = of_catalog(catalog)
    steps = []
    for price in (61700, 61680, 61650, 61610, 61570):  # the market stands at 61712 and falls
        steps.append([5000, "stop", "SELL", "0.00100", f"{price}.00", f"{price - 400}.00"])
        steps.append([5000, "stop", "BUY", "0.00100", f"{price}.00", f"{price + 400}.00", "lte"])
    params = {
        "instrument_id": "BTCUSDT.BINANCE",
        "script": json.dumps(steps).replace('"', '\\"'),
    }
    result = kit.run(
        tmp_path,
        catalog,
        "tests.parity.scripted:Scripted",
        params,
        instrument="BTCUSDT.BINANCE",
        account="cash",
        fees='{ maker = "0.001", taker = "0.001" }',
        balances=("100000 USDT", "2 BTC"),
        latency_ms="5",
        risk='max_order_notional = "10000000 USDT"\nprice_collar_bps = "500"',
    )
    rules = Rules(latency_ns=5 * MS)
    orders = orders_of(order_lines(result.cache), rules)
    result.dispose()
    assert sum(bool(order.fills) for order in orders) == 10
    assert [str(one) for one in judge(orders, tapes, rules)] == []
