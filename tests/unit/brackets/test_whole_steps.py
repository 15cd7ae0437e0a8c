"""What is next for a bracket whose exits went with its entry."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fairlead.engine.brackets.steps import (
    WAIT,
    Bracket,
    Cancel,
    Done,
    Grid,
    Leg,
    Place,
    Step,
    held_by,
    next_whole_step,
)
from fairlead.engine.orders.model import Kind, Side

D = Decimal
GRID = Grid(step=D("0.001"), has_cancels=False)
BRACKET = Bracket(
    entry="E",
    strategy="S-1",
    instrument="BTC_USDT.X",
    side=Side.BUY,
    quantity=D(4),
    stop=D(95),
    stop_limit=D(94),
    target=D(102),
    targets=(D(102), D(104)),
).with_exits()
LOW, HIGH, STOP = BRACKET.sent
REFUSED = {"is_over": True, "is_refused": True}


def leg(name: str, kind: Kind, quantity: str, filled: str = "0", **fields: Any) -> Leg:
    return Leg(client_order_id=name, kind=kind, quantity=D(quantity), filled=D(filled), **fields)


def entry(filled: str = "4", *, over: bool = True) -> Leg:
    return leg("E", Kind.MARKET, "4", filled, is_over=over)


def exits(low: str = "0", high: str = "0", **stop: Any) -> list[Leg]:
    return [
        leg(LOW, Kind.LIMIT, "2", low, is_over=low == "2"),
        leg(HIGH, Kind.LIMIT, "2", high, is_over=high == "2"),
        leg(STOP, Kind.STOP_LIMIT, "4", **stop),
    ]


def gone() -> list[Leg]:
    return [leg(name, Kind.LIMIT, "2", is_over=True) for name in BRACKET.sent]


def step(first: Leg, legs: list[Leg], grid: Grid = GRID, *, closes: bool = True) -> Step:
    held = held_by(BRACKET, first, legs)
    return next_whole_step(BRACKET, first, legs, held=held, grid=grid, closes=closes)


def test_its_ids_are_the_same_in_every_process_and_the_next_one_is_new() -> None:
    assert BRACKET.with_exits() == BRACKET
    assert BRACKET.next_exit_id() not in BRACKET.sent


def test_while_nothing_failed_there_is_nothing_to_do() -> None:
    assert step(entry("0", over=False), exits()) == WAIT
    assert step(entry("1", over=False), exits()) == WAIT
    assert step(entry(), exits()) == WAIT
    assert step(entry(), exits("2")) == WAIT


def test_it_is_over_when_nothing_is_held_and_every_leg_has_ended() -> None:
    assert step(entry(), exits("2", "2", is_over=True)) == Done(D(0))
    assert step(entry("0"), gone()) == Done(D(0))


def test_what_is_left_of_it_goes_with_the_position() -> None:
    assert step(entry(), exits("2", "2")) == WAIT  # the venue ends it
    assert step(entry(), exits("2", "2"), Grid(step=D("0.001"))) == Cancel((STOP,))


def test_a_stop_that_the_venue_ended_is_no_missing_stop() -> None:
    """A target's fill is read a moment later."""
    assert step(entry(), exits("2", is_over=True)) == WAIT


@pytest.mark.parametrize("over", [True, False])
def test_a_position_whose_stop_was_refused_is_closed(over: bool) -> None:
    place = Place(kind=Kind.MARKET, quantity=D(3), price=None)
    assert step(entry("3", over=over), exits(**REFUSED)) == place
    assert step(entry("3", over=over), exits(**REFUSED), closes=False) == WAIT
    assert step(entry("0", over=False), exits(**REFUSED)) == WAIT


def test_it_is_closed_once() -> None:
    closing = leg("X", Kind.MARKET, "4")
    assert step(entry(), [*exits(**REFUSED), closing]) == WAIT


def test_a_position_that_every_exit_has_left_is_closed() -> None:
    assert step(entry(), gone()) == Place(kind=Kind.MARKET, quantity=D(4), price=None)
    assert step(entry(), gone(), closes=False) == Done(D(4))
