"""Throughput of a backtest through fairlead against a bare NautilusTrader BacktestNode.

Same data, same venue, same strategy file; the bare one has NautilusTrader's own Strategy for its
base class, so there is no gate and nothing is guarded. Rounds are interleaved, each run in a
process of its own. Prints events per second of both and their ratio; fails below 0.9.

Commands of the bare one arrive with the next data after they are due, ours when they are due, and
its fills are NautilusTrader's own; so that the orders can be compared, one more run has the bare
strategy on our simulated exchange, and is not timed.

    python benchmarks/backtest_ratio.py [--rounds 5] [--times 4]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))
RATIO_MIN = 0.9
# What the guarded base class gives at a first start, and nothing else.
PLAIN_BASE = """
from nautilus_trader.trading import Strategy


class GuardedStrategy(Strategy):
    def own_position(self, instrument_id):
        return Decimal(0)


"""


def plain_maker() -> type[Any]:
    """The maker's class from the same source text, on NautilusTrader's own base class."""
    source = (REPOSITORY / "strategies" / "imbalance_maker.py").read_text()
    guarded = "from fairlead.strategies.inventory import "
    assert guarded in source
    assert " GuardedStrategy," in source
    source = source.replace(" GuardedStrategy,", "", 1).replace(guarded, PLAIN_BASE + guarded, 1)
    module = types.ModuleType("plain_maker")
    sys.modules["plain_maker"] = module
    exec(compile(source, "plain_maker", "exec"), module.__dict__)
    found: type[Any] = module.__dict__["ImbalanceMaker"]
    return found


def timely(cls: type[Any], on_command: Any) -> type[Any]:
    """`cls`, which tells of each command."""

    def told(self: Any, event: Any) -> None:
        on_command()

    names = ("on_order_initialized", "on_order_pending_update", "on_order_pending_cancel")
    return type(cls.__name__, (cls,), dict.fromkeys(names, told))


def run_bare(path: Path) -> dict[str, Any]:
    from nautilus_trader.backtest import BacktestNode, BacktestRunConfig

    from fairlead.engine.config.strategy_params import build_strategy_config
    from fairlead.engine.run.backtest import RUN_ID, engine_config, venue_configs
    from fairlead.engine.run.backtest_data import select
    from fairlead.engine.run.config import load

    loaded = load(path)
    cls = plain_maker()
    began = time.perf_counter()
    selection = select(loaded.config, loaded.resolve(loaded.config.backtest.catalog))
    run = BacktestRunConfig(
        venue_configs(loaded, selection),
        selection.configs(path.parent),
        engine=engine_config(loaded),
        id=RUN_ID,
        chunk_size=loaded.config.backtest.chunk_size,
        raise_exception=True,
        dispose_on_completion=False,
    )
    node = BacktestNode([run])
    node.build()
    node.add_strategy(RUN_ID, cls(build_strategy_config(cls, loaded.config.strategies[0])))
    before = time.perf_counter()
    result = node.run()[0]
    return measured(result, node.get_engine_cache(RUN_ID), selection, began, before)


def run_helped(path: Path) -> dict[str, Any]:
    """The bare strategy, no gate, on our simulated exchange: commands when due, true fills."""
    from fairlead.engine.config.strategy_params import build_strategy_config
    from fairlead.engine.guard.simulated import Arrivals
    from fairlead.engine.run.backtest import (
        RUN_ID,
        engine_config,
        latency_ns,
        true_fills,
        venue_configs,
    )
    from fairlead.engine.run.backtest_data import select
    from fairlead.engine.run.backtest_engine import Engine
    from fairlead.engine.run.build import build_parts
    from fairlead.engine.run.config import load

    loaded = load(path)
    cls = plain_maker()
    began = time.perf_counter()
    selection = select(loaded.config, loaded.resolve(loaded.config.backtest.catalog))
    node = Engine(
        RUN_ID,
        engine_config(loaded),
        venue_configs(loaded, selection),
        list(selection.configs(path.parent)),
        loaded.config.backtest.chunk_size,
    )
    if latency_ns(loaded):
        arrivals = Arrivals()
        arrivals.after(latency_ns(loaded))
        node.add_actor(arrivals)
        cls = timely(cls, arrivals.command)
    parts = build_parts(loaded, [], is_simulated=True)
    node.add_strategy(true_fills(loaded, selection, node, parts))
    node.add_strategy(cls(build_strategy_config(cls, loaded.config.strategies[0])))
    before = time.perf_counter()
    return measured(node.run(), node.cache, selection, began, before)


def measured(
    result: Any, cache: Any, selection: Any, began: float, before: float
) -> dict[str, Any]:
    from fairlead.engine.observe.summary import trading

    after = time.perf_counter()
    traded = trading(cache, [one.id for one in selection.sources])
    return {
        "events": result.iterations,
        "run_secs": after - before,
        "whole_secs": time.perf_counter() - began,
        "orders": traded.orders,
        "digest": traded.orders_digest,
    }


def run_fairlead(path: Path) -> dict[str, Any]:
    from fairlead.engine.run.backtest import run_backtest
    from fairlead.engine.run.config import load

    loaded = load(path)
    began = time.perf_counter()
    summary = run_backtest(loaded).summary
    return {
        "events": summary.events,
        "run_secs": summary.wall_secs,
        "whole_secs": time.perf_counter() - began,
        "orders": summary.orders,
        "digest": summary.orders_digest,
    }


def child(kind: str, config: Path) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__)), "--child", kind, "--config", str(config)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"FAILED: a run ended with exit code {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(rounds: int, times: int) -> int:
    from benchmarks.datasets import repeated, source_catalog, write_config

    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder:
        source, what = source_catalog(Path(folder))
        catalog = repeated(source, Path(folder) / "repeated", times)
        config = write_config(Path(folder), catalog)
        print(f"data: {what}, {times} times in a row; {rounds} rounds, interleaved")
        exact = child("helped", config)  # warms the page cache for both
        found: dict[str, list[dict[str, Any]]] = {"bare": [], "fairlead": []}
        for number in range(rounds):
            order = ("bare", "fairlead") if number % 2 == 0 else ("fairlead", "bare")
            for kind in order:
                found[kind].append(child(kind, config))
    return report(found, exact)


def report(found: dict[str, list[dict[str, Any]]], exact: dict[str, Any]) -> int:
    """Print both rates, and whether our orders are those of `exact`.

    The best round of each is the one that other processes disturbed least.
    """
    ratios = {}
    for clock, label in (("run_secs", "run alone"), ("whole_secs", "with loading and summary")):
        for name, pick in (("best", max), ("median", statistics.median)):
            rates = {
                kind: pick([one["events"] / one[clock] for one in runs])
                for kind, runs in found.items()
            }
            ratios[clock, name] = rates["fairlead"] / rates["bare"]
            print(
                f"{label:24} {name:6} bare {rates['bare']:>9,.0f} events/s, fairlead "
                f"{rates['fairlead']:>9,.0f} events/s, ratio {ratios[clock, name]:.3f}"
            )
    ours = found["fairlead"]
    same = {one["digest"] for one in ours} == {exact["digest"]}
    print(f"orders: bare {exact['orders']}, fairlead {ours[0]['orders']}; same to the last: {same}")
    if ratios["run_secs", "best"] < RATIO_MIN:
        print(f"FAILED: expected a ratio of at least {RATIO_MIN}")
        return 1
    return 0 if same else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--times", type=int, default=4, help="copies of the recording in a row")
    parser.add_argument("--child", choices=("bare", "helped", "fairlead"))
    parser.add_argument("--config", type=Path)
    args = parser.parse_args()
    if args.child:
        run = {"bare": run_bare, "helped": run_helped, "fairlead": run_fairlead}[args.child]
        print(json.dumps(run(args.config)))
        return 0
    return compare(args.rounds, args.times)


if __name__ == "__main__":
    sys.exit(main())
