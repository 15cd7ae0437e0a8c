"""Results: the equity that the loss limits look at, and round trips for the cooldown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from fairlead.engine.risk.facts import InstrumentFacts, Limits, unit_worth
from fairlead.engine.risk.state import CurrencyEquity, Held, Trip

if TYPE_CHECKING:
    from fairlead.engine.risk.states import RiskStates

_ZERO, _ONE = Decimal(0), Decimal(1)
DAY_NS = 86_400_000_000_000


class _Result:
    """The result of one account in one currency: what is kept of it, and what is held now."""

    __slots__ = ("kept", "worth")

    def __init__(self, kept: CurrencyEquity) -> None:
        self.kept = kept
        self.worth = _ZERO

    @property
    def equity(self) -> Decimal:
        return self.kept.cash + self.worth

    def begin(self, day: int) -> None:
        self.kept.day, self.kept.day_start = day, self.equity


class Equity:
    """Equity by currency: money from fills, fees, and open positions at the last price.

    It is a result, not a balance: it starts at 0 with a fresh state and goes on across restarts.
    A position that exists at the start is taken in at the price of the last run, else at the first
    price seen, so that it brings no result of its own. Each account keeps its own; what is told is
    the sum over the run's accounts. An account's peak is its equity when the sum was highest.
    """

    def __init__(self, states: RiskStates) -> None:
        self._states = states
        self._results: dict[str, dict[str, _Result]] = {}  # by currency and account
        self._held: dict[str, Held] = {}
        self._worth: dict[str, Decimal] = {}
        self._kept: dict[str, Held] = {}  # the last run's, for its prices
        self._pending: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._day = 0
        for account in states.all:
            for currency, kept in account.state.equity.items():
                self._results.setdefault(currency, {})[account.venue] = _Result(kept)
            for instrument, held in account.state.held.items():
                worth = held.quantity * unit_worth(held.multiplier, held.mark, inverse=held.inverse)
                self._result(instrument, held.currency).kept.cash += worth
                self._kept[instrument] = held
            account.state.held.clear()

    @property
    def instruments(self) -> tuple[str, ...]:
        """Those with a position."""
        return (*self._held, *self._pending)

    @property
    def is_open(self) -> bool:
        """Whether there is any position."""
        return bool(self._held or self._pending)

    @property
    def currencies(self) -> Collection[str]:
        """Those in which something was paid or held."""
        return self._results

    def equity(self, currency: str) -> Decimal:
        return sum((one.equity for one in self._of(currency)), _ZERO)

    def lost_today(self, currency: str) -> Decimal:
        """Loss since the start of the UTC day; negative is a gain."""
        return sum((one.kept.day_start - one.equity for one in self._of(currency)), _ZERO)

    def drawdown(self, currency: str) -> Decimal:
        """How far the equity is below its peak."""
        return sum((one.kept.peak - one.equity for one in self._of(currency)), _ZERO)

    def worth(self, instrument: str, currency: str) -> Decimal:
        """What the instrument's account holds at the last prices, signed."""
        found = self._results.get(currency, {}).get(self._states.of(instrument).venue)
        return _ZERO if found is None else found.worth

    def _of(self, currency: str) -> Iterable[_Result]:
        return self._results.get(currency, {}).values()

    def last_price(self, instrument: str) -> Decimal | None:
        """Of the last run, in quote currency."""
        kept = self._kept.get(instrument)
        return None if kept is None else kept.mark

    def seed(self, instrument: str, change: Decimal) -> None:
        """A position of the account that this run's fills did not make: at the last run's price,
        until there is another."""
        kept = self._kept.get(instrument)
        if kept is not None and change:
            self._take(instrument, kept, change, kept.mark)
        elif change:
            self._pending[instrument] += change

    def filled(
        self, instrument: str, facts: InstrumentFacts, signed: Decimal, price: Decimal, fee: Decimal
    ) -> None:
        """A fill of signed base units; `fee` is in the instrument's currency."""
        self.mark(instrument, facts, price)  # also what is pending
        kept = self._result(instrument, facts.currency).kept
        kept.cash -= signed * unit_worth(facts.multiplier, price, inverse=facts.inverse) + fee
        self._change(instrument, facts, signed, price)

    def settled(
        self, instrument: str, facts: InstrumentFacts, change: Decimal, price: Decimal
    ) -> None:
        """As `seed`, valued at once: at the last mark, or at `price` where there is none.

        It is of this run: the last run's price is of what the start held, which comes in first.
        """
        if instrument in self._pending:
            self.mark(instrument, facts, price)
        self._kept.pop(instrument, None)
        held = self._held.get(instrument)
        self.seed(instrument, change)
        self.mark(instrument, facts, price if held is None else held.mark)

    def mark(self, instrument: str, facts: InstrumentFacts, price: Decimal) -> None:
        """The market's price now."""
        if price <= 0:
            return
        self._kept.pop(instrument, None)
        if instrument in self._pending:
            self._take(instrument, facts, self._pending.pop(instrument), price)
        held = self._held.get(instrument)
        if held is None or held.mark == price:
            return
        held.mark = price
        self._value(instrument, held)

    def roll(self, now_ns: int) -> bool:
        """Begin a new UTC day where one has begun, and note new peaks; whether a day began."""
        day = self._day = now_ns // DAY_NS
        began = False
        for results in self._results.values():
            for one in results.values():
                if one.kept.day != day:
                    one.begin(day)
                    began = True
        self._note_peaks()
        return began

    def roll_account(self, instrument: str, currency: str, at_ns: int) -> None:
        """The same for what happened in the past, in the instrument's account and this currency:
        of a day before the newest one, it counts to that."""
        one = self._result(instrument, currency)
        if one.kept.day < at_ns // DAY_NS:
            one.begin(at_ns // DAY_NS)
        self._note_peaks()

    def _note_peaks(self) -> None:
        for results in self._results.values():
            if sum((one.kept.peak - one.equity for one in results.values()), _ZERO) < 0:
                for one in results.values():
                    one.kept.peak = one.equity

    def broken(self, limits: Limits) -> tuple[str, str] | None:
        """Code and reason of the first loss limit that is reached."""
        for currency, limit in limits.daily_loss.items():
            if currency not in self._results:
                continue
            lost = self.lost_today(currency)
            if lost >= limit:
                return "DAILY_LOSS", f"lost {lost:f} {currency} today, the limit is {limit}"
        for currency, limit in limits.drawdown.items():
            if currency not in self._results:
                continue
            fallen = self.drawdown(currency)
            if fallen >= limit:
                return (
                    "DRAWDOWN",
                    f"{fallen:f} {currency} below the highest equity, the limit is {limit}",
                )
        return None

    def _result(self, instrument: str, currency: str) -> _Result:
        account = self._states.of(instrument)
        results = self._results.setdefault(currency, {})
        result = results.get(account.venue)
        if result is None:
            kept = account.state.equity.setdefault(currency, CurrencyEquity(day=self._day))
            result = results[account.venue] = _Result(kept)
        return result

    def _take(
        self, instrument: str, of: InstrumentFacts | Held, change: Decimal, price: Decimal
    ) -> None:
        """Base units that bring no result at this price."""
        worth = unit_worth(of.multiplier, price, inverse=of.inverse)
        self._result(instrument, of.currency).kept.cash -= change * worth
        self._change(instrument, of, change, price)

    def _change(
        self, instrument: str, facts: InstrumentFacts | Held, signed: Decimal, price: Decimal
    ) -> None:
        held = self._held.get(instrument)
        if held is None:
            held = self._held[instrument] = Held(
                quantity=_ZERO,
                mark=price,
                currency=facts.currency,
                multiplier=facts.multiplier,
                inverse=facts.inverse,
            )
            self._states.of(instrument).state.held[instrument] = held
        held.quantity += signed
        self._value(instrument, held)
        if not held.quantity:
            del self._held[instrument]
            del self._states.of(instrument).state.held[instrument]

    def _value(self, instrument: str, held: Held) -> None:
        worth = held.quantity * unit_worth(held.multiplier, held.mark, inverse=held.inverse)
        result = self._result(instrument, held.currency)
        result.worth += worth - self._worth.get(instrument, _ZERO)
        self._worth[instrument] = worth


class RoundTrips:
    """From flat to flat, per strategy and instrument; losing ones lead to a pause.

    What stays of a position when it is flat counts at the price of then: to the trip that is over
    it brings so much, and the next has it at this cost. Where it goes too, as with the last small
    part of an exit, no trip was open: none ends.
    """

    def __init__(self, states: RiskStates, limits: Limits) -> None:
        self._limits = limits
        self._states = states
        self._kept: dict[tuple[str, str], Trip] = {}
        self._paused: dict[str, int] = {}
        for account in states.all:
            for strategy, trips in account.state.trips.items():
                for instrument, trip in trips.items():
                    self._kept[strategy, instrument] = trip
            account.state.trips.clear()
            for strategy, until_ns in account.state.cooldowns.items():
                self._paused[strategy] = max(until_ns, self._paused.get(strategy, 0))

    def paused_until(self, strategy: str) -> int:
        """End of the strategy's pause in ns; 0 or past when there is none."""
        return self._paused.get(strategy, 0)

    def seed(self, strategy: str, positions: Mapping[str, Decimal]) -> None:
        """Go on with the trips, at the start the last run's, where the position is what it was.

        A position that changed in between has no known entry: its trip is not counted.
        """
        for instrument, quantity in positions.items():
            trips = self._trips_of(strategy, instrument)
            last = self._kept.pop((strategy, instrument), None)
            trip = trips.pop(instrument, last)
            if trip is None or trip.quantity != quantity:
                trip = Trip(quantity=quantity, known=False)
            if quantity:
                trips[instrument] = trip

    def handed(self, giver: str, taker: str, instrument: str, quantity: Decimal) -> None:
        """A position was booked to another: what it had cost goes with none of them."""
        self.changed(giver, instrument, -quantity)
        self.changed(taker, instrument, quantity)

    def changed(self, strategy: str, instrument: str, change: Decimal) -> None:
        """Signed base units came or went at no known price: the trip's result does not count."""
        trips = self._trips_of(strategy, instrument)
        after = trips.pop(instrument, Trip()).quantity + change
        if after:
            trips[instrument] = Trip(quantity=after, known=False)

    def filled(
        self,
        strategy: str,
        instrument: str,
        facts: InstrumentFacts,
        signed: Decimal,
        price: Decimal,
        fee: Decimal,
        now_ns: int,
    ) -> bool:
        """A fill of signed base units; `fee` is in the instrument's currency. Whether a pause
        begins."""
        trips = self._trips_of(strategy, instrument)
        trip = trips.setdefault(instrument, Trip())
        unit = unit_worth(facts.multiplier, price, inverse=facts.inverse)
        before = trip.quantity
        after = before + signed
        was_flat, is_flat = facts.is_flat(before, price), facts.is_flat(after, price)
        if was_flat and not trip.known:  # what nobody saw begin has begun here
            trip.known, trip.cash = True, -before * unit
        trip.is_open |= not was_flat
        part = _ONE
        if not is_flat and trip.is_open and (before > 0) != (after > 0):
            part = abs(before) / abs(signed)  # through zero: what closed it ends it
        elif not is_flat or not trip.is_open:  # only what was open ends
            trip.is_open |= not is_flat
            trip.quantity, trip.cash = after, trip.cash - signed * unit - fee
            if not after:
                del trips[instrument]
            return False
        # What is left, at this price, begins the next.
        result = trip.cash - (signed - after) * unit - fee * part
        if after:
            cash = -after * unit - fee * (1 - part)
            trips[instrument] = Trip(quantity=after, cash=cash, is_open=not is_flat)
        else:
            del trips[instrument]
        return trip.known and self._ended(strategy, instrument, result, now_ns)

    def _trips_of(self, strategy: str, instrument: str) -> dict[str, Trip]:
        return self._states.of(instrument).state.trips.setdefault(strategy, {})

    def _ended(self, strategy: str, instrument: str, result: Decimal, now_ns: int) -> bool:
        """A trip ended; losses of the strategy count together, in whatever account they were."""
        needed = self._limits.cooldown_losses
        if needed is None or result >= 0:
            return False
        since = now_ns - self._limits.cooldown_window_ns
        account = self._states.of(instrument).state
        mine = [at for at in account.losses.get(strategy, ()) if at > since]
        account.losses[strategy] = [*mine, now_ns]
        states = [one.state for one in self._states.all]
        ends = {at for state in states for at in state.losses.get(strategy, ()) if at > since}
        if len(ends | {now_ns}) < needed:
            return False
        for state in states:
            state.losses.pop(strategy, None)
        account.cooldowns[strategy] = self._paused[strategy] = now_ns + self._limits.cooldown_ns
        return True
