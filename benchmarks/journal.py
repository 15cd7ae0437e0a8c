"""What a large order journal costs: the restart on it, `fairlead explain`, and one write.

    python benchmarks/journal.py [--records N] [--folder DIR]

Builds a journal of N records (default 1,000,000) by the journal's own methods: finished orders with
fills, replacements and cancels, and 200 open ones, of which every tenth has an unknown outcome.
With --folder it is kept there, and used again the next time. A restart is opening the file and all
that the order desk reads of it before and while it compares with the venue; a first start after the
machine was started looks at the whole file besides. Each is taken in processes of its own, the
least of several, with the file in memory and without. Writes go to a copy of the large journal,
with `journal_fsync` never and always side by side. Prints each limit and whether it is met; the
exit code is 1 when one is not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import UUID

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fairlead.engine.orders.desk import OrderDesk  # noqa: E402
from fairlead.engine.orders.journal import Journal  # noqa: E402
from fairlead.engine.orders.journal_schema import SCHEMA_VERSION  # noqa: E402
from fairlead.engine.orders.live import DeskSettings  # noqa: E402
from fairlead.engine.orders.model import (  # noqa: E402
    Absent,
    Capabilities,
    Intent,
    Kind,
    OrderState,
    Refused,
    Side,
    Tif,
    Unknown,
    VenueFill,
    VenueOrder,
)

RECOVERY_SECS = 3.0
EXPLAIN_SECS = 1.0
WRITE_US = 60.0
RECORDS = 1_000_000
OPEN = 200
RUNS = 5
WRITES = 4_000  # orders; each is four writes
WRITES_SYNCED = 250
BATCH = 5_000  # records a transaction while building
START_NS = 1_750_000_000_000_000_000
INSTRUMENTS = ("BTC_USDT.OCEANEX", "ETH_USDT.OCEANEX", "XRP_USDT.OCEANEX")
NAME = "oceanex-main.journal.sqlite"
CONFIG = """
name = "journal-benchmark"

[venues.oceanex]
adapter = "oceanex"
instruments = ["BTC_USDT.OCEANEX", "ETH_USDT.OCEANEX", "XRP_USDT.OCEANEX"]

[[strategies]]
id = "Breakout-001"
path = "fairlead.strategies.breakout:Breakout"

[risk]
max_order_notional = "1000 USDT"
"""


# -- building --------------------------------------------------------------------------------------


class Bulk(Journal):
    """The journal's own methods, with many of them in one transaction."""

    @contextmanager
    def _transaction(self) -> Iterator[None]:  # type: ignore[override]
        yield


class Builder:
    """Writes orders one after the other, on its own clock."""

    def __init__(self, path: Path, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._now = START_NS
        self._numbers = 0
        self.records = 0
        self.journal = Bulk(path, fsync=False, now_ns=self._tick)

    def _tick(self) -> int:
        self.records += 1
        self._now += self._random.randint(100_000, 200_000_000)
        return self._now

    def _number(self) -> int:
        self._numbers += 1
        return 7_000_000_000 + self._numbers

    def intent(self) -> Intent:
        pick = self._random
        return Intent(
            client_order_id=str(UUID(int=pick.getrandbits(128), version=4)),
            strategy=f"Maker-{pick.randint(1, 4)}",
            instrument=pick.choice(INSTRUMENTS),
            side=pick.choice(list(Side)),
            kind=Kind.LIMIT,
            quantity=Decimal(pick.randint(10, 9_999)) / 10_000,
            price=Decimal(pick.randint(900_000, 1_100_000)) / 10,
            post_only=True,
            ts_init=self._now,
        )

    def told(self, intent: Intent, number: int, state: OrderState, filled: Decimal) -> VenueOrder:
        """What the venue says of the order."""
        return VenueOrder(
            venue_order_id=str(number),
            instrument=intent.instrument,
            side=intent.side,
            kind=intent.kind,
            state=state,
            quantity=intent.quantity,
            filled=filled,
            price=intent.price,
            trades_count=3,
            ts_created=self._now - 1_000_000,
            ts_updated=self._now,
        )

    def accepted(self) -> tuple[Intent, int]:
        intent, number = self.intent(), self._number()
        self.journal.intend([intent])
        self.journal.accepted(intent.client_order_id, str(number), instrument=intent.instrument)
        return intent, number

    def fills(self, intent: Intent, number: int, times: int) -> None:
        for _ in range(times):
            self.journal.fill(
                intent, self.execution(intent, number, intent.quantity / 8), Decimal(0)
            )

    def execution(self, intent: Intent, number: int, quantity: Decimal) -> VenueFill:
        assert intent.price is not None
        return VenueFill(
            venue_order_id=str(number),
            trade_id=str(self._number()),
            instrument=intent.instrument,
            side=intent.side,
            quantity=quantity,
            price=intent.price,
            fee=quantity * intent.price / 1000,
            fee_currency="USDT",
            is_maker=True,
            ts_event=self._now,
        )

    def finished(self) -> None:
        """One order's whole life: replaced now and then, filled or cancelled at the end."""
        draw = self._random.random()
        if draw < 0.03:
            intent = self.intent()
            self.journal.intend([intent])
            refusal: Refused | Absent = Refused("1002", "not enough balance")
            if draw < 0.005:
                self.journal.state(intent.client_order_id, OrderState.UNKNOWN, Unknown("timeout"))
                refusal = Absent("three complete looks")
            self.journal.state(intent.client_order_id, OrderState.REFUSED, refusal)
            return
        intent, number = self.accepted()
        cid = intent.client_order_id
        while self._random.random() < 0.2:
            number = self._number()
            self.journal.replacing(cid, intent)
            self.journal.replaced(cid, intent, str(number))
        if draw < 0.5:
            self.fills(intent, number, 8)
            self.journal.state(cid, OrderState.FILLED, None)
            return
        times = self._random.choice((0, 0, 1, 4))
        self.fills(intent, number, times)
        self.journal.cancel_requested([cid])
        end = self.told(intent, number, OrderState.CANCELED, intent.quantity / 8 * times)
        self.journal.state(cid, OrderState.CANCELED, end)

    def open(self) -> None:
        """An order that the restart has to take over; one of ten has an unknown outcome."""
        if self._random.random() < 0.1:
            intent = self.intent()
            self.journal.intend([intent])
            self.journal.state(intent.client_order_id, OrderState.UNKNOWN, Unknown("timeout"))
            return
        intent, number = self.accepted()
        self.fills(intent, number, self._random.choice((0, 0, 2)))

    def build(self, records: int, open_orders: int) -> None:
        db = self.journal._db
        every = max(1, records // open_orders)  # open orders are found all over the file
        db.execute("BEGIN")
        committed = opened = 0
        while self.records < records:
            if self.records >= opened * every:
                opened += 1
                self.open()
            self.finished()
            if self.records - committed >= BATCH:
                committed = self.records
                db.execute("COMMIT")
                db.execute("BEGIN")
        db.execute("COMMIT")
        self.journal.close()


def built(folder: Path, records: int) -> Path:
    """The journal in the folder's state directory; one of the same size is used again."""
    path = folder / "state" / NAME
    done = folder / f"built-{SCHEMA_VERSION}-{records}"
    if done.exists():
        return path
    for old in (*folder.glob("built-*"), *folder.glob(f"state/{NAME}*")):
        old.unlink()
    start = time.monotonic()
    builder = Builder(path)
    builder.build(records, OPEN)
    (folder / "bench.toml").write_text(CONFIG)
    done.touch()
    size = path.stat().st_size / 1e6
    print(f"built {builder.records} records, {size:.0f} MB, in {time.monotonic() - start:.0f} s")
    return path


# -- measuring -------------------------------------------------------------------------------------


def restart(path: Path) -> list[float]:
    """What `fairlead live` does with the journal of an account until it is compared: seconds."""
    start = time.perf_counter()
    journal = Journal(path, fsync=True, now_ns=lambda: START_NS)
    desk = OrderDesk(
        venue=cast(Any, None),
        journal=journal,
        sink=cast(Any, None),
        capabilities=Capabilities(
            kinds=frozenset(Kind), time_in_force=frozenset(Tif), replace=True
        ),
        settings=DeskSettings(),
        base_currency=lambda _: "BTC",
        now_ns=lambda: START_NS,
    )
    live = desk.adopt_journal()
    assert journal.positions()
    for order in live:
        intent = order.intent
        if order.venue_order_id is None:
            assert journal.known_venue_ids(intent.instrument, order.ts_sent - 60 * 10**9)
        else:
            owner = journal.order_by_venue_id(intent.instrument, order.venue_order_id)
            assert owner == intent.client_order_id
    seconds = time.perf_counter() - start
    assert len(live) >= OPEN
    journal.close()
    return [seconds]


def killed(path: Path) -> list[float]:
    """What `fairlead kill` reads before its first cancel: seconds."""
    start = time.perf_counter()
    journal = Journal.reading(path)
    orders = journal.open_orders()
    seconds = time.perf_counter() - start
    assert len(orders) >= OPEN
    journal.close()
    return [seconds]


def whole(path: Path) -> list[float]:
    """Each page and each checksum: seconds."""
    journal = Journal.reading(path)
    start = time.perf_counter()
    problems = journal.problems()
    seconds = time.perf_counter() - start
    assert not problems, problems
    journal.close()
    return [seconds]


def writes(path: Path, *, fsync: bool) -> list[float]:
    """One order's writes after the other: microseconds of intent, acceptance, fill, end, by turns.

    A transaction each.
    """
    builder = Builder.__new__(Builder)
    builder._random = random.Random(time.time_ns())
    builder._now, builder._numbers = time.time_ns(), time.time_ns()
    builder.journal = journal = Journal(path, fsync=fsync, now_ns=time.time_ns)
    took: list[float] = []
    for _ in range(WRITES_SYNCED if fsync else WRITES):
        intent, number = builder.intent(), builder._number()
        cid = intent.client_order_id
        fill = builder.execution(intent, number, intent.quantity)
        end = builder.told(intent, number, OrderState.FILLED, intent.quantity)
        calls: tuple[Callable[[], object], ...] = (
            partial(journal.intend, [intent]),
            partial(journal.accepted, cid, str(number), instrument=intent.instrument),
            partial(journal.fill, intent, fill, Decimal(0)),
            partial(journal.state, cid, OrderState.FILLED, end),
        )
        for call in calls:
            start = time.perf_counter_ns()
            call()
            took.append((time.perf_counter_ns() - start) / 1000)
    journal.close()
    return took


MEASURES: dict[str, Callable[[Path], list[float]]] = {
    "restart": restart,
    "kill": killed,
    "whole": whole,
    "writes": partial(writes, fsync=False),
    "writes-synced": partial(writes, fsync=True),
}


def fresh(measure: str, path: Path) -> list[float]:
    """Take the measure in a process of its own."""
    command = [sys.executable, __file__, "--measure", measure, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return cast(list[float], json.loads(done.stdout))


def forget(path: Path) -> None:
    """Drop the file from the system's memory, as after the machine was started (Linux)."""
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)


def reboot(path: Path) -> None:
    """What the journal tells of the machine is of another run of it."""
    db = sqlite3.connect(path)
    with db:
        db.execute("UPDATE meta SET value = 'another' WHERE key = 'boot'")
    db.close()


def best(path: Path, measure: str, *before: Callable[[Path], None], runs: int = RUNS) -> float:
    seconds = []
    for _ in range(runs):
        for prepare in before:
            prepare(path)
        seconds += fresh(measure, path)
    return min(seconds)


def explained(path: Path, *before: Callable[[Path], None]) -> float:
    """`fairlead explain` of an old order by the id that the venue gave it: seconds, all in all."""
    db = sqlite3.connect(path)
    middle = "SELECT venue_order_id FROM venue_ids ORDER BY ts LIMIT 1 OFFSET 1000"
    order_id = db.execute(middle).fetchone()[0]
    db.close()
    config = str(path.parent.parent / "bench.toml")
    command = [str(Path(sys.executable).with_name("fairlead")), "explain", order_id]
    seconds = []
    for _ in range(RUNS):
        for prepare in before:
            prepare(path)
        start = time.perf_counter()
        done = subprocess.run([*command, "--config", config], capture_output=True, text=True)
        seconds.append(time.perf_counter() - start)
        assert done.returncode == 0, done.stdout + done.stderr
        assert order_id in done.stdout
    return min(seconds)


# -- printing --------------------------------------------------------------------------------------


def reads(path: Path) -> bool:
    """Print what reading costs; whether every limit is met."""
    is_met = True
    rows: list[tuple[str, float, float | None]] = [
        ("restart", best(path, "restart"), RECOVERY_SECS),
        ("restart, file not in memory", best(path, "restart", forget), RECOVERY_SECS),
        (
            "first start of the machine, whole file",
            best(path, "restart", reboot, forget, runs=3),
            RECOVERY_SECS,
        ),
        ("fairlead explain", explained(path), EXPLAIN_SECS),
        ("fairlead explain, file not in memory", explained(path, forget), EXPLAIN_SECS),
        ("read by fairlead kill", best(path, "kill"), None),
        ("fairlead check --journals, the journal", best(path, "whole", runs=1), None),
    ]
    print(f"{'seconds':40} {'seen':>8} {'limit':>8}")
    for name, seconds, limit in rows:
        verdict = (
            "" if limit is None else f"{limit:8.1f} {'met' if seconds <= limit else 'NOT MET'}"
        )
        is_met = is_met and (limit is None or seconds <= limit)
        print(f"{name:40} {seconds:8.3f} {verdict}".rstrip())
    return is_met


def middle(took: list[float]) -> float:
    return sorted(took)[len(took) // 2]


def figures(took: list[float]) -> str:
    p99 = sorted(took)[len(took) * 99 // 100]
    return f"{middle(took):9.1f} {p99:9.1f} {sum(took) / len(took):9.1f}"


def printed_writes(path: Path) -> bool:
    """Print what a write costs with and without fsync, the best of several; is the limit met?"""
    copy = path.with_name("copy.sqlite")
    try:
        shutil.copyfile(path, copy)
        plain = [fresh("writes", copy) for _ in range(RUNS)]
        synced = fresh("writes-synced", copy)
    finally:
        for left in path.parent.glob("copy.sqlite*"):
            left.unlink()
    print(f"\n{'us a write':10} {'never p50':>9} {'p99':>9} {'mean':>9} ", end="")
    print(f"| {'always p50':>9} {'p99':>9} {'mean':>9}")
    slowest = 0.0
    for number, kind in enumerate(("intent", "accepted", "fill", "end")):
        best_run = min((run[number::4] for run in plain), key=middle)
        slowest = max(slowest, middle(best_run))
        print(f"{kind:10} {figures(best_run)} | {figures(synced[number::4])}")
    is_met = slowest <= WRITE_US
    print(f"without fsync, the slowest kind's p50: {slowest:.1f} us, limit {WRITE_US:g}: ", end="")
    print("met" if is_met else "NOT MET")
    return is_met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--folder", type=Path, help="keep the journal there, and use it again")
    parser.add_argument("--measure", nargs=2, metavar=("WHAT", "PATH"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        what, path = arguments.measure
        print(json.dumps(MEASURES[what](Path(path))))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if arguments.folder is None else arguments.folder.absolute()
        (folder / "state").mkdir(parents=True, exist_ok=True)
        path = built(folder, arguments.records)
        are_met = [reads(path), printed_writes(path)]
    busy, cores = os.getloadavg()[0], os.cpu_count() or 1
    if busy > cores:
        print(f"{busy:.0f} processes shared {cores} cores: measure again when nothing else runs")
    return 0 if all(are_met) else 1


if __name__ == "__main__":
    sys.exit(main())
