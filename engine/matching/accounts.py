"""The account at the simulated exchange: balances, what open orders lock, positions.

Amounts are exact; fees come rounded to their currency. Positions are counted by strategy, as
NautilusTrader does: the exposure of one is not the business of another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import ROUND_DOWN, Decimal

import msgspec

from fairlead.engine.matching.orders import ZERO, Fees, Fill, Listing, NewOrder, Order
from fairlead.engine.matching.taking import Offer
from fairlead.engine.orders.model import Side
from fairlead.engine.risk.facts import unit_worth


class Balance(msgspec.Struct, frozen=True):
    currency: str
    total: Decimal
    locked: Decimal


class Margin(msgspec.Struct, frozen=True):
    """What is reserved in an instrument's settlement currency."""

    instrument: str
    currency: str
    initial: Decimal
    maintenance: Decimal


class _Held:
    """One strategy's position in one instrument: signed base units, and what they cost."""

    __slots__ = ("cost", "quantity")

    def __init__(self) -> None:
        self.quantity = ZERO
        self.cost = ZERO  # signed, settlement currency


class Positions:
    """Average-cost positions by strategy and instrument; fees are not in their costs."""

    def __init__(self) -> None:
        self._held: defaultdict[tuple[str, str], _Held] = defaultdict(_Held)

    def quantity(self, strategy: str, instrument: str) -> Decimal:
        return self._held[strategy, instrument].quantity

    def reducible(self, new: NewOrder) -> Decimal:
        """By how much an order of this side can reduce its strategy's position."""
        held = self.quantity(new.strategy, new.instrument)
        return max(ZERO, -held if new.side is Side.BUY else held)

    def pay(self, new: NewOrder, fee: Decimal) -> None:
        """A fee in base units: it is held no more, and a reduce-only order has to buy it, too."""
        self._held[new.strategy, new.instrument].quantity -= fee

    def value(self, instrument: str) -> Decimal:
        """What the positions in an instrument cost, whatever their side."""
        costs = (one.cost for (_, name), one in self._held.items() if name == instrument)
        return sum((abs(cost) for cost in costs), ZERO)

    def apply(self, new: NewOrder, listing: Listing, quantity: Decimal, price: Decimal) -> Decimal:
        """An execution of the order; the result that it realizes, in settlement currency."""
        held = self._held[new.strategy, new.instrument]
        worth = unit_worth(listing.multiplier, price, inverse=listing.is_inverse)
        signed = quantity if new.side is Side.BUY else -quantity
        realized = ZERO
        closing = min(quantity, self.reducible(new))
        if closing:
            part = closing if signed > 0 else -closing
            cost = held.cost * (closing / abs(held.quantity))
            realized = -part * worth - cost
            held.quantity += part
            held.cost = held.cost - cost if held.quantity else ZERO
            signed -= part
        held.quantity += signed
        held.cost += signed * worth
        return realized


class Account:
    """What cash and margin accounts have in common. `currency` codes are upper case."""

    def __init__(
        self, listings: Iterable[Listing], balances: Mapping[str, Decimal], fees: Fees
    ) -> None:
        self.listings = {listing.id: listing for listing in listings}
        self.positions = Positions()
        self.is_changed = False  # since the last look
        self._fees = fees
        self._totals: defaultdict[str, Decimal] = defaultdict(Decimal, balances)
        self._locked: defaultdict[str, Decimal] = defaultdict(Decimal)

    def free(self, currency: str) -> Decimal:
        return self._totals[currency] - self._locked[currency]

    def balances(self) -> list[Balance]:
        names = sorted({*self._totals, *self._locked})
        return [Balance(name, self._totals[name], self._locked[name]) for name in names]

    def margins(self) -> list[Margin]:
        return []

    def reserve(self, order: Order, *, must: bool = False) -> bool:
        """Lock what the rest of the order needs, no more; False: there is too little, nothing done.

        `must`: lock it in any case; after a fill there is less to lock than before.
        """
        currency, amount = self._needed(order)
        more = amount - order.hold
        if more > 0 and not must and more > self.free(currency):
            return False
        self._lock(currency, more)
        order.hold, order.hold_currency = amount, currency
        return True

    def release(self, order: Order) -> None:
        if order.hold:
            self._lock(order.hold_currency, -order.hold)
            order.hold = ZERO

    def affordable(self, order: Order, quantity: Decimal, price: Decimal) -> Decimal:
        """How much of a fill the account can pay for, in whole size increments."""
        raise NotImplementedError

    def book(self, order: Order, fill: Fill) -> None:
        """Move what the execution moves; the order's hold follows by `reserve`."""
        raise NotImplementedError

    def covers(self, order: Order, fills: Iterable[Offer]) -> bool:
        """Whether these executions of an order without a hold can be paid."""
        raise NotImplementedError

    def _needed(self, order: Order) -> tuple[str, Decimal]:
        raise NotImplementedError

    def _lock(self, currency: str, amount: Decimal) -> None:
        if amount:
            self._locked[currency] += amount
            self.is_changed = True

    def _add(self, currency: str, amount: Decimal) -> None:
        if amount:
            self._totals[currency] += amount
            self.is_changed = True


class CashAccount(Account):
    """Pays with what it has: quote currency for a BUY, base currency for a SELL."""

    def _needed(self, order: Order) -> tuple[str, Decimal]:
        listing = self.listings[order.new.instrument]
        if order.side is Side.SELL and listing.base is not None:
            return listing.base, order.remaining
        price = _price_of(order)
        if order.side is Side.SELL or price is None:
            return listing.quote, ZERO
        return listing.quote, self._cost(order, order.remaining, price)

    def covers(self, order: Order, fills: Iterable[Offer]) -> bool:
        if order.side is Side.SELL:
            return True  # base currency is locked
        cost = sum((self._cost(order, quantity, price) for price, quantity in fills), ZERO)
        return cost <= self.free(self.listings[order.new.instrument].quote) + order.hold

    def affordable(self, order: Order, quantity: Decimal, price: Decimal) -> Decimal:
        listing = self.listings[order.new.instrument]
        if order.side is Side.SELL:
            if listing.base is None:
                return quantity
            return _whole(min(quantity, self.free(listing.base) + order.hold), listing)
        has = self.free(listing.quote) + order.hold
        cost = self._cost(order, quantity, price)
        if cost <= has:
            return quantity
        part = _whole(max(ZERO, has) * quantity / cost, listing)
        while part > 0 and self._cost(order, part, price) > has:  # rounding of the fee
            part -= listing.size_increment
        return max(ZERO, part)

    def book(self, order: Order, fill: Fill) -> None:
        listing = self.listings[order.new.instrument]
        self.positions.apply(order.new, listing, fill.quantity, fill.price)
        if fill.fee_currency == listing.base:  # as NautilusTrader and the gate count it
            self.positions.pay(order.new, fill.fee)
        value = fill.quantity * fill.price * listing.multiplier
        sign = 1 if order.side is Side.BUY else -1
        if listing.base is not None:
            self._add(listing.base, sign * fill.quantity)
        self._add(listing.quote, -sign * value)
        self._add(fill.fee_currency, -fill.fee)

    def _cost(self, order: Order, quantity: Decimal, price: Decimal) -> Decimal:
        """Quote currency for a BUY, with the fee where that is paid in it."""
        listing = self.listings[order.new.instrument]
        worst = ZERO
        for is_maker in (False, True):
            fee = self._fees(
                listing.id, order.side, is_maker=is_maker, quantity=quantity, price=price
            )
            if fee.currency == listing.quote:
                worst = max(worst, fee.amount)
        return quantity * price * listing.multiplier + worst


class MarginAccount(Account):
    """Holds positions of either side; balances move by results and fees only."""

    def _needed(self, order: Order) -> tuple[str, Decimal]:
        listing = self.listings[order.new.instrument]
        price = _price_of(order)
        if price is None or order.new.reduce_only:
            return listing.settlement, ZERO
        worth = unit_worth(listing.multiplier, price, inverse=listing.is_inverse)
        return listing.settlement, order.remaining * abs(worth) * listing.margin_init

    def covers(self, order: Order, fills: Iterable[Offer]) -> bool:
        listing = self.listings[order.new.instrument]
        reduces = self.positions.reducible(order.new)
        need = ZERO
        for price, quantity in fills:
            opening = max(ZERO, quantity - reduces)
            reduces = max(ZERO, reduces - quantity)
            worth = unit_worth(listing.multiplier, price, inverse=listing.is_inverse)
            need += opening * abs(worth) * listing.margin_init
        return need <= self.free(listing.settlement) + order.hold or not need

    def affordable(self, order: Order, quantity: Decimal, price: Decimal) -> Decimal:
        return quantity

    def book(self, order: Order, fill: Fill) -> None:
        listing = self.listings[order.new.instrument]
        before = self.positions.value(listing.id)
        realized = self.positions.apply(order.new, listing, fill.quantity, fill.price)
        self._add(listing.settlement, realized)
        self._add(fill.fee_currency, -fill.fee)
        more = self.positions.value(listing.id) - before
        self._lock(listing.settlement, more * listing.margin_maint)

    def margins(self) -> list[Margin]:
        found = []
        for listing in self.listings.values():
            maintenance = self.positions.value(listing.id) * listing.margin_maint
            if maintenance:
                found.append(Margin(listing.id, listing.settlement, ZERO, maintenance))
        return found


def _price_of(order: Order) -> Decimal | None:
    """At what price the order's funds are reckoned; None: at what it meets."""
    if order.price is not None:
        return order.price
    return None if order.trigger is None else order.trigger.price


def _whole(quantity: Decimal, listing: Listing) -> Decimal:
    steps = (quantity / listing.size_increment).to_integral_value(ROUND_DOWN)
    return steps * listing.size_increment
