"""Every mutant still applies to the code; `python -m tests.mutants.run` tries them."""

from __future__ import annotations

import ast

import pytest

from tests.mutants.mutant import ROOT, Mutant
from tests.mutants.table import MUTANTS


def test_there_are_enough_and_each_has_its_own_name() -> None:
    assert len(MUTANTS) >= 40
    assert len({mutant.id for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.id)
def test_every_mutant_applies(mutant: Mutant) -> None:
    changed = mutant.changes(ROOT)
    for path, text in changed.items():
        assert text != path.read_text()
        ast.parse(text)  # a mutant is a wrong program, not a broken one
    assert [path for path in mutant.tests if (ROOT / path.partition("::")[0]).exists()]
