"""Profit and loss by average cost, from the fills: of an instrument, and of a strategy in it.

Exact decimals. A strategy's part is reckoned from its own fills alone, by the same arithmetic: what
one strategy bought and another sold is a long position of the first and a short one of the second,
both at the mark. So realized and unrealized are each strategy's own, and fees, positions and net
add up to the instrument's.

An inverse contract is worth quantity x multiplier / price of the currency that it settles in, and
a long position has won what it is worth less: `unit_worth` falls with 1/price.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.model import OrderFilled, OrderSide

from fairlead.engine.orders.model import Side, VenueFill
from fairlead.engine.orders.taken_over import Handed, Share
from fairlead.engine.risk.facts import unit_worth

ZERO = Decimal(0)
MONEY_DECIMALS = 12
UNIT_DECIMALS = 18  # of an inverse contract's worth, a periodic decimal: its sums are exact again


def unit_of(contract: str, base: str) -> str:
    """What quantities count: contracts, with what one is; base units where `contract` is empty."""
    return f"contracts of {contract}" if contract else base


class InstrumentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument's trading. Money is in `quote`, positions in base units, or in contracts.

    `quote` is the currency it settles in: of an inverse contract its base. `contract` is what one
    contract is, `0.01 BTC` or `100 USD`, where positions count those; else empty.

    `opening_position` was held at the start and `opening_cost` is what it cost by the journal
    (signed, at its average price); `position` is held at the end, and `unrealized` is of that.
    `realized` is by average cost and before fees; a fee taken in base currency is never held, and
    counts in `fees_value` what it was worth when it was paid; `net` is realized + unrealized -
    fees_value: the change of equity, with the opening position at `opening_cost`. `opening_gain` is
    what of it the opening position is worth at the mark beyond that cost, had nothing been traded.
    `fees_unvalued` were paid in currencies of which the instrument tells no price: in no other sum.
    """

    instrument: str
    base: str
    quote: str
    fills: int
    bought: Decimal
    sold: Decimal
    turnover: Decimal
    opening_position: Decimal
    opening_cost: Decimal
    opening_gain: Decimal = ZERO
    position: Decimal
    position_max: Decimal
    mark: Decimal | None
    realized: Decimal
    unrealized: Decimal
    fees_value: Decimal
    net: Decimal
    fees_unvalued: dict[str, Decimal] = {}
    contract: str = ""

    @property
    def is_inverse(self) -> bool:
        """Whether it settles in its base."""
        return self.quote == self.base

    @property
    def unit(self) -> str:
        """What quantities and positions count."""
        return unit_of(self.contract, self.base)


class StrategySummary(InstrumentSummary, frozen=True, kw_only=True):
    """One strategy's part in one instrument's trading."""

    strategy: str


def moved(one: InstrumentSummary) -> dict[str, Decimal] | None:
    """What its executions moved of a cash account's balances, by currency, fees taken off; None:
    what is held has no mark, by which it could be told."""
    base = one.position - one.opening_position
    if base and one.mark is None:
        return None
    found = {currency: -fee for currency, fee in one.fees_unvalued.items()}
    found[one.base] = base
    found[one.quote] = one.net - one.opening_gain - base * (one.mark or ZERO)
    return found


class Account:
    """Average-cost account of one instrument, fed with its fills in time order."""

    def __init__(self, instrument: Any) -> None:
        self.instrument = instrument
        self.base: str = instrument.base_currency.code
        self.quote: str = getattr(instrument, "settlement_currency", instrument.quote_currency).code
        self._multiplier: Decimal = instrument.multiplier.as_decimal()
        self.is_inverse: bool = instrument.is_inverse
        self._is_contract = getattr(instrument, "settlement_currency", None) is not None
        self.contract = self._contract_of()
        self.fills = 0
        self.bought = self.sold = self.turnover = ZERO
        self.position = self.position_max = ZERO
        self.opening = self.opening_cost = ZERO
        self.average = ZERO
        self.cash = ZERO  # quote currency in and out, without fees
        self.fees_value = ZERO
        self.fees_unvalued: dict[str, Decimal] = {}

    def _contract_of(self) -> str:
        """Empty: quantities are base units."""
        if not self._is_contract or (not self.is_inverse and self._multiplier == 1):
            return ""
        of = self.instrument.quote_currency.code if self.is_inverse else self.base
        return f"{self._multiplier.normalize():f} {of}"

    def unit(self, price: Decimal) -> Decimal:
        """What a long base unit is worth in quote currency, up to a constant: its changes count."""
        if not self.is_inverse:
            return unit_worth(self._multiplier, price, inverse=False)
        if not price:  # the average of nothing
            return ZERO
        return round(unit_worth(self._multiplier, price, inverse=True), UNIT_DECIMALS)

    def value(self, quantity: Decimal, price: Decimal) -> Decimal:
        """In quote currency, with the sign of the quantity."""
        worth = quantity * self.unit(price)
        return -worth if self.is_inverse else worth

    def cost_of(self, quantity: Decimal, cost: Decimal) -> Decimal:
        """By the journal's signed cost, which is quantity x average price whatever the contract."""
        if not self.is_inverse:
            return cost * self._multiplier
        return self.value(quantity, cost / quantity) if quantity else ZERO

    def open(self, quantity: Decimal, cost: Decimal) -> None:
        """Held before the first fill: signed base units, signed cost in quote currency."""
        self.opening += quantity
        self.opening_cost += cost
        self.cash += cost if self.is_inverse else -cost
        self.position += quantity
        self.average = self._opened_at()
        self.position_max = max(self.position_max, abs(self.position))

    def _opening_gain(self, mark: Decimal) -> Decimal:
        paid = -self.opening_cost if self.is_inverse else self.opening_cost
        return self.opening * self.unit(mark) - paid

    def _opened_at(self) -> Decimal:
        if not self.opening or (self.is_inverse and not self.opening_cost):
            return ZERO
        if self.is_inverse:
            return self.opening * self._multiplier / self.opening_cost
        return self.opening_cost / self.opening / self._multiplier

    def apply(self, fill: OrderFilled) -> None:
        paid = fill.commission
        self.book(
            fill.order_side == OrderSide.BUY,
            fill.last_qty.as_decimal(),
            fill.last_px.as_decimal(),
            ZERO if paid is None else paid.as_decimal(),
            self.quote if paid is None else paid.currency.code,
        )

    def book(
        self, buying: bool, quantity: Decimal, price: Decimal, fee: Decimal, fee_currency: str
    ) -> None:
        """One execution: base units, price as quoted, fee positive when paid."""
        moved = quantity if buying else -quantity
        self.fills += 1
        self.turnover += self.value(quantity, price)
        if buying:
            self.bought += quantity
        else:
            self.sold += quantity
        if fee_currency == self.quote:
            self.fees_value += fee
        elif fee_currency == self.base:  # as the journal books it: a contract is no holding of it
            moved -= ZERO if self._is_contract else fee
            self.fees_value += self.value(fee, price)
        elif fee:
            self.fees_unvalued[fee_currency] = self.fees_unvalued.get(fee_currency, ZERO) + fee
        self.cash -= moved * self.unit(price)
        if moved:
            self._move(moved, price)
        self.position_max = max(self.position_max, abs(self.position))

    def hand(self, signed: Decimal, price: Decimal) -> None:
        """Get a position of another's at this price, or (negative) leave one to it."""
        self.cash -= signed * self.unit(price)
        self._move(signed, price)
        self.position_max = max(self.position_max, abs(self.position))

    def _move(self, signed: Decimal, price: Decimal) -> None:
        before = self.position
        after = before + signed
        if before * signed >= 0:  # opens or adds
            self.average = self._mean(abs(before), abs(signed), price)
        elif before * after < 0:  # went through zero
            self.average = price
        elif not after:
            self.average = ZERO
        self.position = after

    def _mean(self, held: Decimal, more: Decimal, price: Decimal) -> Decimal:
        """The average price with `more` at `price`: the one at which both are worth the same."""
        if not self.is_inverse:
            return (self.average * held + price * more) / (held + more)
        before = held / self.average if held else ZERO
        return (held + more) / (before + more / price)

    def summary(self, mark: Decimal | None, unmarked: Decimal | None = None) -> InstrumentSummary:
        """Valued at `mark`, else at `unmarked`, else at its own average price."""
        # The average may be a periodic decimal: what is rounded here goes to the realized part.
        average = self.average if unmarked is None else unmarked
        at = round(average, MONEY_DECIMALS) if mark is None else mark
        gross = self.cash + self.position * self.unit(at)
        unrealized = self.position * (self.unit(at) - self.unit(self.average))
        unrealized = round(unrealized, MONEY_DECIMALS)
        return InstrumentSummary(
            instrument=str(self.instrument.id),
            base=self.base,
            quote=self.quote,
            fills=self.fills,
            bought=self.bought,
            sold=self.sold,
            turnover=self.turnover,
            opening_position=self.opening,
            opening_cost=self.opening_cost,
            opening_gain=ZERO if mark is None else self._opening_gain(mark),
            position=self.position,
            position_max=self.position_max,
            mark=mark,
            realized=gross - unrealized,
            unrealized=unrealized,
            fees_value=self.fees_value,
            net=gross - self.fees_value,
            fees_unvalued=dict(self.fees_unvalued),
            contract=self.contract,
        )


class Books:
    """The accounts of a run's instruments, and of each strategy in each of them."""

    def __init__(self, instruments: Mapping[str, Any]) -> None:
        self._whole = {name: Account(found) for name, found in instruments.items()}
        self._parts: dict[tuple[str, str], Account] = {}

    def open(self, held: Iterable[tuple[tuple[str, str], tuple[Decimal, Decimal]]]) -> None:
        """What strategies held at the start, by strategy and instrument: signed base units, and the
        journal's cost of them.

        What they held against each other was nothing together.
        """
        totals: dict[str, tuple[Decimal, Decimal]] = {}
        for (strategy, name), (quantity, cost) in held:
            for account in list(self.accounts(strategy, name))[1:]:
                paid = account.cost_of(quantity, cost)
                account.open(quantity, paid)
                before = totals.get(name, (ZERO, ZERO))
                totals[name] = (before[0] + quantity, before[1] + paid)
        for name, total in totals.items():
            self._whole[name].open(*total)

    def accounts(self, strategy: str, instrument: str) -> Iterator[Account]:
        """Those that a fill belongs to: none where the instrument is not the run's."""
        whole = self._whole.get(instrument)
        if whole is None:
            return
        yield whole
        yield self._part(strategy, instrument)

    def _part(self, strategy: str, instrument: str) -> Account:
        key = (strategy, instrument)
        if key not in self._parts:
            self._parts[key] = Account(self._whole[instrument].instrument)
        return self._parts[key]

    def book(self, shares: Iterable[Share], fill: VenueFill) -> None:
        """An execution, and whose it is."""
        if (whole := self._whole.get(fill.instrument)) is None:
            return
        buying, price, currency = fill.side is Side.BUY, fill.price, fill.fee_currency
        whole.book(buying, fill.quantity, price, fill.fee, currency)
        for one in shares:
            part = self._part(one.strategy, fill.instrument)
            part.book(buying, one.quantity, price, one.fee, currency)

    def hand(self, one: Handed) -> None:
        """A position of one strategy's becomes another's."""
        over = one.over
        if one.instrument in self._whole:
            self._part(over.giver, one.instrument).hand(-over.quantity, over.price)
            self._part(over.taker, one.instrument).hand(over.quantity, over.price)

    def base_of(self, instrument: str) -> str | None:
        whole = self._whole.get(instrument)
        return None if whole is None else whole.base

    def instruments(self, marks: Mapping[str, Decimal]) -> list[InstrumentSummary]:
        return [account.summary(marks.get(name)) for name, account in self._whole.items()]

    def strategies(self, marks: Mapping[str, Decimal]) -> list[StrategySummary]:
        """By strategy, then by instrument. Without a mark all are valued like the instrument."""
        found = []
        for (strategy, name), account in sorted(self._parts.items()):
            one = account.summary(marks.get(name), self._whole[name].average)
            fields = {field: getattr(one, field) for field in one.__struct_fields__}
            found.append(StrategySummary(strategy=strategy, **fields))
        return found
