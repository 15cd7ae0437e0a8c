"""The tests that the venue's README names exist, and its tables leave no card out."""

from __future__ import annotations

import re

from tests.venues.poloniex.support import ROOT

README = (ROOT / "adapters" / "poloniex" / "README.md").read_text()
# The cards of both specifications: their groups, and numbers within.
DATA_CARDS = {1, 2, 3, *range(10, 15), 20, 21, 30, 31, 40, 41, *range(50, 54), *range(60, 64)}
DATA_CARDS |= set(range(70, 76))
EXEC_CARDS = {*range(1, 7), *range(10, 20), *range(20, 28), *range(30, 37), *range(40, 45)}
EXEC_CARDS |= {*range(50, 54), *range(60, 64), *range(70, 79), *range(80, 88)}


def test_every_named_test_exists() -> None:
    paths = list((ROOT / "tests").rglob("*.py"))
    files, text = {path.stem for path in paths}, "".join(path.read_text() for path in paths)
    named = set(re.findall(r"\b(test_\w+)\b", README))
    assert len(named) > 30
    assert not {name for name in named if name not in files and f"def {name}(" not in text}


def cards(letter: str) -> set[int]:
    """Numbers in the first cells of the table; `E84 to E86` is a range."""
    cells = " ".join(re.findall(rf"^\| ({letter}\d+[^|]*) \|", README, re.M))
    told = {int(n) for n in re.findall(rf"\b{letter}(\d+)", cells)}
    for first, last in re.findall(rf"\b{letter}(\d+) to {letter}(\d+)", cells):
        told |= set(range(int(first), int(last) + 1))
    return told


def test_every_card_is_in_the_table() -> None:
    assert cards("D") >= DATA_CARDS
    assert cards("E") >= EXEC_CARDS
