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
from tests.kernel.bench import IID, at, level, pair, trade

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


def events(draw: random.Random, count: int) -> list[Any]:
    """Changes of a book and trades, and now and then a book that is cleared."""
    found: list[Any] = []
    for ms in range(count):
        price = 100 + draw.randrange(-30, 30) / 100
        if draw.random() < 0.4:
            found.append(trade(ms, price, draw.randrange(1, 9), AggressorSide.BUY))
        elif draw.random() < 0.02:
            found.append(OrderBookDeltas(IID, [OrderBookDelta.clear(IID, 0, at(ms), at(ms))]))
        else:
            side = OrderSide.BUY if price < 100 else OrderSide.SELL
            found.append(level(ms, side, price, draw.randrange(0, 9)))
    return found


def state(market: KernelMarket) -> tuple[Any, ...]:
    return (
        {side: list(levels) for side, levels in market.sides.items()},
        {side: (taken.taken, taken.traded) for side, taken in market.taken.items()},
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
    for _ in range(4):
        some = events(draw, draw.choice((0, 1, 2, 60)))
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
