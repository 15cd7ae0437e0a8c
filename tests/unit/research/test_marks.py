"""Prices by time: samples in bounded number, and the mid at each horizon after a fill."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from nautilus_trader.model import Price

from fairlead.engine.research.marks import SAMPLES_MAX, SECOND_NS, Marks, Top, step_of

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


def test_a_long_backtest_is_looked_at_as_often_as_a_short_one() -> None:
    """An alarm each second of a year of bars would take longer than the bars."""
    year = 365 * 86_400 * SECOND_NS
    for span in (SECOND_NS, 90 * SECOND_NS, SAMPLES_MAX * SECOND_NS, year, 20 * year):
        step = step_of(span)
        assert span // step < SAMPLES_MAX
        assert step == SECOND_NS or span // step >= SAMPLES_MAX // 2 - 1
