"""Which tests only the whole suite runs: `long.txt` beside this file names them, with their time.

`pytest` alone (so `make test`) is the suite's short form: it leaves them out. A run that is given
files, folders or tests has all of them. A file has its shortest test in both.

The list is made of a whole run's times:

    pytest tests -n 6 --dist worksteal --junitxml out/suite.xml
    python -m tests.support.tiers out/suite.xml
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

LIST = Path(__file__).with_name("long.txt")
LONG_SECS = 1.5  # on two cores, beside five others
# Long, and in the short form all the same: what is worth its time with every change.
KEPT = (
    "tests/crash/test_steps.py::test_nothing_is_lost_or_doubled_by_a_death_at_some_steps[oceanex-16]",
    "tests/documents/test_commands.py::test_every_command_of_the_readme",
    "tests/live/test_native.py::test_a_kill_9_and_a_restart_double_nothing",
    "tests/simulation/test_simulate.py::test_ten_sessions_of_each_venue_break_no_promise",
    "tests/unit/codes/test_codes.py::test_every_code_of_the_source_has_a_row_and_every_row_a_code",
    "tests/unit/test_identifiers.py::test_no_other_file_makes_them",
    "tests/unit/test_public_names.py::test_no_text_names_a_module_without_its_package",
    "tests/venues/mudawyl/test_live.py::test_after_a_kill_a_restart_reconciles_all_legs",
)


def is_long(test: str) -> bool:
    """Whether the list has a test, by its id: the test itself, or all cases of it by its name."""
    named = listed()
    return test in named or test.partition("[")[0] in named


@cache
def listed() -> frozenset[str]:
    return frozenset(line.split(maxsplit=1)[1] for line in LIST.read_text().splitlines())


def long_ones(times: Mapping[str, float], kept: Iterable[str] = KEPT) -> dict[str, float]:
    """Of the times of all tests [s] those that are long; cases of which each is long, as one."""
    files: dict[str, list[str]] = defaultdict(list)
    functions: dict[str, list[str]] = defaultdict(list)
    for test in times:
        files[test.partition("::")[0]].append(test)
        functions[test.partition("[")[0]].append(test)
    short = {min(tests, key=lambda test: (times[test], test)) for tests in files.values()} | {*kept}
    found = {test for test, secs in times.items() if secs > LONG_SECS} - short
    whole = {name: tests for name, tests in functions.items() if found.issuperset(tests)}
    single = found - {test for tests in whole.values() for test in tests}
    sums = {name: sum(times[test] for test in tests) for name, tests in whole.items()}
    return sums | {test: times[test] for test in single}


def times_of(report: Path) -> dict[str, float]:
    """Of a report in JUnit's form: each test's id, and its time with what it set up [s]."""
    return {_test_id(case): float(case.attrib["time"]) for case in _cases(report)}


def _cases(report: Path) -> Iterator[ElementTree.Element]:
    return ElementTree.parse(report).iter("testcase")


def _test_id(case: ElementTree.Element) -> str:
    """A class of tests is the last part of the `classname`, which has the file's as its parts."""
    parts = case.attrib["classname"].split(".")
    end = next(at for at, part in enumerate(parts, 1) if part.startswith("test_"))
    return "::".join(["/".join(parts[:end]) + ".py", *parts[end:], case.attrib["name"]])


def main(report: str) -> None:
    found = long_ones(times_of(Path(report)))
    LIST.write_text("".join(f"{secs:5.0f} {test}\n" for test, secs in sorted(found.items())))
    print(f"{LIST.name}: {len(found)} names, {sum(found.values()):.0f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
