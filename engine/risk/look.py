"""One look at an order: the view's answers, read once, and the gate's own books."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

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


class Look:
    """What the checks read. One per view; `begin` forgets what was read for the last order."""

    __slots__ = (
        "_facts",
        "_facts_of",
        "_ledger",
        "_now",
        "_reference",
        "_reference_of",
        "_view",
        "abilities",
        "books",
        "funds",
        "kill_switch",
        "limits",
        "seen",
    )

    def __init__(self, view: RiskView, books: Books, limits: Limits) -> None:
        self._view = view
        self._ledger = books.ledger
        self.books = books
        self.limits = limits
        self.seen: Callable[[str], bool] = view.seen
        self.kill_switch: Callable[[OrderFacts], str | None] = view.kill_switch
        self.abilities: Callable[[str], VenueAbilities | None] = view.abilities
        # A view without accounts (a `RiskView` that is no `FundsView`) has no balance to check.
        self.funds: FundsOf | None = getattr(view, "funds", None)
        self._facts: InstrumentFacts | None = None
        self._reference: Reference | None = None
        self.begin()

    def begin(self) -> None:
        self._now: int | None = None
        self._facts_of: str | None = None
        self._reference_of: str | None = None

    def now_ns(self) -> int:
        now = self._now
        if now is None:
            now = self._now = self._view.now_ns()
        return now

    def instrument(self, instrument: str) -> InstrumentFacts | None:
        if self._facts_of != instrument:
            self._facts_of = instrument
            self._facts = self._view.instrument(instrument)
            if self._facts is not None:
                self.books.know(instrument, self._facts)
        return self._facts

    def reference(self, instrument: str) -> Reference | None:
        if self._reference_of != instrument:
            self._reference_of = instrument
            self._reference = self._view.reference(instrument)
        return self._reference

    def position(self, instrument: str) -> Decimal:
        return self._ledger.positions.get(instrument, _ZERO)

    def working_quantity(self, instrument: str, side: Side) -> Decimal:
        return self._ledger.working_quantity(instrument, side)

    def open_order_count(self) -> int:
        return len(self._ledger.live)

    def pending(self, client_order_id: str) -> LiveOrder | None:
        return self._ledger.live.get(client_order_id)
