"""A warning that repeats is one line a minute, and none is lost."""

from __future__ import annotations

import logging

import pytest

from fairlead.engine.warner import KINDS_MAX, Warner


class Told:
    """A warner whose clock is set by hand, and what it logged."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING)
        self._caplog = caplog
        self.now = 0.0
        self.warn = Warner(logging.getLogger("warned"), lambda: self.now)

    @property
    def lines(self) -> list[str]:
        return [record.getMessage() for record in self._caplog.records]


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    return Told(caplog)


def test_one_line_a_kind_and_minute(told: Told) -> None:
    for second in range(121):
        told.now = float(second)
        told.warn("frame", f"frame {second}")
        if second == 3:
            told.warn("gap", "gap")
    assert told.lines == [
        "frame 0",
        "gap",
        "frame 60 (59 more in 60 s)",
        "frame 120 (59 more in 60 s)",
    ]


def test_a_later_one_alone_has_no_count(told: Told) -> None:
    told.warn("frame", "one")
    told.now = 61.0
    told.warn("frame", "two")
    assert told.lines == ["one", "two"]


def test_what_was_held_back_is_told_at_the_end(told: Told) -> None:
    for text in ("one", "two", "three"):
        told.warn("frame", text)
    told.warn.tell_rest()
    told.warn.tell_rest()
    assert told.lines == ["one", "2 more, the last: three"]


def test_kinds_are_bounded_and_their_counts_not_lost(told: Told) -> None:
    told.warn("first", "first")
    told.warn("first", "again")
    for number in range(KINDS_MAX):
        told.warn(f"kind {number}", "other")
    assert "1 more, the last: again" in told.lines
    assert told.lines.count("other") == KINDS_MAX
