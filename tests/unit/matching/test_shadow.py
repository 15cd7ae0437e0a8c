"""What a backtest's exchange would decide, told by itself."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fairlead.engine.matching.orders import Watched
from fairlead.engine.matching.shadow import Shadow
from tests.kernel.bench import IID, book, pair
from tests.unit.matching.kit import BUY, SELL, dec, new

BOOK = book(0, {99.5: 5}, {100.5: 5})


@pytest.mark.parametrize("watched", list(Watched))
@pytest.mark.parametrize(("side", "best"), [(BUY, "100.5"), (SELL, "99.5")])
def test_a_stop_that_came_before_the_last_book_of_its_moment_is_fired_by_it(side, best, watched):
    """It was accepted, so it was not passed when it came."""
    shadow = Shadow(pair(IID), lambda _: Decimal(0), consumes=True, queues=True)
    shadow.told(BOOK)
    limit = "101" if side is BUY else "99"
    order = new("stop", side, 1, limit, stop=best, watched=watched, instrument=str(IID))
    shadow.accept(order, 0)
    due = [] if watched is Watched.LAST else [(dec(best), dec(1))]
    assert shadow.take("stop") == due
    assert shadow.is_waiting("stop") is (watched is Watched.LAST)


def test_one_that_the_book_has_not_reached_waits():
    shadow = Shadow(pair(IID), lambda _: Decimal(0), consumes=True, queues=True)
    shadow.told(BOOK)
    shadow.accept(
        new("stop", BUY, 1, "101", stop="100.6", watched=Watched.TOUCH, instrument=str(IID)),
        0,
    )
    assert shadow.is_waiting("stop")
