"""Fuzz the parsers for long: `python benchmarks/fuzz.py --inputs 1000000 --parser oceanex-stream`.

Prints inputs a second (with the making of the inputs), and the times of the parser alone. An input
that escapes is written to tests/data/fuzz/<parser>/, where the test suite tries it ever after, with
the inputs before it beside it (the state of a stream is made of them); the exit code is then 1.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.property.fuzzing import Escape, Report, fuzz  # noqa: E402
from tests.property.targets import targets  # noqa: E402

HEAD = "parser              inputs   inputs/s   p50 us   p99 us    max us  corpus  lines  +MiB"


def line(report: Report) -> str:
    return (
        f"{report.name:17} {report.inputs:8} {report.per_sec:10.0f} {report.p50_us:8.1f} "
        f"{report.p99_us:8.1f} {report.max_us:9.0f} {report.corpus:7} {report.lines:6} "
        f"{report.rss_growth_mib:5.0f}"
    )


def keep(escape: Escape) -> Path:
    folder = ROOT / "tests" / "data" / "fuzz" / escape.target
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hashlib.sha256(escape.data).hexdigest()[:12]}.bin"
    path.write_bytes(escape.data)
    before = Path(tempfile.gettempdir()) / f"{path.stem}.before"
    before.write_bytes(b"\n\0\n".join(escape.before))
    print(f"the {len(escape.before)} inputs before it are in {before}")
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parser", action="append", help="repeatable; default: all")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    escaped = False
    memory = Path("/dev/shm")  # files of file parsers: the disk is not what is measured
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        found = list(targets(Path(folder)))
        unknown = set(args.parser or ()) - {target.name for target in found}
        if unknown:
            parser.error(f"expected one of {', '.join(t.name for t in found)}")
        print(HEAD, flush=True)
        for target in found:
            if args.parser and target.name not in args.parser:
                continue
            try:
                print(line(fuzz(target, inputs=args.inputs, seed=args.seed)), flush=True)
            except Escape as escape:
                escaped = True
                traceback.print_exception(escape.__cause__, limit=-6)
                print(f"{escape}\nkept as {keep(escape)}", flush=True)
    return 1 if escaped else 0


if __name__ == "__main__":
    sys.exit(main())
