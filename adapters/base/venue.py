"""The contract of a venue: what its folder provides, and what the two base clients call.

A venue is translation only. It holds no policy, never retries a create, and reads no clock but the
one it is given.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

from fairlead.adapters.base.limits import READ_LIMITS, ReadLimits
from fairlead.adapters.base.transport import HttpTransport
from fairlead.engine.orders.model import (
    Capabilities,
    Fee,
    Side,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenueOrders,
)
from fairlead.engine.secrets import Secret

# In the reason of a refusal: a post-only order that the venue did not let trade.
POST_ONLY_CROSSED = "a post-only order would have traded"


class Credential(msgspec.Struct, frozen=True):
    """One credential key of `[venues.NAME.credentials]`; `pem` is checked to parse at start."""

    name: str
    kind: Literal["text", "pem"] = "text"
    required: bool = True


class VenueInstrument(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument with the facts NautilusTrader's own object has no field for.

    `nautilus` is the CurrencyPair (or other instrument). `min_notional` is in quote currency.
    Fee rates are fractions of the executed value (0.001 is 10 bps).
    """

    id: str
    symbol: str
    base: str
    quote: str
    nautilus: Any
    price_precision: int
    size_precision: int
    min_quantity: Decimal = Decimal(0)
    min_notional: Decimal = Decimal(0)
    maker_fee: Decimal = Decimal(0)
    taker_fee: Decimal = Decimal(0)
    buy_fee: Decimal | None = None  # per-side fees, where the venue has those
    sell_fee: Decimal | None = None
    buy_fee_in_base: bool = False  # a buyer pays in base currency
    tradable: bool = True
    state: str = ""

    def fee(self, side: Side, quantity: Decimal, price: Decimal) -> Fee:
        """Of one execution by the venue's table, a taker's where that makes a difference."""
        per_side = self.buy_fee if side is Side.BUY else self.sell_fee
        rate = self.taker_fee if per_side is None else per_side
        if side is Side.BUY and self.buy_fee_in_base:
            return Fee(quantity * rate, self.base)
        return Fee(quantity * price * rate, self.quote)


class FeedKind(StrEnum):
    BOOK = "book"
    TRADES = "trades"
    TICKER = "ticker"
    BARS = "bars"


class Feed(msgspec.Struct, frozen=True):
    """One market data subscription. `depth` 0 is the venue's default, `bar_minutes` for BARS."""

    kind: FeedKind
    instrument: str
    depth: int = 0
    bar_minutes: int = 0


class Send(msgspec.Struct, frozen=True):
    """The protocol wants this frame sent."""

    frame: str


class Subscribed(msgspec.Struct, frozen=True):
    feed: Feed


class Gap(msgspec.Struct, frozen=True):
    """The book of `instrument` can't be trusted since this frame; a CLEAR goes with it.

    `resync` are frames that bring a fresh snapshot.
    """

    instrument: str
    reason: str
    resync: tuple[str, ...] = ()


class Resynced(msgspec.Struct, frozen=True):
    """The book of `instrument` is whole again."""

    instrument: str


class StreamFault(msgspec.Struct, frozen=True):
    """The venue refused or broke something in-band.

    `action`: `none` (counted and shown), `reconnect`, or `fatal` (unchanged, it can't work).
    `backoff_secs` is the least wait before a reconnect.
    """

    code: str
    message: str
    action: Literal["none", "reconnect", "fatal"] = "none"
    backoff_secs: float = 0.0
    feed: Feed | None = None


class OrderPush(msgspec.Struct, frozen=True):
    order: VenueOrder
    fill: VenueFill | None = None


class BalancePush(msgspec.Struct, frozen=True):
    balances: tuple[VenueBalance, ...]


class Ready(msgspec.Struct, frozen=True):
    """The private stream is authenticated and subscribed."""


# What a stream protocol yields; anything else is a NautilusTrader data object
# (OrderBookDeltas, TradeTick, QuoteTick, Bar, InstrumentStatus).
StreamItem = Any


class StreamProtocol(Protocol):
    """One WebSocket connection's dialogue, without I/O: bytes in, items out.

    Any bytes give items or raise `ParseError`; nothing else escapes.

    Feeds. The protocol remembers them, across reconnects too: one object lives as long as the
    stream, and `opened` is called once per connection. `opened` drops sequence state, keeps the
    feeds, and returns the frames that (log in and) subscribe them; where the venue must greet
    first, `received` yields them as `Send` items once it has. The caller never repeats `subscribe`
    after a reconnect. `subscribe` returns the frames to send now; the caller throws them away
    while there is no connection, since `opened` will send them. Both `subscribe` and
    `unsubscribe` are idempotent, and legal at any time.

    Books. A subscribed book starts with a whole snapshot (CLEAR, then ADDs) in one
    OrderBookDeltas. When it can't be trusted any more: an OrderBookDeltas with a CLEAR, then
    `Gap`, then no deltas of that book until the next whole snapshot, then `Resynced`. `closed`
    yields the same for every book that had a snapshot. `Resynced` may follow the first snapshot
    too. A `Gap.resync` that is empty means that the fresh snapshot comes by itself.
    """

    url: str
    # Read again and again, so a greeting may change them. WebSocket-level pongs are no frames.
    idle_ping_secs: float  # nothing received, or nothing sent, for so long: `ping` is called
    idle_close_secs: float  # no frame received for so long: the connection is given up

    def opened(self, now_ns: int) -> Sequence[str]:
        """A connection is open: drop all sequence state, keep the feeds; frames to send first."""
        ...

    def subscribe(self, feed: Feed) -> Sequence[str]:
        """Add a feed, and give frames for it (none yet where the venue must greet first).

        Called without a connection too: then the frames are not sent, `opened` repeats them.
        """
        ...

    def unsubscribe(self, feed: Feed) -> Sequence[str]: ...

    def ping(self, now_ns: int) -> Sequence[str]:
        """Frames that keep the connection alive; empty means a WebSocket-level ping."""
        ...

    def received(self, frame: bytes | str, ts_init: int) -> Iterable[StreamItem]: ...

    def closed(self, ts_init: int) -> Iterable[StreamItem]:
        """The connection is gone: book CLEARs and gaps."""
        ...


@runtime_checkable
class SignedHandshake(Protocol):
    """A `StreamProtocol` whose connection is opened with headers, made anew for each."""

    def handshake(self) -> Mapping[str, str]: ...


class PrivateProtocol(StreamProtocol, Protocol):
    """A stream of one account's orders and balances: `OrderPush`, `BalancePush`, `Ready`."""

    def attach(self, send: Callable[[Iterable[str]], None]) -> None:
        """Take the way to send frames, which never blocks, from the owner of the connection.

        Called once, before the stream starts, at every venue; one that sends nothing of its own
        there leaves it.
        """
        ...


class Renewal(msgspec.Struct, frozen=True):
    """A call that the venue wants every `every_secs`; it raises VenueError."""

    name: str
    every_secs: float
    renew: Callable[[], Awaitable[None]]


class ParseError(Exception):
    """A payload that is not what the venue's document says. `where` names the parser."""

    def __init__(self, where: str, detail: str) -> None:
        super().__init__(f"{where}: {detail}")
        self.where = where


class VenueErrorKind(StrEnum):
    REFUSED = "REFUSED"  # definite: nothing happened
    UNKNOWN = "UNKNOWN"  # may have happened
    RATE_LIMITED = "RATE_LIMITED"  # definite refusal for rate
    AUTH = "AUTH"  # definite refusal: key, signature, permission
    CLOCK = "CLOCK"  # definite refusal: our clock is off
    NOT_FOUND = "NOT_FOUND"  # the venue says there is no such order


class VenueError(Exception):
    """A request that did not succeed. Raised by a venue's `http.py`, classified by its table.

    `code` is `VENUE-xxx` (greppable), `message` is the venue's text, bounded and without secrets.
    `is_sent` is False where the transport, or our own rate limiter, proves that nothing went out.
    `asked` is the request's method and path, where it is of a request.
    """

    asked = ""

    def __init__(
        self,
        kind: VenueErrorKind,
        code: str,
        message: str,
        retry_after_secs: float = 0.0,
        *,
        is_sent: bool = True,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.kind = kind
        self.is_sent = is_sent
        self.code = code
        self.message = message
        self.retry_after_secs = retry_after_secs

    @property
    def told(self) -> str:
        """The message, with what was asked, for a person who has asked for nothing by name."""
        if not self.asked or self.asked in self.message:
            return self.message
        return f"{self.asked}: {self.message}"


class MarketData(Protocol):
    """A venue's market data half. What reads raises VenueError, and nothing else.

    A history is the last `limit` items (0: all that the venue keeps, bounded) with `ts_event` from
    `start_ns` to `end_ns`, both included; None is no bound.
    """

    def public_stream(self) -> StreamProtocol:
        """A new one for each connection's life; nothing is sent yet. Raises nothing."""
        ...

    async def history_trades(
        self, instrument: str, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[Any]:
        """NautilusTrader TradeTicks, oldest first."""
        ...

    async def history_bars(
        self, bar_type: Any, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[Any]:
        """NautilusTrader Bars, oldest first, closed ones only; `ts_event` is the close."""
        ...

    async def book_snapshot(self, instrument: str, depth: int) -> Any:
        """A NautilusTrader OrderBookDeltas snapshot (CLEAR and ADDs).

        `depth` is the least number of levels a side, as far as the venue tells so many; 0 is its
        default.
        """
        ...


@runtime_checkable
class TickerData(Protocol):
    """The part of `MarketData` of a venue with `Capabilities.ticker`."""

    async def last_price(self, instrument: str) -> tuple[Decimal, int]:
        """The last price, quote currency, and its time, UNIX ns. Raises VenueError."""
        ...


class Adapter(Protocol):
    """One configured venue account, connected.

    Making one raises VenueError (AUTH) for credentials that can't be used. Its transport is closed
    by whoever made that, after `close`.
    """

    name: str  # the adapter's name, e.g. "oceanex"
    venue: str  # NautilusTrader's venue, e.g. "OCEANEX"
    capabilities: Capabilities
    instruments: Mapping[str, VenueInstrument]
    market_data: MarketData
    orders: VenueOrders

    @property
    def clock_offset_ms(self) -> float | None:
        """The venue's clock less ours as last measured, as far as it is proven; None: never."""
        ...

    async def measure_clock(self) -> None:
        """Ask for the venue's time; `clock_offset_ms` is of now then. Raises VenueError."""
        ...

    async def connect(self, *, trading: bool) -> None:
        """Load instruments and fees; when `trading`, prove key, permission and clock.

        Raises VenueError.
        """
        ...

    async def refresh_instruments(self) -> None:
        """Read instruments anew, into the same mapping. Raises VenueError; then nothing changes."""
        ...

    def private_stream(self) -> PrivateProtocol | None:
        """None where the venue pushes nothing private, and without credentials. Raises nothing."""
        ...

    def renewals(self) -> Sequence[Renewal]:
        """What must go on for as long as the run trades; asked for once, after `connect`."""
        ...

    async def close(self) -> None:
        """Take back what `connect` left at the venue, also where it failed. Raises nothing."""
        ...


class Person(Protocol):
    """Who gives what a venue asks of a person, with each change: a token that is good once."""

    async def token(self, purpose: str) -> Secret:
        """For the request that `purpose` names. Raises VenueError."""
        ...


class AdapterContext(msgspec.Struct, frozen=True, kw_only=True):
    """What an adapter is built from. `person` is who plays one at a simulated venue, in seeded
    sessions and cards; in a run there is none, and the adapter's options say whom to ask.
    """

    venue: str  # NautilusTrader venue name for instrument ids
    options: Any  # the adapter's own options struct (`AdapterSpec.options`)
    secrets: Mapping[str, Secret]  # by credential name; empty where none are needed
    http: HttpTransport
    now_ns: Callable[[], int]
    instruments: tuple[str, ...]  # instrument ids the config names
    reads: ReadLimits = READ_LIMITS  # how often a read that failed is sent again
    person: Person | None = None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a command of an adapter's own tells: rows for a person, `data` for a program."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    data: Any


class AdapterCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A question to a venue, or a word to it, that is no trading: `fairlead gateway NAME ...`.

    `arguments` are names, those in brackets may be left out; `run` gets those that were given.
    It raises VenueError, and ValueError for an argument that it can't understand. What it tells
    holds no secret.
    """

    name: str
    line: str
    arguments: tuple[str, ...] = ()
    run: Callable[[Any, Mapping[str, str]], Awaitable[Told]]


class OptionRefused(msgspec.Struct, frozen=True):
    """Why an account can't be traded with these options: code and text of the start's own refusal.

    `option` has a value that is wrong in itself; None: something is missing.
    """

    code: str
    text: str
    option: str | None = None


def _takes(options: Any, now_ns: int) -> OptionRefused | None:
    return None


def _no_notes(options: Any) -> Sequence[str]:
    return ()


class AdapterSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What the registry knows of an adapter without connecting."""

    name: str
    options: type  # frozen msgspec struct: unknown keys refused, every field has a default
    credentials: tuple[Credential, ...]
    capabilities: Capabilities
    create: Callable[[AdapterContext], Adapter]
    keyed_data: bool = False  # market data needs the credentials too: paper and record read them
    uses_keys: bool = False  # market data may use them: paper and record read those that are set
    # Its orders go through a desk of ours: a kill closes positions, and NautilusTrader is told what
    # a cash account holds
    has_desk: bool = True
    commands: tuple[AdapterCommand, ...] = ()  # of its own, beside trading
    # What a start that trades would be refused for, by the options alone, at a time (UNIX ns)
    refuses: Callable[[Any, int], OptionRefused | None] = _takes
    # What such options mean for a run that trades, and prevents no start; for `fairlead check`
    notes: Callable[[Any], Sequence[str]] = _no_notes
