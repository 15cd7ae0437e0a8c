"""What NautilusTrader's account keeps of its states."""

from __future__ import annotations

import pytest
from nautilus_trader.core import UUID4
from nautilus_trader.model import (
    AccountBalance,
    AccountId,
    AccountState,
    AccountType,
    CashAccount,
    Currency,
    MarginAccount,
    Money,
)

USDT = Currency.from_str("USDT")
SECOND_NS = 1_000_000_000


def state(kind: AccountType, total: int, at_secs: int) -> AccountState:
    money = [Money(total, USDT), Money(0, USDT), Money(total, USDT)]
    return AccountState(
        account_id=AccountId("X-1"),
        account_type=kind,
        base_currency=None,
        balances=[AccountBalance(*money)],
        margins=[],
        is_reported=True,
        event_id=UUID4(),
        ts_event=at_secs * SECOND_NS,
        ts_init=at_secs * SECOND_NS,
    )


@pytest.mark.parametrize(
    ("kind", "make"), [(AccountType.CASH, CashAccount), (AccountType.MARGIN, MarginAccount)]
)
def test_a_purge_leaves_the_last_state_and_what_it_says(
    kind: AccountType, make: type[CashAccount | MarginAccount]
) -> None:
    account = make(state(kind, 100, 0), False)
    for number in range(1, 10):
        account.apply(state(kind, 100 + number, number))
    account.purge_account_events(10_000 * SECOND_NS, 60)
    assert account.event_count == 1
    assert account.last_event is not None
    assert account.last_event.ts_event == 9 * SECOND_NS
    assert account.balance_total(USDT) == Money(109, USDT)
