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
