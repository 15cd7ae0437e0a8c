"""The public WebSocket's dialogue, without I/O (document section 4).

`book_lv2` is a snapshot followed by updates, each of which names in `lastId` the `id` of the one
before it (ids jump, the chain is the only rule). A break means that a frame is missing: the book is
cleared and its symbol subscribed anew, which brings a fresh snapshot; updates that overtake it are
kept and chained onto it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from nautilus_trader.model import BarType, OrderBookDeltas

from fairlead.adapters.base.book import BookGap, SequencedBook
from fairlead.adapters.base.snapshot_channel import LateFrames
from fairlead.adapters.base.venue import (
    Feed,
    FeedKind,
    Gap,
    ParseError,
    Resynced,
    Send,
    StreamFault,
    StreamItem,
    Subscribed,
    VenueInstrument,
)
from fairlead.adapters.poloniex import schemas as s
from fairlead.adapters.poloniex.instruments import StreamInstrument, instrument_status
from fairlead.adapters.poloniex.parse import DECODE_ERRORS, MS, bar, decode, mark_price, trade_tick
from fairlead.adapters.poloniex.symbols import (
    CANDLE_CHANNELS,
    INTERVALS,
    bar_type_text,
    candle_channel,
    instrument_of,
    symbol_of,
)

IDLE_PING_SECS = 10.0  # the venue closes after 30 s without a frame from us, and never pings
IDLE_CLOSE_SECS = 25.0
RESYNC_EVERY_NS = 2_000_000_000  # least time between two resubscriptions of one book
MAX_WAITING_UPDATES = 1_000  # kept while a book waits for its snapshot
MAX_LEVELS = 200  # per side; the venue shows 20
LV2_DEPTHS = (0, 20)
BOOK_DEPTHS = (5, 10, 20)
MAINTENANCE_BACKOFF_SECS = 30.0

PING = '{"event":"ping"}'
BOOK_LV2 = "book_lv2"
BOOK = "book"
TRADES = "trades"
TICKER = "ticker"
SYMBOLS = "symbols"
EXCHANGE = "exchange"

_LV2_HEAD = '{"channel":"book_lv2","data":'
_LV2_HEAD_BYTES = _LV2_HEAD.encode()
_TRADES_HEAD = '{"channel":"trades","data":'
_TRADES_HEAD_BYTES = _TRADES_HEAD.encode()

_BOOK_FRAME = msgspec.json.Decoder(s.BookFrame)
_TRADE_FRAME = msgspec.json.Decoder(s.TradeFrame)
_ENVELOPE = msgspec.json.Decoder(s.Envelope)
_BOOK_ROWS = msgspec.json.Decoder(list[s.BookRow])
_TRADE_ROWS = msgspec.json.Decoder(list[s.TradeRow])
_CANDLE_ROWS = msgspec.json.Decoder(list[s.CandleRow], strict=False)
_TICKER_ROWS = msgspec.json.Decoder(list[s.TickerRow], strict=False)
_SYMBOL_ROWS = msgspec.json.Decoder(list[s.SymbolRow])
_EXCHANGE_ROWS = msgspec.json.Decoder(list[s.ExchangeRow])


class StreamCounters(msgspec.Struct):
    """What the stream met and survived; shown by status and asserted by tests."""

    gaps: int = 0
    stale: int = 0  # updates or snapshots that were in the book already
    waiting_dropped: int = 0  # updates beyond MAX_WAITING_UPDATES
    unknown_symbols: int = 0
    unknown_channels: int = 0


class _Book:
    """One `book_lv2` or `book` subscription."""

    __slots__ = (
        *("book", "channel", "depth", "had_gap", "inst", "last_ts", "late", "resync_ns", "waiting"),
    )

    def __init__(self, inst: StreamInstrument, channel: str, depth: int) -> None:
        self.inst = inst
        self.channel = channel
        self.depth = depth
        self.book = SequencedBook(inst.instrument_id, inst.price_precision, inst.size_precision)
        self.start()

    def start(self) -> None:
        """Forget everything but the numbers' cache and the count of events."""
        self.book.clear(0)
        self.waiting: deque[s.BookRow] = deque(maxlen=MAX_WAITING_UPDATES)
        self.had_gap = False
        self.last_ts = -1  # the venue's `ts` of what was applied last, milliseconds
        self.late = LateFrames()
        self.resync_ns = 0


def frame_of(event: str, channel: str, symbols: Sequence[str] = (), depth: int = 0) -> str:
    """A subscribe or unsubscribe frame for one channel."""
    frame: dict[str, object] = {"event": event, "channel": [channel]}
    if symbols:
        frame["symbols"] = list(symbols)
    if depth:
        frame["depth"] = depth
    return msgspec.json.encode(frame).decode()


class PublicStream:
    """Market data of many symbols over one connection. A `StreamProtocol`."""

    idle_ping_secs = IDLE_PING_SECS
    idle_close_secs = IDLE_CLOSE_SECS

    def __init__(
        self,
        *,
        url: str,
        venue: str,
        instruments: Mapping[str, VenueInstrument],
        status_channels: bool = True,
        on_last_price: Callable[[str, str, int], None] | None = None,
    ) -> None:
        self.url = url
        self.counters = StreamCounters()
        self._venue = venue
        self._instruments = instruments
        self._status_channels = status_channels
        self._on_last_price = on_last_price
        self._feeds: dict[Feed, None] = {}
        self._insts: dict[str, StreamInstrument] = {}  # by symbol
        self._books: dict[str, _Book] = {}  # by symbol
        self._bar_types: dict[tuple[str, int], BarType] = {}
        self._open_candles: dict[tuple[str, int], s.CandleRow] = {}
        self._states: dict[str, str] = {}  # market states last told, by symbol
        self._venue_state = ""
        self._handlers: dict[str, Callable[[s.Envelope, int], list[StreamItem]]] = {
            BOOK_LV2: self._on_book,
            BOOK: self._on_book,
            TRADES: self._on_trades,
            TICKER: self._on_ticker,
            SYMBOLS: self._on_symbols,
            EXCHANGE: self._on_exchange,
        }

    # -- subscriptions -------------------------------------------------------------------------

    def opened(self, now_ns: int) -> Sequence[str]:
        self._open_candles.clear()
        for book in self._books.values():
            book.start()
        groups: dict[tuple[str, int], list[str]] = {}
        for feed in self._feeds:
            symbol = symbol_of(feed.instrument)
            if feed.kind is FeedKind.BOOK:
                wanted = self._books[symbol]
                key = (wanted.channel, wanted.depth)
            else:
                key = (_channel(feed), 0)
            symbols = groups.setdefault(key, [])
            if symbol not in symbols:
                symbols.append(symbol)
        frames = [frame_of("subscribe", c, symbols, d) for (c, d), symbols in groups.items()]
        if self._status_channels and self._feeds:
            frames += self._status_frames(
                [*dict.fromkeys(symbol_of(f.instrument) for f in self._feeds)]
            )
            frames.append(frame_of("subscribe", EXCHANGE))
        return frames

    def subscribe(self, feed: Feed) -> Sequence[str]:
        """Raises KeyError for an instrument the venue doesn't list, or a bar length it lacks."""
        if feed in self._feeds:
            return ()
        instrument = self._instruments[feed.instrument]
        symbol = instrument.symbol
        if symbol not in self._insts:
            self._insts[symbol] = StreamInstrument(instrument)
        frames = []
        if self._status_channels and not any(f.instrument == feed.instrument for f in self._feeds):
            frames = self._status_frames([symbol])
            if not self._feeds:
                frames.append(frame_of("subscribe", EXCHANGE))
        if feed.kind is FeedKind.BOOK:
            self._feeds[feed] = None
            return [*self._move_book(symbol), *frames]
        if feed.kind is FeedKind.BARS:
            text = bar_type_text(feed.instrument, feed.bar_minutes)
            key = (symbol, feed.bar_minutes)
            _ = INTERVALS[feed.bar_minutes]
            self._bar_types[key] = BarType.from_str(text)
        self._feeds[feed] = None
        return [frame_of("subscribe", _channel(feed), [symbol]), *frames]

    def unsubscribe(self, feed: Feed) -> Sequence[str]:
        if feed not in self._feeds:
            return ()
        del self._feeds[feed]
        symbol = symbol_of(feed.instrument)
        if feed.kind is FeedKind.BOOK:
            return self._move_book(symbol)
        if feed.kind is FeedKind.BARS:
            self._bar_types.pop((symbol, feed.bar_minutes), None)
            self._open_candles.pop((symbol, feed.bar_minutes), None)
        return [frame_of("unsubscribe", _channel(feed), [symbol])]

    def _status_frames(self, symbols: Sequence[str]) -> list[str]:
        return [frame_of("subscribe", SYMBOLS, symbols)]

    def _move_book(self, symbol: str) -> list[str]:
        """Bring a symbol's one book channel in line with its feeds.

        Depths of 5 or 10 alone are served by `book`; all else by `book_lv2`, which includes them.
        """
        depths = [
            f.depth
            for f in self._feeds
            if f.kind is FeedKind.BOOK and symbol_of(f.instrument) == symbol
        ]
        old = self._books.get(symbol)
        frames = []
        if not depths:
            channel, depth = "", 0
        elif all(d in BOOK_DEPTHS and d not in LV2_DEPTHS for d in depths):
            channel, depth = BOOK, max(depths)
        else:
            channel, depth = BOOK_LV2, 0
        if old is not None and (old.channel, old.depth) == (channel, depth):
            return []
        if old is not None:
            frames.append(frame_of("unsubscribe", old.channel, [symbol]))
            del self._books[symbol]
        if channel:
            self._books[symbol] = _Book(self._insts[symbol], channel, depth)
            frames.append(frame_of("subscribe", channel, [symbol], depth))
        return frames

    def ping(self, now_ns: int) -> Sequence[str]:
        return (PING,)

    def closed(self, ts_init: int) -> Iterable[StreamItem]:
        items: list[StreamItem] = []
        for book in self._books.values():
            if book.book.is_valid:
                self.counters.gaps += 1
                items.append(book.book.clear(ts_init))
                items.append(Gap(book.inst.name, "the connection is closed"))
            book.start()
        return items

    # -- frames --------------------------------------------------------------------------------

    def received(self, frame: bytes | str, ts_init: int) -> list[StreamItem]:
        """One frame: items, or ParseError."""
        lv2, trades = (
            (_LV2_HEAD, _TRADES_HEAD)
            if isinstance(frame, str)
            else (_LV2_HEAD_BYTES, _TRADES_HEAD_BYTES)
        )
        if frame.startswith(lv2):  # type: ignore[arg-type]
            try:  # not through `decode`: a call less in the hottest path
                book = _BOOK_FRAME.decode(frame)
            except DECODE_ERRORS as error:
                raise ParseError(BOOK_LV2, str(error)[:160]) from None
            return self._book_rows(BOOK_LV2, book.data, book.action, ts_init)
        if frame.startswith(trades):  # type: ignore[arg-type]
            return self._trade_rows(decode(_TRADE_FRAME, frame, TRADES).data, ts_init)
        return self._other(decode(_ENVELOPE, frame, "frame"), ts_init)

    def _other(self, envelope: s.Envelope, ts_init: int) -> list[StreamItem]:
        event = envelope.event
        if event == "pong":
            return []
        if event == "error":
            return [stream_fault(envelope.message or "")]
        if event is not None:
            return self._acknowledged(envelope) if event == "subscribe" else []
        channel = envelope.channel
        if channel is None:
            raise ParseError("frame", "expected `event` or `channel`")
        if channel in CANDLE_CHANNELS:
            return self._on_candles(envelope, ts_init)
        handler = self._handlers.get(channel)
        if handler is None:
            self.counters.unknown_channels += 1
            return []
        return handler(envelope, ts_init)

    def _acknowledged(self, envelope: s.Envelope) -> list[StreamItem]:
        """An ack names one channel; its symbols may be missing."""
        channel, symbols = envelope.channel, envelope.symbols
        named: list[StreamItem] = []
        for feed in self._feeds:
            symbol = symbol_of(feed.instrument)
            if symbols is not None and symbol not in symbols and "all" not in symbols:
                continue
            book = self._books.get(symbol)
            own = book.channel if feed.kind is FeedKind.BOOK and book else _channel(feed)
            if own == channel:
                named.append(Subscribed(feed))
        return named

    # -- books ---------------------------------------------------------------------------------

    def _on_book(self, envelope: s.Envelope, ts_init: int) -> list[StreamItem]:
        rows = decode(_BOOK_ROWS, envelope.data, "book")
        return self._book_rows(envelope.channel or "", rows, envelope.action or "", ts_init)

    def _book_rows(
        self, channel: str, rows: Sequence[s.BookRow], action: str, ts_init: int
    ) -> list[StreamItem]:
        items: list[StreamItem] = []
        for row in rows:
            book = self._books.get(row.symbol)
            if book is None or book.channel != channel:
                self.counters.unknown_symbols += 1  # unsubscribed a moment ago, or never ours
            elif channel == BOOK:
                self._whole_book(book, row, ts_init, items)
            elif action == "update":
                self._update(book, row, ts_init, items)
            elif action == "snapshot":
                self._snapshot(book, row, ts_init, items)
            else:
                raise ParseError(
                    "book_lv2", f"expected snapshot or update, received {action[:20]!r}"
                )
        return items

    def _update(self, book: _Book, row: s.BookRow, ts_init: int, items: list[StreamItem]) -> None:
        ladder = book.book
        if not ladder.is_valid:
            if len(book.waiting) == MAX_WAITING_UPDATES:
                self.counters.waiting_dropped += 1
            book.waiting.append(row)
            if ts_init - book.resync_ns > RESYNC_EVERY_NS and book.had_gap:
                items += [Send(frame) for frame in self._resync_frames(book, ts_init)]
            return
        if row.id <= ladder.last_id:
            if row.ts <= book.last_ts and self._is_late(book):
                return
            # Newer by the venue's clock, older by its ids: the venue counts anew.
            self._gap(book, "ids went back", ts_init, items)
            return
        try:
            change = ladder.update(row.last_id, row.id, row.asks, row.bids, row.ts * MS, ts_init)
        except ParseError as error:
            self._gap(book, str(error), ts_init, items)
            return
        if isinstance(change, BookGap):
            self._gap(book, change.value, ts_init, items, row)
            return
        book.last_ts = row.ts
        book.late.end()
        if change is not None:
            items.append(change)

    def _snapshot(self, book: _Book, row: s.BookRow, ts_init: int, items: list[StreamItem]) -> None:
        if book.book.is_valid and row.id < book.book.last_id and row.ts <= book.last_ts:
            if self._is_late(book):
                return
            self._gap(book, "ids went back", ts_init, items)
        newer = [w for w in book.waiting if w.id > row.id and w.ts >= row.ts]
        if newer and newer[0].last_id != row.id:
            self.counters.stale += 1  # older than what was lost: the next snapshot is awaited
            if ts_init - book.resync_ns > RESYNC_EVERY_NS:
                items += [Send(frame) for frame in self._resync_frames(book, ts_init)]
            return
        book.waiting.clear()
        if not self._take(book, row, ts_init, items):
            return
        for update in newer:
            self._update(book, update, ts_init, items)
        if book.had_gap and book.book.is_valid:
            book.had_gap = False
            items.append(Resynced(book.inst.name))

    def _whole_book(
        self, book: _Book, row: s.BookRow, ts_init: int, items: list[StreamItem]
    ) -> None:
        """A frame of the `book` channel: always the whole top of the book."""
        if book.book.is_valid and row.ts < book.last_ts:
            if self._is_late(book):
                return
            self._gap(book, "times went back", ts_init, items)
        if self._take(book, row, ts_init, items) and book.had_gap:
            book.had_gap = False
            items.append(Resynced(book.inst.name))

    def _is_late(self, book: _Book) -> bool:
        """Whether a frame that is older than the book is passed over: not the last of many."""
        self.counters.stale += 1
        return book.late.is_passed_over()

    def _take(self, book: _Book, row: s.BookRow, ts_init: int, items: list[StreamItem]) -> bool:
        """Replace the book by this frame. False: it could not be, and a gap is told."""
        if max(len(row.asks), len(row.bids)) > MAX_LEVELS:
            self._gap(book, f"more than {MAX_LEVELS} levels a side", ts_init, items)
            return False
        try:
            whole = book.book.snapshot(row.id, row.asks, row.bids, row.ts * MS, ts_init)
        except ParseError as error:
            self._gap(book, str(error), ts_init, items)
            return False
        if isinstance(whole, BookGap):
            self._gap(book, whole.value, ts_init, items)
            return False
        book.last_ts = row.ts
        book.late.end()
        items.append(whole)
        return True

    def _gap(
        self,
        book: _Book,
        reason: str,
        ts_init: int,
        items: list[StreamItem],
        row: s.BookRow | None = None,
    ) -> None:
        """Clear the book, tell it, and ask for a snapshot, but not more often than allowed."""
        self.counters.gaps += 1
        clear: OrderBookDeltas = book.book.clear(ts_init)
        book.had_gap = True
        book.waiting.clear()
        if row is not None:
            book.waiting.append(row)  # may chain onto the snapshot that comes
        resync: tuple[str, ...] = ()
        if book.channel == BOOK_LV2 and ts_init - book.resync_ns > RESYNC_EVERY_NS:
            resync = self._resync_frames(book, ts_init)
        items += [clear, Gap(book.inst.name, reason, resync)]

    def _resync_frames(self, book: _Book, ts_init: int) -> tuple[str, ...]:
        """Only a new subscription brings a snapshot: the REST book has no id to chain from."""
        book.resync_ns = ts_init
        symbols = [book.inst.symbol]
        return (
            frame_of("unsubscribe", BOOK_LV2, symbols),
            frame_of("subscribe", BOOK_LV2, symbols),
        )

    # -- trades, tickers, bars -----------------------------------------------------------------

    def _on_trades(self, envelope: s.Envelope, ts_init: int) -> list[StreamItem]:
        rows: list[s.TradeRow] = decode(_TRADE_ROWS, envelope.data, TRADES)
        return self._trade_rows(rows, ts_init)

    def _trade_rows(self, rows: Sequence[s.TradeRow], ts_init: int) -> list[StreamItem]:
        items: list[StreamItem] = []
        for row in rows:
            inst = self._insts.get(row.symbol)
            if inst is None:
                self.counters.unknown_symbols += 1
                continue
            items.append(trade_tick(row, inst, ts_init))
            if self._on_last_price is not None:
                self._on_last_price(row.symbol, row.price, ts_init)
        return items

    def _on_ticker(self, envelope: s.Envelope, ts_init: int) -> list[StreamItem]:
        items: list[StreamItem] = []
        for row in decode(_TICKER_ROWS, envelope.data, TICKER):
            inst = self._insts.get(row.symbol)
            if inst is None:
                self.counters.unknown_symbols += 1
                continue
            mark = mark_price(row, inst, ts_init)
            if mark is not None:
                items.append(mark)
        return items

    def _on_candles(self, envelope: s.Envelope, ts_init: int) -> list[StreamItem]:
        """Candles repeat while open and have no closed flag: a later one closes the one before."""
        minutes = CANDLE_CHANNELS[envelope.channel or ""]
        items: list[StreamItem] = []
        for row in decode(_CANDLE_ROWS, envelope.data, "candles"):
            key = (row.symbol, minutes)
            bar_type, inst = self._bar_types.get(key), self._insts.get(row.symbol)
            if bar_type is None or inst is None:
                self.counters.unknown_symbols += 1
                continue
            before = self._open_candles.get(key)
            if before is not None and row.start_time < before.start_time:
                self.counters.stale += 1
                continue
            self._open_candles[key] = row
            if before is not None and row.start_time > before.start_time:
                items.append(bar(before, inst, bar_type, ts_init))
        return items

    # -- status --------------------------------------------------------------------------------

    def _on_symbols(self, envelope: s.Envelope, ts_init: int) -> list[StreamItem]:
        items: list[StreamItem] = []
        for row in decode(_SYMBOL_ROWS, envelope.data, SYMBOLS):
            inst = self._insts.get(row.symbol)
            if inst is None or self._states.get(row.symbol) == row.state:
                continue
            self._states[row.symbol] = row.state
            items.append(instrument_status(inst.instrument_id, row.state, ts_init, ts_init))
        return items

    def _on_exchange(self, envelope: s.Envelope, ts_init: int) -> list[StreamItem]:
        """Maintenance (MM) and post-only (POM) hold for every market."""
        items: list[StreamItem] = []
        for row in decode(_EXCHANGE_ROWS, envelope.data, EXCHANGE):
            state = (
                "MAINTENANCE" if _is_on(row.mm) else "POST_ONLY" if _is_on(row.pom) else "NORMAL"
            )
            if state == (self._venue_state or "NORMAL"):
                self._venue_state = state
                continue
            self._venue_state = state
            for symbol, inst in self._insts.items():
                told = state if state != "NORMAL" else self._states.get(symbol, state)
                items.append(instrument_status(inst.instrument_id, told, ts_init, ts_init))
        return items


def _channel(feed: Feed) -> str:
    """The channel of a feed other than a book's. Raises KeyError for a bar length it lacks."""
    if feed.kind is FeedKind.BARS:
        return candle_channel(feed.bar_minutes)
    return {FeedKind.TRADES: TRADES, FeedKind.TICKER: TICKER, FeedKind.BOOK: BOOK_LV2}[feed.kind]


def _is_on(flag: Any) -> bool:
    return flag is True or (isinstance(flag, str) and flag.upper() in ("ON", "TRUE", "1"))


def stream_fault(message: str) -> StreamFault:
    """An `error` event. It names no request, so only its text tells what it is about."""
    text = message[:200]
    lower = text.lower()
    if "maintenance" in lower:
        return StreamFault(
            "POLONIEX-MAINTENANCE", text, "reconnect", backoff_secs=MAINTENANCE_BACKOFF_SECS
        )
    if "channel" in lower:
        # The status channels are an extra: a venue without them still serves the books.
        optional = any(f'"{name}"' in lower for name in (SYMBOLS, EXCHANGE))
        return StreamFault("POLONIEX-WS-CHANNEL", text, "none" if optional else "fatal")
    return StreamFault("POLONIEX-WS-ERROR", text)


__all__ = ["PublicStream", "StreamCounters", "frame_of", "instrument_of", "stream_fault"]
