"""Paper and backtest decide alike on seeded markets; more of them: python -m tests.parity.alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parity.alike import alike


@pytest.mark.parametrize("seed", [1, 3])
def test_what_differs_of_paper_and_backtest_has_a_class(seed: int, tmp_path: Path) -> None:
    found = alike(seed, tmp_path)
    assert found.fills > 50
    assert found.odd == []


def test_a_change_that_the_gate_refuses_the_backtest_is_told_as_that(tmp_path: Path) -> None:
    """The run enlarged it beyond what the backtest's position lets it."""
    (one,) = (one for one in alike(3, tmp_path).found if one.order == "o-9")
    assert one.kind == "refusal"
    assert one.why.startswith("its change: REDUCE_ONLY: expected at most 2.7"), one.why
