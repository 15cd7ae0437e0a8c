"""The kit's book channel: what is late is passed over, and not for ever."""

from __future__ import annotations

from fairlead.adapters.base.kit_stream import SnapshotChannel
from fairlead.adapters.base.limits import MAX_LATE_IN_ROW
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
