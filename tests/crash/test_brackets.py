"""A selection of the deaths of `python -m tests.crash.brackets`, which tries every step."""

from __future__ import annotations

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


def chosen(steps: list[Step]) -> list[Step]:
    sent = [step for step in steps if step.is_send]
    found = []
    for moment, (point, number) in MOMENTS.items():
        if point == "sent":
            found.append(sent[number - 1])
        else:
            assert Step(point, number) in steps, f"{moment}: no {point} in {steps}"
            found.append(Step(point, number))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("key", brackets.OPTIONS)
def test_a_bracket_ends_as_it_should_after_a_death_at_any_moment(key: str, tmp_path: Path) -> None:
    results = list(brackets.run(key, tmp_path, Forked(), chosen))
    assert not brackets.failures(results), "\n".join(map(str, results))
    assert len(results) == len(MOMENTS)
    assert all(result.found and result.found.fills == 2 for result in results), results
