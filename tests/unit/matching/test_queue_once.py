"""The queue before a resting order is shortened once by what the book and a trade both tell of.

On paper and in a backtest. Venues often send the quote that a trade led to before the trade.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from tests.kernel.bench import book, level, trade
from tests.unit.matching.fills import BUY as KERNEL_BUY
from tests.unit.matching.fills import bid, fill, parts
from tests.unit.matching.kit import BUY, Bench, plain

Step = tuple[float, str, float]  # ms, and the size that the book shows, or that is traded

CASES: dict[str, tuple[list[Step], list[tuple[float, str]]]] = {
    "the book before its trade": (
        [(100, "book", 6), (101, "trade", 4), (200, "trade", 6), (300, "trade", 1)],
        [(300, "1")],
    ),
    "the trade before its book": (
        [(100, "trade", 4), (101, "book", 6), (200, "trade", 6), (300, "trade", 1)],
        [(300, "1")],
    ),
    "the trade that ends the queue, after the book": (
        [(100, "book", 0), (101, "trade", 10)],
        [],
    ),
    "and takes more than that": ([(100, "book", 0), (101, "trade", 12)], [(101, "2")]),
    "two books, and then their trades": (
        [
            (100, "book", 7),
            (120, "book", 4),
            (125, "trade", 3),
            (126, "trade", 3),
            (200, "trade", 5),
        ],
        [(200, "1")],
    ),
    "one book of two trades": (
        [(100, "book", 4), (101, "trade", 2), (102, "trade", 4), (200, "trade", 5)],
        [(200, "1")],
    ),
    "who left without a trade": ([(100, "book", 6), (200, "trade", 7)], [(200, "1")]),
    "a trade long after the book": ([(100, "book", 6), (151, "trade", 7)], [(151, "1")]),
    "who comes behind it is not before it": (
        [(100, "book", 30), (110, "book", 26), (111, "trade", 4), (200, "trade", 7)],
        [(200, "1")],
    ),
}


def on_paper(steps: Sequence[Step]) -> list[tuple[float, str]]:
    b = Bench()
    b.book(0, {"99.5": 10, "99.4": 5}, {"100.5": 5})
    b.order(10, "bid", BUY, 9, "99.5")
    for ms, kind, size in steps:
        if kind == "book":
            b.level(ms, BUY, "99.5", size)
        else:
            b.trade(ms, "99.5", size)
    return [(one.ms, one.detail.partition("@")[0]) for one in b.told if one.kind == "filled"]


def in_backtest(steps: Sequence[Step]) -> list[tuple[float, str]]:
    data: list[Any] = [book(0, {99.5: 10, 99.4: 5}, {100.5: 5}), trade(5, 100.0, 0.1)]
    for ms, kind, size in steps:
        data.append(level(ms, KERNEL_BUY, 99.5, size) if kind == "book" else trade(ms, 99.5, size))
    seen = fill(data, [(10, bid("bid", 99.5, 9.0))])
    return [(ms, plain(Decimal(str(size)))) for ms, _, size in parts(seen, "bid")]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("mode", [on_paper, in_backtest])
def test_a_queue_is_shortened_once(mode: Any, case: str) -> None:
    steps, expected = CASES[case]
    assert mode(steps) == expected


def test_a_new_price_forgets_what_left_the_old_one() -> None:
    b = Bench()
    b.book(0, {"99.5": 10, "99.4": 5}, {"100.5": 5})
    b.order(10, "bid", BUY, 9, "99.5")
    b.level(100, BUY, "99.5", 2)
    b.modify(101, "bid", price="99.4")
    b.trade(102, "99.4", 6)
    assert b.filled_of("bid") == ["1@99.4 M"]
