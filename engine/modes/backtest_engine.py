"""A backtest's engine and the catalog's data that it is fed, some at a time.

NautilusTrader's BacktestNode does as much, but takes no fill model in Python; its BacktestEngine
does. Rows come to it in the order of the node, by `ts_init`; those of one moment as `ordered` says.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

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
from engine.matching.fill_model import MarketFills
from engine.matching.tape import Tape, Told, ordered

FIRST_WINDOW_NS = 10_000_000_000
WINDOW_MIN_NS = 1_000_000
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

    def read(self, begin: int, end: int) -> _Part | None:
        """What the engine takes of the rows from `begin` to `end`, both in."""
        begin, end = max(begin, self.begin), min(end, self.end)
        self.count = 0
        if begin > end:
            return None
        rows = self._catalog.query(
            self._kind, [self._name], start=begin, end=end, optimize_file_loading=True
        )
        self.count = len(rows)
        if self._kind != NautilusDataType.OrderBookDelta:
            return _Part(list(rows), []) if rows else None
        batches = self._batches(rows)
        data = [OrderBookDeltas(one[0].instrument_id, one) for one in batches]
        return _Part(data, batches) if data else None

    def _batches(self, rows: Sequence[OrderBookDelta]) -> list[list[OrderBookDelta]]:
        last, begin = RecordFlag.F_LAST.value, 0
        ends = [index for index, row in enumerate(rows, 1) if row.flags & last]
        found = []
        for end in ends:
            batch = list(rows[begin:end])
            if self._rest:
                batch = [*self._rest, *batch]
                self._rest = []
            found.append(batch)
            begin = end
        self._rest += rows[begin:]
        return found


class _Part(NamedTuple):
    """Rows of one kind of one instrument that are run now, in their order.

    `batches`: those of a book that is told by changes, as they were read.
    """

    data: list[Any]
    batches: list[list[OrderBookDelta]]

    @property
    def instrument_id(self) -> InstrumentId:
        found: InstrumentId = self.data[0].instrument_id
        return found

    @property
    def is_trades(self) -> bool:
        return isinstance(self.data[0], TradeTick)

    @property
    def is_book(self) -> bool:
        return isinstance(self.data[0], OrderBookDeltas | OrderBookDepth)

    def told(self, following: bool) -> list[Told]:
        """Of a book; `following`: whether a gap comes next."""
        if not self.batches:
            return [Told(ts=one.ts_init, depth=one) for one in self.data]
        gaps = [_is_gap(rows) for rows in self.batches]
        lasts = [*gaps, following][1:]
        return [
            Told(ts=one.ts_init, rows=rows, is_last=is_last)
            for one, rows, is_last in zip(self.data, self.batches, lasts, strict=True)
        ]


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
        self._parts: list[_Part] = []  # that are run now
        self._following: list[_Part] = []
        self._mixed: dict[InstrumentId, list[Any]] = {}  # of them, books and trades
        self._tapes: dict[InstrumentId, Tape] = {}  # of these parts, as far as asked for
        self._updates: dict[InstrumentId, int] = {}  # of books, before these parts
        self._turn: Callable[[], None] | None = None
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

    def fill_by(self, venues: Iterable[Venue], model: MarketFills) -> None:
        for venue in venues:
            self._engine.change_fill_model(venue, model)
        self._turn = model.finish

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
            self._next(parts, following[1] if following else [])
            for rows in self._fed():
                self._engine.add_data(rows, validate=False, sort=True)
            self._engine.run(begin, end if following else None, self._id, streaming=True)
            self._engine.clear_data()
            if self._engine.run_finished is not None:  # a strategy ended it
                return self._engine.get_result()
            begin, chunk = end, following
        self._engine.end()
        return self._engine.get_result()

    def _next(self, parts: list[_Part], following: list[_Part]) -> None:
        if self._turn is not None and self._parts:
            self._turn()
        for part in self._parts:
            if part.is_book:
                self._updates[part.instrument_id] = self.tape(part.instrument_id).updates
        self._parts, self._following, self._tapes = parts, following, {}

    def tape(self, instrument_id: InstrumentId) -> Tape:
        """The market data of an instrument in the part that is run now."""
        if instrument_id not in self._tapes:
            self._tapes[instrument_id] = self._tape(instrument_id)
        return self._tapes[instrument_id]

    def _tape(self, instrument_id: InstrumentId) -> Tape:
        after = [one for one in self._following if one.instrument_id == instrument_id]
        is_gap = any(_is_gap(one.batches[0]) for one in after if one.batches)
        books = {
            id(row): told
            for part in self._parts
            if part.is_book and part.instrument_id == instrument_id
            for row, told in zip(part.data, part.told(is_gap), strict=True)
        }
        rows = self._mixed.get(instrument_id, [])
        events = [books.get(id(row)) or Told(ts=row.ts_init, trade=row) for row in rows]
        return Tape(events, self._updates.get(instrument_id, 0))

    def _fed(self) -> Iterator[list[Any]]:
        """Rows as the engine is given them, which keeps the order of those of one time."""
        mixed: dict[InstrumentId, list[Any]] = {}
        others = []
        for part in self._parts:
            if part.is_trades or part.is_book:
                mixed.setdefault(part.instrument_id, []).extend(part.data)
            else:
                others.append(part.data)
        self._mixed = {name: ordered(rows) for name, rows in mixed.items()}
        yield from self._mixed.values()
        yield from others

    def _chunks(self) -> Iterator[tuple[int, list[_Part]]]:
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
                parts = [part for part in parts if _unclosed(part, last, parts)]
            if parts:
                yield max(int(part.data[-1].ts_init) for part in parts), parts
            at += window
            count = sum(one.count for one in rows)
            factor = min(GROWTH, self._chunk_size / count) if count else GROWTH
            window = max(int(window * factor), WINDOW_MIN_NS)

    def dispose(self) -> None:
        """Nothing can be read from now on: a native engine holds its log as long as it is there."""
        self._engine.dispose()
        del self._engine


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


def _is_gap(rows: Sequence[OrderBookDelta]) -> bool:
    """Whether a batch clears the book, and tells nothing."""
    return len(rows) == 1 and bool(rows[0].action == BookAction.CLEAR)


def _unclosed(part: _Part, last: int, parts: Sequence[_Part]) -> bool:
    """Take away the gap that a recording ends with; whether anything is left. `last` is when all
    data ends.

    Strategies that leave their positions at their stop do so on the last book that was known, as
    they did when it was recorded. Where the market goes on after the gap it is none of these.
    """
    rows = part.batches
    since = last - CLOSING_NS
    for one in parts:
        if one is not part and one.instrument_id == part.instrument_id:
            since = max(since, one.data[-1].ts_init)
    while rows and _is_gap(rows[-1]) and rows[-1][0].ts_init > since:
        rows.pop()
        part.data.pop()
    return bool(part.data)


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
