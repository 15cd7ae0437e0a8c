"""What the suite's short form leaves out is a list of tests that are there."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from tests.support import tiers
from tests.support.processes import ROOT


def _functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_each_name_is_a_test_s() -> None:
    for test in (*tiers.listed(), *tiers.KEPT):
        path, _, name = test.partition("::")
        assert name.partition("[")[0] in _functions(ROOT / path), f"no such test: {test}"
    assert not tiers.listed().intersection(tiers.KEPT)


def test_long_ones_of_a_whole_run() -> None:
    times = {
        "tests/a.py::test_one[x]": 6.0,
        "tests/a.py::test_one[y]": 7.0,
        "tests/a.py::test_two[x]": 8.0,
        "tests/a.py::test_two[y]": 5.0,
        "tests/a.py::test_kept": 60.0,
        "tests/b.py::test_three": 20.0,
        "tests/b.py::test_four": 30.0,
    }
    assert tiers.long_ones(times, kept=["tests/a.py::test_kept"]) == {
        "tests/a.py::test_one": 13.0,
        "tests/a.py::test_two[x]": 8.0,
        "tests/b.py::test_four": 30.0,
    }


def test_times_of_a_report(tmp_path: Path) -> None:
    report = tmp_path / "suite.xml"
    report.write_text(
        '<testsuites><testsuite><testcase classname="tests.unit.test_a" name="test_b[1.5-c d]"'
        ' time="0.25" /><testcase classname="tests.unit.test_a.TestC" name="test_d" time="2" />'
        "</testsuite></testsuites>"
    )
    assert tiers.times_of(report) == {
        "tests/unit/test_a.py::test_b[1.5-c d]": 0.25,
        "tests/unit/test_a.py::TestC::test_d": 2.0,
    }


def test_what_is_named_runs_and_the_whole_of_it_without_the_long_ones(tmp_path: Path) -> None:
    """The suite's own configuration, in a folder with one long test of two."""
    (tmp_path / "tests" / "support").mkdir(parents=True)
    for name in ("pyproject.toml", "tests/conftest.py"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    for path in (ROOT / "tests" / "support").iterdir():
        if path.name not in ("tiers.py", "long.txt"):
            (tmp_path / "tests" / "support" / path.name).symlink_to(path)
    (tmp_path / "tests" / "__init__.py").touch()
    support = tmp_path / "tests" / "support"
    (support / "tiers.py").write_text(Path(tiers.__file__).read_text())
    (support / "long.txt").write_text("    9 tests/test_a.py::test_long\n")
    (tmp_path / "tests" / "test_a.py").write_text("def test_long(): ...\ndef test_short(): ...\n")
    for given, passed in (((), 1), (("tests/test_a.py",), 2), (("tests",), 2)):
        for workers in (("-p", "no:xdist"), ("-n", "2")):
            told = subprocess.run(
                [sys.executable, "-m", "pytest", *given, *workers, "--basetemp", "base"],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert f"{passed} passed" in told.stdout, told.stdout + told.stderr
