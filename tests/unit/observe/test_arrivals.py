"""What was measured of a paper run's latency, beside what its config states."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fairlead.engine.observe.arrivals import arrivals, arrived, note
from fairlead.engine.observe.assumptions import Execution
from fairlead.engine.status import RunStatus

MS = 1_000_000


def stated(latency: str = "") -> Execution:
    return Execution(
        latency_ms=Decimal(5), queue_position=True, liquidity_consumption=True, latency=latency
    )


def counted(late_ms: list[float]) -> RunStatus:
    status = RunStatus()
    for late in late_ms:
        arrived(status, round((5 + late) * MS), round(late * MS))
    return status


def test_what_is_in_time_is_exact_and_no_note():
    found = arrivals(counted([0] * 99 + [0.9]), stated())
    assert found is not None
    assert (found.count, found.p50_ns, found.p99_ns, found.max_ns) == (
        100,
        5 * MS,
        5 * MS,
        5_900_000,
    )
    assert str(found) == "100 commands: p50 5 ms, p99 5 ms, max 5.9 ms (none late)"
    assert note(found, stated()) == []


def test_what_is_late_is_a_note():
    found = arrivals(counted([11.7] * 36), stated())
    assert found is not None
    assert (
        str(found) == "36 commands: p50 16.7 ms, p99 16.7 ms, max 16.7 ms (36 more than 1 ms late)"
    )
    (text,) = note(found, stated())
    assert text.startswith(
        "LATENCY: 36 of 36 commands arrived more than 1 ms later than the stated 5 ms"
    )


@pytest.mark.parametrize(("late", "is_told"), [(9, False), (10, True)])
def test_few_of_many_are_none(late: int, is_told: bool):
    found = arrivals(counted([0] * (1000 - late) + [3] * late), stated())
    assert bool(note(found, stated())) is is_told


def test_of_a_drawn_latency_what_is_beyond_the_draw_counts():
    drawn = stated("uniform, median 20 ms")
    status = RunStatus()
    for taken in range(10, 40):
        arrived(status, taken * MS, 0)
    found = arrivals(status, drawn)
    assert found is not None
    assert (found.late, note(found, drawn)) == (0, [])
    assert found.p50_ns == pytest.approx(24 * MS, rel=0.04)


@pytest.mark.parametrize("execution", [None, stated()])
def test_a_run_that_measured_nothing_has_nothing(execution: Execution | None):
    assert arrivals(RunStatus(), execution) is None
    assert note(None, execution) == []
