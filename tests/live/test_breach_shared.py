"""A loss limit that closes positions, over a restart: of each strategy its own, and of one that the
config names no more, too.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from fairlead.engine.errors import Exit
from tests.live.blocked_run import Run
from tests.live.test_kill_shared import DUST, FIRST, SECOND, Shared
from tests.support.processes import wait_for

pytestmark = pytest.mark.slow

RISK = '[risk]\nmax_daily_loss = ["0.5 USDT"]\non_breach = "halt+cancel+flatten"'


@pytest.mark.parametrize("left", [FIRST, SECOND])
@pytest.mark.parametrize("live", ["oceanex", "poloniex"], indirect=True)
def test_what_a_strategy_held_that_the_config_names_no_more_is_closed_too(
    live: Run, left: str
) -> None:
    """The fees of the run before are more than the limit."""
    shared, dust = Shared(live), DUST[live.key]
    shared.start()
    shared.held()
    assert live.end() == Exit.OK
    live.more = live.more.replace("[risk]", RISK)
    shared.start(left)
    wait_for(lambda: abs(live.held()) < 2 * dust, f"all of it to be closed; see {live.log}")
    wait_for(lambda: abs(shared.own(left)) < dust, "its own to be booked")
    assert shared.agrees()
    assert live.end() == Exit.KILLED
    text = live.log.read_text()
    gone = SECOND if left == FIRST else FIRST
    assert f"{live.instrument} of {gone}, which no strategy of this run is" in text
    rows = dict(live.journaled("SELECT strategy, quantity FROM positions"))
    assert all(abs(Decimal(quantity)) < dust for quantity in rows.values()), rows
