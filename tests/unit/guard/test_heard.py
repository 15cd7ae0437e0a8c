"""A quote is as old as its hearing: one that NautilusTrader makes from a book has no other time."""

from __future__ import annotations

from typing import Any

import pytest
from nautilus_trader.model import BookType, Price, Quantity, QuoteTick
from nautilus_trader.trading import Strategy

from fairlead.engine.risk.view import heard_ns
from tests.unit.nautilus_harness import IID, MODES, Run

HEARD_NS = 900


def quote(ts_event: int, ts_init: int) -> QuoteTick:
    one, size = Price.from_str("1.00"), Quantity.from_str("1")
    return QuoteTick(IID, one, one, size, size, ts_event, ts_init)


def test_a_quote_of_the_venues_has_its_receipt() -> None:
    assert heard_ns({IID: (5, HEARD_NS)}, quote(5, 7)) == 7


def test_one_made_from_a_book_has_the_time_at_which_it_was_heard() -> None:
    assert heard_ns({IID: (5, HEARD_NS)}, quote(5, 5)) == HEARD_NS
    assert heard_ns({IID: (4, HEARD_NS)}, quote(5, 5)) == 5  # another was heard, not this one
    assert heard_ns({}, quote(5, 5)) == 5


class OnQuotes(Strategy):
    def on_start(self) -> None:
        self.last: Any = None
        self.subscribe_book_deltas(IID, BookType.L2_MBP, managed=True)
        self.subscribe_quotes(IID)

    def on_quote(self, event: Any) -> None:
        self.last = event


@pytest.mark.parametrize("differ", [True, False])
def test_who_hears_a_quote_made_from_a_book_notes_when(differ: bool) -> None:
    run = Run(OnQuotes, steps=10)
    run.state.clocks_differ = differ
    MODES["paper"](run)
    last = run.strategy.last
    assert last.ts_init == last.ts_event  # else NautilusTrader tells more than it did
    if not differ:
        assert run.gate.heard == {}
        return
    ts_event, ts_ns = run.gate.heard[IID]
    assert ts_event == last.ts_event
    assert heard_ns(run.gate.heard, last) == ts_ns != last.ts_init
