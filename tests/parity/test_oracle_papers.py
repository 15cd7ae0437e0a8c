"""No fill on paper that could not have happened, judged by what the run itself recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parity.papers import SLACK_NS, VENUES, judge_paper

pytestmark = pytest.mark.slow
SLACKS_NS = (SLACK_NS, 5 * SLACK_NS, 25 * SLACK_NS)


@pytest.mark.parametrize("name", VENUES)
def test_every_fill_on_paper_could_have_been(name: str, tmp_path: Path) -> None:
    """Ten of them: python -m tests.parity.papers --seeds 1..5

    A machine that stands still for longer than the judge's slack makes a fill late, or lets it
    pass: then once more, with more of it. Those ten are judged by the first slack alone.
    """
    found = []
    for slack_ns in SLACKS_NS:
        folder = tmp_path / str(slack_ns)
        folder.mkdir()
        judged = judge_paper(name, seed=11, folder=folder, slack_ns=slack_ns)
        assert judged.fills > 0
        found = [str(violation) for violation in judged.found]
        if not found:
            break
    assert found == []
