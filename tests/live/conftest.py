"""One simulated OceanEx per test process; each test has its own state folder and journal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.desk import Desk
from tests.support.processes import Venue, venue


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    with venue("oceanex", tmp_path_factory.mktemp("venue"), "--seed", "5") as started:
        yield started


@pytest.fixture
def desk(served: Venue, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(served, tmp_path)
    yield made
    made.end()
