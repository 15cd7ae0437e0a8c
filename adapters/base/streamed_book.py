"""One instrument's book as it streams: a copy of it, who wants what of it, and whether it is whole.

The copy costs 0.05 us a level. It serves what the engine's own book can't: quotes and depth for
who subscribed no deltas, the snapshot for who subscribes a book that streams already, and the
answer to a request that must not disagree with the stream.
"""

from __future__ import annotations

from typing import Any

from nautilus_trader.model import (
    BookAction,
    BookOrder,
    BookType,
    InstrumentId,
    OrderBook,
    OrderBookDelta,
    OrderBookDeltas,
    OrderBookDepth,
    OrderSide,
    QuoteTick,
    RecordFlag,
)

from fairlead.adapters.base.limits import BookLimits
from fairlead.adapters.base.venue import Feed
from fairlead.engine.status import BookState, BookStatus

DEPTH_LEVELS_DEFAULT = 10  # levels of an OrderBookDepth where the subscription names none
UPDATES_OF_RENEWAL = 2  # of a book, at a reconnect: the CLEAR and the snapshot
_F_LAST = RecordFlag.F_LAST.value


class StreamedBook:
    """State of one book. Times are UNIX ns; `checked_from` is the loop's clock, in seconds."""

    __slots__ = (
        "_top",
        "book",
        "depth_levels",
        "feed",
        "gap_reason",
        "gap_since_ns",
        "has_snapshot",
        "instrument_id",
        "last_update",
        "makes_quotes",
        "managed",
        "not_whole_since",
        "reconnects",
        "silences",
        "status",
        "wanted_ns",
        "wants_deltas",
        "wants_quotes",
    )

    def __init__(
        self, instrument_id: InstrumentId, feed: Feed, status: BookStatus, wanted_ns: int = 0
    ) -> None:
        self.instrument_id = instrument_id
        self.feed = feed
        self.status = status
        self.book = OrderBook(instrument_id, BookType.L2_MBP)
        self.wants_deltas = False
        self.managed = False
        self.wants_quotes = False
        self.makes_quotes = False  # wanted, and the engine does not make them itself
        self.depth_levels = 0  # of OrderBookDepth; 0 is not wanted
        self.gap_since_ns = 0  # first gap since the book was whole; 0 is none
        self.gap_reason = ""
        self.has_snapshot = False  # since the last gap; it may have been of an empty book
        self.not_whole_since = 0.0  # loop time
        self.last_update = 0.0  # loop time
        self.wanted_ns = wanted_ns  # when it was subscribed; 0 once it was whole
        self.reconnects = 0  # for want of a snapshot, in a row
        self.silences = (0, 0)  # in a row that renewed the connection; updates by the last of them
        self._top: tuple[Any, Any, Any, Any] | None = None

    @property
    def is_wanted(self) -> bool:
        return self.wants_deltas or self.wants_quotes or self.depth_levels > 0

    @property
    def is_whole(self) -> bool:
        return self.status.state is not BookState.RESYNC

    @property
    def is_empty(self) -> bool:
        return self.book.best_bid_price() is None and self.book.best_ask_price() is None

    def is_silent(self, now: float, limits: BookLimits) -> bool:
        """Whether this book, among others that change, is silent for so long that it may be stuck.

        Then the next such silence takes twice as long, unless it has changed in between.
        """
        count, updates = self.silences
        if self.status.updates > updates + UPDATES_OF_RENEWAL:
            count = 0
        if now - self.last_update < limits.silence_secs * 2**count:
            return False
        self.silences = min(count + 1, limits.silence_doublings_max), self.status.updates
        return True

    def set_state(self, state: BookState, now_ns: int) -> None:
        if self.status.state is not state:
            self.status.state = state
            self.status.since_ns = now_ns

    def choose_quotes(self, engine_quotes: bool) -> None:
        """Decide who makes quotes: the engine does for a managed book, when configured so."""
        by_engine = engine_quotes and self.wants_deltas and self.managed
        self.makes_quotes = self.wants_quotes and not by_engine
        self._top = None

    def quote(self, ts_event: int, ts_init: int) -> QuoteTick | None:
        """The best bid and ask, if both exist and one of the four numbers has changed."""
        book = self.book
        bid, ask = book.best_bid_price(), book.best_ask_price()
        bid_size, ask_size = book.best_bid_size(), book.best_ask_size()
        if bid is None or ask is None or bid_size is None or ask_size is None:
            self._top = None
            return None
        top = (bid, ask, bid_size, ask_size)
        if top == self._top:
            return None
        self._top = top
        return QuoteTick(self.instrument_id, bid, ask, bid_size, ask_size, ts_event, ts_init)

    def depth(self, ts_event: int, ts_init: int) -> OrderBookDepth:
        bids, bid_counts = _side(self.book.bids(self.depth_levels), OrderSide.BUY)
        asks, ask_counts = _side(self.book.asks(self.depth_levels), OrderSide.SELL)
        return OrderBookDepth(
            self.instrument_id,
            bids,
            asks,
            bid_counts,
            ask_counts,
            _F_LAST,
            self.book.sequence,
            ts_event,
            ts_init,
        )

    def snapshot(self, ts_init: int) -> OrderBookDeltas:
        """The whole book as CLEAR and ADDs; `ts_event` is that of the last update."""
        return self.book.to_deltas(self.book.ts_event, ts_init)

    def clear(self, ts_init: int) -> OrderBookDeltas:
        """Empty the copy; gives the CLEAR that tells it, in the order of the book's updates."""
        ts_event = self.book.ts_event or ts_init
        plain = OrderBookDelta.clear(self.instrument_id, self.book.sequence, ts_event, ts_init)
        # Without F_LAST a replay merges it into the next update, and the old book lives on.
        flags = RecordFlag.F_SNAPSHOT.value | RecordFlag.F_LAST.value
        delta = OrderBookDelta(
            self.instrument_id,
            BookAction.CLEAR,
            plain.order,
            flags,
            self.book.sequence,
            ts_event,
            ts_init,
        )
        self.book.reset()
        self._top = None
        return OrderBookDeltas(self.instrument_id, [delta])


def _side(levels: list[Any], side: OrderSide) -> tuple[list[BookOrder], list[int]]:
    orders = [BookOrder(side, level.price, _size(level), 0) for level in levels]
    return orders, [1] * len(orders)


def _size(level: Any) -> Any:
    """Level size as a Quantity; an L2 level holds exactly one order."""
    return level.first().size
