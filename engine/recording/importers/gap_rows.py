"""Rows of the gap file for one instrument of an import, and how many of which kind there are."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fairlead.engine.recording.gaps import GapKind, GapRow
from fairlead.engine.recording.importers.left_out import DEPTH, TRADE, Covers, LeftOut
from fairlead.engine.recording.importers.report import InstrumentReport
from fairlead.engine.recording.importers.staging import StagedCatalog
from fairlead.engine.recording.importers.trade_ids import TradeIds


class GapRows:
    """Added to what is staged, and counted in `report`: a row of the kind `gap` is a time without a
    book, one that is `missing` ended none, one between two files is counted apart."""

    def __init__(self, report: InstrumentReport, staged: StagedCatalog) -> None:
        self.covers = Covers()
        self._report = report
        self._staged = staged

    def begin(self, since_ns: int, reason: str, missing: int = 0) -> GapRow:
        """A gap that is open: `add` ends it."""
        return GapRow(
            kind=GapKind.GAP,
            instrument=self._report.id,
            reason=reason,
            from_ns=since_ns,
            to_ns=since_ns,
            count=missing,
        )

    def add(self, row: GapRow, to_ns: int) -> None:
        row = msgspec.structs.replace(row, to_ns=max(row.from_ns, to_ns))
        report = self._report
        self._staged.gaps.append(row)
        if row.kind is GapKind.BETWEEN_RUNS:
            report.between_seconds += row.seconds
            return
        report.gaps += 1
        if row.kind is GapKind.MISSING:
            report.missing_seconds += row.seconds
        else:
            report.gap_seconds += row.seconds
            self.covers.add(DEPTH, row.from_ns, row.to_ns)

    def add_missing(self, row: GapRow, to_ns: int) -> None:
        """No book ended with it."""
        self.add(msgspec.structs.replace(row, kind=GapKind.MISSING), to_ns)

    def end(
        self,
        trade_ids: TradeIds | None,
        unusable: LeftOut,
        last_ns: int,
        kinds: Sequence[str] = (),
    ) -> None:
        """The file ended at `last_ns`, and all other rows are added: holes of trade ids, then what
        was left out that no row tells. `kinds`: what a line may be of that says nothing."""
        for hole in [] if trade_ids is None else trade_ids.holes():
            self._report.trades_missing += hole.missing
            self.covers.add(TRADE, hole.from_ns, hole.to_ns)
            self.add_missing(self.begin(hole.from_ns, str(hole), hole.missing), hole.to_ns)
        unusable.until(last_ns)
        for left in (self._staged.left_out, unusable):
            for row in left.rows(self._report.id, self.covers, kinds):
                self.add(row, row.to_ns)
