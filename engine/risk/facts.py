"""What the gate's checks read: plain values, the same in live, paper and backtest."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any, Protocol

import msgspec

from fairlead.engine.config.model import Risk
from fairlead.engine.orders.model import Capabilities, Role, Side

_ZERO, _ONE, _TWO = Decimal(0), Decimal(1), Decimal(2)


class CountedOrder(msgspec.Struct, gc=False):
    """An order that counts, as it may still fill: open, in flight, or of unknown outcome.

    `quantity` is in base units and counts what a pending modify asks for, where that is more.
    `price` is the limit price (None for a market order), `unit_value` the notional of one base
    unit, both the worse of what the order has and what a pending modify asks for.
    """

    client_order_id: str
    strategy: str
    instrument: str
    side: Side
    quantity: Decimal
    filled: Decimal = Decimal(0)
    reduce_only: bool = False
    contingent: bool = False  # reduce-only child of an order list: can only undo its parent
    kind: str = "LIMIT"
    price: Decimal | None = None
    unit_value: Decimal | None = None  # None until instrument and price are known
    role: Role = Role.NONE

    @property
    def is_exit(self) -> bool:
        """Whether it is to reduce its strategy's position, and never more than that."""
        return self.reduce_only or self.role.is_exit

    @property
    def remaining(self) -> Decimal:
        left = self.quantity - self.filled
        return left if left > _ZERO else _ZERO

    @property
    def signed_remaining(self) -> Decimal:
        return self.remaining if self.side is Side.BUY else -self.remaining


class OrderFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One order as the gate sees it before it is created, or what a modify would make of it.

    `kind` and `time_in_force` are NautilusTrader's names, so that kinds outside `Kind` can be
    refused by name. Quantities are in base units, prices in the quote currency.
    """

    client_order_id: str
    strategy: str
    instrument: str
    side: Side
    kind: str
    quantity: Decimal
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    trailing_offset: Decimal | None = None  # basis points, of a TRAILING_STOP_MARKET
    time_in_force: str = "GTC"
    post_only: bool = False
    reduce_only: bool = False
    quote_quantity: bool = False
    exec_algorithm: str | None = None
    emulation: str | None = None
    contingency: str | None = None
    parent: str | None = None  # client order id of the parent in an order list
    existing: CountedOrder | None = None  # set for a modify
    role: Role = Role.NONE
    fired: bool = False  # a stop whose trigger went off: a limit order from then on
    is_release: bool = False  # of an order that the engine held, and that was approved before

    @property
    def is_modify(self) -> bool:
        return self.existing is not None

    @property
    def is_exit(self) -> bool:
        """Whether it is to reduce its strategy's position, and never more than that."""
        return self.reduce_only or self.role.is_exit

    @property
    def is_buy(self) -> bool:
        return self.side is Side.BUY

    @property
    def remaining(self) -> Decimal:
        """What may still fill, base units."""
        if self.existing is None:
            return self.quantity
        return self.quantity - self.existing.filled


def counted_order(facts: OrderFacts, filled: Decimal = Decimal(0), **changes: Any) -> CountedOrder:
    """The ledger's entry for an order that exists already."""
    return CountedOrder(
        client_order_id=facts.client_order_id,
        strategy=facts.strategy,
        instrument=facts.instrument,
        side=facts.side,
        quantity=facts.quantity,
        filled=filled,
        reduce_only=facts.reduce_only,
        contingent=facts.parent is not None and facts.reduce_only,
        kind=facts.kind,
        price=facts.price if facts.price is not None else facts.trigger_price,
        role=facts.role,
        **changes,
    )


class Reference(msgspec.Struct, frozen=True, gc=False):
    """The market price that an order is compared with.

    `bid` and `ask` come from the managed book or the last quote, `last` from the last trade where
    there are neither. `valid` is False for an empty, one-sided or crossed book.
    """

    source: str
    ts_ns: int
    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    valid: bool = True
    middle: Decimal | None = None  # where it was reckoned before

    @property
    def price(self) -> Decimal | None:
        """The middle of the book, or the last trade."""
        if self.middle is not None:
            return self.middle
        if self.bid is not None and self.ask is not None:
            return (self.bid + self.ask) / _TWO
        return self.last


def unit_worth(multiplier: Decimal, price: Decimal, *, inverse: bool) -> Decimal:
    """What one base unit of a long position is worth, up to a constant; falls with 1/price."""
    return -multiplier / price if inverse else multiplier * price


def _is_digit(increment: Decimal) -> bool:
    return increment.as_tuple()[:2] == (0, (1,))


class InstrumentFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Increments and limits of an instrument; None where it has none."""

    price_increment: Decimal
    size_increment: Decimal
    price_precision: int
    size_precision: int
    quote: str
    multiplier: Decimal = Decimal(1)
    inverse: bool = False
    base: str | None = None
    is_contract: bool = False  # settled in a currency: a position is no holding of `base`
    fee: Decimal = Decimal(0)  # the highest rate of the instrument, a fraction of the notional
    margin: Decimal = Decimal(1)  # initial margin, a fraction of the notional, before leverage
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    min_quantity: Decimal | None = None
    max_quantity: Decimal | None = None
    min_notional: Decimal | None = None
    max_notional: Decimal | None = None
    # Told by the fields above, never given: the currency of the notional, and whether an increment
    # is one of its own last digit, so that all that is written with its digits is a multiple of it
    currency: str = ""
    least: Decimal = Decimal(0)  # the smallest quantity of an order, whatever its worth
    is_price_digit: bool = False
    is_size_digit: bool = False

    def __post_init__(self) -> None:
        currency = self.base if self.inverse and self.base is not None else self.quote
        msgspec.structs.force_setattr(self, "currency", currency)
        msgspec.structs.force_setattr(self, "is_price_digit", _is_digit(self.price_increment))
        msgspec.structs.force_setattr(self, "is_size_digit", _is_digit(self.size_increment))
        least = max(self.size_increment, self.min_quantity or self.size_increment)
        msgspec.structs.force_setattr(self, "least", self._up(least))

    def is_flat(self, quantity: Decimal, price: Decimal | None = None) -> bool:
        """Whether so much (base units, of either sign) is no position: no order is that small.

        Fees in base currency leave such a rest.
        """
        return abs(quantity) < self.least_at(price)

    def least_at(self, price: Decimal | None) -> Decimal:
        """The smallest order, base units: in whole increments the venue's least quantity, and its
        least value at `price`, where that is known."""
        if self.min_notional is None or price is None or price <= 0:
            return self.least
        return max(self.least, self._up(self.min_notional / self.notional(_ONE, price)))

    def _up(self, quantity: Decimal) -> Decimal:
        """In whole increments, not less."""
        steps = (quantity / self.size_increment).to_integral_value(ROUND_CEILING)
        return steps * self.size_increment

    def notional(self, quantity: Decimal, price: Decimal) -> Decimal:
        """Value of `quantity` at `price`, in quote currency (base currency when inverse)."""
        if self.inverse:
            return quantity * self.multiplier / price
        return quantity * self.multiplier * price


class Funds(msgspec.Struct, frozen=True, gc=False):
    """One currency of a venue account as the venue last reported it.

    `ts_ns` is the time of that report; `leverage` is 1 for a cash account.
    """

    total: Decimal
    free: Decimal
    is_cash: bool
    leverage: Decimal
    ts_ns: int


class Declared(msgspec.Struct, frozen=True, gc=False):
    """What a strategy says of itself in one instrument.

    `inventory` is what the account holds and hands to it, 0 or more base units: its exits may sell
    that too.
    Without `may_short` it never sells more than inventory and position, whatever an order is for.
    """

    inventory: Decimal = Decimal(0)
    may_short: bool = True


class RiskView(Protocol):
    """What the checks read. One implementation serves live, paper and backtest."""

    def now_ns(self) -> int: ...

    def pending(self, client_order_id: str) -> CountedOrder | None:
        """The live order of this id."""
        ...

    def reference(self, instrument: str) -> Reference | None:
        """The market price of `instrument`, None when no data has come."""
        ...

    def instrument(self, instrument: str) -> InstrumentFacts | None: ...

    def capabilities(self, instrument: str) -> Capabilities | None:
        """The capability table of the instrument's venue; None where nothing is known."""
        ...

    def seen(self, client_order_id: str) -> bool:
        """Whether an order of this id exists or existed in this run."""
        ...

    def funds(self, instrument: str, currency: str) -> Funds | None:
        """The currency in the account of the instrument's venue; None before its first report."""
        ...

    def kill_switch(self, order: OrderFacts) -> str | None:
        """Why this order may not be created, whatever it is; or None."""
        ...


class RateWindow:
    """Times of the last `limit` approved orders, to tell whether one more fits in a second."""

    SPAN_NS = 1_000_000_000
    __slots__ = ("_count", "_next", "_times", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._times = [0] * limit
        self._next = 0
        self._count = 0

    def add(self, now_ns: int) -> None:
        self._times[self._next] = now_ns
        self._next = (self._next + 1) % self.limit
        if self._count < self.limit:
            self._count += 1

    def undo(self) -> None:
        """Take the last `add` back: the order was not sent."""
        if self._count:
            self._next = (self._next - 1) % self.limit
            self._count -= 1

    def used(self, now_ns: int) -> int:
        """How many approved orders lie within the last second before `now_ns`.

        Times rise, and so does `now_ns`: what has left the window is dropped for good.
        """
        start, count, times = now_ns - self.SPAN_NS, self._count, self._times
        oldest = self._next - count
        while count and times[oldest] <= start:
            oldest += 1
            count -= 1
        self._count = count
        return count


LOSS_CODES = frozenset({"DAILY_LOSS", "DRAWDOWN"})
# What the gate's own flatten passes: a position may have been built by several orders.
FLATTEN_PASSES = LOSS_CODES | {"MAX_ORDER_NOTIONAL", "MAX_ORDER_QUANTITY", "MIN_POSITION"}


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of `[risk]`, parsed once. Amounts of money are by currency."""

    max_order_notional: Decimal | None
    notional_currency: str
    max_order_quantity: dict[str, Decimal]
    max_position: dict[str, Decimal]
    min_position: dict[str, Decimal]
    instrument_exposure: dict[str, Decimal]
    venue_exposure: dict[str, Decimal]
    account_exposure: dict[str, Decimal]
    resting_notional: dict[str, Decimal]
    max_open_orders: int
    max_orders_per_second: int
    max_modifies_per_second: int | None
    max_cancels_per_second: int | None
    cancel_to_fill: Decimal | None
    cancel_to_fill_after: int
    price_collar: Decimal  # a fraction: 0.05 is 500 bps
    stale_after_ns: int
    fat_finger: Decimal | None
    fat_finger_largest: bool
    fat_finger_trades: int
    max_unknown_outcomes: int
    max_clock_offset_ms: int
    daily_loss: dict[str, Decimal]
    drawdown: dict[str, Decimal]
    cooldown_losses: int | None
    cooldown_window_ns: int
    cooldown_ns: int

    @classmethod
    def of(cls, config: Risk) -> Limits:
        amount, currency = None, ""
        if config.max_order_notional is not None:
            text, currency = config.max_order_notional.split()
            amount = Decimal(text)
        return cls(
            max_order_notional=amount,
            notional_currency=currency,
            max_order_quantity=dict(config.max_order_quantity),
            max_position=dict(config.max_position),
            min_position=dict(config.min_position),
            instrument_exposure=_money(config.max_instrument_exposure),
            venue_exposure=_money(config.max_venue_exposure),
            account_exposure=_money(config.max_account_exposure),
            resting_notional=_money(config.max_resting_notional),
            max_open_orders=config.max_open_orders,
            max_orders_per_second=config.max_orders_per_second,
            max_modifies_per_second=config.max_modifies_per_second,
            max_cancels_per_second=config.max_cancels_per_second,
            cancel_to_fill=config.max_cancel_to_fill,
            cancel_to_fill_after=config.cancel_to_fill_after,
            price_collar=config.price_collar_bps / 10_000,
            stale_after_ns=config.stale_after_ms * 1_000_000,
            fat_finger=config.fat_finger_multiple,
            fat_finger_largest=config.fat_finger_measure == "largest",
            fat_finger_trades=config.fat_finger_trades,
            max_unknown_outcomes=config.max_unknown_outcomes,
            max_clock_offset_ms=config.max_clock_offset_ms,
            daily_loss=_money(config.max_daily_loss),
            drawdown=_money(config.max_drawdown),
            cooldown_losses=config.cooldown_losses,
            cooldown_window_ns=config.cooldown_window_secs * 1_000_000_000,
            cooldown_ns=config.cooldown_secs * 1_000_000_000,
        )


def _money(texts: Sequence[str]) -> dict[str, Decimal]:
    """Amounts by currency; the least, where a currency is named twice."""
    found: dict[str, Decimal] = {}
    for text in texts:
        amount, currency = text.split()
        found[currency] = min(Decimal(amount), found.get(currency, Decimal(amount)))
    return found
