"""A level-2 book rebuilt from absolute level changes, shown only where it is known to be whole.

Changes say the new size of a price, so a level that was seen in an unbroken sequence is right. What
an unbroken sequence cannot tell is a level that never changed since it began. How far a side is
complete is known in two ways: a snapshot that connects to the sequence has its best levels; and
when the venue's best bid stood at a price, there was no bid above it, so that every bid that stands
above it later came with a change. A book is withheld until both sides are complete to `depth`
levels, and again while less than half of that is left. Levels that the venue's top contradicts
(better than its best, last changed before it) are stale, and are deleted.

With `fold_tops` the venue's best bid and ask also become the book's between two changes: both name
the update id that they are of, so it is known which is newer. Such a batch is marked F_TOB: of the
levels behind the best they say nothing.

Prices and sizes are raw: integers in units of 10 ** -FIXED_PRECISION.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from enum import IntEnum, StrEnum

import msgspec

F_LAST = 128
F_TOB = 64  # the venue's top alone, between two changes
F_SNAPSHOT = 32
RECENT_CHANGES_MAX = 256  # messages kept to connect a snapshot that arrives late
PENDING_TOPS_MAX = 4096  # tops of book kept that are newer than the book
OLD_CHANGES_MAX = 100  # old changes in a row, after which the ids must have been reset
DEPTH = 10  # levels of each side that must be complete before a book is shown
# Numbers of levels that a snapshot can be asked for: as many as that may not be all. Other numbers
# are the whole side, and so are the deepest snapshots (1000 and more): on real data a market that
# leaves their range meets no fewer levels near its top than within it: they changed meanwhile.
SNAPSHOT_LIMITS = frozenset({5, 10, 20, 50, 100, 500})

NOWHERE, EVERYWHERE = -(1 << 127), 1 << 127  # beyond every raw price


class Code(IntEnum):
    """What a row does, and on which side."""

    CLEAR = 0
    ADD_BID = 1
    ADD_ASK = 2
    UPDATE_BID = 3
    UPDATE_ASK = 4
    DELETE_BID = 5
    DELETE_ASK = 6


Level = tuple[int, int]  # raw price and size
Rows = list[int]  # of each row its code, raw price, and raw size: 0 for a deletion and a CLEAR
ROW = 3  # numbers
_CLEAR = (Code.CLEAR, 0, 0)
_NO_LEVEL = (-1, 0)  # size and update id


class Batch(msgspec.Struct, frozen=True, gc=False):
    """What a reader is told at once, at least one row; the last one has F_LAST beside `flags`."""

    rows: Rows
    flags: int
    sequence: int
    ts_event: int
    ts_init: int


class Change(msgspec.Struct, frozen=True, gc=False):
    """One message: the update ids after `previous`, to `last`; sizes are absolute, 0 removes."""

    previous: int
    last: int
    bids: Sequence[Level]
    asks: Sequence[Level]
    ts_event: int
    ts_init: int


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """The whole book, or its best levels, as of update id `last`."""

    last: int
    bids: Sequence[Level]
    asks: Sequence[Level]
    ts_event: int
    ts_init: int


class Top(msgspec.Struct, frozen=True, gc=False):
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
    withheld_changes: int = 0  # messages applied while the book was not shown
    folded_tops: int = 0  # tops of book that changed the book between two messages
    snapshots: int = 0
    snapshots_unconnected: int = 0
    tops_checked: int = 0
    tops_agreed: int = 0


class BookSide:
    """One side: raw price to (size, update id), with its best level at hand.

    It is complete from the best price to `bound` (a price times `sign`, so that smaller is better).
    """

    def __init__(self, sign: int, add: Code, update: Code, delete: Code) -> None:
        self.sign = sign
        self.add_code, self.update_code, self.delete_code = add, update, delete
        self.levels: dict[int, tuple[int, int]] = {}
        self.bound = NOWHERE
        self.inside = 0  # levels within `bound`; more than can be where that is everywhere
        self.heap: list[int] = []  # prices times `sign`, those that are gone too

    def set(self, price: int, size: int, update_id: int) -> None:
        """Store a level."""
        if price in self.levels:
            self.levels[price] = (size, update_id)
        else:
            self.add(price, size, update_id)

    def add(self, price: int, size: int, update_id: int) -> None:
        """Store a level whose price is not known."""
        self.levels[price] = (size, update_id)
        at = self.sign * price
        if at <= self.bound:
            self.inside += 1
        heapq.heappush(self.heap, at)
        if len(self.heap) > 2 * len(self.levels) + 1024:
            self.heap = [self.sign * each for each in self.levels]
            heapq.heapify(self.heap)

    def pop(self, price: int) -> bool:
        """Take a level out; False where its price is not known."""
        if self.levels.pop(price, None) is None:
            return False
        if self.sign * price <= self.bound:
            self.inside -= 1
        return True

    def pop_better(self, price: int) -> list[int]:
        """Take all levels out that are better; their prices, the best first."""
        at = self.sign * price
        gone: list[int] = []
        while self.heap and self.heap[0] < at:
            better = self.sign * heapq.heappop(self.heap)
            if self.pop(better):
                gone.append(better)
        return gone

    def complete_to(self, bound: int) -> None:
        """It is proven to be complete at least to there."""
        if bound == EVERYWHERE:
            self.bound = self.inside = EVERYWHERE
        elif bound > self.bound:
            self.bound = bound
            self.inside = sum(self.sign * key <= bound for key in self.levels)

    def best(self) -> int | None:
        while self.heap:
            key = self.sign * self.heap[0]
            if key in self.levels:
                return key
            heapq.heappop(self.heap)
        return None

    def clear(self) -> None:
        self.levels.clear()
        self.heap.clear()
        self.bound = NOWHERE
        self.inside = 0


class DiffBook:
    """Changes, snapshots and tops in; batches of rows out.

    `depth`: levels of each side that must be complete before the book is shown (see the module).
    """

    def __init__(self, *, depth: int = DEPTH, fold_tops: bool = False) -> None:
        self.counts = BookCounts()
        self.last_id: int | None = None  # of the newest change applied
        self.shown = False
        self._depth = depth
        self._least = max(1, depth // 2)  # levels of each side, below which it is hidden
        self._fold_tops = fold_tops
        self._folded: Top | None = None  # the newest top, in the book ahead of the changes
        self._sequence = 0  # of the last batch that was shown; neither goes back
        self._ts_event = 0
        self._id_offset = 0  # added to update ids, which begin anew when the venue resets them
        self._top_agreed = True  # of the newest top that could be compared
        self._bridging = False  # the next change may begin before the snapshot it follows
        self._old_run = 0
        self._bids = BookSide(-1, Code.ADD_BID, Code.UPDATE_BID, Code.DELETE_BID)
        self._asks = BookSide(1, Code.ADD_ASK, Code.UPDATE_ASK, Code.DELETE_ASK)
        self._recent: deque[Change] = deque(maxlen=RECENT_CHANGES_MAX)
        self._tops: deque[Top] = deque(maxlen=PENDING_TOPS_MAX)

    def place(self, change: Change) -> Place:
        """Whether `change` is the next one. On GAP the caller must `lose` the book first."""
        if self.last_id is None:
            return Place.NEXT
        if self._bridging and change.last == self.last_id:
            return Place.NEXT  # what the snapshot has of it is the same, and it may say more
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

    def change(self, change: Change) -> list[Batch]:
        """Apply a change whose place is NEXT. `shown` False afterwards, where it was True: the
        CLEAR that came out says that too little of the book is left that is complete."""
        previous = self.last_id if self.last_id is not None else change.previous
        self._bridging = False
        rows = self._apply(change)
        self._recent.append(change)
        self.last_id = change.last
        rows += self._take_tops(previous, change)
        was_shown = self.shown
        out = self._settled(rows, change.last, change.ts_event, change.ts_init)
        self.counts.withheld_changes += not (was_shown or self.shown)
        return out

    def top(self, top: Top, ts_event: int, ts_init: int) -> list[Batch]:
        """Keep the venue's top until the book has reached its update id; fold it in if asked to."""
        if self._tops and top.last < self._tops[-1].last:
            return []
        self._tops.append(top)
        if top.last == self.last_id and self._recent and self._recent[-1].last == top.last:
            rows = self._take_tops(top.last - 1, self._recent[-1])  # of what has just come
            return self._settled(rows, top.last, ts_event, ts_init)
        if not self._fold_tops or self.last_id is None or top.last <= self.last_id:
            return []
        if self._folded is not None and top.last < self._folded.last:
            return []
        self._folded = top
        if not self.shown:
            return []
        rows = self._fold(top)
        if not rows:
            return []
        self.counts.folded_tops += 1
        return self._show(rows, top.last, ts_event, ts_init, F_TOB)

    def snapshot(self, snapshot: Snapshot) -> list[Batch]:
        """Replace the book by a snapshot and the changes after it, if they connect.

        One batch for the snapshot, then one for each change that came too early to be told. Those
        that were told are in the snapshot's batch: a reader is never taken back.
        """
        if not self.connects(snapshot.last):
            self.counts.snapshots_unconnected += 1
            return []
        told = self._sequence - self._id_offset
        later = [change for change in self._recent if change.last > snapshot.last]
        known = [change for change in later if change.last <= told]
        untold = later[len(known) :]
        self.counts.snapshots += 1
        for side, levels in ((self._bids, snapshot.bids), (self._asks, snapshot.asks)):
            self._take_side(side, levels, snapshot.last)
        for change in known:
            self._apply(change, count=False)
        if self.last_id is None or snapshot.last > self.last_id:
            self.last_id = snapshot.last
            self._bridging = True
        self._top_agreed = True
        self._forget_folded()
        was_shown, self.shown = self.shown, False
        last, ts_event = snapshot.last, snapshot.ts_event
        if known:
            last, ts_event = known[-1].last, known[-1].ts_event
        elif untold:
            ts_event = min(ts_event, untold[0].ts_event)
        out = self._settled([], last, ts_event, snapshot.ts_init)
        for change in untold:
            rows = self._apply(change, count=False)
            out += self._settled(rows, change.last, change.ts_event, snapshot.ts_init)
        if self.shown:
            return out
        self.counts.withheld_changes += 1
        return self._hide(self.last_id, ts_event, snapshot.ts_init) if was_shown else []

    def connects(self, snapshot_id: int) -> bool:
        """Whether every change since the snapshot is known, or none is (it is ahead of them)."""
        if self.last_id is None or snapshot_id >= self.last_id:
            return True
        later = next((change for change in self._recent if change.last > snapshot_id), None)
        return later is not None and later.previous <= snapshot_id

    def spans(self, snapshot_id: int) -> bool:
        """Whether the snapshot is of a moment within the changes at hand."""
        if self.last_id is None or not self._recent:
            return False
        return self._recent[0].previous <= snapshot_id <= self.last_id

    def lose(self, sequence: int, ts_event: int, ts_init: int) -> list[Batch]:
        """Forget everything after a sequence gap; a CLEAR if the book was shown."""
        was_shown = self.shown
        if self.last_id is not None and sequence < self.last_id:
            self._id_offset += self.last_id - sequence
        self.shown = False
        self.last_id = self._folded = None
        self._bridging = False
        self._top_agreed = True
        self._old_run = 0
        self._bids.clear()
        self._asks.clear()
        self._recent.clear()
        return self._hide(sequence, ts_event, ts_init) if was_shown else []

    def cleared(self, sequence: int, ts_event: int, ts_init: int) -> Batch:
        """A CLEAR that belongs to no change: the time of the book before, or after, is over."""
        return Batch([*_CLEAR], F_SNAPSHOT, sequence, ts_event, ts_init)

    def end(self, ts_init: int) -> list[Batch]:
        """The data ends: a CLEAR if the book was shown."""
        if not self.shown:
            return []
        self.shown = False
        return [self.ended(ts_init)]

    def ended(self, ts_init: int) -> Batch:
        """The CLEAR of a book that ends with its newest batch."""
        return self.cleared(self._sequence, self._ts_event, ts_init)

    def _take_side(self, side: BookSide, levels: Sequence[Level], update_id: int) -> None:
        """A snapshot's side: levels of size zero are none, of a repeated price the last holds."""
        side.clear()
        for price, size in levels:
            if size:
                side.set(price, size, update_id)
            else:
                side.pop(price)
        bound = EVERYWHERE
        if len(side.levels) in SNAPSHOT_LIMITS:
            bound = max(side.sign * key for key in side.levels)
        side.complete_to(bound)

    def _settled(self, rows: Rows, update_id: int, ts_event: int, ts_init: int) -> list[Batch]:
        """Show `rows` and what follows from them: the newest top stays, no levels cross."""
        if self._folded is not None:
            rows += self._fold(self._folded)
            update_id = max(update_id, self._folded.last)
        rows += self._uncross()
        return self._show(rows, update_id, ts_event, ts_init)

    def _show(
        self, rows: Rows, update_id: int, ts_event: int, ts_init: int, flags: int = 0
    ) -> list[Batch]:
        """What a reader of the deltas is told: rows, the whole book when it begins, its end."""
        bids, asks = self._bids, self._asks
        if self.shown:
            if bids.inside < self._least or asks.inside < self._least:
                self.shown = False
                return self._hide(update_id, ts_event, ts_init)
            self._forward(update_id, ts_event)
            return [Batch(rows, flags, self._sequence, self._ts_event, ts_init)] if rows else []
        if bids.inside < self._depth or asks.inside < self._depth or not self._top_agreed:
            return []
        self._forward(update_id, ts_event)
        return [self._whole(ts_init)]

    def _forward(self, sequence: int, ts_event: int) -> None:
        """Sequence and event time of a batch: a top that was folded in may be ahead of a change."""
        if sequence + self._id_offset > self._sequence:
            self._sequence = sequence + self._id_offset
        if ts_event > self._ts_event:
            self._ts_event = ts_event

    def _hide(self, sequence: int, ts_event: int, ts_init: int) -> list[Batch]:
        self._forward(sequence, ts_event)
        return [self.ended(ts_init)]

    def _apply(self, change: Change, *, count: bool = True) -> Rows:
        """Most of an import's time is spent here, so that little is called for each level."""
        rows: Rows = []
        last = change.last
        for side, levels in ((self._bids, change.bids), (self._asks, change.asks)):
            known = side.levels
            update, delete = side.update_code, side.delete_code
            is_bounded = side.bound != EVERYWHERE
            for price, size in levels:
                if size:
                    if price in known:
                        known[price] = (size, last)
                        rows += (update, price, size)
                    else:
                        side.add(price, size, last)
                        rows += (side.add_code, price, size)
                elif side.pop(price) if is_bounded else known.pop(price, None):
                    rows += (delete, price, 0)
                elif count:
                    self.counts.unknown_deletes += 1
        return rows

    def _take_tops(self, previous: int, change: Change) -> Rows:
        """Learn from the venue's tops within `change`: all say how far the book is complete."""
        tops: list[Top] = []
        while self._tops and self._tops[0].last <= change.last:
            top = self._tops.popleft()
            if top.last > previous:
                tops.append(top)
        rows = [] if self._has(tops) else self._learn(tops, change)
        self._forget_folded()
        return rows + self._check_top(tops[-1]) if tops else rows

    def _has(self, tops: list[Top]) -> bool:
        """Whether they say nothing new: a usual case of many, so that it is asked at once."""
        bids, asks = self._bids, self._asks
        return (
            bids.bound == asks.bound == EVERYWHERE
            and {top.bid[0] for top in tops} <= bids.levels.keys()
            and {top.ask[0] for top in tops} <= asks.levels.keys()
        )

    def _learn(self, tops: list[Top], change: Change) -> Rows:
        rows: Rows = []
        named: dict[BookSide, set[int]] = {}
        for top in tops:
            for side, level, levels in (
                (self._bids, top.bid, change.bids),
                (self._asks, top.ask, change.asks),
            ):
                key = level[0]
                if side.sign * key > side.bound:
                    side.complete_to(side.sign * key)
                if key in side.levels:
                    continue
                if side not in named:
                    named[side] = {each[0] for each in levels}
                if key not in named[side]:
                    rows += self._seed(side, level, top.last)
        return rows

    def _seed(self, side: BookSide, level: Level, update_id: int) -> tuple[Code, int, int]:
        """A best level that no change told of: it stood there since before they began.

        What the message itself says of that price is newer.
        """
        side.set(*level, update_id)
        self.counts.seeded_levels += 1
        return (side.add_code, *level)

    def _forget_folded(self) -> None:
        """The changes have reached the top that was folded in."""
        folded = self._folded
        if folded is not None and self.last_id is not None and folded.last <= self.last_id:
            self._folded = None

    def _fold(self, top: Top) -> Rows:
        """Make the venue's top, newer than every change, the book's."""
        rows: Rows = []
        bid, ask = top.bid, top.ask
        bids, asks = self._bids, self._asks
        # Most tops change one side alone: the other's best level stands as it is said to.
        if bids.levels.get(bid[0], _NO_LEVEL)[0] != bid[1] or bids.heap[0] != -bid[0]:
            self._fold_side(rows, bids, bid, top.last)
        if asks.levels.get(ask[0], _NO_LEVEL)[0] != ask[1] or asks.heap[0] != ask[0]:
            self._fold_side(rows, asks, ask, top.last)
        return rows

    def _fold_side(self, rows: Rows, side: BookSide, level: Level, last: int) -> None:
        price, size = level
        if side.heap and side.heap[0] < side.sign * price:
            for gone in side.pop_better(price):
                rows += (side.delete_code, gone, 0)
        held = side.levels.get(price)
        if held is None:
            side.add(price, size, last)
            rows += (side.add_code, price, size)
        elif held[0] != size:
            side.levels[price] = (size, last)
            rows += (side.update_code, price, size)

    def _check_top(self, top: Top) -> Rows:
        """Delete what the venue's top shows to be gone; note whether the book's top is its own."""
        rows: Rows = []
        agreed = True
        for side, level in ((self._bids, top.bid), (self._asks, top.ask)):
            key = level[0]
            while (best := side.best()) is not None and side.sign * best < side.sign * key:
                if side.levels[best][1] >= top.last:
                    break
                side.pop(best)
                rows += (side.delete_code, best, 0)
                self.counts.contradicted_levels += 1
            agreed = agreed and side.best() == key
        self.counts.tops_checked += 1
        self.counts.tops_agreed += agreed
        self._top_agreed = agreed
        return rows

    def _uncross(self) -> Rows:
        """Delete the older of two levels that cross, until none do."""
        rows: Rows = []
        while True:
            bid, ask = self._bids.best(), self._asks.best()
            if bid is None or ask is None or bid < ask:
                return rows
            bid_id, ask_id = self._bids.levels[bid][1], self._asks.levels[ask][1]
            side, key = (self._bids, bid) if bid_id <= ask_id else (self._asks, ask)
            side.pop(key)
            rows += (side.delete_code, key, 0)
            self.counts.crossed_levels += 1

    def _whole(self, ts_init: int) -> Batch:
        """The whole book as one snapshot batch; the book is shown from here on."""
        self.shown = True
        rows: Rows = [*_CLEAR]
        for side in (self._bids, self._asks):
            for price, (size, _) in side.levels.items():
                rows += (side.add_code, price, size)
        return Batch(rows, F_SNAPSHOT, self._sequence, self._ts_event, ts_init)
