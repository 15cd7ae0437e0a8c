"""What an import says of itself: of a format only what it looks at; times as people read them."""

from __future__ import annotations

import re

import pytest

from fairlead.engine.cli.import_ import render
from fairlead.engine.recording.importers.binance_wire import Malformed
from fairlead.engine.recording.importers.mapped import time_ns
from fairlead.engine.recording.importers.staging import ImportFailed
from tests.unit.recording.formats import CASES, imported

BINANCE_ONLY = ("no bookTicker", "top equal", "folded", "contradicted", "seeded", "off the book")


@pytest.mark.parametrize("name", sorted(CASES))
def test_only_the_checks_that_a_format_has_are_told(name, tmp_path):
    report = imported(CASES[name], tmp_path)
    (each,) = report.instruments
    told = render(report)
    assert not [words for words in BINANCE_ONLY if words in told]
    for kind in ("trades", "quotes", "bars"):
        assert (f"  {kind:<14} " in told) == bool(getattr(each, kind)), kind
    assert ("  book repairs" in told) == bool(each.depth_messages)


@pytest.mark.parametrize("name", sorted(CASES))
def test_what_the_catalog_holds_is_told_in_times_of_people(name, tmp_path):
    imported(CASES[name], tmp_path)
    with pytest.raises(ImportFailed) as failed:
        imported(CASES[name], tmp_path)
    moment = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.search(rf"from {moment} to {moment}: all the time", failed.value.message)
    assert not re.search(r"\d{15}", failed.value.message)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1700000000", 1_700_000_000_000_000_000),
        ("1700000000.123456789", 1_700_000_000_123_456_789),
        ("1700000000.1", 1_700_000_000_100_000_000),
        ("1700000000.000", 1_700_000_000_000_000_000),
        ("1700000000.12345678900", 1_700_000_000_123_456_789),
        ("1700000000123.456789", 1_700_000_000_123_456_789),  # ms
        ("1700000000123456.789", 1_700_000_000_123_456_789),  # us
        ("1700000000123456789.0", 1_700_000_000_123_456_789),  # ns
    ],
)
def test_parts_of_a_second_are_exact(text, ns):
    """Of 1700000000.123456789 a float keeps the microseconds."""
    assert time_ns(text) == ns


@pytest.mark.parametrize(
    "text",
    [
        "1700000000.1234567891",  # finer than a nanosecond
        "1700000000123456789.5",
        "1700000000.",
        ".5",
        "-1700000000.5",
        "1700000000.5.5",
        "1700000000,5",
        "1.7e9",
        "170000000012345678901.5",
        "1700000000.٣",
    ],
)
def test_what_is_no_time_is_malformed(text):
    with pytest.raises(Malformed):
        time_ns(text)
