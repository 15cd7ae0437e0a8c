"""What a recording costs, minute by minute, and whether an old folder costs more than a new one.

    python benchmarks/recording_soak.py [--minutes N] [--promote-secs N] [--hours N] [--old-files N]

1. `fairlead record` of three instruments of the simulated OceanEx for `--minutes`: files in the
   catalog and in its journal, and processor time of the run with all that it started, each minute.
   `--promote-secs` short of the default of 300 presses more promotions into a minute.
2. The catalog over `--hours` of such a recording, without waiting for them: files and processor
   time of each hour's promotions and joins.
3. Processor time of a short run on a new folder, and on one with `--old-files` Parquet files.

Exit 1 when the last minute or hour costs more than twice the median of all, or an old folder's
start more than half as much again as a new one's.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from nautilus_trader.model import (  # noqa: E402
    AggressorSide,
    InstrumentId,
    Price,
    Quantity,
    TradeId,
    TradeTick,
)

from fairlead.engine.recording.compact import Joins, compact  # noqa: E402
from fairlead.engine.recording.promote import CatalogLock  # noqa: E402
from fairlead.engine.recording.rows import KINDS, write_rows  # noqa: E402
from tests.support import configs  # noqa: E402
from tests.support.processes import Venue, run, start, venue  # noqa: E402

NAMES = ("BTC_USDT", "ETH_USDT", "VET_USDT")
PERIOD_SECS = 300
ROWS = 3_000  # of an instrument in a period: 10 a second
RUNS = 3
SECOND_NS = 1_000_000_000
BEGIN_NS = 1_790_035_200 * SECOND_NS  # a midnight
NOISE_SECS = 0.3  # of processor time: what differs from run to run


def written(folder: Path, served: Venue, promote_secs: int) -> Path:
    folder.mkdir()
    return configs.write(
        folder,
        served,
        strategies=[],
        instruments=NAMES,
        more=f'[record]\ndir = "data"\npromote_secs = {promote_secs}\n',
    )


def cpu_secs(pid: int) -> float:
    """Of a process, and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def files(folder: Path, pattern: str) -> int:
    return sum(1 for _ in folder.rglob(pattern))


def minutes(served: Venue, folder: Path, count: int, promote_secs: int) -> list[float]:
    catalog = folder / "data" / "catalog"
    running = start("record", written(folder, served, promote_secs), log=folder.parent / "soak.log")
    costs = []
    print(f"minute  parquet  journal  cpu s   (promoted each {promote_secs} s)")
    try:
        before = cpu_secs(running.pid)
        for minute in range(1, count + 1):
            time.sleep(60)
            now = cpu_secs(running.pid)
            costs.append(now - before)
            before = now
            parquet = files(catalog / "data", "*.parquet")
            journal = files(catalog / "journal", "*.feather*")
            print(f"{minute:6}  {parquet:7}  {journal:7}  {costs[-1]:5.2f}", flush=True)
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(60)
    return costs


def trade(name: str, number: int, ts: int) -> TradeTick:
    price, size = Price.from_str(f"{100 + number % 7}.00"), Quantity.from_str("0.001")
    instrument = InstrumentId.from_str(name)
    return TradeTick(instrument, price, size, AggressorSide.BUY, TradeId(str(ts)), ts, ts)


def hours(catalog: Path, count: int) -> list[float]:
    print("  hour  parquet  cpu s   (of promotions and joins)")
    costs, problems = [], []
    CatalogLock(catalog)
    for hour in range(count):
        cost = 0.0
        for period in range(3600 // PERIOD_SECS):
            begin_ns = BEGIN_NS + (hour * 3600 + period * PERIOD_SECS) * SECOND_NS
            step_ns = PERIOD_SECS * SECOND_NS // ROWS
            for name in (f"{one}.OCEANEX" for one in NAMES):
                rows = [trade(name, at, begin_ns + at * step_ns) for at in range(ROWS)]
                began = time.process_time()
                write_rows(rows, KINDS["trades"], catalog)
                cost += time.process_time() - began
            began = time.process_time()
            compact(catalog, begin_ns + PERIOD_SECS * SECOND_NS, problems, Joins.RECENT)
            cost += time.process_time() - began
        costs.append(cost)
        print(f"{hour + 1:6}  {files(catalog / 'data', '*.parquet'):7}  {cost:5.2f}", flush=True)
    assert not problems, problems
    return costs


def starts(served: Venue, folder: Path, old_files: int) -> tuple[float, float]:
    """Median processor time of a run of a second, on a new folder and on an old one."""
    found = []
    for kind in ("new", "old"):
        costs = []
        for number in range(RUNS):
            config = written(folder / f"{kind}{number}", served, 300)
            if kind == "old":
                catalog = config.parent / "data" / "catalog"
                for at in range(old_files):
                    name = f"{NAMES[at % 3]}.OCEANEX"
                    rows = [trade(name, at, BEGIN_NS + at * SECOND_NS)]
                    write_rows(rows, KINDS["trades"], catalog)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            began = time.monotonic()
            assert run("record", config, "--for", "1", timeout_secs=300).returncode == 0
            wall = time.monotonic() - began
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cost = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
            costs.append(cost)
            print(f"  start on {kind} folder: {cost:.2f} s of processor time, {wall:.2f} s in all")
        found.append(statistics.median(costs))
    return found[0], found[1]


def main() -> int:
    parse = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parse.add_argument("--minutes", type=int, default=3)
    parse.add_argument("--promote-secs", type=int, default=10)
    parse.add_argument("--hours", type=int, default=26)
    parse.add_argument("--old-files", type=int, default=3_000)
    given = parse.parse_args()
    good = True
    with tempfile.TemporaryDirectory(prefix="fairlead-soak-") as name:
        folder = Path(name)
        with venue("oceanex", folder / "venue", "--seed", "1") as served:
            costs = minutes(served, folder / "soak", given.minutes, given.promote_secs)
            (folder / "starts").mkdir()
            new, old = starts(served, folder / "starts", given.old_files)
        (folder / "hours").mkdir()
        by_hour = hours(folder / "hours", given.hours)
    for what, found in (("minute", costs), ("hour", by_hour)):
        if found:
            usual = statistics.median(found)
            good &= found[-1] <= 2 * usual + NOISE_SECS
            print(f"last {what} {found[-1]:.2f} s, median {usual:.2f} s")
    good &= old <= 1.5 * new + NOISE_SECS
    print(f"a start: {new:.2f} s on a new folder, {old:.2f} s with {given.old_files:,} files")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
