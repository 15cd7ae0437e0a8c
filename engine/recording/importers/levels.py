"""A book of absolute levels that begins with a snapshot, as archives keep it.

The snapshot and each message are the whole truth of what the venue shows; what lies deeper than it
shows is nobody's. A level that crosses a newer one of the other side was not taken out: it goes.
"""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.engine.recording.importers.diffbook import (
    F_SNAPSHOT,
    Batch,
    BookCounts,
    BookSide,
    Code,
    Level,
    Rows,
)

_CLEAR = (Code.CLEAR, 0, 0)


class LevelBook:
    """Snapshots and changes in; batches out. `shown`: a reader has it."""

    def __init__(self) -> None:
        self.counts = BookCounts()
        self.shown = False
        self._bids = BookSide(-1, Code.ADD_BID, Code.UPDATE_BID, Code.DELETE_BID)
        self._asks = BookSide(1, Code.ADD_ASK, Code.UPDATE_ASK, Code.DELETE_ASK)
        self._number = 0  # of messages, where there are no update ids
        self._told = (0, 0)  # sequence and ts_event of the newest batch

    def snapshot(
        self, sides: tuple[Sequence[Level], Sequence[Level]], last: int, ts_event: int, ts_init: int
    ) -> list[Batch]:
        """CLEAR and what stands then."""
        self.counts.snapshots += 1
        self._number += 1
        rows: Rows = [*_CLEAR]
        for side, levels in zip((self._bids, self._asks), sides, strict=True):
            side.clear()
            for price, size in levels:
                if size:
                    side.set(price, size, self._number)
        self._uncross([])
        for side in (self._bids, self._asks):
            for price in sorted(side.levels, key=lambda price: side.sign * price):
                rows += (side.add_code, price, side.levels[price][0])
        self.shown = True
        return [self._batch(rows, F_SNAPSHOT, last, ts_event, ts_init)]

    def change(
        self, sides: tuple[Sequence[Level], Sequence[Level]], last: int, ts_event: int, ts_init: int
    ) -> list[Batch]:
        """Nothing while there is no book: what a change says of one level is no book."""
        if not self.shown:
            self.counts.withheld_changes += 1
            return []
        self._number += 1
        rows: Rows = []
        for side, levels in zip((self._bids, self._asks), sides, strict=True):
            for price, size in levels:
                self._set(side, price, size, rows)
        self._uncross(rows)
        return [self._batch(rows, 0, last, ts_event, ts_init)] if rows else []

    def end(self, ts_init: int) -> list[Batch]:
        """It is not known any more: a CLEAR, where it was shown."""
        if not self.shown:
            return []
        self.shown = False
        sequence, ts_event = self._told
        return [Batch([*_CLEAR], F_SNAPSHOT, sequence, ts_event, ts_init)]

    def _set(self, side: BookSide, price: int, size: int, rows: Rows) -> None:
        if not size:
            if side.pop(price):
                rows += (side.delete_code, price, 0)
            else:
                self.counts.unknown_deletes += 1
        elif price in side.levels:
            side.set(price, size, self._number)
            rows += (side.update_code, price, size)
        else:
            side.add(price, size, self._number)
            rows += (side.add_code, price, size)

    def _uncross(self, rows: Rows) -> None:
        """Of two levels that cross the older one goes, of two of one message the bid."""
        while True:
            bid, ask = self._bids.best(), self._asks.best()
            if bid is None or ask is None or bid < ask:
                return
            is_ask_older = self._asks.levels[ask][1] < self._bids.levels[bid][1]
            side, price = (self._asks, ask) if is_ask_older else (self._bids, bid)
            side.pop(price)
            self.counts.crossed_levels += 1
            rows += (side.delete_code, price, 0)

    def _batch(self, rows: Rows, flags: int, last: int, ts_event: int, ts_init: int) -> Batch:
        self._told = (last or self._number, ts_event)
        return Batch(rows, flags, last or self._number, ts_event, ts_init)


def cleared(sequence: int, ts_event: int, ts_init: int) -> Batch:
    """A CLEAR that belongs to no message."""
    return Batch([*_CLEAR], F_SNAPSHOT, sequence, ts_event, ts_init)
