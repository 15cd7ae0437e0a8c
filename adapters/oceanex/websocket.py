"""The push feed: Pusher protocol 7 without I/O (section 3).

A book channel sends its whole book each time, with no sequence and no time; `SnapshotBook` turns
that into changes. Silence of a quiet market is normal. A connection that ends clears every book.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec
from nautilus_trader.model import InstrumentId, TradeTick

from fairlead.adapters.base.book import Numbers
from fairlead.adapters.base.channel_feeds import ChannelFeeds
from fairlead.adapters.base.decode import bounded
from fairlead.adapters.base.snapshot_channel import SnapshotChannel, all_off, unreadable
from fairlead.adapters.base.venue import (
    Feed,
    FeedKind,
    ParseError,
    Send,
    StreamFault,
    StreamItem,
    Subscribed,
    VenueError,
    VenueErrorKind,
    VenueInstrument,
)
from fairlead.adapters.oceanex import parse
from fairlead.adapters.oceanex.config import OceanexOptions
from fairlead.adapters.oceanex.schemas import MarketTicker, PushError, PushFrame
from fairlead.adapters.oceanex.symbols import TICKERS_CHANNEL, book_channel, trades_channel

CLIENT_QUERY = "protocol=7&version=4.3.1&flash=false&client=js"
MAX_SEEN_TRADES = 20_000  # trade ids remembered per market
HISTORY_GRACE_NS = 5_000_000_000  # a first trades message may be history older than this
_PONG = '{"event":"pusher:pong","data":{}}'
_PING = '{"event":"pusher:ping","data":{}}'

Action = Literal["none", "reconnect", "fatal"]


def fault_action(code: int | None) -> tuple[Action, float]:
    """What to do about a Pusher error code, and the least wait in seconds (section 3.3)."""
    if code is None:
        return "none", 0.0
    if 4000 <= code <= 4099:
        return "fatal", 0.0
    if 4100 <= code <= 4199:
        return "reconnect", 1.0
    if 4200 <= code <= 4299:
        return "reconnect", 0.0
    return "none", 0.0  # 4301, 5001 and 500 leave the connection as it is


def _subscribe_frame(channel: str) -> str:
    return _command("pusher:subscribe", channel)


def _command(event: str, channel: str) -> str:
    return msgspec.json.encode({"event": event, "data": {"channel": channel}}).decode()


class _TradesChannel:
    """Trades of one market, each told once, also across reconnects."""

    def __init__(self, instrument: VenueInstrument) -> None:
        self.instrument_id = InstrumentId.from_str(instrument.id)
        self.numbers = Numbers(instrument.price_precision, instrument.size_precision)
        self._seen: OrderedDict[int, None] = OrderedDict()

    def update(
        self, data: msgspec.Raw, opened_ns: int, ts_init: int
    ) -> list[TradeTick | StreamFault]:
        rows = parse.push_trades(data).trades
        # Order within a second is only in the ids (section 3.4).
        rows.sort(key=lambda row: row.tid)
        is_first = not self._seen
        items: list[TradeTick | StreamFault] = []
        for row in rows:
            if row.tid in self._seen:
                continue
            try:
                tick = parse.push_trade(row, self.instrument_id, self.numbers, ts_init)
            except ParseError as e:
                items.append(StreamFault("OCEANEX-TRADE", f"trade {row.tid}: {e}"))
                continue
            self._remember(row.tid)
            if not is_first or tick.ts_event >= opened_ns - HISTORY_GRACE_NS:
                items.append(tick)
        return items

    def _remember(self, tid: int) -> None:
        self._seen[tid] = None
        if len(self._seen) > MAX_SEEN_TRADES:
            self._seen.popitem(last=False)


class OceanexStream:
    """One market data connection's dialogue (`StreamProtocol`).

    `received` yields OrderBookDeltas, TradeTicks, Subscribed, Send, Gap, Resynced and StreamFault.
    Tickers carry no sizes, so they make no quotes; the last of each market is in `tickers`, by
    instrument id. A frame that can't be read breaks off the books it may have belonged to, and
    then raises ParseError.
    """

    def __init__(self, options: OceanexOptions, instruments: Mapping[str, VenueInstrument]) -> None:
        self.url = f"{options.ws_url.rstrip('/')}/app/{options.app_key}?{CLIENT_QUERY}"
        self.idle_ping_secs = options.activity_timeout_secs
        self.idle_close_secs = options.activity_timeout_secs + options.pong_timeout_secs
        self.tickers: dict[str, MarketTicker] = {}
        self.ignored_count = 0
        self._options = options
        self._instruments = instruments
        self._feeds = ChannelFeeds()
        self._books: dict[str, SnapshotChannel] = {}
        self._trades: dict[str, _TradesChannel] = {}
        self._is_greeted = False
        self._opened_ns = 0

    # -- what the client asks ----------------------------------------------------------------------

    def opened(self, now_ns: int) -> Sequence[str]:
        """Start anew; the venue greets first, so there is nothing to send yet."""
        self._is_greeted = False
        self._opened_ns = now_ns
        return ()

    def subscribe(self, feed: Feed) -> Sequence[str]:
        """Add a feed. Raises VenueError for an unknown market, and for bars: none are pushed."""
        channel = self._channel(feed)
        if not self._feeds.add(channel, feed):
            return ()
        instrument = self._instruments[feed.instrument]
        if feed.kind is FeedKind.BOOK:
            self._books[channel] = SnapshotChannel(instrument)
        if feed.kind is FeedKind.TRADES:
            self._trades[channel] = _TradesChannel(instrument)
        return (_subscribe_frame(channel),) if self._is_greeted else ()

    def unsubscribe(self, feed: Feed) -> Sequence[str]:
        channel = self._channel(feed)
        if not self._feeds.drop(channel, feed):
            return ()
        self._books.pop(channel, None)
        self._trades.pop(channel, None)
        return (_command("pusher:unsubscribe", channel),) if self._is_greeted else ()

    def ping(self, now_ns: int) -> Sequence[str]:
        return (_PING,)

    def _channel(self, feed: Feed) -> str:
        instrument = self._instruments.get(feed.instrument)
        if instrument is None:
            raise VenueError(
                VenueErrorKind.REFUSED,
                "OCEANEX-UNKNOWN-MARKET",
                f"no market {feed.instrument[:60]}",
            )
        if feed.kind is FeedKind.BOOK:
            return book_channel(instrument.symbol, instrument.price_precision)
        if feed.kind is FeedKind.TRADES:
            return trades_channel(instrument.symbol)
        if feed.kind is FeedKind.TICKER:
            return TICKERS_CHANNEL
        raise VenueError(
            VenueErrorKind.REFUSED,
            "OCEANEX-NO-BAR-STREAM",
            f"{feed.instrument}: bars are not pushed; build them from trades",
        )

    # -- what the venue says -----------------------------------------------------------------------

    def received(self, frame: bytes | str, ts_init: int) -> Iterable[StreamItem]:
        try:
            push = parse.frame(frame)
        except ParseError as e:
            return unreadable(e, self._books.values(), ts_init)
        event = push.event
        if event == "update":
            channel = self._books.get(push.channel)
            if channel is None:
                self.ignored_count += 1
                return ()
            try:
                book = parse.push_book(push.data)
                return channel.take(book.asks, book.bids, ts_init, ts_init)
            except ParseError as e:
                return unreadable(e, (channel,), ts_init)
        if event == "trades":
            trades = self._trades.get(push.channel)
            if trades is not None:
                return trades.update(push.data, self._opened_ns, ts_init)
            self.ignored_count += 1
            return ()
        return self._other(push)

    def _other(self, push: PushFrame) -> Sequence[StreamItem]:
        event = push.event
        if event == "tickers":
            self._keep_tickers(push)
            return ()
        if event == "pusher_internal:subscription_succeeded":
            return [Subscribed(feed) for feed in self._feeds.of(push.channel)]
        if event == "pusher:connection_established":
            return self._greeted(push)
        if event == "pusher:ping":
            return (Send(_PONG),)
        if event == "pusher:error":
            return (self._fault(parse.push_error(push.data)),)
        if event != "pusher:pong":
            self.ignored_count += 1  # an unknown event is nobody's business
        return ()

    def _greeted(self, push: PushFrame) -> Sequence[StreamItem]:
        options, greeting = self._options, parse.push_greeting(push.data)
        activity = options.activity_timeout_secs
        if greeting.activity_timeout is not None and greeting.activity_timeout >= 1.0:
            activity = min(activity, greeting.activity_timeout)
        self.idle_ping_secs = activity
        self.idle_close_secs = activity + options.pong_timeout_secs
        if self._is_greeted:
            return ()  # a second greeting would only make second subscriptions
        self._is_greeted = True
        return [Send(_subscribe_frame(channel)) for channel in self._feeds]

    def _fault(self, error: PushError) -> StreamFault:
        action, backoff_secs = fault_action(error.code)
        message = bounded(error.message)
        named = next((channel for channel in self._feeds if message.endswith(channel)), None)
        feed = None if named is None else self._feeds.of(named)[0]
        if error.code is not None:
            code = f"OCEANEX-PUSHER-{error.code}"
        elif message.startswith("Existing subscription"):
            code = "OCEANEX-DUPLICATE-SUBSCRIPTION"
        else:
            code = "OCEANEX-PUSHER"
        return StreamFault(code, message, action, backoff_secs, feed)

    def _keep_tickers(self, push: PushFrame) -> None:
        tickers = parse.push_tickers(push.data)
        for feed in self._feeds.of(TICKERS_CHANNEL):
            ticker = tickers.get(self._instruments[feed.instrument].symbol)
            if ticker is not None:
                self.tickers[feed.instrument] = ticker

    def closed(self, ts_init: int) -> Iterable[StreamItem]:
        """Every whole book is cleared; the next connection's first update fills it again."""
        self._is_greeted = False
        return list(all_off(self._books.values(), "connection closed", ts_init))
