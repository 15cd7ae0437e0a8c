"""Prices by time: samples in bounded number, and the mid at each horizon after a fill."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.model import Price

from fairlead.engine.recording.gaps import GapKind, GapRow
from fairlead.engine.research.holes import cut, holes
from fairlead.engine.research.marks import (
    SAMPLES_MAX,
    SECOND_NS,
    Marks,
    Top,
    last_known,
    step_of,
    top_of,
)

NAME = "BTC_USDT.TEST"


def top(ts: int, mid: int) -> Top:
    return Top(ts, Price.from_str(f"{mid - 1}.0"), Price.from_str(f"{mid + 1}.0"))


def fill(ts: int) -> Any:
    return SimpleNamespace(client_order_id="C", trade_id="T", instrument_id=NAME, ts_event=ts)


def test_the_mid_after_a_fill_is_the_last_that_was_known_then() -> None:
    marks = Marks()
    marks.told(NAME, top(10, 100))
    marks.filled(fill(10))
    marks.told(NAME, top(SECOND_NS, 101))
    marks.told(NAME, top(SECOND_NS + 10, 102))  # at the very moment: it was known then
    marks.told(NAME, top(SECOND_NS + 11, 103))
    marks.told(NAME, top(10 * SECOND_NS + 11, 104))
    marks.finish(59 * SECOND_NS)
    assert marks.after == {"C/T": {1: Decimal(102), 10: Decimal(103)}}


def test_a_fill_before_any_price_has_none_until_there_is_one() -> None:
    marks = Marks()
    marks.filled(fill(0))
    marks.told(NAME, top(5 * SECOND_NS, 100))
    marks.finish(11 * SECOND_NS)
    assert marks.after == {"C/T": {10: Decimal(100)}}


def test_samples_are_bounded_and_reach_from_the_first_price_to_the_last() -> None:
    marks = Marks()
    end = 3 * SAMPLES_MAX
    for second in range(end):
        marks.told(NAME, top(second * SECOND_NS + 1, 100 + second))
    marks.finish(end * SECOND_NS)
    found = [one.ts // SECOND_NS for one in marks.samples[NAME]]
    assert SAMPLES_MAX // 2 <= len(found) <= SAMPLES_MAX + 1
    assert (found[0], found[-1]) == (0, end - 1)
    steps = {b - a for a, b in pairwise(found[:-1])}
    assert steps == {4}


def test_a_book_that_is_gone_leaves_a_hole_and_nothing_is_known_of_what_is_due_in_it() -> None:
    marks = Marks()
    marks.told(NAME, top(10, 100))
    marks.filled(fill(10))
    for second in (1, 2, 3):
        marks.lost(NAME, second * SECOND_NS + 10)
    marks.told(NAME, top(3 * SECOND_NS + 20, 108))
    marks.told(NAME, top(11 * SECOND_NS, 109))
    marks.lost(NAME, 12 * SECOND_NS)
    marks.finish(80 * SECOND_NS)
    assert marks.after == {"C/T": {10: Decimal(108)}}, "after 1 s and after 60 the book was gone"
    known = [(one.ts, None if one.is_hole else one.mid) for one in marks.samples[NAME]]
    assert known == [
        (10, 100),
        (SECOND_NS + 10, None),
        (3 * SECOND_NS + 20, 108),
        (11 * SECOND_NS, 109),
        (12 * SECOND_NS, None),
    ], "also where nothing ends it"


def test_a_book_that_goes_with_its_run_is_no_hole() -> None:
    """The stop closes the stream, and what is kept of it is cleared."""
    marks = Marks()
    marks.by_book.add(NAME)
    marks.told(NAME, top(10, 100))
    marks.is_ending = True
    marks.lost(NAME, SECOND_NS)
    marks.finish(2 * SECOND_NS)
    assert [one.ts for one in marks.samples[NAME]] == [10]
    assert marks.with_book == {NAME}


def test_a_book_that_went_before_is_none_of_the_end() -> None:
    marks = Marks()
    marks.by_book.add(NAME)
    marks.told(NAME, top(10, 100))
    marks.lost(NAME, SECOND_NS)
    marks.is_ending = True
    marks.finish(2 * SECOND_NS)
    assert marks.with_book == frozenset()


def test_a_hole_outlives_the_samples_that_are_dropped() -> None:
    marks = Marks()
    for second in range(3 * SAMPLES_MAX):
        if second in (701, 1402):
            marks.lost(NAME, second * SECOND_NS + 1)
        else:
            marks.told(NAME, top(second * SECOND_NS + 1, 100 + second))
    found = [one.ts // SECOND_NS for one in marks.samples[NAME] if one.is_hole]
    assert found == [701, 1402]
    assert len(marks.samples[NAME]) <= SAMPLES_MAX + 1


@pytest.mark.parametrize("updates", [0, 7])
def test_a_quote_stands_for_no_book_that_was_there(updates: int) -> None:
    """Those that are made from a book outlive its clearing."""
    bid, ask = Price.from_str("99.0"), Price.from_str("101.0")
    cache: Any = SimpleNamespace(
        book_update_count=lambda _: updates,
        top_of_book=lambda _: None,
        quote=lambda _: SimpleNamespace(bid_price=bid, ask_price=ask),
    )
    iid: Any = NAME
    assert top_of(cache, iid) == (None if updates else (bid, ask))
    assert last_known(cache, iid) == (bid, ask)
    marks = Marks()
    marks.look(cache, {NAME: iid}, 5, is_last=True)
    assert (marks.closing[NAME].mid, NAME in marks.samples) == (100, not updates)


def test_a_gap_is_a_hole_of_what_has_no_book() -> None:
    def row(kind: GapKind, instrument: str, begin: int, end: int) -> GapRow:
        return GapRow(kind=kind, instrument=instrument, reason="", from_ns=begin, to_ns=end)

    gaps = [
        row(GapKind.BETWEEN_RUNS, NAME, 20, 40),
        row(GapKind.GAP, "", 55, 65),
        row(GapKind.RESYNC, NAME, 0, 90),
        row(GapKind.GAP, "ETH_USDT.TEST", 0, 90),
    ]
    tops = [top(ts, 100) for ts in range(10, 100, 10)]
    found = holes(gaps, [NAME], is_read=True)
    assert [(one.ts, one.is_hole) for one in cut(tops, found[NAME])] == [
        (10, False),
        (20, False),
        (30, True),
        *((ts, False) for ts in (40, 50)),
        (60, True),
        *((ts, False) for ts in (70, 80, 90)),
    ]
    last = [one for one in tops if one.ts <= 30]
    assert [one.is_hole for one in cut(last, found[NAME])] == [False, False, True], "to the end"
    live = holes(gaps, [NAME], is_read=False)
    assert live == {NAME: [(55, 65)]}, "what a recording lacks, the run that made it knew"


def test_a_long_backtest_is_looked_at_as_often_as_a_short_one() -> None:
    """An alarm each second of a year of bars would take longer than the bars."""
    year = 365 * 86_400 * SECOND_NS
    for span in (SECOND_NS, 90 * SECOND_NS, SAMPLES_MAX * SECOND_NS, year, 20 * year):
        step = step_of(span)
        assert span // step < SAMPLES_MAX
        assert step == SECOND_NS or span // step >= SAMPLES_MAX // 2 - 1
