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
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

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


def search(folder: Path, jobs: int, trials: int) -> tuple[float, list[float], float, bytes]:
    """Seconds of the whole, each trial's beyond its engine, seconds in engines, the rows."""
    from fairlead.engine.research.pool import Job, Processes
    from fairlead.engine.research.search import Plan
    from fairlead.engine.research.space import param_of
    from fairlead.engine.research.sweep import Sweep
    from fairlead.engine.research.trials import Registry
    from fairlead.engine.run.config import load
    from fairlead.engine.run.trial import Trials, basis

    began = time.perf_counter()
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
    return wall, costs, sum(one.outcome.run_secs for one in found), rows


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
    for name, (wall, costs, ran, _) in (("one process", one), ("two processes", two)):
        jobs = 1 if name.startswith("one") else 2
        share = (wall * jobs - ran) / told.trials * 1000
        print(
            f"{name}: {wall:.1f} s; beside the engine {median(costs) * 1000:.0f} ms a trial "
            f"(median), {share:.0f} ms with all of the search"
        )
    ratio, cost = one[0] / two[0], median(two[1]) * 1000
    same = one[3] == two[3]
    print(f"ratio {ratio:.2f} (at least {RATIO_MIN}), rows {'equal' if same else 'DIFFER'}")
    return 0 if same and ratio >= RATIO_MIN and cost <= COST_MAX_MS else 1


if __name__ == "__main__":
    sys.exit(main())
