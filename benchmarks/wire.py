"""Tick to wire: from a frame of the book that is received to the order's bytes that are written.

    python -m benchmarks.wire [--rounds 3] [--orders 200] [--json FILE]

Each contender is a process of its own and trades the same simulated Poloniex on loopback, in turns:
a run of fairlead (gate, guard, journal, raw recording off) without and with fsync, a bare
NautilusTrader adapter in Python with neither gate nor journal, ccxt async, and a bare aiohttp post.
All of them read the same stream, sign the same request, and cancel what they sent. Wall time: two
processes share the machine, so close everything else. Printed are medians over the rounds with the
least and the most, and ratios to the bare adapter of the same round.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
NAMES = ("fairlead", "fairlead-fsync", "bare", "ccxt", "post")
BASE = "bare"
ORDERS = 200
END_SECS = 300.0
# Not as `__main__`: a run imports its strategy from there, with what is noted beside it
SIDE = "from benchmarks.wire_sides import main; main()"


@contextmanager
def venue(folder: Path) -> Iterator[Mapping[str, Any]]:
    """A simulated Poloniex in a process of its own; gives its line of URLs and credentials."""
    command = [sys.executable, "-m", "fairlead.engine.cli.main", "venue", "poloniex"]
    process = subprocess.Popen(
        [*command, "--port", "0", "--seed", "7", "--account-dir", str(folder / "account")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(END_SECS)


def one_run(name: str, orders: int) -> list[float]:
    """Microseconds of each order, of one contender on a venue of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="fairlead-wire-") as folder,
        venue(Path(folder)) as line,
    ):
        arguments = (name, str(orders), folder, json.dumps(line))
        done = subprocess.run(
            [sys.executable, "-c", SIDE, *arguments],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            timeout=END_SECS,
        )
    if done.returncode:
        sys.exit(f"FAILED: {name} ended with exit code {done.returncode}")
    took: list[float] = json.loads(done.stdout.splitlines()[-1])
    return took


def figures(took: Sequence[float]) -> tuple[float, float]:
    """p50 and p99, without the first tenth: connections and code are cold there."""
    warm = sorted(took[len(took) // 10 :])
    return statistics.median(warm), warm[len(warm) * 99 // 100]


def measured(
    names: Sequence[str], rounds: int, orders: int
) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            found[name].append(figures(one_run(name, orders)))
    return found


def spread(values: Sequence[float], digits: int) -> str:
    middle = f"{statistics.median(values):.{digits}f}"
    return f"{middle:>8} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def told(found: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    lines = [f"{'us':16} {'p50':24} {'p99':24} {'p50 to bare':20} {'p99 to bare':20}"]
    for name, runs in found.items():
        cells = [spread([run[at] for run in runs], 0) for at in (0, 1)]
        for at in (0, 1):
            pairs = zip(runs, found.get(BASE, ()), strict=False)
            ratios = [run[at] / base[at] for run, base in pairs]
            cells.append(spread(ratios, 2) if ratios else "")
        lines.append(f"{name:16} {cells[0]:24} {cells[1]:24} {cells[2]:20} {cells[3]:20}".rstrip())
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--orders", type=int, default=ORDERS)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--json", type=Path, default=None)
    args = parser.parse_args()
    found = measured(args.only, args.rounds, args.orders)
    print(told(found))
    if args.json is not None:
        args.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
