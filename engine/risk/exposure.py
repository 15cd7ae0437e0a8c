"""Running sums of what positions and live orders are worth, so that a check adds and compares.

Per instrument, venue, account name and currency. Nothing is summed up anew for an order: each
change of an order, a position or a price moves the sums by the difference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from fairlead.engine.orders.model import Side
from fairlead.engine.risk.facts import CountedOrder, InstrumentFacts

_ZERO, _ONE = Decimal(0), Decimal(1)


class Sums:
    """What is in force in one currency: of a venue, of an account name, or of the whole run.

    `gross` is absolute positions at the mark + live orders; `resting` the notional of live orders;
    `spending` what they would take of the currency with their fees (cash accounts), `margin` and
    `order_fees` the initial margin of positions and orders and the orders' fees (margin accounts).
    """

    __slots__ = ("gross", "margin", "order_fees", "resting", "spending")

    def __init__(self) -> None:
        self.gross = self.resting = self.spending = self.margin = self.order_fees = _ZERO


class Entry:
    """One instrument. `position` is in base units, `mark` the market's last price; until there is a
    newer one, a fill's where that makes the position worth more.

    The sums it is part of: of its venue, of its account name and of the run, in its currency, and
    of its venue in the base currency (None without one); there as soon as `facts` are.
    """

    __slots__ = (
        "account",
        "base",
        "facts",
        "gross",
        "mark",
        "orders",
        "position",
        "position_margin",
        "run",
        "venue",
    )

    def __init__(self) -> None:
        self.facts: InstrumentFacts | None = None
        self.venue = self.account = self.run = NOTHING
        self.base: Sums | None = None
        self.position = _ZERO
        self.mark: Decimal | None = None
        self.orders = _ZERO  # notional of live orders that may enlarge a position
        self.gross = _ZERO  # what is in the sums: |position| at the mark + orders
        self.position_margin = _ZERO


NOTHING: Final = Sums()  # never changed: what is where there is nothing


class Exposure:
    """The sums. `accounts` are account names by NautilusTrader venue name (absent: the venue's).

    An order or position of an instrument that is not known yet is counted when `know` tells its
    facts, an order without a price of its own when the first price comes. `held` has, in order,
    the instruments of which there is a position.
    """

    def __init__(self, accounts: Mapping[str, str] | None = None) -> None:
        self._accounts = dict(accounts or {})
        self.held: dict[str, None] = {}
        self._entries: defaultdict[str, Entry] = defaultdict(Entry)
        self._waiting: defaultdict[str, dict[str, CountedOrder]] = defaultdict(dict)
        self._by_venue: defaultdict[tuple[str, str], Sums] = defaultdict(Sums)
        self._by_account: defaultdict[tuple[str, str], Sums] = defaultdict(Sums)
        self._by_currency: defaultdict[str, Sums] = defaultdict(Sums)

    # What is asked

    def of_venue(self, venue: str, currency: str) -> Sums:
        return self._by_venue.get((venue, currency), NOTHING)

    def entry(self, instrument: str) -> Entry:
        """The instrument's own, the same for all of the run, with the sums that it is part of."""
        return self._entries[instrument]

    def facts(self, instrument: str) -> InstrumentFacts | None:
        return self._entries[instrument].facts

    def mark_of(self, instrument: str) -> Decimal | None:
        return self._entries[instrument].mark

    # What happened

    def know(self, instrument: str, facts: InstrumentFacts) -> None:
        """The instrument's facts, at the start or when they changed."""
        entry = self._entries[instrument]
        if entry.facts is facts:
            return
        if entry.facts is not None and entry.facts.currency != facts.currency:
            raise ValueError(
                f"{instrument} was priced in {entry.facts.currency} and is now in "
                f"{facts.currency}; stop, and start a new run"
            )
        entry.facts = facts
        venue, currency = instrument.rpartition(".")[2], facts.currency
        entry.venue = self._by_venue[venue, currency]
        entry.account = self._by_account[self._accounts.get(venue, venue), currency]
        entry.run = self._by_currency[currency]
        entry.base = None if facts.base is None else self._by_venue[venue, facts.base]
        self._value_waiting(instrument, entry)
        self._refresh(entry)

    def mark(self, instrument: str, price: Decimal) -> None:
        """The market's price now."""
        entry = self._entries[instrument]
        if entry.mark == price or price <= _ZERO:
            return
        entry.mark = price
        if instrument in self._waiting:
            self._value_waiting(instrument, entry)
        if entry.position:
            self._refresh(entry)

    def filled_at(self, instrument: str, price: Decimal) -> None:
        """A fill's price, which is not the market's: it never makes what is held worth less."""
        entry = self._entries[instrument]
        mark = entry.mark
        is_inverse = entry.facts is not None and entry.facts.inverse
        if mark is None or (price < mark if is_inverse else price > mark):
            self.mark(instrument, price)

    def position_changed(self, instrument: str, position: Decimal) -> None:
        entry = self._entries[instrument]
        entry.position = position
        if position:
            self.held[instrument] = None
        else:
            self.held.pop(instrument, None)
        self._refresh(entry)

    def opened(self, order: CountedOrder, remaining: Decimal) -> None:
        """`order` was added to the ledger; the notional of what remains of it counts from now."""
        entry = self._entries[order.instrument]
        if order.unit_value is None:
            order.unit_value = _unit_value(entry, order)
        if order.unit_value is None:
            self._waiting[order.instrument][order.client_order_id] = order
        self.remaining_changed(order, remaining)

    def closed(self, order: CountedOrder, remaining: Decimal) -> None:
        """`order` is over; what remained of it counts no more."""
        self.remaining_changed(order, -remaining)
        waiting = self._waiting.get(order.instrument) if self._waiting else None
        if waiting is not None:
            waiting.pop(order.client_order_id, None)
            if not waiting:
                del self._waiting[order.instrument]

    def remaining_changed(self, order: CountedOrder, change: Decimal) -> None:
        """What remains of `order` changed by so many base units."""
        if order.unit_value is None or not change:
            return
        self._add(order, change * order.unit_value, change)

    def repriced(self, order: CountedOrder, unit_value: Decimal | None) -> None:
        """The worth of one base unit of `order` changed."""
        if unit_value is None or unit_value == order.unit_value:
            return
        if order.unit_value is None:
            order.unit_value = unit_value
            self._add(order, order.remaining * unit_value, order.remaining)
            return
        change = order.remaining * (unit_value - order.unit_value)
        order.unit_value = unit_value
        self._add(order, change, _ZERO)

    # Sums

    def _add(self, order: CountedOrder, value: Decimal, quantity: Decimal) -> None:
        entry = self._entries[order.instrument]
        facts = entry.facts
        assert facts is not None  # an order is only valued when they are known
        entry.run.resting += value
        if order.contingent:
            return
        venue = entry.venue
        fee = value * facts.fee
        venue.order_fees += fee
        if order.side is Side.BUY:
            venue.spending += value + fee
        elif entry.base is not None:
            entry.base.spending += quantity
        if order.reduce_only:
            return
        venue.margin += value * facts.margin
        venue.gross += value
        entry.orders += value
        entry.gross += value
        entry.account.gross += value

    def _refresh(self, entry: Entry) -> None:
        """Position or price changed."""
        facts = entry.facts
        if facts is None:
            return
        worth = _ZERO
        if entry.position and entry.mark is not None:
            worth = facts.notional(abs(entry.position), entry.mark)
        margin = worth * facts.margin
        entry.venue.margin += margin - entry.position_margin
        entry.position_margin = margin
        change = worth + entry.orders - entry.gross
        entry.gross += change
        entry.venue.gross += change
        entry.account.gross += change

    def _value_waiting(self, instrument: str, entry: Entry) -> None:
        waiting = self._waiting.get(instrument)
        if waiting is None:
            return
        for order in list(waiting.values()):
            unit = _unit_value(entry, order)
            if unit is not None:
                del waiting[order.client_order_id]
                self.repriced(order, unit)
        if not waiting:
            del self._waiting[instrument]


def _unit_value(entry: Entry, order: CountedOrder) -> Decimal | None:
    price = order.price if order.price is not None else entry.mark
    if entry.facts is None or price is None or price <= 0:
        return None
    return entry.facts.notional(_ONE, price)
