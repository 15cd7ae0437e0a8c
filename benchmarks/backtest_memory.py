"""Peak memory of a backtest over the recording, and over ten times its length.

Each run is a process of its own; the peak is its maximum resident set. Fails at 700 MB or more.

    python benchmarks/backtest_memory.py [--times 10]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))
PEAK_MB_MAX = 700


def run(config: Path) -> dict[str, Any]:
    from fairlead.engine.run.backtest import run_backtest
    from fairlead.engine.run.config import load

    summary = run_backtest(load(config)).summary
    return {
        "events": summary.events,
        "orders": summary.orders,
        "wall_secs": summary.wall_secs,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def child(config: Path) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__)), "--child", str(config)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"FAILED: a run ended with exit code {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(times: int) -> int:
    from benchmarks.datasets import repeated, source_catalog, write_config

    peak = 0.0
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder:
        source, what = source_catalog(Path(folder))
        print(f"data: {what}")
        for copies in (1, times):
            root = Path(folder) / f"x{copies}"
            catalog = repeated(source, root / "catalog", copies)
            found = child(write_config(root, catalog))
            peak = found["peak_mb"]
            print(
                f"{copies:>3} x: {found['events']:>9,} events, {found['orders']:>6,} orders, "
                f"{found['wall_secs']:6.2f} s, peak {peak:6.0f} MB"
            )
    if peak >= PEAK_MB_MAX:
        print(f"FAILED: expected less than {PEAK_MB_MAX} MB")
        return 1
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--child", type=Path)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(run(args.child)))
        return 0
    return compare(args.times)


if __name__ == "__main__":
    sys.exit(main())
