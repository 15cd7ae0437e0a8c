"""A market in NautilusTrader's own book: of the many levels told few are ever looked at."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import takewhile
from typing import Any

from nautilus_trader.model import (
    BookAction,
    BookType,
    OrderBook,
    OrderBookDeltas,
    OrderSide,
    Price,
    Quantity,
    RecordFlag,
    TradeTick,
)

from fairlead.engine.matching.market import LEVELS, NEWER_MAX, ZERO, Market
from fairlead.engine.matching.native import print_of
from fairlead.engine.matching.reach import Queue, Reach
from fairlead.engine.matching.taking import Offer
from fairlead.engine.orders.model import Side, TierPrice

GROWTH = 8  # of the levels that are read, where those before were too few
F_TOB = RecordFlag.F_TOB.value
KEPT_MAX = 256  # prices of orders about which something is kept


class KernelSide:
    """One side of `book`, of an instrument with these precisions."""

    def __init__(self, book: OrderBook, side: Side, instrument: Any) -> None:
        self.book, self._is_bid = book, side is Side.BUY
        self._taker = OrderSide.SELL if self._is_bid else OrderSide.BUY
        self._size_precision = instrument.size_precision
        dp = instrument.price_precision
        # Asked for again and again while an order rests
        self._native = lru_cache(KEPT_MAX)(lambda price: Price.from_decimal_dp(price, dp))
        self._best: tuple[int, Decimal] = (0, ZERO)  # raw, and the same as a Decimal
        self._beyond: dict[Decimal, Price] = {}  # a level behind a price at which nothing stood

    def __iter__(self) -> Iterator[Offer]:
        """Best first."""
        done = 0
        for levels in self._read():
            for level in levels[done:]:
                yield level.price.as_decimal(), level.first().size.as_decimal()
            done = len(levels)

    def best(self) -> Decimal | None:
        found = self.book.best_bid_price() if self._is_bid else self.book.best_ask_price()
        if found is None:
            return None
        raw = found.raw
        if raw != self._best[0]:
            self._best = raw, found.as_decimal()
        return self._best[1]

    def size(self, price: Decimal) -> Decimal | None:
        """What stands at a price; None where the book does not reach so far."""
        at = self._native(price)
        shown = self._shown(at)
        if shown.raw:
            return shown.as_decimal()
        beyond = self._beyond.get(price)
        if beyond is not None and self._shown(beyond).raw:
            return ZERO
        return self._look_beyond(price, at)

    def move_on(self, queue: Queue, ahead: int, event: Any) -> None:
        """Who left the price of an order no longer stands before it."""
        shown = self._shown(self._native(queue.price))
        if raw := shown.raw:
            if raw < ahead:
                queue.order.shown(shown.as_decimal(), event.ts_init)
        elif (size := self.size(queue.price)) is not None:
            queue.order.shown(size, event.ts_init)

    def _shown(self, at: Price) -> Quantity:
        return self.book.get_quantity_at_level(at, self._taker, self._size_precision)

    def _look_beyond(self, price: Decimal, at: Price) -> Decimal | None:
        for levels in self._read():
            if levels and self._is_as_far(levels[-1].price.raw, at.raw):
                if len(self._beyond) >= KEPT_MAX:
                    self._beyond.clear()
                self._beyond[price] = levels[-1].price
                return ZERO
        return None

    def _is_as_far(self, raw: int, other: int) -> bool:
        return raw <= other if self._is_bid else raw >= other

    def _read(self) -> Iterator[list[Any]]:
        """The best levels, then more of them: a few are mostly enough."""
        count = LEVELS
        while True:
            levels = self.book.bids(count) if self._is_bid else self.book.asks(count)
            yield levels
            if len(levels) < count:
                return
            count *= GROWTH


def _is_trade(event: Any) -> bool:
    return type(event) is TradeTick


def _is_top(event: Any) -> bool:
    """Whether a change of the book is the venue's best quote alone."""
    return type(event) is OrderBookDeltas and bool(event.flags & F_TOB)


def _is_later(event: Any) -> bool:
    """Whether it may be newer than the levels behind the best."""
    return _is_trade(event) or _is_top(event)


class KernelMarket(Market):
    """A market that is told in NautilusTrader's deltas and depths."""

    def __init__(self, instrument: Any, tier_price: TierPrice | None = None) -> None:
        self._book = OrderBook(instrument.id, BookType.L2_MBP)
        self._own = {side: KernelSide(self._book, side, instrument) for side in Side}
        super().__init__(self._own, tier_price)
        self._bids, self._asks = self.taken[Side.BUY], self.taken[Side.SELL]
        self._gone = self.behind_top[Side.BUY], self.behind_top[Side.SELL]

    def told(self, deltas: OrderBookDeltas) -> None:
        """A batch of the book."""
        self._book.apply_deltas(deltas)
        if self._bids.taken or self._asks.taken:
            self._told_again(deltas)
        elif not (self.newer or any(self._gone)):
            return
        self.settled(is_top=_is_top(deltas))

    def pass_over(
        self, events: Iterable[Any], lasts: Collection[int], reach: Reach | None = None
    ) -> int:
        """Books and trades that no order hears of: as if told one by one; how many those were.

        `lasts`: ids of the batches behind which nobody knows the book. With a `reach` this ends at
        the first event that is not within it; a book has been told then, and a trade has not.
        """
        apply, bids, asks = self._book.apply_deltas, self._bids.taken, self._asks.taken
        bids_gone, asks_gone = self._gone
        newer: list[TradeTick] = []  # than the book
        last: TradeTick | None = None
        late_ns = self.late_until_ns  # moves with the book alone
        done = 0
        for event in events:
            if type(event) is TradeTick:
                if reach is not None and not reach.low < event.price.raw < reach.high:
                    break
                last = event
                if bids or asks or event.ts_init <= late_ns:
                    self.now_ns = event.ts_init
                    self.trade(print_of(event))
                else:
                    newer.append(event)
                done += 1
                continue
            if newer:
                if _is_top(event):
                    self._trade_all(newer)
                newer.clear()
            is_plain = not (bids or asks or self.newer or bids_gone or asks_gone)
            if is_plain and type(event) is OrderBookDeltas:
                apply(event)
            else:
                self._tell_book(event)
                late_ns = self.late_until_ns
            if reach is not None and self._is_reached(reach, event):
                self.now_ns = event.ts_init
                break
            if lasts and id(event) in lasts:
                self.lost()
                late_ns = self.late_until_ns
            done += 1
        else:
            if reach is not None and done:
                self.now_ns = event.ts_init
        self._trade_all(newer)
        if last is not None:
            self.last_price = last.price.as_decimal()
        return done

    def _trade_all(self, newer: Sequence[TradeTick]) -> None:
        for trade in newer[-NEWER_MAX:]:
            self.trade(print_of(trade))

    def _tell_book(self, event: Any) -> None:
        self.now_ns = event.ts_init
        if type(event) is OrderBookDeltas:
            self.told(event)
        else:
            self.told_whole(event)

    def _is_reached(self, reach: Reach, event: Any) -> bool:
        """Whether an order hears of the book as it stands; else queues move on."""
        book = self._book
        ask = book.best_ask_price()
        if ask is not None and not reach.ask_low < ask.raw < reach.ask_high:
            return True
        bid = book.best_bid_price()
        if bid is not None and not reach.bid_low < bid.raw < reach.bid_high:
            return True
        for queue in reach.queues:
            if ahead := queue.ahead:
                self._own[queue.order.side].move_on(queue, ahead, event)
        return False

    def jump(self, book: OrderBook, events: Sequence[Any], lasts: Collection[int]) -> None:
        """As `pass_over`, where `book` is one that was told them all already."""
        count = len(list(takewhile(_is_later, reversed(events))))
        if count == len(events) or self._bids.taken or self._asks.taken:
            self.pass_over(events, lasts)
            return
        self._book = book
        for side in self._own.values():
            side.book = book
        if (trade := next(filter(_is_trade, reversed(events)), None)) is not None:
            self.last_price = trade.price.as_decimal()
        for at in range(len(events) - count - 1, len(events)):
            event = events[at]
            self.now_ns = event.ts_init
            if _is_trade(event):
                self.trade(print_of(event))
                continue
            self.settled(is_top=_is_top(event))
            if id(event) in lasts:
                self.lost()
                self.pass_over(events[at + 1 :], lasts)
                return

    def told_whole(self, depth: Any) -> None:
        """An OrderBookDepth."""
        self.replaced()
        self._book.apply_depth(depth)
        self.settled()

    def lost(self) -> None:
        """From now on nobody knows the book."""
        self.replaced()
        self.settled()

    def clear(self) -> None:
        self._book.reset()

    def _told_again(self, deltas: OrderBookDeltas) -> None:
        for row in deltas.deltas:
            if row.action == BookAction.CLEAR:
                self._bids.replaced(self.now_ns)
                self._asks.replaced(self.now_ns)
                continue
            taken = self._bids if row.order.side == OrderSide.BUY else self._asks
            if taken.taken:
                taken.told(row.order.price.as_decimal(), self.now_ns)
