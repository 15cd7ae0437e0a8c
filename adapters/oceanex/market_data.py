"""Market data: the push stream, and history by REST (section 1.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nautilus_trader.model import Bar, InstrumentId, OrderBookDeltas, TradeTick

from fairlead.adapters.base.book import Numbers, SnapshotBook
from fairlead.adapters.base.history import PAGES_MAX, Histories, Window
from fairlead.adapters.base.venue import VenueInstrument
from fairlead.adapters.oceanex import parse
from fairlead.adapters.oceanex.config import OceanexOptions
from fairlead.adapters.oceanex.http import MAX_CANDLES, MAX_TRADES, OceanexHttp
from fairlead.adapters.oceanex.schemas import Candle, Trade
from fairlead.adapters.oceanex.websocket import OceanexStream

PERIODS = (1, 5, 15, 30, 60, 120, 240, 360, 720, 1440, 4320, 10080)  # minutes
DEFAULT_DEPTH = 300
_NS = parse.NS_PER_SEC


class OceanexMarketData:
    """`MarketData` of the venue. Methods that read raise VenueError."""

    def __init__(
        self,
        options: OceanexOptions,
        http: OceanexHttp,
        instruments: Mapping[str, VenueInstrument],
        now_ns: Callable[[], int],
    ) -> None:
        self._options = options
        self._http = http
        self._instruments = instruments
        self._histories = Histories("OCEANEX", instruments, PERIODS)
        self._now_ns = now_ns

    def public_stream(self) -> OceanexStream:
        return OceanexStream(self._options, self._instruments)

    async def history_trades(
        self, instrument: str, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[TradeTick]:
        """Pages go back by trade id. The venue's bounds exclude the second that they name."""
        facts, window = self._histories.facts(instrument), Window(start_ns, end_ns, limit)
        start = None if start_ns is None else max(0, start_ns // _NS - 1)
        end = None if end_ns is None else end_ns // _NS + 1
        rows: dict[int, Trade] = {}
        before: int | None = None
        for _ in range(PAGES_MAX):
            page = await self._http.trades(
                facts.symbol,
                limit=MAX_TRADES,
                start=start,
                end=end,
                to_id=before,
                order_by="desc",
            )
            fresh = {row.id: row for row in page if row.id not in rows}
            rows.update(fresh)
            oldest = min((row.created_on for row in page), default=0)
            if not fresh or len(rows) >= window.wanted or (start is not None and oldest < start):
                break
            before = min(rows)
        iid = InstrumentId.from_str(instrument)
        numbers = Numbers(facts.price_precision, facts.size_precision)
        with self._histories.parsing():
            ticks = [parse.trade(rows[number], iid, numbers) for number in sorted(rows)]
        return window.of(ticks)

    async def history_bars(
        self, bar_type: Any, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[Bar]:
        minutes = self._histories.minutes_of(bar_type)
        facts = self._histories.facts(str(bar_type.instrument_id))
        window = Window(start_ns, end_ns, limit)
        numbers = Numbers(facts.price_precision, facts.size_precision)
        rows = await self._candles(facts.symbol, minutes, window)
        with self._histories.parsing():
            bars = [parse.bar(rows[opened], bar_type, numbers, minutes) for opened in sorted(rows)]
        return window.of(bars, closed_ns=self._now_ns())

    async def _candles(self, symbol: str, minutes: int, window: Window) -> dict[int, Candle]:
        """Raises VenueError, also for a window that takes too many pages."""
        if window.start_ns is None:
            page = await self._http.candles(
                symbol, period=minutes, limit=min(MAX_CANDLES, window.wanted + 1)
            )
            return {row[0]: row for row in page}
        rows: dict[int, Candle] = {}
        # One bar early: "after that time" may or may not include the time itself.
        after = max(0, window.start_ns // _NS - 2 * minutes * 60)
        for _ in range(PAGES_MAX):
            page = await self._http.candles(
                symbol, period=minutes, limit=MAX_CANDLES, timestamp=after
            )
            fresh = {row[0]: row for row in page if row[0] not in rows}
            rows.update(fresh)
            if not fresh or len(page) < MAX_CANDLES:
                return rows
            after = max(fresh)
            if window.end_ns is not None and after * _NS > window.end_ns:
                return rows
        raise self._histories.too_long()

    async def book_snapshot(self, instrument: str, depth: int) -> OrderBookDeltas:
        """CLEAR and ADDs; only the CLEAR if the venue's book is crossed. `depth` 0 is 300."""
        facts = self._histories.facts(instrument)
        answer = await self._http.order_book(facts.symbol, depth or DEFAULT_DEPTH)
        book = SnapshotBook(
            InstrumentId.from_str(instrument), facts.price_precision, facts.size_precision
        )
        now_ns = self._now_ns()
        with self._histories.parsing():
            deltas = book.diff(answer.asks, answer.bids, now_ns, now_ns)
        return book.clear(now_ns) if deltas is None else deltas
