"""Results: the equity that the loss limits look at, and round trips for the cooldown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal

from engine.risk.facts import InstrumentFacts, Limits
from engine.risk.state import CurrencyEquity, Held, RiskState, Trip

_ZERO = Decimal(0)
DAY_NS = 86_400_000_000_000


def unit_worth(multiplier: Decimal, price: Decimal, *, inverse: bool) -> Decimal:
    """What one base unit of a long position is worth, up to a constant; falls with 1/price."""
    return -multiplier / price if inverse else multiplier * price


class Equity:
    """Equity by currency: money from fills, fees, and open positions at the last price.

    It is a result, not a balance: it starts at 0 with a fresh state and goes on across restarts.
    A position that exists at the start is taken in at the price of the last run, else at the first
    price seen, so that it brings no result of its own.
    """

    def __init__(self, state: RiskState) -> None:
        self._by_currency = state.equity
        self._held = state.held
        self._worth: dict[str, Decimal] = {}
        self._total: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._kept: dict[str, Decimal] = {}  # last run's prices
        self._pending: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._day = 0
        for instrument, held in list(self._held.items()):
            worth = held.quantity * unit_worth(held.multiplier, held.mark, inverse=held.inverse)
            self._entry(held.currency).cash += worth
            self._kept[instrument] = held.mark
            del self._held[instrument]

    @property
    def instruments(self) -> tuple[str, ...]:
        """Those with a position."""
        return (*self._held, *self._pending)

    @property
    def is_open(self) -> bool:
        """Whether there is any position."""
        return bool(self._held or self._pending)

    @property
    def currencies(self) -> Iterable[str]:
        """Those in which something was paid or held."""
        return self._by_currency

    def equity(self, currency: str) -> Decimal:
        return self._entry(currency).cash + self._total[currency]

    def lost_today(self, currency: str) -> Decimal:
        """Loss since the start of the UTC day; negative is a gain."""
        return self._entry(currency).day_start - self.equity(currency)

    def drawdown(self, currency: str) -> Decimal:
        """How far the equity is below its peak."""
        return self._entry(currency).peak - self.equity(currency)

    def seed(self, instrument: str, change: Decimal) -> None:
        """A position of the account that this run's fills did not make."""
        if change:
            self._pending[instrument] += change

    def filled(
        self, instrument: str, facts: InstrumentFacts, signed: Decimal, price: Decimal, fee: Decimal
    ) -> None:
        """A fill of signed base units; `fee` is in the instrument's currency."""
        self.mark(instrument, facts, price)  # also what is pending
        entry = self._entry(facts.currency)
        entry.cash -= signed * unit_worth(facts.multiplier, price, inverse=facts.inverse) + fee
        self._change(instrument, facts, signed, price)

    def mark(self, instrument: str, facts: InstrumentFacts, price: Decimal) -> None:
        """The market's price now."""
        if price <= 0:
            return
        if instrument in self._pending:
            change = self._pending.pop(instrument)
            basis = self._kept.get(instrument, price)
            worth = unit_worth(facts.multiplier, basis, inverse=facts.inverse)
            self._entry(facts.currency).cash -= change * worth
            self._change(instrument, facts, change, price)
        held = self._held.get(instrument)
        if held is None or held.mark == price:
            return
        held.mark = price
        self._value(instrument, held)

    def roll(self, now_ns: int) -> bool:
        """Begin a new UTC day where one has begun, and note new peaks; whether a day began."""
        day = self._day = now_ns // DAY_NS
        began = False
        for currency, entry in self._by_currency.items():
            equity = entry.cash + self._total[currency]
            if entry.day != day:
                entry.day, entry.day_start, began = day, equity, True
            entry.peak = max(entry.peak, equity)
        return began

    def forget_peak(self) -> None:
        """Measure drawdown anew from here: a person looked at it."""
        for currency, entry in self._by_currency.items():
            entry.peak = entry.cash + self._total[currency]

    def broken(self, limits: Limits) -> tuple[str, str] | None:
        """Code and reason of the first loss limit that is reached."""
        for currency, limit in limits.daily_loss.items():
            if currency not in self._by_currency:
                continue
            lost = self.lost_today(currency)
            if lost >= limit:
                return "DAILY_LOSS", f"lost {lost:f} {currency} today, the limit is {limit}"
        for currency, limit in limits.drawdown.items():
            if currency not in self._by_currency:
                continue
            fallen = self.drawdown(currency)
            if fallen >= limit:
                return (
                    "DRAWDOWN",
                    f"{fallen:f} {currency} below the highest equity, the limit is {limit}",
                )
        return None

    def _entry(self, currency: str) -> CurrencyEquity:
        entry = self._by_currency.get(currency)
        if entry is None:
            entry = self._by_currency[currency] = CurrencyEquity(day=self._day)
        return entry

    def _change(
        self, instrument: str, facts: InstrumentFacts, signed: Decimal, price: Decimal
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
        held.quantity += signed
        self._value(instrument, held)
        if not held.quantity:
            del self._held[instrument]
            self._kept.pop(instrument, None)

    def _value(self, instrument: str, held: Held) -> None:
        worth = held.quantity * unit_worth(held.multiplier, held.mark, inverse=held.inverse)
        self._total[held.currency] += worth - self._worth.get(instrument, _ZERO)
        self._worth[instrument] = worth


class RoundTrips:
    """From flat to flat, per strategy and instrument; losing ones lead to a pause."""

    def __init__(self, state: RiskState, limits: Limits) -> None:
        self._limits = limits
        self._losses = state.losses
        self._cooldowns = state.cooldowns
        self._trips = state.trips
        self._kept = {key: dict(trips) for key, trips in state.trips.items()}
        self._trips.clear()

    def paused_until(self, strategy: str) -> int:
        """End of the strategy's pause in ns; 0 or past when there is none."""
        return self._cooldowns.get(strategy, 0)

    def seed(self, strategy: str, positions: Mapping[str, Decimal]) -> None:
        """Go on with the trips of the last run where the position is what it was then.

        A position that changed in between has no known entry: its trip is not counted.
        """
        for instrument, quantity in positions.items():
            kept = self._kept.get(strategy, {}).get(instrument)
            if kept is None or kept.quantity != quantity:
                kept = Trip(quantity=quantity, known=False)
            if quantity:
                self._trips.setdefault(strategy, {})[instrument] = kept

    def filled(
        self,
        strategy: str,
        instrument: str,
        signed: Decimal,
        unit: Decimal,
        fee: Decimal,
        now_ns: int,
    ) -> bool:
        """A fill; `unit` is the worth of one base unit. Whether a pause begins."""
        trips = self._trips.setdefault(strategy, {})
        trip = trips.setdefault(instrument, Trip())
        before = trip.quantity
        after = before + signed
        if not before or not after or (before > 0) == (after > 0):
            trip.quantity = after
            trip.cash -= signed * unit + fee
            if after:
                return False
            del trips[instrument]
            return trip.known and self._ended(strategy, trip.cash, now_ns)
        # Through zero: one trip ends with the part that closed it, the next begins with the rest.
        part = abs(before) / abs(signed)
        result = trip.cash + before * unit - fee * part
        known, trip.known = trip.known, True
        trip.quantity, trip.cash = after, -(after * unit + fee * (1 - part))
        return known and self._ended(strategy, result, now_ns)

    def _ended(self, strategy: str, result: Decimal, now_ns: int) -> bool:
        needed = self._limits.cooldown_losses
        if needed is None or result >= 0:
            return False
        since = now_ns - self._limits.cooldown_window_ns
        losses = [at for at in self._losses.get(strategy, ()) if at > since]
        losses.append(now_ns)
        if len(losses) < needed:
            self._losses[strategy] = losses
            return False
        self._losses.pop(strategy, None)
        self._cooldowns[strategy] = now_ns + self._limits.cooldown_ns
        return True
