"""One symbol of a Binance stream file: wire events in, catalog rows out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from fairlead.engine.recording.gaps import GapRow
from fairlead.engine.recording.importers import binance_wire as wire
from fairlead.engine.recording.importers.columns import Columns
from fairlead.engine.recording.importers.diffbook import (
    ROW,
    Batch,
    Change,
    DiffBook,
    Level,
    Place,
    Snapshot,
)
from fairlead.engine.recording.importers.gap_rows import GapRows
from fairlead.engine.recording.importers.left_out import QUOTE, LeftOut
from fairlead.engine.recording.importers.neighbours import (
    After,
    Before,
    between,
    goes_on,
    is_between,
)
from fairlead.engine.recording.importers.report import InstrumentReport
from fairlead.engine.recording.importers.staging import ChunkWriter, StagedCatalog
from fairlead.engine.recording.importers.trade_ids import TradeIds

AT_END = "; the file ends before the book is whole again"
TRADES_KEPT_MAX = 65_536  # newest trades that a repeated one is held against
NEVER_NS = 1 << 63  # more than any two times differ
SILENT_NS = 10 * 10**9  # depth that is silent for longer, and for so many times its usual distance
SILENT_TIMES = 20  # while the market goes on, has stopped
PLAUSIBLE_RATIO = 1.5  # a snapshot's price is at most this often the symbol's own


class Finer(Exception):
    """A number has more decimals than were seen before: the import begins again, finer."""

    def __init__(self, *, price_decimals: int = 0, size_decimals: int = 0) -> None:
        super().__init__(f"{price_decimals} price decimals, {size_decimals} size decimals")
        self.price_decimals = price_decimals
        self.size_decimals = size_decimals


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How an import is done. `depth`: see `diffbook`. `chunk_rows`: rows of one Parquet file."""

    depth: int
    fold_tops: bool
    chunk_rows: int


class _Ahead(msgspec.Struct):
    """A snapshot replaced a shown book that had not reached it; the changes between may yet come.

    `had`: the update id that the unbroken changes have reached; `until_ns`: of the snapshot.
    """

    had: int
    last: int
    since_ns: int
    until_ns: int


def is_plausible(snapshot: wire.Snapshot, reference: int) -> bool:
    """Whether its prices are like a symbol's own; a `reference` of 0 is none, and excludes none."""
    side = snapshot.bids or snapshot.asks
    if not reference or not side:
        return True
    ratio = side[0][0] / reference
    return 1 / PLAUSIBLE_RATIO <= ratio <= PLAUSIBLE_RATIO


class SymbolImport:
    """What the file says of one symbol, written to `staged` as it comes."""

    def __init__(
        self,
        instrument: Any,
        market: wire.Market,
        numbers: wire.SymbolNumbers,
        staged: StagedCatalog,
        options: Options,
        reference: int = 0,
    ) -> None:
        self.report = InstrumentReport(
            id=str(instrument.id),
            market=market.value,
            price_precision=instrument.price_precision,
            size_precision=instrument.size_precision,
            tick_size=str(instrument.price_increment),
            step_size=str(instrument.size_increment),
            min_notional=str(instrument.min_notional or ""),
            maker_fee=str((instrument.info or {}).get("maker_fee", "")),
            taker_fee=str((instrument.info or {}).get("taker_fee", "")),
            depth=options.depth,
        )
        self.market = market
        self.first_ns = self.last_ns = 0  # of what the file says of it
        self._numbers = numbers
        self._staged = staged
        self._book = DiffBook(depth=options.depth, fold_tops=options.fold_tops)
        self._columns = columns = Columns(instrument)
        rows_max = options.chunk_rows
        self._deltas = ChunkWriter(lambda rows: staged.write(columns.deltas(rows)), rows_max)
        self._trades = ChunkWriter(lambda rows: staged.write(columns.trades(rows)), rows_max)
        self._quotes = ChunkWriter(lambda rows: staged.write(columns.quotes(rows)), rows_max)
        self._trade_numbers = TradeIds()
        self._unusable = LeftOut()  # quotes
        self._gaps = GapRows(self.report, staged)
        self._is_ended = False
        self._told: OrderedDict[int, wire.Trade] = OrderedDict()  # the newest trades by id
        self._last_quote: wire.Ticker | None = None
        self._known_ns = 0  # of the newest change or snapshot that is in the book
        self._depth_ns = (0, 0)  # first and newest depth message
        self._ahead: _Ahead | None = None
        self._begin_ns = 0  # the first depth message or snapshot
        self.reference = reference  # a recent price, to know a snapshot by; 0: none
        self._gap: GapRow | None = None  # open: `to_ns` is not known yet
        self._before: Before | None = None
        self._begun_ns = 0
        self._ahead_least, self._ahead_most = NEVER_NS, -NEVER_NS
        self._trade_ids = ("", "")  # first and last

    def seen(self, ts: int) -> None:
        """The file says something of it at `ts`."""
        self.first_ns = self.first_ns or ts
        self.last_ns = ts

    # -- the files before and after -------------------------------------------------------------

    def follow(self, before: Before | None, ts: int, since_ns: int) -> None:
        """The file begins at `ts`: the book of the one `before` it ends with that one's time.

        The row of the time between begins at `since_ns`.
        """
        if before is None:
            return
        self._before = before
        self._begun_ns = ts
        self._gap = between(self.report.id, since_ns, since_ns)
        if before.book is None or not before.is_shown:
            return
        at = before.end_ns + 1
        stamp = (before.book.sequence, before.book.ts_event)
        self._deltas.add(self._book.cleared(*stamp, at), at)
        if at < ts:
            self._deltas.flush()  # alone: another file can be imported into the time between

    def precede(self, after: After | None, ts: int, until_ns: int) -> None:
        """The file ended at `ts`, and the catalog goes on `after` it. Before `finish`."""
        if after is None:
            return
        self._end_gaps(ts)
        no_book = after.book_ns is None and not self._begin_ns
        if no_book and goes_on(self._trade_ids[1], after.trade_id):
            return
        at = ts + 1 if after.start_ns > ts + 1 else ts
        if at > ts:
            self._deltas.flush()
        self._end_book(at)
        self._gaps.add(between(self.report.id, ts, until_ns), until_ns)

    def _end_gaps(self, ts: int) -> None:
        """The file ended at `ts`."""
        self._lost_before_snapshot()
        self._stop_silent(ts, "the file goes on", is_over=True)
        self._close_between()
        self._close_gap(ts, AT_END)
        if self._is_ended:
            return
        self._is_ended = True
        self._gaps.end(self._trade_numbers, self._unusable, ts)

    def _close_between(self) -> None:
        """Where neither file has a book, only the time between them is missing, if any is."""
        before, gap = self._before, self._gap
        if before is None or gap is None or not is_between(gap):
            return
        if before.book is not None or self._begin_ns:
            return
        if goes_on(before.trade_id, self._trade_ids[0]):
            self._gap = None
        else:
            self._close_gap(self._begun_ns, "")

    # -- events --------------------------------------------------------------------------------

    def depth(self, event: wire.Depth, ts: int) -> None:
        report = self.report
        report.depth_messages += 1
        report.level_updates += len(event.bids) + len(event.asks)
        self._begin_book(ts)
        self._depth_ns = (self._depth_ns[0] or ts, ts)
        self._offset(event.ts_event, ts)
        self._require_within(event.bids, event.asks)
        change = Change(event.previous, event.last, event.bids, event.asks, event.ts_event, ts)
        place = self._book.place(change)
        self._catch_up(change, place)
        if place is Place.OLD:
            return
        if place is Place.GAP:
            self._lose(change)
        self._emit(self._book.change(change), ts)
        self._known_ns = ts

    def snapshot(self, event: wire.Snapshot, ts: int) -> None:
        self._begin_book(ts)
        self._require_decimals([*event.bids, *event.asks])
        had = self._book.last_id
        if had is not None and event.last > had and self._book.shown:
            self._run_ahead(had, event.last, ts)
        if had is None or event.last >= had:
            self._known_ns = ts
        levels = (event.bids, event.asks)
        self._emit(self._book.snapshot(Snapshot(event.last, *levels, event.ts_event or ts, ts)), ts)

    def trade(self, event: wire.Trade, ts: int) -> None:
        """Raises Malformed for a trade of a known id that says something else."""
        self._offset(event.ts_event, ts)
        if not event.on_book:
            self.report.trades_off_book += 1
            self._trade_numbers.add(event.id, ts)
            return
        told = self._told.setdefault(event.id, event)
        if told is not event:
            if told != event:
                raise wire.Malformed(f"trade {event.id} was told before, with other content")
            self.report.trades_repeated += 1
            return
        self._trade_numbers.add(event.id, ts)
        name = str(event.id)
        self._trade_ids = (self._trade_ids[0] or name, name)
        if len(self._told) > TRADES_KEPT_MAX:
            self._told.popitem(last=False)
        self._require_within(((event.price, event.size),))
        self.reference = event.price
        row = (event.price, event.size, event.buyer_is_maker, name, event.ts_event, ts)
        self._trades.add(row, ts)

    def ticker(self, event: wire.Ticker, ts: int) -> None:
        ts_event = event.ts_event
        if ts_event:
            self._offset(ts_event, ts)
        else:
            ts_event = ts
        if event == self._last_quote:
            self.report.quotes_repeated += 1
            return
        self._last_quote = event
        bid, ask = event.bid, event.ask
        self._require_within((bid, ask))
        bid_price, bid_size = bid
        ask_price, ask_size = ask
        if not bid_price or bid_price >= ask_price or not bid_size or not ask_size:
            self.report.quotes_unusable += 1
            name = self.report.id
            self._unusable.add(self._quotes.last_ts, name, QUOTE, "a side is empty, or crossed")
            return
        if self._unusable.is_open:
            self._unusable.until(ts)
        self.reference = bid_price
        book = self._book
        is_silent = ts - self._known_ns > SILENT_NS
        if is_silent and book.shown and event.last > (book.last_id or 0):
            self._stop_silent(ts, "quotes go on")
        self._emit(book.top(event, ts_event, ts), ts)
        self._quotes.add((bid_price, ask_price, bid_size, ask_size, ts_event, ts), ts)

    def finish(self, ts: int) -> None:
        """Write what is buffered; complete the report."""
        self._end_gaps(ts)
        for writer in (self._deltas, self._trades, self._quotes):
            writer.flush()
        report = self.report
        report.delta_rows = self._deltas.count
        report.trades = self._trades.count
        report.quotes = self._quotes.count
        report.book = self._book.counts
        report.off_tick, report.off_step = self._columns.off_tick, self._columns.off_step
        if self._ahead_least <= self._ahead_most:
            report.exchange_ahead_ns = (self._ahead_least, self._ahead_most)
        if self._begin_ns:
            report.unseen_seconds = ((report.book_from_ns or ts) - self._begin_ns) / 1e9

    # -- whose snapshot is it ------------------------------------------------------------------

    def spans(self, snapshot: wire.Snapshot) -> bool:
        """Whether a snapshot, which names no symbol, is of this one's book as it is known."""
        return self._book.spans(snapshot.last) and is_plausible(snapshot, self.reference)

    def awaits(self, snapshot: wire.Snapshot, event: wire.Depth) -> bool:
        """Whether a snapshot from before is of the moment that `event` is about."""
        return event.previous <= snapshot.last <= event.last and is_plausible(
            snapshot, self.reference
        )

    # -- the book ------------------------------------------------------------------------------

    def _emit(self, batches: list[Batch], ts: int) -> None:
        for batch in batches:
            self._deltas.add(batch, ts, len(batch.rows) // ROW)
        if self._book.shown:
            if not self.report.book_from_ns:
                self.report.book_from_ns = ts
            if self._gap is not None:
                self._close_gap(ts, "")
        elif batches and self._gap is None:  # its CLEAR: the market left what is known of it
            least = max(1, self.report.depth // 2)
            self._open_gap(ts, f"fewer than {least} levels of a side are known to be complete", 0)

    def _end_book(self, at: int) -> None:
        for batch in self._book.end(at):
            self._deltas.add(batch, at)

    def _begin_book(self, ts: int) -> None:
        self._begin_ns = self._begin_ns or ts

    def _stop_silent(self, ts: int, meanwhile: str, *, is_over: bool = False) -> None:
        """Where depth has stopped while the market goes on, what is left of the book is none.

        A quote shows it when it comes; at the end of a file, that the silence grew too long.
        """
        first_ns, last_ns = self._depth_ns
        since_ns = max(last_ns, self._known_ns)
        messages = self.report.depth_messages
        if ts - since_ns <= SILENT_NS or (messages < 2 and not self._book.shown):
            return
        usual_ns = (last_ns - first_ns) / (messages - 1) if messages > 1 else 0
        limit_ns = max(SILENT_NS, int(SILENT_TIMES * usual_ns))
        if ts - since_ns <= limit_ns:
            return
        self.report.depth_stops += 1
        if not self._book.shown:
            return
        self._open_gap(since_ns, f"depth messages stopped, {meanwhile}", 0)
        at = max(self._deltas.last_ts, since_ns + limit_ns) if is_over else ts
        self._end_book(at)

    def _run_ahead(self, had: int, last: int, ts: int) -> None:
        """The next changes will tell whether those until the snapshot are there."""
        if self._ahead is None:
            self._ahead = _Ahead(had, last, self._known_ns, ts)
        else:
            self._ahead.last, self._ahead.until_ns = last, ts
        self._deltas.mark(last, self._book.ended(ts))

    def _catch_up(self, change: Change, place: Place) -> None:
        ahead = self._ahead
        if ahead is None:
            return
        if place is Place.GAP or change.previous > ahead.had:
            self._lost_before_snapshot()
            return
        ahead.had = max(ahead.had, change.last)
        if ahead.had >= ahead.last:
            self._ahead = None
            self._deltas.release()

    def _lost_before_snapshot(self) -> None:
        """The book that stood still until the snapshot ends with it: the loss shows there."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return
        self._deltas.insert_marked(ahead.had)
        reason = f"depth sequence: update {ahead.had} expected before, a snapshot of {ahead.last}"
        missing = ahead.last - ahead.had
        row = self._gaps.begin(ahead.since_ns, f"{reason} received", missing)
        self._gaps.add(row, ahead.until_ns)

    def _lose(self, change: Change) -> None:
        had = self._book.last_id or 0
        reason = f"depth sequence: update {had} expected before, {change.previous} received"
        missing = max(0, change.previous - had)
        if self._gap is None:
            self._open_gap(self._known_ns, reason, missing)
        ended = self._book.lose(change.previous, change.ts_event, change.ts_init)
        self._emit(ended, change.ts_init)  # nobody could have known before

    def _open_gap(self, since_ns: int, reason: str, missing: int) -> None:
        self._gap = self._gaps.begin(since_ns, reason, missing)

    def _close_gap(self, ts: int, note: str) -> None:
        gap, self._gap = self._gap, None
        if gap is None:
            return
        self._gaps.add(msgspec.structs.replace(gap, reason=gap.reason + note), ts)

    def _offset(self, event_ns: int, ts: int) -> None:
        """Exchange time minus local time, least and most."""
        ahead = event_ns - ts
        if ahead < self._ahead_least:
            self._ahead_least = ahead
        if ahead > self._ahead_most:
            self._ahead_most = ahead

    # -- numbers -------------------------------------------------------------------------------

    def _require_within(self, *sides: Sequence[Level]) -> None:
        """Raises Finer. Of a symbol whose lines have no finer number nothing needs a look."""
        numbers, report = self._numbers, self.report
        if (
            numbers.prices.decimals > report.price_precision
            or numbers.sizes.decimals > report.size_precision
        ):
            self._require_decimals(level for side in sides for level in side)

    def _require_decimals(self, levels: Iterable[Level]) -> None:
        price, size = most_decimals(levels)
        if price > self.report.price_precision or size > self.report.size_precision:
            raise Finer(price_decimals=price, size_decimals=size)


def most_decimals(levels: Iterable[Level]) -> tuple[int, int]:
    """The most decimals of a price, and of a size."""
    prices, sizes = set(), set()
    for price, size in levels:
        prices.add(price)
        sizes.add(size)
    return (
        max(map(wire.decimals, prices), default=0),
        max(map(wire.decimals, sizes), default=0),
    )
