"""What import-linter (`make lint`, pyproject.toml) can't say of the floors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = {"base", "simulation"}
LINES_MAX = 600
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
    tops = ("adapters", "backtests", "benchmarks", "engine", "fairlead", "strategies", "tests")
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for top in tops
        for path in sorted((ROOT / top).rglob("*.py"))
    }
    assert {name: lines for name, lines in lengths.items() if lines > LINES_MAX} == {}
