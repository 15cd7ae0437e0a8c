"""The stream's dialogues without I/O: books and deals, and `pinfo` (section 2).

The venue greets nobody, acknowledges nothing that is documented, and has no heartbeat of its own:
a subscription is known to work when its first message comes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec
from nautilus_trader.model import InstrumentId, TradeTick

from fairlead.adapters.base.book import Numbers
from fairlead.adapters.base.channel_feeds import ChannelFeeds, NoFeeds
from fairlead.adapters.base.decode import bounded
from fairlead.adapters.base.snapshot_channel import SnapshotChannel, all_off, unreadable
from fairlead.adapters.base.venue import (
    Feed,
    FeedKind,
    OrderPush,
    ParseError,
    Ready,
    StreamFault,
    StreamItem,
    Subscribed,
    VenueError,
    VenueErrorKind,
    VenueInstrument,
)
from fairlead.adapters.piexgo import parse
from fairlead.adapters.piexgo import schemas as s
from fairlead.adapters.piexgo.config import PiexgoOptions
from fairlead.adapters.piexgo.errors import OK
from fairlead.adapters.piexgo.signing import pinfo_signature
from fairlead.adapters.piexgo.symbols import DEALS, DEPTH, PRIVATE, topic
from fairlead.engine.secrets import Secret

HISTORY_GRACE_NS = 5_000_000_000  # a connection's first deals may be history, older than this
MAX_PRICE_AGE_NS = 2_000_000_000
MAX_KNOWN_ORDERS = 100_000  # ids that answers have named
MAX_EARLY_ORDERS = 1_000  # orders whose events wait
MAX_EARLY_EVENTS = 100  # of one order; the last ones are kept: each tells the whole state
_MS = 1_000_000


def command(op: str, asked: str, **more: str) -> str:
    return msgspec.json.encode({"op": op, "topic": asked, **more}).decode()


def _refused(message: s.Frame, feed: Feed | None) -> StreamFault:
    """An answer that refuses a subscription, as far as there is one."""
    text = bounded(f"{message.op} {message.topic}: {message.msg}")
    return StreamFault(f"PIEXGO-WS-{abs(message.err_code)}", text, feed=feed)


class _BookChannel(SnapshotChannel):
    """A book that comes whole each time. `change_id` only ever grows within a connection."""

    ordered_by = "change ids"
    is_unique = True

    def __init__(self, instrument: VenueInstrument) -> None:
        super().__init__(instrument)
        self._precisions = instrument.price_precision, instrument.size_precision
        self._depth: parse.Depth | None = None  # the last that was taken in this connection

    def begin(self) -> None:
        super().begin()
        self._depth = None

    def depth(self, message: s.Frame, ts_init: int) -> Sequence[StreamItem]:
        """Raises ParseError."""
        depth = parse.depth(message, *self._precisions)
        if depth == self._depth:
            return ()  # told twice
        late = self.late(depth.change_id, ts_init)
        if late is not None:
            return late
        told = self.take(depth.asks, depth.bids, ts_init, ts_init)
        self.taken(depth.change_id)
        self._depth = depth
        return told


class _DealsChannel:
    """Deals of one market. After a reconnect, only those later than the last that was told."""

    def __init__(self, instrument: VenueInstrument) -> None:
        self._instrument_id = InstrumentId.from_str(instrument.id)
        self._numbers = Numbers(instrument.price_precision, instrument.size_precision)
        self._names = parse.DealNames()
        self._told_ms: int | None = None
        self._from_ms: int | None = None  # of a connection's first message

    def begin(self, now_ns: int) -> None:
        """A connection begins: its first message may tell what was told, or is long past."""
        if self._told_ms is None:
            self._from_ms = (now_ns - HISTORY_GRACE_NS) // _MS
        else:
            self._from_ms = self._told_ms + 1

    def update(self, message: s.Frame, ts_init: int) -> list[StreamItem]:
        rows, faults = parse.deals(message)
        items: list[StreamItem] = [StreamFault("PIEXGO-DEAL", str(fault)) for fault in faults]
        first_ms, self._from_ms = self._from_ms, None
        for deal in sorted(rows, key=lambda row: row.time):
            if first_ms is not None and deal.time < first_ms:
                continue
            try:
                items.append(
                    parse.tick(deal, self._names, self._instrument_id, self._numbers, ts_init)
                )
            except ParseError as e:
                items.append(StreamFault("PIEXGO-DEAL", str(e)))
                continue
            self._told_ms = max(self._told_ms or 0, deal.time)
        return items


class LastPrices:
    """The last trade of each market that is streamed, for stops: they name no direction."""

    def __init__(self) -> None:
        self._prices: dict[str, tuple[Decimal, int]] = {}

    def told(self, instrument: str, price: Decimal, ts_init: int) -> None:
        self._prices[instrument] = (price, ts_init)

    def fresh(self, instrument: str, now_ns: int) -> Decimal | None:
        """None where none came within MAX_PRICE_AGE_NS."""
        price, ts_init = self._prices.get(instrument, (None, 0))
        return price if now_ns - ts_init <= MAX_PRICE_AGE_NS else None


class PublicStream:
    """One market data connection's dialogue (`StreamProtocol`).

    A frame that can't be read breaks off the books it may have belonged to, and then raises
    ParseError.
    """

    def __init__(
        self,
        options: PiexgoOptions,
        instruments: Mapping[str, VenueInstrument],
        prices: LastPrices | None = None,
    ) -> None:
        self.url = options.ws_url
        self.idle_ping_secs = options.idle_ping_secs
        self.idle_close_secs = options.idle_close_secs
        self.ignored_count = 0
        self._instruments = instruments
        self._feeds = ChannelFeeds()  # a channel is a topic
        self._books: dict[str, _BookChannel] = {}
        self._deals: dict[str, _DealsChannel] = {}
        self._silent: set[str] = set()  # topics that have told nothing yet
        self._opened_ns = 0
        self._prices = prices or LastPrices()

    # -- what the client asks ----------------------------------------------------------------------

    def opened(self, now_ns: int) -> Sequence[str]:
        self._opened_ns = now_ns
        self._silent = set(self._feeds)
        for book in self._books.values():
            book.begin()
        for deals in self._deals.values():
            deals.begin(now_ns)
        return [command("subscribe", asked) for asked in self._feeds]

    def subscribe(self, feed: Feed) -> Sequence[str]:
        """Raises VenueError for an unknown market, and for what is not pushed."""
        asked = self._topic(feed)
        if not self._feeds.add(asked, feed):
            return ()
        instrument = self._instruments[feed.instrument]
        if feed.kind is FeedKind.BOOK:
            self._books[asked] = _BookChannel(instrument)
        else:
            deals = self._deals[asked] = _DealsChannel(instrument)
            deals.begin(self._opened_ns)
        self._silent.add(asked)
        return (command("subscribe", asked),)

    def unsubscribe(self, feed: Feed) -> Sequence[str]:
        asked = self._topic(feed)
        if not self._feeds.drop(asked, feed):
            return ()
        self._books.pop(asked, None)
        self._deals.pop(asked, None)
        return (command("unsubscribe", asked),)

    def ping(self, now_ns: int) -> Sequence[str]:
        return ()  # a WebSocket-level ping: no other is documented

    def _topic(self, feed: Feed) -> str:
        instrument = self._instruments.get(feed.instrument)
        if instrument is None:
            raise VenueError(
                VenueErrorKind.REFUSED,
                "PIEXGO-UNKNOWN-MARKET",
                f"no market {feed.instrument[:60]}",
            )
        if feed.kind is FeedKind.BOOK:
            return topic(DEPTH, instrument.symbol)
        if feed.kind is FeedKind.TRADES:
            return topic(DEALS, instrument.symbol)
        raise VenueError(
            VenueErrorKind.REFUSED,
            f"PIEXGO-NO-{feed.kind.name}-STREAM",
            f"{feed.instrument}: {feed.kind} is not pushed",
        )

    # -- what the venue says -----------------------------------------------------------------------

    def received(self, frame: bytes | str, ts_init: int) -> Iterable[StreamItem]:
        try:
            message = parse.frame(frame)
            if message.op:
                return self._answered(message)
            if message.topic not in (DEPTH, DEALS):
                self.ignored_count += 1  # nobody's business
                return ()
            asked = topic(message.topic, message.symbol)  # raises for a symbol that is missing
        except ParseError as e:
            return unreadable(e, self._books.values(), ts_init)
        if message.topic == DEPTH:
            return self._depth(asked, message, ts_init)
        deals = self._deals.get(asked)
        if deals is None:
            self.ignored_count += 1
            return ()
        items = deals.update(message, ts_init)
        for item in items:
            if isinstance(item, TradeTick):
                self._prices.told(str(item.instrument_id), item.price.as_decimal(), ts_init)
        return [*self._heard(asked), *items]

    def _depth(self, asked: str, message: s.Frame, ts_init: int) -> Iterable[StreamItem]:
        book = self._books.get(asked)
        if book is None:
            self.ignored_count += 1
            return ()
        try:
            items = book.depth(message, ts_init)
        except ParseError as e:
            return unreadable(e, (book,), ts_init)
        return [*self._heard(asked), *items]

    def _heard(self, asked: str) -> list[Subscribed]:
        """What the first message of a topic tells."""
        if asked not in self._silent:
            return []
        self._silent.discard(asked)
        return [Subscribed(feed) for feed in self._feeds.of(asked)]

    def _answered(self, message: s.Frame) -> Sequence[StreamItem]:
        feeds = self._feeds.of(message.topic)
        if message.err_code == OK:
            return self._heard(message.topic)
        return (_refused(message, feeds[0] if feeds else None),)

    def closed(self, ts_init: int) -> Iterable[StreamItem]:
        """Every whole book is cleared; the next connection's first message fills it again."""
        return list(all_off(self._books.values(), "connection closed", ts_init))


class EarlyOrders:
    """Holds the events of orders that no answer has named yet.

    The venue tells of an order before it answers the request that made it, and keeps no id of ours:
    what comes before the answer waits for it. Events of orders that are nobody's here wait as long
    as they may, and are told then: whoever reads them knows what to do with a stranger.
    """

    def __init__(self, wait_ns: int) -> None:
        self._wait_ns = wait_ns
        self._known: OrderedDict[str, None] = OrderedDict()
        self._held: OrderedDict[str, list[OrderPush]] = OrderedDict()
        self._since: dict[str, int] = {}

    def named(self, venue_order_id: str) -> None:
        """An answer, a list, or the journal has named the order."""
        self._known[venue_order_id] = None
        self._known.move_to_end(venue_order_id)
        if len(self._known) > MAX_KNOWN_ORDERS:
            self._known.popitem(last=False)

    def pushed(self, push: OrderPush, now_ns: int) -> list[OrderPush]:
        """What of it, and of what is held, may be told now."""
        order_id = push.order.venue_order_id
        if order_id in self._known:
            return [*self._release(order_id), push]
        held = self._held.setdefault(order_id, [])
        self._since.setdefault(order_id, now_ns)
        held.append(push)
        del held[:-MAX_EARLY_EVENTS]
        if len(self._held) > MAX_EARLY_ORDERS:
            return self._release(next(iter(self._held)))
        return []

    def due(self, now_ns: int) -> list[OrderPush]:
        """What is known by now, or has waited long enough."""
        told = []
        for order_id in list(self._held):
            if order_id in self._known or now_ns - self._since[order_id] >= self._wait_ns:
                told += self._release(order_id)
        return told

    def _release(self, order_id: str) -> list[OrderPush]:
        self._since.pop(order_id, None)
        return self._held.pop(order_id, [])


class PrivateStream(NoFeeds):
    """Orders and balances of the account. A `PrivateProtocol`.

    `Ready` goes before what a connection tells first: nothing acknowledges the subscription.
    Balances come one number at a time, and which number that is, the document does not say: they
    are counted, and the account is read by REST.
    """

    def __init__(
        self,
        options: PiexgoOptions,
        venue: str,
        key: Secret,
        secret: Secret,
        early: EarlyOrders,
    ) -> None:
        self.url = options.ws_url
        self.idle_ping_secs = options.idle_ping_secs
        self.idle_close_secs = options.quiet_account_secs
        self.balance_count = 0
        self.ignored_count = 0
        self._venue = venue
        self._is_signed = options.pinfo == "signed"
        self._key = key
        self._secret = secret
        self._early = early
        self._is_ready = False

    def attach(self, send: Callable[[Iterable[str]], None]) -> None:
        """Nothing is sent but the subscription."""

    def opened(self, now_ns: int) -> Sequence[str]:
        self._is_ready = False
        if not self._is_signed:
            return (command("subscribe", PRIVATE),)
        key = self._key.reveal()
        signature = pinfo_signature(self._secret, key)
        return (command("subscribe", PRIVATE, apikey=key, signature=signature),)

    def ping(self, now_ns: int) -> Sequence[str]:
        return ()

    def received(self, frame: bytes | str, ts_init: int) -> list[StreamItem]:
        message = parse.frame(frame)
        items: list[StreamItem] = [*self._early.due(ts_init)]
        if message.op:
            if message.err_code != OK:
                return [*items, _refused(message, None)]
        elif message.topic != PRIVATE:
            self.ignored_count += 1
            return items
        if not self._is_ready:
            self._is_ready = True
            items.insert(0, Ready())
        return items if message.op else [*items, *self._told(message, ts_init)]

    def _told(self, message: s.Frame, ts_init: int) -> Sequence[StreamItem]:
        try:
            found = parse.private(message, self._venue)
        except ParseError as e:
            return [StreamFault("PIEXGO-PINFO", str(e))]
        if isinstance(found, s.BalanceEvent):
            self.balance_count += 1
            return []
        return self._early.pushed(OrderPush(found), ts_init)

    def closed(self, ts_init: int) -> Iterable[StreamItem]:
        return self._early.due(ts_init)
