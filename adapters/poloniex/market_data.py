"""Market data: the public stream, and history by REST (document section 1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nautilus_trader.model import BarType

from adapters.base.venue import ParseError, VenueError, VenueErrorKind, VenueInstrument
from adapters.poloniex import schemas as s
from adapters.poloniex.config import PoloniexOptions
from adapters.poloniex.http import BOOK_LIMITS, MAX_CANDLES, MAX_PUBLIC_TRADES, PoloniexHttp
from adapters.poloniex.instruments import StreamInstrument
from adapters.poloniex.parse import MS, bar, book_snapshot, trade_tick
from adapters.poloniex.symbols import INTERVALS
from adapters.poloniex.tracking import Tracker
from adapters.poloniex.websocket import PublicStream

MAX_BAR_PAGES = 200
_MINUTE_MS = 60_000
_UNITS = {"MINUTE": 1, "HOUR": 60, "DAY": 1440, "WEEK": 10080}


class PoloniexMarketData:
    """Streams and history. Histories come oldest first."""

    def __init__(
        self,
        *,
        http: PoloniexHttp,
        venue: str,
        options: PoloniexOptions,
        instruments: dict[str, VenueInstrument],
        tracker: Tracker,
        now_ns: Callable[[], int],
    ) -> None:
        self._http = http
        self._venue = venue
        self._options = options
        self._instruments = instruments
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
        """The venue keeps the latest trades only, at most MAX_PUBLIC_TRADES. Raises VenueError."""
        inst = StreamInstrument(self._instruments[instrument])
        count = min(max(limit, 1), MAX_PUBLIC_TRADES) if start_ns is None else MAX_PUBLIC_TRADES
        rows = await self._http.public_trades(inst.symbol, limit=count)
        now = self._now_ns()
        # Newest first on the wire, several in one millisecond; ids are a counter.
        oldest_first = sorted(rows, key=lambda row: (row.create_time, len(row.id), row.id))
        ticks = [_checked(trade_tick, row, inst, now) for row in oldest_first]
        return _window(ticks, start_ns, end_ns, limit)

    async def history_bars(
        self, bar_type: Any, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[Any]:
        """Closed candles, paged by MAX_CANDLES. Raises VenueError."""
        type_ = BarType.from_str(str(bar_type))
        inst = StreamInstrument(self._instruments[str(type_.instrument_id)])
        minutes = int(type_.spec.step) * _UNITS.get(type_.spec.aggregation.name, 0)
        if minutes not in INTERVALS:
            raise VenueError(
                VenueErrorKind.REFUSED,
                "POLONIEX-24102",
                f"expected a bar of {', '.join(map(str, INTERVALS))} minutes, received {bar_type}",
            )
        step_ms = minutes * _MINUTE_MS
        now_ms = self._now_ns() // MS
        end_ms = min(now_ms, end_ns // MS if end_ns is not None else now_ms)
        wanted = max(limit, 1)
        start_ms = end_ms - (wanted + 1) * step_ms if start_ns is None else start_ns // MS
        rows = await self._candle_pages(inst.symbol, minutes, max(start_ms, 0), end_ms)
        closed = [rows[key] for key in sorted(rows) if rows[key].close_time < now_ms]
        now = self._now_ns()
        bars = [_checked(bar, row, inst, type_, now) for row in closed]
        return _window(bars, start_ns, end_ns, limit)

    async def _candle_pages(
        self, symbol: str, minutes: int, start_ms: int, end_ms: int
    ) -> dict[int, s.Candle]:
        rows: dict[int, s.Candle] = {}
        page_ms = MAX_CANDLES * minutes * _MINUTE_MS
        for _ in range(MAX_BAR_PAGES):
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
        raise VenueError(
            VenueErrorKind.REFUSED,
            "POLONIEX-PAGES",
            f"expected a window of at most {MAX_BAR_PAGES * MAX_CANDLES} candles",
        )

    async def book_snapshot(self, instrument: str, depth: int) -> Any:
        """Raises VenueError."""
        inst = StreamInstrument(self._instruments[instrument])
        limit = next((n for n in BOOK_LIMITS if n >= depth), BOOK_LIMITS[-1])
        answer = await self._http.order_book(inst.symbol, limit=limit)
        return _checked(book_snapshot, answer, inst, self._now_ns())


def _checked[T](parse: Callable[..., T], *args: object) -> T:
    """A row of an answer that isn't what the document says makes the answer unusable."""
    try:
        return parse(*args)
    except ParseError as error:
        raise VenueError(VenueErrorKind.UNKNOWN, "POLONIEX-BAD-ANSWER", str(error)) from error


def _window(items: list[Any], start_ns: int | None, end_ns: int | None, limit: int) -> list[Any]:
    """Items within the window, the latest `limit` of them (0: all)."""
    inside = [
        item
        for item in items
        if (start_ns is None or item.ts_event >= start_ns)
        and (end_ns is None or item.ts_event <= end_ns)
    ]
    return inside[-limit:] if limit > 0 else inside
