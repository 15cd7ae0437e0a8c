"""The desk's promises, on virtual time: sent once, never guessed, booked once."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import msgspec
import pytest

from fairlead.engine.orders.journal import JournalError
from fairlead.engine.orders.model import (
    Absent,
    Accepted,
    CancelAccepted,
    CancelOutcome,
    CancelRefused,
    FindResult,
    Found,
    Intent,
    OrderRef,
    OrderState,
    Refused,
    Side,
    Unknown,
    Unsure,
    VenueBalance,
    VenueFill,
    VenueUnavailable,
)
from fairlead.engine.orders.reconcile import compare
from tests.support.approving import approved
from tests.unit.orders.conftest import INSTRUMENT, Bench, intent, venue_order


def test_accepted_order_is_filled_in_parts_with_exact_prices_and_fees(bench: Bench) -> None:
    bench.venue.answer = lambda _: Accepted("V1")
    first = venue_order(filled=Decimal("0.2"), avg_price=Decimal("99.5"))
    done = venue_order(filled=Decimal("0.5"), avg_price=Decimal("99.8"), state=OrderState.FILLED)

    async def main() -> None:
        bench.desk.start()
        await bench.desk.submit(approved(intent()))
        bench.venue.book["V1"] = first
        await asyncio.sleep(1.5)
        bench.venue.book["V1"] = done
        await asyncio.sleep(1.5)
        await bench.desk.stop(cancel_open=True)

    bench.run(main())
    assert bench.sink.names() == [
        "order_submitted",
        "order_accepted",
        "order_filled",
        "order_filled",
    ]
    fills: list[VenueFill] = [e[2][1] for e in bench.sink.events if e[0] == "order_filled"]
    assert [(f.quantity, f.price) for f in fills] == [
        (Decimal("0.2"), Decimal("99.5")),
        (Decimal("0.3"), Decimal("100.0")),
    ]
    assert {f.fee_currency for f in fills} == {"BTC"}
    position = bench.desk.journal.positions()[0]
    assert position.quantity == Decimal("0.5") - Decimal("0.0005")
    assert bench.venue.cancels == []


def test_lost_answer_is_looked_for_and_adopted_never_sent_again(bench: Bench) -> None:
    bench.venue.answer = lambda _: Unknown("timeout")
    looks = iter([Absent("page"), Unsure("503"), Found(venue_order("V7"))])
    bench.venue.look = lambda _: next(looks)

    async def main() -> None:
        await bench.desk.submit(approved(intent()))
        assert [o.state for o in bench.desk.unresolved()] == [OrderState.UNKNOWN]
        await asyncio.sleep(30)
        await bench.desk.stop(cancel_open=False)

    bench.run(main())
    assert len(bench.venue.creates) == 1
    assert bench.sink.names() == ["order_submitted", "order_accepted"]
    journaled = bench.desk.journal.order("A")
    assert journaled is not None
    assert journaled.venue_order_id == "V7"


def test_absence_is_proof_only_after_the_quarantine(bench: Bench) -> None:
    bench.venue.answer = lambda _: Unknown("timeout")
    refused_at: list[float] = []

    async def main() -> None:
        await bench.desk.submit(approved(intent()))
        while not refused_at:
            await asyncio.sleep(0.1)
            if "order_refused" in bench.sink.names():
                refused_at.append(asyncio.get_running_loop().time())

    bench.run(main())
    assert refused_at[0] >= 10.0
    assert len(bench.venue.creates) == 1
    code, message = bench.sink.events[-1][2][1:3]
    assert code == "ABSENT-PROVEN"
    assert "complete looks" in message


def test_a_look_that_began_early_proves_nothing_by_lasting_long(bench: Bench) -> None:
    """Its first page was read before the order can have come."""
    bench.venue.answer = lambda _: Unknown("timeout")
    bench.venue.look_secs = lambda: 9.0 if asyncio.get_running_loop().time() > 4 else 0.0
    began: list[float] = []

    def look(_: Intent) -> FindResult:
        began.append(asyncio.get_running_loop().time())
        return Absent("three pages")

    bench.venue.look = look

    async def main() -> None:
        await bench.desk.submit(approved(intent()))
        while "order_refused" not in bench.sink.names():
            await asyncio.sleep(0.1)

    bench.run(main())
    assert began[-1] - began[0] >= 10.0


def test_a_failed_look_starts_the_quarantine_anew(bench: Bench) -> None:
    bench.venue.answer = lambda _: Unknown("timeout")
    bench.venue.look = lambda _: (
        Unsure("page 2 failed")
        if 8 < asyncio.get_running_loop().time() < 9
        else Absent("three pages")
    )

    async def main() -> float:
        await bench.desk.submit(approved(intent()))
        while "order_refused" not in bench.sink.names():
            await asyncio.sleep(0.1)
        return asyncio.get_running_loop().time()

    assert bench.run(main()) > 18.0


def test_unproven_twin_is_refused_before_it_is_sent(bench: Bench) -> None:
    bench.venue.answer = lambda _: Unknown("timeout")

    async def main() -> None:
        await bench.desk.submit(approved(intent("A")))
        await bench.desk.submit(approved(intent("B")))
        await bench.desk.submit(approved(intent("C", price=Decimal("100.01"))))
        await bench.desk.stop(cancel_open=False)

    bench.run(main())
    assert [i.client_order_id for i in bench.venue.creates] == ["A", "C"]
    refused = [e for e in bench.sink.events if e[0] == "order_refused"]
    assert [(e[1], e[2][1]) for e in refused] == [("B", "DESK-UNPROVEN-TWIN")]


def test_used_id_is_refused_also_after_a_restart(bench: Bench) -> None:
    bench.venue.answer = lambda _: Refused("X-1", "no")

    async def main() -> None:
        await bench.desk.submit(approved(intent("A")))

    bench.run(main())
    bench.restart()
    bench.run(main())
    assert len(bench.venue.creates) == 1
    assert bench.sink.events[-1][2][1] == "DESK-DUPLICATE-ID"


def test_adapter_that_raises_leaves_the_order_unknown(bench: Bench) -> None:
    def broken(_: object) -> Accepted:
        raise KeyError("bug")

    bench.venue.answer = broken
    bench.venue.look = lambda _: Found(venue_order("V9"))

    async def main() -> None:
        await bench.desk.submit(approved(intent()))
        assert len(bench.desk.unresolved()) == 1
        await asyncio.sleep(5)
        assert not bench.desk.unresolved()
        await bench.desk.stop(cancel_open=False)

    bench.run(main())
    assert len(bench.venue.creates) == 1


def test_cancel_of_an_unknown_order_waits_for_its_proof(bench: Bench) -> None:
    bench.venue.answer = lambda _: Unknown("timeout")
    gone = venue_order("V1", state=OrderState.CANCELED)

    async def main() -> None:
        await bench.desk.submit(approved(intent()))
        for _ in range(3):
            await bench.desk.cancel(["A"])
        assert bench.venue.cancels == []
        bench.venue.look = lambda _: Found(venue_order("V1"))
        bench.venue.book["V1"] = gone
        await asyncio.sleep(5)
        bench.desk.start()
        await asyncio.sleep(5)
        await bench.desk.stop(cancel_open=False)

    bench.run(main())
    assert [r.venue_order_id for r in bench.venue.cancels] == ["V1"]
    assert bench.sink.names()[-1] == "order_canceled"
    assert bench.journal is not None
    assert [kind for _, _, kind, _ in bench.journal.story("A")].count("CANCEL") == 1


def test_refused_cancel_of_a_filled_order_ends_in_its_fill(bench: Bench) -> None:
    bench.venue.answer = lambda _: Accepted("V1")
    bench.venue.cancel_answer = lambda _: CancelRefused("2003", "cancel failed")
    bench.venue.book["V1"] = venue_order(
        filled=Decimal("0.5"), avg_price=Decimal("99"), state=OrderState.FILLED
    )

    async def main() -> None:
        await bench.desk.submit(approved(intent()))
        await bench.desk.cancel(["A"])

    bench.run(main())
    assert bench.sink.names() == ["order_submitted", "order_accepted", "order_filled"]


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([CancelRefused("2003", "not now")], "2003: not now"),
        ([CancelRefused("2003", "not now"), CancelAccepted()], ""),
        ([CancelRefused("2003", "not now"), Unknown("reset"), Unknown("reset")], ""),
    ],
)
def test_why_the_venue_refused_the_last_cancel_is_known(
    bench: Bench, answers: list[CancelOutcome], says: str
) -> None:
    bench.venue.answer = lambda _: Accepted("V1")
    bench.venue.book["V1"] = venue_order()
    left = list(answers)
    bench.venue.cancel_answer = lambda _: left.pop(0) if len(left) > 1 else left[0]

    async def main() -> str:
        await bench.desk.submit(approved(intent()))
        for _ in answers:
            await bench.desk.cancel(["A"])
        (order,) = bench.desk.live_orders()
        return str(order.cancel_refusal)

    assert bench.run(main()) == says


def test_lost_cancel_is_repeated_until_the_order_is_gone(bench: Bench) -> None:
    bench.venue.answer = lambda _: Accepted("V1")
    bench.venue.book["V1"] = venue_order()
    answers = iter([Unknown("reset"), Unknown("reset"), CancelAccepted()])
    bench.venue.cancel_answer = lambda _: next(answers)

    async def main() -> None:
        await bench.desk.submit(approved(intent()))
        await bench.desk.cancel(["A"])

    bench.run(main())
    assert len(bench.venue.cancels) == 3


def test_stale_state_never_moves_an_order_back(bench: Bench) -> None:
    bench.venue.answer = lambda _: Accepted("V1")

    async def main() -> None:
        await bench.desk.submit(approved(intent()))
        newer = venue_order(filled=Decimal("0.4"), avg_price=Decimal("99"))
        bench.desk.pushed_order(newer, None)
        bench.desk.pushed_order(venue_order(filled=Decimal("0.1"), avg_price=Decimal("99")), None)
        order = bench.desk.get("A")
        assert order is not None
        assert order.filled == Decimal("0.4")

    bench.run(main())
    assert bench.sink.names().count("order_filled") == 1


def test_pushed_trade_counts_once_and_true_twins_count_twice(bench: Bench) -> None:
    bench.traits = msgspec.structs.replace(
        bench.traits, client_order_ids=True, private_stream=True, reports_fills=True, replace=True
    )
    bench.restart()
    bench.venue.answer = lambda _: Accepted("V1")

    def trade(trade_id: str) -> VenueFill:
        return VenueFill(
            venue_order_id="V1",
            trade_id=trade_id,
            instrument=INSTRUMENT,
            side=Side.BUY,
            quantity=Decimal("0.1"),
            price=Decimal("100"),
            fee=Decimal("0.01"),
            fee_currency="USDT",
        )

    async def main() -> None:
        await bench.desk.submit(approved(intent()))
        for trade_id in ("t1", "t1", "t2", "t1"):
            filled = venue_order(filled=Decimal("0.2"), avg_price=Decimal("100"))
            bench.desk.pushed_order(filled, trade(trade_id))

    bench.run(main())
    assert bench.sink.names().count("order_filled") == 2
    assert bench.desk.journal.positions()[0].quantity == Decimal("0.2")


def test_restart_after_an_unjournaled_answer_adopts_the_order(bench: Bench) -> None:
    async def dies_before_the_answer() -> None:
        bench.desk.journal.intend([intent()])

    bench.run(dies_before_the_answer())
    bench.restart()
    bench.venue.look = lambda _: Found(
        venue_order("V3", filled=Decimal("0.1"), avg_price=Decimal(99))
    )

    async def recovers() -> None:
        bench.desk.adopt_journal()
        await bench.desk.recover(5)
        assert not bench.desk.unresolved()

    bench.run(recovers())
    assert bench.venue.creates == []
    assert bench.sink.names() == ["order_accepted", "order_filled"]


def test_comparison_names_external_and_late_orders(bench: Bench) -> None:
    bench.venue.answer = lambda _: Accepted("V1")

    async def main() -> list[str]:
        await bench.desk.submit(approved(intent()))
        bench.venue.book["V1"] = venue_order("V1", state=OrderState.CANCELED)
        await bench.desk.query("A")
        await asyncio.sleep(61)  # longer than a list may lag
        bench.venue.book = {"V1": venue_order("V1"), "X1": venue_order("X1", side=Side.SELL)}
        seen = await compare(bench.venue, bench.desk, [INSTRUMENT], bench.loop.now_ns)
        return [f.code for f in seen.findings]

    assert bench.run(main()) == ["ORDER-LATE", "ORDER-EXTERNAL"]


def test_nothing_is_sent_when_the_intent_cannot_be_journaled(bench: Bench) -> None:
    async def main() -> None:
        bench.desk.journal._db.execute("PRAGMA query_only = ON")
        with pytest.raises(JournalError, match="No order is sent without it"):
            await bench.desk.submit(approved(intent()))

    bench.run(main())
    assert bench.venue.creates == []


def test_halted_desk_creates_nothing_and_still_cancels(bench: Bench) -> None:
    bench.venue.answer = lambda _: Accepted("V1")

    async def main() -> None:
        await bench.desk.submit(approved(intent("A")))
        bench.desk._shared.halt("kill switch")
        await bench.desk.submit(approved(intent("B")))
        await bench.desk.cancel(["A"])

    bench.run(main())
    assert [i.client_order_id for i in bench.venue.creates] == ["A"]
    assert len(bench.venue.cancels) == 1
    assert bench.sink.events[-1][2][1] == "DESK-HALTED"


def test_two_of_the_same_that_both_come_late_are_both_taken_back(bench: Bench) -> None:
    """Sent again when the first was proven absent; which is which makes no difference."""
    bench.venue.answer = lambda _: Unknown("timeout")
    price = Decimal(100)
    came = (
        venue_order(
            "V1", price=price, state=OrderState.FILLED, filled=Decimal("0.5"), avg_price=price
        ),
        venue_order("V2", price=price),
    )

    async def give_up(cid: str) -> None:
        await bench.desk.submit(approved(intent(cid, price=price)))
        while bench.desk.unresolved():
            await asyncio.sleep(0.5)

    async def main() -> tuple[int, int]:
        await give_up("A")
        await give_up("B")
        bench.venue.look = lambda _: Unsure("2 fit", ambiguous=True, candidates=came)
        bench.venue.book = {one.venue_order_id: one for one in came}
        first = await bench.desk.look_for_late()
        bench.venue.look = lambda _: Absent("nothing new")
        again = await bench.desk.look_for_late()
        await asyncio.sleep(1)
        await bench.desk.stop(cancel_open=False)
        return first.found, again.found

    assert bench.run(main()) == (2, 0)
    journal = bench.desk.journal
    assert {journal.find("V1"), journal.find("V2")} == {"A", "B"}
    assert [ref.venue_order_id for ref in bench.venue.cancels] == ["V2"]
    found = [detail for name, _, detail in bench.sink.events if name == "finding"]
    assert [detail[0].code for detail in found] == ["ORDER-LATE", "ORDER-LATE"]


def test_more_than_were_given_up_are_nobodys(bench: Bench) -> None:
    bench.venue.answer = lambda _: Unknown("timeout")
    came = tuple(venue_order(f"V{n}") for n in (1, 2))

    async def main() -> int:
        await bench.desk.submit(approved(intent("A")))
        while bench.desk.unresolved():
            await asyncio.sleep(0.5)
        bench.venue.look = lambda _: Unsure("2 fit", ambiguous=True, candidates=came)
        look = await bench.desk.look_for_late()
        await bench.desk.stop(cancel_open=False)
        return look.found

    assert bench.run(main()) == 0
    assert bench.venue.cancels == []


@pytest.mark.parametrize("is_away", [False, True])
def test_a_stop_tells_what_its_cancels_made_of_the_balances(bench: Bench, is_away: bool) -> None:
    """The last word on an account is of after the last order, where the venue still answers."""
    bench.venue.answer = lambda _: Accepted("V1", venue_order())
    bench.venue.book["V1"] = venue_order()

    def cancelled(_: OrderRef) -> CancelOutcome:
        bench.venue.book["V1"] = venue_order(state=OrderState.CANCELED)
        return CancelAccepted()

    async def balances() -> list[VenueBalance]:
        held = Decimal(0 if bench.venue.book["V1"].state.is_terminal else 7)
        if is_away and not held:
            raise VenueUnavailable("AWAY", "no answer")
        return [VenueBalance(currency="USDT", free=Decimal(1000) - held, locked=held)]

    bench.venue.cancel_answer = cancelled
    bench.venue.balances = balances  # type: ignore[method-assign]

    async def main() -> None:
        await bench.desk.submit(approved(intent()))
        bench.desk.start()
        await asyncio.sleep(0.1)
        assert await bench.desk.stop(cancel_open=True) == []

    bench.run(main())
    told = [subject for name, _, (subject, *_) in bench.sink.events if name == "balances"]
    assert [one[0].locked for one in told] == ([7] if is_away else [7, 0])


def test_a_balance_is_of_when_it_was_asked_for(bench: Bench) -> None:
    """What is filled while the answer is under way may not be in it, and counts beside it."""

    async def balances() -> list[VenueBalance]:
        await asyncio.sleep(1)
        return []

    bench.venue.balances = balances  # type: ignore[method-assign]
    asked_ns = bench.loop.now_ns()

    async def main() -> None:
        bench.desk.start()
        await asyncio.sleep(1.5)

    bench.run(main())
    told = [detail for name, _, detail in bench.sink.events if name == "balances"]
    assert told[0][1] < asked_ns + 1_000_000_000


def test_a_stop_that_keeps_orders_books_what_they_have_filled(bench: Bench) -> None:
    bench.venue.answer = lambda _: Accepted("V1")
    bench.venue.book["V1"] = venue_order()

    async def main() -> None:
        await bench.desk.submit(approved(intent()))
        bench.venue.book["V1"] = venue_order(
            filled=Decimal("0.5"), avg_price=Decimal(100), state=OrderState.FILLED
        )
        await bench.desk.stop(cancel_open=False)

    bench.run(main())
    assert bench.sink.names()[-1] == "order_filled"
