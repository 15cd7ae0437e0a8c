"""A live run's figures from its journal: what was executed in it, and from where it began."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.common import Clock, OrderFactory
from nautilus_trader.model import OrderSide, StrategyId, TraderId

from fairlead.engine.errors import Exit
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.observe import journaled
from fairlead.engine.observe.gone import BLOCK, Gone, GoneOrders, refusal, unsent
from fairlead.engine.observe.table import shown
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.journal_reads import JournalError
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.model import Absent, Intent, OrderState, Refused, Side, VenueFill
from fairlead.engine.orders.taken_over import give_back
from fairlead.engine.research.tables import journaled_rows
from fairlead.engine.run.ended import Ended, NoCache
from fairlead.engine.run.summary import _traded
from fairlead.engine.status import RunStatus
from tests.unit.nautilus_harness import IID, pair, px, qty
from tests.unit.orders.conftest import intent, venue_order

D = Decimal


class Cache(NoCache):
    """Holds the instrument and what no journal has."""

    def __init__(self, *orders: Any) -> None:
        self._orders = list(orders)

    def orders(self) -> list[Any]:
        return self._orders

    def instrument(self, instrument_id: Any) -> Any:
        return pair()

    def top_of_book(self, instrument_id: Any) -> Any:
        return px(109.0), qty(1), px(111.0), qty(1)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal.sqlite", fsync=False, now_ns=lambda: 1)
    yield made
    made.close()


def sent(journal: Journal, name: str, side: Side = Side.BUY) -> Intent:
    ordered = intent(name, instrument=str(IID), side=side)
    journal.intend([ordered])
    journal.accepted(name, f"V{name}", instrument=str(IID))
    return ordered


def fill(journal: Journal, ordered: Intent, quantity: str, price: str, fee: str = "0") -> None:
    number = len(journal.fills_of(ordered.client_order_id))
    execution = VenueFill(
        venue_order_id=f"V{ordered.client_order_id}",
        trade_id=f"{ordered.client_order_id}-{number}",
        instrument=ordered.instrument,
        side=ordered.side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        fee=Decimal(fee),
        fee_currency="BTC",
        is_maker=True,
    )
    assert journal.fill(ordered, execution, Decimal(fee))


def traded(
    journal: Journal, strategy: str, side: Side, quantity: str, price: str, fee: str = "0"
) -> None:
    """An order of a strategy's that is executed at once."""
    name = f"{strategy}-{journal.newest()}"
    ordered = intent(name, instrument=str(IID), side=side, strategy=strategy)
    journal.intend([ordered])
    journal.accepted(name, f"V{name}", instrument=str(IID))
    fill(journal, ordered, quantity, price, fee)
    journal.state(name, OrderState.FILLED)


def taken_over(journal: Journal) -> None:
    for one in journal.positions():
        if one.avg_price is not None and one.strategy != KILL_STRATEGY:
            journal.hand_over(one.strategy, KILL_STRATEGY, one.instrument, one.avg_price)


def rows(found: Any) -> dict[str, tuple[int, Decimal, Decimal]]:
    """By strategy its executions, what it holds, and its net."""
    return {one.strategy: (one.fills, one.position, one.net) for one in found.strategies}


def journaled_rows_of(journal: Journal, since: journaled.Opening) -> list[dict[str, Any]]:
    run = journaled.booked(journal, since)
    return journaled_rows(run)


def told(journal: Journal, since: journaled.Opening, *unsent: Any) -> Any:
    runs = [journaled.booked(journal, since)]
    return journaled.live_trading(Cache(*unsent), [str(IID)], runs)


def test_an_adopted_order_counts_with_what_it_executed_in_this_run(journal: Journal) -> None:
    adopted = sent(journal, "A")
    fill(journal, adopted, "0.2", "100", "0.0002")
    over = sent(journal, "B")
    journal.state("B", OrderState.CANCELED)
    since = journaled.opening(journal)
    fill(journal, adopted, "0.3", "102", "0.0003")
    journal.state("A", OrderState.FILLED)
    found = told(journal, since)
    assert over.client_order_id not in since.orders
    assert (found.orders, found.fills, found.filled, found.accepted) == (1, 1, 1, 1)
    assert (found.orders_by_status, found.maker_fills) == ({"FILLED": 1}, 1)
    assert found.fees == {"BTC": Decimal("0.0003")}
    (one,) = found.instruments
    assert (one.bought, one.turnover) == (Decimal("0.3"), Decimal("30.6"))
    assert (one.opening_position, one.opening_cost) == (Decimal("0.1998"), Decimal("19.98"))
    ((held,),) = [[position.quantity for position in journal.positions()]]
    assert one.position == held == Decimal("0.4995")
    assert one.net == held * 110 - Decimal("19.98") - Decimal("30.6")
    assert one.opening_gain == Decimal("0.1998") * (110 - 100)


def test_a_short_position_is_taken_over_and_closed_with_its_gain(journal: Journal) -> None:
    fill(journal, sent(journal, "A", Side.SELL), "0.5", "120")
    journal.state("A", OrderState.FILLED)
    since = journaled.opening(journal)
    fill(journal, sent(journal, "B"), "0.5", "100")
    (one,) = told(journal, since).instruments
    assert (one.opening_position, one.position, one.position_max) == (Decimal("-0.5"), 0, 0.5)
    assert (one.realized, one.unrealized, one.net) == (10, 0, 10)
    assert one.opening_gain == 5, "sold at 120 by an earlier run, marked at 110"


def test_what_a_kill_closes_is_its_strategys(journal: Journal) -> None:
    """Bought by an earlier run or by this one: it holds nothing any more, nor does KILL."""
    traded(journal, "S-1", Side.BUY, "0.5", "100")
    since = journaled.opening(journal)
    traded(journal, "S-2", Side.BUY, "0.1", "100")
    taken_over(journal)
    traded(journal, KILL_STRATEGY, Side.SELL, "0.6", "90")
    found = told(journal, since)
    assert rows(found) == {"S-1": (1, 0, -5), "S-2": (2, 0, -1)}
    (whole,) = found.instruments
    assert (whole.position, whole.net, whole.fills) == (0, -6, 2)
    again = journaled.opening(journal)
    assert again.positions == {}
    assert rows(told(journal, again)) == {}


def test_what_a_kill_did_not_close_is_held_by_whom_the_journal_says(journal: Journal) -> None:
    since = journaled.opening(journal)
    traded(journal, "S-1", Side.BUY, "0.5", "100")
    traded(journal, "S-2", Side.SELL, "0.2", "120")
    taken_over(journal)
    traded(journal, KILL_STRATEGY, Side.SELL, "0.1", "90")
    mine = {"S-1": (2, 0, -1), "S-2": (1, 0, 0)}
    # What was netted was worth 120 less 100, of 0.2; 0.2 that cost 100 are left, at 110
    assert rows(told(journal, since)) == mine | {KILL_STRATEGY: (0, D("0.2"), 4 + 2)}
    assert give_back(journal, str(IID), D("0.001")) == {"S-1": D("0.2")}
    found = told(journal, since)
    assert rows(found) == mine | {"S-1": (2, D("0.2"), -1 + 2), KILL_STRATEGY: (0, 0, 4)}
    (whole,) = found.instruments
    assert (whole.position, whole.net) == (D("0.2"), 5)


@pytest.mark.parametrize("seed", range(30))
def test_rows_hold_what_the_journal_says_and_add_up(journal: Journal, seed: int) -> None:
    rng = random.Random(f"rows {seed}")
    since = journaled.Opening(0, {}, frozenset())
    for _ in range(25):
        if not rng.randrange(12):
            since = journaled.opening(journal)
        does = rng.choice(("trade", "trade", "trade", "take", "close", "close", "back"))
        side, size = rng.choice((Side.BUY, Side.SELL)), f"0.{rng.randint(1, 9)}"
        held = sum(p.quantity for p in journal.positions() if p.strategy == KILL_STRATEGY)
        price, fee = str(rng.randint(90, 120)), "0.007" if rng.random() < 0.4 else "0"
        if does == "trade":
            traded(journal, rng.choice(("S-1", "S-2", "S-3")), side, size, price, fee)
        elif does == "take":
            taken_over(journal)
        elif does == "close" and held:
            part = abs(held) if rng.random() < 0.5 else min(abs(held), D(size))
            closing = Side.SELL if held > 0 else Side.BUY
            traded(journal, KILL_STRATEGY, closing, str(part), price, fee)
        elif does == "back":
            give_back(journal, str(IID), D("0.001"))
    found = told(journal, since)
    held_by = {p.strategy: p.quantity for p in journal.positions() if p.quantity}
    assert {one.strategy: one.position for one in found.strategies if one.position} == held_by
    (whole,) = found.instruments
    for name in ("position", "net", "fees_value", "bought", "sold", "turnover"):
        parts = sum((getattr(one, name) for one in found.strategies), D(0))
        assert abs(parts - getattr(whole, name)) < D("1e-12"), name


def test_a_late_execution_of_an_order_that_was_over_counts(journal: Journal) -> None:
    late = sent(journal, "A")
    journal.state("A", OrderState.REFUSED)
    since = journaled.opening(journal)
    journal.revived(late, venue_order("VA", instrument=str(IID)), OrderState.OPEN)
    fill(journal, late, "0.1", "100")
    journal.state("A", OrderState.CANCELED)
    found = told(journal, since)
    assert (found.orders, found.fills, found.orders_by_status) == (1, 1, {"CANCELED": 1})


def test_orders_that_were_never_sent_come_from_the_cache(journal: Journal) -> None:
    """Those that NautilusTrader made up for a position have a venue order id, and don't count."""
    since = journaled.opening(journal)
    factory = OrderFactory(TraderId("T-1"), StrategyId("S-1"), Clock.new_test())
    order = factory.market(IID, OrderSide.BUY, qty(1))
    found = told(journal, since, order)
    assert (found.orders, found.accepted, found.fills) == (1, 0, 0)
    assert found.orders_by_status == {"INITIALIZED": 1}


class OrderRejected:
    """As NautilusTrader names it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def cached(name: str, kind: str, *events: Any, venue_order_id: str | None = None) -> Any:
    return SimpleNamespace(
        client_order_id=name,
        venue_order_id=venue_order_id,
        order_type=SimpleNamespace(name=kind),
        status=SimpleNamespace(name="REJECTED"),
        events=lambda: events,
        strategy_id="S-1",
        ts_init=1,
        ts_last=2,
        instrument_id=IID,
        side=OrderSide.BUY,
        quantity=qty(1),
        filled_qty=qty(0),
    )


@pytest.mark.parametrize(
    ("reason", "reached"),
    [
        ("X-1: no money", 1),
        ("X-RATE-BUDGET: not sent: no room in the budget", 0),
        ("DESK-HALTED: the run ended; not sent", 0),
    ],
)
def test_what_never_left_this_machine_was_not_rejected_by_the_venue(
    journal: Journal, reason: str, reached: int
) -> None:
    since = journaled.opening(journal)
    journal.intend([intent("A", instrument=str(IID))])
    journal.state("A", OrderState.REFUSED)
    found = told(journal, since, cached("A", "LIMIT", OrderRejected(reason)))
    assert (found.orders, found.sent, found.rejections) == (1, reached, reached)
    assert sum(found.unsent_reasons.values()) == 1 - reached


def test_what_was_withdrawn_before_it_was_journaled_has_its_reason_too(journal: Journal) -> None:
    since = journaled.opening(journal)
    why = "DESK-WITHDRAWN: the run stops; not sent"
    found = told(journal, since, cached("A", "LIMIT", OrderRejected(why)))
    assert (found.orders, found.sent, found.rejections) == (1, 0, 0)
    assert found.unsent_reasons == {why: 1}


def test_what_the_venue_never_had_was_not_rejected_by_it(journal: Journal) -> None:
    """Of a run that was killed: no event of this one's tells why, and the journal does."""
    journal.intend([intent(name, instrument=str(IID)) for name in "ABCD"])
    since = journaled.opening(journal)
    journal.state("A", OrderState.REFUSED, Absent("3 looks, in 5 s"))
    journal.state("B", OrderState.REFUSED, Refused("X", "no money"))
    journal.state("C", OrderState.REFUSED, Refused("X-RATE", "no room", is_sent=False))
    word = {"reason": "the venue said so", "by": "ann"}
    journal.state("D", OrderState.REFUSED, word)
    found = told(journal, since)
    assert (found.orders, found.sent, found.rejections) == (4, 1, 1)
    assert found.rejection_reasons == {"X: no money": 1}
    assert found.unsent_reasons == {"X-RATE: no room; not sent": 1}
    assert found.absent_reasons == {
        "ABSENT-PROVEN: # looks, in # s": 1,
        "RESOLVED: gone by a person's word: the venue said so": 1,
    }
    rows = {row["client_order_id"]: row for row in journaled_rows_of(journal, since)}
    assert rows["A"]["reason"] == "ABSENT-PROVEN: 3 looks, in 5 s"


def test_one_that_was_proven_absent_in_the_run_was_not_rejected_either(journal: Journal) -> None:
    since = journaled.opening(journal)
    journal.intend([intent("A", instrument=str(IID))])
    journal.state("A", OrderState.REFUSED, Absent("not there"))
    reason = "ABSENT-PROVEN: its answer was lost, and it never came"
    found = told(journal, since, cached("A", "LIMIT", OrderRejected(reason)))
    assert (found.sent, found.rejections, found.absent_reasons) == (0, 0, {reason: 1})


def test_a_held_order_counts_as_the_kind_that_was_given(journal: Journal) -> None:
    """As on paper: the journal has the plain order that was released."""
    since = journaled.opening(journal)
    sent(journal, "A")
    found = told(journal, since, cached("A", "STOP_LIMIT", venue_order_id="VA"))
    assert found.orders_by_kind == {"STOP_LIMIT": 1}


def test_a_held_order_that_the_gate_refused_was_not_rejected_by_the_venue(
    journal: Journal,
) -> None:
    """It was accepted, as held, under an id of its own: its reason is known all the same."""
    since = journaled.opening(journal)
    held = intent("A", instrument=str(IID))
    journal.hold([held], {})
    journal.state("A", OrderState.REFUSED)
    reason = "MAX_POSITION: refused by the gate, not sent: 3 is too much"
    order = cached("A", "STOP_LIMIT", OrderRejected(reason), venue_order_id="VA")
    found = told(journal, since, order)
    assert (found.sent, found.rejections, found.rejection_reasons) == (0, 0, {})
    assert found.unsent_reasons == {"MAX_POSITION: refused by the gate, not sent: # is too much": 1}


@pytest.mark.parametrize("text", ["-0", "-0E-12", "-0.000000001"])
def test_no_figure_is_minus_zero(text: str) -> None:
    assert shown(Decimal(text), signed=True) == "0"


def test_what_left_the_cache_counts_as_what_is_there(journal: Journal, tmp_path: Path) -> None:
    since = journaled.opening(journal)
    factory = OrderFactory(TraderId("T-1"), StrategyId("S-1"), Clock.new_test())
    never = [factory.market(IID, OrderSide.BUY, qty(1)) for _ in range(BLOCK + 3)]
    journal.intend([intent("A", instrument=str(IID))])
    journal.state("A", OrderState.REFUSED)
    refused = cached("A", "STOP_LIMIT", OrderRejected("X-1: no money"))
    there = told(journal, since, *never, refused)
    gone = GoneOrders(tmp_path)
    for one in (*never[1:], refused):
        row = {"client_order_id": str(one.client_order_id), "kind": one.order_type.name}
        gone.add(Gone(row=row, refused=refusal(one), unsent=unsent(one)))
    runs = [journaled.booked(journal, since)]
    left = journaled.live_trading(Cache(never[0]), [str(IID)], runs, gone)
    assert left == there
    assert (left.orders, left.rejections) == (len(never) + 1, 1)
    assert journaled.live_trading(Cache(*never, refused), [str(IID)], runs, gone) == there
    assert gone.problem is None
    gone.close()
    assert list(gone) == []


def test_a_disk_that_is_full_loses_nothing_of_what_was_given(tmp_path: Path) -> None:
    gone = GoneOrders(tmp_path / "there is none")
    rows = [{"client_order_id": str(number)} for number in range(BLOCK + 1)]
    for row in rows[:BLOCK]:
        gone.add(Gone(row=row))
    for _ in range(3):
        with pytest.raises(OSError, match="there is none"):
            gone.add(Gone(row=rows[BLOCK]))
    assert [one.row for one in gone] == rows[:BLOCK]
    (tmp_path / "there is none").mkdir()
    gone.add(Gone(row=rows[BLOCK]))
    assert [one.row for one in gone] == rows
    os.truncate(f"/proc/self/fd/{gone._file.fileno()}", 9)
    assert [one.row for one in gone] == rows[BLOCK:]
    assert gone.problem is not None
    gone.close()


def test_the_same_course_has_the_same_digest(journal: Journal, tmp_path: Path) -> None:
    def course(into: Journal, name: str, quantity: str) -> str:
        since = journaled.opening(into)
        fill(into, sent(into, name), quantity, "100")
        return str(told(into, since).orders_digest)

    first = course(journal, "A", "0.1")
    again = Journal(tmp_path / "again.sqlite", fsync=False, now_ns=lambda: 2)
    other = Journal(tmp_path / "other.sqlite", fsync=False, now_ns=lambda: 2)
    try:
        assert course(again, "B", "0.1") == first
        assert course(other, "A", "0.2") != first
    finally:
        again.close()
        other.close()


def test_a_journal_that_cannot_be_read_is_told_and_counts_nothing(journal: Journal) -> None:
    error = JournalError("JRN-CORRUPT", "the order journal can't be read")
    ended = Ended(
        exit=Exit.FAILED,
        reason="JRN-CORRUPT",
        status=RunStatus(),
        findings=[],
        unresolved=[],
        left_open=[],
        seconds=1.0,
        node=None,
        run_state=RunState(),
        recording=None,
        booked=[error],
    )
    found, notes = _traded("live", ended, [str(IID)])
    assert (found.orders, found.fills) == (0, 0)
    (note,) = notes
    assert note.startswith("JRN-CORRUPT what this account executed in the run is not summed up")
