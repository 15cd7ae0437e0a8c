"""Sequences and times of books across connections: NautilusTrader warns of those that go back."""

from __future__ import annotations

import pytest
from nautilus_trader.model import InstrumentId, OrderBookDeltas

from fairlead.adapters.base.book import SequencedBook, SnapshotBook
from fairlead.adapters.base.streamed_book import StreamedBook
from fairlead.adapters.base.venue import Feed, FeedKind
from fairlead.engine.status import BookStatus

IID = InstrumentId.from_str("BTC_USDT.TEST")
ASKS, BIDS = [("11.0", "1.00")], [("10.0", "1.00")]
MS = 1_000_000


def first(kind: str, ts_event: int, ts_init: int) -> OrderBookDeltas:
    """What a new connection's book tells first."""
    if kind == "snapshots":
        found = SnapshotBook(IID, 1, 2).diff(ASKS, BIDS, ts_event, ts_init)
    else:
        found = SequencedBook(IID, 1, 2).snapshot(5, ASKS, BIDS, ts_event, ts_init)
    assert isinstance(found, OrderBookDeltas)
    return found


@pytest.mark.parametrize("kind", ["snapshots", "sequenced"])
def test_a_new_connection_goes_on_counting(kind: str) -> None:
    shown = [first(kind, second * MS, second * MS) for second in (1_000, 2_000, 3_000)]
    sequences = [deltas.sequence for deltas in shown]
    assert sequences == sorted(set(sequences))


def test_two_changes_of_one_frame_have_sequences_of_their_own() -> None:
    book = SequencedBook(IID, 1, 2)
    told = [
        book.snapshot(1, ASKS, BIDS, MS, MS),
        book.update(1, 2, [("11.0", "2.00")], [], MS, MS),
        book.update(2, 3, [("11.0", "3.00")], [], MS, MS),
        book.clear(MS),
    ]
    sequences = [one.sequence for one in told if isinstance(one, OrderBookDeltas)]
    assert sequences == [MS, MS + 1, MS + 2, MS + 3]


def test_a_clock_ahead_of_the_venue_does_not_put_the_clear_after_the_next_snapshot() -> None:
    """The venue's time of the snapshot is before our time of the CLEAR, and after the update."""
    book = SequencedBook(IID, 1, 2)
    before = book.snapshot(1, ASKS, BIDS, 1_000 * MS, 61_000 * MS)
    cleared = book.clear(61_500 * MS)
    after = book.snapshot(9, ASKS, BIDS, 1_600 * MS, 61_600 * MS)
    assert isinstance(before, OrderBookDeltas)
    assert isinstance(after, OrderBookDeltas)
    assert before.ts_event <= cleared.ts_event <= after.ts_event
    assert before.ts_init < cleared.ts_init < after.ts_init


def test_so_does_the_clear_of_the_streamed_copy() -> None:
    kept = StreamedBook(IID, Feed(FeedKind.BOOK, str(IID)), BookStatus(instrument=str(IID)))
    deltas = first("sequenced", 1_000 * MS, 61_000 * MS)
    kept.book.apply_deltas(deltas)
    cleared = kept.clear(61_500 * MS)
    assert (cleared.ts_event, cleared.ts_init) == (1_000 * MS, 61_500 * MS)
    assert cleared.sequence == deltas.sequence
