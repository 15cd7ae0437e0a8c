"""The book as a strategy sees it, through the venue's public stream, held against the true book.

Each book that is shown must have been the venue's true book at some moment. What is judged is what
NautilusTrader's data engine would be handed.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from nautilus_trader.model import BookAction, OrderBookDeltas, OrderSide

from fairlead.adapters.simulation.exchange import ExchangeListener
from fairlead.adapters.simulation.orders import Trade
from fairlead.engine.orders.model import Side
from fairlead.engine.recording.gaps import GapKind, GapRow
from fairlead.engine.sessions.trace import Trace

if TYPE_CHECKING:
    from fairlead.adapters.simulation.venue import SimulatedVenue

DEPTH_MIN = 20  # a shown side may end after so many levels, or where the true side ends

Levels = dict[Decimal, Decimal]


class TrueBook(ExchangeListener):
    """Every book that the venue can have told: one for each change seen between two publications.

    `moments` are (bids, asks), in order. A venue publishes in `advance` only, so its book is taken
    at the end of each.
    """

    def __init__(self, venue: SimulatedVenue, market: str) -> None:
        self.moments: list[tuple[Levels, Levels]] = []
        self._market = market
        self._venue = venue
        self._is_changed = True
        advance = venue.advance

        def advance_and_look(now_ns: int) -> None:
            advance(now_ns)
            self._look()

        venue.advance = advance_and_look  # type: ignore[method-assign]
        venue.exchange.listeners.append(self)

    def book_changed(self, market: str, side: Side, price: Decimal, size: Decimal) -> None:
        if market == self._market:
            self._is_changed = True

    def _look(self) -> None:
        if self._is_changed:
            self._is_changed = False
            self.moments.append(self._venue.told_book(self._market))


class Tape(ExchangeListener):
    """Every trade of a market since the session began."""

    def __init__(self, market: str) -> None:
        self.trades: list[Trade] = []
        self._market = market

    def traded(self, trade: Trade) -> None:
        if trade.market == self._market:
            self.trades.append(trade)


class ShownBook:
    """The book of one life of the process, and the verdict on each of its states.

    `broken(code, detail)` hears what must not be. Where frames are `sequenced`, moments go forward
    between two gaps; a venue whose frames carry no sequence can't reveal that one came late or
    again: then any moment will do.
    """

    def __init__(
        self, true: TrueBook, sequenced: bool, broken: Callable[[str, str], None], trace: Trace
    ) -> None:
        self.bids: Levels = {}
        self.asks: Levels = {}
        self.ts_init = 0
        self.rows: list[GapRow] = []
        self._true = true
        self._sequenced = sequenced
        self._broken = broken
        self._trace = trace
        self._moment = 0  # the first that can be shown next
        self._ts_event = 0
        self._rows_before: int | None = None  # rows when the gap in force began

    @property
    def levels(self) -> int:
        return len(self.bids) + len(self.asks)

    # -- what the client hands on --------------------------------------------------------------

    def append(self, row: GapRow) -> None:
        """Implements `fairlead.adapters.base.runtime.GapSink`."""
        self.rows.append(row)
        if self._trace.is_on:
            self._trace.line("book", f"recorded: {row.kind} {row.reason}")

    def apply(self, deltas: OrderBookDeltas, *, is_stopping: bool) -> None:
        had = bool(self.bids or self.asks)
        for delta in deltas.deltas:
            action, order = delta.action, delta.order
            if action == BookAction.CLEAR:
                self.bids, self.asks = {}, {}
                continue
            side = self.bids if order.side == OrderSide.BUY else self.asks
            price = order.price.as_decimal()
            if action == BookAction.DELETE:
                side.pop(price, None)
            else:
                side[price] = order.size.as_decimal()
        self.ts_init = deltas.ts_init
        if not self.bids and not self.asks:
            if had and not is_stopping and self._find() is None:
                self.gap()
            return
        if self._rows_before is not None and had:
            self.check_recorded()
        self._judge(deltas.ts_event)

    def check_recorded(self) -> None:
        """The gap that is over must have been written down."""
        before, self._rows_before = self._rows_before, None
        if before is not None and not any(r.kind is GapKind.GAP for r in self.rows[before:]):
            self._broken("BOOK-UNRECORDED", "the book was cleared, and no gap is recorded")

    def gap(self) -> None:
        """The client was told of a gap, or the book was cleared for another reason than that the
        venue's is empty."""
        self._moment = self._ts_event = 0
        if self._rows_before is None:
            self._trace.count("book_gaps")
            self._rows_before = len(self.rows)
            self._trace.line("book", "gap")

    def _judge(self, ts_event: int) -> None:
        self._trace.count("books")
        if ts_event < self._ts_event:
            text = f"event time {ts_event} after {self._ts_event}, and no gap between"
            self._broken("BOOK-TIME", text)
        self._ts_event = ts_event
        found = self._find()
        if found is None:
            code = "BOOK-WRONG"
            if self.bids and self.asks and max(self.bids) >= min(self.asks):
                code = "BOOK-CROSSED"
            self._broken(code, self._words())
        elif self._sequenced:
            self._moment = found

    def _find(self) -> int | None:
        """The moment that is shown: the first possible of a sequence, else the last."""
        moments = self._true.moments
        numbers = range(self._moment, len(moments))
        for number in numbers if self._sequenced else reversed(numbers):
            if self.is_like(moments[number]):
                return number
        return None

    def is_like(self, moment: tuple[Levels, Levels]) -> bool:
        if self.bids == moment[0] and self.asks == moment[1]:
            return True
        return _is_top(self.bids, moment[0]) and _is_top(self.asks, moment[1])

    def is_now(self) -> bool:
        return self.is_like(self._true.moments[-1])

    def _words(self) -> str:
        bid, ask = max(self.bids, default=None), min(self.asks, default=None)
        true_bids, true_asks = self._true.moments[-1]
        wrong = [
            f"{name} {price}: {shown.get(price, 'none')}, now {true.get(price, 'none')}"
            for name, shown, true in (("bid", self.bids, true_bids), ("ask", self.asks, true_asks))
            for price in sorted(shown.keys() | true.keys())
            if shown.get(price) != true.get(price)
        ]
        return f"{bid} / {ask} was never the venue's book; {'; '.join(wrong[:4])}"


def _is_top(shown: Levels, true: Levels) -> bool:
    """Whether a side is shown as it is, level for level, at least DEPTH_MIN deep. `true` is
    best first."""
    if len(shown) == len(true):
        return shown == true
    if not DEPTH_MIN <= len(shown) < len(true):
        return False
    return shown == dict(list(true.items())[: len(shown)])
