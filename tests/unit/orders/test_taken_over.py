"""A kill takes over what it is to close; what it does not close is its strategy's again."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.model import Accepted, Intent, OrderState, Outcome, Refused, Side
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
