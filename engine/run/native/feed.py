"""Market data of NautilusTrader's own clients, as a run watches it: books, trades, holes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nautilus_trader.common import DataActor
from nautilus_trader.model import BookAction, BookType, InstrumentId

from fairlead.adapters.base.runtime import VenueRuntime
from fairlead.engine.recording.gaps import GapKind, GapRow
from fairlead.engine.status import BookState


class NativeFeed(DataActor):
    """Subscribes book and trades of a venue's instruments, which keeps them coming.

    What comes is counted, and shown to whoever must see the market (the simulated exchange of a
    paper run). A book that begins anew is a resync: what went before is not known to be whole.
    """

    # Gets the venue and NautilusTrader's cache, before the strategies start.
    on_up: Callable[[str, Any], None] | None = None

    def __init__(self, runtime: VenueRuntime) -> None:
        super().__init__()
        self._venue = runtime  # `_runtime` may be NautilusTrader's own

    def on_start(self) -> None:
        if self.on_up is not None:
            self.on_up(self._venue.adapter.venue, self.cache)
        for name in self._venue.instruments:
            instrument_id = InstrumentId.from_str(name)
            self._venue.status.book(name)
            self.subscribe_book_deltas(instrument_id, BookType.L2_MBP, managed=True)
            self.subscribe_trades(instrument_id)

    def on_book_deltas(self, deltas: Any) -> None:
        if self._venue.on_market is not None:
            self._venue.on_market(deltas)
        now_ns = deltas.ts_init  # no gap lies over rows that are there
        book = self._venue.status.book(str(deltas.instrument_id))
        if deltas.deltas[0].action is BookAction.CLEAR or book.state is not BookState.VALID:
            if book.state is BookState.VALID:
                book.resyncs += 1
                self._venue.record_gap(
                    GapRow(
                        kind=GapKind.RESYNC,
                        instrument=book.instrument,
                        reason="NautilusTrader's client began the book anew",
                        from_ns=book.last_update_ns,
                        to_ns=now_ns,
                    )
                )
            book.state, book.since_ns = BookState.VALID, now_ns
        book.updates += 1
        book.last_update_ns = now_ns

    def on_trade(self, trade: Any) -> None:
        if self._venue.on_market is not None:
            self._venue.on_market(trade)
        self._venue.status.traded(str(trade.instrument_id), trade.ts_init)
