"""A desk that has failed, by a bug or its journal, still leaves nothing open that it can cancel."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from fairlead.adapters.base.account import Account
from fairlead.engine.orders.journal import JournalError
from fairlead.engine.orders.model import (
    Accepted,
    CancelAccepted,
    CancelOutcome,
    CancelRefused,
    Found,
    Kind,
    OrderRef,
    OrderState,
    Side,
    TriggerCondition,
    Unknown,
    VenueOrder,
)
from fairlead.engine.orders.unjournaled import UnjournaledCancels
from tests.support.approving import approved
from tests.unit.orders.conftest import INSTRUMENT, Bench, intent, venue_order

A_BUG = KeyError("a bug")
VENUE_SECS = 1.5  # how long the venue takes to end a cancelled order

SETTLE_SECS = 5.0  # how long a stop waits


def settles_late(bench: Bench, before: Sequence[CancelOutcome] = ()) -> None:
    """A cancel is accepted, after so many other answers; the order is over a while later."""

    async def over(ref: OrderRef) -> None:
        await asyncio.sleep(VENUE_SECS)
        assert ref.venue_order_id is not None
        was = bench.venue.book[ref.venue_order_id]
        bench.venue.book[ref.venue_order_id] = msgspec.structs.replace(
            was, state=OrderState.CANCELED
        )

    tasks, answers = [], iter(before)

    def cancelled(ref: OrderRef) -> CancelOutcome:
        for answer in answers:
            return answer
        tasks.append(asyncio.ensure_future(over(ref)))
        return CancelAccepted()

    bench.venue.cancel_answer = cancelled


def test_it_waits_for_the_end_of_what_it_cancels(bench: Bench) -> None:
    bench.venue.answer = lambda _: Accepted("V1", venue_order())
    bench.venue.book["V1"] = venue_order()
    settles_late(bench)

    async def main() -> list[OrderState]:
        await bench.desk.submit(approved(intent()))
        bench.desk.fail(A_BUG)
        await bench.desk.stop(cancel_open=True)
        return [order.state for order in bench.desk.live_orders()]

    assert bench.run(main()) == []
    assert bench.sink.names()[-1] == "order_canceled"


def test_it_looks_for_an_order_without_an_answer_and_cancels_it(bench: Bench) -> None:
    bench.venue.answer = lambda _: Unknown("timeout")
    bench.venue.look = lambda _: Found(venue_order("V7"))
    bench.venue.book["V7"] = venue_order("V7")
    settles_late(bench)

    async def main() -> list[OrderState]:
        await bench.desk.submit(approved(intent()))
        bench.desk.fail(A_BUG)
        await bench.desk.stop(cancel_open=True)
        return [order.state for order in bench.desk.live_orders()]

    assert bench.run(main()) == []
    assert [ref.venue_order_id for ref in bench.venue.cancels] == ["V7"]


def test_a_bug_in_its_reads_ends_the_wait(bench: Bench) -> None:
    bench.venue.answer = lambda _: Accepted("V1", venue_order())

    async def broken(refs: Sequence[OrderRef]) -> list[VenueOrder]:
        raise KeyError("a bug")

    async def main() -> float:
        await bench.desk.submit(approved(intent()))
        bench.venue.orders = broken  # type: ignore[method-assign]
        bench.desk.fail(A_BUG)
        began = asyncio.get_running_loop().time()
        await bench.desk.stop(cancel_open=True)
        return asyncio.get_running_loop().time() - began

    assert bench.run(main()) < 1
    assert [ref.venue_order_id for ref in bench.venue.cancels] == ["V1"]


def _dead(bench: Bench) -> Path:
    """Its journal is taken away: every write of it raises. Where it is now."""
    taken = bench.path.with_name("taken")
    bench.path.rename(taken)
    with pytest.raises(JournalError, match="was removed") as dead:
        bench.desk.journal.note("X", "A", None)
    bench.desk.fail(dead.value)
    return taken


def _back(bench: Bench, taken: Path) -> None:
    taken.rename(bench.path)


# Orders with a lost answer that a venue may list, and whether each is the one that was sent.
STOP = {
    "kind": Kind.STOP_LIMIT,
    "trigger_price": Decimal(101),
    "trigger_condition": TriggerCondition.GTE,
}
LISTED: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({}, {}, True),
    ({}, {"quantity": Decimal("0.7")}, False),
    ({}, {"side": Side.SELL}, False),
    ({}, {"client_order_id": "A", "quantity": Decimal("0.3")}, True),
    ({}, {"client_order_id": "of another engine"}, False),
    (STOP, {**STOP, "state": OrderState.WAITING}, True),
    (STOP, {}, True),  # it has fired
    (STOP, {**STOP, "trigger_price": Decimal(102)}, False),
]


@pytest.mark.parametrize("answer", [Unknown("reset"), CancelRefused("X-1", "not now")])
@pytest.mark.parametrize("lost", [0, 1, 2, 4])
def test_without_a_journal_a_cancel_is_sent_until_the_venue_has_ended_the_order(
    bench: Bench, lost: int, answer: CancelOutcome
) -> None:
    """Nothing can be written: the cancels go out all the same, and the end is waited for."""
    bench.venue.answer = lambda _: Accepted("V1", venue_order())
    bench.venue.book["V1"] = venue_order()
    settles_late(bench, [answer] * lost)
    trading = _trading(bench)

    async def main() -> None:
        await bench.desk.submit(approved(intent()))
        taken = _dead(bench)
        await trading.disconnect(bench.desk)
        _back(bench, taken)

    bench.run(main())
    assert [ref.venue_order_id for ref in bench.venue.cancels].count("V1") >= lost + 1
    assert bench.venue.book["V1"].state is OrderState.CANCELED
    assert trading.left_open() == []
    assert trading.live() == []


def test_without_a_journal_what_the_venue_does_not_end_is_left_open(bench: Bench) -> None:
    bench.venue.answer = lambda _: Accepted("V1", venue_order())
    bench.venue.book["V1"] = venue_order()
    bench.venue.cancel_answer = lambda _: Unknown("reset")
    trading = _trading(bench)

    async def main() -> float:
        await bench.desk.submit(approved(intent()))
        taken = _dead(bench)
        began = asyncio.get_running_loop().time()
        await trading.disconnect(bench.desk)
        _back(bench, taken)
        return asyncio.get_running_loop().time() - began

    assert bench.run(main()) < SETTLE_SECS + 1
    assert trading.left_open() == ["A"]
    assert trading.live() == ["A"]


@pytest.mark.parametrize(("sent", "listed", "is_mine"), LISTED)
def test_without_a_journal_an_order_without_an_answer_is_cancelled_where_it_turns_up(
    bench: Bench, sent: dict[str, Any], listed: dict[str, Any], is_mine: bool
) -> None:
    bench.venue.answer = lambda _: Unknown("timeout")
    settles_late(bench)
    trading = _trading(bench)

    async def main() -> None:
        await bench.desk.submit(approved(intent(**sent)))
        taken = _dead(bench)
        bench.venue.book = {"V7": venue_order("V7", **listed)}
        await trading.disconnect(bench.desk)
        _back(bench, taken)

    bench.run(main())
    assert [ref.venue_order_id for ref in bench.venue.cancels] == ["V7"] * is_mine
    assert bench.venue.book["V7"].state.is_terminal is is_mine
    assert trading.unresolved() == ["A"], "nothing could be written of it"


def test_without_a_journal_what_replaces_an_order_is_cancelled_where_it_turns_up(
    bench: Bench,
) -> None:
    bench.traits = msgspec.structs.replace(bench.traits, replace=True)
    bench.restart()
    bench.venue.answer = lambda _: Accepted("V1", venue_order())
    bench.venue.book["V1"] = venue_order()
    settles_late(bench)
    trading = _trading(bench)
    changed = intent(price=Decimal(99))

    async def main() -> None:
        await bench.desk.submit(approved(intent()))
        await bench.desk.replace(*approved(changed))
        taken = _dead(bench)
        bench.venue.book["V2"] = venue_order("V2", price=Decimal(99))
        await trading.disconnect(bench.desk)
        _back(bench, taken)

    bench.run(main())
    assert {ref.venue_order_id for ref in bench.venue.cancels} == {"V1", "V2"}
    assert {one.state for one in bench.venue.book.values()} == {OrderState.CANCELED}


def test_without_a_journal_an_id_that_is_another_orders_is_left_alone(bench: Bench) -> None:
    bench.venue.answer = lambda _: Accepted("V1", venue_order())
    bench.venue.book["V1"] = venue_order()
    trading = _trading(bench)

    async def main() -> None:
        await bench.desk.submit(approved(intent()))
        order = bench.desk.get("A")
        assert order is not None
        order.is_displaced = order.is_missing = True
        taken = _dead(bench)
        with contextlib.suppress(JournalError):
            await bench.desk.cancel(["A"])
        bench.venue.cancels.clear()
        await UnjournaledCancels(bench.venue, bench.traits, [INSTRUMENT]).end([order], 5.0)
        _back(bench, taken)

    bench.run(main())
    assert bench.venue.cancels == []
    assert trading.left_open() == []


def _trading(bench: Bench) -> Account:
    """Of the bench's desk."""

    async def release() -> None: ...

    def ignore(*_: object) -> None: ...

    adapter: Any = SimpleNamespace(orders=bench.venue, venue="TEST", capabilities=bench.traits)
    config: Any = SimpleNamespace(
        venues={},
        run=SimpleNamespace(on_stop="cancel"),
        execution=SimpleNamespace(settle_timeout_secs=SETTLE_SECS),
    )
    assert bench.journal is not None
    trading = Account(
        runtime=SimpleNamespace(  # type: ignore[arg-type]
            adapter=adapter,
            release=release,
            instruments=[INSTRUMENT],
            now_ns=lambda: 0,
        ),
        account="main",
        journal=bench.journal,
        approvals=SimpleNamespace(),  # type: ignore[arg-type]
        config=config,
        on_recovered=ignore,
        on_halt=ignore,
        on_sent=ignore,
        on_over=ignore,
    )
    trading.desk = bench.desk
    return trading
