"""When the gate reads an account anew, and when an older balance will do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.model import Money

from fairlead.engine.config.model import Risk
from fairlead.engine.risk.checks import Denial
from fairlead.engine.risk.checks_account import free_balance
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.look import Look
from fairlead.engine.risk.view import FUNDS_AGE_NS, FUNDS_MAX_NS, NautilusView
from tests.unit.risk.test_gate import NOW, D, View, order


class Account:
    """A cash account that says what it has, and how often it was asked for."""

    def __init__(self) -> None:
        self.free = "1000 USDT"
        self.reads = 0
        self.last_event = SimpleNamespace(ts_event=NOW)

    def account_for_venue(self, venue: Any) -> Account:
        self.reads += 1
        return self

    def balance_total(self, currency: Any) -> Money:
        return Money.from_str(self.free)

    balance_free = balance_total

    def is_cash_account(self) -> bool:
        return True


class Desk:
    """One order after another, each looked at through a NautilusTrader view's balances."""

    def __init__(self) -> None:
        gate = RiskGate(Risk())
        self.account = Account()
        self.time = SimpleNamespace(now=NOW)
        self.time.timestamp_ns = lambda: self.time.now
        strategy: Any = SimpleNamespace(cache=self.account, clock=self.time)
        self.view = NautilusView(strategy, gate)
        plain: Any = View(gate)
        plain.funds, plain.renew_funds = self.view.funds, self.view.renew_funds
        plain.now_ns = self.view.now_ns
        self.look = Look(plain, gate.books, gate.limits)

    def passes(self, quantity: str) -> bool:
        """An order of so many BTC at 100 USDT."""
        one = order("100", quantity=quantity)
        self.look.begin(one)
        return not isinstance(free_balance(one, self.look), Denial)


@pytest.fixture
def desk() -> Desk:
    found = Desk()
    assert found.passes("1")  # 100 of 1000 USDT
    assert found.account.reads == 1
    return found


def test_an_ample_balance_outlives_fills_for_five_minutes(desk: Desk) -> None:
    desk.view.balances_moved()
    desk.time.now += FUNDS_MAX_NS - 1
    assert desk.passes("5")
    assert desk.account.reads == 1
    desk.time.now += 1
    assert desk.passes("5")
    assert desk.account.reads == 2


def test_a_scarce_balance_is_read_again_after_a_fill(desk: Desk) -> None:
    assert desk.passes("6")
    assert desk.account.reads == 1  # no fill since
    desk.view.balances_moved()
    desk.account.free = "500 USDT"
    assert not desk.passes("6")


def test_a_scarce_balance_is_read_again_after_half_a_minute(desk: Desk) -> None:
    desk.time.now += FUNDS_AGE_NS - 1
    assert desk.passes("6")
    assert desk.account.reads == 1
    desk.time.now += 1
    desk.account.free = "500 USDT"
    assert not desk.passes("6")


def test_no_order_is_refused_for_an_old_balance(desk: Desk) -> None:
    desk.account.free = "2000 USDT"
    assert not desk.passes("15")  # read in this instant: another reading would tell the same
    desk.time.now += 1
    assert desk.passes("15")
    assert not desk.passes("21")
    assert D(desk.account.free.split()[0]) == 2000
