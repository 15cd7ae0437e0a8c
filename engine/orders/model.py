"""The words of the order path: what is asked for, what a venue says, and what is known.

Values only: no sockets, no NautilusTrader, no clock. Every price and quantity is a `Decimal`;
quantities are in base units, prices in the quote currency, times in nanoseconds since the epoch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

import msgspec


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"


class Kind(StrEnum):
    """Order types, spelled as NautilusTrader's `OrderType` names."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"
    STOP_LIMIT = "STOP_LIMIT"
    LIMIT_IF_TOUCHED = "LIMIT_IF_TOUCHED"
    STOP_MARKET = "STOP_MARKET"
    MARKET_IF_TOUCHED = "MARKET_IF_TOUCHED"
    TRAILING_STOP_MARKET = "TRAILING_STOP_MARKET"


UNSIMULATED = frozenset({Kind.TRAILING_STOP_MARKET})  # which no simulated exchange has
STOP_KINDS = frozenset({Kind.STOP_LIMIT, Kind.STOP_MARKET, Kind.TRAILING_STOP_MARKET})


class Role(StrEnum):
    """What an order is for, as its strategy says. NONE: not said.

    NautilusTrader carries it as an order tag (`Role.STOP.tag`), the journal in the intent.
    """

    NONE = ""
    ENTRY = "entry"  # opens or enlarges a position
    EXIT = "exit"  # closes a position, or a part of it
    STOP = "stop"  # closes a position that loses
    TARGET = "target"  # closes a position that has won what was wanted
    QUOTE = "quote"  # one side of a market that the strategy makes

    @property
    def tag(self) -> str:
        """For `tags=[...]` of NautilusTrader's order factory."""
        return f"{ROLE_TAG}{self.value}"

    @property
    def is_exit(self) -> bool:
        """Whether it may only ever reduce its strategy's position."""
        return self in _EXITS


ROLE_TAG = "role:"
ENTRY_TAG = "entry:"  # of a bracket's exit: the client order id of its entry
ROOM_TAG = "room:"  # of an exit that makes room at a venue that clears: the id of what it is for
REDUCE_TAG = "reduce_only"  # of an exit that goes to a simulated exchange as a plain order
_EXITS = frozenset({Role.EXIT, Role.STOP, Role.TARGET})
_TAGGED = {role.tag: role for role in Role if role is not Role.NONE}


def role_of(tags: Iterable[str] | None, *, reduce_only: bool) -> Role:
    """The role that an order's tags tell; of a reduce-only one that tells none, EXIT."""
    for tag in tags or ():
        role = _TAGGED.get(tag)
        if role is not None:
            return role
    return Role.EXIT if reduce_only else Role.NONE


def protects(role: Role, kind: str, *, reduce_only: bool) -> bool:
    """Whether an order is the stop of a position: NautilusTrader's own (`stop_market(...,
    reduce_only=True)`) is called an exit, by its kind a stop."""
    return role is Role.STOP or (kind in STOP_KINDS and (reduce_only or role.is_exit))


def with_role(tags: Sequence[str] | None, role: Role) -> list[str] | None:
    """`tags` for the order factory, with the role; a role that they tell already stays."""
    given = list(tags or ())
    if role is not Role.NONE and not any(tag.startswith(ROLE_TAG) for tag in given):
        given.append(role.tag)
    return given or None


def entry_of(tags: Iterable[str] | None) -> str | None:
    """The client order id of the entry that a bracket's exit belongs to; None: of no bracket."""
    return next((t[len(ENTRY_TAG) :] for t in tags or () if t.startswith(ENTRY_TAG)), None)


def room_of(tags: Iterable[str] | None) -> str | None:
    """The client order id of the entry that an exit makes room for; None: for none."""
    return next((t[len(ROOM_TAG) :] for t in tags or () if t.startswith(ROOM_TAG)), None)


class TriggerCondition(StrEnum):
    """When a stop-limit fires: market price at or above (`gte`), or at or below (`lte`)."""

    GTE = "gte"
    LTE = "lte"

    @classmethod
    def _missing_(cls, value: object) -> None:
        raise ValueError(f"trigger_condition: expected gte or lte, {value!r} came")


class TriggerSource(StrEnum):
    """The price by which the engine fires an order that it holds."""

    LAST = "last"  # of trades
    TOUCH = "touch"  # the best ask for a BUY, the best bid for a SELL
    MID = "mid"  # between the two
    TIER = "tier"  # what the order's quantity would cost (`Capabilities.tier_price`)


class Tif(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class OrderState(StrEnum):
    """An order's state, as the venue reports it or as the journal knows it."""

    INTENDED = "INTENDED"  # journaled, not yet known to be sent
    HELD = "HELD"  # by the engine: not sent, it waits for its trigger
    UNKNOWN = "UNKNOWN"  # sent, outcome not proven
    WAITING = "WAITING"  # a stop accepted by the venue, not triggered
    OPEN = "OPEN"  # resting in the book, perhaps partly filled
    CANCELLING = "CANCELLING"  # cancel accepted, not final: fills may still come
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REFUSED = "REFUSED"  # proven never to have been accepted

    @property
    def is_terminal(self) -> bool:
        return self in _TERMINAL

    @property
    def status(self) -> str:
        """NautilusTrader's name of it (an OrderStatus), of an order without executions."""
        return _STATUSES.get(self, self.value)


_STATUSES = {
    OrderState.INTENDED: "SUBMITTED",
    OrderState.HELD: "ACCEPTED",
    OrderState.UNKNOWN: "SUBMITTED",
    OrderState.WAITING: "ACCEPTED",
    OrderState.OPEN: "ACCEPTED",
    OrderState.CANCELLING: "PENDING_CANCEL",
    OrderState.REFUSED: "REJECTED",
}
_TERMINAL = frozenset(
    {OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED, OrderState.REFUSED}
)


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """An order that the risk gate approved and that the desk is to send once.

    `instrument` is the NautilusTrader instrument id (`BTC_USDT.VENUE`). `price` is the limit
    price (None for MARKET), `trigger_price` and `trigger_condition` are set for kinds that wait
    for one. `role` is what the strategy says that the order is for. `release` counts the times
    that an order which the engine held was released (0: it never held it).
    Of a TRAILING_STOP_MARKET `trigger_price` is the price from which on it follows the market
    (NautilusTrader's `activation_price`), `trailing_offset` how far behind, in basis points.
    `room_for` is the entry that an exit makes room for, at a venue that would clear.
    """

    client_order_id: str
    strategy: str
    instrument: str
    side: Side
    kind: Kind
    quantity: Decimal
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    trigger_condition: TriggerCondition | None = None
    time_in_force: Tif = Tif.GTC
    post_only: bool = False
    reduce_only: bool = False
    ts_init: int = 0
    role: Role = Role.NONE
    release: int = 0
    trailing_offset: Decimal | None = None
    room_for: str | None = None

    @property
    def protects(self) -> bool:
        """Whether it is the stop of a position."""
        return protects(self.role, self.kind, reduce_only=self.reduce_only)

    @property
    def sent_id(self) -> str:
        """The client order id that the venue is given. Nothing is sent twice: what is released
        again has another, so that a look for it never finds the one before."""
        if self.release < 2:
            return self.client_order_id
        return f"{self.client_order_id}-r{self.release:02}"


_RELEASED_AGAIN = re.compile(r"-r[0-9]{2,}$")


def own_id(sent_id: str) -> str:
    """The client order id of what was sent under `sent_id`."""
    return _RELEASED_AGAIN.sub("", sent_id)


class OrderRef(msgspec.Struct, frozen=True, kw_only=True):
    """Names one order at the venue by whichever ids are known. `quantity` is what was asked for,
    where the desk knows it: a venue may tell less of an exit, or none.
    """

    instrument: str
    client_order_id: str | None = None
    venue_order_id: str | None = None
    quantity: Decimal | None = None


class VenueOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue says of one order at one moment.

    `avg_price` is None while nothing is filled. `trades_count` is None where the venue gives none.
    `fees` is what all that is filled has cost; None where this answer does not tell it.
    """

    venue_order_id: str
    instrument: str
    side: Side
    kind: Kind
    state: OrderState
    quantity: Decimal
    filled: Decimal
    client_order_id: str | None = None
    avg_price: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    trigger_condition: TriggerCondition | None = None
    time_in_force: Tif = Tif.GTC
    post_only: bool = False
    trades_count: int | None = None
    triggered: bool = False
    ts_created: int = 0
    ts_updated: int = 0
    reason: str = ""
    fees: Fee | None = None


def ref_of(order: VenueOrder) -> OrderRef:
    return OrderRef(
        instrument=order.instrument,
        client_order_id=order.client_order_id,
        venue_order_id=order.venue_order_id,
    )


class VenueFill(msgspec.Struct, frozen=True, kw_only=True):
    """One execution. `fee` is positive when paid, in `fee_currency` (upper case)."""

    venue_order_id: str
    trade_id: str
    instrument: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str
    client_order_id: str | None = None
    is_maker: bool | None = None
    ts_event: int = 0
    synthetic: bool = False


class VenueBalance(msgspec.Struct, frozen=True, kw_only=True):
    """One currency of the account (upper case): `free` can be spent, `locked` is held by orders."""

    currency: str
    free: Decimal
    locked: Decimal


class Accepted(msgspec.Struct, frozen=True, tag=True):
    """The venue has the order. `order` is its first state where the answer tells it."""

    venue_order_id: str
    order: VenueOrder | None = None


class Refused(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Proven: the venue does not have the order and never will. `code` is greppable.

    `is_sent` is False where nothing left this machine, as when our own rate limit keeps it back.
    """

    code: str
    message: str
    is_sent: bool = True


class Unknown(msgspec.Struct, frozen=True, tag=True):
    """Sent, or perhaps sent, and nothing proves what became of it."""

    reason: str


Outcome = Accepted | Refused | Unknown
NOT_SENT = "not sent"  # in the message of every refusal of what never left this machine


class CancelAccepted(msgspec.Struct, frozen=True, tag=True):
    """The venue took the cancel. `order` may already be terminal, or not."""

    order: VenueOrder | None = None


class CancelRefused(msgspec.Struct, frozen=True, tag=True):
    """The venue says it can't cancel (often: already filled). A query decides what the order is."""

    code: str
    message: str


CancelOutcome = CancelAccepted | CancelRefused | Unknown


class Found(msgspec.Struct, frozen=True, tag=True):
    """The query found the order."""

    order: VenueOrder


class Absent(msgspec.Struct, frozen=True, tag=True):
    """A complete, consistent look shows no such order *now*. One Absent alone is no proof."""

    evidence: str


class Unsure(msgspec.Struct, frozen=True, tag=True):
    """Could not ask, or more than one order fits (`ambiguous`): the `candidates`."""

    reason: str
    ambiguous: bool = False
    candidates: tuple[VenueOrder, ...] = ()


FindResult = Found | Absent | Unsure


class Fee(msgspec.Struct, frozen=True):
    """A fee to be paid (positive), and its currency in upper case."""

    amount: Decimal
    currency: str


class Quoted(msgspec.Struct, frozen=True):
    """What an order of this size would be dealt at, in quote currency; it binds nobody.

    `quote_id` is the venue's, empty for a price that was read of the book.
    """

    instrument: str
    side: Side
    quantity: Decimal
    price: Decimal
    quote_id: str = ""


class Lost(msgspec.Struct, frozen=True):
    """An order to look for. `known` are venue order ids of other orders, which are never it;
    `before` those of them that the venue had told when it was sent, by the journal's own order,
    whatever clocks say (None: that is not known).

    It was sent at `ts_sent` by this machine's clock of now, or up to `slack_ns` before: the clock
    may have been set since another process noted the time.
    """

    intent: Intent
    known: frozenset[str]
    ts_sent: int
    slack_ns: int = 0
    before: frozenset[str] | None = None


# Levels of the side that is taken, best first (price, size), and a quantity: the price that the
# whole of it costs; None where it is not covered.
TierPrice = Callable[[Sequence[tuple[Decimal, Decimal]], Decimal], Decimal | None]


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a venue can do; `fairlead check` names what a config asks for beyond it.

    `held` are kinds that it lacks and that the engine holds for it, released as LIMIT or MARKET;
    `trigger_sources` is what its data can fire them by, the first unless the config says
    otherwise; where it says nothing, all that the data tell (`sources`). `clears`: a new order
    first closes and cancels what its instrument has. `hold_passed`: a stop of its own is sent only
    while fresh data prove that its trigger lies ahead, and is held else.
    `bracket_targets`: an entry is taken with a stop and so many targets in one call, and they go
    with their position. `pays_positions`: balances are told as if positions had been paid for,
    whatever the margin (a margin account's equity is not their sum). Without `cancels` no order can
    be cancelled; a market exit of the whole position is the venue's own call then, which ends every
    order of the instrument.
    """

    kinds: frozenset[Kind]
    time_in_force: frozenset[Tif]
    post_only: bool = False
    replace: bool = False
    clears: bool = False
    bracket_targets: int = 0
    cancels: bool = True
    pays_positions: bool = False
    lists_stops: bool = True  # its list of open orders has stops that wait for their trigger
    client_order_ids: bool = False  # the venue keeps our id, so a lost order is found by it
    private_stream: bool = False  # orders and balances are pushed
    reports_fills: bool = False  # true executions, with ids and fees
    order_fees: bool = False  # no executions, but `orders` tells what each order has paid in all
    batch_submit_max: int = 1
    batch_cancel_max: int = 1
    batch_query_max: int = 1
    book_depths: tuple[int, ...] = ()
    sequenced_books: bool = False  # a book frame that is lost, late or repeated shows as such
    bar_minutes: tuple[int, ...] = ()
    ticker: bool = False  # no stream at all: the last price is polled, told as the mark price
    public_trades: bool = True  # trades of others are streamed; else bars are built from quotes
    public_fees: bool = False  # fee rates are known without credentials, as a paper run needs them
    max_order_lag_secs: float = 5.0  # how late a sent order can still appear (F03)
    held: frozenset[Kind] = frozenset()
    trigger_sources: tuple[TriggerSource, ...] = ()
    hold_passed: bool = False
    holds_limits: bool = False  # resting limit orders too, as the config asks for
    tier_price: TierPrice | None = None

    def takes(self, kind: str) -> bool:
        """Whether an order of this kind can be given, to the venue or to the engine for it."""
        return kind in self.kinds or kind in self.held

    @property
    def sources(self) -> tuple[TriggerSource, ...]:
        """What can fire the orders that are held, the default first: never what no data tell."""
        unable = {
            None if self.public_trades else TriggerSource.LAST,
            None if self.tier_price else TriggerSource.TIER,
        }
        named = self.trigger_sources or (
            TriggerSource.TIER,
            TriggerSource.LAST,
            TriggerSource.TOUCH,
            TriggerSource.MID,
        )
        return tuple(one for one in named if one not in unable) or (TriggerSource.TOUCH,)

    @property
    def trigger_source(self) -> TriggerSource:
        """What fires the stops that are held, and the orders that wait to be touched."""
        return self.sources[0]

    def source_for(self, kind: str) -> TriggerSource:
        """What fires a held order of this kind. A limit waits for what it would trade at: neither a
        trade of others nor the middle tells it."""
        source = self.trigger_source
        if kind != Kind.LIMIT or source in (TriggerSource.TOUCH, TriggerSource.TIER):
            return source
        return TriggerSource.TOUCH if self.tier_price is None else TriggerSource.TIER

    @property
    def holds(self) -> bool:
        """Whether the engine holds any order for it."""
        return bool(self.held) or self.hold_passed or self.holds_limits

    @property
    def release_tif(self) -> Tif:
        """The time in force of what is released: the longest that the venue has."""
        return next((tif for tif in Tif if tif in self.time_in_force), Tif.GTC)


class VenueOrders(Protocol):
    """A venue's trading half, as the order desk sees it. Implemented by each venue's adapter.

    No method retries a create, none raises for a venue's refusal or a broken connection: outcomes
    are values. A method that reads raises `VenueUnavailable` when it could not read everything.
    """

    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        """Send each intent once, in one request where the venue can; outcomes by position."""
        ...

    async def cancel(self, refs: Sequence[OrderRef]) -> list[CancelOutcome]:
        """Ask for the cancel of each order; outcomes by position."""
        ...

    async def replace(self, ref: OrderRef, intent: Intent) -> Outcome:
        """Cancel `ref` and create `intent` in its place, where the venue can (capability)."""
        ...

    async def find(
        self, intent: Intent, known: frozenset[str], ts_sent: int, slack_ns: int = 0
    ) -> FindResult:
        """Look for an order whose answer was lost; the arguments are those of `Lost`.

        Where the venue keeps no client order id, what is older than the order is never it, and what
        may be older (`slack_ns`) leaves it unsure.
        """
        ...

    async def find_all(self, lost: Sequence[Lost]) -> list[FindResult]:
        """`find` for each, by position; what a list tells of all of them is read once."""
        ...

    async def orders(self, refs: Sequence[OrderRef]) -> list[VenueOrder]:
        """Current states of the named orders, in any order; an order not told is left out."""
        ...

    async def open_orders(self, instruments: Sequence[str]) -> list[VenueOrder]:
        """Every order of the account in these instruments that is not terminal, triggers too."""
        ...

    async def fills(self, refs: Sequence[OrderRef], ts_from: int) -> list[VenueFill]:
        """True executions since `ts_from`, empty where the venue reports none (capability)."""
        ...

    async def balances(self) -> list[VenueBalance]:
        """Every currency of the account."""
        ...

    def fee(self, instrument: str, side: Side, quantity: Decimal, price: Decimal) -> Fee:
        """The fee of one execution by the venue's table, for venues that report no fills."""
        ...


class VenueUnavailable(Exception):
    """A read failed or was incomplete. `code` is greppable; absence must not be concluded."""

    def __init__(self, code: str, message: str, *, is_auth: bool = False) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.is_auth = is_auth  # the venue refuses the key


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A difference between journal and venue, and what was done about it."""

    code: str
    instrument: str  # or the venue, of a balance
    subject: str  # an order id, or a currency
    journal: str
    venue: str
    action: str
    ts_event: int


class EventSink(Protocol):
    """Where the desk tells what happened. Called on the event loop, in causal order."""

    def order_submitted(self, intent: Intent) -> None: ...
    def order_accepted(self, intent: Intent, venue_order_id: str, ts_event: int) -> None: ...
    def order_refused(self, intent: Intent, code: str, message: str, ts_event: int) -> None: ...
    def order_triggered(self, intent: Intent, venue_order_id: str, ts_event: int) -> None: ...
    def order_held(self, intent: Intent, ts_event: int) -> None:
        """The engine holds it, durably: it is accepted. Told again when it was released in vain."""

    def order_released(self, intent: Intent, venue_order_id: str, ts_event: int) -> None:
        """The venue has, under this id, what was released of an order that the engine held."""

    def order_filled(self, intent: Intent, fill: VenueFill) -> None: ...
    def order_canceled(self, intent: Intent, venue_order_id: str, ts_event: int) -> None: ...
    def order_expired(self, intent: Intent, venue_order_id: str, ts_event: int) -> None: ...
    def order_replaced(self, intent: Intent, venue_order_id: str, ts_event: int) -> None: ...
    def replace_refused(self, intent: Intent, code: str, message: str, ts_event: int) -> None: ...
    def cancel_refused(self, intent: Intent, code: str, message: str, ts_event: int) -> None: ...
    def balances(self, balances: Sequence[VenueBalance], ts_event: int) -> None: ...
    def finding(self, finding: Finding) -> None: ...
