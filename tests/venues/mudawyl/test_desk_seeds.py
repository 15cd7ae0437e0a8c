"""Seeded sessions on a bad wire: a few here, `python -m tests.venues.mudawyl.seeds` plays more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.venues.mudawyl import seeds


@pytest.mark.parametrize("seed", range(1, 7))
def test_nothing_is_lost_doubled_or_guessed(seed: int, tmp_path: Path) -> None:
    wrong, counts = seeds.play(seed, tmp_path)
    assert wrong == []
    assert counts["orders"] >= seeds.ROUNDS
    assert counts["faults"]
