"""The stream of a venue that sends whole books, and trades with ids (part of `kit`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

import msgspec
from nautilus_trader.model import AggressorSide, InstrumentId, TradeTick

from fairlead.adapters.base.book import Numbers
from fairlead.adapters.base.decode import bounded
from fairlead.adapters.base.history import Histories, NoHistories
from fairlead.adapters.base.snapshot_channel import Levels, SnapshotChannel, all_off, unreadable
from fairlead.adapters.base.venue import (
    Feed,
    FeedKind,
    ParseError,
    Send,
    StreamItem,
    VenueError,
    VenueInstrument,
)
from fairlead.engine.identifiers import trade_id
from fairlead.engine.orders.model import Side

SEEN_MAX = 10_000  # trades of a market, so that one told again is told once
PING_SECS, CLOSE_SECS = 15.0, 45.0
AGGRESSORS = {Side.BUY: AggressorSide.BUY, Side.SELL: AggressorSide.SELL}


class BookNews(msgspec.Struct, frozen=True):
    """A whole book: prices and sizes as the venue's text, in any order."""

    symbol: str
    bids: Levels
    asks: Levels
    ts_event: int


class TradeNews(msgspec.Struct, frozen=True):
    """One trade; `side` is the aggressor's."""

    symbol: str
    id: str
    side: Side
    price: Decimal
    size: Decimal
    ts_event: int


News = BookNews | TradeNews | Send


class KitStream(ABC):
    """A `StreamProtocol` over three hooks."""

    idle_ping_secs = PING_SECS
    idle_close_secs = CLOSE_SECS

    def __init__(self, url: str, instruments: Mapping[str, VenueInstrument]) -> None:
        self.url = url
        self._instruments = instruments
        self._feeds: dict[Feed, None] = {}
        self._books: dict[str, SnapshotChannel] = {}  # by the venue's symbol
        self._seen: dict[str, OrderedDict[str, None]] = {}

    @abstractmethod
    def news(self, frame: bytes | str) -> Iterable[News]:
        """What a frame says. Raises ParseError."""

    @abstractmethod
    def command(self, feed: Feed, symbol: str, *, is_wanted: bool) -> str:
        """The frame that subscribes, or unsubscribes. Raises VenueError for what is not there."""

    # -- StreamProtocol ------------------------------------------------------------------------

    def opened(self, now_ns: int) -> Sequence[str]:
        for channel in self._books.values():
            channel.begin()
        return [self._command(feed, is_wanted=True) for feed in self._feeds]

    def subscribe(self, feed: Feed) -> Sequence[str]:
        if feed in self._feeds:
            return ()
        frame = self._command(feed, is_wanted=True)
        self._feeds[feed] = None
        if feed.kind is FeedKind.BOOK:
            instrument = self._instruments[feed.instrument]
            self._books.setdefault(instrument.symbol, SnapshotChannel(instrument))
        return (frame,)

    def unsubscribe(self, feed: Feed) -> Sequence[str]:
        if feed not in self._feeds:
            return ()
        del self._feeds[feed]
        if feed.kind is FeedKind.BOOK:
            self._books.pop(self._instruments[feed.instrument].symbol, None)
        return (self._command(feed, is_wanted=False),)

    def ping(self, now_ns: int) -> Sequence[str]:
        return ()

    def received(self, frame: bytes | str, ts_init: int) -> Iterator[StreamItem]:
        try:
            for one in self.news(frame):
                if isinstance(one, BookNews):
                    yield from self._book(one, ts_init)
                elif isinstance(one, TradeNews):
                    yield from self._trade(one, ts_init)
                else:
                    yield one
        except ParseError as error:  # whose book it was, it does not say
            yield from unreadable(error, self._books.values(), ts_init)

    def closed(self, ts_init: int) -> Iterable[StreamItem]:
        return list(all_off(self._books.values(), "connection closed", ts_init))

    # -- parts ---------------------------------------------------------------------------------

    def _command(self, feed: Feed, *, is_wanted: bool) -> str:
        return self.command(feed, self._instruments[feed.instrument].symbol, is_wanted=is_wanted)

    def _book(self, news: BookNews, ts_init: int) -> Sequence[StreamItem]:
        channel = self._books.get(news.symbol)
        if channel is None:
            return ()
        return channel.update(news.asks, news.bids, news.ts_event, ts_init)

    def _trade(self, news: TradeNews, ts_init: int) -> Iterator[StreamItem]:
        for feed in self._feeds:
            if feed.kind is not FeedKind.TRADES:
                continue
            instrument = self._instruments[feed.instrument]
            seen = self._seen.setdefault(news.symbol, OrderedDict())
            if instrument.symbol != news.symbol or news.id in seen:
                continue
            tick = trade_tick(news, instrument, ts_init)
            seen[news.id] = None
            if len(seen) > SEEN_MAX:
                seen.popitem(last=False)
            yield tick


def trade_tick(news: TradeNews, instrument: VenueInstrument, ts_init: int) -> TradeTick:
    """Raises ParseError for numbers beyond the instrument's precision."""
    numbers = Numbers(instrument.price_precision, instrument.size_precision)
    try:
        return TradeTick(
            InstrumentId.from_str(instrument.id),
            numbers.prices[f"{news.price:f}"],
            numbers.sizes[f"{news.size:f}"],
            AGGRESSORS[news.side],
            trade_id(news.id),
            news.ts_event,
            ts_init,
        )
    except (ValueError, OverflowError, TypeError) as error:
        raise ParseError("trade", bounded(str(error))) from error


class KitMarketData(NoHistories):
    """`MarketData` by stream alone; a venue with histories overrides what it has."""

    no_trades = "history of trades"
    no_bars = "bars; build them from trades"

    def __init__(
        self,
        code: str,
        instruments: Mapping[str, VenueInstrument],
        make_stream: Callable[[], KitStream],
    ) -> None:
        self.histories = Histories(code, instruments, ())
        self._make_stream = make_stream

    def public_stream(self) -> KitStream:
        return self._make_stream()

    def lacks(self, subject: str, what: str) -> VenueError:
        return self.histories.refused("NO-HISTORY", f"{subject[:60]}: the venue has no {what}")
