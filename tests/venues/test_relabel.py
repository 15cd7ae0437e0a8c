"""Market data of one instrument told as those of another, also where its grid is coarser."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.model import (
    AggressorSide,
    BookAction,
    BookOrder,
    BookType,
    InstrumentId,
    OrderBook,
    OrderBookDelta,
    OrderBookDeltas,
    OrderSide,
    Price,
    Quantity,
    TradeId,
    TradeTick,
)

from fairlead.adapters.base.relabel import Relabelled

D = Decimal
HERE, THERE = InstrumentId.from_str("BTC_USDT.HERE"), InstrumentId.from_str("BTC_USDT.THERE")
BUY, SELL = OrderSide.BUY, OrderSide.SELL
DIGITS = 2, 3


def instrument(name: InstrumentId, digits: tuple[int, int]) -> Any:
    return SimpleNamespace(id=name, price_precision=digits[0], size_precision=digits[1])


def relabelled(to: tuple[int, int]) -> Relabelled:
    return Relabelled(instrument(THERE, DIGITS), instrument(HERE, to))


def delta(action: Any, side: Any, price: Decimal, size: Decimal, flags: int) -> OrderBookDelta:
    order = BookOrder(side, Price.from_str(f"{price:.2f}"), Quantity.from_str(f"{size:.3f}"), 0)
    return OrderBookDelta(THERE, action, order, flags, 0, 1, 2)


def batch(rows: list[tuple[Any, Any, str, str]], *, whole: bool = False) -> OrderBookDeltas:
    changes = [
        delta(action, side, D(price), D(size), 128 if number == len(rows) else 0)
        for number, (action, side, price, size) in enumerate(rows, start=1)
    ]
    first = [OrderBookDelta.clear(THERE, 0, 1, 2)] if whole else []
    return OrderBookDeltas(THERE, first + changes)


def levels(book: OrderBook) -> list[tuple[str, str]]:
    sides = (*book.bids(), *book.asks())
    return [(str(level.price), str(level.size())) for level in sides]


ADD, UPDATE, DELETE = BookAction.ADD, BookAction.UPDATE, BookAction.DELETE


def test_the_same_grid_only_has_another_name() -> None:
    told = relabelled(DIGITS).deltas(batch([(ADD, BUY, "10.01", "1")], whole=True))
    assert told is not None
    assert (told.instrument_id, len(told.deltas)) == (HERE, 2)
    assert {one.instrument_id for one in told.deltas} == {HERE}


def test_a_coarser_book_adds_up_what_falls_together_and_never_crosses() -> None:
    to, book = relabelled((1, 2)), OrderBook(HERE, BookType.L2_MBP)
    rows = [
        (ADD, BUY, "10.04", "1.004"),
        (ADD, BUY, "10.01", "2"),
        (ADD, SELL, "10.05", "0.5"),
        (ADD, SELL, "10.11", "4"),
    ]
    told = to.deltas(batch(rows, whole=True))
    assert told is not None
    book.apply_deltas(told)
    assert levels(book) == [("10.0", "3.0"), ("10.1", "0.5"), ("10.2", "4.0")]
    told = to.deltas(batch([(DELETE, BUY, "10.01", "0"), (UPDATE, SELL, "10.05", "0.25")]))
    assert told is not None
    book.apply_deltas(told)
    assert levels(book)[:2] == [("10.0", "1.0"), ("10.1", "0.25")]
    assert to.deltas(batch([(UPDATE, BUY, "10.04", "1.001")])) is None


@pytest.mark.parametrize("digits", [(1, 2), (0, 0), (1, 4), (3, 3)])
def test_changes_and_a_snapshot_give_the_same_book(digits: tuple[int, int]) -> None:
    """After any changes the book is that of one snapshot of what stands then."""
    rng = Random(7)
    to, book = relabelled(digits), OrderBook(HERE, BookType.L2_MBP)
    truth: dict[tuple[Any, str], str] = {}
    for _ in range(200):
        rows = []
        for _ in range(rng.randint(1, 4)):
            side = rng.choice([BUY, SELL])
            price = f"{rng.randint(900, 999) if side is BUY else rng.randint(1001, 1099)}"
            at = (side, f"{D(price) / 100:.2f}")
            size = rng.choice(["0", f"{rng.randint(1, 9000) / 1000:.3f}"])
            action = DELETE if size == "0" else UPDATE if at in truth else ADD
            if size == "0" and truth.pop(at, None) is None:
                continue
            if size != "0":
                truth[at] = size
            rows.append((action, *at, size))
        if rows and (told := to.deltas(batch(rows))) is not None:
            book.apply_deltas(told)
    fresh = OrderBook(HERE, BookType.L2_MBP)
    rows = [(ADD, side, price, size) for (side, price), size in truth.items()]
    told = relabelled(digits).deltas(batch(rows, whole=True))
    assert told is not None
    fresh.apply_deltas(told)
    assert levels(book) == levels(fresh)
    assert levels(book)


def test_a_trade_is_on_the_grid_or_too_small_for_it() -> None:
    def trade(size: str) -> TradeTick:
        return TradeTick(
            THERE,
            Price.from_str("10.06"),
            Quantity.from_str(size),
            AggressorSide.BUY,
            TradeId("1"),
            1,
            2,
        )

    told = relabelled((1, 1)).trade(trade("0.290"))
    assert told is not None
    assert (told.instrument_id, str(told.price), str(told.size)) == (HERE, "10.1", "0.2")
    assert relabelled((1, 1)).trade(trade("0.090")) is None
