"""One look at an order: the view's answers, read once, and the gate's own books."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from engine.orders.model import Side
from engine.risk.books import Books
from engine.risk.facts import (
    Funds,
    InstrumentFacts,
    Limits,
    LiveOrder,
    OrderFacts,
    Reference,
    RiskView,
    VenueAbilities,
)

_ZERO = Decimal(0)
FundsOf = Callable[[str, str], Funds | None]


class Worth(NamedTuple):
    """What the checks of sizes and money share; prices and values are None without any price.

    `reduces`: it closes a position and nothing more, its side's live orders counted. `value` is
    the notional of what may fill, `added` that less what a modified order stands for already.
    """

    venue: str
    reduces: bool
    price: Decimal | None
    value: Decimal | None
    added: Decimal | None


class Look:
    """What the checks read. One per view; `begin` reads what belongs to the next order.

    `facts`, `market` (the reference), `price` (its middle) and `worth` are those of that order's
    instrument; None where nothing is known.
    """

    __slots__ = (
        "_known",
        "_ledger",
        "_view",
        "abilities",
        "books",
        "facts",
        "funds",
        "kill_switch",
        "limits",
        "market",
        "now_ns",
        "price",
        "seen",
        "worth",
    )

    def __init__(self, view: RiskView, books: Books, limits: Limits) -> None:
        self._view = view
        self._ledger = books.ledger
        self._known: dict[str, InstrumentFacts] = {}
        self.books = books
        self.limits = limits
        self.seen: Callable[[str], bool] = view.seen
        self.kill_switch: Callable[[OrderFacts], str | None] = view.kill_switch
        self.abilities: Callable[[str], VenueAbilities | None] = view.abilities
        # A view without accounts (a `RiskView` that is no `FundsView`) has no balance to check.
        self.funds: FundsOf | None = getattr(view, "funds", None)
        self.now_ns = 0
        self.facts: InstrumentFacts | None = None
        self.market: Reference | None = None
        self.price: Decimal | None = None
        self.worth: Worth

    def begin(self, order: OrderFacts) -> None:
        """Read once what the checks of `order` share, and note the market's price."""
        self.now_ns = self._view.now_ns()
        self.read(order.instrument)
        self.worth = self._reckon(order)

    def read(self, instrument: str) -> None:
        """The instrument's facts and market now; a whole market's price values what is held."""
        facts = self.facts = self._view.instrument(instrument)
        market = self.market = self._view.reference(instrument)
        self.price = None if market is None else market.price
        if facts is None:
            return
        if self._known.get(instrument) is not facts:
            self._known[instrument] = facts
            self.books.know(instrument, facts)
        if self.price is not None and market is not None and market.valid:
            self.books.marked(instrument, facts, self.price)

    def _reckon(self, order: OrderFacts) -> Worth:
        facts = self.facts
        reduces = only_reduces(order, self)
        price = worst_price(order, self)
        if facts is None or price is None or price <= 0:
            return Worth(order.instrument.rpartition(".")[2], reduces, None, None, None)
        value = added = facts.notional(order.remaining, price)
        existing = order.existing
        if existing is not None and existing.unit_value is not None:
            added = value - existing.remaining * existing.unit_value
        return Worth(order.instrument.rpartition(".")[2], reduces, price, value, added)

    def position(self, instrument: str) -> Decimal:
        return self._ledger.positions.get(instrument, _ZERO)

    def working_quantity(self, instrument: str, side: Side) -> Decimal:
        return self._ledger.working_quantity(instrument, side)

    def open_order_count(self) -> int:
        return len(self._ledger.live)

    def pending(self, client_order_id: str) -> LiveOrder | None:
        return self._ledger.live.get(client_order_id)


def worst_price(order: OrderFacts, view: Look) -> Decimal | None:
    """The order's own price, else what a market order would pay or get: the touch."""
    if order.price is not None:
        return order.price
    if order.trigger_price is not None:
        return order.trigger_price
    reference = view.market
    if reference is None:
        return None
    return reference.ask if reference.ask is not None else view.price


def only_reduces(order: OrderFacts, view: Look) -> bool:
    """Whether the order closes a position and nothing more, its side's live orders counted."""
    if order.reduce_only:
        return True
    position = view.position(order.instrument)
    reducible = -position if order.is_buy else position
    if reducible <= 0:
        return False
    working = view.working_quantity(order.instrument, order.side)
    if order.existing is not None:
        working -= order.existing.remaining
    return working + order.remaining <= reducible
