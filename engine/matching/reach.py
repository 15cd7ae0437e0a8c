"""How far a market has to come for one of the run's orders to hear of it.

Most of what is told of a market is of no order's concern: nobody's price is reached, and no trigger
is met. What lies within the `Reach` of all orders needs nothing but to be applied; the size at the
price of one that rests may still move its queue on.

Prices are raw: NautilusTrader's integers, in units of 10 ** -RAW_DECIMALS.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from fairlead.engine.matching.orders import Order, State, Trigger, Watched
from fairlead.engine.orders.model import Side, TriggerSource

RAW_DECIMALS = 16
NOWHERE, EVERYWHERE = -(1 << 127), 1 << 127  # beyond every raw price
_UNKNOWN = Decimal(-1)  # no order's queue


class Queue:
    """An order that rests, and that somebody stands before, or nobody knows who."""

    __slots__ = ("_known", "_raw", "order", "price")

    def __init__(self, order: Order) -> None:
        assert order.price is not None
        self.order, self.price = order, order.price
        self._known: Decimal | None = _UNKNOWN
        self._raw = 0  # of what is known

    @property
    def ahead(self) -> int:
        """Raw; EVERYWHERE where the book has not shown it."""
        ahead = self.order.ahead
        if ahead is not self._known:  # a trade has moved it on, or it is looked at first
            self._known = ahead
            self._raw = EVERYWHERE if ahead is None else raw_of(ahead)
        return self._raw


class Reach:
    """An order hears of an ask at `ask_low` or below, or at `ask_high` or above, and so on; of
    trades at `low` or below and `high` or above."""

    __slots__ = ("ask_high", "ask_low", "bid_high", "bid_low", "high", "low", "queues")

    def __init__(self) -> None:
        self.ask_low = self.bid_low = self.low = NOWHERE
        self.ask_high = self.bid_high = self.high = EVERYWHERE
        self.queues: list[Queue] = []

    def rests(self, order: Order) -> None:
        """What crosses it, or trades at its price or through it."""
        assert order.price is not None
        raw = raw_of(order.price)
        if order.side is Side.BUY:
            self.ask_low, self.low = max(self.ask_low, raw), max(self.low, raw)
        else:
            self.bid_high, self.high = min(self.bid_high, raw), min(self.high, raw)
        if order.ahead is None or order.ahead:
            self.queues.append(Queue(order))

    def waits(self, order: Order) -> bool:
        """False where it looks at another price than these."""
        trigger, release = order.trigger, order.new.release
        assert trigger is not None
        if release is not None:
            if release.source is TriggerSource.LAST:
                self._by_trade(trigger)
            elif release.source is TriggerSource.TOUCH:
                self._by_touch(order.side, trigger)
            else:
                return False
            return True
        if trigger.watched is not Watched.TOUCH:
            self._by_trade(trigger)
        if trigger.watched is not Watched.LAST:
            self._by_touch(order.side, trigger)
        return True

    def _by_trade(self, trigger: Trigger) -> None:
        raw = raw_of(trigger.price)
        if trigger.is_rise:
            self.high = min(self.high, raw)
        else:
            self.low = max(self.low, raw)

    def _by_touch(self, side: Side, trigger: Trigger) -> None:
        raw = raw_of(trigger.price)
        if side is Side.BUY:
            if trigger.is_rise:
                self.ask_high = min(self.ask_high, raw)
            else:
                self.ask_low = max(self.ask_low, raw)
        elif trigger.is_rise:
            self.bid_high = min(self.bid_high, raw)
        else:
            self.bid_low = max(self.bid_low, raw)


def reach_of(orders: Iterable[Order]) -> Reach | None:
    """None where one of them has to look at all that comes."""
    reach = Reach()
    for order in orders:
        if order.state is State.RESTING:
            reach.rests(order)
        elif order.state is not State.WAITING or not reach.waits(order):
            return None
    return reach


def raw_of(value: Decimal) -> int:
    return int(value.scaleb(RAW_DECIMALS))
