"""What NautilusTrader's exchange is shown besides the market, so that it asks about held orders.

It asks about an order once its own touch has passed the trigger, and no order waits there without
that. What the engine holds for a venue is fired by another price: by the mid, or by what its
quantity costs, which may come to the trigger while the touch has not. So the exchange, and nobody
else, is shown that price as a whole book: strategies, their books and quotes know of changes only.
What it asks then is answered by the `Shadow`, which knows the market alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from nautilus_trader.model import (
    BookOrder,
    BookType,
    OrderBook,
    OrderBookDeltas,
    OrderBookDepth,
    OrderSide,
    Price,
    Quantity,
)

from fairlead.engine.orders.model import TriggerSource


class Shown:
    """Of one instrument, all along a run; `sources` are the prices that fire what is held.

    The mid is shown after each change of the book and stands until the next, so that what is passed
    when it comes is passed there too. By tier each order has a price of its own: the worst of a
    ladder is shown for a moment before it comes.
    """

    def __init__(self, instrument: Any, sources: Collection[TriggerSource]) -> None:
        self._instrument = instrument
        self._is_mid, self._is_tier = TriggerSource.MID in sources, TriggerSource.TIER in sources
        self._book = OrderBook(instrument.id, BookType.L2_MBP)
        self._size = Quantity.from_decimal_dp(Decimal(1), instrument.size_precision)
        self._hides = False  # the exchange's book is no more the market's
        self.times: list[int] = []  # of what was shown

    @staticmethod
    def is_needed(sources: Collection[TriggerSource]) -> bool:
        return TriggerSource.MID in sources or TriggerSource.TIER in sources

    def among(self, events: Iterable[Any]) -> Iterator[Any]:
        """Events of the market in their order, and what is shown among them."""
        for event in events:
            if type(event) is OrderBookDeltas:
                yield from self._around(event)
            else:
                yield event

    def _around(self, deltas: OrderBookDeltas) -> Iterator[Any]:
        ts, stood = deltas.ts_init, None
        if not deltas.deltas[0].is_clear and (self._hides or self._is_tier):
            stood = self._depth(self._book.bids(), self._book.asks(), ts)
        self._book.apply_deltas(deltas)
        bid, ask = self._book.best_bid_price(), self._book.best_ask_price()
        is_known = bid is not None and ask is not None and bid.raw < ask.raw
        if is_known and self._is_tier:
            yield self._touch(self._book.bids()[-1].price, self._book.asks()[-1].price, ts)
        if stood is not None:
            self.times.append(ts)
            yield stood
        yield deltas
        self._hides = is_known and self._is_mid
        if bid is not None and ask is not None and self._hides:
            mid = (bid.as_decimal() + ask.as_decimal()) / 2
            yield self._touch(self._price(mid, ROUND_CEILING), self._price(mid, ROUND_FLOOR), ts)

    def _price(self, mid: Decimal, rounding: str) -> Price:
        """Between two prices: where a stop fires by one, and not before."""
        dp = self._instrument.price_precision
        return Price.from_decimal_dp(mid.quantize(Decimal(1).scaleb(-dp), rounding), dp)

    def _touch(self, bid: Price, ask: Price, ts: int) -> OrderBookDepth:
        self.times.append(ts)
        bids = [BookOrder(OrderSide.BUY, bid, self._size, 0)]
        asks = [BookOrder(OrderSide.SELL, ask, self._size, 0)]
        return self._whole(bids, asks, ts)

    def _depth(self, bids: Iterable[Any], asks: Iterable[Any], ts: int) -> OrderBookDepth:
        return self._whole([one.first() for one in bids], [one.first() for one in asks], ts)

    def _whole(self, bids: list[BookOrder], asks: list[BookOrder], ts: int) -> OrderBookDepth:
        counts = [1] * len(bids), [1] * len(asks)
        return OrderBookDepth(self._instrument.id, bids, asks, *counts, 0, 0, ts, ts)
