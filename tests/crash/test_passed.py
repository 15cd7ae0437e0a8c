"""A held order survives `kill -9`; a level that is passed meanwhile does what the config says."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.engine.errors import Exit
from fairlead.engine.orders.held import PASSED, Passed
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.model import Kind, OrderState, Side
from tests.crash import steps
from tests.crash.lives import Forked
from tests.crash.script import Scenario
from tests.support.processes import command, venue

pytestmark = pytest.mark.slow
ROUTES = {route.name: route for route in steps.routes()}
# A venue that has stops of its own is laid bare: what it can't be asked to do is held there anyway.
NAMES = ["zerocap/A", "zerocap/C", "piexgo/held", "oceanex/held"]
SHORT = {  # one of each setting, condition and side
    ("zerocap/A", Kind.STOP_LIMIT, Side.SELL, Passed.FIRE),
    ("piexgo/held", Kind.LIMIT_IF_TOUCHED, Side.BUY, Passed.CANCEL),
    ("zerocap/C", Kind.STOP_LIMIT, Side.BUY, Passed.ASK),
    ("piexgo/held", Kind.LIMIT_IF_TOUCHED, Side.SELL, Passed.FIRE),
}
CASES = [
    pytest.param(*case, id="-".join(case), marks=[pytest.mark.long] * (case not in SHORT))
    for case in (
        (name, kind, side, passed)
        for name in NAMES
        for kind in (Kind.STOP_LIMIT, Kind.LIMIT_IF_TOUCHED)  # with the two sides: both conditions
        for side in Side
        for passed in Passed
    )
]


def state_of(journal: Path) -> OrderState | None:
    """Of the one order; None: there is none, or the journal is being made."""
    try:
        read = Journal.reading(journal)
    except JournalError:
        return None
    try:
        rows = read._db.execute("SELECT state FROM orders").fetchall()
    finally:
        read.close()
    assert len(rows) < 2
    return OrderState(rows[0][0]) if rows else None


@pytest.mark.parametrize(("name", "kind", "side", "passed"), CASES)
def test_what_was_held_at_a_kill_does_as_configured(
    name: str, kind: Kind, side: Side, passed: Passed, tmp_path: Path
) -> None:
    """What is asked about is kept, over another kill too, until a person says what it does."""
    unit = steps.Unit(ROUTES[name], Scenario(kind, side, "stop"))
    key = unit.route.key
    more = f'[venues.{key}.held]\npassed = "{passed}"\n'
    with venue(key, tmp_path / "venue", "--seed", "5") as served:
        case = steps.Bench(unit, served, tmp_path, Forked(), more).case()
        case.live_until_killed(lambda: state_of(case.journal) is OrderState.HELD, acts=True)
        case.pass_level()
        end = OrderState.CANCELED if passed is Passed.CANCEL else OrderState.FILLED
        if passed is Passed.ASK:
            case.live_until_killed(lambda: PASSED in case.tail(), acts=False)
            assert state_of(case.journal) is OrderState.HELD
            words = ("kill", "venue", key, "--clear", "--reason", "seen", "--config", case.config)
            assert command(*words).returncode == Exit.OK
            case.config.write_text(case.config.read_text().replace('"ask"', '"fire"'))
        found = case.compare(case.ended(lambda: state_of(case.journal) is end))
    assert state_of(case.journal) is end
    is_filled = end is OrderState.FILLED
    assert (found.accepted, found.fills > 0, found.unknown) == (is_filled, is_filled, 0)
