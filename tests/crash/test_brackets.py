"""A selection of the deaths of `python -m tests.crash.brackets`, which tries every step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.crash import brackets
from tests.crash.lives import Forked
from tests.crash.steps import Step

# In the order of a bracket's life. Steps of an entry that never left take long: absence is proven.
MOMENTS = {
    "entry sent": ("sent", 1),
    "entry filled": ("commit FILL", 1),
    "stop recorded, not yet created": ("committed BRACKETS", 1),
    "stop sent": ("sent", 2),
    "stop standing": ("committed ACCEPTED", 2),
    "stop being cancelled": ("sent", 3),
    "target sent": ("sent", 4),
}


def chosen(moments: Sequence[str], steps: list[Step]) -> list[Step]:
    sent = [step for step in steps if step.is_send]
    found = []
    for moment in moments:
        point, number = MOMENTS[moment]
        if point == "sent":
            found.append(sent[number - 1])
        else:
            assert Step(point, number) in steps, f"{moment}: no {point} in {steps}"
            found.append(Step(point, number))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("is_all", [False, pytest.param(True, marks=pytest.mark.long)])
@pytest.mark.parametrize("key", brackets.OPTIONS)
def test_a_bracket_ends_as_it_should_after_a_death_at_any_moment(
    key: str, is_all: bool, tmp_path: Path
) -> None:
    """Every other moment at each venue, every one at some; `make test-long`: all at all."""
    first, step = (0, 1) if is_all else (list(brackets.OPTIONS).index(key) % 2, 2)
    moments = list(MOMENTS)[first::step]
    results = list(brackets.run(key, tmp_path, Forked(), partial(chosen, moments)))
    assert not brackets.failures(results), "\n".join(map(str, results))
    assert len(results) == len(moments)
    assert all(result.found and result.found.fills == 2 for result in results), results
