"""The mutants. Each breaks one promise; the test suite must notice each."""

from __future__ import annotations

from tests.mutants.brackets import BRACKET_MUTANTS
from tests.mutants.desk import DESK_MUTANTS
from tests.mutants.gate import GATE_MUTANTS, SECRET_MUTANTS
from tests.mutants.matching import MATCHING_MUTANTS
from tests.mutants.mutant import Mutant
from tests.mutants.simulated import SIMULATED_MUTANTS
from tests.mutants.venues import VENUE_MUTANTS

MUTANTS: tuple[Mutant, ...] = (
    *DESK_MUTANTS,
    *VENUE_MUTANTS,
    *GATE_MUTANTS,
    *SECRET_MUTANTS,
    *BRACKET_MUTANTS,
    *MATCHING_MUTANTS,
    *SIMULATED_MUTANTS,
)
