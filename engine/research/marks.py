"""Prices by time while a run goes on: samples for its equity, and the mid after each fill.

Of what the run itself hears: in a backtest of each quote (made from the book where there is one),
live and on paper of the cache, at set times. Nothing is traded differently for it.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple

from nautilus_trader.common import DataActor
from nautilus_trader.model import InstrumentId, QuoteTick, TradeTick

from fairlead.engine.research.columns import HORIZONS_SECS

SECOND_NS = 1_000_000_000
SAMPLES_MAX = 4096  # of an instrument: every second one is dropped then, and half as many come
LOOK_SECS = 1.0  # between two looks at the cache, live and on paper


class Top(NamedTuple):
    """Best bid and ask as NautilusTrader's prices; of an instrument without a book both are the
    last trade's price."""

    ts: int
    bid: Any
    ask: Any

    @property
    def mid(self) -> Decimal:
        return (self.bid.as_decimal() + self.ask.as_decimal()) / 2  # type: ignore[no-any-return]


class _Line:
    """One instrument's prices. `last` is the newest tick, a `Top` or what NautilusTrader tells,
    at `last_ts`: of the many that are told few are ever looked at."""

    __slots__ = ("due", "last", "last_ts", "next_ns", "samples", "step", "taken")

    def __init__(self) -> None:
        self.due: list[tuple[int, str, int]] = []  # a heap of the horizons of fills
        self.samples: list[Top] = []
        self.next_ns = 0  # of the next sample
        self.step = SECOND_NS
        self.last: Any = None
        self.last_ts = 0
        self.taken: Any = None  # the newest tick that is a sample

    def sample(self, ts: int, tick: Any) -> None:
        kept, self.taken = self.samples, tick
        kept.append(_top(ts, tick))
        if len(kept) > SAMPLES_MAX:
            del kept[1::2]
            self.step *= 2
        self.next_ns = (ts // self.step + 1) * self.step


def _top(ts: int, tick: Any) -> Top:
    if isinstance(tick, Top):
        return tick
    if isinstance(tick, QuoteTick):
        return Top(ts, tick.bid_price, tick.ask_price)
    return Top(ts, tick.price, tick.price)


class Marks:
    """Of one run.

    `samples` are by instrument, oldest first; `after` has by fill (`CLIENT-ORDER-ID/TRADE-ID`) the
    mid at each of `HORIZONS_SECS` after it: the last that was known then.
    """

    def __init__(self) -> None:
        self.after: dict[str, dict[int, Decimal]] = {}
        self._lines: dict[str, _Line] = {}

    @property
    def samples(self) -> dict[str, list[Top]]:
        return {name: line.samples for name, line in self._lines.items() if line.samples}

    def line(self, instrument: str) -> _Line:
        return self._lines.setdefault(instrument, _Line())

    def told(self, instrument: str, top: Top) -> None:
        """The newest prices of an instrument."""
        line = self.line(instrument)
        self.look(line, top.ts, top)
        line.last_ts, line.last = top.ts, top

    def look(self, line: _Line, ts: int, tick: Any) -> None:
        """At a tick, before it is the last; of use where it is a sample, or a horizon has ended."""
        self._settle(line, ts)
        if ts >= line.next_ns:
            line.sample(ts, tick)

    def filled(self, fill: Any) -> None:
        """NautilusTrader's event of a fill, as its strategy is told of it."""
        key = f"{fill.client_order_id}/{fill.trade_id}"
        due = self.line(str(fill.instrument_id)).due
        for secs in HORIZONS_SECS:
            heapq.heappush(due, (fill.ts_event + secs * SECOND_NS, key, secs))

    def finish(self, end_ns: int) -> None:
        """The run has ended: what is due later is never known."""
        for line in self._lines.values():
            self._settle(line, end_ns + 1)
            if line.last is not line.taken:
                line.samples.append(_top(line.last_ts, line.last))
                line.taken = line.last

    @property
    def next_due_ns(self) -> int | None:
        return min((line.due[0][0] for line in self._lines.values() if line.due), default=None)

    def _settle(self, line: _Line, before_ns: int) -> None:
        due = line.due
        while due and due[0][0] < before_ns:
            _, key, secs = heapq.heappop(due)
            if line.last is not None:
                self.after.setdefault(key, {})[secs] = _top(line.last_ts, line.last).mid


class MarksActor(DataActor):
    """Hears of a backtest's prices, by subscriptions of its own."""

    _wanted: Mapping[str, bool] = {}
    _lines: Mapping[InstrumentId, _Line]
    _look: Callable[[_Line, int, Any], None]
    _now_ns: Callable[[], int]

    def watch(self, marks: Marks, wanted: Mapping[str, bool]) -> None:
        """`wanted`: instruments, and whether there are quotes of them (else there are trades).

        DataActor's own constructor takes nothing but its config.
        """
        self._wanted, self._look = wanted, marks.look
        self._lines = {InstrumentId.from_str(name): marks.line(name) for name in wanted}

    def on_start(self) -> None:
        self._now_ns = self.clock.timestamp_ns  # looked up once: it is asked at every tick
        for instrument_id in self._lines:
            if self._wanted[str(instrument_id)]:
                self.subscribe_quotes(instrument_id)
            else:
                self.subscribe_trades(instrument_id)

    def on_quote(self, tick: QuoteTick | TradeTick) -> None:
        """NautilusTrader gives a quote that it makes from a book the venue's time as `ts_init`: the
        moment in which it is heard is the clock's."""
        line, now = self._lines[tick.instrument_id], self._now_ns()
        if now >= line.next_ns or (line.due and line.due[0][0] < now):
            self._look(line, now, tick)
        line.last_ts, line.last = now, tick

    on_trade = on_quote


async def watch_cache(
    marks: Marks, cache: Any, instruments: Iterable[str], now_ns: Callable[[], int]
) -> None:
    """Look at NautilusTrader's cache each second, and when a fill's horizon is reached."""
    ids = {name: InstrumentId.from_str(name) for name in instruments}
    while True:
        with suppress(RuntimeError):  # NautilusTrader lends its cache: a look is no reason to end
            now = now_ns()
            for name, instrument_id in ids.items():
                if (prices := top_of(cache, instrument_id)) is not None:
                    marks.told(name, Top(now, *prices))
        due = marks.next_due_ns
        secs = LOOK_SECS if due is None else (due - now_ns()) / SECOND_NS
        await asyncio.sleep(min(max(secs, 0.001), LOOK_SECS))


def top_of(cache: Any, instrument_id: InstrumentId) -> tuple[Any, Any] | None:
    """Best bid and ask of the book, else of the last quote, else the last trade's price twice."""
    if (top := cache.top_of_book(instrument_id)) is not None:
        return top[0], top[2]
    if (quote := cache.quote(instrument_id)) is not None:
        return quote.bid_price, quote.ask_price
    trade = cache.trade(instrument_id)
    return None if trade is None else (trade.price, trade.price)
