"""Books, trades and bars as strategies are shown them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from nautilus_trader.model import (
    AggressorSide,
    Bar,
    BarAggregation,
    BarType,
    BookAction,
    BookOrder,
    InstrumentId,
    OrderBookDelta,
    OrderBookDeltas,
    OrderSide,
    Price,
    Quantity,
    RecordFlag,
    TradeTick,
)

from fairlead.adapters.simulation.orders import Trade
from fairlead.engine.identifiers import trade_id
from fairlead.engine.orders.model import Side
from fairlead.engine.sessions.host.base import Host

LOOK_SECS = 0.2
LEVELS = 5
Level = tuple[Decimal, Decimal]
Shown = tuple[list[Level], list[Level]]


class _Bars:
    """Time bars of one subscription, from trades; a bar without one repeats the last close."""

    def __init__(self, bar_type: BarType, hear: Callable[[Bar], None], now: float) -> None:
        spec = bar_type.spec
        assert spec.aggregation == BarAggregation.SECOND, f"{bar_type}: only seconds are built"
        self.bar_type = bar_type
        self._hear = hear
        self._secs = float(spec.step)
        self._due = now + self._secs
        self._prices: list[Price] = []
        self._volume = Decimal(0)
        self._close: Price | None = None

    def add(self, tick: TradeTick) -> None:
        self._prices.append(tick.price)
        self._volume += tick.size.as_decimal()

    def close(self, now: float, now_ns: int, size_precision: int) -> None:
        """Hand on the bar that is over, if one is."""
        if now < self._due:
            return
        self._due = now + self._secs
        prices: list[Any] = self._prices or ([self._close] if self._close is not None else [])
        if not prices:
            return
        volume = Quantity.from_decimal_dp(self._volume, size_precision)
        self._close = prices[-1]
        self._prices, self._volume = [], Decimal(0)
        self._hear(
            Bar(
                self.bar_type,
                prices[0],
                max(prices),
                min(prices),
                prices[-1],
                volume,
                now_ns,
                now_ns,
            )
        )


class HostMarket:
    """The market data of one life of the process."""

    def __init__(self, node: Host) -> None:
        process = node.process
        self._node = node
        self._process = process
        self._loop = process.world.loop
        self._id = InstrumentId.from_str(process.world.instrument)
        self._tape = process.world.tape
        self._heard = len(self._tape.trades)
        self._shown: Shown | None = None
        self._told_ns = 0  # when it came, where it comes by a stream
        self.heard_ns = 0  # when the gate heard of the book last
        self._number = 0
        self._bars: list[_Bars] = []
        self._untold: list[OrderBookDeltas] = []
        self.is_quiet = process.world.is_over  # books are kept for the gate, nothing is told

    def subscribe_bars(self, bar_type: BarType, hear: Callable[[Bar], None]) -> None:
        self._bars.append(_Bars(bar_type, hear, self._loop.time()))

    async def run(self) -> None:
        while not self._process.is_dead:
            self.look()
            await asyncio.sleep(LOOK_SECS)

    def look(self) -> None:
        """Hand on what is new: the book, then the trades, then bars that are over."""
        if not self._process.is_up or self._process.known_instrument(str(self._id)) is None:
            return
        self.keep()
        untold, self._untold = self._untold, []
        for deltas in untold:
            if not self.is_quiet:
                for strategy in self._node.subscribed("book"):
                    strategy.on_book_deltas(deltas)
        self._look_at_trades()

    # -- book ----------------------------------------------------------------------------------

    def keep(self) -> None:
        """Bring the managed book up to date; strategies hear of it with the next look."""
        if not self._process.is_up:
            return
        shown = self._levels()
        told_ns = 0 if self._process.book is None else self._process.book.shown.ts_init
        if shown is None or (shown == self._shown and told_ns == self._told_ns):
            return
        self._shown, self._told_ns = shown, told_ns
        self._number += 1
        deltas = self._deltas(shown)
        self._node.cache.apply_deltas(deltas)
        self._process.gate.received[self._id] = deltas  # as the first to hear of it would
        self.heard_ns = deltas.ts_init
        self._untold.append(deltas)

    def _levels(self) -> Shown | None:
        """Both sides, best first; None while nothing comes."""
        process = self._process
        gap = process.world.gap()
        if gap is not None and gap.kind == "stale":
            return None
        if gap is not None and gap.kind == "empty":
            return ([], [])
        if process.book is not None:
            shown = process.book.shown
            bids = sorted(shown.bids.items(), reverse=True)[:LEVELS]
            asks = sorted(shown.asks.items())[:LEVELS]
            if not bids or not asks:
                bids, asks = [], []
        else:
            book = process.world.venue.exchange.markets[process.world.market].book
            bids, asks = book.bids.levels(LEVELS), book.asks.levels(LEVELS)
        return (asks[:1], bids[:1]) if gap is not None else (bids, asks)

    def _deltas(self, shown: Shown) -> OrderBookDeltas:
        now_ns, number = self._process.now_ns(), self._number
        facts = self._process.instruments[self._process.world.instrument]
        rows = [
            (side, price, size)
            for side, levels in ((OrderSide.BUY, shown[0]), (OrderSide.SELL, shown[1]))
            for price, size in levels
        ]
        deltas = [OrderBookDelta.clear(self._id, number, now_ns, now_ns)]
        for place, (side, price, size) in enumerate(rows, start=1):
            flags = RecordFlag.F_SNAPSHOT.value
            if place == len(rows):
                flags |= RecordFlag.F_LAST.value
            order = BookOrder(
                side,
                Price.from_decimal_dp(price, facts.price_precision),
                Quantity.from_decimal_dp(size, facts.size_precision),
                0,
            )
            deltas.append(
                OrderBookDelta(self._id, BookAction.ADD, order, flags, number, now_ns, now_ns)
            )
        return OrderBookDeltas(self._id, deltas)

    # -- trades --------------------------------------------------------------------------------

    def _look_at_trades(self) -> None:
        trades = self._tape.trades
        fresh, self._heard = trades[self._heard :], len(trades)
        if self.is_quiet:
            return
        facts = self._process.instruments[self._process.world.instrument]
        for trade in fresh:
            tick = self._tick(trade, facts)
            for strategy in self._node.subscribed("trades"):
                strategy.on_trade(tick)
            for bars in self._bars:
                bars.add(tick)
        now, now_ns = self._loop.time(), self._process.now_ns()
        for bars in self._bars:
            bars.close(now, now_ns, facts.size_precision)

    def _tick(self, trade: Trade, facts: Any) -> TradeTick:
        now_ns = self._process.now_ns()
        return TradeTick(
            self._id,
            Price.from_decimal_dp(trade.price, facts.price_precision),
            Quantity.from_decimal_dp(trade.quantity, facts.size_precision),
            AggressorSide.BUY if trade.aggressor is Side.BUY else AggressorSide.SELL,
            trade_id(str(trade.id)),
            now_ns,
            now_ns,
        )
