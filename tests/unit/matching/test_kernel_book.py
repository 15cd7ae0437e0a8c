"""A book in NautilusTrader's numbers beside one in plain ones."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from nautilus_trader.model import OrderSide

from engine.matching.kernel_book import SLACK, KernelMarket
from engine.matching.market import Market
from engine.orders.model import Side
from tests.kernel.bench import level


def test_prices_that_come_and_go_leave_a_side_as_small_as_it_is() -> None:
    draw, market, plain = random.Random(7), KernelMarket(2), Market()
    for at in range(20_000):
        is_bid = draw.random() < 0.5
        price = draw.randrange(9900, 10000) if is_bid else draw.randrange(10001, 10100)
        size: Any = 0 if draw.random() < 0.5 else draw.randrange(1, 9)
        side = OrderSide.BUY if is_bid else OrderSide.SELL
        market.told(level(at, side, price / 100, size).deltas)
        book = Side.BUY if is_bid else Side.SELL
        plain.update([(book, Decimal(price) / 100, Decimal(size))], is_whole=False)
    for side_ in Side:
        kept, expected = market.sides[side_], plain.sides[side_]
        assert list(kept) == list(expected)
        assert kept.best() == expected.best()
        for price in range(9890, 10110, 3):
            assert kept.size(Decimal(price) / 100) == expected.size(Decimal(price) / 100)
        for heap in ("best_first", "worst_first"):
            assert len(getattr(kept, heap)) <= 4 * 200 + SLACK
