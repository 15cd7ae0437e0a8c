"""A market in NautilusTrader's own book beside one in plain levels."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.model import (
    AggressorSide,
    BookType,
    OrderBook,
    OrderBookDelta,
    OrderBookDeltas,
    OrderSide,
    TradeTick,
)

from fairlead.engine.matching.kernel_book import KernelMarket
from fairlead.engine.matching.market import LevelMarket
from fairlead.engine.matching.native import print_of
from fairlead.engine.orders.model import Side
from tests.kernel.bench import IID, at, book, level, pair, top, trade

_SIDES = {Side.BUY: OrderSide.BUY, Side.SELL: OrderSide.SELL}
_REACH = 300  # prices of a side: more levels than are read at once


class _Both:
    """The same told to both."""

    def __init__(self) -> None:
        self.kernel, self.plain = KernelMarket(pair(IID)), LevelMarket()

    def told(self, ms: float, side: Side, price: Decimal, size: int) -> None:
        self.kernel.told(level(ms, _SIDES[side], float(price), size))
        self.plain.update([(side, price, Decimal(size))], is_whole=False)

    def assert_equal(self) -> None:
        assert self.kernel.is_known == self.plain.is_known
        for side in Side:
            kept, expected = self.kernel.sides[side], self.plain.sides[side]
            assert list(kept) == list(expected)
            assert kept.best() == expected.best()
            for cents in range(10_000 - _REACH - 9, 10_000 + _REACH + 9, 7):
                price = Decimal(cents) / 100
                assert kept.size(price) == expected.size(price), (side, price)
            assert self.kernel.taken[side].taken == self.plain.taken[side].taken


def test_prices_that_come_and_go_stand_as_they_do_in_plain_levels() -> None:
    draw, both = random.Random(7), _Both()
    for ms in range(6000):
        side = draw.choice(list(Side))
        cents = draw.randrange(1, _REACH)
        price = Decimal(10_000 - cents if side is Side.BUY else 10_000 + cents) / 100
        both.told(ms, side, price, 0 if draw.random() < 0.4 else draw.randrange(1, 9))
        if draw.random() < 0.1:
            taker = draw.choice(list(Side))
            for market in (both.kernel, both.plain):
                market.take(taker, market.offers(taker, None, enough=Decimal(3))[:2])
        if not ms % 500:
            both.assert_equal()
    both.assert_equal()
    assert all(len(list(side)) > 100 for side in both.kernel.sides.values())


def test_a_book_that_is_cleared_is_not_known_and_what_was_taken_of_it_is_forgotten() -> None:
    both = _Both()
    for side, price in ((Side.BUY, "99.98"), (Side.SELL, "100.02")):
        both.told(1, side, Decimal(price), 5)
    for market in (both.kernel, both.plain):
        market.take(Side.BUY, [(Decimal("100.02"), Decimal(2))])
    both.assert_equal()
    both.kernel.told(OrderBookDeltas(IID, [OrderBookDelta.clear(IID, 0, at(2), at(2))]))
    both.plain.update([], is_whole=True)
    both.assert_equal()
    assert not both.kernel.is_known
    both.told(3, Side.SELL, Decimal("100.03"), 4)
    both.assert_equal()
    both.kernel.lost()
    both.plain.replaced()
    both.assert_equal()


def met(market: KernelMarket, side: Side) -> list[tuple[str, str]]:
    """What a taker of `side` meets; a buyer's prices are mirrored at 100."""
    offers = market.offers(side, None)
    return [(f"{abs(price - 100):.2f}", f"{size:.0f}") for price, size in offers]


@pytest.mark.parametrize("side", list(Side), ids=str)
@pytest.mark.parametrize("way", ["told", "passed over", "jumped"])
def test_a_best_quote_says_nothing_of_the_levels_behind_that_trades_ran_through(
    side: Side, way: str
) -> None:
    sign, rows = (-1, OrderSide.BUY) if side is Side.SELL else (1, OrderSide.SELL)
    seller = AggressorSide.SELL if side is Side.SELL else AggressorSide.BUY
    away = [100 + sign * cents / 100 for cents in range(5)]
    market, known = KernelMarket(pair(IID)), OrderBook(IID, BookType.L2_MBP)

    def tell(*events: Any) -> list[tuple[str, str]]:
        for event in events:
            if not isinstance(event, TradeTick):
                known.apply_deltas(event)
        if way == "jumped":
            copy = OrderBook(IID, BookType.L2_MBP)
            copy.apply_deltas(known.to_deltas(at(0), at(0)))
            market.jump(copy, events, ())
        elif way == "passed over":
            market.pass_over(events, ())
        for event in events if way == "told" else ():
            if isinstance(event, TradeTick):
                market.trade(print_of(event))
            else:
                market.told(event)
        return met(market, side)

    sizes = dict.fromkeys(away[1:], 5.0)
    other = {100 - sign * 0.5: 5.0}
    whole = book(1, *((sizes, other) if side is Side.SELL else (other, sizes)))
    through = trade(2, away[3], 1, seller)
    found = tell(whole, through, top(3, rows, away[1], 2))
    assert found == [("0.01", "2"), ("0.03", "4"), ("0.04", "5")]  # not 0.02
    if way == "jumped":
        return
    assert tell(top(4, rows, away[0], 3)) == [("0.00", "3"), *found]  # the last best stands
    assert tell(top(5, rows, away[2], 4, *away[:2])) == [("0.02", "4"), *found[1:]]
    found = tell(trade(6, away[3], 1, seller), top(7, rows, away[1], 1))
    assert found == [("0.01", "1"), ("0.03", "3"), ("0.04", "5")]
    found = tell(level(8, rows, away[4], 6))  # all changes: the others are as they were told
    assert found == [("0.01", "1"), ("0.02", "4"), ("0.03", "5"), ("0.04", "6")]


def best(draw: random.Random, ms: float, price: float, stood: set[float]) -> Any:
    side = OrderSide.BUY if price < 100 else OrderSide.SELL
    gone = {
        one for one in stood if (price < one < 100 if side is OrderSide.BUY else 100 <= one < price)
    }
    stood -= gone
    stood.add(price)
    return top(ms, side, price, draw.randrange(1, 9), *sorted(gone))


def events(draw: random.Random, count: int, stood: set[float]) -> list[Any]:
    """Changes of a book, best quotes and trades, and now and then a book that is cleared; `stood`
    are the prices of its levels."""
    found: list[Any] = []
    for ms in range(count):
        price = 100 + draw.randrange(-30, 30) / 100
        if draw.random() < 0.2:
            found.append(best(draw, ms, price, stood))
        elif draw.random() < 0.4:
            found.append(trade(ms, price, draw.randrange(1, 9), AggressorSide.BUY))
        elif draw.random() < 0.02:
            found.append(OrderBookDeltas(IID, [OrderBookDelta.clear(IID, 0, at(ms), at(ms))]))
            stood.clear()
        else:
            side = OrderSide.BUY if price < 100 else OrderSide.SELL
            size = draw.randrange(0, 9)
            found.append(level(ms, side, price, size))
            (stood.add if size else stood.discard)(price)
    return found


def state(market: KernelMarket) -> tuple[Any, ...]:
    return (
        {side: list(levels) for side, levels in market.sides.items()},
        {side: (taken.taken, taken.traded) for side, taken in market.taken.items()},
        {side: market.offers(side, None) for side in Side},
        market.newer,
        market.last_price,
        market.is_known,
    )


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("takes", [True, False])
@pytest.mark.parametrize("jumps", [True, False])
def test_what_no_order_hears_of_leaves_the_market_as_if_it_was_told(
    seed: int, takes: bool, jumps: bool
) -> None:
    draw = random.Random(seed)
    told, passed = KernelMarket(pair(IID)), KernelMarket(pair(IID))
    known = OrderBook(IID, BookType.L2_MBP)  # of who is told of no gap before it is there
    stood: set[float] = set()
    for _ in range(4):
        some = events(draw, draw.choice((0, 1, 2, 60)), stood)
        books = [one for one in some if not isinstance(one, TradeTick)]
        lasts = {id(one) for one in books if draw.random() < 0.05}
        for one in some:
            told.now_ns = one.ts_init
            if isinstance(one, TradeTick):
                told.trade(print_of(one))
                continue
            known.apply_deltas(one)
            told.told(one)
            if id(one) in lasts:
                told.lost()
                known.reset()
        if jumps:
            copy = OrderBook(IID, BookType.L2_MBP)
            if known.best_bid_price() is not None or known.best_ask_price() is not None:
                copy.apply_deltas(known.to_deltas(at(0), at(0)))
            passed.jump(copy, some, lasts)
        else:
            passed.pass_over(some, lasts)
        assert state(passed) == state(told)
        if takes:
            for market in (told, passed):
                market.take(Side.BUY, market.offers(Side.BUY, None)[:2])
            assert state(passed) == state(told)
