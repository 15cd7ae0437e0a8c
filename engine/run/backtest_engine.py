"""A backtest's engine and the catalog's data that it is fed, some at a time.

NautilusTrader's BacktestNode does as much, but takes no fill model in Python; its BacktestEngine
does. Rows come to it in the order of the node, by `ts_init`; those of one moment as `ordered` says.
"""

from __future__ import annotations

import gc
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import compress, pairwise, zip_longest
from operator import attrgetter
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

from fairlead.engine.currencies import money
from fairlead.engine.matching.fill_model import MarketFills
from fairlead.engine.matching.shown import Shown
from fairlead.engine.matching.tape import Tape, ordered
from fairlead.engine.run.interrupts import Interrupts
from fairlead.engine.run.prepared import Chunks, Seen

FIRST_WINDOW_NS = 10_000_000_000
WINDOW_MIN_NS = 1_000_000
CLOSING_NS = 1_000_000_000
GROWTH = 8  # of a window of time, at most, where few rows were in the one before
_flags = attrgetter("flags")
_IS_LAST = bytes(bool(flags & RecordFlag.F_LAST.value) for flags in range(256))


class _Rows:
    """One data type of one instrument, read window by window."""

    def __init__(self, config: BacktestDataConfig, seen: Seen | None = None) -> None:
        self._seen = seen
        self._catalog = ParquetDataCatalog(config.catalog_path)
        self._kind, self.instrument_id = config.data_type, config.instrument_id
        self._name = str(config.instrument_id)
        self._rest: list[OrderBookDelta] = []  # an update whose end is yet to come
        self._next: OrderBookDelta | None = None  # what `is_gap_next` has found
        self._closes: int | None = None
        self.count = 0  # of the rows that were read last
        spans = self._catalog.get_intervals(self._kind, self._name)
        self.begin = max(config.start_time or 0, min((a for a, _ in spans), default=0))
        self.end = max((b for _, b in spans), default=-1)
        self.is_cut = config.end_time is not None and config.end_time < self.end
        if config.end_time is not None:
            self.end = min(self.end, config.end_time)

    @property
    def is_changes(self) -> bool:
        """Of a book."""
        return bool(self._kind == NautilusDataType.OrderBookDelta)

    @cached_property
    def instruments(self) -> list[Any]:
        return list(self._catalog.instruments([self._name]))

    def begin_again(self) -> None:
        """For another run over the same."""
        self._rest, self._next = [], None

    def read(self, begin: int, end: int) -> _Part | None:
        """What the engine takes of the rows from `begin` to `end`, both in."""
        rows = self._query(max(begin, self.begin), min(end, self.end))
        self.count = len(rows)
        if not self.is_changes:
            return _Part(list(rows)) if rows else None
        part = self._batches(rows)
        return part if part.data else None

    def _query(self, begin: int, end: int) -> Sequence[Any]:
        if begin > end:
            return []
        catalog, names = self._catalog, [self._name]
        found: Sequence[Any]
        if self.is_changes:  # the same by a shorter way
            found = catalog.query_order_book_deltas(names, start=begin, end=end)
        else:
            found = catalog.query(
                self._kind, names, start=begin, end=end, optimize_file_loading=True
            )
        return found if self._seen is None else self._seen(found)

    def _batches(self, rows: Sequence[OrderBookDelta]) -> _Part:
        if self._rest:
            rows = [*self._rest, *rows]
        is_last = bytes(map(_flags, rows)).translate(_IS_LAST)
        ends = list(compress(range(1, len(rows) + 1), is_last))
        spans = list(pairwise([0, *ends]))
        self._rest = list(rows[ends[-1] :] if ends else rows)
        gaps = {begin for begin, end in spans if end - begin == 1 and rows[begin].is_clear}
        if gaps and self._closes is not None:
            closing = {at for at in gaps if rows[at].ts_init >= self._closes}
            spans = [span for span in spans if span[0] not in closing]
            gaps -= closing
        return _Part.of_batches(rows, spans, gaps)

    def close(self, since: int) -> None:
        """Leave out the gaps after `since` that this ends with.

        Strategies that leave their positions at their stop do so on the last book that was known,
        as they did when it was recorded.
        """
        if self.is_changes and self.end > since:
            for row in reversed(self._query(max(since + 1, self.begin), self.end)):
                if not _is_gap(row):
                    return
                self._closes = int(row.ts_init)

    def is_gap_next(self, after: int) -> bool:
        """Whether the first batch later than `after` is a gap, were it hours later."""
        begin, window = max(after + 1, self.begin), FIRST_WINDOW_NS
        while (self._next is None or self._next.ts_init <= after) and begin <= self.end:
            rows = self._query(begin, min(begin + window - 1, self.end))
            self._next = rows[0] if rows else None
            begin, window = begin + window, window * GROWTH
        row = self._next
        if row is None or row.ts_init <= after or not _is_gap(row):
            return False
        return self._closes is None or row.ts_init < self._closes


class _Part:
    """Rows of one kind of one instrument that are run now, in their order.

    Of a book that is told by changes, which come in batches: `sizes` of them, and `lasts`, those
    that a gap follows, each by the `id` of its batch.
    """

    def __init__(self, data: list[Any]) -> None:
        self.data = data
        self.sizes: dict[int, int] = {}
        self.lasts: set[int] = set()
        self.is_gap_first = False

    @classmethod
    def of_batches(
        cls, rows: Sequence[OrderBookDelta], spans: Sequence[tuple[int, int]], gaps: Collection[int]
    ) -> _Part:
        """`spans` of `rows`; `gaps`: where such begin as are one."""
        if not spans:
            return cls([])
        instrument_id = rows[0].instrument_id
        made = cls([OrderBookDeltas(instrument_id, rows[a:b]) for a, b in spans])
        made.sizes = {id(one): b - a for one, (a, b) in zip(made.data, spans, strict=True)}
        if gaps:
            is_gap = [begin in gaps for begin, _ in spans]
            made.is_gap_first = is_gap[:1] == [True]
            made.lasts = {
                id(one) for one, is_next in zip(made.data, is_gap[1:], strict=False) if is_next
            }
        return made

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

    @property
    def end(self) -> int:
        return int(self.data[-1].ts_init)

    @property
    def changes(self) -> int:
        """Of the book, as NautilusTrader's cache counts them."""
        return sum(self.sizes.values()) or len(self.data)


class Engine:
    """Of one run. The methods are those of a BacktestNode, less the id of the run."""

    def __init__(
        self,
        run_id: str,
        engine: BacktestEngineConfig,
        venues: Sequence[BacktestVenueConfig],
        data: Sequence[BacktestDataConfig],
        chunk_size: int,
        chunks: Chunks | None = None,
        seen: Seen | None = None,
    ) -> None:
        """`chunks` keeps what is read, for runs over the same data in this process; `seen` gives
        what of it this run has."""
        self._seen = seen
        self._id, self._chunk_size, self._shared = run_id, chunk_size, chunks
        self._parts: list[_Part] = []  # that are run now
        self._following: list[_Part] = []
        self._mixed: dict[InstrumentId, list[Any]] = {}  # of them, books and trades
        self._tapes: dict[InstrumentId, Tape] = {}  # of these parts, as far as asked for
        self._updates: Counter[InstrumentId] = Counter()  # of books, before these parts
        self._turn: Callable[[], None] | None = None
        self._shown: Mapping[InstrumentId, Shown] = {}
        self.interrupts = Interrupts()
        self.is_cut = False  # by one of them
        self.is_ended = False  # by a strategy
        self._engine = BacktestEngine(engine)
        self._rows = self._readers(data)
        for venue in venues:
            _add_venue(self._engine, venue)
        for rows in self._rows:
            for instrument in rows.instruments:
                self._engine.add_instrument(instrument)

    def _readers(self, data: Sequence[BacktestDataConfig]) -> list[_Rows]:
        if self._shared is None:
            return [_Rows(config, self._seen) for config in data]
        if self._shared.rows is None:
            self._shared.rows = [_Rows(config) for config in data]
        for rows in self._shared.rows:
            rows.begin_again()
        return self._shared.rows

    @property
    def cache(self) -> Any:
        return self._engine.cache

    @property
    def end_ns(self) -> int | None:
        """Of what was run; None: nothing was."""
        end = self._engine.get_result().backtest_end
        return None if end is None else int(end)

    @property
    def portfolio(self) -> Any:
        return self._engine.portfolio

    def fill_by(self, venues: Iterable[Venue], model: MarketFills) -> None:
        for venue in venues:
            self._engine.change_fill_model(venue, model)
        self._turn, self._shown = model.finish, model.shown

    def shown_count(self, end_ns: int | None) -> int:
        """How many rows up to then were no data, but shown to the exchange."""
        return sum(
            len(one.times) if end_ns is None else bisect_right(one.times, end_ns)
            for one in self._shown.values()
        )

    def add_actor(self, actor: Any) -> None:
        self._engine.add_actor(actor)

    def add_strategy(self, strategy: Any) -> None:
        self._engine.add_strategy(strategy)

    def run(self) -> BacktestResult:
        """Raises RuntimeError, NautilusTrader's own."""
        begin: int | None = None
        chunks = self._chunks() if self._shared is None else self._shared.of(self._chunks)
        chunk = next(chunks, None)
        while chunk is not None:
            following = next(chunks, None)
            if self.interrupts:
                break
            end, parts = chunk
            self._next(parts, following[1] if following else [])
            for rows in self._fed():
                self._engine.add_data(rows, validate=False, sort=True)
            self._engine.run(begin, end if following else None, self._id, streaming=True)
            self._engine.clear_data()
            if self._engine.run_finished is not None:  # a strategy ended it, or a signal
                self.is_cut = bool(self.interrupts)
                self.is_ended = not self.is_cut
                return self._engine.get_result()
            begin, chunk = end, following
        self.is_cut = chunk is not None
        self._engine.end()
        return self._engine.get_result()

    def finish_fills(self) -> None:
        """The fill model comes to the end of what is run now."""
        if self._turn is not None and self._parts:
            self._turn()

    def _next(self, parts: list[_Part], following: list[_Part]) -> None:
        self.finish_fills()
        for part in self._parts:
            if part.is_book:
                self._updates[part.instrument_id] += part.changes
        self._parts, self._following, self._tapes = parts, following, {}

    def tape(self, instrument_id: InstrumentId) -> Tape:
        """The market data of an instrument in the part that is run now."""
        if instrument_id not in self._tapes:
            self._tapes[instrument_id] = self._tape(instrument_id)
        return self._tapes[instrument_id]

    def _tape(self, instrument_id: InstrumentId) -> Tape:
        sizes: dict[int, int] = {}
        lasts: set[int] = set()
        parts = [one for one in self._parts if one.sizes and one.instrument_id == instrument_id]
        for part, after in zip_longest(parts, parts[1:]):  # a book as it stood, then its changes
            sizes.update(part.sizes)
            lasts |= part.lasts
            if self._is_gap_next(part) if after is None else after.is_gap_first:
                lasts.add(id(part.data[-1]))
        rows, before = self._mixed.get(instrument_id, []), self._updates[instrument_id]
        changes = [
            one.changes for one in self._parts if one.is_book and one.instrument_id == instrument_id
        ]
        return Tape(rows, sizes, lasts, before, before + sum(changes))

    def _is_gap_next(self, part: _Part) -> bool:
        """Whether a book is known no more after this part of it."""
        for after in self._following:
            if after.sizes and after.instrument_id == part.instrument_id:
                return after.is_gap_first
        return any(
            rows.is_gap_next(part.end)
            for rows in self._rows
            if rows.is_changes and rows.instrument_id == part.instrument_id
        )

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
        for name, rows in self._mixed.items():
            shown = self._shown.get(name)
            yield rows if shown is None else list(shown.among(rows))
        yield from others

    def _chunks(self) -> Iterator[tuple[int, list[_Part]]]:
        """The last time within, and the rows of each data config that has any then."""
        rows = [one for one in self._rows if one.begin <= one.end]
        if not rows:
            return
        at, last = min(one.begin for one in rows), max(one.end for one in rows)
        window = FIRST_WINDOW_NS
        if not any(one.is_cut for one in rows):
            self._close(rows, last)
        while at <= last:
            with _uncollected():
                parts = [part for one in rows if (part := one.read(at, at + window - 1))]
            if parts:
                yield max(part.end for part in parts), parts
            at += window
            count = sum(one.count for one in rows)
            factor = min(GROWTH, self._chunk_size / count) if count else GROWTH
            window = max(int(window * factor), WINDOW_MIN_NS)

    def _close(self, rows: Sequence[_Rows], last: int) -> None:
        """Data ends at `last`: a gap there ends what was recorded, and not the market."""
        for one in rows:
            others = [
                other.end
                for other in rows
                if other is not one and other.instrument_id == one.instrument_id
            ]
            one.close(max([last - CLOSING_NS, *others]))

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


def _is_gap(row: OrderBookDelta) -> bool:
    """Whether a batch that begins with this clears the book, and tells nothing."""
    return bool(row.action == BookAction.CLEAR) and bool(row.flags & RecordFlag.F_LAST.value)


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
        reject_stop_orders=config.reject_stop_orders,
    )
