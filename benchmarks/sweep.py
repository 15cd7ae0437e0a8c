"""A search of 64 trials of 100,000 trades by two processes against one, and what a trial costs
beside its engine.

Each search is whole: processes started, data read, trials kept in the study, rows compared. Prints
both times, their ratio, and the cost of a trial beyond the time in its engine: the median of one,
and all of a search's, starts included, by trial. Fails below a ratio of 1.8 on two free cores, or
above 150 ms.

    python benchmarks/sweep.py [--trials 64] [--trades 100000]
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))
RATIO_MIN, COST_MAX_MS = 1.8, 150.0
INSTRUMENT = "BTCUSDT-PERP.BINANCE"
CONFIG = """
name = "benchmark"
[venues.binance]
adapter = "recorded"
instruments = ["BTCUSDT-PERP.BINANCE"]
account_type = "margin"
fees = { maker = "0.0002", taker = "0.0005" }
[[strategies]]
id = "Trend-001"
path = "fairlead.strategies.trend_follower:TrendFollower"
[strategies.params]
instrument_id = "BTCUSDT-PERP.BINANCE"
order_quantity = "0.010"
allow_short = true
[risk]
max_order_notional = "2000 USDT"
max_position = { "BTCUSDT-PERP.BINANCE" = "0.120" }
[simulated]
balances = ["100000 USDT"]
latency_ms = "5"
[backtest]
catalog = "catalog"
"""


def write_trades(root: Path, count: int) -> None:
    """Trades alone, of the seeded market."""
    from nautilus_trader.persistence import ParquetDataCatalog

    from fairlead.backtests.synthetic import Market, perpetual

    instrument = perpetual(INSTRUMENT)
    root.mkdir(parents=True)
    catalog = ParquetDataCatalog(str(root))
    catalog.write_instruments([instrument])
    market, trades = Market(instrument, seed=1), []
    market.snapshot()
    while len(trades) < count:
        trades += market.step()[1]
    catalog.write_trade_ticks(sorted(trades[:count], key=lambda one: one.ts_init))


class Search(NamedTuple):
    wall: float  # seconds of the whole
    costs: list[float]  # of each trial, beyond its engine
    ran: float  # in engines, of all
    rows: bytes
    mine: float  # CPU seconds of this process
    theirs: float  # and of those that it started


def search(folder: Path, jobs: int, trials: int) -> Search:
    from fairlead.engine.research.pool import Job, Processes
    from fairlead.engine.research.search import Plan
    from fairlead.engine.research.space import param_of
    from fairlead.engine.research.sweep import Sweep
    from fairlead.engine.research.trials import Registry
    from fairlead.engine.run.config import load
    from fairlead.engine.run.trial import Trials, basis

    began, before = time.perf_counter(), _cpu()
    config = folder / "run.toml"
    rests = basis(load(config))
    params = [param_of(f"fast=2..{trials // 8 + 1}:1", rests.keys)]
    params.append(param_of("slow=20..27:1", rests.keys))
    plan = Plan(params=tuple(params), trials=trials)
    pool = Processes(Trials, Job(str(config), {}), jobs)
    try:
        with Registry(folder / f"study-{jobs}") as registry:
            sweep = Sweep(registry, plan, rests.key, {})
            found = sweep.run(pool)
            rows = (sweep.write(found, {}, None) / "trials.json").read_bytes()
    finally:
        pool.close()
    wall = time.perf_counter() - began
    assert all(one.outcome.error is None for one in found), found[0].outcome.error
    costs = [one.outcome.wall_secs - one.outcome.run_secs for one in found]
    mine, theirs = (after - cpu for after, cpu in zip(_cpu(), before, strict=True))
    return Search(wall, costs, sum(one.outcome.run_secs for one in found), rows, mine, theirs)


def _cpu() -> tuple[float, float]:
    used = [resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    mine, theirs = (one.ru_utime + one.ru_stime for one in used)
    return mine, theirs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--trades", type=int, default=100_000)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_trades(folder / "catalog", told.trades)
        (folder / "run.toml").write_text(CONFIG)
        load_before = os.getloadavg()[0]
        one = search(folder, 1, told.trials)
        two = search(folder, 2, told.trials)
    print(f"{told.trials} trials of {told.trades:,} trades (load before: {load_before:.1f})")
    for name, jobs, some in (("one process", 1, one), ("two processes", 2, two)):
        share = (some.wall * jobs - some.ran) / told.trials * 1000
        print(
            f"{name}: {some.wall:.1f} s; beside the engine {median(some.costs) * 1000:.0f} ms a "
            f"trial (median), {share:.0f} ms with all of the search; CPU {some.mine:.1f} s, and "
            f"{some.theirs:.1f} s of its workers"
        )
    ratio, cost, same = one.wall / two.wall, median(two.costs) * 1000, one.rows == two.rows
    at_best = (one.mine + one.theirs) / (two.mine + two.theirs / 2)
    print(
        f"ratio {ratio:.2f} (at least {RATIO_MIN}), by CPU seconds {at_best:.2f}, "
        f"rows {'equal' if same else 'DIFFER'}"
    )
    return 0 if same and ratio >= RATIO_MIN and cost <= COST_MAX_MS else 1


if __name__ == "__main__":
    sys.exit(main())
