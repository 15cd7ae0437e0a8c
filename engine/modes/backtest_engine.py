"""A backtest's engine and the catalog's data that it is fed, some at a time.

NautilusTrader's BacktestNode does as much, but takes no fill model in Python; its BacktestEngine
does. Rows come to it in the order of the node, by `ts_init`, but for the trades of one moment.
"""

from __future__ import annotations

import gc
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from nautilus_trader.backtest import (
    BacktestDataConfig,
    BacktestEngine,
    BacktestEngineConfig,
    BacktestResult,
    BacktestVenueConfig,
)
from nautilus_trader.model import (
    BookAction,
    InstrumentId,
    NautilusDataType,
    OrderBookDelta,
    OrderBookDeltas,
    OrderBookDepth,
    RecordFlag,
    TradeTick,
    Venue,
)
from nautilus_trader.persistence import ParquetDataCatalog

from engine.currencies import money

FIRST_WINDOW_NS = 10_000_000_000
WINDOW_MIN_NS = 1_000_000
_BOOKS = (OrderBookDeltas, OrderBookDepth)
CLOSING_NS = 1_000_000_000
GROWTH = 8  # of a window of time, at most, where few rows were in the one before


class _Rows:
    """One data type of one instrument, read window by window."""

    def __init__(self, config: BacktestDataConfig) -> None:
        self._catalog = ParquetDataCatalog(config.catalog_path)
        self._kind, self._name = config.data_type, str(config.instrument_id)
        self._rest: list[OrderBookDelta] = []  # an update whose end is yet to come
        self.count = 0  # of the rows that were read last
        spans = self._catalog.get_intervals(self._kind, self._name)
        self.begin = max(config.start_time or 0, min((a for a, _ in spans), default=0))
        self.end = max((b for _, b in spans), default=-1)
        self.is_cut = config.end_time is not None and config.end_time < self.end
        if config.end_time is not None:
            self.end = min(self.end, config.end_time)

    def instruments(self) -> list[Any]:
        return list(self._catalog.instruments([self._name]))

    def read(self, begin: int, end: int) -> list[Any]:
        """What the engine takes of the rows from `begin` to `end`, both in."""
        begin, end = max(begin, self.begin), min(end, self.end)
        self.count = 0
        if begin > end:
            return []
        rows = self._catalog.query(
            self._kind, [self._name], start=begin, end=end, optimize_file_loading=True
        )
        self.count = len(rows)
        return self._batches(rows) if self._kind == NautilusDataType.OrderBookDelta else list(rows)

    def _batches(self, rows: Sequence[OrderBookDelta]) -> list[OrderBookDeltas]:
        last, begin = RecordFlag.F_LAST.value, 0
        ends = [index for index, row in enumerate(rows, 1) if row.flags & last]
        found = []
        for end in ends:
            batch = rows[begin:end]
            if self._rest:
                batch = [*self._rest, *batch]
                self._rest = []
            found.append(OrderBookDeltas(batch[0].instrument_id, batch))
            begin = end
        self._rest += rows[begin:]
        return found


class _Stream:
    """Rows of one kind, in their order."""

    def __init__(self, rows: list[Any]) -> None:
        self._rows = rows
        self.times = [one.ts_init for one in rows]

    @cached_property
    def gaps(self) -> list[int]:
        """When the book was cleared, and not told."""
        return [one.ts_init for one in self._rows if _is_gap(one)]

    def at(self, now: int) -> list[Any]:
        return self._rows[bisect_left(self.times, now) : bisect_right(self.times, now)]


class Engine:
    """Of one run. The methods are those of a BacktestNode, less the id of the run."""

    def __init__(
        self,
        run_id: str,
        engine: BacktestEngineConfig,
        venues: Sequence[BacktestVenueConfig],
        data: Sequence[BacktestDataConfig],
        chunk_size: int,
    ) -> None:
        self._id, self._chunk_size = run_id, chunk_size
        self._parts: list[list[Any]] = []  # that are run now
        self._told: dict[InstrumentId, _Stream] = {}  # of these parts, as far as asked for
        self._traded: dict[InstrumentId, _Stream] = {}
        self._told_before: dict[InstrumentId, int] = {}
        self._cleared_before: dict[InstrumentId, int] = {}
        self._engine = BacktestEngine(engine)
        self._rows = [_Rows(config) for config in data]
        for venue in venues:
            _add_venue(self._engine, venue)
        for rows in self._rows:
            for instrument in rows.instruments():
                self._engine.add_instrument(instrument)

    @property
    def cache(self) -> Any:
        return self._engine.cache

    @property
    def portfolio(self) -> Any:
        return self._engine.portfolio

    def fill_by(self, models: Mapping[Venue, Any], instruments: Sequence[Any]) -> None:
        """Fill models of venues, and what instruments they need besides those of the data."""
        for instrument in instruments:
            self._engine.add_instrument(instrument)
        for venue, model in models.items():
            self._engine.change_fill_model(venue, model)

    def add_actor(self, actor: Any) -> None:
        self._engine.add_actor(actor)

    def add_strategy(self, strategy: Any) -> None:
        self._engine.add_strategy(strategy)

    def run(self) -> BacktestResult:
        """Raises RuntimeError, NautilusTrader's own."""
        begin: int | None = None
        chunks = self._chunks()
        chunk = next(chunks, None)
        while chunk is not None:
            following = next(chunks, None)
            end, parts = chunk
            self._next(parts)
            for part in sorted(parts, key=_rank):
                self._engine.add_data(part, validate=False, sort=True)
            self._engine.run(begin, end if following else None, self._id, streaming=True)
            self._engine.clear_data()
            if self._engine.run_finished is not None:  # a strategy ended it
                return self._engine.get_result()
            begin, chunk = end, following
        self._engine.end()
        return self._engine.get_result()

    def _next(self, parts: list[list[Any]]) -> None:
        for part in self._parts:
            if isinstance(part[0], _BOOKS):
                name = part[0].instrument_id
                self._told_before[name] = part[-1].ts_init
                gap = next((one.ts_init for one in reversed(part) if _is_gap(one)), None)
                if gap is not None:
                    self._cleared_before[name] = gap
        self._parts, self._told, self._traded = parts, {}, {}

    def told_ns(self, instrument_id: InstrumentId, now: int) -> int:
        """When the book of an instrument was last told, up to `now`; 0: never.

        A NautilusTrader book knows the venue's times only.
        """
        times = self._of(self._told, instrument_id, _BOOKS).times
        at = bisect_right(times, now)
        return times[at - 1] if at else self._told_before.get(instrument_id, 0)

    def cleared_ns(self, instrument_id: InstrumentId, now: int) -> int:
        """When its book was last cleared by a gap, up to `now`; 0: never."""
        gaps = self._of(self._told, instrument_id, _BOOKS).gaps
        at = bisect_right(gaps, now)
        return gaps[at - 1] if at else self._cleared_before.get(instrument_id, 0)

    def books_at(self, instrument_id: InstrumentId, now: int) -> list[Any]:
        """What comes of its book at `now`."""
        return self._of(self._told, instrument_id, _BOOKS).at(now)

    def trades_at(self, instrument_id: InstrumentId, now: int) -> list[TradeTick]:
        """Its trades that come at `now`."""
        return self._of(self._traded, instrument_id, TradeTick).at(now)

    def _of(
        self, known: dict[InstrumentId, _Stream], instrument_id: InstrumentId, kinds: Any
    ) -> _Stream:
        if instrument_id not in known:
            known[instrument_id] = _Stream(
                [
                    one
                    for part in self._parts
                    if isinstance(part[0], kinds) and part[0].instrument_id == instrument_id
                    for one in part
                ]
            )
        return known[instrument_id]

    def _chunks(self) -> Iterator[tuple[int, list[list[Any]]]]:
        """The last time within, and the rows of each data config that has any then."""
        rows = [one for one in self._rows if one.begin <= one.end]
        if not rows:
            return
        at, last = min(one.begin for one in rows), max(one.end for one in rows)
        window = FIRST_WINDOW_NS
        while at <= last:
            with _uncollected():
                parts = [part for one in rows if (part := one.read(at, at + window - 1))]
            if not any(one.is_cut for one in rows):
                parts = [part for part in parts if _unclosed(part, last)]
            if parts:
                yield max(int(part[-1].ts_init) for part in parts), parts
            at += window
            count = sum(one.count for one in rows)
            factor = min(GROWTH, self._chunk_size / count) if count else GROWTH
            window = max(int(window * factor), WINDOW_MIN_NS)

    def dispose(self) -> None:
        self._engine.dispose()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Rows are many and in no cycles: the garbage collector would look at them in vain."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _is_gap(told: Any) -> bool:
    if not isinstance(told, OrderBookDeltas) or not told.is_snapshot:
        return False
    return len(told.deltas) == 1 and bool(told.deltas[0].action == BookAction.CLEAR)


def _unclosed(part: list[Any], last: int) -> list[Any]:
    """Without the gap that a recording ends with: `last` is when all data ends.

    Strategies that leave their positions at their stop do so on the last book that was known, as
    they did when it was recorded.
    """
    while part and _is_gap(part[-1]) and part[-1].ts_init > last - CLOSING_NS:
        part.pop()
    return part


def _rank(part: list[Any]) -> int:
    """In one moment trades come before the book that they led to.

    The other way round a trade would be taken off the queue of a resting order twice: by the book,
    and by itself.
    """
    return 0 if isinstance(part[0], TradeTick) else 1


def _add_venue(engine: BacktestEngine, config: BacktestVenueConfig) -> None:
    engine.add_venue(
        Venue(config.name),
        config.oms_type,
        config.account_type,
        [money(text) for text in config.starting_balances],
        book_type=config.book_type,
        fee_model=config.fee_model,
        latency_model=config.latency_model,
        queue_position=config.queue_position,
        liquidity_consumption=config.liquidity_consumption,
        trade_execution=config.trade_execution,
    )
