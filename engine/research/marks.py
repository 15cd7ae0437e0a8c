"""Prices by time while a run goes on: samples for its equity, and the mid after each fill.

The run's cache is looked at, at set times and when a fill's horizon is reached: to hear of each
price costs a backtest a tenth of its time. Nothing is traded differently for it.

Where a book is gone there is no price: the last one is not carried on. What is held is worth
something all the same, so a run is summed up at the last price that was known.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from itertools import zip_longest
from operator import attrgetter
from typing import Any, NamedTuple

from nautilus_trader.common import DataActor
from nautilus_trader.model import InstrumentId

from fairlead.engine.newest import Newest
from fairlead.engine.research.columns import HORIZONS_SECS

SECOND_NS = 1_000_000_000
SAMPLES_MAX = 4096  # of an instrument: every second one is dropped then, and half as many come
LOOK_SECS = 1.0  # between two looks at the cache, live and on paper
SLICES = 240  # equal parts of a backtest's time, of which a trial's profit and loss is kept


class Top(NamedTuple):
    """Best bid and ask as NautilusTrader's prices; of an instrument without a book both are the
    last trade's price. Without both: a hole begins, the book is gone."""

    ts: int
    bid: Any = None
    ask: Any = None

    @property
    def is_hole(self) -> bool:
        return self.bid is None

    @property
    def mid(self) -> Decimal:
        return (self.bid.as_decimal() + self.ask.as_decimal()) / 2  # type: ignore[no-any-return]


class Marks:
    """Of one run.

    `samples` are by instrument, oldest first; `after` has by fill (`CLIENT-ORDER-ID/TRADE-ID`) the
    mid at each of `HORIZONS_SECS` after it: the last that was known then, and none where the book
    was gone. With `most` the newest fills have. `closing` are the last prices that were known, by
    which the run is summed up; `edges` those at the ends of SLICES equal parts of a backtest's
    time, for which samples are too rare; `by_book` the instruments that have had a book. Once the
    run `is_ending` a book that goes is no hole: it is the end of its stream.
    """

    def __init__(self, most: int | None = None) -> None:
        self.samples: dict[str, list[Top]] = {}
        self.after: dict[str, dict[int, Decimal]] = {} if most is None else Newest(most)
        self.closing: dict[str, Top] = {}
        self.edges: dict[str, list[Top]] = {}
        self.by_book: set[str] = set()
        self.is_ending = False
        self.step_ns = SECOND_NS  # between two samples, at first
        self._last: dict[str, Top] = {}
        self._next: dict[str, int] = {}  # time of the next sample
        self._step: dict[str, int] = {}
        self._due: dict[str, list[tuple[int, str, int]]] = {}

    def told(self, instrument: str, top: Top) -> None:
        """The newest prices of an instrument."""
        due = self._due.get(instrument)
        if due and due[0][0] < top.ts:
            self._settle(instrument, due, top.ts)
        if top.ts >= self._next.get(instrument, 0):
            self._sample(instrument, top)
        self._last[instrument] = top

    def lost(self, instrument: str, ts: int) -> None:
        """There is no price: what has become due since the last look is not known."""
        was_known = self._last.pop(instrument, None) is not None
        if due := self._due.get(instrument):
            self._settle(instrument, due, ts + 1)
        if was_known and not self.is_ending:
            self._sample(instrument, Top(ts))
            self._next[instrument] = 0  # where it ends is looked at when it is seen

    def look(
        self, cache: Any, ids: Mapping[str, InstrumentId], ts: int, *, is_last: bool = False
    ) -> None:
        """At NautilusTrader's cache, at UNIX nanoseconds `ts`."""
        self.is_ending |= is_last
        for name, instrument_id in ids.items():
            if cache.book_update_count(instrument_id):
                self.by_book.add(name)
            if (prices := top_of(cache, instrument_id)) is not None:
                self.told(name, Top(ts, *prices))
            else:
                self.lost(name, ts)
            if is_last and (known := last_known(cache, instrument_id)) is not None:
                self.closing[name] = Top(ts, *known)

    def look_at_edge(self, cache: Any, ids: Mapping[str, InstrumentId], ts: int) -> None:
        """At the end of a part of the time, at UNIX nanoseconds `ts`; in a hole the last price."""
        for name, instrument_id in ids.items():
            if (known := last_known(cache, instrument_id)) is not None:
                self.edges.setdefault(name, []).append(Top(ts, *known))

    def filled(self, fill: Any) -> None:
        """NautilusTrader's event of a fill, as its strategy is told of it."""
        key = f"{fill.client_order_id}/{fill.trade_id}"
        due = self._due.setdefault(str(fill.instrument_id), [])
        for secs in HORIZONS_SECS:
            heapq.heappush(due, (fill.ts_event + secs * SECOND_NS, key, secs))

    def finish(self, end_ns: int) -> None:
        """The run has ended: what is due later is never known."""
        for instrument, due in self._due.items():
            self._settle(instrument, due, end_ns + 1)
        for instrument, top in self._last.items():
            if self.samples[instrument][-1] is not top:
                self.samples[instrument].append(top)

    def put_back(self, key: str, mids: dict[int, Decimal]) -> None:
        """What was taken out of `after` while the run went on; it counts against no limit."""
        if isinstance(self.after, Newest):
            self.after.most += 1
        self.after[key] = mids | self.after.get(key, {})

    def valued(self) -> dict[str, list[Top]]:
        """What is held counts by, oldest first, by instrument: in a hole by the last price."""
        names = dict.fromkeys((*self.samples, *self.closing))
        return {
            name: [one for one in self.samples.get(name, ()) if not one.is_hole]
            + ([self.closing[name]] if name in self.closing else [])
            for name in names
        }

    def by_parts(self) -> dict[str, list[Top]]:
        """As `valued`, with the prices at the ends of parts, each after a sample of its moment."""
        time = attrgetter("ts")
        return {
            name: list(heapq.merge(tops, self.edges.get(name, ()), key=time))
            for name, tops in self.valued().items()
        }

    @property
    def with_book(self) -> frozenset[str]:
        """Instruments that had a book until the run began to end."""
        tops = self.samples
        return frozenset(
            name for name in self.by_book if name in tops and not tops[name][-1].is_hole
        )

    @property
    def next_due_ns(self) -> int | None:
        return min((due[0][0] for due in self._due.values() if due), default=None)

    def _settle(self, instrument: str, due: list[tuple[int, str, int]], before_ns: int) -> None:
        last = self._last.get(instrument)
        while due and due[0][0] < before_ns:
            _, key, secs = heapq.heappop(due)
            if last is not None:
                self.after.setdefault(key, {})[secs] = last.mid

    def _sample(self, instrument: str, top: Top) -> None:
        kept = self.samples.setdefault(instrument, [])
        step = self._step.setdefault(instrument, self.step_ns)
        kept.append(top)
        if len(kept) > SAMPLES_MAX:
            kept[:] = _halved(kept)
            step = self._step[instrument] = step * 2
        self._next[instrument] = (top.ts // step + 1) * step


def _halved(tops: list[Top]) -> list[Top]:
    """Every second; of the two a hole, without which what is before and after it would be one."""
    pairs = zip_longest(tops[::2], tops[1::2])
    return [after if after is not None and after.is_hole else top for top, after in pairs]


class MarksActor(DataActor):
    """Looks at a backtest's cache, by alarms of its own.

    Each comes a nanosecond after the moment that it is of: by then all that was told in that moment
    is known.
    """

    _span_ns = (0, 0)
    _marks: Marks
    _ids: Mapping[str, InstrumentId]
    _clock: Any = None
    _prices: Any = None  # the cache
    _alarms: set[int]  # moments to look at
    _later: tuple[deque[int], ...]  # of them, by horizon; an alarm is set for the first of each
    _edges: deque[int]  # ends of parts that are to come

    def watch(self, marks: Marks, instruments: Iterable[str], span_ns: tuple[int, int]) -> None:
        """`span_ns`: begin and end of the data.

        DataActor's own constructor takes nothing but its config.
        """
        self._marks, self._span_ns, self._alarms = marks, span_ns, set()
        self._later = tuple(deque() for _ in HORIZONS_SECS)
        self._ids = {name: InstrumentId.from_str(name) for name in instruments}

    def on_start(self) -> None:
        begin, end = self._span_ns
        self._clock, self._prices = self.clock, self.cache
        step = self._marks.step_ns = step_of(end - begin)
        first = (begin // step + 1) * step + 1
        self._clock.set_timer_ns(
            "marks", step, start_time_ns=first, callback=self._at, fire_immediately=True
        )
        # What is known at the end, its stop looks at.
        self._edges = deque(edge for edge in dict.fromkeys(edges_of(self._span_ns)) if edge < end)
        self._await_edge()

    def filled(self, fill: Any) -> None:
        """As its strategy is told of it."""
        self._marks.filled(fill)
        for secs, later in zip(HORIZONS_SECS, self._later, strict=True):
            due = fill.ts_event + secs * SECOND_NS
            if due in self._alarms:  # parts of an order are filled together
                continue
            self._alarms.add(due)
            if later and due > later[-1]:  # NautilusTrader looks at all that are set, at each event
                later.append(due)
                continue
            if not later:
                later.append(due)
            self._set_alarm(due)

    def _set_alarm(self, due: int) -> None:
        self._clock.set_time_alert_ns(f"marks-{due}", due + 1, self._due)

    def on_stop(self) -> None:
        self._marks.look(self._prices, self._ids, self._clock.timestamp_ns(), is_last=True)

    def _due(self, event: Any) -> None:
        at_ns = self._clock.timestamp_ns() - 1
        self._alarms.discard(at_ns)
        for later in self._later:
            if later and later[0] == at_ns:
                later.popleft()
                if later:
                    self._set_alarm(later[0])
        self._at(event)

    def _await_edge(self) -> None:
        """One alarm at a time: NautilusTrader looks at all that are set, at each event."""
        if self._edges:
            edge = self._edges.popleft()
            self._clock.set_time_alert_ns(f"marks-edge-{edge}", edge + 1, self._at_edge)

    def _at_edge(self, event: Any) -> None:
        self._marks.look_at_edge(self._prices, self._ids, self._clock.timestamp_ns() - 1)
        self._await_edge()

    def _at(self, event: Any) -> None:
        self._marks.look(self._prices, self._ids, self._clock.timestamp_ns() - 1)


def edges_of(span_ns: tuple[int, int]) -> list[int]:
    """The ends of SLICES equal parts of the time, UNIX nanoseconds."""
    begin, end = span_ns
    return [begin + (end - begin) * part // SLICES for part in range(1, SLICES + 1)]


def step_of(span_ns: int) -> int:
    """Between two samples, so that there are at most SAMPLES_MAX of them."""
    step = SECOND_NS
    while span_ns // step >= SAMPLES_MAX:
        step *= 2
    return step


async def watch_cache(
    marks: Marks, cache: Any, instruments: Iterable[str], now_ns: Callable[[], int]
) -> None:
    """Look at NautilusTrader's cache each second, and when a fill's horizon is reached."""
    ids = {name: InstrumentId.from_str(name) for name in instruments}
    while True:
        with suppress(RuntimeError):  # NautilusTrader lends its cache: a look is no reason to end
            marks.look(cache, ids, now_ns())
        due = marks.next_due_ns
        secs = LOOK_SECS if due is None else (due - now_ns()) / SECOND_NS
        await asyncio.sleep(min(max(secs, 0.001), LOOK_SECS))


def top_of(cache: Any, instrument_id: InstrumentId) -> tuple[Any, Any] | None:
    """Best bid and ask of the book; None: it is gone. Where there was never one, as `last_known`.

    The quotes that are made from a book outlive its clearing.
    """
    if cache.book_update_count(instrument_id) and cache.top_of_book(instrument_id) is None:
        return None
    return last_known(cache, instrument_id)


def last_known(cache: Any, instrument_id: InstrumentId) -> tuple[Any, Any] | None:
    """Best bid and ask of the book, else of the last quote, else the last trade's price twice."""
    if (top := cache.top_of_book(instrument_id)) is not None:
        return top[0], top[2]
    if (quote := cache.quote(instrument_id)) is not None:
        return quote.bid_price, quote.ask_price
    trade = cache.trade(instrument_id)
    return None if trade is None else (trade.price, trade.price)
