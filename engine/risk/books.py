"""Everything the gate keeps account of, for its checks to read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

import msgspec

from fairlead.engine.orders.journal_reads import JournalReads
from fairlead.engine.orders.model import Side, VenueFill
from fairlead.engine.risk.facts import (
    CountedOrder,
    InstrumentFacts,
    Limits,
    OrderFacts,
    RateWindow,
)
from fairlead.engine.risk.flow import DayFlows, Spent, Tape
from fairlead.engine.risk.heard import heard, take_missed
from fairlead.engine.risk.ledger import Ledger
from fairlead.engine.risk.money import Equity, RoundTrips
from fairlead.engine.risk.states import RiskStates

_ONE = Decimal(1)
_ZERO = Decimal(0)
_UNLIMITED = 1  # size of a window that nothing is compared with


class Missed(msgspec.Struct, frozen=True):
    """An execution that was not counted, and whose it is; `taken` is its fee in base units."""

    strategy: str
    fill: VenueFill
    facts: InstrumentFacts
    taken: Decimal

    @property
    def signed(self) -> Decimal:
        """Base units, the fee taken off."""
        quantity = self.fill.quantity
        return (quantity if self.fill.side is Side.BUY else -quantity) - self.taken


class Books:
    """One per run. `states` is what is kept across restarts; `accounts` are account names by venue.

    `offsets_ms` and `unknown` are what was told last of each venue's clock and unproven orders.
    """

    def __init__(
        self, limits: Limits, states: RiskStates, accounts: Mapping[str, str] | None = None
    ) -> None:
        self.ledger = Ledger(accounts)
        self.rate = RateWindow(limits.max_orders_per_second)
        self.modify_rate = RateWindow(limits.max_modifies_per_second or _UNLIMITED)
        self.cancel_rate = RateWindow(limits.max_cancels_per_second or _UNLIMITED)
        self.tape = Tape(limits.fat_finger_trades)
        self.flows = DayFlows(states)
        self.spent = Spent()
        self.brought = Spent()  # base currency bought, less its fee
        self._states = states
        for account in states.all:
            account.hold_back()
        self.equity = Equity(states)
        # Fees of fills in instruments that are not known yet: strategy, amount, currency
        self._unread_fees: dict[str, list[tuple[str, Decimal, str]]] = {}
        self.trips = RoundTrips(states, limits)
        self.unknown: dict[str, int] = {}
        self.offsets_ms: dict[str, float] = {}
        self.clock_unknown: dict[str, str] = {}  # by venue: why its offset holds no more
        self.look_at_clock: Callable[[], None] | None = None  # asked before each order

    def know(self, instrument: str, facts: InstrumentFacts) -> None:
        self.ledger.exposure.know(instrument, facts)
        for strategy, amount, currency in self._unread_fees.pop(instrument, ()):
            self.ledger.paid(strategy, instrument, in_base(facts, (amount, currency)))

    def marked(self, instrument: str, facts: InstrumentFacts, price: Decimal) -> None:
        """The market's price of an instrument now."""
        self.ledger.exposure.mark(instrument, price)
        if self.equity.is_open:
            self.equity.mark(instrument, facts, price)

    def approved(self, order: OrderFacts, now_ns: int) -> CountedOrder:
        """A new order passed."""
        live = CountedOrder(
            client_order_id=order.client_order_id,
            strategy=order.strategy,
            instrument=order.instrument,
            side=order.side,
            quantity=order.quantity,
            reduce_only=order.reduce_only,
            contingent=order.parent is not None and order.reduce_only,
            kind=order.kind,
            price=order.price if order.price is not None else order.trigger_price,
            role=order.role,
        )
        self.ledger.opened(live)
        self.rate.add(now_ns)
        self.flows.of(_venue(order.instrument), now_ns).orders += 1
        return live

    def unsent(self, client_order_id: str) -> None:
        """An order that passed was not handed over: no rate and no day has it, until it passes once
        more."""
        self.rate.undo()
        live = self.ledger.live.get(client_order_id)
        if live is not None:
            self.flows.undo(_venue(live.instrument))

    def modified(self, order: OrderFacts, now_ns: int) -> None:
        """A modify passed: until it is answered the worse of before and after counts."""
        self.rate.add(now_ns)
        self.modify_rate.add(now_ns)
        live = self.ledger.live.get(order.client_order_id)
        if live is None:
            return
        if order.quantity > live.quantity:
            self.ledger.resized(order.client_order_id, order.quantity)
        price = order.price if order.price is not None else order.trigger_price
        if price is None:
            return
        worse = price
        if live.price is not None:
            worse = max(price, live.price) if live.side is Side.BUY else min(price, live.price)
        unit = self._unit(order.instrument, price)
        if unit is not None and live.unit_value is not None:
            unit = max(unit, live.unit_value)
        self.ledger.repriced(order.client_order_id, worse, unit)

    def modify_answered(
        self, client_order_id: str, quantity: Decimal, price: Decimal | None
    ) -> None:
        """The order is now of this total quantity and price."""
        live = self.ledger.live.get(client_order_id)
        if live is None:
            return
        if price is not None:
            unit = self._unit(live.instrument, price)
            self.ledger.repriced(client_order_id, price, unit)
        self.ledger.resized(client_order_id, quantity)

    def canceled(self, client_order_id: str, now_ns: int) -> None:
        """An order was cancelled (its last event)."""
        live = self.ledger.live.get(client_order_id)
        if live is not None:
            self.flows.of(_venue(live.instrument), now_ns).cancels += 1

    def filled(
        self,
        client_order_id: str,
        strategy: str,
        instrument: str,
        side: Side,
        quantity: Decimal,
        price: Decimal | None,
        fee: tuple[Decimal, str] | None,
        now_ns: int,
    ) -> bool:
        """A fill of base units; `fee` is amount and currency. Whether a pause begins."""
        live = self.ledger.live.get(client_order_id)
        if live is not None and not live.filled:
            self.flows.of(_venue(instrument), now_ns).fills += 1
        facts = self.ledger.exposure.facts(instrument)
        taken = _ZERO if facts is None else in_base(facts, fee)
        self.ledger.filled(client_order_id, strategy, instrument, side, quantity, taken)
        if facts is None and fee is not None:
            self._unread_fees.setdefault(instrument, []).append((strategy, *fee))
        if price is None or facts is None:
            return False
        heard(self._states.of(instrument), client_order_id, quantity)
        # What was paid in base currency is held no more: it costs what it is worth now
        signed = (quantity if side is Side.BUY else -quantity) - taken
        paid = fee_in(facts, fee, price)
        self.equity.roll(now_ns)
        self._spend(instrument, facts, side, quantity, price, paid, now_ns)
        if side is Side.BUY and facts.base is not None:
            self.brought.add(_venue(instrument), facts.base, quantity - taken, now_ns)
        return self._result(strategy, instrument, facts, signed, price, paid, now_ns)

    def _result(
        self,
        strategy: str,
        instrument: str,
        facts: InstrumentFacts,
        signed: Decimal,
        price: Decimal,
        paid: Decimal,
        at_ns: int,
    ) -> bool:
        """What an execution is worth; whether a pause begins."""
        self.equity.filled(instrument, facts, signed, price, paid)
        self.ledger.exposure.filled_at(instrument, price)
        return self.trips.filled(strategy, instrument, facts, signed, price, paid, at_ns)

    def is_counted(self, venue: str) -> bool:
        """Whether what the account's journal holds was taken in."""
        return self._states.of_venue(venue).journal is not None

    def take_missed(
        self,
        venue: str,
        journal: JournalReads,
        facts_of: Callable[[str], InstrumentFacts | None],
    ) -> list[Missed]:
        """What the account's journal has of executions that no result has, where it can be valued,
        oldest first: for `missed`, once the positions are what they were before. Raises
        JournalError."""
        found = []
        for strategy, fill in take_missed(self._states.of_venue(venue), journal):
            facts = self.ledger.exposure.facts(fill.instrument) or facts_of(fill.instrument)
            if facts is not None:
                self.know(fill.instrument, facts)
                taken = in_base(facts, (fill.fee, fill.fee_currency))
                found.append(Missed(strategy, fill, facts, taken))
        return found

    def missed(self, executions: Iterable[Missed], now_ns: int) -> None:
        """They count at their own price, on their own day. What may be spent and the day's orders
        know nothing of them: the venue's balances have them."""
        for one in executions:
            fill, name, at_ns = one.fill, one.fill.instrument, min(one.fill.ts_event, now_ns)
            paid = fee_in(one.facts, (fill.fee, fill.fee_currency), fill.price)
            self.ledger.filled("", one.strategy, name, fill.side, fill.quantity, one.taken)
            self.equity.roll_account(name, one.facts.currency, at_ns)
            self._result(one.strategy, name, one.facts, one.signed, fill.price, paid, at_ns)

    def seeded(
        self, positions: Mapping[str, Decimal], strategy: str, prices: Mapping[str, Decimal]
    ) -> None:
        """Positions at the start, and prices for those of which the last run kept none."""
        for instrument, change in self.ledger.seed_positions(positions, strategy).items():
            self.equity.seed(instrument, change)
            price = self.equity.last_price(instrument) or prices.get(instrument)
            if price is not None and self.ledger.exposure.mark_of(instrument) is None:
                self.ledger.exposure.mark(instrument, price)
            unread = self._unread_fees.pop(instrument, [])  # the strategy's is counted already
            if others := [one for one in unread if one[0] != strategy]:
                self._unread_fees[instrument] = others
        self.trips.seed(strategy, positions)

    def handed(self, giver: str, taker: str, instrument: str, quantity: Decimal) -> None:
        """A position was booked to another, as a kill takes it over to close it."""
        self.ledger.handed(giver, taker, instrument, quantity)
        self.trips.handed(giver, taker, instrument, quantity)

    def voided(self, strategy: str, instrument: str, change: Decimal) -> None:
        """Signed base units of a fill that is none any more, at the last mark."""
        facts = self.ledger.exposure.facts(instrument)
        mark = self.ledger.exposure.mark_of(instrument)
        if facts is None or mark is None:
            self.equity.seed(instrument, change)
        else:
            self.equity.settled(instrument, facts, change, mark)
        self.trips.changed(strategy, instrument, change)

    def settled(self, strategy: str, instrument: str, quantity: Decimal, price: Decimal) -> None:
        """What is held at the end; what no fill has told of it is valued at the last mark."""
        missed = quantity - self.ledger.by_strategy[strategy, instrument]
        facts = self.ledger.exposure.facts(instrument)
        if not missed or facts is None:
            return
        self.ledger.seed_positions({instrument: quantity}, strategy)
        self.equity.settled(instrument, facts, missed, price)

    def _unit(self, instrument: str, price: Decimal) -> Decimal | None:
        facts = self.ledger.exposure.facts(instrument)
        return None if facts is None or price <= 0 else facts.notional(_ONE, price)

    def _spend(
        self,
        instrument: str,
        facts: InstrumentFacts,
        side: Side,
        quantity: Decimal,
        price: Decimal,
        fee: Decimal,
        now_ns: int,
    ) -> None:
        venue = _venue(instrument)
        if side is Side.BUY:
            paid = facts.notional(quantity, price) + max(fee, _ZERO)
            self.spent.add(venue, facts.currency, paid, now_ns)
        elif facts.base is not None:
            self.spent.add(venue, facts.base, quantity, now_ns)


def fee_in(facts: InstrumentFacts, fee: tuple[Decimal, str] | None, price: Decimal) -> Decimal:
    """The fee in the instrument's currency; in a third currency it has no price: left out."""
    if fee is None:
        return _ZERO
    amount, currency = fee
    if currency == facts.currency:
        return amount
    if currency == facts.base:
        return amount * price
    return _ZERO


def in_base(facts: InstrumentFacts, fee: tuple[Decimal, str] | None) -> Decimal:
    """What the fee takes off a position, base units. Of a contract nothing, whatever its fee is
    paid in: the position is of contracts."""
    if fee is None or fee[1] != facts.base or facts.is_contract or facts.base == facts.currency:
        return _ZERO
    return fee[0]


def _venue(instrument: str) -> str:
    return instrument.rpartition(".")[2]
