"""Brackets: the next step from what is known, and that no order of events sells too much."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from random import Random

import msgspec
import pytest

from fairlead.engine.brackets.keeper import (
    CANCEL_AGAIN_NS,
    EXITS_KEPT,
    GATE_MAX_NS,
    LOOK_NS,
    RETRY_MAX_NS,
    RETRY_NS,
    Brackets,
    MemoryStore,
)
from fairlead.engine.brackets.steps import (
    EXITS_AT_ONCE,
    WAIT,
    Bracket,
    Cancel,
    Done,
    Grid,
    Leg,
    Place,
    held_by,
    next_step,
)
from fairlead.engine.orders.journal import JournalError
from fairlead.engine.orders.model import Kind, Side

D = Decimal
GRID = Grid(step=D("0.01"), min_quantity=D("0.05"), min_notional=D(5))
LONG = Bracket(
    entry="E",
    strategy="S",
    instrument="BTC_USDT.X",
    side=Side.BUY,
    quantity=D(1),
    stop=D(95),
    stop_limit=D(94),
    target=D(105),
)
SHORT = msgspec.structs.replace(LONG, side=Side.SELL, stop=D(105), stop_limit=D(106), target=D(95))


def entry(filled: str = "1", over: bool = True, fee: str = "0", quantity: str = "1") -> Leg:
    return Leg(
        client_order_id="E",
        kind="LIMIT",
        quantity=D(quantity),
        filled=D(filled),
        base_fee=D(fee),
        is_standing=not over,
        is_over=over,
    )


def stop(quantity: str = "1", filled: str = "0", over: bool = False, name: str = "X1") -> Leg:
    return Leg(
        client_order_id=name,
        kind="STOP_LIMIT",
        quantity=D(quantity),
        filled=D(filled),
        price=D(94),
        is_standing=not over,
        is_over=over,
    )


def target(quantity: str = "1", filled: str = "0", over: bool = False, name: str = "X2") -> Leg:
    return msgspec.structs.replace(stop(quantity, filled, over, name), kind="LIMIT", price=D(105))


def step(
    legs: Sequence[Leg],
    price: str | None = "100",
    first: Leg | None = None,
    bracket: Bracket = LONG,
    grid: Grid = GRID,
) -> object:
    first = first or entry()
    return next_step(
        bracket,
        first,
        legs,
        price=None if price is None else D(price),
        held=held_by(bracket, first, legs),
        grid=grid,
    )


STOP = Place(kind=Kind.STOP_LIMIT, quantity=D(1), price=D(94), trigger=D(95))
TARGET = Place(kind=Kind.LIMIT, quantity=D(1), price=D(105))


def sized(place: Place, quantity: str) -> Place:
    return msgspec.structs.replace(place, quantity=D(quantity))


CASES = {
    "nothing filled yet": ([], "100", entry("0", over=False), WAIT),
    "never filled": ([], "100", entry("0"), Done(D(0))),
    "filled": ([], "100", entry(), STOP),
    "no market known: the stop all the same": ([], None, entry(), STOP),
    "fee in base, rounded down": ([], "100", entry(fee="0.001"), sized(STOP, "0.99")),
    "partly filled": ([], "100", entry("0.3", over=False), sized(STOP, "0.3")),
    "too little filled": ([], "100", entry("0.04", over=False), WAIT),
    "too little and over": ([], "100", entry("0.04"), Done(D("0.04"))),
    "stop stands": ([stop()], "100", entry(), WAIT),
    "more was filled": ([stop("0.3")], "100", entry("0.7", over=False), sized(STOP, "0.4")),
    "at the target": ([stop()], "105", entry(), Cancel(("X1",))),
    "stop cancelled": ([stop(over=True)], "105", entry(), TARGET),
    "stop filled a part while cancelled": (
        [stop(filled="0.4", over=True)],
        "105",
        entry(),
        sized(TARGET, "0.6"),
    ),
    "target stands, market near": ([target()], "101", entry(), WAIT),
    "market turned back half way": ([target()], "100", entry(), Cancel(("X2",))),
    "target cancelled again": ([target(over=True)], "100", entry(), STOP),
    "target, market not known": ([target()], None, entry(), WAIT),
    "stop passed while none was out": (
        [target(over=True)],
        "94.5",
        entry(),
        Place(kind=Kind.LIMIT, quantity=D(1), price=D(94)),
    ),
    "all out": ([stop(filled="1", over=True)], "94", entry(), Done(D(0))),
    "the way out has begun": (
        [stop("0.3", filled="0.1")],
        "94",
        entry("0.3", over=False),
        Cancel(("E",)),
    ),
    "not joined while the market is not known": (
        [stop("0.2", name=f"X{n}") for n in range(EXITS_AT_ONCE)],
        None,
        entry(),
        WAIT,
    ),
    "joined": (
        [stop("0.2", name=f"X{n}") for n in range(EXITS_AT_ONCE)],
        "100",
        entry(),
        Cancel(tuple(f"X{n}" for n in range(EXITS_AT_ONCE))),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_next_step(name: str) -> None:
    legs, price, first, expected = CASES[name]
    assert step(legs, price, first) == expected


def test_short_is_the_mirror() -> None:
    assert step([], "100", bracket=SHORT) == Place(
        kind=Kind.STOP_LIMIT, quantity=D(1), price=D(106), trigger=D(105)
    )
    short_stop = msgspec.structs.replace(stop(), price=D(106))
    assert step([short_stop], "95", bracket=SHORT) == Cancel(("X1",))
    gone = msgspec.structs.replace(short_stop, is_over=True)
    assert step([gone], "95", bracket=SHORT) == sized(
        Place(kind=Kind.LIMIT, quantity=D(1), price=D(95)), "1"
    )
    assert held_by(SHORT, entry(fee="0.1"), []) == 1  # sold is sold, whatever the fee


def test_without_stops_at_the_venue_the_stop_waits_here() -> None:
    grid = msgspec.structs.replace(GRID, has_stops=False)
    assert step([], "100", grid=grid) == WAIT
    assert step([], "95", grid=grid) == Place(kind=Kind.LIMIT, quantity=D(1), price=D(94))


def test_position_closed_by_something_else_takes_the_exits_back() -> None:
    first, legs = entry(), [stop()]
    assert next_step(LONG, first, legs, price=D(100), held=D(0), grid=GRID) == Cancel(("X1",))
    gone = [stop(over=True)]
    assert next_step(LONG, first, gone, price=D(100), held=D(0), grid=GRID) == Done(D(0))


@pytest.mark.parametrize(
    ("bracket", "price"),
    [
        (msgspec.structs.replace(LONG, stop=D(106)), None),
        (msgspec.structs.replace(LONG, stop_limit=D(96)), None),
        (LONG, D(94)),
        (LONG, D(105)),
        (msgspec.structs.replace(SHORT, target=D(107)), None),
    ],
)
def test_prices_in_the_wrong_order(bracket: Bracket, price: Decimal | None) -> None:
    assert LONG.problem(D(100)) is SHORT.problem(None) is None
    problem = bracket.problem(price)
    assert problem is not None
    assert "expected" in problem


# -- the keeper, against a venue that does anything ------------------------------------------------


class Venue:
    """Orders by id, and an owner's view of them; what happens to them is the test's business."""

    def __init__(self) -> None:
        self.now = 1
        self.orders: dict[str, Leg] = {"E": entry("0", over=False)}
        self.at = D(100)
        self.refuses = False
        self.unheard: set[str] = set()
        self.asked: list[str] = []
        self.cancels: list[str] = []

    def now_ns(self) -> int:
        return self.now

    def leg(self, bracket: Bracket, client_order_id: str) -> Leg | None:
        return self.orders.get(client_order_id)

    def price(self, instrument: str, side: Side) -> Decimal | None:
        return self.at

    def grid(self, instrument: str) -> Grid | None:
        return GRID

    def position(self, instrument: str) -> Decimal:
        taken = sum(leg.filled for name, leg in self.orders.items() if name != "E")
        return self.orders["E"].filled - taken if "E" in self.orders else D(0)

    def closes_bare(self) -> bool:
        return True

    def is_counted(self, leg: Leg) -> bool:
        return True

    def is_heard(self, leg: Leg) -> bool:
        return leg.client_order_id not in self.unheard

    def leaving(self, instrument: str, side: Side, exits: frozenset[str]) -> Decimal:
        return D(0)

    def place(self, bracket: Bracket, client_order_id: str, exit_: Place) -> bool:
        self.asked.append(client_order_id)
        if self.refuses:
            return False
        assert client_order_id not in self.orders
        self.orders[client_order_id] = Leg(
            client_order_id=client_order_id,
            kind=exit_.kind,
            quantity=exit_.quantity,
            filled=D(0),
            price=exit_.price,
        )
        return True

    def cancel(self, instrument: str, client_order_ids: Sequence[str]) -> None:
        self.cancels += client_order_ids

    def change(self, name: str, **changes: object) -> None:
        self.orders[name] = msgspec.structs.replace(self.orders[name], **changes)


def keeper(venue: Venue) -> Brackets:
    brackets = Brackets("S", venue, MemoryStore())
    brackets.add(LONG)
    return brackets


def waits_between_tries(venue: Venue, brackets: Brackets, step_ns: int, looks: int) -> list[int]:
    """In steps; what the venue is asked for in between comes to nothing."""
    tried = []
    for _ in range(looks):
        before = len(venue.asked)
        brackets.look()
        if len(venue.asked) > before:
            tried.append(venue.now)
        for name in venue.orders.keys() - {"E"}:
            venue.change(name, is_over=True)
        venue.now += step_ns
    return [(later - earlier) // step_ns for earlier, later in pairwise(tried)]


def test_exit_that_the_gate_refused_is_tried_again_soon() -> None:
    venue = Venue()
    brackets = keeper(venue)
    venue.orders["E"] = entry()
    venue.refuses = True
    most = GATE_MAX_NS // LOOK_NS
    assert waits_between_tries(venue, brackets, LOOK_NS, 90) == [1, 2, 4, 8, 16, most, most]
    assert len(set(venue.asked)) == 1  # it never left, so the same id is tried again
    assert next(iter(brackets)).exits == ()


def test_exit_that_came_to_nothing_is_tried_again_with_growing_waits() -> None:
    venue = Venue()
    brackets = keeper(venue)
    venue.orders["E"] = entry()
    waits = waits_between_tries(venue, brackets, RETRY_NS, 140)
    assert waits == [1, 2, 4, 8, 16, 32, RETRY_MAX_NS // RETRY_NS]
    assert len(set(venue.asked)) == len(venue.asked)


def test_each_part_of_an_entry_has_its_stop_at_once() -> None:
    venue = Venue()
    brackets = keeper(venue)
    for part in ("0.3", "0.7", "1"):
        venue.change("E", filled=D(part))
        brackets.look()  # the exit of the part before is on its way still
    exits = [leg for name, leg in venue.orders.items() if name != "E"]
    assert [leg.quantity for leg in exits] == [D("0.3"), D("0.4"), D("0.3")]


def test_part_that_fills_after_an_exit_is_done_has_its_stop_at_once() -> None:
    venue = Venue()
    brackets = keeper(venue)
    venue.change("E", filled=D("0.3"))
    brackets.look()
    venue.change(venue.asked[-1], filled=D("0.3"), is_over=True)  # nothing looked in between
    venue.change("E", filled=D("0.7"), is_over=True)
    brackets.look()
    assert venue.orders[venue.asked[-1]].remaining == D("0.4")


def test_target_that_follows_a_cancelled_stop_need_not_wait() -> None:
    venue = Venue()
    brackets = keeper(venue)
    venue.orders["E"] = entry()
    brackets.look()
    venue.at = LONG.target
    brackets.look()
    assert venue.cancels == venue.asked
    venue.change(venue.asked[-1], is_over=True)
    brackets.look()
    assert [venue.orders[name].kind for name in venue.asked] == [Kind.STOP_LIMIT, Kind.LIMIT]


def test_target_goes_out_with_the_word_that_its_stop_is_over_and_is_not_asked_for_before() -> None:
    """The journal knows it a moment before the gate, which would refuse the target."""
    venue = Venue()
    brackets = keeper(venue)
    venue.orders["E"] = entry()
    brackets.look()
    (stop_id,) = venue.asked
    venue.at = D(105)
    brackets.look()
    venue.change(stop_id, is_over=True)
    venue.unheard = {stop_id}
    brackets.look()
    assert (venue.asked, venue.cancels) == ([stop_id], [stop_id])
    venue.unheard = set()
    brackets.look()
    assert venue.orders[venue.asked[1]].price == LONG.target


def test_exits_that_came_to_nothing_are_forgotten_at_last() -> None:
    venue = Venue()
    brackets = keeper(venue)
    venue.orders["E"] = entry()
    for _ in range(3 * EXITS_KEPT):
        brackets.look()
        name = venue.asked[-1]
        if not venue.orders[name].is_over:
            filled = D("0.01") if len(venue.asked) == 1 else D(0)
            venue.change(name, is_over=True, filled=filled)
        venue.now += RETRY_MAX_NS
    assert len(set(venue.asked)) == len(venue.asked) > 2 * EXITS_KEPT
    kept = next(iter(brackets)).exits
    assert len(kept) <= EXITS_KEPT + 1
    assert kept[0] == venue.asked[0]  # what it filled counts for ever
    assert kept[-1] == venue.asked[-1]


def test_cancel_is_asked_for_once_until_its_answer_is_late() -> None:
    venue = Venue()
    brackets = keeper(venue)
    venue.orders["E"] = entry()
    brackets.look()
    venue.at = D(106)
    for _ in range(3):
        brackets.look()
    assert len(venue.cancels) == 1
    venue.now += CANCEL_AGAIN_NS
    brackets.look()
    assert len(venue.cancels) == 2


def test_exit_that_can_not_be_recorded_is_not_sent() -> None:
    class Full(MemoryStore):
        is_full = False

        def save(self, strategy: str, brackets: Sequence[Bracket]) -> None:
            if self.is_full:
                raise JournalError("JRN-WRITE", "disk full")

    venue, store = Venue(), Full()
    brackets = Brackets("S", venue, store)
    brackets.add(LONG)
    venue.orders["E"] = entry()
    store.is_full = True
    brackets.look()
    assert venue.asked == []
    store.is_full = False
    venue.now += RETRY_NS
    brackets.look()
    assert len(venue.asked) == 1


def test_entry_that_never_left_ends_its_bracket() -> None:
    venue = Venue()
    brackets = keeper(venue)
    del venue.orders["E"]
    brackets.look()
    assert len(brackets) == 0


def happen(venue: Venue, rng: Random) -> None:
    """One thing that a venue does: fill a part, accept, end an order."""
    names = [name for name, leg in venue.orders.items() if not leg.is_over]
    venue.at = max(D(90), min(D(110), venue.at + D(rng.randint(-30, 30)) / 10))
    if not names:
        return
    name = rng.choice(names)
    leg = venue.orders[name]
    draw = rng.random()
    if draw < 0.4:
        filled = min(leg.quantity, leg.filled + D(rng.randint(1, 50)) / 100)
        venue.change(name, filled=filled, is_over=filled == leg.quantity)
    elif draw < 0.6:
        venue.change(name, is_standing=True)
    elif draw > 0.97 or (name in venue.cancels and draw < 0.9):
        venue.change(name, is_over=True, is_standing=False)


@pytest.mark.parametrize("seed", range(200))
def test_whatever_happens_no_more_leaves_than_came(seed: int) -> None:
    rng = Random(seed)
    venue = Venue()
    brackets = keeper(venue)
    for _ in range(150):
        happen(venue, rng)
        brackets.look()
        exits = [leg for name, leg in venue.orders.items() if name != "E"]
        committed = sum(leg.filled + leg.remaining for leg in exits)
        assert committed <= venue.orders["E"].filled
        venue.now += RETRY_NS // 2
    venue.change("E", is_over=True, is_standing=False)
    for _ in range(400):  # nothing goes wrong any more, the market stays
        brackets.look()
        for name, leg in list(venue.orders.items()):
            if leg.is_over:
                continue
            if name in venue.cancels:
                venue.change(name, is_over=True, is_standing=False)
            else:
                venue.change(name, is_standing=True)
        venue.now += RETRY_NS
    held = venue.position("")
    working = sum(leg.remaining for name, leg in venue.orders.items() if name != "E")
    least = D("0.06")  # for the least notional at the stop's limit
    assert held - working < least
    assert (len(brackets) == 0) == (held < least)
