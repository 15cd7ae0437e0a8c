"""Paper runs against simulated venues, judged by what they recorded.

python -m tests.parity.papers --seeds 1..5
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.parity.markets import SHIPPED, Judged, fills_of, report
from tests.parity.oracle import MS_NS, Violation, judge
from tests.parity.orders import Order, Rules, orders_of
from tests.parity.tape import Tape, of_catalog
from tests.support import configs
from tests.support.patience import Lateness
from tests.support.processes import run, venue

VENUES = ("oceanex", "poloniex")
LATENCY_MS = 20
SLACK_NS = 50 * MS_NS  # between what came and what was done about it
LATE_TIMES = 10  # as late as the machine was here a run may have been in each of some steps
SECONDS = 10
FEES = """
[venues.{name}.fees]
maker = "0.001"
taker = "0.001"
"""
MORE = f"""
[risk]
max_orders_per_second = 1000
max_open_orders = 1000
off = ["SELF_CROSS", "STALE_REFERENCE", "PRICE_COLLAR"]
[simulated]
balances = ["10000000 USDT", "1000 BTC", "1000 ETH"]
latency_ms = "{LATENCY_MS}"
[record]
dir = "data"
promote_secs = 1
"""


def strategies(instrument: str, seed: int) -> list[dict[str, Any]]:
    """Every shipped strategy and random orders, in one run."""
    found = []
    for at, (name, (path, given)) in enumerate(sorted(SHIPPED.items())):
        params = {"instrument_id": instrument, "order_quantity": "0.01", **given}
        if name == "maker":
            params["max_inventory"] = "0.1"
        found.append({"id": f"{name}-{at}", "path": path, "params": params})
    params = {"instrument_ids": instrument, "seed": seed, "unit": "0.001", "share": "0.3"}
    path = "tests.parity.random_orders:RandomOrders"
    return [*found, {"id": "random-9", "path": path, "params": params}]


def judge_paper(name: str, seed: int, folder: Path, seconds: int = SECONDS) -> Judged:
    """One paper run of `seconds` against venue `name`, whose market has `seed`."""
    instrument = f"BTC_USDT.{name.upper()}"
    account = folder / "account"
    with venue(name, account, "--seed", str(seed)) as served:
        config = configs.write(
            folder,
            served,
            strategies=strategies(instrument, seed),
            more=FEES.format(name=name) + MORE,
            name="paper",
        )
        arguments = ("--for", str(seconds), "--out", str(folder / "out"), "--json")
        with Lateness() as machine:
            ended = run("paper", config, *arguments)
    assert ended.returncode == 0, ended.stderr[-3000:]
    rows = (folder / "out" / "orders.jsonl").read_bytes()
    tapes = of_catalog(folder / "data" / "catalog")
    slack_ns, most_ns = SLACK_NS, SLACK_NS + LATE_TIMES * machine.most_ns
    orders, found = _judged(rows, tapes, slack_ns)
    while found and slack_ns < most_ns:  # perhaps the run was later than that, now and then
        slack_ns = min(2 * slack_ns, most_ns)
        again = {one.order for one in _judged(rows, tapes, slack_ns)[1]}
        found = [one for one in found if one.order in again]
    return Judged(seed, name, len(orders), fills_of(orders), "ok", found)


def _judged(
    rows: bytes, tapes: Mapping[str, Tape], slack_ns: int
) -> tuple[list[Order], list[Violation]]:
    rules = Rules(latency_ns=LATENCY_MS * MS_NS, slack_ns=slack_ns)
    orders = orders_of(rows, rules)
    return orders, judge(orders, tapes, rules)


def main() -> int:
    parser = argparse.ArgumentParser(description="Judge paper runs against simulated venues.")
    parser.add_argument("--seeds", default="1..5", help="FIRST..LAST, or one")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="length of each run")
    parser.add_argument("--show", type=int, default=3, help="violations shown of each kind")
    parser.add_argument("--keep", type=Path, help="folder for the files of the runs")
    given = parser.parse_args()
    first, _, last = given.seeds.partition("..")
    judged = []
    for seed in range(int(first), int(last or first) + 1):
        for name in VENUES:
            with tempfile.TemporaryDirectory(prefix="fairlead-paper-") as scratch:
                folder = (given.keep or Path(scratch)) / f"{name}-{seed}"
                folder.mkdir(parents=True)
                judged.append(judge_paper(name, seed, folder, given.seconds))
    return report(judged, given.show)


if __name__ == "__main__":
    raise SystemExit(main())
