"""What a catalog holds of an instrument just before and just after the time of a file.

Nobody knows what happened between two files: the book of the one ends with it, and the time until
the next one's is a gap row. A file that is imported between two others splits their row.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.model import BookAction, NautilusDataType, OrderBookDelta
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.recording.gaps import GapKind, GapRow, read_gaps

KINDS = (NautilusDataType.OrderBookDelta, NautilusDataType.TradeTick, NautilusDataType.QuoteTick)
REASON = "nothing was imported between two files"


class Before(msgspec.Struct, frozen=True):
    """`end_ns` is the newest row's; `book` the newest delta, None where there is none."""

    end_ns: int
    book: OrderBookDelta | None
    trade_id: str  # of the newest trade, empty where there is none

    @property
    def is_shown(self) -> bool:
        """Whether a reader still has its book."""
        return self.book is not None and self.book.action != BookAction.CLEAR


class After(msgspec.Struct, frozen=True):
    """`start_ns` is the oldest row's, `book_ns` the oldest delta's, None where there is none."""

    start_ns: int
    book_ns: int | None
    trade_id: str  # of the oldest trade, empty where there is none


class Neighbours:
    """One instrument's data in a catalog, which may not be there yet, of some kinds of rows."""

    def __init__(
        self, catalog: Path, name: str, kinds: Sequence[Any] = KINDS, row: GapRow | None = None
    ) -> None:
        """`row` is like those of the time between such files, where `between` makes others."""
        self._name = name
        like = between(name, 0, 0) if row is None else row
        self._catalog: ParquetDataCatalog | None = None
        self._spans: dict[Any, list[tuple[int, int]]] = {kind: [] for kind in kinds}
        if (catalog / "data").is_dir():
            self._catalog = ParquetDataCatalog(str(catalog))
            self._spans = {kind: self._catalog.get_intervals(kind, name) for kind in kinds}
        self._rows = [
            row
            for row in read_gaps(catalog)[0]
            if row.kind is like.kind
            and (row.instrument, row.reason) == (like.instrument, like.reason)
        ]

    def overlapping(self, start_ns: int, end_ns: int) -> tuple[int, int] | None:
        """The part of the catalog that lies within the time, of any kind; None for none."""
        found = [
            (a, b)
            for spans in self._spans.values()
            for a, b in spans
            if a <= end_ns and b >= start_ns
        ]
        return (min(a for a, _ in found), max(b for _, b in found)) if found else None

    def before(self, ts: int) -> Before | None:
        ends = {
            kind: max((b for _, b in spans if b < ts), default=0)
            for kind, spans in self._spans.items()
        }
        if not any(ends.values()):
            return None
        books = self._at(NautilusDataType.OrderBookDelta, ends)
        trades = self._at(NautilusDataType.TradeTick, ends)
        book = books[-1] if books else None
        return Before(max(ends.values()), book, str(trades[-1].trade_id) if trades else "")

    def after(self, ts: int) -> After | None:
        begins = {
            kind: min((a for a, _ in spans if a > ts), default=0)
            for kind, spans in self._spans.items()
        }
        if not any(begins.values()):
            return None
        trades = self._at(NautilusDataType.TradeTick, begins)
        return After(
            min(begin for begin in begins.values() if begin),
            begins.get(NautilusDataType.OrderBookDelta) or None,
            str(trades[0].trade_id) if trades else "",
        )

    def row_across(self, start_ns: int, end_ns: int) -> GapRow | None:
        """The row of the time between two files, where that time holds this file's."""
        for row in self._rows:
            if row.from_ns <= start_ns and row.to_ns >= end_ns:
                return row
        return None

    def _at(self, kind: Any, times: dict[Any, int]) -> list[Any]:
        if self._catalog is None or not times.get(kind):
            return []
        return self._catalog.query(kind, [self._name], start=times[kind], end=times[kind])


def goes_on(trade_id: str, next_id: str) -> bool:
    """Whether no trade can be missing between the two: Binance counts them."""
    return trade_id.isdecimal() and next_id.isdecimal() and int(trade_id) + 1 == int(next_id)


def between(name: str, from_ns: int, to_ns: int, note: str = "") -> GapRow:
    """The row of the time between two files."""
    return GapRow(
        kind=GapKind.BETWEEN_RUNS,
        instrument=name,
        reason=REASON + note,
        from_ns=from_ns,
        to_ns=to_ns,
    )


def is_between(row: GapRow) -> bool:
    return row.kind is GapKind.BETWEEN_RUNS and row.reason.startswith(REASON)
