"""Held orders over restarts: what is held at all, and what a person sees and ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.engine.kill.held import end_held
from fairlead.engine.kill.sweep import Sweep
from fairlead.engine.observe.explain import explain
from fairlead.engine.orders.held import HeldSettings, Passed
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.model import (
    Accepted,
    Kind,
    OrderState,
    Side,
    Tif,
)
from fairlead.engine.orders.reconcile import compare
from fairlead.engine.orders.trigger import released
from fairlead.engine.risk.approval import Approvals
from fairlead.engine.risk.facts import OrderFacts
from tests.support.approving import approved
from tests.unit.orders.conftest import INSTRUMENT, intent, venue_order
from tests.unit.orders.held_bench import ABLE, STOPS, HeldBench, benches, far_and_met, stop


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., HeldBench]]:
    yield from benches(tmp_path)


# -- restarts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("kind", STOPS)
@pytest.mark.parametrize("passed", Passed)
def test_a_level_passed_meanwhile_acts_as_configured(
    make: Callable[..., HeldBench], passed: Passed, kind: Kind, side: Side
) -> None:
    bench = make(HeldSettings(passed=passed))
    bench.venue.answer = lambda _: Accepted("V1")
    one = stop(kind, side)
    far, met = far_and_met(one)

    async def before() -> None:
        await bench.desk.submit(approved(one))
        await bench.at(*far)

    async def after() -> None:
        (order,) = bench.desk.adopt_journal()
        assert order.told == one
        assert bench.desk.unresolved() == []
        await bench.desk.recover(10)
        await bench.at(*met)
        await bench.at(*met)

    bench.run(before())
    bench.restart()
    bench.run(after())
    expected = {Passed.FIRE: OrderState.OPEN, Passed.CANCEL: OrderState.CANCELED}
    assert bench.state() is expected.get(passed, OrderState.HELD)
    assert len(bench.venue.creates) == (passed is Passed.FIRE)
    assert bool(bench.halts) == (passed is Passed.ASK)


@pytest.mark.parametrize("passed", [Passed.CANCEL, Passed.ASK])
def test_a_level_passed_meanwhile_that_no_journal_takes_ends_the_run(
    make: Callable[..., HeldBench], monkeypatch: pytest.MonkeyPatch, passed: Passed
) -> None:
    """It is no defect of the stream that shows the price."""
    bench = make(HeldSettings(passed=passed))
    bench.run(bench.desk.submit(approved(stop())))
    bench.restart()

    def full(_: object) -> None:
        raise JournalError("JRN-WRITE", "the disk is full")

    async def after() -> None:
        bench.desk.adopt_journal()
        monkeypatch.setattr(bench.desk.journal, "finding", full)
        await bench.at("99", "100")

    bench.run(after())
    assert isinstance(bench.desk.failure, JournalError)


def test_a_level_reached_after_the_first_look_was_not_passed_meanwhile(
    make: Callable[..., HeldBench],
) -> None:
    bench = make(HeldSettings(passed=Passed.CANCEL))
    bench.venue.answer = lambda _: Accepted("V1")
    bench.run(bench.desk.submit(approved(stop())))
    bench.restart()

    async def after() -> None:
        bench.desk.adopt_journal()
        await bench.at("102", "103")
        await bench.at("99", "100")

    bench.run(after())
    assert bench.state() is OrderState.OPEN


def test_a_death_between_release_and_send_leaves_it_held(make: Callable[..., HeldBench]) -> None:
    bench = make()

    async def before() -> None:
        await bench.desk.submit(approved(stop()))
        bench.desk.journal.release(released(stop(), ABLE, 1), {"price": "99"})

    async def after() -> None:
        bench.desk.adopt_journal()
        assert [one.intent.kind for one in bench.desk.unresolved()] == [Kind.LIMIT]
        await bench.desk.recover(60)
        assert bench.state() is OrderState.HELD
        bench.venue.answer = lambda _: Accepted("V1")
        await bench.at("99", "100")

    bench.run(before())
    bench.restart()
    assert bench.desk.journal.problems() == []
    bench.run(after())
    assert [one.sent_id for one in bench.venue.creates] == ["A-r02"]


def test_what_another_process_cancelled_in_the_journal_is_not_released(
    make: Callable[..., HeldBench],
) -> None:
    bench = make()

    async def main() -> None:
        await bench.desk.submit(approved(stop()))
        beside = Journal(bench.path, fsync=False, now_ns=bench.loop_ns)
        assert beside.cancel_held("A")
        beside.close()
        await bench.at("99", "100")

    bench.run(main())
    assert bench.venue.creates == []
    assert bench.sink.names()[-1] == "order_canceled"


def test_the_comparison_takes_no_order_of_others_for_one_that_is_held(
    make: Callable[..., HeldBench],
) -> None:
    bench = make()
    bench.venue.book["X"] = venue_order("X", side=Side.SELL, price=Decimal(99))

    async def main() -> None:
        await bench.desk.submit(approved(stop()))
        seen = await compare(bench.venue, bench.desk, [INSTRUMENT], bench.loop_ns)
        assert [one.code for one in seen.findings] == ["ORDER-EXTERNAL"]

    bench.run(main())


# -- what is held ----------------------------------------------------------------------------------


def test_a_native_stop_is_held_unless_its_trigger_is_proven_to_lie_ahead(
    make: Callable[..., HeldBench],
) -> None:
    native = frozenset({Kind.LIMIT, Kind.STOP_LIMIT})
    bench = make(kinds=native, held=frozenset({Kind.LIMIT_IF_TOUCHED}), hold_passed=True)
    bench.venue.answer = lambda one: Accepted(f"V-{one.client_order_id}")

    async def main() -> None:
        await bench.desk.submit(approved(stop()))  # nothing is known
        await bench.at("102", "103")
        await bench.desk.submit(approved(stop(client_order_id="B")))
        await bench.at("99", "100")
        await bench.desk.submit(approved(stop(client_order_id="C")))

    bench.run(main())
    assert [(one.client_order_id, one.kind) for one in bench.venue.creates] == [
        ("B", Kind.STOP_LIMIT),
        ("A", Kind.LIMIT),
        ("C", Kind.LIMIT),  # held, and fired by the book that stands
    ]
    assert bench.kinds("C")[:2] == ["INTENT", "HELD"]


def test_a_resting_limit_is_held_until_the_market_comes_where_that_is_asked_for(
    make: Callable[..., HeldBench],
) -> None:
    bench = make(holds_limits=True)
    bench.venue.answer = lambda _: Accepted("V1")

    async def main() -> None:
        await bench.desk.submit(approved(intent(price=Decimal(100))))
        await bench.at("100", "101")
        assert bench.venue.creates == []
        await bench.at("99", "100")

    bench.run(main())
    (sent,) = bench.venue.creates
    assert (sent.kind, sent.time_in_force, sent.price) == (Kind.LIMIT, Tif.FOK, Decimal(100))


def test_a_release_is_what_the_gate_approved() -> None:
    """Terms are the plain order's, whatever its number."""
    sent = released(stop(), ABLE, 3)
    facts = OrderFacts(
        client_order_id="A",
        strategy="S-1",
        instrument=INSTRUMENT,
        side=Side.SELL,
        kind="LIMIT",
        quantity=sent.quantity,
        price=sent.price,
    )
    approvals = Approvals()
    approvals.add(facts)
    answer = approvals.order(sent)
    assert answer is not None
    assert answer.intent == sent


# -- what a person sees and does -------------------------------------------------------------------


def test_a_kill_ends_held_orders_in_the_journal_of_a_run_that_hangs(
    make: Callable[..., HeldBench],
) -> None:
    bench = make()

    async def main() -> None:
        await bench.desk.submit(approved(stop(), stop(client_order_id="B", strategy="Other-1")))
        since = time.time_ns()
        ended = end_held(bench.path, lambda strategy: strategy == "S-1", since)
        assert [(one.client_order_id, one.state) for one in ended] == [("A", OrderState.CANCELED)]
        assert end_held(bench.path, lambda strategy: strategy == "S-1", time.time_ns()) == []
        sweep = Sweep(
            venue=bench.venue,
            journal=bench.journal,
            instruments=[INSTRUMENT],
            covers=lambda _: True,
            whole_account=False,
            batch_max=1,
            quarantine_secs=1.0,
            on_done=lambda _: None,
        )
        sweep.read_journal()
        assert sweep.reports() == []  # nothing of them is looked for at the venue
        await bench.at("99", "100")

    bench.run(main())
    assert [one.client_order_id for one in bench.venue.creates] == ["B"]
    assert bench.state() is OrderState.CANCELED


def test_a_kill_tells_of_held_orders_that_the_run_has_ended_before_it_looked(
    make: Callable[..., HeldBench],
) -> None:
    """They were none of the kill's: it said that no order had gone."""
    bench = make()
    bench.venue.answer = lambda one: Accepted(f"V-{one.client_order_id}")

    async def main() -> None:
        await bench.desk.submit(approved(stop(client_order_id="OLD")))
        await bench.desk.cancel(["OLD"])
        await asyncio.sleep(1)
        since = bench.loop_ns()
        others = stop(client_order_id="B", strategy="Other-1")
        await bench.desk.submit(approved(stop(), others, stop(client_order_id="C")))
        await bench.desk.cancel(["A", "B"])
        await bench.at("99", "100")  # C goes out, and is cancelled at the venue
        assert bench.state("C") is OrderState.OPEN
        bench.journal.state("C", OrderState.CANCELED)
        ended = end_held(bench.path, lambda strategy: strategy == "S-1", since)
        assert [(one.client_order_id, one.is_left) for one in ended] == [("A", False)]

    bench.run(main())


def test_its_story_is_one_with_the_order_that_it_becomes(make: Callable[..., HeldBench]) -> None:
    bench = make()
    bench.venue.answer = lambda _: Accepted("V1")

    async def main() -> None:
        await bench.desk.submit(approved(stop(ts_init=1)))
        await bench.at("99", "100")

    bench.run(main())
    story = explain("V1", [bench.path], None)
    assert (story.client_order_id, story.intent.kind) == ("A", Kind.STOP_LIMIT)
    told = " ".join(line.text for line in story.lines)
    for word in ("lte 100", "the engine holds it", "HELD", "TRIGGERED", '"price":"99"', "RELEASE"):
        assert word in told, (word, told)
