"""A kill takes over what it is to close; what it does not close is its strategy's again."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.model import Accepted, Intent, Kind, OrderState, Outcome, Refused, Side
from fairlead.engine.orders.taken_over import SETTLED, give_all_back, give_back
from tests.unit.orders.conftest import INSTRUMENT, Bench, intent, venue_order
from tests.unit.orders.test_kill import MARKET, _fill, _fills_at_once, _flatten, _hold, _positions

D = Decimal
LEAST = D("0.001")


def _held(bench: Bench) -> dict[str, Decimal]:
    return {name: quantity for name, quantity in _positions(bench).items() if quantity}


def _refuses(one: Intent) -> Outcome:
    return Refused("NO", "the venue takes no order")


def _exit_fills(bench: Bench, quantity: str) -> None:
    """The strategy's own exit, which rested at the venue, is filled after the kill."""
    assert bench.journal is not None
    one = intent("EXIT", quantity=D(quantity), side=Side.SELL)
    bench.journal.intend([one])
    bench.journal.fill(one, _fill("EXIT", quantity, side=Side.SELL), D(0))
    bench.journal.state("EXIT", OrderState.FILLED)


def test_what_was_not_closed_is_its_strategys_again(bench: Bench) -> None:
    _hold(bench, "A", "0.5")
    bench.venue.answer = _refuses
    (closed,) = _flatten(bench)
    assert (closed.left, closed.is_flat) == (D("0.5"), False)
    assert _held(bench) == {"S-1": D("0.5")}
    _exit_fills(bench, "0.5")
    assert _held(bench) == {}, "the books are split"
    assert bench.journal is not None
    assert bench.journal.problems() == []


def test_of_two_that_were_netted_each_gets_its_own_again(bench: Bench) -> None:
    _hold(bench, "A", "0.5")
    _hold(bench, "B", "0.2", strategy="S-2", side=Side.SELL)
    bench.venue.answer = _refuses
    _flatten(bench)
    assert _held(bench) == {"S-1": D("0.5"), "S-2": D("-0.2")}
    prices = {p.strategy: p.avg_price for p in bench.journal.positions()} if bench.journal else {}
    assert (prices["S-1"], prices["S-2"]) == (D(100), D(100))


def test_of_a_part_that_was_closed_the_rest_is_given_back(bench: Bench) -> None:
    _hold(bench, "A", "0.5")

    def part(one: Intent) -> Outcome:
        if bench.venue.creates[1:]:
            return _refuses(one)
        state = venue_order(
            "K1",
            side=one.side,
            kind=one.kind,
            quantity=one.quantity,
            filled=D("0.2"),
            avg_price=D(100),
            state=OrderState.CANCELED,
        )
        bench.venue.book["K1"] = state
        return Accepted("K1", state)

    bench.venue.answer = part
    (closed,) = _flatten(bench)
    assert (closed.left, closed.is_flat) == (D("0.3"), False)
    assert _held(bench) == {"S-1": D("0.3")}


def test_what_is_of_unknown_outcome_is_given_back_once_it_is_proven(bench: Bench) -> None:
    _hold(bench, "A", "0.5")
    _flatten(bench)  # the answer is lost
    assert _held(bench) == {KILL_STRATEGY: D("0.5")}, "its order may close it still"
    assert bench.journal is not None
    assert give_all_back(bench.journal, lambda _: LEAST) == []
    (order,) = bench.journal.open_orders()
    bench.journal.state(order.intent.client_order_id, OrderState.REFUSED)
    (line,) = give_all_back(bench.journal, lambda _: LEAST)
    assert "0.5 that a kill took over from S-1" in line
    assert _held(bench) == {"S-1": D("0.5")}
    assert give_all_back(bench.journal, lambda _: LEAST) == []


@pytest.mark.parametrize("next_one", ["start", "flatten"])
@pytest.mark.parametrize("steps", range(6))
def test_a_flatten_that_dies_anywhere_is_settled_by_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, steps: int, next_one: str
) -> None:
    """Each of its bookings is one transaction: cut off after so many of them."""
    _hold(bench, "A", "0.5")
    _hold(bench, "B", "0.3", strategy="S-2")
    _hold(bench, "C", "0.1", strategy="S-3", side=Side.SELL)
    before = _held(bench)
    bench.venue.answer = _refuses
    done = 0

    def counted(patched: pytest.MonkeyPatch, name: str) -> None:
        whole = getattr(Journal, name)

        def write(*args: object, **more: object) -> object:
            nonlocal done
            subject = args[1:3]
            if name == "note" and subject != (SETTLED, INSTRUMENT):
                return whole(*args, **more)
            if done == steps:
                raise JournalError("JRN-WRITE", "killed")
            done += 1
            return whole(*args, **more)

        patched.setattr(Journal, name, write)

    with monkeypatch.context() as patched:
        counted(patched, "hand_over")
        counted(patched, "note")
        with pytest.raises(JournalError):
            _flatten(bench)
    assert sum(_held(bench).values()) == sum(before.values())
    assert bench.journal is not None
    if next_one == "start":
        give_all_back(bench.journal, lambda _: LEAST)
    else:
        _flatten(bench)
    assert _held(bench) == before
    bench.venue.answer = _fills_at_once(bench)
    (closed,) = _flatten(bench)
    assert closed.is_flat
    assert _held(bench) == {}
    assert bench.journal.problems() == []


def test_dust_and_what_nobody_gave_stay_where_they_are(bench: Bench) -> None:
    _hold(bench, "A", "0.0004")
    (closed,) = _flatten(bench)
    assert closed.is_flat
    assert _held(bench) == {KILL_STRATEGY: D("0.0004")}
    assert bench.journal is not None
    assert give_all_back(bench.journal, lambda _: D("0.0001")) == [], "it was settled"
    _hold(bench, "B", "0.2", strategy=KILL_STRATEGY)
    assert give_all_back(bench.journal, lambda _: LEAST) == []
    assert give_all_back(bench.journal, lambda _: None) == []


def test_a_flatten_that_is_cut_off_gives_back_what_it_took(bench: Bench) -> None:
    _hold(bench, "A", "0.5")

    def never(one: Intent) -> Outcome:
        raise asyncio.CancelledError

    bench.venue.answer = never
    with pytest.raises(asyncio.CancelledError):
        _flatten(bench)
    assert bench.journal is not None
    for order in bench.journal.open_orders():  # it may have been sent: proven by the next start
        assert _held(bench) == {KILL_STRATEGY: D("0.5")}
        bench.journal.state(order.intent.client_order_id, OrderState.REFUSED)
        give_back(bench.journal, INSTRUMENT, LEAST)
    assert _held(bench) == {"S-1": D("0.5")}
    assert MARKET.step == LEAST


@pytest.mark.parametrize("body", [None, [], {"from": "S-1"}, {"from": 1, "to": 2}, "x"])
def test_a_record_that_was_never_written_so_is_damage(bench: Bench, body: object) -> None:
    assert bench.journal is not None
    _hold(bench, "A", "0.5", strategy=KILL_STRATEGY)
    bench.journal.note("HAND-OVER", INSTRUMENT, body)
    with pytest.raises(JournalError) as refused:
        give_all_back(bench.journal, lambda _: LEAST)
    assert refused.value.code == "JRN-CORRUPT"
    assert _held(bench) == {KILL_STRATEGY: D("0.5")}


# -- what the journal does not hold yet ----------------------------------------------------------


def _sent(bench: Bench, cid: str, quantity: str, **changes: Any) -> Intent:
    """An order of a run that hangs: what the venue has executed of it is not booked."""
    assert bench.journal is not None
    one = intent(cid, quantity=D(quantity), **changes)
    bench.journal.intend([one])
    bench.journal.accepted(cid, f"V{cid}", instrument=INSTRUMENT)
    return one


@pytest.mark.parametrize("kind", [Kind.LIMIT, Kind.MARKET])
def test_executions_that_a_hanging_run_did_not_book_are_closed_too(
    bench: Bench, kind: Kind
) -> None:
    changes: dict[str, Any] = {"kind": kind} | ({"price": None} if kind is Kind.MARKET else {})
    one = _sent(bench, "A", "0.5", **changes)
    bench.venue.answer = _fills_at_once(bench)
    (closed,) = _flatten(bench, unbooked={"A": D("0.4")})
    assert closed.before == D("0.3996")  # less the fee, which is paid in base
    assert [one.quantity for one in bench.venue.creates] == [D("0.399")]
    assert closed.is_flat
    assert _held(bench) == {"S-1": D("-0.3996"), KILL_STRATEGY: D("0.0006")}
    assert bench.journal is not None
    bench.journal.fill(one, _fill("A", "0.4"), D("0.0004"))  # the run wakes up, or the next start
    assert give_all_back(bench.journal, lambda _: LEAST) == []
    assert _held(bench) == {KILL_STRATEGY: D("0.0006")}
    assert bench.journal.problems() == []


def test_an_exit_that_was_executed_and_not_booked_is_counted_of_its_strategy(bench: Bench) -> None:
    _hold(bench, "A", "0.5")
    one = _sent(bench, "X", "0.5", side=Side.SELL)
    bench.venue.answer = _fills_at_once(bench)
    (closed,) = _flatten(bench, unbooked={"X": D("0.2")})
    assert closed.is_flat
    assert [sent.quantity for sent in bench.venue.creates] == [D("0.3")]
    assert _held(bench) == {"S-1": D("0.2")}, "until its exit is booked"
    assert bench.journal is not None
    bench.journal.fill(one, _fill("X", "0.2", side=Side.SELL), D(0))
    assert _held(bench) == {}


def test_what_is_booked_while_it_is_closed_is_counted_once(bench: Bench) -> None:
    one = _sent(bench, "A", "0.4")
    fills = _fills_at_once(bench)

    def answer(closing: Intent) -> Outcome:
        assert bench.journal is not None
        bench.journal.fill(one, _fill("A", "0.4"), D("0.0004"))
        return fills(closing)

    bench.venue.answer = answer
    (closed,) = _flatten(bench, unbooked={"A": D("0.4")})
    assert closed.is_flat
    assert [sent.quantity for sent in bench.venue.creates] == [D("0.399")]
    assert _held(bench) == {KILL_STRATEGY: D("0.0006")}


def test_unbooked_executions_that_were_not_closed_are_given_back(bench: Bench) -> None:
    one = _sent(bench, "A", "0.4")
    bench.venue.answer = _refuses
    (closed,) = _flatten(bench, unbooked={"A": D("0.4")})
    assert not closed.is_flat
    assert _held(bench) == {}
    assert bench.journal is not None
    bench.journal.fill(one, _fill("A", "0.4"), D("0.0004"))
    assert _held(bench) == {"S-1": D("0.3996")}


# -- what netted to nothing ----------------------------------------------------------------------


@pytest.mark.parametrize("dies", [False, True])
def test_positions_that_netted_to_nothing_never_come_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, dies: bool
) -> None:
    _hold(bench, "A", "0.5")
    _hold(bench, "B", "0.5", strategy="S-2", side=Side.SELL)
    if dies:
        with monkeypatch.context() as patched:
            patched.setattr("fairlead.engine.kill.flatten.give_back", _cut_off)
            with pytest.raises(JournalError):
                _flatten(bench)
        assert bench.journal is not None
        give_all_back(bench.journal, lambda _: LEAST)
        assert _held(bench) == {"S-1": D("0.5"), "S-2": D("-0.5")}, "nothing was closed"
    assert _flatten(bench) == []
    assert _held(bench) == {}
    _hold(bench, "C", "0.2")
    bench.venue.answer = _refuses
    (closed,) = _flatten(bench)
    assert not closed.is_flat
    assert _held(bench) == {"S-1": D("0.2")}


def _cut_off(*_: object) -> None:
    raise JournalError("JRN-WRITE", "killed")


def test_one_that_is_killed_meanwhile_is_left_to_the_next_flatten(bench: Bench) -> None:
    """Its own exit rests at the venue still: closed now, it would be sold twice."""
    _hold(bench, "A", "0.5")
    _hold(bench, "B", "0.2", strategy="S-2")
    _sent(bench, "R", "0.2", strategy="S-2", side=Side.SELL)
    killed, fills = {"S-1"}, _fills_at_once(bench)

    def answer(one: Intent) -> Outcome:
        killed.add("S-2")
        return fills(one)

    bench.venue.answer = answer
    (closed,) = _flatten(bench, covers=killed.__contains__)
    assert closed.is_flat
    assert [sent.quantity for sent in bench.venue.creates] == [D("0.5")]
    assert _held(bench) == {"S-2": D("0.2")}
