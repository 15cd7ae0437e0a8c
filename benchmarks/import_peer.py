"""An import beside hftbacktest's own converter of the same file, in turns.

    python -m benchmarks.import_peer [--rounds 5] [--file FILE] [--install]

Three contenders, each in a process of its own, the order turned round each time: `import` is
`fairlead import`, every line checked, the book rebuilt, catalog written; `convert` is
`hftbacktest.data.utils.binancefutures.convert` as it is called by default, which leaves best bids
and asks out, its npz written; `convert-t` is the same with them (`opt="t"`), the rows that an
import has. Before its time counts, a converter has converted the sample of the tests: what numba
compiles is told apart. Printed are processor time, that of the import's helpers included, and
wall-clock time, and the ratios of each round.

hftbacktest is no part of what is installed here: it lives in an environment of its own, which
`--install` makes below `out/peers` of the hashed benchmarks/requirements-hftbacktest.txt. Exit
code 1 where the median round of the import takes longer than `convert`, 4 where there is none.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))
SAMPLE = REPOSITORY / "tests" / "data" / "recording" / "binance_usdm_400.gz"
HOME = REPOSITORY / "out" / "peers" / "hftbacktest"
PYTHON = HOME / "bin" / "python"
REQUIREMENTS = REPOSITORY / "benchmarks" / "requirements-hftbacktest.txt"
ROWS_MAX = 20_000_000  # of their buffer; only what is filled becomes memory
OPTIONS = {"convert": "", "convert-t": "t"}
CONTENDERS = ("import", *OPTIONS)
NONE_HERE = 4  # exit code

Times = dict[str, float]


def missing() -> str:
    """Why there is no converter to run; empty where there is one."""
    if PYTHON.exists():
        return ""
    return "hftbacktest isn't installed: python -m benchmarks.import_peer --install"


def install() -> None:
    venv.create(HOME, with_pip=True, clear=True)
    pip = [str(PYTHON), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--require-hashes", "-r", str(REQUIREMENTS)], check=True)


def timed(work: Any) -> Times:
    """Seconds of it, without the collector of circles: there are none in what either makes."""
    from benchmarks.import_ratio import processor_time

    gc.collect()
    gc.disable()
    wall, processor = time.perf_counter(), processor_time()
    work()
    return {"cpu": processor_time() - processor, "wall": time.perf_counter() - wall}


def converted(option: str, file: Path, folder: Path) -> Times:
    """In the other environment."""
    from hftbacktest.data.utils.binancefutures import convert

    def work(source: Path, name: str) -> Any:
        return lambda: convert(str(source), str(folder / name), opt=option, buffer_size=ROWS_MAX)

    first = timed(work(SAMPLE, "sample.npz"))
    return {**timed(work(file, "file.npz")), "first": first["cpu"]}


def imported(file: Path, folder: Path) -> Times:
    from fairlead.engine.recording.importers.binance import import_binance

    return timed(lambda: import_binance(file, folder / "catalog"))


def measured(name: str, file: Path) -> Times:
    """One contender, in a process of its own."""
    python = sys.executable if name == "import" else str(PYTHON)
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder:
        command = [python, __file__, "--child", name, "--file", str(file), "--folder", folder]
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"FAILED: {name} ended with exit code {done.returncode}")
    times: Times = json.loads(done.stdout.splitlines()[-1])
    return times


def rounds_of(file: Path, count: int) -> list[dict[str, Times]]:
    rounds = []
    for number in range(count):
        names = CONTENDERS if number % 2 == 0 else CONTENDERS[::-1]
        rounds.append({name: measured(name, file) for name in names})
    return rounds


def told(rounds: list[dict[str, Times]]) -> float:
    """Prints it; the median ratio of wall-clock time to the converter as it is by default."""
    print(f"{'':10} {'cpu s':>8} {'wall s':>8}  medians; {len(rounds)} rounds, interleaved")
    for name in CONTENDERS:
        cpu, wall = (
            statistics.median(each[name][clock] for each in rounds) for clock in ("cpu", "wall")
        )
        first = statistics.median(each[name].get("first", 0) for each in rounds)
        note = f"  and {first:.2f} s before, compiling and converting the sample" if first else ""
        print(f"{name:10} {cpu:8.3f} {wall:8.3f}{note}")
    medians = {}
    for name in OPTIONS:
        for clock in ("cpu", "wall"):
            ratios = [each["import"][clock] / each[name][clock] for each in rounds]
            medians[name, clock] = statistics.median(ratios)
            shown = " ".join(f"{ratio:.3f}" for ratio in ratios)
            print(f"import / {name:9} {clock:4} {medians[name, clock]:.3f}  ({shown})")
    return medians["convert", "wall"]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--file", type=Path, default=None)
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--child", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child == "import":
        print(json.dumps(imported(args.file, args.folder)))
        return 0
    if args.child:
        print(json.dumps(converted(OPTIONS[args.child], args.file, args.folder)))
        return 0
    if args.install:
        install()
    if missing():
        print(missing())
        return NONE_HERE

    from benchmarks.datasets import stream_file

    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder:
        file, what = (args.file, str(args.file)) if args.file else stream_file(Path(folder))
        print(f"data: {what}")
        ratio = told(rounds_of(file.absolute(), args.rounds))
    print("the import is", "no slower" if ratio <= 1 else "SLOWER", "than hftbacktest's converter")
    return 0 if ratio <= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
