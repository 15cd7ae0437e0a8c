"""Paper's exchange on seeded markets, judged by the oracle; 200: python -m tests.parity.played."""

from __future__ import annotations

import pytest

from tests.parity.played import Play


@pytest.mark.parametrize("seed", range(1, 13))
def test_every_fill_could_have_been(seed: int) -> None:
    played = Play(seed).run()
    assert played.fills > 0
    assert played.found == []
