"""The WebSocket's two dialogues, without I/O: prices, and the account's orders (section 4).

One URL for both, each on a connection of its own, with the key's headers in the handshake.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from fairlead.adapters.base.channel_feeds import ChannelFeeds, NoFeeds
from fairlead.adapters.base.snapshot_channel import SnapshotChannel, all_off, unreadable
from fairlead.adapters.base.venue import (
    Feed,
    FeedKind,
    OrderPush,
    ParseError,
    Ready,
    Send,
    StreamFault,
    StreamItem,
    Subscribed,
    VenueError,
    VenueErrorKind,
    VenueInstrument,
)
from fairlead.adapters.zerocap import errors, parse
from fairlead.adapters.zerocap.config import Dialect, ZerocapOptions
from fairlead.adapters.zerocap.ladder import Ladder, levels
from fairlead.adapters.zerocap.parse import Fault, Notice, OrderTold, Said, Source, TradeTold
from fairlead.adapters.zerocap.signing import Signer
from fairlead.engine.orders.model import Side, VenueFill, VenueOrder

MAX_KNOWN_ORDERS = 1_000
QUIET_CLOSE_SECS = 600.0  # dialect A's account stream: it says nothing while nothing happens
PING = '{"type":"message","message":"ping"}'
_NS_PER_SEC = 1_000_000_000


def _frame(message: Mapping[str, object]) -> str:
    return msgspec.json.encode(message).decode()


def _fault(event: Fault) -> StreamFault:
    action, backoff_secs = errors.fault_action(event.code, event.message)
    return StreamFault(f"{errors.CODE}-{event.code}", event.message, action, backoff_secs)


class _Stream:
    """What both dialogues have: address, handshake, heartbeat. Without a key none can be had."""

    def __init__(self, options: ZerocapOptions, signer: Signer | None) -> None:
        self.url = options.ws_url
        self.dialect: Dialect = options.dialect
        self.is_greeted = False
        self.ignored_count = 0
        self._signer = signer

    def handshake(self) -> Mapping[str, str]:
        """Raises VenueError (AUTH): the venue tells nothing, not even prices, without a key."""
        if self._signer is None:
            raise VenueError(
                VenueErrorKind.AUTH,
                f"{errors.CODE}-NO-KEY",
                "the venue's streams need credentials; this adapter was made without",
            )
        return self._signer.headers()

    def ping(self, now_ns: int) -> Sequence[str]:
        """Dialect C wants a message within 30 s; A knows none, so it is pinged below."""
        return (PING,) if self.dialect == "C" else ()


# -- prices ----------------------------------------------------------------------------------------


class Ladders:
    """The last ladder of each instrument, for as long as it is good."""

    def __init__(self) -> None:
        self._last: dict[str, Ladder] = {}

    def get(self, instrument: str) -> Ladder | None:
        return self._last.get(instrument)

    def put(self, instrument: str, ladder: Ladder | None) -> None:
        """None: it is not good any more."""
        if ladder is None:
            self._last.pop(instrument, None)
        else:
            self._last[instrument] = ladder


class _BookChannel(SnapshotChannel):
    """One subscribed ladder. Quoted anew at the same prices it is as fresh as any other."""

    is_renewed = True

    def __init__(
        self, instrument: VenueInstrument, options: ZerocapOptions, ladders: Ladders
    ) -> None:
        super().__init__(instrument)
        self.last_ns = 0  # when a ladder came last
        self._precisions = instrument.price_precision, instrument.size_precision
        self._options = options
        self._ladders = ladders
        self._was_swapped: bool | None = None  # as both lists of one ladder told

    def ladder(self, ladder: Ladder, ts_init: int) -> Sequence[StreamItem]:
        if ladder.ts_event and (late := self.late(ladder.ts_event, ts_init)) is not None:
            return late
        self.taken(ladder.ts_event)
        self.last_ns = ts_init
        sided = ladder.sided(self._options.side_correction, self._was_swapped)
        if sided is None:
            reason = "a crossed ladder" if ladder.bids and ladder.asks else "half a ladder"
            return self.break_off(reason, ts_init)
        if sided.bids and sided.asks:
            self._was_swapped = sided.is_swapped
        bids = levels(sided.bids, Side.BUY, *self._precisions)
        asks = levels(sided.asks, Side.SELL, *self._precisions)
        told = self.take(asks, bids, sided.ts_event or ts_init, ts_init)
        self._ladders.put(self.instrument, sided if self.book.is_valid else None)
        return told

    def break_off(self, reason: str, ts_init: int) -> Sequence[StreamItem]:
        self._ladders.put(self.instrument, None)
        return super().break_off(reason, ts_init)


class PriceStream(_Stream):
    """Ladders as books (`StreamProtocol`, `SignedHandshake`).

    `received` yields OrderBookDeltas, Subscribed, Send, Gap, Resynced and StreamFault. A book is
    cleared when its ladder crosses, when the venue says that the price stream is unavailable, when
    a frame can't be read, and when it is silent for `stale_secs` while others are not; a connection
    that is silent altogether is given up.
    """

    def __init__(
        self,
        options: ZerocapOptions,
        instruments: Mapping[str, VenueInstrument],
        ladders: Ladders,
        signer: Signer | None,
    ) -> None:
        super().__init__(options, signer)
        is_today = options.dialect == "C"
        self.idle_ping_secs = options.ping_secs
        self.idle_close_secs = options.idle_close_secs if is_today else options.stale_secs
        self._options = options
        self._instruments = instruments
        self._ladders = ladders
        self._feeds = ChannelFeeds()  # a channel is a symbol's
        self._books: dict[str, _BookChannel] = {}
        self._asked: list[str] = []  # symbols whose acknowledgement is still to come, in order

    # -- what the client asks ----------------------------------------------------------------------

    def opened(self, now_ns: int) -> Sequence[str]:
        """Start anew; the venue greets first, or says that the key is wrong."""
        self.is_greeted = False
        self._asked.clear()
        for channel in self._books.values():
            channel.begin()
        return ()

    def subscribe(self, feed: Feed) -> Sequence[str]:
        """Add a feed. Raises VenueError for an unknown market, and for all but books."""
        symbol = self._symbol(feed)
        if not self._feeds.add(symbol, feed):
            return ()
        facts = self._instruments[feed.instrument]
        self._books[symbol] = _BookChannel(facts, self._options, self._ladders)
        return (self._subscribing(symbol),) if self.is_greeted else ()

    def unsubscribe(self, feed: Feed) -> Sequence[str]:
        """Dialect A can't: its ladders go on coming, and are ignored."""
        symbol = self._symbol(feed)
        if not self._feeds.drop(symbol, feed):
            return ()
        del self._books[symbol]
        self._ladders.put(feed.instrument, None)
        if self.dialect == "A" or not self.is_greeted:
            return ()
        return (_frame({"type": "price", "symbols": [symbol], "is_subscribe": False}),)

    def _subscribing(self, symbol: str) -> str:
        self._asked.append(symbol)
        named = {"symbol": symbol} if self.dialect == "A" else {"symbols": [symbol]}
        return _frame({"type": "price", **named})

    def _symbol(self, feed: Feed) -> str:
        facts = self._instruments.get(feed.instrument)
        if facts is None:
            code, text = "UNKNOWN-MARKET", f"no market {feed.instrument[:60]}"
            raise VenueError(VenueErrorKind.REFUSED, f"{errors.CODE}-{code}", text)
        if feed.kind is not FeedKind.BOOK:
            text = f"{feed.instrument}: the venue streams ladders only, no {feed.kind}"
            raise VenueError(VenueErrorKind.REFUSED, f"{errors.CODE}-NO-STREAM", text)
        return facts.symbol

    # -- what the venue says -----------------------------------------------------------------------

    def received(self, frame: bytes | str, ts_init: int) -> Iterator[StreamItem]:
        try:
            event = parse.frame(frame)
        except ParseError as e:
            yield from unreadable(e, self._books.values(), ts_init)
            return
        if isinstance(event, Ladder):
            channel = self._books.get(event.symbol)
            if channel is None:
                self.ignored_count += 1
            else:
                yield from channel.ladder(event, ts_init)
        elif isinstance(event, Said):
            yield from self._said(event, ts_init)
        elif isinstance(event, Fault):
            yield _fault(event)
        else:
            self.ignored_count += 1
        yield from self._silent(ts_init)

    def _said(self, event: Said, ts_init: int) -> Iterator[StreamItem]:
        if event.notice is Notice.CONNECTED and not self.is_greeted:
            self.is_greeted = True
            for symbol in self._feeds:
                yield Send(self._subscribing(symbol))
        elif event.notice is Notice.SUBSCRIBED and self._asked:
            for feed in self._feeds.of(self._asked.pop(0)):
                yield Subscribed(feed)
        elif event.notice is Notice.UNAVAILABLE:
            yield from all_off(self._books.values(), "price stream unavailable", ts_init)
            yield from self._never_quoted()

    def _never_quoted(self) -> Iterator[StreamItem]:
        """The desk acknowledges a market that it does not quote, and says no more than this."""
        for symbol in self._feeds:
            if symbol not in self._asked and not self._books[symbol].last_ns:
                text = (
                    f"{symbol} was subscribed and no ladder of it has come: the desk says that its "
                    "price stream is unavailable, which it says of a market that it does not "
                    "quote, too"
                )
                yield StreamFault(f"{errors.CODE}-NO-PRICES", text, feed=self._feeds.of(symbol)[0])

    def _silent(self, ts_init: int) -> Iterator[StreamItem]:
        """Books whose ladder has not come for too long, while the connection lives."""
        limit_ns = int(self._options.stale_secs * _NS_PER_SEC)
        for channel in self._books.values():
            if channel.book.is_valid and ts_init - channel.last_ns > limit_ns:
                reason = f"no ladder for {self._options.stale_secs:g} s"
                yield from channel.break_off(reason, ts_init)

    def closed(self, ts_init: int) -> list[StreamItem]:
        """Every whole book is cleared; the next connection's first ladder fills it again."""
        self.is_greeted = False
        return list(all_off(self._books.values(), "connection closed", ts_init))


# -- the account -----------------------------------------------------------------------------------


class AccountStream(NoFeeds, _Stream):
    """Orders and their executions (`PrivateProtocol`, `SignedHandshake`).

    An execution that is pushed alone is joined with its order by the order's id; one whose order
    was never told is left to the create's answer, which has it too.
    """

    def __init__(self, options: ZerocapOptions, venue: str, signer: Signer | None) -> None:
        super().__init__(options, signer)
        is_today = options.dialect == "C"
        self.idle_ping_secs = options.ping_secs
        self.idle_close_secs = options.idle_close_secs if is_today else QUIET_CLOSE_SECS
        self._venue = venue
        self._topics = ("order", "trade") if is_today else ("orders",)
        self._waiting = 0  # acknowledgements until it is ready
        self._orders: OrderedDict[str, VenueOrder] = OrderedDict()

    def attach(self, send: Callable[[Iterable[str]], None]) -> None:
        """Nothing is sent of its own accord."""

    def opened(self, now_ns: int) -> Sequence[str]:
        self.is_greeted = False
        self._waiting = len(self._topics)
        return ()

    def received(self, frame: bytes | str, ts_init: int) -> Iterator[StreamItem]:
        event = parse.frame(frame)
        if isinstance(event, Said):
            yield from self._said(event)
        elif isinstance(event, Fault):
            yield _fault(event)
        elif isinstance(event, OrderTold):
            order = parse.order(event.row, self._venue, Source.PUSH)
            self._remember(order)
            fills = parse.fills(event.row, self._venue, Source.PUSH)
            yield from ([OrderPush(order, fill) for fill in fills] or [OrderPush(order)])
        elif isinstance(event, TradeTold):
            yield from self._trade(parse.fill(event.row, self._venue))
        else:
            self.ignored_count += 1

    def _said(self, event: Said) -> Iterator[StreamItem]:
        if event.notice is Notice.CONNECTED and not self.is_greeted:
            self.is_greeted = True
            for topic in self._topics:
                yield Send(_frame({"type": topic}))
        elif event.notice is Notice.SUBSCRIBED and self._waiting:
            self._waiting -= 1
            if not self._waiting:
                yield Ready()

    def _remember(self, order: VenueOrder) -> None:
        self._orders[order.venue_order_id] = order
        self._orders.move_to_end(order.venue_order_id)
        if len(self._orders) > MAX_KNOWN_ORDERS:
            self._orders.popitem(last=False)

    def _trade(self, fill: VenueFill) -> Iterator[StreamItem]:
        order = self._orders.get(fill.venue_order_id)
        if order is None or order.instrument != fill.instrument:
            self.ignored_count += 1
        else:
            yield OrderPush(order, fill)

    def closed(self, ts_init: int) -> Sequence[StreamItem]:
        self.is_greeted = False
        return ()
