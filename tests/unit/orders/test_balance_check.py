"""The comparison of balances: what is found, what refuses a start, what halts."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.orders.balance_check import (
    BALANCE_LOOK_SECS,
    BALANCE_LOOKS,
    POSTPONED_MAX,
    BalanceCheck,
    DriftLimits,
)
from fairlead.engine.orders.late import WATCH_NS
from fairlead.engine.orders.model import (
    Absent,
    Finding,
    Found,
    OrderState,
    Unknown,
    Unsure,
    VenueBalance,
)
from tests.support.approving import approved
from tests.unit.orders.conftest import INSTRUMENT, Bench, ScriptedVenue, intent, venue_order

OTHER = "ETH_EUR.TEST"


class Account(ScriptedVenue):
    """Holds what the test says, by look; the last stays."""

    def __init__(self, *usdt: int) -> None:
        super().__init__()
        self.usdt = list(usdt)

    async def balances(self) -> list[VenueBalance]:
        now = self.usdt.pop(0) if len(self.usdt) > 1 else self.usdt[0]
        return [VenueBalance(currency="USDT", free=Decimal(now), locked=Decimal(0))]


class Checked:
    """A check of an account with the journal of `bench`, and what it told."""

    def __init__(
        self, bench: Bench, account: Account, *, accept: bool = False, named: bool = True
    ) -> None:
        most = {"USDT": Decimal(50)} if named else {}
        self.found: list[Finding] = []
        self.halted: list[tuple[str, str]] = []
        self.bench = bench
        self.check = BalanceCheck(
            venue="TEST",
            orders=account,
            desk=bench.desk,
            instruments=(INSTRUMENT, OTHER),
            currencies_of=lambda name: ("ETH", "EUR") if name == OTHER else ("BTC", "USDT"),
            limits=DriftLimits(most=most, share=Decimal("0.05"), accept=accept),
            now_ns=bench.loop.now_ns,
            on_found=self.found.append,
            on_halt=lambda instrument, reason: self.halted.append((instrument, reason)),
        )

    def compare(self, *, starting: bool = False) -> None:
        self.bench.run(self.check.compare(starting=starting))


def test_a_difference_within_the_limit_is_told_once_and_counts(bench: Bench) -> None:
    one = Checked(bench, Account(1000, 1050))
    one.compare(starting=True)
    assert one.found == []
    before = bench.loop.now_ns()
    one.compare(starting=True)
    assert bench.loop.now_ns() - before == (BALANCE_LOOKS - 1) * BALANCE_LOOK_SECS * 1e9
    (finding,) = one.found
    assert (finding.subject, finding.journal, finding.venue) == ("USDT", "1000", "1050")
    assert finding.action == "counted from now on"
    assert bench.journal is not None
    assert [kind for _, _, kind, _ in bench.journal.story("USDT")] == ["FINDING"]
    one.compare(starting=True)
    assert (len(one.found), one.halted) == (1, [])


def test_one_over_the_limit_refuses_the_start_until_it_is_accepted(bench: Bench) -> None:
    one = Checked(bench, Account(1000, 1051))
    one.compare(starting=True)
    for _ in range(2):  # it does not count
        with pytest.raises(FairleadError, match=r"TEST: .* \+51 USDT, .*accept_drift") as refused:
            one.compare(starting=True)
        assert refused.value.exit_code == Exit.DRIFT
    assert {f.action for f in one.found} == {"the start is refused"}
    again = Checked(bench, Account(1051), accept=True)
    again.compare(starting=True)
    assert [f.action for f in again.found] == ["counted from now on"]
    again.compare(starting=True)
    assert (len(again.found), again.halted) == (1, [])


def test_one_over_the_limit_halts_the_instruments_of_its_currency(bench: Bench) -> None:
    one = Checked(bench, Account(1000, 900))
    one.compare(starting=True)
    one.compare()
    assert [f.action for f in one.found] == ["counted from now on"]
    ((instrument, reason),) = one.halted
    assert instrument == INSTRUMENT
    assert "-100 USDT" in reason


def test_what_still_moves_and_what_is_unproven_tells_nothing(bench: Bench) -> None:
    one = Checked(bench, Account(1000, 900, 950, 900))
    one.compare()
    one.compare()  # 900, then 950: still moving
    assert one.found == []
    venue = bench.venue
    venue.answer = lambda _: Unknown("lost")
    bench.run(bench.desk.submit(approved(intent())))
    one.compare()
    assert one.found == []


# -- orders of our own that were given up ----------------------------------------------------------

FILLED = venue_order("V9", state=OrderState.FILLED, filled=Decimal("0.5"), avg_price=Decimal(99))
SPENT = 1000 - 0.5 * 99


class Shop(Account):
    """An account with BTC too: what the late order brings and costs."""

    has_filled = False

    async def balances(self) -> list[VenueBalance]:
        if not self.has_filled:
            return [VenueBalance(currency="USDT", free=Decimal(1000), locked=Decimal(0))]
        bought = Decimal("0.5") * Decimal("0.999")
        return [
            VenueBalance(currency="BTC", free=bought, locked=Decimal(0)),
            VenueBalance(currency="USDT", free=Decimal(str(SPENT)), locked=Decimal(0)),
        ]


def _given_up_then_filled(bench: Bench, *, passes_ns: int) -> Checked:
    """The order's answer was lost, it was proven absent, and `passes_ns` later it is filled."""
    one = Checked(bench, Shop(0))
    one.compare()
    bench.venue.answer = lambda _: Unknown("lost")
    bench.run(_until_given_up(bench))
    bench.run(asyncio.sleep(passes_ns / 1e9))
    account = one.check._orders
    assert isinstance(account, Shop)
    account.has_filled = True
    bench.venue.look = lambda _: Found(FILLED)
    return one


async def _until_given_up(bench: Bench) -> None:
    await bench.desk.submit(approved(intent()))
    while bench.desk.unresolved():
        await asyncio.sleep(1)


@pytest.mark.parametrize("starting", [False, True])
@pytest.mark.parametrize("passes_ns", [0, 10 * WATCH_NS], ids=["watched", "long given up"])
def test_a_difference_is_first_looked_for_among_the_orders_given_up(
    bench: Bench, starting: bool, passes_ns: int
) -> None:
    one = _given_up_then_filled(bench, passes_ns=passes_ns)
    if starting:
        bench.restart()
        bench.desk.adopt_journal()
        again = Checked(bench, Shop(0))
        again.check._orders.has_filled = True  # type: ignore[attr-defined]
        one = again
    one.compare(starting=starting)
    assert (one.found, one.halted) == ([], [])
    assert bench.journal is not None
    order = bench.journal.order("A")
    assert order is not None
    assert (order.state, order.filled) == (OrderState.FILLED, Decimal("0.5"))
    assert "finding" in bench.sink.names(), "ORDER-LATE is told"


def test_a_difference_counts_only_after_they_could_be_looked_for(bench: Bench) -> None:
    one = _given_up_then_filled(bench, passes_ns=0)
    bench.venue.look = lambda _: Unsure("the venue is away")
    for _ in range(POSTPONED_MAX):
        one.compare()
        assert one.found == []
    one.compare()
    assert [f.subject for f in one.found] == ["BTC", "USDT"]


def test_a_difference_that_no_order_explains_counts(bench: Bench) -> None:
    one = _given_up_then_filled(bench, passes_ns=0)
    bench.venue.look = lambda _: Absent("not there")
    one.compare()
    assert [f.subject for f in one.found] == ["BTC", "USDT"]


@pytest.mark.parametrize(
    ("before", "after", "is_refused"), [(1000, 1050, False), (1000, 940, True)]
)
def test_without_a_limit_a_share_of_the_balance_refuses_the_start(
    bench: Bench, before: int, after: int, is_refused: bool
) -> None:
    one = Checked(bench, Account(before, after), named=False)
    one.compare(starting=True)
    if is_refused:
        with pytest.raises(FairleadError, match="max_drift_share allows less"):
            one.compare(starting=True)
    else:
        one.compare(starting=True)
    assert len(one.found) == 1


def test_what_was_not_held_at_all_and_is_there_refuses_the_start(bench: Bench) -> None:
    one = Checked(bench, Account(0, 1), named=False)
    one.compare(starting=True)
    with pytest.raises(FairleadError, match=r"\+1 USDT"):
        one.compare(starting=True)
