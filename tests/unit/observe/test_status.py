"""The run's status registry and its latency histogram."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.engine.status import (
    CUT,
    PROBLEM_CHARS_MAX,
    PROBLEMS_MAX,
    BookState,
    LatencyHistogram,
    RunStatus,
    shortened,
)


@given(
    st.lists(st.integers(0, 10**13), min_size=1, max_size=200), st.sampled_from([1, 50, 99, 100])
)
def test_percentiles_are_never_below_and_at_most_a_bucket_above(
    values: list[int], percent: int
) -> None:
    histogram = LatencyHistogram()
    for value in values:
        histogram.record(value)
    rank = max(1, -(-len(values) * percent // 100))
    exact = sorted(values)[rank - 1]
    found = histogram.percentile(percent)
    assert found is not None
    assert exact <= found <= exact + exact // 32 + 1


def test_the_histogram_of_a_known_distribution() -> None:
    rng, histogram = random.Random(1), LatencyHistogram()
    values = [round(rng.lognormvariate(11, 1)) for _ in range(10_000)]
    for value in values:
        histogram.record(value)
    shown = histogram.snapshot()
    values.sort()
    assert shown["count"] == 10_000
    assert shown["max_ns"] == values[-1]
    assert shown["p50_ns"] == pytest.approx(values[4_999], rel=0.032)
    assert shown["p99_ns"] == pytest.approx(values[9_899], rel=0.032)


def test_durations_out_of_range_are_kept_in_the_end_buckets() -> None:
    histogram = LatencyHistogram()
    histogram.record(-5)
    histogram.record(10**30)
    assert histogram.percentile(50) == 0
    assert histogram.percentile(100) == 10**30
    assert histogram.max_ns == 10**30


def test_an_empty_histogram_has_no_percentiles() -> None:
    shown = LatencyHistogram().snapshot()
    assert shown == {"count": 0, "p50_ns": None, "p99_ns": None, "max_ns": None, "mean_ns": None}
    with pytest.raises(ValueError, match="percent was 0"):
        LatencyHistogram().percentile(0)


def test_a_snapshot_is_json_with_totals() -> None:
    status = RunStatus()
    status.stream("OCEANEX/public").reconnects = 2
    status.stream("OCEANEX/private").parse_errors = 3
    status.book("BTC_USDT.OCEANEX").gaps = 4
    status.count("orders")
    status.gauges["equity"] = 1.5
    status.event("fill", 7)
    status.tick_to_order.record(1000)
    status.problem(9, "BOOK-MISSING", "x" * 5000)
    shown = json.loads(status.json(10))
    assert shown["totals"] == {"gaps": 4, "reconnects": 2, "parse_errors": 3, "problems": 1}
    assert shown["streams"][0]["name"] == "OCEANEX/public"
    assert shown["books"][0]["state"] == "RESYNC"
    assert shown["counters"] == {"orders": 1}
    assert shown["latencies"]["tick_to_order"]["count"] == 1
    message = shown["problems"][0]["message"]
    assert len(message) == PROBLEM_CHARS_MAX
    assert message.endswith(CUT)


def test_problems_are_bounded_and_all_counted() -> None:
    status = RunStatus()
    for number in range(PROBLEMS_MAX + 50):
        status.problem(number, "CODE", "text")
    assert len(status.problems) == PROBLEMS_MAX
    assert status.problem_count == PROBLEMS_MAX + 50
    assert status.problems[0].ts_ns == 50


def test_what_is_cut_says_so_and_no_word_is_torn() -> None:
    assert shortened("whole", 10) == "whole"
    text = "Nothing new is sent; cancels are. Don't start again before the journal is back"
    assert (
        shortened(text, 70)
        == "Nothing new is sent; cancels are. Don't start again before the [...]"
    )
    assert [len(shortened("x" * 500, size)) for size in (10, 100, 499)] == [10, 100, 499]


def test_a_book_is_valid_only_when_whole() -> None:
    status = RunStatus()
    assert not status.book_is_valid("BTC_USDT.OCEANEX")
    book = status.book("BTC_USDT.OCEANEX")
    assert not status.book_is_valid("BTC_USDT.OCEANEX")
    book.state = BookState.VALID
    assert status.book_is_valid("BTC_USDT.OCEANEX")
    book.state = BookState.STALE
    assert not status.book_is_valid("BTC_USDT.OCEANEX")
