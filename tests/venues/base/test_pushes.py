"""What a private stream pushes while the journal takes nothing."""

from __future__ import annotations

from typing import Any

from fairlead.adapters.base.account import PrivateItems
from fairlead.adapters.base.venue import BalancePush, OrderPush
from fairlead.engine.orders.journal import JournalError
from tests.unit.orders.conftest import venue_order

DEAD = JournalError("JRN-WRITE", "the disk is full")


class FullDesk:
    """Of a journal whose disk is full."""

    def pushed_order(self, *_: object) -> None:
        raise DEAD

    def pushed_balances(self, *_: object) -> None:
        raise DEAD


def test_a_push_that_no_journal_takes_ends_the_run_and_not_the_stream() -> None:
    failures: list[BaseException] = []
    desk: Any = FullDesk()
    items = PrivateItems(desk, on_fault=lambda _: None, on_error=failures.append)
    items(OrderPush(venue_order("V1"), None))
    items(BalancePush(()))
    assert failures == [DEAD, DEAD]
