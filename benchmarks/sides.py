"""The contenders of `python -m benchmarks`: each gives seconds of processor time, of its own work.

A run is timed as a whole, by `time.perf_counter`, which is a clock of processor time by then; what
is done many times is given as its median.
"""

from __future__ import annotations

import gc
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.model import Price, Quantity

from benchmarks import backtest_ratio, datasets, gate, import_peer, import_ratio, parse_oceanex
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.journal_schema import record_crc
from fairlead.engine.orders.model import Intent, Kind, OrderState, Side

RESTING = 50  # live orders beside the one that is checked
ORDERS = 1500
PIECES = 4000
FEW, MANY = "few.toml", "many.toml"
# Quotes at the touch, moved at every change of it: an order for each 30 events of a recording
BUSY = {"half_spread_bps": "0.2", "requote_ms": 20, "requote_bps": "0.05"}


# What keeps a contender from running, where something does: its name, and a function that tells
MISSING: Mapping[str, Callable[[], str]] = {"convert": import_peer.missing}


def prepare(folder: Path) -> str:
    """What all contenders read; says what it is."""
    source, what = datasets.source_catalog(folder)
    catalog = datasets.repeated(source, folder / "repeated", 1)
    datasets.write_config(folder, catalog, FEW)
    datasets.write_config(folder, catalog, MANY, BUSY, orders_per_second=100)
    return what


def run_of(kind: Callable[[Path], Mapping[str, Any]], config: str) -> Callable[[Path], float]:
    return lambda folder: float(kind(folder / config)["run_secs"])


def imported(kind: Callable[[Path, Path], Callable[[], object]]) -> Callable[[Path], float]:
    def run(data: Path) -> float:
        file, _ = datasets.stream_file(data)
        with tempfile.TemporaryDirectory() as folder:
            work = kind(file, Path(folder))
            gc.collect()
            gc.disable()
            before = import_ratio.processor_time()
            work()
            return import_ratio.processor_time() - before

    return run


def converted(data: Path) -> float:
    file, _ = datasets.stream_file(data)
    return import_peer.measured("convert", file)["cpu"]


def piece(work: Callable[[], object], count: int = PIECES) -> float:
    """The median of many, seconds."""
    took = []
    for _ in range(count):
        before = time.perf_counter_ns()
        work()
        took.append(time.perf_counter_ns() - before)
    return statistics.median(took) / 1e9


def checked(_: Path) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return statistics.median(gate.run(RESTING, Path(folder))["both"]) / 1e6


def numbers(_: Path) -> float:
    """One price and one quantity, ten at a time: one alone is near what a clock can tell."""

    def ten() -> None:
        for _ in range(10):
            Price.from_str("61659.70")
            Quantity.from_str("0.123")

    return piece(ten) / 10


def intent(number: int) -> Intent:
    return Intent(
        client_order_id=f"00000000-0000-4000-8000-{number:012d}",
        strategy="Maker-001",
        instrument="BTC_USDT.OCEANEX",
        side=Side.BUY,
        kind=Kind.LIMIT,
        quantity=datasets.SIZE,
        price=datasets.PRICE,
        post_only=True,
        ts_init=number,
    )


def journaled(_: Path) -> float:
    """One of the four writes of an order that is accepted and cancelled."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.sqlite", fsync=False, now_ns=time.time_ns)
        numbers = iter(range(ORDERS))

        def order() -> None:
            one = intent(next(numbers))
            name = one.client_order_id
            journal.intend([one])
            journal.accepted(name, f"7{name[-9:]}", instrument=one.instrument)
            journal.cancel_requested([name])
            journal.state(name, OrderState.CANCELED, None)

        took = piece(order, ORDERS) / 4
        journal.close()
        return took


def inserted(_: Path) -> float:
    """The bytes of an intent, into a table with the journal's columns, committed."""
    with tempfile.TemporaryDirectory() as folder:
        db = sqlite3.connect(Path(folder) / "bare.sqlite", isolation_level=None)
        for word in ("journal_mode=WAL", "synchronous=OFF", "wal_autocheckpoint=0"):
            db.execute(f"PRAGMA {word}")
        db.execute("CREATE TABLE records (seq INTEGER PRIMARY KEY, ts, kind, id, body, crc)")
        rows = []
        for number in range(ORDERS):
            one = intent(number)
            name, body = one.client_order_id, msgspec.json.encode(one)
            crc = record_crc(number, "INTENT", name, body)
            rows.append((number, "INTENT", name, body, crc))
        given = iter(rows)
        statement = "INSERT INTO records (ts, kind, id, body, crc) VALUES (?, ?, ?, ?, ?)"
        took = piece(lambda: db.execute(statement, next(given)), ORDERS)
        db.close()
        return took


def frames(make: Callable[..., list[bytes]], *, whole: bool) -> Callable[[Path], float]:
    """OceanEx book frames as the venue sends them."""

    def run(_: Path) -> float:
        given = make(random.Random(1), double=True)
        if not whole:
            return parse_oceanex.median_us(parse_oceanex.decode_only(), given) / 1e6
        feed = parse_oceanex.stream()
        return parse_oceanex.median_us(lambda data: feed.received(data, 1), given) / 1e6

    return run


SIDES: Mapping[str, Callable[[Path], float]] = {
    "backtest": run_of(backtest_ratio.run_fairlead, FEW),
    "backtest-bare": run_of(backtest_ratio.run_bare, FEW),
    "orders": run_of(backtest_ratio.run_fairlead, MANY),
    "orders-bare": run_of(backtest_ratio.run_bare, MANY),
    "orders-ungated": run_of(backtest_ratio.run_helped, MANY),
    "import": imported(import_ratio.run_import),
    "reader": imported(import_ratio.run_reader),
    "convert": converted,
    "gate": checked,
    "numbers": numbers,
    "journal": journaled,
    "insert": inserted,
    "book-few": frames(parse_oceanex.few_changes, whole=True),
    "decode-few": frames(parse_oceanex.few_changes, whole=False),
    "book-all": frames(parse_oceanex.moving, whole=True),
    "decode-all": frames(parse_oceanex.moving, whole=False),
}
