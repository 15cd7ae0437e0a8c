"""The book of a venue that sends it whole with each frame: what is late, and where a gap is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

from nautilus_trader.model import InstrumentId

from fairlead.adapters.base.book import SnapshotBook
from fairlead.adapters.base.limits import MAX_LATE_IN_ROW
from fairlead.adapters.base.venue import (
    Gap,
    ParseError,
    Resynced,
    StreamItem,
    VenueInstrument,
)

Levels = Sequence[tuple[str, str]]


class LateFrames:
    """Frames of a book that are older than what is shown: passed over, but not for ever.

    One number or time that was told wrong, or a venue that counts anew, would make all that follow
    older.
    """

    __slots__ = ("_in_row",)

    def __init__(self) -> None:
        self._in_row = 0

    def is_passed_over(self) -> bool:
        """One more has come. False: with so many in a row, the book has begun anew."""
        self._in_row += 1
        return self._in_row <= MAX_LATE_IN_ROW

    def end(self) -> None:
        """One came that is not late."""
        self._in_row = 0


class SnapshotChannel:
    """The book of one instrument, whole with each frame; whether a gap is open on it.

    What orders the frames of a connection is their time, or a number of the venue's.
    """

    ordered_by: ClassVar[str] = "times"
    is_unique: ClassVar[bool] = False  # what orders frames: one that has it again is late
    is_renewed: ClassVar[bool] = False  # a frame that changes nothing is news: it stands still

    def __init__(self, instrument: VenueInstrument) -> None:
        self.instrument = instrument.id
        self.book = SnapshotBook(
            InstrumentId.from_str(instrument.id),
            instrument.price_precision,
            instrument.size_precision,
        )
        self._order: int | None = None  # of the frame taken last in this connection
        self._late = LateFrames()
        self._has_gap = False

    def begin(self) -> None:
        """Another connection counts by itself: its first frame is the newest."""
        self._order = None
        self._late.end()

    def update(
        self, asks: Levels, bids: Levels, ts_event: int, ts_init: int
    ) -> Sequence[StreamItem]:
        """Take a frame that is ordered by its time, unless it is late.

        Raises ParseError, and is as it was.
        """
        late = self.late(ts_event, ts_init)
        if late is not None:
            return late
        told = self.take(asks, bids, ts_event, ts_init)
        self.taken(ts_event)
        return told

    def late(self, order: int, ts_init: int) -> Sequence[StreamItem] | None:
        """What is told of a frame that is older than the one taken last; None: it is not."""
        last = self._order
        if last is None or order > last or (order == last and not self.is_unique):
            return None
        if self._late.is_passed_over():
            return ()
        self.begin()  # the next is taken, whatever it says
        return self.break_off(f"{self.ordered_by} went back", ts_init)

    def taken(self, order: int) -> None:
        """A frame that was not late is the last one now."""
        self._order = order
        self._late.end()

    def take(self, asks: Levels, bids: Levels, ts_event: int, ts_init: int) -> Sequence[StreamItem]:
        """Replace the book by this frame's, and tell what that changes. Raises ParseError."""
        book = self.book
        was_valid = book.is_valid
        deltas = book.diff(asks, bids, ts_event, ts_init)
        if book.is_valid:
            if deltas is None and self.is_renewed:
                deltas = book.again(ts_event, ts_init)
            if not self._has_gap:
                return () if deltas is None else (deltas,)
            self._has_gap = False
            return deltas, Resynced(self.instrument)
        if was_valid:
            self._has_gap = True
            return deltas, Gap(self.instrument, "crossed or locked book")
        return ()

    def break_off(self, reason: str, ts_init: int) -> Sequence[StreamItem]:
        """Clear the book if it was whole, and open a gap."""
        if not self.book.is_valid:
            return ()
        self._has_gap = True
        return self.book.clear(ts_init), Gap(self.instrument, reason)


def all_off(channels: Iterable[SnapshotChannel], reason: str, ts_init: int) -> Iterator[StreamItem]:
    """Break off every book that was whole."""
    for channel in channels:
        yield from channel.break_off(reason, ts_init)


def unreadable(
    error: ParseError, channels: Iterable[SnapshotChannel], ts_init: int
) -> Iterator[StreamItem]:
    """A frame was no frame: whatever it was of these books is missing. Raises `error` at last."""
    yield from all_off(channels, f"a frame could not be read: {error}", ts_init)
    raise error
