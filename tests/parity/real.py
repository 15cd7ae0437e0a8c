"""From a real recording to a run that is explained: every step as a user takes it, by commands.

python -m tests.parity.real --data ../shared/data/binance_usdm_btcusdt_20240808.gz --keep out/real

Import, verify, backtest twice, report with a comparison; then a simulated venue whose market is
that recording, a paper run that trades there and records, and the parity of that run.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.datasets import INSTRUMENT, RECORDING
from tests.parity.papers import FEES, MORE
from tests.support import configs
from tests.support.processes import ROOT, command, venue

VENUE = "poloniex"
MARKET = "BTC_USDT"
CONFIG = ROOT / "configs" / "btcusdt-backtest-maker.toml"
MAKER = "fairlead.strategies.imbalance_maker:ImbalanceMaker"
RANDOM = "tests.parity.random_orders:RandomOrders"
Tell = Callable[[str], None]


def ran(*words: str | Path, code: int = 0) -> str:
    ended = command(*words)
    assert ended.returncode == code, f"{words}: {ended.stdout[-2000:]}{ended.stderr[-3000:]}"
    return str(ended.stdout)


def researched(data: Path, folder: Path, tell: Tell) -> dict[str, Any]:
    """Import, verify, two backtests, a report of both. Gives what was found."""
    catalog, configs_in = folder / "data" / "binance", folder / "configs"
    tell("import")
    ran("import", data, "--catalog", catalog)
    tell("verify")
    ran("data", "verify", catalog)
    configs_in.mkdir(exist_ok=True)
    config = configs_in / CONFIG.name
    shutil.copy(CONFIG, config)
    runs = [folder / "first", folder / "second"]
    told = []
    for out, more in zip(runs, ((), ("--set", "simulated.latency_ms=50")), strict=True):
        tell("backtest " + " ".join(more))
        told.append(json.loads(ran("backtest", config, "--json", "--out", out, *more)))
    tell("report --compare")
    ran("report", runs[0], "--compare", runs[1])
    report = json.loads((runs[0] / "report.json").read_text())
    return {"catalog": catalog, "backtests": told, "report": report, "runs": runs}


def papered(catalog: Path | None, folder: Path, seconds: int, tell: Tell) -> dict[str, Any]:
    """A paper run at a venue whose market is `catalog` (None: a seeded one), and its parity."""
    market: list[str] = ["--seed", "4"]
    if catalog is not None:
        market = ["--replay", str(catalog), "--instrument", INSTRUMENT, "--market", MARKET]
    instrument = f"{MARKET}.{VENUE.upper()}"
    with venue(VENUE, folder / "account", *market) as served:
        config = configs.write(
            folder,
            served,
            strategies=[
                {
                    "id": "maker-1",
                    "path": MAKER,
                    "params": {
                        "instrument_id": instrument,
                        "order_quantity": "0.01",
                        "max_inventory": "0.1",
                        "half_spread_bps": "0.1",
                        "requote_ms": 100,
                    },
                },
                {
                    "id": "random-2",
                    "path": RANDOM,
                    "params": {
                        "instrument_ids": instrument,
                        "seed": 4,
                        "unit": "0.001",
                        "share": "0.2",
                    },
                },
            ],
            more=FEES.format(name=VENUE) + MORE,
            name="paper",
        )
        out = folder / "out"
        tell(f"paper, {seconds} s")
        told = json.loads(ran("paper", config, "--for", str(seconds), "--json", "--out", out))
    tell("parity")
    ended = command("parity", out, "--json")
    assert ended.stdout.startswith("{"), ended.stderr[-3000:]
    return {"paper": told, "run": out, "code": ended.returncode, "parity": json.loads(ended.stdout)}


def explained(found: dict[str, Any]) -> list[str]:
    """What is wrong with the parity of a paper run: nothing, or each thing in words."""
    parity, run = found["parity"], found["run"]
    rows = [json.loads(line) for line in (run / "orders.jsonl").read_text().splitlines()]
    sent = [row for row in rows if row["status"] not in ("DENIED", "INITIALIZED")]
    wrong = []
    if parity["orders"] != len(sent):
        wrong.append(f"{len(sent)} orders were sent, {parity['orders']} compared")
    if found["code"] or "unexplained" in parity["classes"]:
        wrong.append(f"exit {found['code']}: {parity['differences'][:3]}")
    if not parity["differences"]:
        net = {name: Decimal(value) for name, value in found["paper"]["net"].items()}
        theirs = {name: Decimal(one["replay"]) for name, one in parity["net"].items()}
        wrong += [
            f"net {net[name]} {name}, replayed {theirs.get(name)}"
            for name in net
            if abs(net[name] - theirs.get(name, Decimal(0))) > Decimal("0.05")
        ]
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description="A real recording, through every command.")
    parser.add_argument("--data", type=Path, default=RECORDING)
    parser.add_argument("--seconds", type=int, default=30, help="of the paper run")
    parser.add_argument("--keep", type=Path, required=True, help="folder for what is made")
    given = parser.parse_args()
    given.keep.mkdir(parents=True, exist_ok=True)
    folder = given.keep.resolve()
    found = researched(given.data.resolve(), folder, print)
    for one in found["backtests"]:
        print(f"backtest: {one['orders']} orders, {one['fills']} fills, net {one['net']}")
    paper = papered(found["catalog"], folder, given.seconds, print)
    parity = paper["parity"]
    verdict = parity["classes"] or "alike"
    print(f"parity: {parity['orders']} orders, {parity['fills']} fills, {verdict}")
    wrong = explained(paper)
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
