"""One simulated OceanEx per test process; each test has its own state folder and journal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.blocked_run import Run
from tests.live.desk import Desk
from tests.support.patience import PATIENCE_SECS
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


@pytest.fixture
def live(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Run]:
    """A run on OceanEx, or on the venue that the test's parameter names."""
    key = str(getattr(request, "param", "oceanex"))
    with venue(key, tmp_path / "venue", "--seed", "5") as served:
        run = Run(tmp_path, served, key)
        yield run
        if run.process is not None and run.process.poll() is None:
            run.process.kill()
            run.process.wait(PATIENCE_SECS)
