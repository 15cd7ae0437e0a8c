"""What an account should hold: the balances once agreed on, and the journal's fills since.

A deposit, a trade by hand, a fill that never came: each is a difference to what the venue says. The
balances agreed on are a record of the journal, so that what changed while nothing ran is seen too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec

from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import VenueBalance, VenueFill
from fairlead.engine.orders.wallet import Beside, Moved, Wallet, bought

SUBJECT = "BALANCES"  # kind and subject of the record
# A difference within DUST + ROUNDING x turnover is the venue's rounding, and the next agreement
# takes it over: kept, roundings would add up to a difference of their own. The tolerance is of the
# turnover since the last agreement, so what can leak unseen is a millionth of what was traded, and
# DUST for each agreement that fills led to. Of a currency that nothing turned over nothing is
# taken over: what leaks there without a trade adds up until it is found.
ROUNDING = Decimal("0.000001")
DUST = Decimal("0.0000001")
_ZERO = Decimal(0)


class Drift(msgspec.Struct, frozen=True):
    """A currency of which the venue says another total than the journal makes it."""

    currency: str
    expected: Decimal
    actual: Decimal

    @property
    def difference(self) -> Decimal:
        return self.actual - self.expected


class Balances:
    """The expected totals (free and locked) of some currencies of one account.

    `currencies_of` gives base and quote currency of an instrument. With a `wallet` the account is
    a margin account that does not pay for its positions: their results and fees move it.
    """

    def __init__(
        self,
        journal: Journal,
        currencies: Iterable[str],
        currencies_of: Callable[[str], tuple[str, str]],
        wallet: Wallet | None = None,
    ) -> None:
        self._journal = journal
        self._currencies = tuple(sorted(set(currencies)))  # one order in every process
        self._currencies_of = currencies_of
        self._turnover: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._expected: dict[str, Decimal] | None = None
        self._seq = 0  # the last record that is counted
        self._has_fills = False  # since the last agreement
        self._rounded: dict[str, Decimal] = {}  # the venue's totals where it rounded, last seen
        agreed = journal.last_note(SUBJECT, dict[str, Decimal])
        self._moves = self._bought if wallet is None else wallet.moved
        if agreed is not None:
            self._seq, self._expected = agreed
            if wallet is not None:  # at which prices it holds what it holds
                for fill in journal.fills_since(0, until=self._seq)[1]:
                    wallet.moved(fill)

    @property
    def is_based(self) -> bool:
        """Whether there is anything to compare with."""
        return self._expected is not None

    def base_on(self, balances: Sequence[VenueBalance]) -> None:
        """Take what the venue says now. Only while no order of ours can fill."""
        self.count()
        self._expected = self._totals(balances)
        self._agree()

    def drifts(
        self, balances: Sequence[VenueBalance], beside: Mapping[str, Beside] | None = None
    ) -> tuple[Drift, ...]:
        """The differences beyond rounding; what is compared for the first time has none.

        `beside` is by currency what the venue's total may hold besides, or not.
        """
        self.count()
        expected = self._expected
        assert expected is not None
        found = []
        self._rounded.clear()
        for currency, actual in sorted(self._totals(balances).items()):
            drift = Drift(currency, expected.setdefault(currency, actual), actual)
            turnover = self._turnover[currency]
            if abs(drift.difference) > DUST + ROUNDING * turnover:
                more = None if beside is None else beside.get(currency)
                if more is None or not more.explains(drift.difference):
                    found.append(drift)
            elif turnover:
                self._rounded[currency] = actual
        return tuple(found)

    def take(self, drifts: Iterable[Drift] = ()) -> None:
        """The account is as the journal has it, but for `drifts`, which count from now on.

        Follows `drifts()`: where that saw rounding only, the venue's own totals are agreed on.
        """
        assert self._expected is not None
        known = False
        for drift in drifts:
            self._expected[drift.currency] += drift.difference
            known = True
        if known or self._has_fills:
            self._expected.update(self._rounded)
            self._agree()

    def _agree(self) -> None:
        assert self._expected is not None
        self._seq = self._journal.note(SUBJECT, SUBJECT, self._expected)
        self._turnover.clear()
        self._rounded.clear()
        self._has_fills = False

    def _totals(self, balances: Sequence[VenueBalance]) -> dict[str, Decimal]:
        """What is not listed is not held."""
        totals = dict.fromkeys(self._currencies, _ZERO)
        for balance in balances:
            if balance.currency in totals:
                totals[balance.currency] += balance.free + balance.locked
        return totals

    def count(self) -> None:
        """Add the fills that were recorded since."""
        self._seq, fills = self._journal.fills_since(self._seq)
        for fill in fills:
            moved = tuple(self._moves(fill))  # also before: a wallet knows its prices by it
            if self._expected is None:
                continue
            self._has_fills = True
            for one in moved:
                self._turnover[one.currency] += one.turnover
                if one.currency in self._expected:
                    self._expected[one.currency] += one.amount

    def _bought(self, fill: VenueFill) -> tuple[Moved, ...]:
        return bought(fill, *self._currencies_of(fill.instrument))
