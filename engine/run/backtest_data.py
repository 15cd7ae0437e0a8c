"""What a backtest runs on: the catalog's data of the configured instruments, checked before a run.

A backtest that starts inside a recording needs the book as it stood then, while the recording
holds changes only. The book is rebuilt from the last snapshot before the start, and handed to the
run as a snapshot of its own, so that a strategy never sees a partial book.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from nautilus_trader.backtest import BacktestDataConfig
from nautilus_trader.model import (
    BookAction,
    BookOrder,
    BookType,
    InstrumentId,
    NautilusDataType,
    OrderBook,
    OrderBookDelta,
    OrderSide,
    RecordFlag,
)
from nautilus_trader.persistence import ParquetDataCatalog

from fairlead.engine.config.model import Config
from fairlead.engine.config.problems import near_market
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.guard import offer
from fairlead.engine.guard.offer import INSTRUMENT, QUOTES, Offer
from fairlead.engine.recording.catalog import CatalogEmpty, NoDataInRange, open_catalog, utc
from fairlead.engine.recording.parquet_rows import ParquetFault

NAMED_MAX = 8  # instruments named in an error
SECOND_NS = 1_000_000_000
REPLAY_WINDOW_NS = 60 * SECOND_NS  # read at once to rebuild a book; wider where the data is quiet,
REPLAY_WINDOW_MAX_NS = 3600 * SECOND_NS  # as a query costs 2 ms, however little it finds
REPLAY_QUIET_ROWS = 10_000
TAIL_NS = 10 * SECOND_NS  # first look for the end of the last whole book update; then further back

_ALWAYS = (
    NautilusDataType.TradeTick,
    NautilusDataType.InstrumentStatus,
    NautilusDataType.MarkPriceUpdate,
    NautilusDataType.IndexPriceUpdate,
    NautilusDataType.FundingRateUpdate,
)
NAMES = {
    NautilusDataType.OrderBookDelta: offer.BOOK,
    NautilusDataType.OrderBookDepth: offer.DEPTH,
    NautilusDataType.QuoteTick: offer.QUOTES,
    NautilusDataType.TradeTick: offer.TRADES,
    NautilusDataType.InstrumentStatus: offer.STATUS,
    NautilusDataType.MarkPriceUpdate: offer.MARK,
    NautilusDataType.IndexPriceUpdate: offer.INDEX,
    NautilusDataType.FundingRateUpdate: offer.FUNDING,
}


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One instrument's data in the catalog. `start_ns` and `end_ns` bound what the run reads.

    `deltas_end_ns` is the end of the last whole book update, where the recording was cut short in
    the middle of one; else None. `deltas_start_ns` is the begin of the book update in the middle
    of which the run starts; else None. `has_whole` says whether there is a whole update at all.
    """

    instrument: Any
    types: tuple[Any, ...]
    start_ns: int
    end_ns: int
    deltas_end_ns: int | None = None
    deltas_start_ns: int | None = None
    has_whole: bool = True

    @property
    def id(self) -> str:
        return str(self.instrument.id)

    @property
    def has_deltas(self) -> bool:
        return NautilusDataType.OrderBookDelta in self.types

    @property
    def is_deep(self) -> bool:
        """Whether there is a book of more than the touch."""
        return self.has_deltas or NautilusDataType.OrderBookDepth in self.types


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """All data of a run."""

    catalog: Path
    sources: tuple[Source, ...]
    start_ns: int | None  # as configured
    end_ns: int | None

    @property
    def range_ns(self) -> tuple[int, int]:
        return min(s.start_ns for s in self.sources), max(s.end_ns for s in self.sources)

    def offer(self) -> Offer:
        """What strategies can subscribe. Quotes are made from the book, too."""
        sources = {}
        for source in self.sources:
            kinds = {NAMES[kind] for kind in source.types} | {INSTRUMENT}
            if source.is_deep:
                kinds.add(QUOTES)
            where = f"the catalog {self.catalog}"
            sources[source.id] = offer.Source(where=where, kinds=frozenset(kinds))
        return Offer(sources=sources, requests=False)

    def configs(self, scratch: Path) -> list[BacktestDataConfig]:
        """Data configs of the run; books rebuilt at its start become a catalog in `scratch`."""
        found: list[BacktestDataConfig] = []
        for source in self.sources:
            found.extend(_configs(self, source, scratch))
        return found


def _ns(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    whole = moment.replace(microsecond=0)
    return int(whole.timestamp()) * SECOND_NS + moment.microsecond * 1000


def select(config: Config, root: Path) -> Selection:
    """Look up every configured instrument in the catalog at `root`.

    Raises FairleadError: CATALOG-MISSING, CATALOG-EMPTY, CATALOG-DAMAGED, CATALOG-RANGE.
    """
    catalog = _open(root)
    start_ns, end_ns = _ns(config.backtest.start), _ns(config.backtest.end)
    defined = sorted(catalog.instruments(), key=lambda one: int(one.ts_init))
    known = {str(one.id): one for one in defined}  # the newest definition
    if not known:
        raise CatalogEmpty(
            "CATALOG-EMPTY",
            f"{root} defines no instruments; expected a catalog written by `fairlead import` "
            "or `fairlead record`",
        )
    sources = tuple(
        _source(catalog, root, known, name, start_ns, end_ns) for name in config.instruments
    )
    return Selection(catalog=root, sources=sources, start_ns=start_ns, end_ns=end_ns)


def _open(root: Path) -> ParquetDataCatalog:
    """The catalog, when every file of it can be read."""
    try:
        return open_catalog(root)
    except ParquetFault as error:
        raise FairleadError(
            "CATALOG-DAMAGED",
            f"{error}; remove the file and import or record it again",
            int(Exit.BAD_DATA),
        ) from error


def _source(
    catalog: ParquetDataCatalog,
    root: Path,
    known: dict[str, Any],
    name: str,
    start_ns: int | None,
    end_ns: int | None,
) -> Source:
    if name not in known:
        near = near_market(name, known)
        there = ", ".join(sorted(known)[:NAMED_MAX]) + (" ..." if len(known) > NAMED_MAX else "")
        hint = f"; did you mean {near}?" if near else ""
        raise CatalogEmpty("CATALOG-EMPTY", f"{root} has no {name}; it has {there}{hint}")
    types = _types(catalog, name)
    if not types:
        bars = catalog.query_first_timestamp(NautilusDataType.Bar, name) is not None
        why = (
            "has only bars of it, within which nobody knows what traded when, so that no fill "
            "could be believed; import its trades or book"
            if bars
            else "has no data of it"
        )
        raise CatalogEmpty("CATALOG-EMPTY", f"{root} defines {name} but {why}")
    spans = [span for kind in types for span in catalog.get_intervals(kind, name)]
    first, last = min(a for a, _ in spans), max(b for _, b in spans)
    used = [
        (max(a, start_ns or a), min(b, end_ns or b))
        for a, b in spans
        if (start_ns is None or b >= start_ns) and (end_ns is None or a <= end_ns)
    ]
    if not used:
        raise _no_data(root, name, start_ns, end_ns, first, last)
    begin, end = min(a for a, _ in used), max(b for _, b in used)
    if not any(_has_rows(catalog, kind, name, begin, end) for kind in types):
        raise _no_data(root, name, start_ns, end_ns, first, last)
    source = Source(instrument=known[name], types=types, start_ns=begin, end_ns=end)
    if not source.has_deltas:
        return source
    if start_ns is not None:
        head = _last_updates(catalog, name, first, start_ns - 1).rest
        tail = catalog.query_order_book_deltas([name], start=start_ns, end=end)[:1] if head else []
        if tail and tail[0].action != BookAction.CLEAR:  # a CLEAR needs nothing before it
            source = msgspec.structs.replace(source, deltas_start_ns=head[0].ts_init)
    newest = _last_updates(catalog, name, source.deltas_start_ns or begin, end)
    return msgspec.structs.replace(
        source,
        deltas_end_ns=newest.whole_ns if newest.rest else None,
        has_whole=newest.whole_ns is not None,
    )


def _no_data(
    root: Path, name: str, start_ns: int | None, end_ns: int | None, first: int, last: int
) -> NoDataInRange:
    asked = " to ".join(utc(at) if at else "any time" for at in (start_ns, end_ns))
    return NoDataInRange(
        "CATALOG-RANGE",
        f"{root} has no data of {name} from {asked}; it has {utc(first)} to {utc(last)}",
    )


def _has_rows(catalog: ParquetDataCatalog, kind: Any, name: str, begin: int, end: int) -> bool:
    """Whether there is a row; the names of files tell no hole within one."""
    back = TAIL_NS
    while True:
        start = max(begin, end - back)
        if catalog.query(kind, [name], start=start, end=end):
            return True
        if start <= begin:
            return False
        back *= 10


class _Updates(msgspec.Struct, frozen=True):
    """The end of a stretch of book deltas: the time of the last row with F_LAST (None: there is
    none), and the rows after it."""

    whole_ns: int | None
    rest: list[OrderBookDelta]


def _last_updates(catalog: ParquetDataCatalog, name: str, begin: int, end: int) -> _Updates:
    """Where the last whole book update from `begin` to `end` ended, and what follows it.

    A recorder that is killed can leave part of an update, and so can a start or an end in the
    middle of one; NautilusTrader refuses to replay it.
    """
    back = TAIL_NS
    while True:
        start = max(begin, end - back)
        rows = catalog.query_order_book_deltas([name], start=start, end=end) if end >= start else []
        ends = [at for at, row in enumerate(rows) if row.flags & RecordFlag.F_LAST.value]
        if ends:
            return _Updates(rows[ends[-1]].ts_init, rows[ends[-1] + 1 :])
        if start <= begin:
            return _Updates(None, rows)
        back *= 10


def _types(catalog: ParquetDataCatalog, name: str) -> tuple[Any, ...]:
    """Data types of one instrument. The best source of the book only: deltas, depths, or quotes."""

    def there(kind: Any) -> bool:
        return catalog.query_first_timestamp(kind, name) is not None

    book = [
        kind
        for kind in (
            NautilusDataType.OrderBookDelta,
            NautilusDataType.OrderBookDepth,
            NautilusDataType.QuoteTick,
        )
        if there(kind)
    ][:1]
    return (*book, *(kind for kind in _ALWAYS if there(kind)))


def _last_clear(catalog: ParquetDataCatalog, name: str, end: int) -> int | None:
    """Time of the last CLEAR at or before `end`; None where there is none.

    From the newest file back, so that little is read: a query of a whole recording holds it all.
    """
    spans = sorted(catalog.get_intervals(NautilusDataType.OrderBookDelta, name), reverse=True)
    for first, last in spans:
        if first > end:
            continue
        rows = catalog.query_order_book_deltas(
            [name], start=first, end=min(last, end), where_clause="action = 'CLEAR'"
        )
        if rows:
            return rows[-1].ts_init
    return None


def _configs(selection: Selection, source: Source, scratch: Path) -> Iterator[BacktestDataConfig]:
    root = str(selection.catalog)
    deltas_start_ns = source.deltas_start_ns or selection.start_ns
    snapshot: Sequence[OrderBookDelta] = []
    if source.has_deltas and deltas_start_ns is not None:
        snapshot = book_at(
            ParquetDataCatalog(root),
            source.instrument.id,
            deltas_start_ns,
            before=not source.has_whole,
        )
        if snapshot:
            path = scratch / source.id.replace("/", "_")
            path.mkdir(parents=True)
            small = ParquetDataCatalog(str(path))
            small.write_instruments([source.instrument])
            small.write_order_book_deltas(snapshot)
            yield BacktestDataConfig(
                NautilusDataType.OrderBookDelta, str(path), instrument_id=source.instrument.id
            )
    if not source.has_whole and not snapshot:
        asked = " to ".join(utc(at) for at in (selection.start_ns, selection.end_ns))
        raise NoDataInRange(
            "CATALOG-RANGE", f"{root} has no whole book of {source.id} from {asked}"
        )
    for kind in source.types:
        is_book = kind == NautilusDataType.OrderBookDelta
        if is_book and not source.has_whole:
            continue
        yield BacktestDataConfig(
            kind,
            root,
            instrument_id=source.instrument.id,
            start_time=deltas_start_ns if is_book else selection.start_ns,
            end_time=_end_of(kind, source, selection),
            optimize_file_loading=True,  # one table of all files; else each is held open
        )


def _end_of(kind: Any, source: Source, selection: Selection) -> int | None:
    if kind == NautilusDataType.OrderBookDelta and source.deltas_end_ns is not None:
        return source.deltas_end_ns
    return selection.end_ns


def book_at(
    catalog: ParquetDataCatalog, instrument_id: InstrumentId, start_ns: int, *, before: bool = False
) -> Sequence[OrderBookDelta]:
    """The book just before `start_ns` as a snapshot; empty where it is not needed or not known.

    It is not needed where the run begins with a snapshot at `start_ns`, unless `before` says that
    the run does not read that one.
    """
    name = str(instrument_id)
    window = _last_clear(catalog, name, start_ns - before)
    if window is None or window == start_ns:
        return []
    book = OrderBook(instrument_id, BookType.L2_MBP)
    width = REPLAY_WINDOW_NS
    while window < start_ns:
        end = min(window + width, start_ns)
        deltas = catalog.query_order_book_deltas([name], start=window, end=end - 1)
        for delta in deltas:
            book.apply_delta(delta)
        is_quiet = len(deltas) < REPLAY_QUIET_ROWS
        width = min(2 * width, REPLAY_WINDOW_MAX_NS) if is_quiet else REPLAY_WINDOW_NS
        window = end
    return _snapshot(book, start_ns - 1)


def _snapshot(book: OrderBook, ts: int) -> list[OrderBookDelta]:
    levels = [(OrderSide.BUY, level) for level in book.bids()]
    levels += [(OrderSide.SELL, level) for level in book.asks()]
    if not levels:
        return []  # within a gap: a book that nobody knows is shown to nobody
    sequence = book.sequence
    deltas = [OrderBookDelta.clear(book.instrument_id, sequence, ts, ts)]
    for at, (side, level) in enumerate(levels):
        flags = RecordFlag.F_SNAPSHOT.value
        if at == len(levels) - 1:
            flags |= RecordFlag.F_LAST.value
        order = level.first()
        assert order is not None  # a level without orders is no level
        deltas.append(
            OrderBookDelta(
                book.instrument_id,
                BookAction.ADD,
                BookOrder(side, order.price, order.size, 0),
                flags,
                sequence,
                ts,
                ts,
            )
        )
    return deltas
