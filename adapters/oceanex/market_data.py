"""Market data: the push stream, and history by REST (section 1.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nautilus_trader.model import (
    Bar,
    BarAggregation,
    BarType,
    InstrumentId,
    OrderBookDeltas,
    PriceType,
    TradeTick,
)

from adapters.base.book import Numbers, SnapshotBook
from adapters.base.venue import ParseError, VenueError, VenueErrorKind, VenueInstrument
from adapters.oceanex import parse
from adapters.oceanex.config import OceanexOptions
from adapters.oceanex.http import MAX_CANDLES, MAX_TRADES, OceanexHttp
from adapters.oceanex.schemas import Candle, Trade
from adapters.oceanex.websocket import OceanexStream

PERIODS = (1, 5, 15, 30, 60, 120, 240, 360, 720, 1440, 4320, 10080)  # minutes
MAX_HISTORY_ROWS = 200_000
MAX_PAGES = 500
DEFAULT_DEPTH = 300
_NS = parse.NS_PER_SEC
_UNIT_MINUTES = {
    BarAggregation.MINUTE: 1,
    BarAggregation.HOUR: 60,
    BarAggregation.DAY: 1440,
    BarAggregation.WEEK: 10080,
}


def bar_minutes(bar_type: BarType) -> int:
    """The period of a bar type in minutes. Raises VenueError if the venue has no such bars."""
    spec = bar_type.spec
    unit = _UNIT_MINUTES.get(spec.aggregation)
    minutes = 0 if unit is None else unit * int(spec.step)
    if minutes not in PERIODS or spec.price_type != PriceType.LAST:
        raise VenueError(
            VenueErrorKind.REFUSED,
            "OCEANEX-NO-BARS",
            f"expected LAST bars of {', '.join(map(str, PERIODS))} minutes, received {bar_type}",
        )
    return minutes


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
        self._now_ns = now_ns

    def public_stream(self) -> OceanexStream:
        return OceanexStream(self._options, self._instruments)

    def _facts(self, instrument: str) -> VenueInstrument:
        facts = self._instruments.get(instrument)
        if facts is None:
            raise VenueError(
                VenueErrorKind.REFUSED, "OCEANEX-UNKNOWN-MARKET", f"no market {instrument[:60]}"
            )
        return facts

    async def history_trades(
        self, instrument: str, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[TradeTick]:
        """The last `limit` trades (0: all, bounded) within the bounds, oldest first.

        Pages go back by trade id. The venue's bounds exclude the second that they name.
        """
        facts = self._facts(instrument)
        wanted = min(limit, MAX_HISTORY_ROWS) if limit > 0 else MAX_HISTORY_ROWS
        start = None if start_ns is None else max(0, start_ns // _NS - 1)
        end = None if end_ns is None else end_ns // _NS + 1
        rows: dict[int, Trade] = {}
        before: int | None = None
        for _ in range(MAX_PAGES):
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
            if not fresh or len(rows) >= wanted or (start is not None and oldest < start):
                break
            before = min(rows)
        iid = InstrumentId.from_str(instrument)
        numbers = Numbers(facts.price_precision, facts.size_precision)
        try:
            ticks = [parse.trade(rows[number], iid, numbers) for number in sorted(rows)]
        except ParseError as e:
            raise VenueError(VenueErrorKind.UNKNOWN, "OCEANEX-BAD-ANSWER", str(e)) from e
        inside = [tick for tick in ticks if _is_within(tick.ts_event, start_ns, end_ns)]
        return inside[-wanted:]

    async def history_bars(
        self, bar_type: Any, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[Bar]:
        """The last `limit` closed bars (0: all, bounded) that close within the bounds."""
        minutes = bar_minutes(bar_type)
        facts = self._facts(str(bar_type.instrument_id))
        wanted = min(limit, MAX_HISTORY_ROWS) if limit > 0 else MAX_HISTORY_ROWS
        numbers = Numbers(facts.price_precision, facts.size_precision)
        rows = await self._candles(facts.symbol, minutes, start_ns, end_ns, wanted)
        try:
            bars = [parse.bar(rows[opened], bar_type, numbers, minutes) for opened in sorted(rows)]
        except ParseError as e:
            raise VenueError(VenueErrorKind.UNKNOWN, "OCEANEX-BAD-ANSWER", str(e)) from e
        now_ns = self._now_ns()  # a bar that closes later is still open
        closed = [bar for bar in bars if bar.ts_event <= now_ns]
        return [bar for bar in closed if _is_within(bar.ts_event, start_ns, end_ns)][-wanted:]

    async def _candles(
        self, symbol: str, minutes: int, start_ns: int | None, end_ns: int | None, wanted: int
    ) -> dict[int, Candle]:
        if start_ns is None:
            page = await self._http.candles(
                symbol, period=minutes, limit=min(MAX_CANDLES, wanted + 1)
            )
            return {row[0]: row for row in page}
        rows: dict[int, Candle] = {}
        # One bar early: "after that time" may or may not include the time itself.
        after = max(0, start_ns // _NS - 2 * minutes * 60)
        for _ in range(MAX_PAGES):
            page = await self._http.candles(
                symbol, period=minutes, limit=MAX_CANDLES, timestamp=after
            )
            fresh = {row[0]: row for row in page if row[0] not in rows}
            rows.update(fresh)
            if not fresh or len(page) < MAX_CANDLES or len(rows) >= MAX_HISTORY_ROWS:
                break
            after = max(fresh)
            if end_ns is not None and after * _NS > end_ns:
                break
        return rows

    async def book_snapshot(self, instrument: str, depth: int) -> OrderBookDeltas:
        """CLEAR and ADDs; only the CLEAR if the venue's book is crossed. `depth` 0 is 300."""
        facts = self._facts(instrument)
        answer = await self._http.order_book(facts.symbol, depth or DEFAULT_DEPTH)
        book = SnapshotBook(
            InstrumentId.from_str(instrument), facts.price_precision, facts.size_precision
        )
        now_ns = self._now_ns()
        try:
            deltas = book.diff(answer.asks, answer.bids, now_ns, now_ns)
        except ParseError as e:
            raise VenueError(VenueErrorKind.UNKNOWN, "OCEANEX-BAD-ANSWER", str(e)) from e
        return book.clear(now_ns) if deltas is None else deltas


def _is_within(ts: int, start_ns: int | None, end_ns: int | None) -> bool:
    return (start_ns is None or ts >= start_ns) and (end_ns is None or ts <= end_ns)
