"""Balances prove nothing while an order of ours may have moved them by what is not booked yet."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.engine.orders.live import MIN_ABSENT_LOOKS
from fairlead.engine.orders.model import (
    Accepted,
    FindResult,
    Found,
    Intent,
    OrderRef,
    OrderState,
    Outcome,
    Side,
    Unknown,
    Unsure,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenueUnavailable,
)
from fairlead.engine.orders.table import FILL_LAG_READS
from tests.support.approving import approved
from tests.unit.orders.conftest import INSTRUMENT, Bench, intent, venue_order
from tests.unit.orders.test_balance_check import Account, Checked

PRICE = Decimal(100)
ALL, PART = Decimal("0.5"), Decimal("0.3")
READS = ("answers late", "is away", "lists late")


class Ledger(Account):
    """A venue whose balances are moved by each trade at once, and that may be slow to list it."""

    def __init__(self) -> None:
        super().__init__(0)
        self.trades: list[VenueFill] = []
        self.deposits = Decimal(10_000)
        self.reads = ""  # what the reading of executions does
        self.read_secs = 0.0
        self.answer = lambda _: Accepted("V1")
        self.replaces: list[Outcome] = []

    def trade(self, void: str, quantity: Decimal, state: OrderState, **told: Any) -> None:
        """`void` trades; it is `state` then, with `told` of it."""
        before = self.book.get(void)
        filled = quantity + (before.filled if before is not None else 0)
        fields = dict(filled=filled, avg_price=PRICE, state=state) | told
        self.book[void] = venue_order(void, **fields)
        self.trades.append(
            VenueFill(
                venue_order_id=void,
                trade_id=f"t{len(self.trades)}",
                instrument=INSTRUMENT,
                side=Side.BUY,
                quantity=quantity,
                price=PRICE,
                fee=Decimal(0),
                fee_currency="USDT",
            )
        )

    async def fills(self, refs: Sequence[OrderRef], ts_from: int) -> list[VenueFill]:
        voids = {ref.venue_order_id for ref in refs}
        found = [one for one in self.trades if one.venue_order_id in voids]
        reads = self.reads
        await asyncio.sleep(self.read_secs)
        if reads == "answers late":
            await asyncio.sleep(6.0)
        if reads == "is away":
            raise VenueUnavailable("TEST-AWAY", "no answer")
        return [] if reads == "lists late" else found

    async def replace(self, ref: OrderRef, intent: Intent) -> Outcome:
        return self.replaces.pop(0)

    async def balances(self) -> list[VenueBalance]:
        bought = sum((one.quantity for one in self.trades), Decimal(0))
        usdt = self.deposits - bought * PRICE
        return [
            VenueBalance(currency="BTC", free=bought, locked=Decimal(0)),
            VenueBalance(currency="USDT", free=usdt, locked=Decimal(0)),
        ]


def _based(tmp_path: Path, **traits: Any) -> tuple[Bench, Ledger, Checked]:
    """A run whose balances are agreed on, with an order V1 at the venue."""
    true = dict(reports_fills=True, private_stream=True, client_order_ids=True, replace=True)
    bench = Bench(tmp_path / "journal.sqlite", **(true | traits))
    bench.venue = ledger = Ledger()
    bench.restart()
    one = Checked(bench, ledger)
    one.compare(starting=True)
    return bench, ledger, one


async def _compare(one: Checked, times: int, *, starting: bool = False) -> None:
    for _ in range(times):
        await one.check.compare(starting=starting)
        await asyncio.sleep(1)


async def _in_step(one: Checked, ledger: Ledger, bought: Decimal) -> None:
    """All is booked once, and the next difference is told as what it is."""
    await _compare(one, 2)
    assert (one.found, one.halted) == ([], [])
    (position,) = one.bench.desk.journal.positions()
    assert position.quantity == bought
    ledger.deposits += 7
    await _compare(one, 2)
    (finding,) = one.found
    assert Decimal(finding.venue) - Decimal(finding.journal) == 7
    await one.bench.desk.abandon()


@pytest.mark.parametrize("starting", [False, True])
@pytest.mark.parametrize("state", [OrderState.OPEN, OrderState.FILLED, OrderState.CANCELED])
@pytest.mark.parametrize("reads", READS)
def test_an_execution_that_is_not_read_yet_is_no_difference(
    tmp_path: Path, reads: str, state: OrderState, starting: bool
) -> None:
    bench, ledger, one = _based(tmp_path)
    quantity = ALL if state is OrderState.FILLED else PART

    async def main() -> None:
        await bench.desk.submit(approved(intent()))
        ledger.trade("V1", quantity, state)
        ledger.reads = reads
        await _compare(one, 3, starting=starting)
        assert (one.found, one.halted) == ([], [])
        ledger.reads = ""
        await _in_step(one, ledger, quantity)

    bench.run(main())
    bench.desk.journal.close()


def test_an_execution_that_is_never_listed_does_not_hide_differences_for_ever(
    tmp_path: Path,
) -> None:
    bench, ledger, one = _based(tmp_path)

    async def main() -> None:
        await bench.desk.submit(approved(intent()))
        ledger.trade("V1", PART, OrderState.OPEN)
        ledger.reads = "lists late"
        await _compare(one, FILL_LAG_READS + 2)
        await bench.desk.abandon()

    bench.run(main())
    assert [finding.subject for finding in one.found] == ["BTC", "USDT"]
    bench.desk.journal.close()


def test_what_a_replacement_of_unknown_outcome_trades_is_no_difference(tmp_path: Path) -> None:
    bench, ledger, one = _based(tmp_path)
    ledger.replaces = [Unknown("timeout")]
    found: list[FindResult] = [Unsure("away")]
    ledger.look = lambda _: found[-1]

    async def main() -> None:
        order = intent()
        await bench.desk.submit(approved(order))
        ledger.book["V1"] = venue_order("V1", state=OrderState.CANCELED)
        await bench.desk.replace(*approved(msgspec.structs.replace(order, price=Decimal(101))))
        ledger.trade("V2", PART, OrderState.OPEN, price=Decimal(101))
        await _compare(one, 3)
        assert (one.found, one.halted) == ([], [])
        found.append(Found(ledger.book["V2"]))
        await asyncio.sleep(10)
        await _in_step(one, ledger, PART)

    bench.run(main())
    bench.desk.journal.close()


@pytest.mark.parametrize("case", ["away", "under way", "restarted"])
def test_what_was_executed_before_a_replacement_was_counted_is_read(
    tmp_path: Path, case: str
) -> None:
    """The successor's own state counts what was filled when the replacement was asked for."""
    bench, ledger, one = _based(tmp_path)
    ledger.replaces = [Accepted("V2")]

    async def main() -> None:
        order = intent()
        await bench.desk.submit(approved(order))
        ledger.trade("V1", Decimal("0.1"), OrderState.OPEN)
        ledger.read_secs = 1.0
        await bench.desk.refresh()
        await asyncio.sleep(0.1 if case == "under way" else 2.0)
        ledger.reads = "" if case == "under way" else "is away"
        ledger.trade("V1", Decimal("0.2"), OrderState.CANCELED)
        ledger.book["V2"] = venue_order("V2", filled=Decimal("0.1"), avg_price=PRICE)
        await bench.desk.replace(*approved(msgspec.structs.replace(order, price=Decimal(101))))
        if case != "restarted":
            await _compare(one, 3)
            assert (one.found, one.halted) == ([], [])
            ledger.reads = ""
            await _in_step(one, ledger, PART)
        else:
            await bench.desk.abandon()

    async def again() -> None:
        bench.desk.adopt_journal()
        new = Checked(bench, ledger)
        ledger.reads = ""
        await _in_step(new, ledger, PART)

    bench.run(main())
    if case == "restarted":
        bench.restart()
        bench.run(again())
    bench.desk.journal.close()


def test_what_a_missing_order_may_have_done_is_no_difference_until_it_is_forgotten(
    tmp_path: Path,
) -> None:
    bench, ledger, one = _based(tmp_path, reports_fills=False, client_order_ids=False)

    async def main() -> None:
        await bench.desk.submit(approved(intent()))
        ledger.trade("V1", PART, OrderState.OPEN)
        del ledger.book["V1"]
        await _compare(one, MIN_ABSENT_LOOKS)
        assert (one.found, one.halted) == ([], [])
        await asyncio.sleep(60)
        (order,) = bench.desk.live_orders()
        assert order.is_forgotten
        await _compare(one, 1)
        await bench.desk.abandon()

    bench.run(main())
    assert [finding.subject for finding in one.found] == ["BTC", "USDT"]
    bench.desk.journal.close()


def test_a_difference_is_told_though_something_is_executed_all_the_time(tmp_path: Path) -> None:
    """No push tells of it: each look at the balances first reads what was executed before."""
    bench, ledger, one = _based(tmp_path)
    ledger.read_secs = 0.1

    async def orders(refs: Sequence[OrderRef]) -> list[VenueOrder]:
        ledger.trade("V1", Decimal("0.01"), OrderState.OPEN)
        return [ledger.book["V1"]]

    async def main() -> None:
        await bench.desk.submit(approved(intent()))
        ledger.orders = orders  # type: ignore[method-assign]
        ledger.deposits += 7
        await _compare(one, 1)
        await bench.desk.abandon()

    bench.run(main())
    (finding,) = one.found
    assert Decimal(finding.venue) - Decimal(finding.journal) == 7
    bench.desk.journal.close()


def test_balances_are_not_agreed_on_while_an_order_comes_and_goes(tmp_path: Path) -> None:
    """The answer may be from before its execution, or from after it."""
    bench = Bench(tmp_path / "journal.sqlite")
    bench.venue = ledger = Ledger()
    bench.restart()
    one = Checked(bench, ledger)
    filled = venue_order("V1", state=OrderState.FILLED, filled=ALL, avg_price=PRICE)
    ledger.answer = lambda _: Accepted("V1", filled)
    balances = ledger.balances

    async def slow() -> list[VenueBalance]:
        told = await balances()
        if not ledger.trades:
            ledger.trade("V1", ALL, OrderState.FILLED)
            await bench.desk.submit(approved(intent()))
        return told

    ledger.balances = slow  # type: ignore[method-assign]

    async def main() -> None:
        await _compare(one, 3)
        assert bench.desk.live_orders() == []

    bench.run(main())
    assert (one.found, one.halted) == ([], [])
    bench.desk.journal.close()


def test_reads_that_lacked_nothing_are_no_reads_that_lacked_an_execution(tmp_path: Path) -> None:
    """Else one long ago makes a few in a moment (a stop reads often) outlast the venue's lag."""
    bench, ledger, _ = _based(tmp_path)
    ledger.replaces = [Accepted("V2")]

    async def main() -> None:
        order = intent()
        await bench.desk.submit(approved(order))
        await bench.desk.replace(*approved(msgspec.structs.replace(order, price=Decimal(101))))
        await asyncio.sleep(60)
        ledger.reads = "lists late"
        ledger.trade("V2", PART, OrderState.CANCELED)
        asyncio.get_running_loop().call_later(2.0, setattr, ledger, "reads", "")
        assert await bench.desk.stop(cancel_open=True) == []

    bench.run(main())
    (fill,) = bench.desk.journal.fills_of("A")
    assert not fill.synthetic
    bench.desk.journal.close()
