"""Some `kill -9` and restarts of every strategy of `strategies/`, on both venues."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.engine.errors import Exit
from tests.crash.lives import Forked
from tests.crash.restarts import Restarts, options
from tests.live import hosted
from tests.support.processes import Venue


@pytest.mark.slow
@pytest.mark.parametrize("kills", [2, pytest.param(5, marks=pytest.mark.long)])
@pytest.mark.parametrize("key", ["oceanex", "poloniex"])
def test_strategies_go_on_with_their_orders_after_every_kill(
    key: str, kills: int, tmp_path: Path
) -> None:
    with hosted.simulated(tmp_path / "keys", options(key)) as line:
        served = Venue(None, line)  # type: ignore[arg-type]  # it has no process of its own
        case = Restarts(key, served, tmp_path, Forked())
        for _ in range(kills):
            case.live_and_die()
        assert case.live_and_stop() == Exit.OK, case.log.read_text()[-3000:]
        found = case.judge()
    assert found.fills > kills, found
    assert found.accepted > 4 * kills, found
