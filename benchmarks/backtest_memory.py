"""Peak memory of a backtest over one-second books and trades, and over ten times as many.

    python benchmarks/backtest_memory.py [--rows 5000000] [--times 10] [--requote-secs 3600]

A row is a change of one level, or a trade: 50 million are a month. Data is generated from a seed,
file by file. Each run is a process of its own, that keeps the run in a folder as the command does;
the peak is the most that was ever resident of it (`VmHWM`). Fails where the longer one needs more
than 10 % more, or 700 MB.

What a run keeps grows with its orders: the maker looks at its quotes every `--requote-secs`, and
the number of orders is told. `--recording` takes the recording, repeated,
with its many orders, and tells what they take.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))
PEAK_MB_MAX = 700
GROWTH_MAX = 1.10


def peak_mb() -> float:
    """Of this process alone: `ru_maxrss` has that of its parent, too, as it was forked off."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (one for one in lines if one.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def run(config: Path) -> dict[str, Any]:
    from fairlead.engine.run.backtest import run_backtest
    from fairlead.engine.run.config import load

    before = peak_mb()
    result = run_backtest(load(config))
    ran = peak_mb()
    try:
        result.record().write(config.parent / "run")
    finally:
        result.dispose()
    summary = result.summary
    return {
        "events": summary.events,
        "orders": summary.orders,
        "fills": summary.fills,
        "wall_secs": summary.wall_secs,
        "loaded_mb": before,
        "ran_mb": ran,
        "peak_mb": peak_mb(),
    }


def made(root: Path, rows: int) -> dict[str, Any]:
    from benchmarks.datasets import generated

    return {"seconds": generated(root, rows)}


def child(*words: str) -> dict[str, Any]:
    """What a process of its own says. Ends this one where it fails."""
    command = [sys.executable, str(Path(__file__)), *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"FAILED: {' '.join(words)} ended with exit code {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(root: Path, catalog: Path, params: dict[str, Any], words: str) -> float:
    """Runs it and tells. Gives the peak, MB."""
    from benchmarks.datasets import write_config

    found = child("--child", str(write_config(root, catalog, params=params)))
    print(
        f"{words}: {found['events']:,} events, {found['orders']:,} orders, {found['fills']:,} "
        f"fills, {found['wall_secs']:.1f} s; peak {found['peak_mb']:.0f} MB ({found['ran_mb']:.0f} "
        f"until its end, {found['loaded_mb']:.0f} when loaded)",
        flush=True,
    )
    return float(found["peak_mb"])


def of_a_month(folder: Path, rows: int, times: int, requote_secs: int) -> list[float]:
    # An hour's quotes are to be hit within it: near, and left alone in between
    params = {"requote_ms": requote_secs * 1000, "stale_ms": 3_600_000}
    peaks = []
    for factor in (1, times):
        root = folder / f"x{factor}"
        told = child("--make", str(root / "catalog"), "--rows", str(rows * factor))
        days = told["seconds"] / 86_400
        words = f"{factor:>3} x: {rows * factor:,} rows, {days:.1f} days"
        peaks.append(measured(root, root / "catalog", params, words))
    return peaks


def of_the_recording(folder: Path, times: int) -> list[float]:
    from benchmarks.datasets import repeated, source_catalog

    source, what = source_catalog(folder)
    print(f"data: {what}")
    peaks = []
    for factor in (1, times):
        root = folder / f"x{factor}"
        catalog = repeated(source, root / "catalog", factor)
        peaks.append(measured(root, catalog, {}, f"{factor:>3} x"))
    return peaks


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--requote-secs", type=int, default=3600)
    parser.add_argument("--recording", action="store_true")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child or args.make:
        print(json.dumps(run(args.child) if args.child else made(args.make, args.rows)))
        return 0
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as made_in:
        folder = Path(made_in)
        if args.recording:
            few, many = of_the_recording(folder, args.times)
        else:
            few, many = of_a_month(folder, args.rows, args.times, args.requote_secs)
    growth = many / few
    wrong = many >= PEAK_MB_MAX or (growth > GROWTH_MAX and not args.recording)
    print(
        f"{'FAILED: ' if wrong else ''}{growth:.2f} times the memory for {args.times} times the "
        f"data; expected at most {GROWTH_MAX}, and less than {PEAK_MB_MAX} MB"
    )
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
