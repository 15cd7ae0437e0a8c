"""A channel of whole books: what is late is passed over, and not for ever."""

from __future__ import annotations

from fairlead.adapters.base.limits import MAX_LATE_IN_ROW
from fairlead.adapters.base.snapshot_channel import SnapshotChannel
from tests.venues.base.scripted import BTC, instrument

BIDS, ASKS = [("99.00", "1")], [("101.00", "1")]


def test_one_time_that_is_far_ahead_stops_no_book() -> None:
    channel = SnapshotChannel(instrument(BTC))
    channel.update(ASKS, BIDS, 10**15, 1)
    told = [
        channel.update(ASKS, [("98.00", "1")], 1000 + n, 2 + n) for n in range(MAX_LATE_IN_ROW + 3)
    ]
    names = [[type(item).__name__ for item in one] for one in told]
    assert names == [
        *[[]] * MAX_LATE_IN_ROW,
        ["OrderBookDeltas", "Gap"],
        ["OrderBookDeltas", "Resynced"],
        [],
    ]


def test_no_older_book_is_shown_after_a_gap_but_by_another_connection() -> None:
    channel = SnapshotChannel(instrument(BTC))
    channel.update(ASKS, BIDS, 100, 1)
    crossed = channel.update(ASKS, [("102.00", "1")], 200, 2)
    assert [type(item).__name__ for item in crossed] == ["OrderBookDeltas", "Gap"]
    assert channel.update(ASKS, BIDS, 150, 3) == ()
    channel.begin()
    again = channel.update(ASKS, BIDS, 150, 4)
    assert [type(item).__name__ for item in again] == ["OrderBookDeltas", "Resynced"]
