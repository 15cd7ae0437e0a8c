"""What executions move of an account: of one that pays for what it buys, and of a margin account.

A margin account's wallet moves by what positions brought when they were closed, and by fees. What
an open position is worth just now is in some venues' totals and not in others'.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NamedTuple

import msgspec

from fairlead.engine.orders.model import Side, VenueFill

_ZERO = Decimal(0)
NEAR = Decimal("0.01")  # of a position's worth: between the venue's mark and the price known here


class Moved(NamedTuple):
    """Of a currency: what came or went, and what was turned over for it, which bounds rounding."""

    currency: str
    amount: Decimal
    turnover: Decimal


class Beside(NamedTuple):
    """What open positions of a currency would bring now, and what they are worth."""

    result: Decimal
    worth: Decimal

    def explains(self, difference: Decimal) -> bool:
        """Whether the venue's total is with what open positions would bring."""
        return abs(difference - self.result) <= NEAR * self.worth


class Contract(msgspec.Struct, frozen=True):
    """An instrument that is held on margin: what it settles in, per unit of its quantity."""

    settles: str
    multiplier: Decimal = Decimal(1)
    is_inverse: bool = False

    def worth(self, quantity: Decimal, price: Decimal) -> Decimal:
        units = quantity * self.multiplier
        return units / price if self.is_inverse else units * price

    def brought(self, quantity: Decimal, entry: Decimal, price: Decimal) -> Decimal:
        """Of a signed quantity that was taken at `entry` and given at `price`."""
        gained = self.worth(quantity, price) - self.worth(quantity, entry)
        return -gained if self.is_inverse else gained


class _Held(msgspec.Struct):
    quantity: Decimal = _ZERO  # signed
    entry: Decimal = _ZERO


def bought(fill: VenueFill, base: str, quote: str) -> tuple[Moved, ...]:
    """Of an account that pays for what it buys."""
    sign = 1 if fill.side is Side.BUY else -1
    cost = fill.quantity * fill.price
    return (
        Moved(base, sign * fill.quantity, fill.quantity),
        Moved(quote, -sign * cost, cost),
        Moved(fill.fee_currency, -fill.fee, abs(fill.fee)),
    )


class Wallet:
    """Of a margin account. Show it every execution once, in order.

    `contract_of` tells what an instrument is; None: one that nothing is known of any more.
    """

    def __init__(self, contract_of: Callable[[str], Contract | None]) -> None:
        self._contract_of = contract_of
        self._held: dict[str, _Held] = {}

    def moved(self, fill: VenueFill) -> tuple[Moved, ...]:
        """By account, as the venue nets: whichever strategies sent the orders."""
        fee = Moved(fill.fee_currency, -fill.fee, abs(fill.fee))
        contract = self._contract_of(fill.instrument)
        if contract is None:
            return (fee,)
        held = self._held.setdefault(fill.instrument, _Held())
        change = fill.quantity if fill.side is Side.BUY else -fill.quantity
        brought = _ZERO
        if held.quantity * change < 0:
            closed = min(abs(change), abs(held.quantity)).copy_sign(held.quantity)
            brought = contract.brought(closed, held.entry, fill.price)
            held.quantity -= closed
            change += closed
        if change:
            total = held.quantity + change
            if contract.is_inverse and held.quantity:
                held.entry = total / (held.quantity / held.entry + change / fill.price)
            else:
                held.entry = (held.quantity * held.entry + change * fill.price) / total
            held.quantity = total
        turnover = contract.worth(fill.quantity, fill.price)
        return (Moved(contract.settles, brought, turnover), fee)

    @property
    def is_flat(self) -> bool:
        return not any(held.quantity for held in self._held.values())

    def beside(self, price_of: Callable[[str], Decimal | None]) -> Mapping[str, Beside] | None:
        """Of open positions, by the currency they settle in; None where a price is not known."""
        found: dict[str, Beside] = {}
        for name, held in self._held.items():
            contract = self._contract_of(name)
            if contract is None or not held.quantity:
                continue
            price = price_of(name)
            if price is None:
                return None
            result, worth = found.get(contract.settles, Beside(_ZERO, _ZERO))
            found[contract.settles] = Beside(
                result + contract.brought(held.quantity, held.entry, price),
                worth + contract.worth(abs(held.quantity), price),
            )
        return found
