"""One instrument of an import: events in, catalog rows and gap rows out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from nautilus_trader.model import Bar, BarType, NautilusDataType, Price, Quantity

from fairlead.engine.identifiers import TRADE_ID_MAX, trade_id
from fairlead.engine.recording.catalog import utc
from fairlead.engine.recording.gaps import GapRow
from fairlead.engine.recording.importers.binance_wire import Malformed, SymbolNumbers
from fairlead.engine.recording.importers.columns import Columns
from fairlead.engine.recording.importers.diffbook import ROW, Batch
from fairlead.engine.recording.importers.events import (
    BarRow,
    Event,
    Levels,
    Market,
    Quote,
    Trade,
)
from fairlead.engine.recording.importers.gap_rows import GapRows
from fairlead.engine.recording.importers.left_out import (
    BAR,
    DEPTH,
    QUOTE,
    TRADE,
    LeftOut,
)
from fairlead.engine.recording.importers.levels import LevelBook, cleared
from fairlead.engine.recording.importers.neighbours import Neighbours, between, goes_on
from fairlead.engine.recording.importers.report import InstrumentReport
from fairlead.engine.recording.importers.staging import (
    HELD,
    ChunkWriter,
    ImportFailed,
    StagedCatalog,
)
from fairlead.engine.recording.importers.trade_ids import TradeIds
from fairlead.engine.recording.importers.whole import Again

TRADES_KEPT_MAX = 65_536  # newest trades that a repeated one is held against
OLD_CHANGES_MAX = 100  # in a row, after which the ids must have been reset
NEVER_NS = 1 << 63
KINDS: dict[Any, Any] = {
    Trade: NautilusDataType.TradeTick,
    Quote: NautilusDataType.QuoteTick,
    Levels: NautilusDataType.OrderBookDelta,
    BarRow: NautilusDataType.Bar,
}
NOTES: dict[type, str] = {Trade: ": trades", BarRow: ": bars"}  # of the time between files
STREAMS: dict[type, str] = {Trade: TRADE, Quote: QUOTE, Levels: DEPTH, BarRow: BAR}


def kind_of(event: type) -> str:
    """The name of its stream."""
    return STREAMS[event]


class Sink:
    """Takes events in order of `ts`; `finish` writes the rest."""

    def __init__(
        self,
        instrument: Any,
        market: Market,
        numbers: SymbolNumbers,
        staged: StagedCatalog,
        chunk_rows: int,
    ) -> None:
        info = instrument.info or {}
        self.report = InstrumentReport(
            id=str(instrument.id),
            market=market.contract.value,
            price_precision=instrument.price_precision,
            size_precision=instrument.size_precision,
            tick_size=str(instrument.price_increment),
            step_size=str(instrument.size_increment),
            min_notional=str(instrument.min_notional or ""),
            maker_fee=str(info.get("maker_fee", "")),
            taker_fee=str(info.get("taker_fee", "")),
        )
        self._instrument = instrument
        self._numbers = numbers
        self._staged = staged
        columns = self._columns = Columns(instrument)
        self._deltas = ChunkWriter(lambda rows: staged.write(columns.deltas(rows)), chunk_rows)
        self._trades = ChunkWriter(lambda rows: staged.write(columns.trades(rows)), chunk_rows)
        self._quotes = ChunkWriter(lambda rows: staged.write(columns.quotes(rows)), chunk_rows)
        self._bars = ChunkWriter(self._write_bars, chunk_rows)
        self._writers: dict[type, ChunkWriter] = {
            Trade: self._trades,
            Quote: self._quotes,
            Levels: self._deltas,
            BarRow: self._bars,
        }
        self._bar_type: Any = None
        self._last_bar: BarRow | None = None
        self._book = LevelBook()
        self._last_id: int | None = None
        self._is_bridging = False  # the next change may begin before the snapshot it follows
        self._old_run = 0
        self._known_ns = 0  # of the newest message of the book
        self._gap: GapRow | None = None  # open
        self._told: OrderedDict[str, Trade] = OrderedDict()
        self._trade_numbers = TradeIds() if market.counts_trades else None
        self._trade_ids = ("", "")  # first and last
        self._unusable = LeftOut()  # quotes
        self._gaps = GapRows(self.report, staged)
        self._last_quote: tuple[Any, ...] = ()
        self._spans: dict[type, tuple[int, int]] = {}  # of the rows of each kind
        self._ahead = (NEVER_NS, -NEVER_NS)
        self._begun_ns = 0  # the first event of the book
        self._takes: dict[type, Callable[[Any, int], None]] = {
            Trade: self._trade,
            Quote: self._quote,
            Levels: self._levels,
            BarRow: self._bar,
        }

    def take(self, event: Event, ts: int) -> None:
        """Raises Again where a number is finer, Malformed, ImportFailed."""
        prices, sizes = self._numbers.decimals
        report = self.report
        if prices > report.price_precision or sizes > report.size_precision:
            raise Again
        kind = type(event)
        first, _ = self._spans.get(kind) or self._begin(event, ts)
        self._takes[kind](event, ts)
        self._spans[kind] = (first, ts)
        ahead = event.ts_event - ts
        self._ahead = (min(self._ahead[0], ahead), max(self._ahead[1], ahead))

    def _begin(self, event: Event, ts: int) -> tuple[int, int]:
        """The first of its kind."""
        there = self._neighbours(type(event), event)
        if isinstance(event, Levels):
            self._begun_ns = ts
            before = there.before(ts)
            if before is not None:
                across = there.row_across(ts, ts)
                since_ns = before.end_ns if across is None else across.from_ns
                self._gap = between(self.report.id, since_ns, since_ns)
                if before.is_shown and before.book is not None:
                    book, at = before.book, before.end_ns + 1
                    self._add(cleared(book.sequence, book.ts_event, at), at)
                    if at < ts:
                        self._deltas.flush()  # alone: files may be imported into the time between
        return (ts, ts)

    def _neighbours(self, kind: type, event: Event | None = None) -> Neighbours:
        name = self.report.id
        if kind is BarRow:
            name = str(self._bar_type if event is None else self._type_of(event))
        row = between(self.report.id, 0, 0, NOTES.get(kind, ""))
        return Neighbours(self._staged.target, name, (KINDS[kind],), row)

    # -- events --------------------------------------------------------------------------------

    def _trade(self, event: Trade, ts: int) -> None:
        name = event.id
        if name:
            told = self._told.setdefault(name, event)
            if told is not event:
                if told != event:
                    raise Malformed(f"trade {name[:60]} was told before, with other content")
                self.report.trades_repeated += 1
                return
            if len(self._told) > TRADES_KEPT_MAX:
                self._told.popitem(last=False)
            if self._trade_numbers is not None:
                self._trade_numbers.add(int(name), ts)
                self._trade_ids = (self._trade_ids[0] or name, name)
        else:  # none in the file: its place among the trades of its moment
            name = f"{ts}-{self._trades.count}"
        if len(name) > TRADE_ID_MAX or not name.isascii():
            name = str(trade_id(name))
        row = (event.price, event.size, int(event.taker), name, event.ts_event, ts)
        self._trades.add(row, ts)

    def _quote(self, event: Quote, ts: int) -> None:
        (bid, bid_size), (ask, ask_size) = event.bid, event.ask
        row = (bid, ask, bid_size, ask_size, event.ts_event, ts)
        if row == self._last_quote:
            self.report.quotes_repeated += 1
            return
        self._last_quote = row
        if not bid or bid >= ask or not bid_size or not ask_size:
            self.report.quotes_unusable += 1
            name = self.report.id
            self._unusable.add(self._quotes.last_ts, name, QUOTE, "a side is empty, or crossed")
            return
        if self._unusable.is_open:
            self._unusable.until(ts)
        self._quotes.add(row, ts)

    def _levels(self, event: Levels, ts: int) -> None:
        report = self.report
        report.depth_messages += 1
        report.level_updates += len(event.bids) + len(event.asks)
        sides = (event.bids, event.asks)
        if event.is_snapshot:
            self._snapshot(event, ts)
        elif self._follows(event, ts):
            self._emit(self._book.change(sides, event.last, event.ts_event, ts), ts)
            self._last_id = event.last
            self._known_ns = ts

    def _snapshot(self, event: Levels, ts: int) -> None:
        is_next = self._last_id is not None and event.last in (self._last_id, self._last_id + 1)
        if self._book.shown and not event.is_whole and not (event.last and is_next):
            row = self._gaps.begin(
                self._known_ns, "a new snapshot: what came before it is not known"
            )
            self._gaps.add(row, ts)
        sides = (event.bids, event.asks)
        self._emit(self._book.snapshot(sides, event.last, event.ts_event, ts), ts)
        self._last_id, self._is_bridging, self._old_run = event.last, True, 0
        self._known_ns = ts
        if not self.report.book_from_ns:
            self.report.book_from_ns = ts
        if self._gap is not None:
            gap, self._gap = self._gap, None
            self._gaps.add(gap, ts)

    def _follows(self, event: Levels, ts: int) -> bool:
        """Whether a change belongs into the book as it is; a loss ends it."""
        had = self._last_id
        if not self._book.shown or event.previous is None or had is None:
            return True
        if event.last <= had and self._old_run < OLD_CHANGES_MAX:
            self._old_run += 1
            self._book.counts.old_changes += 1
            return False
        is_next = event.previous == had or (self._is_bridging and event.previous < had < event.last)
        self._is_bridging, self._old_run = False, 0
        if not is_next:
            reason = f"update {had} expected before, {event.previous} received"
            self.lose(f"depth sequence: {reason}", ts, max(0, event.previous - had))
        return True

    def lose(self, reason: str, ts: int, missing: int = 0) -> None:
        """The book is not known from here until the next snapshot."""
        if not self._book.shown:
            return
        self._emit(self._book.end(ts), ts)
        self._gap = self._gaps.begin(self._known_ns, reason, missing)
        self._last_id = None

    def _bar(self, event: BarRow, ts: int) -> None:
        last = self._last_bar
        if last is None:
            self._bar_type = self._type_of(event)
        elif event.ts_event <= last.ts_event:
            if event == last:
                self.report.bars_repeated += 1
                return
            raise Malformed("a bar of that time was told before, with other content")
        elif event.length != last.length:
            raise Malformed(f"a bar of {last.length} expected, {event.length} received")
        else:
            missing = (event.ts_event - last.ts_event) // event.length_ns - 1
            if missing > 0:
                row = self._gaps.begin(last.ts_event, f"{missing} bars of {event.length}", missing)
                self._gaps.covers.add(BAR, last.ts_event, ts)
                self._gaps.add_missing(row, event.ts_event - event.length_ns)
        self._last_bar = event
        self._bars.add(event, ts)

    def _type_of(self, event: Event) -> Any:
        assert isinstance(event, BarRow)
        text = f"{self.report.id}-{event.length}-LAST-EXTERNAL"
        try:
            return BarType.from_str(text)
        except ValueError as error:
            raise ImportFailed("IMPORT-BARS", f"{text} is no bar type: {error}") from error

    def _write_bars(self, rows: list[BarRow]) -> None:
        price, size = self.report.price_precision, self.report.size_precision
        self._staged.catalog.write_bars(
            [
                Bar(
                    self._bar_type,
                    Price.from_raw(row.open, price),
                    Price.from_raw(row.high, price),
                    Price.from_raw(row.low, price),
                    Price.from_raw(row.close, price),
                    Quantity.from_raw(row.volume, size),
                    row.ts_event,
                    row.ts_init,
                )
                for row in rows
            ]
        )

    # -- the end -------------------------------------------------------------------------------

    def finish(self) -> None:
        """Write the rest; refuse what the catalog has; complete the report. Raises ImportFailed."""
        self._refuse_held()
        if (span := self._spans.get(Levels)) is not None:
            self._end_book(self._neighbours(Levels), span)
        for kind in (Trade, BarRow):
            self._part(kind)
        last_ns = max(last for _, last in self._spans.values())
        kinds = [STREAMS[kind] for kind in self._spans]
        self._gaps.end(self._trade_numbers, self._unusable, last_ns, kinds)
        for writer in (self._deltas, self._trades, self._quotes, self._bars):
            writer.flush()
        report = self.report
        report.delta_rows, report.trades = self._deltas.count, self._trades.count
        report.quotes, report.bars = self._quotes.count, self._bars.count
        report.book = self._book.counts
        report.off_tick, report.off_step = self._columns.off_tick, self._columns.off_step
        report.float_noise = self._numbers.noise
        if self._ahead[0] <= self._ahead[1]:
            report.exchange_ahead_ns = self._ahead
        if self._begun_ns:
            ended_ns = self._spans[Levels][1]
            report.unseen_seconds = ((report.book_from_ns or ended_ns) - self._begun_ns) / 1e9

    def _refuse_held(self) -> None:
        """Raises ImportFailed for a time that the catalog holds."""
        overlaps: dict[type, tuple[int, int]] = {}
        for kind, span in self._spans.items():
            if (held := self._neighbours(kind).overlapping(*span)) is not None:
                overlaps[kind] = held
        if not overlaps:
            return
        kind, (begin, end) = next(iter(overlaps.items()))
        what = f"the catalog already holds {self.report.id} from {utc(begin)} to {utc(end)}"
        written = {kind: one for kind, one in self._writers.items() if one.count}
        if all(
            kind in overlaps
            and overlaps[kind][0] <= one.first_ts
            and one.last_ts <= overlaps[kind][1]
            for kind, one in written.items()
        ):
            raise ImportFailed(HELD, f"{what}: all the time of the file; nothing was imported")
        text = (
            f"{what}, and the file has {' to '.join(map(utc, self._spans[kind]))} of the same "
            "kind; nothing was imported. Name another --catalog, or delete that range first"
        )
        raise ImportFailed("IMPORT-OVERLAP", text)

    def _end_book(self, there: Neighbours, span: tuple[int, int]) -> None:
        first_ns, last_ns = span
        if self._gap is not None:
            gap, self._gap = self._gap, None
            self._gaps.add(gap, last_ns)
        across = there.row_across(first_ns, last_ns)
        if across is not None:
            self._staged.split_gaps.append(across)
        after = there.after(last_ns)
        if after is None:
            return
        at = last_ns + 1 if after.start_ns > last_ns + 1 else last_ns
        if at > last_ns:
            self._deltas.flush()
        self._emit(self._book.end(at), at)
        until_ns = across.to_ns if across is not None else after.book_ns or after.start_ns
        self._gaps.add(between(self.report.id, last_ns, until_ns), until_ns)

    def _part(self, kind: type) -> None:
        """From the files before and after, where ids or times tell that something is missing."""
        span = self._spans.get(kind)
        if span is None or (kind is Trade and self._trade_numbers is None):
            return
        there = self._neighbours(kind, self._last_bar if kind is BarRow else None)
        across = there.row_across(*span)
        if across is not None:
            self._staged.split_gaps.append(across)
        before, after = there.before(span[0]), there.after(span[1])
        first_id, last_id = self._trade_ids
        bar_ns = 0 if self._last_bar is None else self._last_bar.length_ns
        begin, end = (0, 0) if across is None else (across.from_ns, across.to_ns)
        if before is not None:
            is_next = before.end_ns + bar_ns == span[0] if bar_ns else False
            if not (is_next or goes_on(before.trade_id, first_id)):
                row = between(self.report.id, begin or before.end_ns, span[0], NOTES[kind])
                self._gaps.add(row, span[0])
        if after is not None:
            is_next = span[1] + bar_ns == after.start_ns if bar_ns else False
            if not (is_next or goes_on(last_id, after.trade_id)):
                row = between(self.report.id, span[1], end or after.start_ns, NOTES[kind])
                self._gaps.add(row, row.to_ns)

    # -- parts ---------------------------------------------------------------------------------

    def _emit(self, batches: list[Batch], ts: int) -> None:
        for batch in batches:
            self._add(batch, ts)

    def _add(self, batch: Batch, ts: int) -> None:
        self._deltas.add(batch, ts, len(batch.rows) // ROW)
