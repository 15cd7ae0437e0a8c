"""Processor time of an import beside a plain reader, and beside what cannot be saved.

    python benchmarks/import_ratio.py [--rounds 3] [--file FILE]

Three contenders, each in a process of its own, in turns; printed is the least of each:
`import` is `fairlead import`, catalog written; `reader` decodes each line with the standard library
and keeps the book in two dicts of text, checks nothing and writes nothing; `floor` inflates the
file, decodes each line, and lets NautilusTrader write columns that are there already: what is left
of an import in Python that has nothing to think about. Exit code 1 where the import takes more than
FLOOR_TIMES_MAX times the floor.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))
CONTENDERS = ("import", "reader", "floor")
FLOOR_TIMES_MAX = 6.0


def run_import(file: Path, folder: Path) -> Callable[[], object]:
    from fairlead.engine.recording.importers.binance import import_binance

    return lambda: import_binance(file, folder / "new")


def run_reader(file: Path, folder: Path) -> Callable[[], object]:
    def read() -> int:
        sides: dict[str, dict[str, str]] = {"b": {}, "a": {}}
        trades = 0
        with gzip.open(file, "rb") as lines:
            for line in lines:
                data = json.loads(line.partition(b" ")[2]).get("data", {})
                trades += data.get("e") == "trade"
                if data.get("e") != "depthUpdate":
                    continue
                for name, side in sides.items():
                    for price, size in data[name]:
                        if float(size):
                            side[price] = size
                        else:
                            side.pop(price, None)
        return trades

    return read


def run_floor(file: Path, folder: Path) -> Callable[[], object]:
    import msgspec

    from fairlead.engine.recording.importers import binance, whole
    from fairlead.engine.recording.importers.columns import Stream
    from fairlead.engine.recording.importers.lines import LineReader
    from fairlead.engine.recording.importers.staging import StagedCatalog

    streams: list[Stream] = []

    class Keeping(StagedCatalog):
        def write(self, stream: Stream) -> None:
            streams.append(stream)
            super().write(stream)

    whole.StagedCatalog = Keeping  # type: ignore[misc]
    binance.import_binance(file, folder / "kept")

    def write() -> None:
        decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
        for _, line in LineReader(file):
            assert line is not None
            decode(line.partition(b" ")[2])
        with StagedCatalog(folder / "new") as staged:
            for stream in streams:
                staged.write(stream)

    return write


def processor_time() -> float:
    """Seconds of this process, and of its helpers that have ended."""
    helpers = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + helpers.ru_utime + helpers.ru_stime


RUNS = {"import": run_import, "reader": run_reader, "floor": run_floor}


def child(name: str, file: Path, folder: Path) -> None:
    run = RUNS[name](file, folder)
    gc.collect()
    gc.disable()
    before = processor_time()
    run()
    print(json.dumps(processor_time() - before))


def measured(name: str, file: Path) -> float:
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, __file__, "--child", name, "--file", str(file)]
        done = subprocess.run(
            [*command, "--folder", scratch], check=True, stdout=subprocess.PIPE, text=True
        )
    seconds: float = json.loads(done.stdout)
    return seconds


def main() -> int:
    from benchmarks.datasets import RECORDING, SAMPLE

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--file", type=Path, default=RECORDING if RECORDING.exists() else SAMPLE)
    parser.add_argument("--child", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child, args.file, args.folder)
        return 0

    from fairlead.engine.recording.importers.binance import import_binance

    with tempfile.TemporaryDirectory() as folder:
        report: Any = import_binance(args.file, Path(folder) / "catalog")
        least = dict.fromkeys(CONTENDERS, float("inf"))
        for _ in range(args.rounds):
            for name in CONTENDERS:
                seconds = measured(name, args.file)
                least[name] = min(least[name], seconds)
    rows = sum(each.delta_rows + each.trades + each.quotes for each in report.instruments)
    print(f"{args.file.name}: {report.lines:,} lines, {rows:,} rows; best of each")
    for name, seconds in least.items():
        print(f"  {name:<8}{seconds:8.3f} s{seconds / least['reader']:8.2f} of the reader")
    times = least["import"] / least["floor"]
    print(f"the import takes {times:.2f} times the floor (at most {FLOOR_TIMES_MAX})")
    return 0 if times <= FLOOR_TIMES_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
