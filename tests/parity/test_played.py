"""Paper's exchange on seeded markets, judged by the oracle; 200: python -m tests.parity.played."""

from __future__ import annotations

import pytest

from tests.parity.played import Play
from tests.parity.test_oracle import RULES, book, fill, kinds, order, trade


@pytest.mark.parametrize("seed", range(1, 13))
def test_every_fill_could_have_been(seed: int) -> None:
    played = Play(seed).run()
    assert played.fills > 0
    assert played.found == []


def test_without_consumption_no_order_takes_the_same_twice() -> None:
    """A stop that is not done takes on at the next book: what that tells of, and not what it took
    and nobody told of since. Another order meets the whole."""
    rules = RULES._replace(queue=False, consumption=False)
    events = [trade(30, "99.5", "1", "SELL"), book(40, {"99.5": "1"}, {})]
    terms = {"kind": "STOP_LIMIT", "trigger_price": "99.5", "price": "99.3"}
    first = [fill(30, "99.5", "4"), fill(30, "99.4", "5"), fill(30, "99.3", "5")]
    right = order(10, "SELL", "20", *first, fill(40, "99.5", "1"), **terms)
    other = order(36, "SELL", "3", fill(41, "99.5", "1"), fill(41, "99.4", "2"))
    assert kinds([right, other], events, rules) == set()
    again = [fill(40, "99.5", "1"), fill(40, "99.4", "1")]
    wrong = order(10, "SELL", "20", *first, *again, **terms)
    assert kinds([wrong, other], events, rules) == {"more than stood there"}
    deeper = book(40, {"99.5": "1", "99.3": "2"}, {})
    on = order(10, "SELL", "20", *first, fill(40, "99.5", "1"), fill(40, "99.3", "2"), **terms)
    assert kinds([on], [events[0], deeper], rules) == set(), "what is between is its own already"
