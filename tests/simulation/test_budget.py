"""Which refusals of too many requests the engine answers for."""

from __future__ import annotations

import msgspec
import pytest

from fairlead.adapters.simulation.faults import HttpFault
from fairlead.engine.sessions.budget import over_budget
from fairlead.engine.sessions.wire import Sent


def sent(ts: float, arrived: float, *, fault: str = "", life: int = 1) -> Sent:
    return Sent(ts, life, "find", 1, "GET", "/orders", b"", fault, arrived=arrived)


REFUSED = msgspec.structs.replace(sent(10.0, 10.1), refused_for_rate=True)


@pytest.mark.parametrize(
    ("other", "is_foreseen"),
    [
        (sent(9.5, 9.6), True),
        (sent(9.5, 9.6, life=0), False),  # of the process before this one
        (sent(8.0, 8.1, life=0), True),
        (sent(8.5, 9.9, fault=HttpFault.LATE.value), False),
        (sent(8.5, 10.9, fault=HttpFault.LATE.value), True),  # it came after the refusal
        (sent(9.5, 9.9, fault=HttpFault.LATE.value), True),  # of this window all the same
        (sent(8.5, 9.9, fault=HttpFault.DELAY.value), True),  # the answer was held back
    ],
)
def test_a_refusal_that_no_process_can_foresee_is_not_its_own(
    other: Sent, is_foreseen: bool
) -> None:
    assert over_budget([other, REFUSED]) == ([REFUSED] if is_foreseen else [])
