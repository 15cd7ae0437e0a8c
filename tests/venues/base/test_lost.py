"""Which row of a list an order without an answer is, where no id tells."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fairlead.adapters.base.clock import Offset
from fairlead.adapters.base.lost import chosen, listed_since_ns
from fairlead.engine.orders.model import Found, Lost, Unsure
from tests.unit.orders.conftest import intent, venue_order

SECOND = 1_000_000_000
SENT = 1_700_000_000 * SECOND
NONE: frozenset[str] = frozenset()
EXACT = Offset(0, 0, SENT)
RESTARTED = 120 * SECOND


def row(void: str, age_secs: float) -> object:
    return venue_order(void, ts_created=SENT - int(age_secs * SECOND), filled=Decimal(0))


@pytest.mark.parametrize("age_secs", [3.5, 11, 31, 87, 200])
def test_an_order_of_before_is_not_it(age_secs: float) -> None:
    """One by hand, or of a journal that was lost, with the very same fields."""
    assert chosen([row("V1", age_secs)], Lost(intent(), NONE, SENT), EXACT) is None


@pytest.mark.parametrize("age_secs", [-40, -1, 0, 1, 2])
def test_the_one_of_since_is_it_whatever_is_older(age_secs: float) -> None:
    rows = [row("V1", 31), row("V2", 87), row("V3", age_secs)]
    found = chosen(rows, Lost(intent(), NONE, SENT), EXACT)
    assert isinstance(found, Found)
    assert found.order.venue_order_id == "V3"


@pytest.mark.parametrize("after_secs", [63, 90, 4000])
def test_one_that_came_long_after_may_be_anybodys(after_secs: float) -> None:
    """By hand, a minute after the process died whose request never arrived."""
    found = chosen([row("V1", -after_secs)], Lost(intent(), NONE, SENT), EXACT)
    assert isinstance(found, Unsure)
    assert found.ambiguous
    assert f"created {after_secs} s after" in found.reason
    timely = chosen([row("V1", -after_secs), row("V2", -60)], Lost(intent(), NONE, SENT), EXACT)
    assert isinstance(timely, Found)
    assert timely.order.venue_order_id == "V2"


def test_two_of_since_are_ambiguous() -> None:
    found = chosen([row("V1", 1), row("V2", -1)], Lost(intent(), NONE, SENT), EXACT)
    assert isinstance(found, Unsure)
    assert found.ambiguous
    assert len(found.candidates) == 2


@pytest.mark.parametrize(("age_secs", "is_unsure"), [(31, True), (119, True), (123, False)])
def test_what_may_be_older_leaves_a_restart_unsure(age_secs: float, is_unsure: bool) -> None:
    """The clock may have been set between the process that sent it and this one."""
    found = chosen([row("V1", age_secs)], Lost(intent(), NONE, SENT, RESTARTED), EXACT)
    assert isinstance(found, Unsure) == is_unsure
    if isinstance(found, Unsure):
        assert found.ambiguous
        assert found.candidates == (), "nothing that could be booked"
        assert f"created {age_secs - 2} s before" in found.reason


@pytest.mark.parametrize("offset_secs", [-30, 30])
def test_times_are_the_venues(offset_secs: int) -> None:
    offset = Offset(offset_secs * SECOND, (offset_secs + 1) * SECOND, SENT)
    lost = Lost(intent(), NONE, SENT)
    assert isinstance(chosen([row("V1", -offset_secs)], lost, offset), Found)
    assert chosen([row("V1", -offset_secs + 4)], lost, offset) is None


def test_lists_are_read_back_to_the_first_of_all() -> None:
    earlier = Lost(intent(), NONE, SENT - 10 * SECOND, RESTARTED)
    assert listed_since_ns([Lost(intent(), NONE, SENT), earlier], EXACT) == SENT - 132 * SECOND
    assert listed_since_ns([], EXACT) == 0
