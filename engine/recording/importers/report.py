"""What an import did, in numbers."""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.engine.recording.importers.diffbook import BookCounts

MALFORMED_KEPT_MAX = 20  # malformed lines that are named one by one


class MalformedLine(msgspec.Struct, frozen=True):
    line: int
    reason: str


class InstrumentReport(msgspec.Struct, kw_only=True):
    """One instrument. Times are local UNIX ns; `exchange_ahead_ns` is least and most."""

    id: str
    market: str
    price_precision: int
    size_precision: int
    tick_size: str
    step_size: str
    min_notional: str  # empty for none
    maker_fee: str
    taker_fee: str
    depth_messages: int = 0
    level_updates: int = 0  # levels of depth messages in the file
    delta_rows: int = 0  # OrderBookDelta rows in the catalog, snapshots included
    trades: int = 0
    trades_off_book: int = 0  # insurance fund and the like; not imported
    trades_repeated: int = 0  # told again; once in the catalog
    trades_missing: int = 0  # by their ids
    quotes: int = 0
    quotes_unusable: int = 0  # a side empty, or crossed; not imported
    quotes_repeated: int = 0
    bars: int = 0
    bars_repeated: int = 0
    off_tick: int = 0  # distinct prices that are no multiple of the price increment
    off_step: int = 0
    float_noise: int = 0  # numbers within float error of the decimal that they became
    depth: int = 0  # levels of each side that are complete wherever a book begins
    depth_stops: int = 0  # depth was silent for long while quotes, or the file, went on
    gaps: int = 0  # rows of the gap file, but for those of the time between files
    gap_seconds: float = 0.0  # without a book that is whole, after it first was
    missing_seconds: float = 0.0  # in which trades, bars or lines are missing, and no book ended
    between_seconds: float = 0.0  # since the file before, until the one after; without a book
    unseen_seconds: float = 0.0  # and before
    book_from_ns: int = 0  # when the book was first whole
    exchange_ahead_ns: tuple[int | None, int | None] = (None, None)
    book: BookCounts = msgspec.field(default_factory=BookCounts)


class ImportReport(msgspec.Struct, kw_only=True):
    """One file. `damage` is not empty when only a part of it could be read."""

    file: str
    format: str
    catalog: str
    lines: int = 0
    malformed: int = 0
    malformed_first: list[MalformedLine] = []
    skipped: dict[str, int] = {}
    damage: str = ""
    clock_steps: int = 0
    gaps_of_any: int = 0  # rows of lines of which nobody knows whose they are
    start_ns: int = 0
    end_ns: int = 0
    seconds: float = 0.0
    file_bytes: int = 0
    catalog_bytes: int = 0
    files: int = 0
    instruments: list[InstrumentReport] = []

    def skip(self, kind: str) -> None:
        self.skipped[kind[:60]] = self.skipped.get(kind[:60], 0) + 1

    def malformed_line(self, number: int, reason: str) -> None:
        self.malformed += 1
        if len(self.malformed_first) < MALFORMED_KEPT_MAX:
            self.malformed_first.append(MalformedLine(number, reason[:200]))

    def span(self, ts: int) -> None:
        self.start_ns = self.start_ns or ts
        self.end_ns = ts

    @property
    def gaps(self) -> int:
        return self.gaps_of_any + sum(each.gaps for each in self.instruments)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as `--json` prints them."""
        return {**msgspec.to_builtins(self), "gaps": self.gaps}
