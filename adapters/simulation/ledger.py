"""Accounts with holds, and the append-only record of all that happened to them."""

from __future__ import annotations

import copy
from decimal import Decimal

import msgspec

from fairlead.adapters.simulation.orders import (
    ZERO,
    BalanceEntry,
    FillEntry,
    LedgerEntry,
    OrderEntry,
    SimOrder,
)

# The two accounts of the venue itself. They have no limits: their balances are what users won
# or lost to the market, and the fees, so that every currency sums to what was deposited.
MARKET_ACCOUNT = "market"
FEE_ACCOUNT = "fees"

LEDGER_ENTRIES_MAX = 5_000_000


class Balance(msgspec.Struct):
    """`free` can be spent, `locked` is held by orders and withdrawals."""

    free: Decimal = ZERO
    locked: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        return self.free + self.locked


class Ledger:
    """Every order change, fill and balance change, in order of `seq`."""

    def __init__(self) -> None:
        self.entries: list[LedgerEntry] = []
        self._fills: dict[str, list[FillEntry]] = {}
        self._fills_of: dict[int, list[FillEntry]] = {}
        self._balances: dict[str, dict[str, Balance]] = {MARKET_ACCOUNT: {}, FEE_ACCOUNT: {}}

    def open_account(self, account: str) -> None:
        self._balances.setdefault(account, {})

    @property
    def accounts(self) -> list[str]:
        return list(self._balances)

    def balance(self, account: str, currency: str) -> Balance:
        """A copy."""
        return copy.copy(self._balances[account].get(currency) or Balance())

    def balances(self, account: str) -> dict[str, Balance]:
        """Copies, by currency."""
        return {currency: copy.copy(b) for currency, b in self._balances[account].items()}

    def total(self, currency: str) -> Decimal:
        """The sum over all accounts, the venue's own too; only deposits change it."""
        return sum((book.get(currency, Balance()).total for book in self._balances.values()), ZERO)

    def fills(self, account: str) -> list[FillEntry]:
        """The account's fills, oldest first."""
        return list(self._fills.get(account, ()))

    def fills_of(self, order_id: int) -> list[FillEntry]:
        """One order's fills, oldest first."""
        return list(self._fills_of.get(order_id, ()))

    def move(
        self, account: str, currency: str, free: Decimal, locked: Decimal, reason: str, now_ns: int
    ) -> None:
        """Add the deltas. A user's balance that would go negative is a bug of the caller."""
        balance = self._balances[account].setdefault(currency, Balance())
        balance.free += free
        balance.locked += locked
        if account in (MARKET_ACCOUNT, FEE_ACCOUNT):
            return
        assert balance.free >= 0, f"free {currency} of {account} is {balance.free} after {reason}"
        assert balance.locked >= 0, f"locked {currency} of {account} is {balance.locked}"
        self._append(
            BalanceEntry(
                seq=len(self.entries),
                ts_event=now_ns,
                account=account,
                currency=currency,
                free_delta=free,
                locked_delta=locked,
                free=balance.free,
                locked=balance.locked,
                reason=reason,
            )
        )

    def order(self, event: str, order: SimOrder, now_ns: int) -> None:
        self._append(
            OrderEntry(seq=len(self.entries), ts_event=now_ns, event=event, order=copy.copy(order))
        )

    def fill(self, entry: FillEntry) -> None:
        self._fills.setdefault(entry.account, []).append(entry)
        self._fills_of.setdefault(entry.order_id, []).append(entry)
        self._append(entry)

    def _append(self, entry: LedgerEntry) -> None:
        assert len(self.entries) < LEDGER_ENTRIES_MAX, "the ledger is full: start a new venue"
        self.entries.append(entry)
