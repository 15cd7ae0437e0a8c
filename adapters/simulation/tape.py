"""One market's past: recent trades, one-minute bars, and the last 24 hours."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import groupby, takewhile

import msgspec

from fairlead.adapters.simulation.orders import ZERO, Trade

TRADES_KEPT = 10_000
MINUTES_KEPT = 7 * 24 * 60
MINUTE_NS = 60_000_000_000
DAY_MINUTES = 24 * 60


class MinuteBar(msgspec.Struct):
    """One minute with trades; `ts_open` is its start."""

    ts_open: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO
    funds: Decimal = ZERO
    count: int = 0

    def add(self, price: Decimal, quantity: Decimal) -> None:
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        self.volume += quantity
        self.funds += price * quantity
        self.count += 1


class DayStats(msgspec.Struct, frozen=True, kw_only=True):
    """The last 24 hours; all zero before the first trade."""

    open: Decimal = ZERO
    high: Decimal = ZERO
    low: Decimal = ZERO
    last: Decimal = ZERO
    volume: Decimal = ZERO
    funds: Decimal = ZERO
    count: int = 0


class Tape:
    """Trades and bars, oldest first, bounded by the two limits above."""

    def __init__(self) -> None:
        self.trades: deque[Trade] = deque(maxlen=TRADES_KEPT)
        self.last_price: Decimal | None = None
        self._minutes: deque[MinuteBar] = deque(maxlen=MINUTES_KEPT)
        self._past: list[MinuteBar] = []
        self._make_past: Callable[[], list[MinuteBar]] | None = None
        self._closed_at = -1  # the minute before which `_closed` sums up the day
        self._closed: MinuteBar | None = None

    def add(self, trade: Trade) -> None:
        self.trades.append(trade)
        self.last_price = trade.price
        ts_open = trade.ts_event - trade.ts_event % MINUTE_NS
        if not self._minutes or self._minutes[-1].ts_open != ts_open:
            price = trade.price
            self._minutes.append(MinuteBar(ts_open, price, price, price, price))
        self._minutes[-1].add(trade.price, trade.quantity)

    def set_past(self, make: Callable[[], list[MinuteBar]], last_price: Decimal) -> None:
        """Give the market minutes before its first trade, made once somebody looks at them."""
        self._make_past = make
        self.last_price = last_price

    def newest_minutes(self) -> Iterator[MinuteBar]:
        """Minutes with trades, newest first."""
        if self._make_past is not None:
            self._past, self._make_past = self._make_past(), None
        yield from reversed(self._minutes)
        yield from reversed(self._past)

    def day(self, now_ns: int) -> DayStats:
        """Statistics of the last 24 hours, by whole minutes."""
        minute = now_ns - now_ns % MINUTE_NS
        if self._closed_at != minute:
            self._closed_at = minute
            since = now_ns - DAY_MINUTES * MINUTE_NS
            day = takewhile(lambda bar: bar.ts_open >= since, self.newest_minutes())
            self._closed = _merged([bar for bar in day if bar.ts_open < minute])
        bars = [self._closed] if self._closed else []
        if self._minutes and self._minutes[-1].ts_open >= minute:
            bars.insert(0, self._minutes[-1])
        last = self.last_price or ZERO
        whole = _merged(bars)
        if whole is None:
            return DayStats(open=last, high=last, low=last, last=last)
        return DayStats(
            open=whole.open,
            high=whole.high,
            low=whole.low,
            last=last,
            volume=whole.volume,
            funds=whole.funds,
            count=whole.count,
        )

    def bars(self, start_of: Callable[[int], int], since_ns: int) -> list[MinuteBar]:
        """Bars, oldest first, opening at or after `since_ns`; the last may be open.

        `start_of` tells when the bar that holds a time opens: `every` for bars of one length.
        """
        chosen = []
        for bar in self.newest_minutes():
            if start_of(bar.ts_open) < since_ns:
                break
            chosen.append(bar)
        groups = groupby(reversed(chosen), key=lambda bar: start_of(bar.ts_open))
        out = []
        for ts_open, group in groups:
            merged = _merged(list(group)[::-1])
            assert merged is not None
            merged.ts_open = ts_open
            out.append(merged)
        return out


def every(minutes: int) -> Callable[[int], int]:
    """Bars of one length, counted from the epoch."""
    span_ns = minutes * MINUTE_NS
    return lambda ts_ns: ts_ns - ts_ns % span_ns


def _merged(newest_first: list[MinuteBar]) -> MinuteBar | None:
    """One bar of several; None of none."""
    if not newest_first:
        return None
    return MinuteBar(
        ts_open=newest_first[-1].ts_open,
        open=newest_first[-1].open,
        high=max(b.high for b in newest_first),
        low=min(b.low for b in newest_first),
        close=newest_first[0].close,
        volume=sum((b.volume for b in newest_first), ZERO),
        funds=sum((b.funds for b in newest_first), ZERO),
        count=sum(b.count for b in newest_first),
    )
