"""The fills of a backtest: NautilusTrader's simulated exchange, told what an order meets.

Left to itself it fills a stop that a trade fired at the stop's own limit price, an order between a
trade and the next change of the book on levels that the trade took away, and holds a level that the
run took from for gone as long as its size is told the same. `MarketFills` answers by the rules of
`engine.matching.taking`.

What the exchange has seen and nobody else yet can't be answered: such an order fills nothing then,
and the exchange is made to ask again (`engine.matching.asking`). Orders that rest when a trade
comes are the exchange's own: it knows the trade and the queue.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nautilus_trader.execution import FillModel
from nautilus_trader.model import (
    AggressorSide,
    BookOrder,
    BookType,
    InstrumentId,
    LiquiditySide,
    OrderAccepted,
    OrderBook,
    OrderBookDeltas,
    OrderSide,
    OrderType,
    OrderUpdated,
    Price,
    Quantity,
    TimeInForce,
    TradeTick,
    TriggerType,
)

from engine.matching.asking import Asking
from engine.matching.taking import ZERO, Offer, Print, met, walk
from engine.matching.traces import Queue, Traces
from engine.orders.model import Side

TRADES_MAX = 1000  # newer than the book, that are looked at
NEVER_NS = 2**64 - 1
DEPTHS = (25, 200, None)  # levels of a side are looked at, more only if those do not suffice

_SIDES = {OrderSide.BUY: Side.BUY, OrderSide.SELL: Side.SELL}
_AGGRESSORS = {AggressorSide.BUY: Side.BUY, AggressorSide.SELL: Side.SELL}
_STOPS = (OrderType.STOP_LIMIT, OrderType.TRAILING_STOP_LIMIT)
_OTHER = {OrderSide.BUY: OrderSide.SELL, OrderSide.SELL: OrderSide.BUY}


class MarketFills(FillModel):
    """What orders meet, of instruments with a book of more than the touch.

    `consumes`: what the run took of a level is gone until the market data tells of it again.
    `queues`: a fired stop that rests has a queue before it, as any resting order.
    """

    def __init__(self, asking: Asking, *, consumes: bool, queues: bool) -> None:
        super().__init__()
        self._asking, self._consumes, self._queues = asking, consumes, queues
        self._copies: dict[InstrumentId, tuple[int, int, OrderBook]] = {}  # of books, when
        self._traded_at: dict[tuple[InstrumentId, int], bool] = {}

    def get_orderbook_for_fill_simulation(
        self, instrument: Any, order: Any, best_bid: Any = None, best_ask: Any = None
    ) -> OrderBook | None:
        """A book of just what `order` gets now. None: the exchange's own way.

        What it raises NautilusTrader only logs; so it is kept, for the run to end with it.
        """
        market = self._asking.market(instrument.id)
        if market is None:
            return None
        try:
            return self._answer(market, instrument, order, best_bid, best_ask)
        except Exception as error:
            self._asking.failed(error)
            raise

    def _answer(
        self, market: Traces, instrument: Any, order: Any, best_bid: Any, best_ask: Any
    ) -> OrderBook | None:
        top = self._asking.cache.top_of_book(instrument.id)
        is_known = bool(
            top
            and top[0] == best_bid
            and top[2] == best_ask
            and self._asking.knows_trades(instrument.id)
        )
        if not _is_priced(order):  # is asked about once: what fills nothing is cancelled
            return self._taken(market, instrument, order, is_known=is_known)
        order_id = str(order.client_order_id)
        is_pending = self._is_pending(market, order, order_id)
        if not is_known:
            is_crossed = top is not None and (
                top[2] <= order.price if order.side == OrderSide.BUY else top[0] >= order.price
            )
            is_trade = self._is_trade(instrument.id)
            if is_pending or is_crossed or not is_trade:
                if not is_trade and not _has_trigger(order):
                    return self._taken(market, instrument, order, is_known=False)
                return self._later(market, instrument, order_id)
            if top is None and self._queues and order.price == _traded(order, best_bid, best_ask):
                return _book(instrument, order, [])  # nobody knows what is left before it
            if self._is_queued(market, instrument, order, best_bid, best_ask):
                return _book(instrument, order, [])
            if self._has_stops(instrument.id):  # a stop that fires finds nothing left of the trade
                self._asking.ask_again(instrument.id)
            return None
        if order_id in market.unfired and not _is_reached(order, top):
            return _book(instrument, order, [])
        if order_id in market.unfired:
            market.unfired.discard(order_id)
            market.fired.add(order_id)
            market.taking[order_id] = self._asking.clock.timestamp_ns()
        return self._taken(market, instrument, order, is_known=True)

    def _is_pending(self, market: Traces, order: Any, order_id: str) -> bool:
        """Whether it is about to take, so that the exchange's own way is wrong for it.

        A stop takes, at the market's prices, if it has fired and was marketable ever since. One
        that was not in between is a maker, at its own price; so is what is left of any other order.

        The exchange moves the touch to the price of a trade while that is told, and so fires what
        waits for the touch: that is held back until the touch is there.
        """
        if not _has_trigger(order) or order_id in market.rested:
            return False
        now, fired = self._asking.clock.timestamp_ns(), order.ts_triggered
        if order.trigger_type != TriggerType.LAST_PRICE and order_id not in market.fired:
            if fired in (None, now) or self._is_traded_at(order.instrument_id, fired):
                market.unfired.add(order_id)
                return True
            market.fired.add(order_id)
        if order.liquidity_side != LiquiditySide.TAKER:
            return False
        is_late = order_id not in market.taking and fired not in (None, now)
        if is_late and self._asking.told_ns(order.instrument_id) > fired:
            market.rests(order_id)  # not asked for since: it was beyond its limit
            return False
        market.taking[order_id] = now
        return True

    def _is_trade(self, instrument_id: InstrumentId) -> bool:
        """Whether the exchange asks because of a trade, not of a change of the book.

        Where both come at once the trade is first.
        """
        is_trade = self._asking.is_trade(instrument_id)
        return not self._asking.knows_trades(instrument_id) if is_trade is None else is_trade

    def _has_stops(self, instrument_id: InstrumentId) -> bool:
        return any(map(_has_trigger, self._asking.cache.orders_open(instrument_id=instrument_id)))

    def _is_traded_at(self, instrument_id: InstrumentId, ts: int) -> bool:
        """Whether a trade came at `ts`, which is over."""
        known = self._traded_at.get((instrument_id, ts))
        if known is not None:
            return known
        index, cache = 0, self._asking.cache
        trade = cache.trade(instrument_id)
        while trade is not None and trade.ts_init > ts:
            index += 1
            trade = cache.trade(instrument_id, index)
        found = trade is not None and bool(trade.ts_init == ts)
        self._traded_at[instrument_id, ts] = found
        return found

    def _known_book(self, instrument_id: InstrumentId) -> OrderBook | None:
        """The cache's book: a copy of all levels, so one for all that ask in a moment."""
        cache, now = self._asking.cache, self._asking.clock.timestamp_ns()
        count = cache.book_update_count(instrument_id)
        copied = self._copies.get(instrument_id)
        if copied is not None and copied[:2] == (now, count):
            return copied[2]
        book: OrderBook | None = cache.order_book(instrument_id)
        if book is not None:
            self._copies[instrument_id] = (now, count, book)
        return book

    def _later(self, market: Traces, instrument: Any, order_id: str) -> OrderBook:
        """Nothing until all know what the exchange knows."""
        market.waiting.add(order_id)
        self._asking.watch(instrument.id)
        self._asking.ask_again(instrument.id)
        return OrderBook(instrument.id, BookType.L2_MBP)

    def _taken(self, market: Traces, instrument: Any, order: Any, *, is_known: bool) -> OrderBook:
        """What it gets of the newest market. `is_known`: the cache has it."""
        side, order_id = order.side, str(order.client_order_id)
        consumed = market.consumed(side)
        book = self._known_book(instrument.id)
        if book is None:
            return _book(instrument, order, [])
        ticks = self._newer_trades(instrument.id, book)
        if not is_known:
            told, coming = self._asking.coming(instrument.id)
            if told:
                self._copies.pop(instrument.id, None)  # no longer what the cache has
            for one in told:
                self._foresee(market, book, one)
            ticks = [] if told else [*ticks, *coming]
        trades = [_print(tick) for tick in ticks]
        leaves = self._leaves(order)
        limit = order.price.as_decimal() if _is_priced(order) else None
        fills = self._walked(book, side, trades, consumed.taken, limit, leaves)
        left = leaves - sum((size for _, size in fills), ZERO)
        if left > 0 and order.time_in_force == TimeInForce.FOK:
            fills = []
        for price, size in fills if self._consumes else ():
            consumed.take(price, size)
            if trades and not _has(book, side, price):
                market.printed.add((side, price))
        if left > 0 and limit is not None:
            market.waiting.add(order_id)
        else:
            market.waiting.discard(order_id)
            market.taking.pop(order_id, None)
        if left > 0 and fills and order.order_type == OrderType.MARKET:
            self._asking.end(order.client_order_id)
        if not market.is_quiet:
            self._asking.watch(instrument.id)
        if fills and limit is not None and self._is_maker(market, order, order_id):
            fills = [(limit, sum((size for _, size in fills), ZERO))]
        return _book(instrument, order, fills)

    def _leaves(self, order: Any) -> Decimal:
        """What is left of it: of a reduce-only one no more than the exchange cuts it to."""
        leaves: Decimal = order.leaves_qty.as_decimal()
        if not order.is_reduce_only:
            return leaves
        positions = self._asking.cache.positions_open(
            instrument_id=order.instrument_id, strategy_id=order.strategy_id
        )
        is_long = order.side == OrderSide.SELL
        held = [one.quantity.as_decimal() for one in positions if one.is_long == is_long]
        return min(leaves, sum(held, ZERO))

    def _foresee(self, market: Traces, book: OrderBook, told: Any) -> None:
        """Apply to `book` what comes of it now."""
        now = self._asking.clock.timestamp_ns()
        if isinstance(told, OrderBookDeltas):
            book.apply_deltas(told)
            market.foresee(told.deltas, now)
        else:
            book.apply_depth(told)
            market.foresee_anew(now)

    def _is_maker(self, market: Traces, order: Any, order_id: str) -> bool:
        """Whether it rests. An order that was changed the exchange calls a taker for ever."""
        if order.liquidity_side != LiquiditySide.TAKER:
            return True
        if _has_trigger(order) and order_id not in market.rested:
            return False
        return _came_ns(order) < self._asking.clock.timestamp_ns()

    def _newer_trades(self, instrument_id: InstrumentId, book: OrderBook) -> list[TradeTick]:
        """Trades newer than the book, in their order.

        The venue's clock decides on what is received at once.
        """
        told_ns, cache = self._asking.cached_ns(instrument_id, book), self._asking.cache
        venue_ns = book.ts_event
        found: list[TradeTick] = []
        trade = cache.trade(instrument_id)
        while trade is not None and trade.ts_init > told_ns and len(found) < TRADES_MAX:
            found.append(trade)
            trade = cache.trade(instrument_id, len(found))
        while trade is not None and trade.ts_init == told_ns and trade.ts_event > venue_ns:
            found.append(trade)
            trade = cache.trade(instrument_id, len(found))
        return found[::-1]

    def _walked(
        self,
        book: OrderBook,
        side: OrderSide,
        trades: list[Print],
        taken: dict[Decimal, Decimal],
        limit: Decimal | None,
        leaves: Decimal,
    ) -> list[Offer]:
        for depth in DEPTHS:
            shown = _levels(book, _OTHER[side], depth)
            found = met(_SIDES[side], shown, limit=limit)
            is_all = len(found) < len(shown) or len(shown) != depth
            for trade in trades:  # each of them ran through what was better
                found = met(_SIDES[side], found, last=trade)
            fills = walk(met(_SIDES[side], found, taken=taken, limit=limit), leaves)
            if is_all or sum((size for _, size in fills), ZERO) == leaves:
                break
        return fills

    def _is_queued(
        self, market: Traces, instrument: Any, order: Any, best_bid: Any, best_ask: Any
    ) -> bool:
        """Whether something stands before it, at a trade at its price, that the exchange forgot.

        It keeps no queue for a fired stop that rests, and forgets all queues when a gap clears the
        book. This trade's size is not known yet: the one that ends the queue fills nothing of the
        order.
        """
        traded = _traded(order, best_bid, best_ask)
        if not self._queues or order.price != traded:
            return False
        if not _has_trigger(order) and self._asking.cleared_ns(instrument.id) < _came_ns(order):
            return False
        order_id, cache = str(order.client_order_id), self._asking.cache
        book = self._known_book(instrument.id)
        shown = ZERO if book is None else _size_at(book, order.side, order.price.as_decimal())
        queue = market.queues.get(order_id)
        newest = cache.trade(instrument.id)
        newest_id = "" if newest is None else str(newest.trade_id)
        price = order.price.as_decimal()
        if queue is None or queue.price != price:
            queue = market.queues[order_id] = Queue(price, shown, newest_id)
        index, trade = 0, newest
        while trade is not None and str(trade.trade_id) != queue.counted:
            if trade.price == order.price:
                queue.ahead -= trade.size.as_decimal()
            index += 1
            trade = cache.trade(instrument.id, index)
        queue.ahead, queue.counted = min(queue.ahead, shown), newest_id
        return queue.ahead > 0


def _is_priced(order: Any) -> bool:
    return bool(getattr(order, "has_price", False))  # a market order has no word for it


def _came_ns(order: Any) -> int:
    """When it came, or was last changed, at the exchange; the largest time: not yet."""
    for event in reversed(order.events()):
        if isinstance(event, OrderUpdated | OrderAccepted):
            return int(event.ts_event)
    return NEVER_NS


def _traded(order: Any, best_bid: Any, best_ask: Any) -> Any:
    """The price of the trade because of which the exchange asks."""
    return best_bid if order.side == OrderSide.SELL else best_ask


def _has_trigger(order: Any) -> bool:
    return bool(getattr(order, "has_trigger_price", False))


def _is_reached(order: Any, top: Any) -> bool:
    """Whether the touch has reached its trigger."""
    trigger, is_stop = order.trigger_price, order.order_type in _STOPS
    if order.side == OrderSide.BUY:
        return bool(top[2] >= trigger if is_stop else top[2] <= trigger)
    return bool(top[0] <= trigger if is_stop else top[0] >= trigger)


def _print(trade: TradeTick) -> Print:
    return Print(
        price=trade.price.as_decimal(),
        size=trade.size.as_decimal(),
        aggressor=_AGGRESSORS.get(trade.aggressor_side),
    )


def _levels(book: OrderBook, side: OrderSide, depth: int | None) -> list[Offer]:
    """Of the side's best `depth` prices, best first."""
    found = book.bids_to_dict(depth) if side == OrderSide.BUY else book.asks_to_dict(depth)
    return list(found.items())


def _size_at(book: OrderBook, side: OrderSide, price: Decimal) -> Decimal:
    for depth in DEPTHS:
        levels = book.bids_to_dict(depth) if side == OrderSide.BUY else book.asks_to_dict(depth)
        if price in levels or len(levels) != depth:
            break
        worst = next(reversed(levels))
        if price > worst if side == OrderSide.BUY else price < worst:
            break
    return levels.get(price, ZERO)


def _has(book: OrderBook, side: OrderSide, price: Decimal) -> bool:
    """Whether there is a level for a taker of `side`."""
    return _size_at(book, _OTHER[side], price) > 0


def _book(instrument: Any, order: Any, offers: list[Offer]) -> OrderBook:
    """A book of these for `order` to take."""
    made = OrderBook(instrument.id, BookType.L2_MBP)
    for price, size in offers:
        row = BookOrder(
            _OTHER[order.side],
            Price.from_decimal_dp(price, instrument.price_precision),
            Quantity.from_decimal_dp(size, instrument.size_precision),
            0,
        )
        made.add(row, 0, 0, 0)
    return made
