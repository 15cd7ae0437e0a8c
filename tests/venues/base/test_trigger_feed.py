"""What held orders are shown of the market: whole books as they stand, cleared ones as none."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.model import (
    AggressorSide,
    BookAction,
    BookOrder,
    InstrumentId,
    OrderBookDelta,
    OrderBookDeltas,
    OrderSide,
    Price,
    Quantity,
    TradeId,
    TradeTick,
)

from fairlead.adapters.base.trigger_feed import TriggerFeed
from tests.unit.nautilus_harness import IID


class Watching:
    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def book(self, instrument: str, bids: Any, asks: Any, ts_event: int, ts: int) -> None:
        prices = [[str(price) for price, _ in side] for side in (bids, asks)]
        self.seen.append((instrument, *prices, ts_event, ts))

    def trade(self, instrument: str, price: Decimal, ts_event: int, ts: int) -> None:
        self.seen.append((instrument, str(price), ts_event, ts))


def level(side: OrderSide, price: str, size: str = "1") -> OrderBookDelta:
    order = BookOrder(side, Price.from_str(price), Quantity.from_str(size), 0)
    return OrderBookDelta(IID, BookAction.ADD, order, 0, 0, 5, 6)


def test_books_and_trades_of_the_run_are_shown() -> None:
    watching = Watching()
    feed = TriggerFeed(watching, [str(IID)])
    clear = OrderBookDelta.clear(IID, 0, 5, 6)
    bids = [level(OrderSide.BUY, price) for price in ("99.00", "99.50")]
    feed.show(OrderBookDeltas(IID, [clear, *bids, level(OrderSide.SELL, "100.00")]))
    feed.show(OrderBookDeltas(IID, [level(OrderSide.SELL, "99.90")]))
    feed.show(OrderBookDeltas(IID, [clear]))
    one = (Price.from_str("99.70"), Quantity.from_str("1"), AggressorSide.BUY, TradeId("1"), 7, 8)
    feed.show(TradeTick(IID, *one))
    feed.show(TradeTick(InstrumentId.from_str("ETH_USDT.OTHER"), *one))
    feed.show(object())
    name = str(IID)
    assert watching.seen == [
        (name, ["99.50", "99.00"], ["100.00"], 5, 6),
        (name, ["99.50", "99.00"], ["99.90", "100.00"], 5, 6),
        (name, [], [], 5, 6),
        (name, "99.70", 7, 8),
    ]
