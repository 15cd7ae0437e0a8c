"""What a run did to the market of one instrument in a backtest, and which orders wait for it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.model import BookAction, OrderSide

from engine.matching.taking import Consumed


class Queue(msgspec.Struct):
    """What stood before a resting order at its price, base units, less trades to `counted`."""

    price: Decimal
    ahead: Decimal
    counted: str


class Traces:
    """Sides are those of the taker. Orders are named by their client order ids."""

    def __init__(self) -> None:
        self.buyers, self.sellers = Consumed(), Consumed()
        self.printed: set[tuple[OrderSide, Decimal]] = set()  # taken of trades, where no level is
        self.waiting: set[str] = set()  # marketable, and found too little
        self.taking: dict[str, int] = {}  # fired, marketable since; when last asked for, ns
        self.rested: set[str] = set()  # fired, were not marketable since, and are makers now
        self.fired: set[str] = set()  # by the touch
        self.unfired: set[str] = set()  # by a trade, which is not what their triggers look at
        self.foreseen_ns = 0
        self.queues: dict[str, Queue] = {}

    def consumed(self, side: OrderSide) -> Consumed:
        return self.buyers if side == OrderSide.BUY else self.sellers

    @property
    def is_quiet(self) -> bool:
        """Whether no word of the book is needed."""
        return not (self.taking or self.waiting or self.buyers.taken or self.sellers.taken)

    def told(self, deltas: Iterable[Any], now: int, *, is_whole: bool) -> None:
        """Changes of the book that came at `now`, after the exchange had seen them.

        `is_whole`: there are bids and asks now.
        """
        self._newer_than_trades(now if is_whole else 0)
        if now != self.foreseen_ns:
            self.levels(deltas)

    def foresee(self, deltas: Iterable[Any], now: int) -> None:
        """The same, before anyone else knows; `told` comes later."""
        if now != self.foreseen_ns:
            self.foreseen_ns = now
            self.levels(deltas)

    def levels(self, deltas: Iterable[Any]) -> None:
        """What was taken of them is there anew."""
        for delta in deltas:
            if delta.action == BookAction.CLEAR:
                self._replaced()
                continue
            order = delta.order
            taken = self.sellers if order.side == OrderSide.BUY else self.buyers
            if taken.taken:
                taken.told(order.price.as_decimal())

    def told_anew(self, now: int, *, is_whole: bool) -> None:
        """A whole book."""
        self._newer_than_trades(now if is_whole else 0)
        if now != self.foreseen_ns:
            self._replaced()

    def foresee_anew(self, now: int) -> None:
        if now != self.foreseen_ns:
            self.foreseen_ns = now
            self._replaced()

    def _newer_than_trades(self, now: int) -> None:
        for side, price in self.printed:
            self.consumed(side).told(price)  # traded before this book, and no level of it
        self.printed.clear()
        for order_id, asked in list(self.taking.items()):
            if asked < now:  # the exchange did not ask: nothing of this book is within its limit
                self.rests(order_id)

    def rests(self, order_id: str) -> None:
        self.taking.pop(order_id, None)
        self.rested.add(order_id)

    def _replaced(self) -> None:
        self.buyers.replaced()
        self.sellers.replaced()
