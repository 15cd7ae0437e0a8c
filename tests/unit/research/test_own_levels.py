"""How much of a recorded level is the run's own, and what the others had there."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fairlead.engine.research.own_levels import Change, Step, Told, held, steps, without
from tests.unit.research.test_own import NAME, SECOND_NS, at, fill, order, told_as_sum

ASK = (NAME, "SELL", Decimal(100))


def changes(*told: tuple[float, str]) -> list[Change]:
    """By seconds, what the level is then."""
    found, before = [], Decimal(0)
    for secs, size in told:
        found.append(Change(ts=at(secs), before=before, after=Decimal(size)))
        before = Decimal(size)
    return found


def mine(row: dict[str, Any], known: list[Change], taken: str = "0") -> list[str]:
    of = list(steps(row, Decimal(taken), at(1) - at(0)))
    return [str(size.normalize()) for size in held(of, {ASK: known}).get(ASK, [])]


def rests(**more: Any) -> dict[str, Any]:
    usual = {"kind": "LIMIT", "price": "100", "quantity": "2", "status": "CANCELED"}
    usual |= {"time_in_force": "GTC", "ts_last": at(3), "ts_cancelled": at(3)}
    asked = [{"what": "cancel", "ts": at(2.9)}]
    return order("A", "SELL", **{**usual, "asked": asked, **more})


def test_from_the_change_by_just_as_much_until_that_back() -> None:
    known = changes((0.5, "3"), (0.99, "4"), (1.005, "6"), (2, "5"), (2.95, "3"), (4, "2"))
    assert mine(rests(), known) == ["0", "0", "2", "2", "0", "0"]


def test_together_with_what_others_do_there() -> None:
    known = changes((0.5, "3"), (1.005, "6"), (1.5, "7"), (2.95, "4.5"), (4, "2"))
    assert mine(rests(), known) == ["0", "2", "2", "0", "0"]


def test_where_no_change_tells_by_the_answers() -> None:
    known = changes((0.5, "3"), (1.1, "3.1"), (1.5, "4"), (3.1, "3.9"), (4, "4"))
    assert mine(rests(), known) == ["0", "0", "2", "2", "0"]


def test_what_it_made_is_not_there_any_more() -> None:
    made = fill("0.5", "100", 2, liquidity="MAKER")
    known = changes((1.005, "5"), (1.99, "3.5"), (2.95, "2"))
    assert mine(rests(fills=[made]), known) == ["2", "1.5", "0"]


def test_what_it_took_never_rested() -> None:
    known = changes((0.5, "3"), (1.005, "4.5"), (2.95, "3"))
    took = fill("0.5", "99", 1.01)
    assert mine(rests(fills=[took]), known, taken="0.5") == ["0", "1.5", "0"]
    assert mine(rests(time_in_force="IOC"), known) == []
    assert mine(rests(kind="MARKET", price=None), known) == []


def test_it_moves_from_level_to_level() -> None:
    terms = [
        {"price": "101", "quantity": "2", "trigger_price": None, "ts_event": at(1)},
        {"price": "100", "quantity": "1", "trigger_price": None, "ts_event": at(2)},
    ]
    row = rests(changes=terms, asked=[{"what": "modify", "ts": at(1.9)}])
    of = dict(steps(row, Decimal(0), 0))
    assert [step.size for step in of[NAME, "SELL", Decimal(101)]] == [2, -2]
    assert [step.size for step in of[ASK]] == [1, -1]


def test_a_stop_is_in_the_book_only_where_its_level_says_so() -> None:
    row = rests(kind="STOP_LIMIT")
    assert mine(row, changes((0.5, "3"), (1.5, "4"), (4, "2"))) == ["0", "0", "0"]
    assert mine(row, changes((0.5, "3"), (1.5, "5"), (2.95, "3"))) == ["0", "2", "0"]


def test_what_the_rows_of_a_level_tell_without_it() -> None:
    known = changes((1, "2"), (2, "5"), (3, "4"), (4, "2"), (5, "0"), (6, "1"))
    own = [Decimal(size) for size in "222200"]
    assert dict(without(known, own)) == {
        at(1): None,
        at(2): Told(action="ADD", size=Decimal(3)),
        at(3): Told(action="UPDATE", size=Decimal(2)),
        at(4): Told(action="DELETE", size=Decimal(0)),
        at(5): None,
    }


def test_a_whole_book_is_told_without_it_too() -> None:
    anew = Change(ts=at(2), before=Decimal(5), after=Decimal(5), is_anew=True)
    gone = Change(ts=at(3), before=Decimal(5), after=Decimal(0), is_anew=True, is_told=False)
    own = [Decimal(2)] * 3
    told = dict(without([*changes((1, "5")), anew, gone], own))
    assert told == {
        at(1): Told(action="ADD", size=Decimal(3)),
        at(2): Told(action="ADD", size=Decimal(3)),
    }


def test_two_that_come_at_once_are_two() -> None:
    two = [(ASK, [Step(begin=at(1), end=at(1.1), size=Decimal(1))])] * 2
    known = changes((1.01, "1"), (1.02, "2"))
    assert held(two, {ASK: known}) == {ASK: [1, 2]}


@pytest.mark.parametrize(
    ("booked", "slack", "known"),
    [
        (9, 6, [(7, "2.5"), (12, "2.7")]),  # polled each 5 s
        (6.1, 2, [(5.5, "2.5"), (7.5, "2.7")]),  # each second, the answer on its way for a while
    ],
)
def test_it_is_gone_when_it_was_made_and_not_when_that_was_told(
    booked: float, slack: int, known: list[tuple[float, str]]
) -> None:
    made = told_as_sum("2", "100", booked)
    row = rests(status="FILLED", fills=[made], asked=[], ts_last=at(booked), ts_cancelled=None)
    book = changes((0.5, "3"), (1.005, "5"), (5.0, "3"), *known, (20, "3"))
    of = list(steps(row, Decimal(0), slack * SECOND_NS))
    sizes = held(of, {ASK: book})[ASK]
    assert [str(one.normalize()) for one in sizes] == ["0", "2", "0", "0", "0", "0"]
