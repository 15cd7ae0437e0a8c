"""The values of simulated execution: what is asked for, what stands, and what became of it.

Prices are in quote currency, quantities in base units, times in nanoseconds since the epoch.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Literal, Protocol

import msgspec

from fairlead.engine.orders.model import Side, TierPrice, TriggerSource
from fairlead.engine.orders.trigger import is_met

ZERO = Decimal(0)
TOLD_BEFORE_NS = 50_000_000  # a book may come so much before the trade that led to it, mostly

TimeInForce = Literal["GTC", "IOC", "FOK", "GTD"]
Contingency = Literal["OTO", "OCO", "OUO"]


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument. Margins are fractions of the value of an order or a position."""

    id: str
    base: str | None
    quote: str
    settlement: str
    size_increment: Decimal
    multiplier: Decimal = Decimal(1)
    is_inverse: bool = False
    margin_init: Decimal = ZERO
    margin_maint: Decimal = ZERO


class Watched(StrEnum):
    """The prices that a trigger looks at."""

    LAST = "last"  # of trades
    TOUCH = "touch"  # the ask for a BUY, the bid for a SELL
    EITHER = "either"


class Trigger(msgspec.Struct, frozen=True):
    """`is_rise`: fires at `price` or above, else at `price` or below."""

    price: Decimal
    is_rise: bool
    watched: Watched = Watched.LAST

    def is_met(self, price: Decimal | None) -> bool:
        return is_met(self.price, price, is_rise=self.is_rise)


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """How the engine would hold an order for a venue that lacks its kind: so it is held here.

    `source` is the price that fires it, `time_in_force` that of what is sent then; one that is not
    filled at once is armed again after `rearm_ns` where it `rearms`, up to `most` releases. One
    that `waits_at_limit` is fired by its own limit price, wherever a modify puts that.
    """

    source: TriggerSource
    time_in_force: TimeInForce
    rearms: bool
    rearm_ns: int
    most: int
    tier_price: TierPrice | None = None
    waits_at_limit: bool = False


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """`price` None is a market order; with a `trigger` it waits for that first.

    `parent` is the order whose first fill it waits for, `linked` those that end or shrink with it.
    `if_passed`: so the engine holds a stop that the venue has, and would not take as one, where its
    trigger is passed when it comes.
    """

    id: str
    strategy: str
    instrument: str
    side: Side
    quantity: Decimal
    price: Decimal | None = None
    trigger: Trigger | None = None
    time_in_force: TimeInForce = "GTC"
    expire_ns: int = 0  # of a GTD order
    post_only: bool = False
    reduce_only: bool = False
    parent: str | None = None
    contingency: Contingency | None = None
    linked: tuple[str, ...] = ()
    release: Release | None = None
    if_passed: Release | None = None

    @property
    def taking_tif(self) -> TimeInForce:
        """Its time in force once it may trade."""
        return self.time_in_force if self.release is None else self.release.time_in_force


class State(StrEnum):
    HELD = "held"  # its parent has no fill yet: not accepted
    WAITING = "waiting"  # for its trigger
    TAKING = "taking"  # takes, or waits for the market that it takes
    RESTING = "resting"
    OVER = "over"


class Order(msgspec.Struct, kw_only=True):
    """An order at the exchange, changed in place by the exchange only.

    `ahead` is the size that must trade at its price before it does; None while the book does not
    reach so far. `left` is what the book told has left before it, and may have been of a trade that
    is told later, until `left_until_ns`. `hold` is what is locked for it in `hold_currency`.
    """

    new: NewOrder
    venue_id: str
    quantity: Decimal
    price: Decimal | None
    trigger: Trigger | None
    state: State
    number: int = 0  # time priority, once it was accepted
    filled: Decimal = ZERO
    ahead: Decimal | None = ZERO
    left: Decimal = ZERO
    left_until_ns: int = 0
    hold: Decimal = ZERO
    hold_currency: str = ""
    is_fired: bool = False
    releases: int = 0  # of one that the engine holds
    not_before_ns: int = 0  # its next one

    @property
    def id(self) -> str:
        return self.new.id

    @property
    def side(self) -> Side:
        return self.new.side

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def is_over(self) -> bool:
        return self.state is State.OVER

    def shown(self, size: Decimal, now_ns: int) -> None:
        """The book shows so much at its price: no more than that is before it."""
        if self.ahead is not None and size < self.ahead:
            before = self.left if now_ns <= self.left_until_ns else ZERO
            self.left = before + self.ahead - size
            self.left_until_ns = now_ns + TOLD_BEFORE_NS
        self.ahead = size if self.ahead is None else min(self.ahead, size)

    def traded(self, size: Decimal, now_ns: int) -> Decimal:
        """What of a trade at its price comes to it; the queue moves on by what the book had not
        told before."""
        assert self.ahead is not None
        known = min(self.left, size) if now_ns <= self.left_until_ns else ZERO
        self.left -= known
        more = size - known - self.ahead
        self.ahead = max(ZERO, -more)
        return max(more, ZERO)


class Fill(msgspec.Struct, frozen=True, kw_only=True):
    """One execution; `fee` is positive when paid, rounded to its currency."""

    trade_id: str
    order_id: str
    quantity: Decimal
    price: Decimal
    is_maker: bool
    fee: Decimal
    fee_currency: str


class Fee(msgspec.Struct, frozen=True):
    amount: Decimal  # positive when paid, rounded to its currency
    currency: str


class Fees(Protocol):
    def __call__(
        self, instrument: str, side: Side, *, is_maker: bool, quantity: Decimal, price: Decimal
    ) -> Fee: ...


class Events(Protocol):
    """Who hears what becomes of orders; called from inside the exchange, which it must not call."""

    def accepted(self, order: Order, ts_ns: int) -> None: ...

    def rejected(self, order: Order, reason: str, ts_ns: int, *, due_post_only: bool) -> None: ...

    def triggered(self, order: Order, ts_ns: int) -> None: ...

    def filled(self, order: Order, fill: Fill, ts_ns: int) -> None: ...

    def canceled(self, order: Order, reason: str, ts_ns: int) -> None:
        """`reason` is empty where it was asked for."""

    def expired(self, order: Order, ts_ns: int) -> None: ...

    def updated(self, order: Order, ts_ns: int) -> None: ...

    def modify_rejected(self, order_id: str, reason: str, ts_ns: int) -> None: ...

    def cancel_rejected(self, order_id: str, reason: str, ts_ns: int) -> None: ...

    def balances_changed(self, ts_ns: int) -> None:
        """Told once after all that one command or one event of the market did."""
