"""A level-2 book rebuilt from absolute level changes, proven against the venue's own top of book.

Changes say the new size of a price, so a level that was seen in an unbroken sequence is right. What
an unbroken sequence cannot tell is a level that never changed since it began. A book is therefore
withheld until it is whole at the top: until a snapshot connects to the sequence, or the venue's
best bid and ask of the same moment (by update id) are the book's. Levels that the venue's top
contradicts (better than its best, last changed before it) are stale, and are deleted.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from enum import StrEnum

import msgspec
from nautilus_trader.model import (
    BookAction,
    BookOrder,
    InstrumentId,
    OrderBookDelta,
    OrderSide,
    Price,
    Quantity,
)

F_LAST = 128
F_SNAPSHOT = 32
RECENT_CHANGES_MAX = 256  # messages kept to connect a snapshot that arrives late
PENDING_TOPS_MAX = 4096  # tops of book kept that are newer than the book
OLD_CHANGES_MAX = 100  # old changes in a row, after which the ids must have been reset

Level = tuple[int, Price, Quantity]  # raw price (the key), price, size
_Row = tuple[BookAction, OrderSide, Price, Quantity]


class Change(msgspec.Struct, frozen=True):
    """One message: the update ids after `previous`, to `last`; sizes are absolute, 0 removes."""

    previous: int
    last: int
    bids: Sequence[Level]
    asks: Sequence[Level]
    ts_event: int
    ts_init: int


class Snapshot(msgspec.Struct, frozen=True):
    """The whole book, or its best levels, as of update id `last`."""

    last: int
    bids: Sequence[Level]
    asks: Sequence[Level]
    ts_event: int
    ts_init: int


class Top(msgspec.Struct, frozen=True):
    """The venue's best bid and ask as of update id `last`."""

    last: int
    bid: Level
    ask: Level


class Place(StrEnum):
    """Where a change stands in the sequence of update ids."""

    NEXT = "next"
    OLD = "old"  # already in the book: a duplicate, or before the snapshot
    GAP = "gap"


class BookCounts(msgspec.Struct):
    """What was met while rebuilding."""

    old_changes: int = 0
    unknown_deletes: int = 0
    crossed_levels: int = 0  # deleted because they crossed a newer level
    contradicted_levels: int = 0  # deleted because the venue's top of book shows they are gone
    seeded_levels: int = 0  # taken from the venue's top of book, unknown to the book
    withheld_changes: int = 0  # messages applied before the book was proven
    snapshots: int = 0
    snapshots_unconnected: int = 0
    tops_checked: int = 0
    tops_agreed: int = 0


class _Side:
    """One side: raw price to (price, size, update id), with its best level at hand."""

    def __init__(self, side: OrderSide) -> None:
        self.side = side
        self.sign = -1 if side == OrderSide.BUY else 1
        self.levels: dict[int, tuple[Price, Quantity, int]] = {}
        self._heap: list[int] = []

    def set(self, level: Level, update_id: int) -> bool:
        """Store the level; False if its price was known already."""
        key, price, size = level
        known = key in self.levels
        self.levels[key] = (price, size, update_id)
        if not known:
            heapq.heappush(self._heap, self.sign * key)
            if len(self._heap) > 2 * len(self.levels) + 1024:
                self._heap = [self.sign * k for k in self.levels]
                heapq.heapify(self._heap)
        return not known

    def best(self) -> int | None:
        while self._heap:
            key = self.sign * self._heap[0]
            if key in self.levels:
                return key
            heapq.heappop(self._heap)
        return None

    def clear(self) -> None:
        self.levels.clear()
        self._heap.clear()


class DiffBook:
    """Changes, snapshots and tops in; NautilusTrader deltas out.

    `needs_proof` False (no top of book in the source) emits from the first change on.
    """

    def __init__(
        self,
        instrument_id: InstrumentId,
        price_precision: int,
        size_precision: int,
        *,
        needs_proof: bool,
    ) -> None:
        self.instrument_id = instrument_id
        self.counts = BookCounts()
        self.last_id: int | None = None  # of the newest change applied
        self.proven = False
        self._needs_proof = needs_proof
        self._top_agreed = False
        self._bridging = False  # the next change may begin before the snapshot it follows
        self._old_run = 0
        self._bids = _Side(OrderSide.BUY)
        self._asks = _Side(OrderSide.SELL)
        self._recent: deque[Change] = deque(maxlen=RECENT_CHANGES_MAX)
        self._tops: deque[Top] = deque(maxlen=PENDING_TOPS_MAX)
        self._zero_size = Quantity.zero(size_precision)
        self._no_order = BookOrder(None, Price.zero(price_precision), self._zero_size, 0)

    def place(self, change: Change) -> Place:
        """Whether `change` is the next one. On GAP the caller must `lose` the book first."""
        if self.last_id is None:
            return Place.NEXT
        if change.last <= self.last_id:
            self._old_run += 1
            if self._old_run > OLD_CHANGES_MAX:
                return Place.GAP
            self.counts.old_changes += 1
            return Place.OLD
        self._old_run = 0
        if change.previous == self.last_id:
            return Place.NEXT
        return Place.NEXT if self._bridging and change.previous < self.last_id else Place.GAP

    def change(self, change: Change) -> list[OrderBookDelta]:
        """Apply a change whose place is NEXT."""
        previous = self.last_id if self.last_id is not None else change.previous
        self._bridging = False
        rows = self._apply(change)
        self._recent.append(change)
        self.last_id = change.last
        top = self._take_top(change.last)
        if top is not None and top.last > previous:
            rows += self._check_top(top, change)
        rows += self._uncross(change.last)
        if self.proven:
            return self._deltas(rows, change.last, change.ts_event, change.ts_init)
        if self._needs_proof and not self._top_agreed:
            self.counts.withheld_changes += 1
            return []
        return self._whole(change.ts_event, change.ts_init)

    def top(self, top: Top) -> None:
        """Keep the venue's top until the book has reached its update id."""
        if not self._tops or top.last >= self._tops[-1].last:
            self._tops.append(top)

    def snapshot(self, snapshot: Snapshot) -> list[OrderBookDelta]:
        """Replace the book by a snapshot and the changes after it, if they connect."""
        later = [change for change in self._recent if change.last > snapshot.last]
        is_behind = self.last_id is not None and snapshot.last < self.last_id
        if is_behind and not (later and later[0].previous <= snapshot.last):
            self.counts.snapshots_unconnected += 1
            return []
        self.counts.snapshots += 1
        self._bids.clear()
        self._asks.clear()
        for side, levels in ((self._bids, snapshot.bids), (self._asks, snapshot.asks)):
            for level in levels:
                side.set(level, snapshot.last)
        for change in later:
            self._apply(change, count=False)
        if self.last_id is None or snapshot.last > self.last_id:
            self.last_id = snapshot.last
            self._bridging = True
        self._uncross(self.last_id)
        ts_event = later[-1].ts_event if later else snapshot.ts_event
        return self._whole(ts_event, snapshot.ts_init)

    def lose(self, sequence: int, ts_event: int, ts_init: int) -> list[OrderBookDelta]:
        """Forget everything after a sequence gap; a CLEAR if the book was visible."""
        visible = self.proven
        self.proven = False
        self.last_id = None
        self._top_agreed = self._bridging = False
        self._old_run = 0
        self._bids.clear()
        self._asks.clear()
        self._recent.clear()
        flags = F_SNAPSHOT | F_LAST
        clear = self._delta(BookAction.CLEAR, self._no_order, flags, sequence, ts_event, ts_init)
        return [clear] if visible else []

    def _apply(self, change: Change, *, count: bool = True) -> list[_Row]:
        rows: list[_Row] = []
        for side, levels in ((self._bids, change.bids), (self._asks, change.asks)):
            for level in levels:
                key, price, size = level
                if size.raw:
                    added = side.set(level, change.last)
                    action = BookAction.ADD if added else BookAction.UPDATE
                    rows.append((action, side.side, price, size))
                elif side.levels.pop(key, None) is not None:
                    rows.append((BookAction.DELETE, side.side, price, self._zero_size))
                elif count:
                    self.counts.unknown_deletes += 1
        return rows

    def _take_top(self, last: int) -> Top | None:
        """The newest top that is not newer than the book; older ones are forgotten."""
        found: Top | None = None
        while self._tops and self._tops[0].last <= last:
            found = self._tops.popleft()
        return found

    def _check_top(self, top: Top, change: Change) -> list[_Row]:
        """Make the book agree with the venue's top, where that top is the newer knowledge.

        Levels of `change` itself may be newer than the top, so those are left alone.
        """
        rows: list[_Row] = []
        agreed = True
        for side, level, changed in (
            (self._bids, top.bid, change.bids),
            (self._asks, top.ask, change.asks),
        ):
            key, price, size = level
            while (best := side.best()) is not None and side.sign * best < side.sign * key:
                if side.levels[best][2] >= top.last:
                    break
                rows.append(
                    (BookAction.DELETE, side.side, side.levels.pop(best)[0], self._zero_size)
                )
                self.counts.contradicted_levels += 1
            if key not in side.levels and all(key != touched[0] for touched in changed):
                side.set(level, top.last)
                rows.append((BookAction.ADD, side.side, price, size))
                self.counts.seeded_levels += 1
            agreed = agreed and side.best() == key
        self.counts.tops_checked += 1
        self.counts.tops_agreed += agreed
        self._top_agreed = agreed
        return rows

    def _uncross(self, last: int) -> list[_Row]:
        """Delete the older of two levels that cross, until none do."""
        rows: list[_Row] = []
        while True:
            bid, ask = self._bids.best(), self._asks.best()
            if bid is None or ask is None or bid < ask:
                return rows
            bid_id, ask_id = self._bids.levels[bid][2], self._asks.levels[ask][2]
            side, key = (self._bids, bid) if bid_id <= ask_id else (self._asks, ask)
            price = side.levels.pop(key)[0]
            rows.append((BookAction.DELETE, side.side, price, self._zero_size))
            self.counts.crossed_levels += 1

    def _whole(self, ts_event: int, ts_init: int) -> list[OrderBookDelta]:
        """The whole book as one snapshot batch; the book is visible from here on."""
        self.proven = True
        sequence = self.last_id or 0
        orders = [
            BookOrder(side.side, price, size, 0)
            for side in (self._bids, self._asks)
            for price, size, _ in side.levels.values()
        ]
        flags = F_SNAPSHOT if orders else F_SNAPSHOT | F_LAST
        out = [self._delta(BookAction.CLEAR, self._no_order, flags, sequence, ts_event, ts_init)]
        for number, order in enumerate(orders, 1):
            flags = F_SNAPSHOT | F_LAST if number == len(orders) else F_SNAPSHOT
            out.append(self._delta(BookAction.ADD, order, flags, sequence, ts_event, ts_init))
        return out

    def _deltas(
        self,
        rows: list[_Row],
        sequence: int,
        ts_event: int,
        ts_init: int,
    ) -> list[OrderBookDelta]:
        final = len(rows) - 1
        return [
            OrderBookDelta(
                self.instrument_id,
                action,
                BookOrder(side, price, size, 0),
                F_LAST if number == final else 0,
                sequence,
                ts_event,
                ts_init,
            )
            for number, (action, side, price, size) in enumerate(rows)
        ]

    def _delta(
        self,
        action: BookAction,
        order: BookOrder,
        flags: int,
        sequence: int,
        ts_event: int,
        ts_init: int,
    ) -> OrderBookDelta:
        return OrderBookDelta(self.instrument_id, action, order, flags, sequence, ts_event, ts_init)
