"""No fill on paper that could not have happened, judged by what the run itself recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parity.papers import VENUES, judge_paper

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", VENUES)
def test_every_fill_on_paper_could_have_been(name: str, tmp_path: Path) -> None:
    """Ten of them: python -m tests.parity.papers --seeds 1..5"""
    judged = judge_paper(name, seed=11, folder=tmp_path)
    assert judged.fills > 0
    assert [str(violation) for violation in judged.found] == []
