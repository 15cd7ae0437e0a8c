"""A market in NautilusTrader's own book beside one in plain levels."""

from __future__ import annotations

import random
from decimal import Decimal

from nautilus_trader.model import OrderBookDelta, OrderBookDeltas, OrderSide

from engine.matching.kernel_book import KernelMarket
from engine.matching.market import LevelMarket
from engine.orders.model import Side
from tests.kernel.bench import IID, at, level, pair

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
