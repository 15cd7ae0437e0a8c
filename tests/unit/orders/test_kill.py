"""The desk under a kill, and what `fairlead kill` does with a journal that it does not hold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.engine.kill.account import Market, Markets
from fairlead.engine.kill.flatten import Closed, Flattener, KillJournal, KillSink
from fairlead.engine.kill.sweep import EXTERNAL, Sweep, SweptOrder
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.lock import FlattenLock
from fairlead.engine.orders.model import (
    Absent,
    Accepted,
    CancelAccepted,
    CancelRefused,
    Found,
    Intent,
    Kind,
    OrderRef,
    OrderState,
    Outcome,
    Side,
    Unsure,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenueUnavailable,
)
from fairlead.engine.orders.reconcile import compare
from tests.support.approving import approved
from tests.unit.orders.conftest import INSTRUMENT, Bench, intent, venue_order

D = Decimal
MARKET = Market(
    base="BTC", quote="USDT", step=D("0.001"), min_quantity=D("0.001"), tick=D("0.1"), is_cash=False
)


# -- the desk ----------------------------------------------------------------------------------


def test_a_kill_between_journal_and_send_stops_the_order_unsent(bench: Bench) -> None:
    bench.venue.answer = lambda _: Accepted("V1")
    journal = bench.journal
    assert journal is not None
    bench.killed = lambda one: "kill" if journal.order(one.client_order_id) else None
    bench.run(bench.desk.submit(approved(intent("A"))))
    assert bench.venue.creates == []
    assert bench.desk.live_orders() == []
    order = journal.order("A")
    assert order is not None
    assert order.state is OrderState.REFUSED
    (refused,) = [e for e in bench.sink.events if e[0] == "order_refused"]
    assert refused[2][1] == "DESK-KILLED"


def test_a_kill_between_two_batches_stops_the_second(bench: Bench) -> None:
    bench.venue.answer = lambda one: Accepted("V" + one.client_order_id)
    bench.killed = lambda _: "kill switch" if bench.venue.creates else None
    intents = [intent(str(n), price=D(100 + n)) for n in range(15)]
    bench.run(bench.desk.submit(approved(*intents)))
    assert [one.client_order_id for one in bench.venue.creates] == [str(n) for n in range(10)]
    assert len(bench.desk.live_orders()) == 10


def test_cancels_pass_a_kill(bench: Bench) -> None:
    bench.venue.answer = lambda _: Accepted("V1")

    async def main() -> None:
        await bench.desk.submit(approved(intent("A")))
        bench.killed = lambda _: "kill switch"
        await bench.desk.cancel(["A"])

    bench.run(main())
    assert [ref.venue_order_id for ref in bench.venue.cancels] == ["V1"]


# -- the sweep ---------------------------------------------------------------------------------


def _journal(bench: Bench, *strategies: str) -> None:
    """One order of each strategy, accepted; and the venue has them."""
    assert bench.journal is not None
    for number, strategy in enumerate(strategies):
        one = intent(f"C{number}", strategy=strategy, price=D(100 + number))
        bench.journal.intend([one])
        bench.journal.accepted(f"C{number}", f"V{number}", instrument=INSTRUMENT)
        bench.venue.book[f"V{number}"] = venue_order(f"V{number}", price=D(100 + number))


def _cancelling(bench: Bench) -> Callable[[OrderRef], Any]:
    """The venue cancels what is asked for."""

    def answer(ref: OrderRef) -> Any:
        void = ref.venue_order_id or ""
        bench.venue.book[void] = msgspec.structs.replace(
            bench.venue.book[void], state=OrderState.CANCELED
        )
        return CancelAccepted()

    return answer


def _sweep(
    bench: Bench, *, only: str | None = None, secs: float = 20.0
) -> tuple[bool, dict[str, SweptOrder], Sweep]:
    """Run a sweep on a journal that is only read; gives whether nothing is left, and reports."""
    reading = Journal.reading(bench.path)
    done: list[SweptOrder] = []
    sweep = Sweep(
        venue=bench.venue,
        journal=reading,
        instruments=[INSTRUMENT],
        covers=lambda strategy: only in (None, strategy),
        whole_account=only is None,
        batch_max=10,
        quarantine_secs=5.0,
        on_done=done.append,
    )

    async def main() -> bool:
        sweep.read_journal()
        await sweep.cancel()
        return await sweep.finish(asyncio.get_running_loop().time() + secs)

    clean = bench.run(main())
    reports = {r.venue_order_id or r.client_order_id: r for r in sweep.reports()}
    assert {r.venue_order_id for r in done} <= reports.keys()
    reading.close()
    return clean, reports, sweep


def test_everything_goes_what_others_sent_too(bench: Bench) -> None:
    _journal(bench, "S-1", "S-2")
    bench.venue.book["X"] = venue_order("X", price=D(55))
    bench.venue.cancel_answer = _cancelling(bench)
    clean, reports, _ = _sweep(bench)
    assert clean
    assert {(k, r.strategy, r.is_left) for k, r in reports.items()} == {
        ("V0", "S-1", False),
        ("V1", "S-2", False),
        ("X", EXTERNAL, False),
    }


def test_a_strategy_goes_alone(bench: Bench) -> None:
    _journal(bench, "S-1", "S-2")
    bench.venue.book["X"] = venue_order("X", price=D(55))
    bench.venue.cancel_answer = _cancelling(bench)
    clean, reports, _ = _sweep(bench, only="S-2")
    assert clean
    assert reports.keys() == {"V1"}
    assert {ref.venue_order_id for ref in bench.venue.cancels} == {"V1"}


def test_an_order_that_was_on_the_wire_turns_up_and_goes(bench: Bench) -> None:
    """Journaled, sent, and the run hung before the answer: the venue's list shows it."""
    assert bench.journal is not None
    bench.journal.intend([intent("A")])
    bench.venue.cancel_answer = _cancelling(bench)
    looks = 0

    def appear(_: Intent) -> Any:
        nonlocal looks
        looks += 1
        if looks == 2:
            bench.venue.book["V9"] = venue_order("V9")
        return Absent("not yet")

    bench.venue.look = appear
    clean, reports, _ = _sweep(bench)
    assert clean
    assert reports["V9"].client_order_id == "A"
    assert not reports["V9"].is_left


def test_a_lost_order_is_given_up_only_after_lasting_absence(bench: Bench) -> None:
    assert bench.journal is not None
    bench.journal.intend([intent("A")])
    clean, reports, _ = _sweep(bench, secs=4.0)  # shorter than the quarantine
    assert not clean
    assert reports["A"].is_left
    clean, reports, _ = _sweep(bench, secs=20.0)
    assert clean
    assert not reports["A"].is_left
    bench.venue.look = lambda _: Unsure("can't tell")
    clean, reports, _ = _sweep(bench, secs=20.0)
    assert not clean


def test_a_look_that_lasts_gives_no_lost_order_up(bench: Bench) -> None:
    """What comes after its first page was read is in none of its pages."""
    assert bench.journal is not None
    bench.journal.intend([intent("A")])
    began: list[float] = []

    def look(_: Intent) -> Any:
        began.append(asyncio.get_running_loop().time())
        return Absent("two pages")

    bench.venue.look = look
    bench.venue.look_secs = lambda: 4.5 if began[-1] > began[0] + 2 else 0.0
    clean, _, _ = _sweep(bench, secs=30.0)
    assert clean
    assert began[-1] - began[0] >= 5.0


def test_what_was_lost_and_filled_counts_as_filled(bench: Bench) -> None:
    assert bench.journal is not None
    bench.journal.intend([intent("A")])
    filled = venue_order("V9", state=OrderState.FILLED, filled=D("0.5"), avg_price=D(100))
    bench.venue.look = lambda _: Found(filled)
    clean, reports, sweep = _sweep(bench)
    assert clean
    assert reports["V9"].state is OrderState.FILLED
    assert sweep.filled() == {"A": D("0.5")}


def test_what_cannot_be_cancelled_is_left_and_named(bench: Bench) -> None:
    _journal(bench, "S-1")
    bench.venue.cancel_answer = lambda _: CancelRefused("T-1", "not now")
    clean, reports, _ = _sweep(bench, secs=5.0)
    assert not clean
    assert reports["V0"].is_left
    assert "T-1" in reports["V0"].detail
    assert len(bench.venue.cancels) >= 4, "asked again each second"


@pytest.mark.parametrize("end", [OrderState.FILLED, OrderState.EXPIRED])
def test_what_ended_by_itself_is_not_told_with_why_no_cancel_was_taken(
    bench: Bench, end: OrderState
) -> None:
    _journal(bench, "S-1")

    def refuses(ref: OrderRef) -> CancelRefused:
        was = bench.venue.book["V0"]
        bench.venue.book["V0"] = msgspec.structs.replace(was, state=end)
        return CancelRefused("T-1", "the venue can't cancel one order")

    bench.venue.cancel_answer = refuses
    clean, reports, _ = _sweep(bench)
    assert clean
    assert (reports["V0"].state, reports["V0"].detail) == (end, "")


def test_a_venue_that_cannot_be_read_proves_nothing(bench: Bench) -> None:
    _journal(bench, "S-1")
    bench.venue.cancel_answer = _cancelling(bench)

    async def unreadable(instruments: Sequence[str]) -> list[VenueOrder]:
        raise VenueUnavailable("T-DOWN", "no answer")

    bench.venue.open_orders = unreadable  # type: ignore[method-assign]
    clean, reports, sweep = _sweep(bench, secs=3.0)
    assert not clean
    assert "T-DOWN" in sweep.problem
    assert bench.venue.cancels, "cancels go out all the same"
    assert reports["V0"].is_left


def test_an_order_left_out_of_every_list_is_gone_in_the_end(bench: Bench) -> None:
    _journal(bench, "S-1")
    bench.venue.book.clear()
    clean, reports, _ = _sweep(bench)
    assert clean
    assert "not listed" in reports["V0"].detail


def test_a_journal_that_is_only_read_takes_no_writes(bench: Bench) -> None:
    reading = Journal.reading(bench.path)
    with pytest.raises(JournalError):
        reading.intend([intent("A")])
    reading.close()


def test_a_journal_that_is_damaged_says_so(tmp_path: Path) -> None:
    (tmp_path / "bad.sqlite").write_bytes(b"no journal at all" * 1000)
    with pytest.raises(JournalError, match="can't be read"):
        Journal.reading(tmp_path / "bad.sqlite")


# -- flatten -----------------------------------------------------------------------------------


def _fill(cid: str, quantity: str, **changes: Any) -> VenueFill:
    fields: dict[str, Any] = dict(
        venue_order_id=f"V{cid}",
        trade_id=f"T{cid}",
        instrument=INSTRUMENT,
        side=Side.BUY,
        quantity=D(quantity),
        price=D(100),
        fee=D(0),
        fee_currency="USDT",
    )
    return VenueFill(**(fields | changes))


def _hold(bench: Bench, cid: str, quantity: str, **changes: Any) -> None:
    """An order of the run that is filled and booked."""
    assert bench.journal is not None
    one = intent(cid, quantity=D(quantity), **changes)
    bench.journal.intend([one])
    bench.journal.accepted(cid, f"V{cid}", instrument=INSTRUMENT)
    bench.journal.fill(one, _fill(cid, quantity, side=one.side), D(0))
    bench.journal.state(cid, OrderState.FILLED)


def _fills_at_once(bench: Bench) -> Callable[[Intent], Outcome]:
    def answer(one: Intent) -> Outcome:
        void = f"K{len(bench.venue.creates)}"
        state = venue_order(
            void,
            side=one.side,
            kind=one.kind,
            quantity=one.quantity,
            filled=one.quantity,
            avg_price=D(100),
            state=OrderState.FILLED,
            price=one.price,
        )
        bench.venue.book[void] = state
        return Accepted(void, state)

    return answer


def _flatten(
    bench: Bench,
    *,
    only: str | None = None,
    covers: Callable[[str], bool] | None = None,
    unbooked: dict[str, Decimal] | None = None,
    market: Market = MARKET,
    secs: float = 60.0,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Closed]:
    """Flatten from a second connection to the journal, as `fairlead kill` does."""
    journal = KillJournal(bench.path, fsync=False, now_ns=bench.loop.now_ns)
    desk = bench.make_desk(journal)
    ids = iter(f"KILL{n}-{id(journal)}" for n in range(100))

    async def touch(_: str) -> tuple[Decimal, Decimal]:
        return D("99.9"), D("100.1")

    async def main() -> list[Closed]:
        desk.start()
        flattener = Flattener(
            venue=bench.venue,
            journal=journal,
            desk=desk,
            markets=Markets({INSTRUMENT: market}, touch),
            covers=covers or (lambda strategy: only in (None, strategy)),
            collar=D("0.05"),
            new_id=lambda: next(ids),
            now_ns=bench.loop.now_ns,
            tell=tell,
            unbooked=unbooked,
        )
        try:
            return await flattener.run(asyncio.get_running_loop().time() + secs)
        finally:
            await desk.abandon()

    try:
        return bench.run(main())
    finally:
        journal.close()


def _positions(bench: Bench) -> dict[str, Decimal]:
    assert bench.journal is not None
    return {p.strategy: p.quantity for p in bench.journal.positions()}


def test_the_net_position_is_closed_once(bench: Bench) -> None:
    _hold(bench, "A", "0.5")
    _hold(bench, "B", "0.2", strategy="S-2", side=Side.SELL)
    bench.venue.answer = _fills_at_once(bench)
    (closed,) = _flatten(bench)
    assert (closed.before, closed.left, closed.is_flat) == (D("0.3"), 0, True)
    (sent,) = bench.venue.creates
    assert (sent.side, sent.kind, sent.quantity) == (Side.SELL, Kind.MARKET, D("0.3"))
    assert sent.strategy == KILL_STRATEGY
    assert not any(_positions(bench).values())
    assert _flatten(bench) == []
    assert len(bench.venue.creates) == 1


@pytest.mark.parametrize("frozen", ["submit", "balances"])
def test_a_flatten_ends_when_its_time_is_over(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, frozen: str
) -> None:
    """The venue answers nothing more: what went out is not sent again, the rest is given back."""

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    _hold(bench, "A", "0.5")
    monkeypatch.setattr(bench.venue, frozen, never)
    (closed,) = _flatten(bench, secs=3.0, market=msgspec.structs.replace(MARKET, is_cash=True))
    assert (closed.before, closed.left, closed.is_flat) == (D("0.5"), D("0.5"), False)
    if frozen == "submit":
        assert closed.detail.endswith(" is not proven to be over")
        assert _positions(bench) == {"S-1": D(0), KILL_STRATEGY: D("0.5")}
    else:
        assert closed.detail == "no time was left"
        assert _positions(bench) == {"S-1": D("0.5"), KILL_STRATEGY: D(0)}


def test_a_closing_order_is_said_to_be_sent_when_it_is() -> None:
    told: list[str] = []
    sink, one = KillSink(told.append), intent("A", side=Side.SELL, quantity=D("0.5"))
    sink.order_submitted(one)
    sink.order_refused(one, "X-RATE-BUDGET", "not sent: no room", 0)
    assert told == [f"{INSTRUMENT} SELL 0.5 to close was refused: X-RATE-BUDGET: not sent: no room"]
    told.clear()
    sink.order_submitted(one)
    sink.order_accepted(one, "V1", 0)
    assert told == [f"{INSTRUMENT} SELL 0.5 sent to close: the venue has it as V1"]


def test_one_strategy_is_closed_and_no_other(bench: Bench) -> None:
    _hold(bench, "A", "0.5")
    _hold(bench, "B", "0.2", strategy="S-2")
    bench.venue.answer = _fills_at_once(bench)
    (closed,) = _flatten(bench, only="S-2")
    assert closed.is_flat
    assert [one.quantity for one in bench.venue.creates] == [D("0.2")]
    assert _positions(bench) == {"S-1": D("0.5"), "S-2": D(0), KILL_STRATEGY: D(0)}


def test_nothing_is_sent_twice_while_an_outcome_is_unknown(bench: Bench) -> None:
    _hold(bench, "A", "0.5")
    (closed,) = _flatten(bench)  # the answer is lost
    assert not closed.is_flat
    assert closed.detail.startswith("its closing order KILL0-")
    assert closed.detail.endswith(" is not proven to be over")
    assert len(bench.venue.creates) == 1
    assert bench.journal is not None
    (order,) = [o for o in bench.journal.open_orders() if o.intent.strategy == KILL_STRATEGY]
    assert order.state is OrderState.UNKNOWN, "a durable intent, for the next start to prove"


def test_a_venue_without_market_orders_gets_a_limit_through_the_touch(bench: Bench) -> None:
    _hold(bench, "A", "0.5")
    bench.venue.answer = _fills_at_once(bench)
    (closed,) = _flatten(bench, market=msgspec.structs.replace(MARKET, has_market_orders=False))
    assert closed.is_flat
    (sent,) = bench.venue.creates
    assert (sent.kind, sent.price) == (Kind.LIMIT, D("94.9"))


def test_no_more_is_sold_than_the_account_has(bench: Bench) -> None:
    _hold(bench, "A", "0.5")
    bench.venue.answer = _fills_at_once(bench)

    async def balances() -> list[VenueBalance]:
        return [VenueBalance(currency="BTC", free=D("0.4996"), locked=D(0))]

    bench.venue.balances = balances  # type: ignore[method-assign]
    _flatten(bench, market=msgspec.structs.replace(MARKET, is_cash=True))
    assert bench.venue.creates[0].quantity == D("0.499")


def test_what_the_venues_minimum_forbids_is_left_alone(bench: Bench) -> None:
    _hold(bench, "A", "0.05")  # at 99.9: 4.995 USDT
    bench.venue.answer = _fills_at_once(bench)
    small = msgspec.structs.replace(MARKET, min_notional=D(5))
    (closed,) = _flatten(bench, market=small)
    assert bench.venue.creates == []
    assert (closed.left, closed.is_flat) == (D("0.05"), True)
    assert closed.detail == "0.05 stays: the venue takes no order below 5 USDT"
    _hold(bench, "B", "0.001")  # together they are enough
    (closed,) = _flatten(bench, market=small)
    assert [one.quantity for one in bench.venue.creates] == [D("0.051")]
    assert (closed.left, closed.is_flat) == (D(0), True)


def test_a_free_balance_below_the_minimum_is_not_sold_and_not_flat(bench: Bench) -> None:
    _hold(bench, "A", "0.5")

    async def balances() -> list[VenueBalance]:
        return [VenueBalance(currency="BTC", free=D("0.02"), locked=D(0))]

    bench.venue.balances = balances  # type: ignore[method-assign]
    small = msgspec.structs.replace(MARKET, is_cash=True, min_notional=D(5))
    (closed,) = _flatten(bench, market=small)
    assert bench.venue.creates == []
    assert (closed.left, closed.is_flat) == (D("0.5"), False)
    assert "less BTC free" in closed.detail


def test_dust_is_flat(bench: Bench) -> None:
    _hold(bench, "A", "0.0004")
    (closed,) = _flatten(bench)
    assert closed.is_flat
    assert bench.venue.creates == []


def test_one_process_flattens_at_a_time(tmp_path: Path) -> None:
    first, second = FlattenLock(tmp_path / "lock"), FlattenLock(tmp_path / "lock")
    assert first.take()
    assert not second.take()
    first.free()
    assert second.take()
    second.free()


def test_a_closing_order_of_another_process_is_not_late(bench: Bench) -> None:
    """A running engine that sees KILL's order at the venue leaves it alone."""
    assert bench.journal is not None
    bench.journal.intend([intent("K", strategy=KILL_STRATEGY)])
    bench.journal.accepted("K", "VK", instrument=INSTRUMENT)
    bench.venue.book["VK"] = venue_order("VK")
    seen = bench.run(compare(bench.venue, bench.desk, [INSTRUMENT], bench.loop.now_ns))
    assert seen.findings == ()
    assert seen.late == ()
