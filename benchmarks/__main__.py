"""Every ratio that is promised, side by side in one run.

    python -m benchmarks [--rounds 5] [--only NAME ...] [--json FILE] [--compare FILE]

Each row is two contenders, each in a process of its own, in turns: what a machine or its other
users do to one, they do to the other. Printed are the median of the rounds' ratios, their
quartiles, and whether the promise is kept: `kept` or `BROKEN` where the quartiles agree, `unsure`
where it lies between them. Processor time throughout, so that a busy machine tells the same. All of
it is kept as JSON (by default below `out/benchmarks`), which `--compare` puts beside the new. Exit
code 1 where a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

REPOSITORY = Path(__file__).resolve().parents[1]


class Row(NamedTuple):
    """`ours` over `theirs` is promised to be at most `limit`; None: it is only told."""

    name: str
    ours: str
    theirs: str
    limit: float | None
    what: str


ROWS = (
    Row(
        "backtest", "backtest", "backtest-bare", 1 / 0.93, "maker, few orders, bare NautilusTrader"
    ),
    Row("orders", "orders", "orders-bare", 1 / 0.93, "maker, many orders, bare NautilusTrader"),
    Row("fills", "orders", "orders-ungated", None, "maker, many orders, without the gate"),
    Row(
        "import", "import", "reader", None, "import of a recording, a plain reader that writes none"
    ),
    Row("import-hft", "import", "convert", None, "the same import, hftbacktest's own converter"),
    Row("gate", "gate", "numbers", 40, "an order with every check, one price and one quantity"),
    Row("journal", "journal", "insert", 2, "a journal write without fsync, a bare SQLite insert"),
    Row("book-few", "book-few", "decode-few", 2.5, "OceanEx frame, few changes, its decoding"),
    Row("book-all", "book-all", "decode-all", 6, "OceanEx frame, all new, its decoding"),
)


class Found(NamedTuple):
    """Ratios of a row, by round."""

    row: Row
    ratios: Sequence[float]
    ours: float  # seconds, the median
    theirs: float

    @property
    def median(self) -> float:
        return statistics.median(self.ratios)

    @property
    def quartiles(self) -> tuple[float, float]:
        if len(self.ratios) < 2:
            return self.ratios[0], self.ratios[0]
        low, _, high = statistics.quantiles(self.ratios, n=4, method="inclusive")
        return low, high

    @property
    def verdict(self) -> str:
        limit, (low, high) = self.row.limit, self.quartiles
        if limit is None:
            return ""
        if high <= limit:
            return "kept"
        return "BROKEN" if low > limit else "unsure"


def there(rows: Sequence[Row], missing: Mapping[str, Callable[[], str]]) -> Iterator[Row]:
    """The rows whose contenders are here; says of the others why they are left out."""
    for row in rows:
        why = missing[row.theirs]() if row.theirs in missing else ""
        if why:
            print(f"{row.name}: left out, {why}", flush=True)
        else:
            yield row


def side(name: str, data: Path) -> float:
    """Seconds of processor time that it took, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks", "--side", name, "--data", str(data)]
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"FAILED: {name} ended with exit code {done.returncode}")
    return float(json.loads(done.stdout.splitlines()[-1]))


def measured(rows: Sequence[Row], rounds: int, data: Path) -> list[Found]:
    names = list(dict.fromkeys(name for row in rows for name in (row.ours, row.theirs)))
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            times[name].append(side(name, data))
    return [
        Found(
            row,
            [a / b for a, b in zip(times[row.ours], times[row.theirs], strict=True)],
            statistics.median(times[row.ours]),
            statistics.median(times[row.theirs]),
        )
        for row in rows
    ]


def told(found: Sequence[Found], before: dict[str, Any]) -> str:
    lines = [f"{'ratio':10} {'median':>8} {'quartiles':>17} {'at most':>8}  {'':7} {'before':>8}"]
    for one in found:
        low, high = one.quartiles
        limit = "" if one.row.limit is None else f"{one.row.limit:.3g}"
        old = before.get(one.row.name)
        lines.append(
            f"{one.row.name:10} {one.median:8.3f} {low:8.3f}-{high:<8.3f} {limit:>8}  "
            f"{one.verdict:7} {'' if old is None else format(old['median'], '8.3f'):>8}  "
            f"{one.row.what} ({one.ours:.6g} s, {one.theirs:.6g} s)"
        )
    return "\n".join(lines)


def kept(found: Sequence[Found], rounds: int) -> dict[str, Any]:
    commit = subprocess.run(
        ("git", "rev-parse", "HEAD"), cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    rows = {
        one.row.name: {
            "median": one.median,
            "quartiles": one.quartiles,
            "ratios": list(one.ratios),
            "limit": one.row.limit,
            "verdict": one.verdict,
            "ours_secs": one.ours,
            "theirs_secs": one.theirs,
        }
        for one in found
    }
    return {
        "commit": commit.stdout.strip(),
        "python": platform.python_version(),
        "rounds": rounds,
        "rows": rows,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=[row.name for row in ROWS], default=None)
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--compare", type=Path, default=None)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        time.perf_counter = time.process_time  # runs are timed by what was there at the import
    from benchmarks.sides import MISSING, SIDES, prepare

    if args.side:
        print(json.dumps(SIDES[args.side](args.data)))
        return 0
    rows = list(there([row for row in ROWS if args.only is None or row.name in args.only], MISSING))
    before = {} if args.compare is None else json.loads(args.compare.read_text())["rows"]
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder:
        print(f"data: {prepare(Path(folder))}; {args.rounds} rounds, interleaved", flush=True)
        found = measured(rows, args.rounds, Path(folder))
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    file = args.json or REPOSITORY / "out" / "benchmarks" / f"{stamp}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(kept(found, args.rounds), indent=1) + "\n")
    print(told(found, before))
    print(f"kept in {file}")
    return 1 if any(one.verdict == "BROKEN" for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
