"""A venue that lost its orders, or counts anew: nothing is dropped, doubled or guessed."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import (
    Accepted,
    CancelOutcome,
    CancelRefused,
    Finding,
    Found,
    Intent,
    OrderRef,
    OrderState,
    Outcome,
    Unknown,
    VenueFill,
    VenueOrder,
    VenueUnavailable,
)
from fairlead.engine.orders.reconcile import compare
from fairlead.engine.orders.resolve import require_forgotten
from tests.support.approving import approved
from tests.unit.orders.conftest import INSTRUMENT, Bench, intent, venue_order

NOT_FOUND = CancelRefused("TEST-NOT-FOUND", "the order does not exist")
LONG_SECS = 60  # beyond any quarantine


def findings(bench: Bench, code: str) -> list[Finding]:
    told = [event[2][0] for event in bench.sink.events if event[0] == "finding"]
    return [one for one in told if one.code == code]


def execution(cid: str, trade_id: str, void: str = "V1", quantity: str = "0.1") -> VenueFill:
    return VenueFill(
        venue_order_id=void,
        trade_id=trade_id,
        instrument=INSTRUMENT,
        side=intent().side,
        quantity=Decimal(quantity),
        price=Decimal(100),
        fee=Decimal(0),
        fee_currency="USDT",
        client_order_id=cid,
    )


def ledger(bench: Bench) -> Journal:
    assert bench.journal is not None
    return bench.journal


# -- ids given again ---------------------------------------------------------------------------


def test_a_trade_id_told_of_another_order_is_an_execution_of_its_own(bench: Bench) -> None:
    journal = ledger(bench)
    names = ["A", "B", "C"]
    journal.intend([intent(name) for name in names])
    for _ in range(2):  # a repeat of each is ignored
        for name in names:
            journal.fill(intent(name), execution(name, "T1"), Decimal(0))
    assert [[f.trade_id for f in journal.fills_of(name)] for name in names] == [
        ["T1"],
        ["T1~2"],
        ["T1~3"],
    ]
    assert journal.positions()[0].quantity == Decimal("0.3")
    assert journal.problems() == []


def test_executions_of_a_venue_that_counts_anew_are_booked_and_told(bench: Bench) -> None:
    """The whole life of an order, twice under the same venue order and trade ids."""
    bench.venue.answer = lambda _: Accepted("V1")
    done = venue_order(filled=Decimal("0.5"), avg_price=Decimal(100), state=OrderState.FILLED)

    async def life(name: str) -> None:
        bench.venue.book.clear()
        bench.desk.adopt_journal()
        bench.desk.start()
        await bench.desk.submit(approved(intent(name)))
        bench.venue.book["V1"] = done
        await asyncio.sleep(3)
        await bench.desk.stop(cancel_open=False)

    bench.run(life("A"))
    assert findings(bench, "VENUE-ID-REUSED") == []
    bench.restart()
    bench.run(life("B"))
    for name in ("A", "B"):
        journaled = ledger(bench).order(name)
        assert journaled is not None
        assert (journaled.state, journaled.filled) == (OrderState.FILLED, Decimal("0.5"))
    assert ledger(bench).order_by_venue_id(INSTRUMENT, "V1") == "B"
    assert "order_filled" in bench.sink.names()
    (told,) = findings(bench, "VENUE-ID-REUSED")
    assert (told.subject, told.journal) == ("V1", "of A, FILLED")
    assert ledger(bench).problems() == []


def test_an_open_order_whose_id_is_anothers_by_now_is_never_fed_nor_cancelled(
    bench: Bench,
) -> None:
    bench.venue.answer = lambda _: Accepted("V1")

    async def main() -> None:
        bench.desk.start()
        await bench.desk.submit(approved(intent("A")))
        await bench.desk.submit(approved(intent("B")))  # the venue was reset in between
        await bench.desk.cancel(["A"])
        bench.venue.book["V1"] = venue_order(
            filled=Decimal("0.5"), avg_price=Decimal(100), state=OrderState.FILLED
        )
        await asyncio.sleep(5)

    bench.run(main())
    assert bench.venue.cancels == []
    assert [o.intent.client_order_id for o in bench.desk.missing()] == ["A"]
    assert ledger(bench).positions()[0].quantity == Decimal("0.5") - Decimal("0.0005")
    (told,) = findings(bench, "ORDER-FORGOTTEN")
    assert told.subject == "A"

    bench.restart()

    async def again() -> None:
        bench.desk.adopt_journal()
        await bench.desk.recover(5)
        order = ledger(bench).order("A")
        assert order is not None
        await require_forgotten(bench.venue, ledger(bench), order)  # what has its id is not it

    bench.run(again())
    assert [o.intent.client_order_id for o in bench.desk.missing()] == ["A"]
    assert len(findings(bench, "ORDER-FORGOTTEN")) == 1


@pytest.mark.parametrize("names", [True, False])
def test_what_has_the_id_of_a_lost_order_is_not_taken_for_it(bench: Bench, names: bool) -> None:
    """Polled before the answer to the new order has come."""
    bench.venue.answer = lambda one: Accepted("V1") if one.client_order_id == "A" else Unknown("-")
    new = venue_order(
        quantity=Decimal("0.7"),
        client_order_id="B" if names else None,
        filled=Decimal("0.5"),
        avg_price=Decimal(99),
    )
    bench.venue.look = lambda one: Found(new)

    async def main() -> None:
        bench.desk.start()
        await bench.desk.submit(approved(intent("A")))
        bench.venue.book["V1"] = new
        await bench.desk.submit(approved(intent("B", quantity=Decimal("0.7"))))
        await bench.desk.query("A")
        order = bench.desk.get("A")
        assert order is not None
        assert order.filled == 0
        await asyncio.sleep(3)

    bench.run(main())
    assert [len(ledger(bench).fills_of(name)) for name in ("A", "B")] == [0, 1]


def test_a_listed_order_is_whose_client_order_id_it_bears(bench: Bench) -> None:
    """The id was of an order that has ended: what has it now is not a late one of that."""
    bench.venue.answer = lambda one: Accepted("V1") if one.client_order_id == "A" else Unknown("-")

    async def main() -> list[str]:
        await bench.desk.submit(approved(intent("A")))
        bench.venue.book["V1"] = venue_order(state=OrderState.CANCELED)
        await bench.desk.query("A")
        await asyncio.sleep(61)
        bench.venue.book["V1"] = venue_order(client_order_id="B")
        sent = asyncio.ensure_future(bench.desk.submit(approved(intent("B"))))
        await asyncio.sleep(0)
        seen = await compare(bench.venue, bench.desk, [INSTRUMENT], bench.loop.now_ns)
        await sent
        return [f.code for f in seen.findings]

    assert bench.run(main()) == []


# -- orders lost -------------------------------------------------------------------------------


def lost(bench: Bench) -> None:
    """Two orders are accepted, and then the venue knows nothing of them."""
    answers = iter(("V1", "V2", "V3"))
    bench.venue.answer = lambda _: Accepted(next(answers))
    bench.venue.cancel_answer = lambda _: NOT_FOUND


def test_a_lost_order_is_looked_for_said_once_and_never_cancelled_again(bench: Bench) -> None:
    lost(bench)

    async def main() -> list[str]:
        bench.desk.start()
        await bench.desk.submit(approved(intent("A"), intent("B", price=Decimal(99))))
        for _ in range(LONG_SECS):
            await bench.desk.cancel(["A"])
            await asyncio.sleep(1)
        left = [o.intent.client_order_id for o in bench.desk.missing()]
        await bench.desk.stop(cancel_open=True)
        return left

    assert bench.run(main()) == ["A", "B"]
    assert len(bench.venue.cancels) == 1
    assert [f.subject for f in findings(bench, "ORDER-FORGOTTEN")] == ["A", "B"]
    assert "fairlead resolve A --gone" in findings(bench, "ORDER-FORGOTTEN")[0].action
    assert bench.sink.names().count("cancel_refused") == 1
    for name in ("A", "B"):
        journaled = ledger(bench).order(name)
        assert journaled is not None
        assert journaled.state is OrderState.OPEN


def test_an_order_told_again_is_cancelled_as_it_was_asked(bench: Bench) -> None:
    """A venue that lags: the first cancel is refused, as it does not know the order yet."""
    lost(bench)

    def cancelled(ref: OrderRef) -> CancelOutcome:
        found = bench.venue.book.get(ref.venue_order_id or "")
        if found is None:
            return NOT_FOUND
        bench.venue.book["V1"] = venue_order(state=OrderState.CANCELED)
        return CancelRefused("TEST-DONE", "already")

    bench.venue.cancel_answer = cancelled

    async def main() -> None:
        await bench.desk.submit(approved(intent("A")))
        await bench.desk.cancel(["A"])
        await asyncio.sleep(2)
        bench.venue.book["V1"] = venue_order()
        await asyncio.sleep(6)

    bench.run(main())
    assert len(bench.venue.cancels) == 2
    assert bench.sink.names()[-1] == "order_canceled"
    assert findings(bench, "ORDER-FORGOTTEN") == []
    assert "cancel_refused" not in bench.sink.names()


def test_a_forgotten_order_that_comes_back_goes_on(bench: Bench) -> None:
    lost(bench)

    async def main() -> None:
        bench.desk.start()
        await bench.desk.submit(approved(intent("A")))
        await asyncio.sleep(LONG_SECS)
        assert bench.desk.missing()
        bench.venue.book["V1"] = venue_order(
            filled=Decimal("0.5"), avg_price=Decimal(100), state=OrderState.FILLED
        )
        await asyncio.sleep(3)

    bench.run(main())
    assert bench.desk.missing() == []
    assert bench.sink.names()[-1] == "order_filled"


def test_looks_that_could_not_be_read_prove_nothing(bench: Bench) -> None:
    lost(bench)

    async def unreadable(_: object) -> list[VenueOrder]:
        raise VenueUnavailable("TEST-AWAY", "no answer")

    async def main() -> None:
        await bench.desk.submit(approved(intent("A")))
        bench.venue.open_orders = unreadable  # type: ignore[method-assign]
        await bench.desk.cancel(["A"])
        await asyncio.sleep(LONG_SECS)
        (order,) = bench.desk.missing()
        assert not order.is_forgotten
        del bench.venue.open_orders  # type: ignore[method-assign]
        await asyncio.sleep(LONG_SECS)
        assert order.is_forgotten

    bench.run(main())
    assert len(bench.venue.cancels) == 1


def test_where_client_ids_are_kept_the_history_is_asked_too(bench: Bench) -> None:
    """What it tells is the order's end, though it is told by neither its id nor the open list."""
    made = Bench(bench.path.with_name("named.sqlite"), client_order_ids=True)
    lost(made)
    ended = venue_order(
        filled=Decimal("0.5"),
        avg_price=Decimal(100),
        state=OrderState.FILLED,
        client_order_id="A",
    )

    def answer(one: Intent) -> Outcome:
        made.venue.look = lambda _: Found(ended)
        return Accepted("V1")

    made.venue.answer = answer

    async def main() -> None:
        await made.desk.submit(approved(intent("A")))
        await made.desk.cancel(["A"])
        await asyncio.sleep(2)

    made.run(main())
    assert made.sink.names()[-1] == "order_filled"
    assert len(made.venue.cancels) == 1


def test_a_start_looks_for_what_the_venue_leaves_out(bench: Bench) -> None:
    lost(bench)

    async def first() -> None:
        await bench.desk.submit(approved(intent("A")))

    bench.run(first())
    bench.restart()

    async def second() -> None:
        bench.desk.adopt_journal()
        await bench.desk.recover(20)

    bench.run(second())
    assert [o.intent.client_order_id for o in bench.desk.missing()] == ["A"]
    assert len(findings(bench, "ORDER-FORGOTTEN")) == 1
