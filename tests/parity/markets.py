"""Seeded markets, each traded by every shipped strategy and by random orders, and judged.

python -m tests.parity.markets --seeds 1..200
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fairlead.engine.recording.importers.binance import import_binance
from fairlead.engine.run.backtest import run_backtest
from fairlead.engine.run.config import load
from tests.parity import generate
from tests.parity.oracle import MS_NS, Violation, judge
from tests.parity.orders import Order, Rules, orders_of
from tests.parity.tape import Tape, of_lines
from tests.support.order_lines import order_lines
from tests.unit.backtest_kit import toml

LATENCIES_MS = ("0", "1", "5", "20", "50", "100")
SHIPPED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "trend": (
        "fairlead.strategies.trend_follower:TrendFollower",
        {"bar": "1-SECOND-LAST", "fast": 2, "slow": 4, "atr": 3, "channel_atr": "0.1"},
    ),
    "breakout": (
        "fairlead.strategies.breakout:Breakout",
        {"bar": "1-SECOND-LAST", "lookback": 2, "stop_bps": "5", "limit_bps": "20"},
    ),
    "bracketed": (
        "fairlead.strategies.bracketed_breakout:BracketedBreakout",
        {
            "bar": "1-SECOND-LAST",
            "lookback": 2,
            "stop_bps": "4",
            "limit_bps": "40",
            "target_bps": "6",
        },
    ),
    "maker": (
        "fairlead.strategies.imbalance_maker:ImbalanceMaker",
        {"max_inventory": "5.0", "half_spread_bps": "0.5", "requote_ms": 100},
    ),
}
RANDOM = "random"
SEEDS_EACH = 25  # of a process: the kernel has room for 255 engines in one


class Judged(NamedTuple):
    """One strategy on one market."""

    seed: int
    strategy: str
    orders: int
    fills: int
    outcome: str
    found: list[Violation]


def config_text(seed: int, strategy: str, instruments: list[str], catalog: Path) -> str:
    if strategy == RANDOM:
        path = "tests.parity.random_orders:RandomOrders"
        params: dict[str, Any] = {"instrument_ids": " ".join(instruments), "seed": seed}
    else:
        path, given = SHIPPED[strategy]
        params = {"instrument_id": instruments[0], "order_quantity": "1.0", **given}
    lines = "\n".join(f"{name} = {toml(value)}" for name, value in params.items())
    names = ", ".join(f'"{name}"' for name in instruments)
    return f"""
name = "judged"
[venues.binance]
adapter = "recorded"
instruments = [{names}]
account_type = "cash"
fees = {{ maker = "0.0002", taker = "0.0005" }}
[[strategies]]
id = "Judged-001"
path = "{path}"
[strategies.params]
{lines}
[risk]
max_orders_per_second = 1000
max_open_orders = 1000
off = ["SELF_CROSS", "STALE_REFERENCE", "PRICE_COLLAR"]
[simulated]
balances = ["10000000 USDT", "10000 AAA", "10000 BBB", "10000 CCC"]
latency_ms = "{LATENCIES_MS[seed % len(LATENCIES_MS)]}"
[backtest]
catalog = "{catalog}"
"""


def judge_market(seed: int, folder: Path) -> Iterator[Judged]:
    """Every strategy on market `seed`; the market's file stays in `folder`."""
    lines = generate.lines(seed)
    source = folder / "market.txt"
    source.write_bytes(b"\n".join(lines) + b"\n")
    import_binance(source, folder / "catalog")
    tapes = of_lines(lines)
    for strategy in (*SHIPPED, RANDOM):
        text = config_text(seed, strategy, sorted(tapes), folder / "catalog")
        orders, outcome, found = judge_run(strategy, text, tapes, folder)
        yield Judged(seed, strategy, len(orders), fills_of(orders), outcome, found)


def judge_run(
    name: str, text: str, tapes: Mapping[str, Tape], folder: Path
) -> tuple[list[Order], str, list[Violation]]:
    """Backtest the config `text`: its orders, how it ended, and what could not have been."""
    config = folder / f"{name}.toml"
    config.write_text(text)
    loaded = load(config)
    simulated = loaded.config.simulated
    rules = Rules(
        latency_ns=int(simulated.latency_ms * MS_NS),
        queue=simulated.queue_position,
        consumption=simulated.liquidity_consumption,
    )
    result = run_backtest(loaded)
    rows = order_lines(result.cache)
    (folder / f"{name}.orders.jsonl").write_bytes(rows)
    result.dispose()
    orders = orders_of(rows, rules)
    return orders, result.summary.outcome, judge(orders, tapes, rules)


def fills_of(orders: list[Order]) -> int:
    return sum(len(order.fills) for order in orders)


def _one(seed: int) -> list[Judged]:
    with tempfile.TemporaryDirectory(prefix="fairlead-judged-") as folder:
        return list(judge_market(seed, Path(folder)))


def main() -> int:
    parser = argparse.ArgumentParser(description="Judge backtests of seeded markets.")
    parser.add_argument("--seeds", default="1..200", help="FIRST..LAST, or one")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--show", type=int, default=3, help="violations shown of each kind")
    parser.add_argument("--keep", type=Path, help="folder for the files of one seed")
    given = parser.parse_args()
    first, _, last = given.seeds.partition("..")
    seeds = range(int(first), int(last or first) + 1)
    if given.keep:
        given.keep.mkdir(parents=True)
        judged = [one for seed in seeds[:1] for one in judge_market(seed, given.keep)]
    else:
        spawn = multiprocessing.get_context("spawn")
        with spawn.Pool(given.processes, maxtasksperchild=SEEDS_EACH) as pool:
            judged = [one for found in pool.map(_one, seeds, chunksize=1) for one in found]
    return report(judged, given.show)


def report(judged: list[Judged], show: int) -> int:
    shown: Counter[tuple[str, str]] = Counter()
    for one in judged:
        if one.outcome != "ok":
            print(f"seed {one.seed} {one.strategy}: {one.outcome}")
        for violation in one.found:
            shown[one.strategy, violation.kind] += 1
            if shown[one.strategy, violation.kind] <= show:
                print(f"seed {one.seed} {one.strategy}: {violation}")
    for (strategy, kind), count in sorted(shown.items()):
        print(f"{count:6} {strategy}: {kind}")
    total = sum(len(one.found) for one in judged)
    orders, fills = sum(one.orders for one in judged), sum(one.fills for one in judged)
    runs = len(judged)
    print(f"{total} violations in {runs} backtests, {orders} orders, {fills} fills")
    return 1 if total or any(one.outcome != "ok" for one in judged) else 0


if __name__ == "__main__":
    raise SystemExit(main())
