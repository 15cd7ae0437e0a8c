"""Market data: the public stream, and history by REST (document section 1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nautilus_trader.model import BarType

from fairlead.adapters.base.history import MINUTE_NS, PAGES_MAX, Histories, Window
from fairlead.adapters.base.venue import VenueInstrument
from fairlead.adapters.poloniex import schemas as s
from fairlead.adapters.poloniex.config import PoloniexOptions
from fairlead.adapters.poloniex.http import (
    BOOK_LIMITS,
    MAX_CANDLES,
    MAX_PUBLIC_TRADES,
    PoloniexHttp,
)
from fairlead.adapters.poloniex.instruments import StreamInstrument
from fairlead.adapters.poloniex.parse import MS, bar, book_snapshot, trade_tick
from fairlead.adapters.poloniex.symbols import INTERVALS
from fairlead.adapters.poloniex.tracking import Tracker
from fairlead.adapters.poloniex.websocket import PublicStream


class PoloniexMarketData:
    """Streams and history. Histories come oldest first."""

    def __init__(
        self,
        *,
        http: PoloniexHttp,
        venue: str,
        options: PoloniexOptions,
        instruments: Mapping[str, VenueInstrument],
        tracker: Tracker,
        now_ns: Callable[[], int],
    ) -> None:
        self._http = http
        self._venue = venue
        self._options = options
        self._instruments = instruments
        self._histories = Histories("POLONIEX", instruments, INTERVALS)
        self._tracker = tracker
        self._now_ns = now_ns

    def public_stream(self) -> PublicStream:
        return PublicStream(
            url=self._options.ws_url,
            venue=self._venue,
            instruments=self._instruments,
            status_channels=self._options.status_channels,
            on_last_price=self._tracker.last_price,
        )

    async def history_trades(
        self, instrument: str, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[Any]:
        """The venue tells the latest trades only, at most MAX_PUBLIC_TRADES."""
        inst, window = self._named(instrument), Window(start_ns, end_ns, limit)
        is_latest = start_ns is None and end_ns is None
        count = min(window.wanted, MAX_PUBLIC_TRADES) if is_latest else MAX_PUBLIC_TRADES
        rows = await self._http.public_trades(inst.symbol, limit=count)
        now = self._now_ns()
        # Newest first on the wire, several in one millisecond; ids are a counter.
        oldest_first = sorted(rows, key=lambda row: (row.create_time, len(row.id), row.id))
        with self._histories.parsing():
            return window.of([trade_tick(row, inst, now) for row in oldest_first])

    def _named(self, instrument: str) -> StreamInstrument:
        return StreamInstrument(self._histories.facts(instrument))

    async def history_bars(
        self, bar_type: Any, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[Any]:
        """Candles come by pages of MAX_CANDLES; the last one may still be open."""
        type_ = BarType.from_str(str(bar_type))
        minutes = self._histories.minutes_of(type_)
        inst, window = self._named(str(type_.instrument_id)), Window(start_ns, end_ns, limit)
        step_ms, now = minutes * MINUTE_NS // MS, self._now_ns()
        end_ms = (now if end_ns is None else min(now, end_ns)) // MS
        # Opened before they close: the first one by a bar, and another for a bound between.
        first_ms = end_ms - window.wanted * step_ms if start_ns is None else start_ns // MS
        rows = await self._candle_pages(
            inst.symbol, minutes, max(first_ms - 2 * step_ms, 0), end_ms
        )
        with self._histories.parsing():
            bars = [bar(rows[key], inst, type_, now) for key in sorted(rows)]
        return window.of(bars, closed_ns=now)

    async def _candle_pages(
        self, symbol: str, minutes: int, start_ms: int, end_ms: int
    ) -> dict[int, s.Candle]:
        """Raises VenueError, also for a window that takes too many pages."""
        rows: dict[int, s.Candle] = {}
        page_ms = MAX_CANDLES * minutes * MINUTE_NS // MS
        for _ in range(PAGES_MAX):
            page = await self._http.candles(
                symbol,
                INTERVALS[minutes],
                limit=MAX_CANDLES,
                start_ms=start_ms,
                end_ms=min(end_ms, start_ms + page_ms - 1),
            )
            rows |= {row.start_time: row for row in page}
            start_ms += page_ms
            if start_ms > end_ms:
                return rows
        raise self._histories.too_long()

    async def book_snapshot(self, instrument: str, depth: int) -> Any:
        inst = self._named(instrument)
        limit = next((n for n in BOOK_LIMITS if n >= depth), BOOK_LIMITS[-1]) if depth else None
        answer = await self._http.order_book(inst.symbol, limit=limit)
        with self._histories.parsing():
            return book_snapshot(answer, inst, self._now_ns())
