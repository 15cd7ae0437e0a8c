"""Lines that an import leaves out, put together to rows; none where another row tells it."""

from __future__ import annotations

import pytest

from fairlead.engine.recording.gaps import GapKind, GapRow
from fairlead.engine.recording.importers import left_out
from fairlead.engine.recording.importers.left_out import BAR, DEPTH, TRADE, Covers, LeftOut
from fairlead.engine.run.parity import LACKS

NAME, OTHER = "A.X", "B.X"


def of(row: GapRow) -> tuple[int, int, int]:
    return row.from_ns, row.to_ns, row.count


def three() -> LeftOut:
    """Two after 10, one after 20, each until the next line that can be read."""
    found = LeftOut()
    for since, until, count in ((10, 15, 2), (20, 27, 1)):
        for number in range(count):
            found.add(since, NAME, TRADE, f"line {since + number}: why")
        assert found.is_open
        found.until(until)
        assert not found.is_open
    return found


def test_lines_in_a_row_are_one_row():
    rows = list(three().rows(NAME, Covers()))
    assert [of(row) for row in rows] == [(10, 15, 2), (20, 27, 1)]
    assert rows[0].reason == "2 trade lines left out: line 10: why"
    assert rows[1].reason == "1 trade line left out: line 20: why"
    assert {row.kind for row in rows} == {GapKind.MISSING}
    assert list(three().rows(OTHER, Covers())) == []


@pytest.mark.parametrize(
    ("what", "span", "left"),
    [
        (TRADE, (10, 15), 1),
        (TRADE, (5, 30), 0),
        (TRADE, (11, 15), 2),  # begins within
        (TRADE, (10, 14), 2),
        (DEPTH, (5, 30), 2),  # of another kind
    ],
)
def test_what_another_row_covers_is_not_told_again(what, span, left):
    covers = Covers()
    covers.add(TRADE, 1, 2)
    covers.add(what, *span)
    assert len(list(three().rows(NAME, covers))) == left


def test_a_line_of_no_kind_is_of_those_of_its_file():
    found = LeftOut()
    found.add(10, NAME, "", "line 3: why")
    found.until(12)
    covers = Covers()
    (row,) = found.rows(NAME, covers, [BAR])
    assert row.reason == "1 bar line left out: line 3: why"
    covers.add(BAR, 9, 13)
    assert list(found.rows(NAME, covers, [BAR])) == []


def test_what_nobody_knows_whose_it_is_is_the_only_one_s_or_of_all():
    for names, instrument in (([NAME], NAME), ([NAME, OTHER], "")):
        found = LeftOut()
        found.add(0, "", "", "line 1: why")
        rows = [*found.ended(50, names), *found.rows(NAME, Covers())]
        assert [(row.instrument, of(row)) for row in rows] == [(instrument, (50, 50, 1))]


def test_more_than_are_kept_make_the_last_one_longer(monkeypatch):
    monkeypatch.setattr(left_out, "SPANS_MAX", 3)
    found = LeftOut()
    for at in range(1, 11):
        found.add(100 * at, NAME, TRADE, "line: why")
        found.until(100 * at + 50)
    rows = [of(row) for row in found.rows(NAME, Covers())]
    assert rows == [(100, 150, 1), (200, 250, 1), (300, 1050, 8)]


def test_a_run_s_data_lacks_what_is_missing():
    """Of a kind of row that is new somebody has to say whether it explains a difference."""
    assert set(GapKind) - LACKS == {GapKind.RECONNECT, GapKind.RESYNC, GapKind.CLOCK_STEP}
