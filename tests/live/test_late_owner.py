"""An order of one strategy that was given up, and came: its position is that strategy's, whoever
has the instrument's orders in NautilusTrader.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from fairlead.engine.errors import Exit
from tests.live.blocked_run import Run
from tests.live.test_kill_shared import FIRST, SECOND, Shared
from tests.support.processes import wait_for

pytestmark = pytest.mark.slow

LATE_SECS = 15  # after that the desk has proven that there is none; it compares each 30 s
COMES_SECS = 100


def test_a_late_order_of_the_second_strategy(live: Run) -> None:
    shared = Shared(live)
    shared.start(FIRST)
    shared.held(FIRST)
    assert live.end() == Exit.OK
    before = shared.own(FIRST)
    live.served.post(
        "faults", method="POST", path="/v1/orders$", kind="late", times=1, secs=LATE_SECS
    )
    shared.start()
    wait_for(lambda: shared.own(SECOND) > 0, f"the late order; see {live.log}", COMES_SECS)
    assert "ABSENT-PROVEN" in live.log.read_text()
    wait_for(lambda: shared.seen(SECOND)["fills"] == ["BUY 0.020000"], "it to hear of it")
    assert shared.own(SECOND) == Decimal("0.01998")
    assert (shared.own(FIRST), shared.seen(FIRST)["fills"]) == (before, [])
    assert shared.agrees()
    shared.file(SECOND, "exit").touch()
    wait_for(lambda: abs(shared.own(SECOND)) < Decimal("0.000001"), f"its exit; see {live.log}")
    assert shared.own(FIRST) == before
    assert live.end() == Exit.OK
