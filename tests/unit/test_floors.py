"""What import-linter (`make lint`, pyproject.toml) can't say of the floors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = {"base", "simulation"}
LINES_MAX, BODY_LINES_MAX = 600, 70
TOPS = ("adapters", "backtests", "benchmarks", "engine", "fairlead", "strategies", "tests")
_DEF = re.compile(r"( *)(?:async )?def (\w+)")
FILES = sorted(path for top in TOPS for path in (ROOT / top).rglob("*.py"))
VENUES = sorted({path.parent.name for path in ROOT.glob("adapters/*/venue.py")} - SHARED)


@pytest.mark.parametrize("venue", VENUES)
def test_no_file_of_the_engine_names_a_venue(venue: str) -> None:
    """Not in a comment either: what is said of one venue belongs in its folder."""
    named = re.compile(venue, re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted(ROOT.glob("engine/**/*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if named.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("venue", VENUES)
def test_no_file_names_a_venue_that_is_not_its_own(venue: str) -> None:
    """The registry finds them by their folders."""
    named = re.compile(rf"adapters\.{venue}\b")
    found = [
        str(path.relative_to(ROOT))
        for top in ("adapters", "engine", "strategies", "backtests")
        for path in sorted((ROOT / top).rglob("*.py"))
        if venue not in path.parts and named.search(path.read_text())
    ]
    assert found == []


def test_every_file_fits_on_a_desk() -> None:
    """Also those of tests: one that is longer has two ideas."""
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in FILES}
    assert {name: lines for name, lines in lengths.items() if lines > LINES_MAX} == {}


def test_every_function_fits_on_a_screen() -> None:
    """Its body does: a command's options are a list of their own."""
    found = [
        f"{path.relative_to(ROOT)}: {name} has {lines} lines"
        for path in FILES
        if "tests" not in path.parts[len(ROOT.parts) :]
        for name, lines in bodies(path.read_text().splitlines())
        if lines > BODY_LINES_MAX
    ]
    assert found == []


def bodies(lines: list[str]) -> Iterator[tuple[str, int]]:
    """Functions and the lines of their bodies, by indentation: to parse all files takes seconds."""
    for number, line in enumerate(lines):
        if (found := _DEF.match(line)) is None:
            continue
        outer, begin = found[1], number
        while not lines[begin].rstrip().endswith((":", "...", '"""')):  # of its signature
            begin += 1
        end = begin
        for at, one in enumerate(lines[begin + 1 :], begin + 1):
            if one.strip() and not one.startswith(f"{outer} "):
                break
            end = at if one.strip() else end
        yield found[2], end - begin


def test_bodies_are_measured() -> None:
    lines = [
        "class A:",
        "    def a(",
        "        self,",
        "    ) -> None:",
        "        b()",
        "",
        "        c()",
    ]
    lines += ["", "    d = 1", "async def e(): ..."]
    assert list(bodies(lines)) == [("a", 3), ("e", 0)]
