"""Market data: the stream, and what REST has of the past (section 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nautilus_trader.model import Bar, InstrumentId, OrderBookDeltas, TradeTick

from fairlead.adapters.base.book import Numbers, SnapshotBook
from fairlead.adapters.base.history import Histories, Window
from fairlead.adapters.base.venue import ParseError, VenueInstrument
from fairlead.adapters.piexgo import parse
from fairlead.adapters.piexgo.config import PiexgoOptions
from fairlead.adapters.piexgo.http import MAX_V2_DEPTH, PiexgoHttp
from fairlead.adapters.piexgo.websocket import LastPrices, PublicStream


class PiexgoMarketData:
    """`MarketData` of the venue. Methods that read raise VenueError."""

    def __init__(
        self,
        options: PiexgoOptions,
        http: PiexgoHttp,
        instruments: Mapping[str, VenueInstrument],
        now_ns: Callable[[], int],
        prices: LastPrices | None = None,
    ) -> None:
        self._options = options
        self._http = http
        self._instruments = instruments
        self._histories = Histories("PIEXGO", instruments, ())
        self._now_ns = now_ns
        self._prices = prices or LastPrices()

    def public_stream(self) -> PublicStream:
        return PublicStream(self._options, self._instruments, self._prices)

    async def history_trades(
        self, instrument: str, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[TradeTick]:
        """What the venue still tells, at most its last 500, within the bounds; oldest first."""
        facts = self._histories.facts(instrument)
        rows = await self._http.trades(facts.symbol)
        numbers = Numbers(facts.price_precision, facts.size_precision)
        with self._histories.parsing():
            ticks = parse.ticks(rows, InstrumentId.from_str(instrument), numbers)
        return Window(start_ns, end_ns, limit).of(ticks)

    async def history_bars(
        self, bar_type: Any, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[Bar]:
        raise self._histories.refused(
            "NO-BARS", f"{bar_type}: the venue has no bars; build them from trades"
        )

    async def book_snapshot(self, instrument: str, depth: int) -> OrderBookDeltas:
        """CLEAR and ADDs, at most 50 levels a side; only the CLEAR if the book is crossed."""
        facts = self._histories.facts(instrument)
        levels = min(depth or MAX_V2_DEPTH, MAX_V2_DEPTH)
        found = (await self._http.order_books_v2(facts.symbol, levels)).get(facts.symbol)
        book = SnapshotBook(
            InstrumentId.from_str(instrument), facts.price_precision, facts.size_precision
        )
        now_ns = self._now_ns()
        with self._histories.parsing():
            if found is None:
                raise ParseError("book", f"expected the book of {facts.symbol}, received none")
            ts_event = parse.time_ns(found.timestamp, parse.Unit.MILLISECONDS, "timestamp")
            asks, bids = parse.sides(found, facts.price_precision, facts.size_precision)
            deltas = book.diff(asks, bids, ts_event, now_ns)
        return book.clear(now_ns) if deltas is None else deltas
