"""What an import counts of one instrument's gaps, each by its kind, and what is told once."""

from __future__ import annotations

from fairlead.engine.recording.gaps import GapKind, read_gaps
from fairlead.engine.recording.importers.gap_rows import GapRows
from fairlead.engine.recording.importers.left_out import DEPTH, QUOTE, LeftOut
from fairlead.engine.recording.importers.neighbours import between
from fairlead.engine.recording.importers.report import InstrumentReport
from fairlead.engine.recording.importers.staging import StagedCatalog
from fairlead.engine.recording.importers.trade_ids import TradeIds

NAME = "AAAUSDT.BINANCE"
SECOND = 10**9


def test_each_kind_is_counted_by_itself_and_a_covered_line_is_told_once(tmp_path):
    words = dict.fromkeys(("tick_size", "step_size", "min_notional", "maker_fee", "taker_fee"), "")
    report = InstrumentReport(id=NAME, market="spot", price_precision=1, size_precision=1, **words)
    ids, unusable = TradeIds(), LeftOut()
    for number, at in ((1, 1), (5, 3)):
        ids.add(number, at * SECOND)
    with StagedCatalog(tmp_path / "cat") as staged:
        gaps = GapRows(report, staged)
        gaps.add(between(NAME, 0, SECOND), SECOND)
        gaps.add(gaps.begin(2 * SECOND, "lost", 7), 6 * SECOND)
        staged.left_out.add(3 * SECOND, NAME, DEPTH, "line 9: within the lost book")
        staged.left_out.until(4 * SECOND)
        unusable.add(8 * SECOND, NAME, QUOTE, "crossed")
        gaps.end(ids, unusable, 9 * SECOND)
        rows, unreadable = read_gaps(staged.path)
    assert unreadable == 0
    kinds = [(row.kind, row.from_ns // SECOND, row.count) for row in rows]
    assert kinds == [
        (GapKind.BETWEEN_RUNS, 0, 0),
        (GapKind.GAP, 2, 7),
        (GapKind.MISSING, 1, 3),
        (GapKind.MISSING, 8, 1),
    ]
    assert (report.gaps, report.trades_missing, report.between_seconds) == (3, 3, 1.0)
    assert (report.gap_seconds, report.missing_seconds) == (4.0, 3.0)
