"""What the run took of a level is not met again by the trade that ends the level.

On paper and in a backtest, both sides of the book: prices are mirrored at 100.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from fairlead.engine.orders.model import Side
from tests.kernel.bench import Script, book, level, trade
from tests.unit.matching.fills import BOUGHT, SOLD, fill, parts, stop
from tests.unit.matching.fills import BUY as KERNEL_BUY
from tests.unit.matching.fills import SELL as KERNEL_SELL
from tests.unit.matching.kit import BUY, SELL, Bench, dec, plain

Step = tuple[float, str, str, float]  # ms, "level" or "trade" and by whom, price, size
BOTH = pytest.mark.parametrize("side", [SELL, BUY], ids=["sell", "buy"])
QUEUES = pytest.mark.parametrize("queues", [True, False], ids=["queue", "no queue"])
MODES = pytest.mark.parametrize("mode", ["paper", "backtest"])

BIDS, ASKS = {"99.5": 5, "99.4": 5}, {"100.5": 50, "100.6": 50}
OFFER = ("100.2", "30")  # of a seller, as all here; that of a buyer is at 99.8

COMES = (100, "level", "100.3", 8)  # a bid beyond the offer
GONE = (303, "level", "100.3", 0)
CASES: dict[str, tuple[list[Step], list[tuple[float, str]]]] = {
    "a bid and the seller that takes it": (
        [COMES, (300, "rival", "100.3", 8), GONE],
        [(100, "8")],
    ),
    "a bid and two sellers that take it": (
        [COMES, (300, "rival", "100.3", 3), (301, "rival", "100.3", 5), GONE],
        [(100, "8")],
    ),
    "a seller that shows there was more": (
        [COMES, (300, "rival", "100.3", 10), GONE],
        [(100, "8"), (300, "2")],
    ),
    "two sellers that show there was more, and another": (
        [COMES, *((at, "rival", "100.3", 6) for at in (300, 301, 302)), GONE],
        [(100, "8"), (301, "4"), (302, "6")],
    ),
    "a bid of which a seller leaves a part, that is told": (
        [COMES, (300, "rival", "100.3", 3), (303, "level", "100.3", 5)],
        [(100, "8"), (303, "5")],
    ),
    "the book that a trade led to comes before the trade": (
        [COMES, (300, "level", "100.3", 0), (302, "rival", "100.3", 8)],
        [(100, "8")],
    ),
    "the rest of a bid comes before the trade that left it": (
        [COMES, (300, "level", "100.3", 5), (302, "rival", "100.3", 3)],
        [(100, "8"), (300, "5")],
    ),
    "a seller long after that bid is gone": (
        [COMES, (300, "level", "100.3", 0), (1400, "rival", "100.3", 7)],
        [(100, "8"), (1400, "7")],
    ),
    "a seller that takes a bid which no book told of": (
        [(300, "rival", "100.3", 7)],
        [(300, "7")],
    ),
    "sellers that take bids which no book told of": (
        [(300, "rival", "100.3", 7), (310, "rival", "100.3", 4), (320, "rival", "100.4", 4)],
        [(300, "7"), (310, "4"), (320, "4")],
    ),
    "a buyer who pays more is another one": (
        [COMES, (300, "taker", "100.3", 7), GONE],
        [(100, "8"), (300, "7")],
    ),
    "a bid at another price": (
        [COMES, (300, "rival", "100.4", 7), GONE],
        [(100, "8"), (300, "7")],
    ),
}


def mirrored(price: str, side: Side) -> str:
    return price if side is SELL else plain(200 - dec(price))


def on_paper(side: Side, steps: Sequence[Step], queues: bool) -> list[tuple[float, str]]:
    b = Bench(queue=queues)
    here, there = (BIDS, ASKS) if side is SELL else _mirrored_book()
    b.book(0, here, there)
    b.trade(5, "100.0", "0.1", side=BUY)
    b.order(10, "order", side, OFFER[1], mirrored(OFFER[0], side))
    other = BUY if side is SELL else SELL
    for ms, kind, price, size in steps:
        at = mirrored(price, side)
        if kind == "level":
            b.level(ms, other, at, size)
        else:
            b.trade(ms, at, size, side=side if kind == "rival" else other)
    return [(one.ms, one.detail.partition("@")[0]) for one in b.told if one.kind == "filled"]


def _mirrored_book() -> tuple[dict[str, int], dict[str, int]]:
    return tuple(  # type: ignore[return-value]
        {mirrored(price, BUY): size for price, size in levels.items()} for levels in (ASKS, BIDS)
    )


def in_backtest(side: Side, steps: Sequence[Step], queues: bool) -> list[tuple[float, str]]:
    here, there = (BIDS, ASKS) if side is SELL else _mirrored_book()
    data: list[Any] = [
        book(0, {float(p): s for p, s in here.items()}, {float(p): s for p, s in there.items()}),
        trade(5, 100.0, 0.1),
    ]
    mine, other = (KERNEL_SELL, KERNEL_BUY) if side is SELL else (KERNEL_BUY, KERNEL_SELL)
    rival, taker = (SOLD, BOUGHT) if side is SELL else (BOUGHT, SOLD)
    for ms, kind, price, size in steps:
        at = float(mirrored(price, side))
        if kind == "level":
            data.append(level(ms, other, at, size))
        else:
            data.append(trade(ms, at, size, rival if kind == "rival" else taker))
    data.append(trade(3000, float(mirrored("100.25", side)), 1, taker))

    def place(script: Script) -> None:
        script.limit("order", mine, float(OFFER[1]), float(mirrored(OFFER[0], side)))

    seen = fill(data, [(10, place)], queues=queues)
    return [(ms, plain(Decimal(str(size)))) for ms, _, size in parts(seen, "order")]


def total(fills: Sequence[tuple[float, str]]) -> Decimal:
    return sum((dec(size) for _, size in fills), Decimal(0))


@MODES
@BOTH
@QUEUES
@pytest.mark.parametrize("case", CASES)
def test_a_level_is_met_once(mode: str, side: Side, queues: bool, case: str) -> None:
    steps, expected = CASES[case]
    if mode == "paper":
        assert on_paper(side, steps, queues) == expected
    else:  # what a rival's trade shows is booked with the next event that reaches the order
        assert total(in_backtest(side, steps, queues)) == total([*expected, (3000, "1")])


@BOTH
@QUEUES
def test_a_snapshot_tells_every_level_anew(side: Side, queues: bool) -> None:
    b = Bench(queue=queues)
    other = BUY if side is SELL else SELL
    here, there = (BIDS, ASKS) if side is SELL else _mirrored_book()
    b.book(0, here, there)
    b.order(10, "order", side, 30, mirrored("100.2", side))
    b.level(100, other, mirrored("100.3", side), 8)
    b.book(200, here, there)
    b.trade(202, mirrored("100.3", side), 8, side=side)
    assert [one.partition("@")[0] for one in b.filled_of("order")] == ["8"]


def test_a_trade_of_an_unknown_taker_at_a_level_took_it() -> None:
    for ends in ((300, 303), (302, 300)):
        b = Bench()
        b.book(0, BIDS, ASKS)
        b.order(10, "order", SELL, 30, "100.2")
        b.level(100, BUY, "100.3", 8)
        for ms in sorted(ends):
            if ms == ends[0]:
                b.trade(ms, "100.3", 8, side=None)
            else:
                b.level(ms, BUY, "100.3", 0)
        assert b.filled_of("order") == ["8@100.2 M"]


def test_what_one_order_took_of_a_level_is_gone_for_another() -> None:
    b = Bench()
    b.book(0, BIDS, ASKS)
    b.order(10, "maker", SELL, 30, "100.2")
    b.order(20, "last", SELL, 30, "100.25", strategy="S-002")
    b.level(100, BUY, "100.3", 8)
    b.trade(300, "100.3", 10)
    b.order(301, "taker", SELL, 3, "100.0", strategy="S-003")
    assert [one.partition("@")[0] for one in b.filled_of("maker")] == ["8", "2"]
    assert b.filled_of("last") == b.filled_of("taker") == []


def test_what_a_taker_took_of_a_level_is_not_met_again_by_one_that_rests() -> None:
    b = Bench()
    b.book(0, BIDS, ASKS)
    b.level(100, BUY, "100.3", 8)
    b.order(110, "taker", SELL, 8)
    b.order(120, "maker", SELL, 30, "100.2")
    b.trade(300, "100.3", 8)
    assert b.filled_of("taker") == ["8@100.3 T"]
    assert b.filled_of("maker") == []
    b.trade(310, "100.3", 3)
    assert b.filled_of("maker") == ["3@100.2 M"]


@BOTH
@QUEUES
def test_what_is_left_of_a_stop_meets_a_level_once(side: Side, queues: bool) -> None:
    b = Bench(queue=queues)
    here, there = (BIDS, ASKS) if side is SELL else _mirrored_book()
    other = BUY if side is SELL else SELL
    b.book(0, here, there)
    b.order(10, "order", side, 30, mirrored("99.0", side), stop=mirrored("99.2", side))
    b.trade(100, mirrored("98.9", side), 3, side=side)  # beyond its limit: it rests
    rest = {mirrored("98.5", side): 5}
    away = {mirrored("101", side): 5}
    b.book(120, *((rest, away) if side is SELL else (away, rest)))
    b.level(200, other, mirrored("99.1", side), 8)
    b.trade(300, mirrored("99.1", side), 8, side=side)
    b.level(303, other, mirrored("99.1", side), 0)
    assert [one.partition("@")[0] for one in b.filled_of("order")] == ["8"]


@BOTH
@QUEUES
def test_what_is_left_of_a_stop_in_a_backtest_does_too(side: Side, queues: bool) -> None:
    mine, other = (KERNEL_SELL, KERNEL_BUY) if side is SELL else (KERNEL_BUY, KERNEL_SELL)
    rival = SOLD if side is SELL else BOUGHT

    def at(price: str) -> float:
        return float(mirrored(price, side))

    here, there = (BIDS, ASKS) if side is SELL else _mirrored_book()
    rest, away = {at("98.5"): 5}, {at("101"): 5}
    data = [
        book(0, {float(p): s for p, s in here.items()}, {float(p): s for p, s in there.items()}),
        trade(5, 100.0, 0.1),
        trade(100, at("98.9"), 3, rival),
        book(120, *((rest, away) if side is SELL else (away, rest))),
        level(200, other, at("99.1"), 8),
        trade(300, at("99.1"), 8, rival),
        level(303, other, at("99.1"), 0),
        trade(3000, at("98.6"), 0.1),
    ]
    seen = fill(data, [(10, stop(mine, at("99.2"), at("99.0"), 30))], queues=queues)
    assert [(ms, size) for ms, _, size in parts(seen, "stop")] == [(200.0, 8.0)]


@BOTH
def test_what_goes_on_taking_meets_what_a_late_trade_took_once(side: Side) -> None:
    """A fired stop that the book hides the rest from: it is a taker still."""
    b = Bench()
    here, there = (BIDS, ASKS) if side is SELL else _mirrored_book()
    other = BUY if side is SELL else SELL
    b.book(0, here, there)
    b.order(10, "order", side, 50, mirrored("97.0", side), stop=mirrored("99.45", side))
    b.trade(100, mirrored("99.4", side), 2, side=side)  # of 5
    b.level(190, other, mirrored("99.5", side), 0)
    b.level(200, other, mirrored("99.4", side), 1)  # what two sellers left, told before one of them
    b.trade(202, mirrored("99.4", side), 4, side=side)
    assert [one.partition("@")[0] for one in b.filled_of("order")] == ["3", "2", "1"]


@BOTH
def test_without_consumption_an_order_still_takes_a_level_once(side: Side) -> None:
    b = Bench(consume=False)
    here, there = (BIDS, ASKS) if side is SELL else _mirrored_book()
    b.book(0, here, there)
    b.order(10, "order", side, 50, mirrored("97.0", side), stop=mirrored("99.45", side))
    for ms in (100, 110, 120):
        b.trade(ms, mirrored("99.4", side), 1, side=side)
    assert [one.partition("@")[0] for one in b.filled_of("order")] == ["4"]
    b.order(130, "other", side, 4)
    assert b.filled_of("other") == [f"2@{mirrored('99.4', side)} T"]


@BOTH
@QUEUES
def test_who_met_the_trade_s_taker_comes_before_who_met_what_it_took(
    side: Side, queues: bool
) -> None:
    """Two of the run that cross each other: the buyer would have had the cheaper of them."""
    b = Bench(queue=queues)
    other = BUY if side is SELL else SELL
    b.book(0, *((BIDS, ASKS) if side is SELL else _mirrored_book()))
    b.order(10, "rival", other, 1, mirrored("100.3", side))
    b.order(20, "met", side, 1, mirrored("100.1", side))
    b.trade(100, mirrored("100.2", side), "0.4", side=other)
    b.trade(110, mirrored("100.2", side), 1, side=other)
    assert [one.partition("@")[0] for one in b.filled_of("met")] == ["0.4", "0.6"]
    assert [one.partition("@")[0] for one in b.filled_of("rival")] == ["0.4"]
