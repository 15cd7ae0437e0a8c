"""Apply each mutant to a copy of the tree, and see which test notices.

    python -m tests.mutants.run [--only ID ...] [--jobs 2] [--list]

Exit code 1 if a mutant survives or does not apply, or if the tests fail without one.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import msgspec

from tests.mutants.mutant import ROOT, Mutant, MutantError
from tests.mutants.table import MUTANTS

TIMEOUT_SECS = 600
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", "state", "*.egg-info", "node_modules"
)
_FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)


class Result(msgspec.Struct, frozen=True):
    """`by` is the first test that failed; empty: the mutant survived."""

    id: str
    file: str
    breaks: str
    by: str
    secs: float
    problem: str = ""


def run_tests(tree: Path, tests: Sequence[str], *options: str) -> tuple[int, list[str], str]:
    """Exit code of pytest on a copy, the tests that failed, and its output."""
    here = [path for path in tests if (tree / path.partition("::")[0]).exists()]
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-rfE", "--timeout=60"]
    command += ["-p", "no:cacheprovider", *options, *here]
    env = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    env["TMPDIR"] = str(tree.parent)  # what a mutant leaks goes with the copy
    done = subprocess.run(
        command, cwd=tree, env=env, capture_output=True, text=True, timeout=TIMEOUT_SECS
    )
    output = done.stdout + done.stderr
    return done.returncode, _FAILED.findall(output), output


def try_one(mutant: Mutant, tree: Path, left_out: Sequence[str] = ()) -> Result:
    """`left_out` are tests that fail without any mutant: they prove nothing."""
    began = time.perf_counter()
    try:
        changed = mutant.changes(tree)
    except MutantError as e:
        return Result(mutant.id, "", mutant.breaks, "", 0.0, str(e))
    file = ", ".join(str(path.relative_to(tree)) for path in changed)
    before = {path: path.read_text() for path in changed}
    by = problem = ""
    try:
        for path, text in changed.items():
            path.write_text(text)
        options = [f"--deselect={test}" for test in left_out]
        code, failed, output = run_tests(tree, mutant.tests, "-x", *options)
        if failed:
            by = failed[0]
        elif code != 0:
            problem = f"pytest ended with {code}: {output[-300:]}"
    except subprocess.TimeoutExpired:
        by = f"the time limit of {TIMEOUT_SECS} s"
    finally:
        for path, text in before.items():
            path.write_text(text)
    return Result(mutant.id, file, mutant.breaks, by, time.perf_counter() - began, problem)


def failing(tree: Path, mutants: Sequence[Mutant]) -> list[str]:
    """Tests that fail without a mutant. Raises SystemExit unless it is the copy that is tested."""
    where = "from fairlead import adapters, engine; print(engine.__file__, adapters.__file__)"
    env = os.environ | {"PYTHONPATH": str(tree)}
    shown = subprocess.run(
        [sys.executable, "-c", where], cwd=tree, env=env, capture_output=True, text=True, check=True
    )
    if any(not part.startswith(str(tree)) for part in shown.stdout.split()):
        raise SystemExit(f"the copy is not what is imported: {shown.stdout}")
    tests = list(dict.fromkeys(path for mutant in mutants for path in mutant.tests))
    code, failed, output = run_tests(tree, tests)
    if code != 0 and not failed:
        raise SystemExit(f"the tests can't be run:\n{output[-1500:]}")
    return failed


def run(
    mutants: Sequence[Mutant], jobs: int, *, is_checked: bool = True
) -> tuple[list[Result], list[str]]:
    """Results in the order of `mutants`, printed as they come, and tests that fail without any."""
    left_out: list[str] = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(jobs):
            tree = Path(folder).resolve() / f"tree{number}"
            shutil.copytree(ROOT, tree, symlinks=True, ignore=LEFT_OUT)
            trees.put(tree)
        if is_checked:
            tree = trees.get()
            left_out = failing(tree, mutants)
            trees.put(tree)
            print("".join(f"fails without a mutant: {test}\n" for test in left_out), end="")

        def work(mutant: Mutant) -> Result:
            tree = trees.get()
            try:
                result = try_one(mutant, tree, left_out)
            finally:
                trees.put(tree)
            print(line(result), flush=True)
            return result

        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(work, mutants)), left_out


def line(result: Result) -> str:
    caught = result.by or (f"? {result.problem}" if result.problem else "SURVIVED")
    return f"{result.id:24} {result.secs:5.1f} s  {caught}"


def table(results: Sequence[Result]) -> str:
    rows = [("mutant", "file", "what it breaks", "caught by")]
    rows += [(r.id, r.file, r.breaks, r.by or r.problem or "SURVIVED") for r in results]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join(part.ljust(width) for part, width in zip(row, [*widths, 0], strict=True)).rstrip()
        for row in rows
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", default=[], metavar="ID")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="list the mutants and end")
    parser.add_argument("--unchecked", action="store_true", help="don't test the copy first")
    args = parser.parse_args()
    known = {mutant.id for mutant in MUTANTS}
    if unknown := set(args.only) - known:
        parser.error(f"no mutant {', '.join(sorted(unknown))}")
    chosen = [mutant for mutant in MUTANTS if not args.only or mutant.id in args.only]
    if args.list:
        print("\n".join(f"{mutant.id:24} {mutant.breaks}" for mutant in chosen))
        return 0
    began = time.perf_counter()
    results, left_out = run(chosen, args.jobs, is_checked=not args.unchecked)
    caught = sum(bool(result.by) for result in results)
    print(f"\n{table(results)}\n")
    print(f"{caught} of {len(results)} mutants caught in {time.perf_counter() - began:.0f} s")
    if left_out:
        print(f"{len(left_out)} tests fail without a mutant and were left out")
    return 0 if caught == len(results) and not left_out else 1


if __name__ == "__main__":
    sys.exit(main())
