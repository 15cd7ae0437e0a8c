"""The one NautilusTrader market data client, for every venue.

Subscriptions become feeds of the venue's public stream; what its protocol yields goes straight to
the data engine. A book, its quotes and its depth share one feed. The engine asks for each kind of
data once per instrument, however many strategies subscribe it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from nautilus_trader.config import DataClientConfig
from nautilus_trader.live.clients import DataClientFactory
from nautilus_trader.model import (
    Bar,
    BarType,
    BookType,
    InstrumentId,
    InstrumentStatus,
    OrderBookDeltas,
    OrderBookDepth,
    PriceType,
    QuoteTick,
    TradeTick,
    Venue,
)

from fairlead.adapters.base.connection import StreamSupervisor
from fairlead.adapters.base.data_requests import DataRequests
from fairlead.adapters.base.market_statuses import MarketStatuses
from fairlead.adapters.base.runtime import VenueRuntime
from fairlead.adapters.base.streamed_book import DEPTH_LEVELS_DEFAULT, StreamedBook
from fairlead.adapters.base.tickers import Tickers
from fairlead.adapters.base.venue import (
    Feed,
    FeedKind,
    Gap,
    Resynced,
    StreamFault,
    StreamItem,
    Subscribed,
    VenueInstrument,
)
from fairlead.engine.bars import bar_minutes
from fairlead.engine.recording.gaps import GapKind, GapRow
from fairlead.engine.status import BookState, StreamState
from fairlead.engine.warner import Warner

logger = logging.getLogger(__name__)


class VenueDataClient(DataRequests):
    """Market data of one venue account; state and limits come with its `VenueRuntime`.

    - A subscription that the venue can't serve is logged as a warning and kept in the status as
      the problem `DATA-UNSUPPORTED`; NautilusTrader has no way to tell the strategy.
    - Quotes are the best bid and ask of the book, whenever one of their four numbers changes.
    - A gap clears the book for every strategy before anything else happens, is logged, and is
      recorded when the book is whole again.
    """

    def __init__(self, *, runtime: VenueRuntime, **kwargs: Any) -> None:
        super().__init__(venue=Venue(runtime.adapter.venue), **kwargs)
        self._account = runtime  # `_runtime` is NautilusTrader's own
        self._books: dict[InstrumentId, StreamedBook] = {}
        self._last_trade_ns: dict[InstrumentId, int] = {}  # ts_init of the last trade
        self._stream: StreamSupervisor | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        parts = (runtime, self._handle_data, self._problem, self._spawn)
        self._statuses, self._tickers = MarketStatuses(*parts), Tickers(*parts)
        self._down_since_ns = 0
        self._down_reason = ""
        self._stopping = False
        self._warn = Warner(logger)
        self._handlers: dict[type, Callable[[Any], None]] = {
            OrderBookDeltas: self._on_deltas,
            TradeTick: self._on_trade,
            QuoteTick: self._handle_data,
            OrderBookDepth: self._handle_data,
            InstrumentStatus: self._handle_data,
            Bar: self._handle_data,
            Gap: self._on_gap,
            Resynced: self._on_resynced,
            Subscribed: self._on_subscribed,
            StreamFault: self._on_fault,
        }

    # -- life -------------------------------------------------------------------------------------

    async def _connect(self) -> None:
        try:
            await self._account.ensure_connected()
        except Exception:
            # NautilusTrader says only "connection failed"; the cause is in `runtime.failure`.
            logger.warning(f"{self.venue}: could not connect: {self._account.failure}")
            raise
        self._stopping = False
        for name in self._account.instruments:
            self._handle_instrument(self._account.adapter.instruments[name].nautilus)

    async def _disconnect(self) -> None:
        self._stopping = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)  # their failures are logged already
        if self._stream is not None:
            await self._stream.stop()
            self._stream = None
        now_ns = self._account.now_ns()
        for kept in self._books.values():
            self._record_gap(kept, now_ns)
        self._record_reconnect(now_ns)
        self._books.clear()
        self._warn.tell_rest()
        await self._account.release()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run a part of the client in the background; one that fails ends the run."""
        task = asyncio.create_task(self._watched(work, name), name=f"{self.venue} {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _watched(self, work: Coroutine[Any, Any, None], name: str) -> None:
        try:
            await work
        except Exception as error:
            logger.exception(f"{self.venue}: {name} failed")
            self._account.fatal("DATA-DEFECT", f"{self.venue} {name}: {error}")

    def _supervisor(self) -> StreamSupervisor:
        """The public stream, started with the first subscription."""
        if self._stream is None:
            protocol = self._account.adapter.market_data.public_stream()
            self._stream = self._account.stream("public", protocol, self._on_item, self._on_state)
            self._stream.start()
            self._spawn(self._watch_books(self._stream), "watch of the books")
        return self._stream

    def _is_relayed(self, instrument: str) -> bool:
        relay = self._account.relay
        return relay is not None and relay.covers(instrument)

    def _add_feed(self, feed: Feed) -> None:
        """From the venue's stream, or from the instrument that stands for this one."""
        relay = self._account.relay
        if relay is not None and relay.covers(feed.instrument):
            relay.add(feed, self._on_item)
        else:
            self._supervisor().add_feed(feed)

    def _remove_feed(self, feed: Feed) -> None:
        relay = self._account.relay
        if relay is not None and relay.covers(feed.instrument):
            relay.remove(feed)
        elif self._stream is not None:
            self._stream.remove_feed(feed)

    # -- book, quotes, depth ----------------------------------------------------------------------

    async def _subscribe_book_deltas(self, command: Any) -> None:
        kept = self._want_book(command, "book deltas", command.book_type, command.depth or 0)
        if kept is None:
            return
        kept.wants_deltas, kept.managed = True, command.managed
        kept.choose_quotes(self._account.engine_quotes)
        if kept.is_whole:  # it streams already, for quotes or depth: begin with all of it
            self._handle_data(kept.snapshot(self._book_ns(kept)))

    async def _subscribe_quotes(self, command: Any) -> None:
        kept = self._want_book(command, "quotes", BookType.L2_MBP, None)
        if kept is None:
            return
        kept.wants_quotes = True
        kept.choose_quotes(self._account.engine_quotes)
        if kept.is_whole:
            self._emit_quote(kept, kept.book.ts_event, self._account.now_ns())

    async def _subscribe_book_depth(self, command: Any) -> None:
        levels = command.depth or DEPTH_LEVELS_DEFAULT
        kept = self._want_book(command, "book depth", command.book_type, levels)
        if kept is None:
            return
        kept.depth_levels = levels
        if kept.is_whole:
            self._handle_data(kept.depth(kept.book.ts_event, self._account.now_ns()))

    async def _unsubscribe_book_deltas(self, command: Any) -> None:
        if (kept := self._books.get(command.instrument_id)) is not None:
            kept.wants_deltas = kept.managed = False
            self._unwant_book(kept)

    async def _unsubscribe_quotes(self, command: Any) -> None:
        if (kept := self._books.get(command.instrument_id)) is not None:
            kept.wants_quotes = False
            self._unwant_book(kept)

    async def _unsubscribe_book_depth(self, command: Any) -> None:
        if (kept := self._books.get(command.instrument_id)) is not None:
            kept.depth_levels = 0
            self._unwant_book(kept)

    def _want_book(
        self, command: Any, what: str, book_type: BookType, levels: int | None
    ) -> StreamedBook | None:
        """The streamed book, its feed at least `levels` deep (0: default, None: any)."""
        instrument = self._streamed(command.instrument_id, what)
        if instrument is None:
            return None
        if book_type != BookType.L2_MBP:
            self._unsupported(f"{what} of type {book_type}; use L2_MBP", instrument.id)
            return None
        feed = Feed(FeedKind.BOOK, instrument.id, self._feed_depth(levels or 0))
        kept = self._books.get(command.instrument_id)
        if kept is None:
            kept = self._books[command.instrument_id] = StreamedBook(
                command.instrument_id,
                feed,
                self._account.status.book(instrument.id),
                self._account.now_ns(),
            )
            self._not_whole(kept)
            self._add_feed(feed)
        elif levels is not None and feed.depth > kept.feed.depth > 0:
            self._deepen(kept, feed)
        return kept

    def _feed_depth(self, levels: int) -> int:
        """The venue's smallest depth that holds `levels`; 0 is its default."""
        depths = sorted(self._account.adapter.capabilities.book_depths)
        if levels == 0 or not depths:
            return 0
        return next((depth for depth in depths if depth >= levels), depths[-1])

    def _deepen(self, kept: StreamedBook, feed: Feed) -> None:
        cleared = kept.clear(self._book_ns(kept))
        self._show(cleared)
        self._not_whole(kept)
        if kept.wants_deltas:
            self._handle_data(cleared)
        self._remove_feed(kept.feed)
        kept.feed = feed
        self._add_feed(feed)

    def _unwant_book(self, kept: StreamedBook) -> None:
        kept.choose_quotes(self._account.engine_quotes)
        if kept.is_wanted:
            return
        self._record_gap(kept, self._account.now_ns())
        del self._books[kept.instrument_id]
        self._account.status.books.pop(kept.feed.instrument, None)
        self._remove_feed(kept.feed)

    def _emit_quote(self, kept: StreamedBook, ts_event: int, ts_init: int) -> None:
        if kept.makes_quotes and (quote := kept.quote(ts_event, ts_init)) is not None:
            self._handle_data(quote)

    # -- trades, bars, instruments ----------------------------------------------------------------

    async def _subscribe_trades(self, command: Any) -> None:
        if (instrument := self._streamed(command.instrument_id, "trades")) is not None:
            self._add_feed(Feed(FeedKind.TRADES, instrument.id))

    async def _unsubscribe_trades(self, command: Any) -> None:
        self._remove_feed(Feed(FeedKind.TRADES, str(command.instrument_id)))

    async def _subscribe_bars(self, command: Any) -> None:
        bar_type: BarType = command.bar_type
        instrument = self._streamed(bar_type.instrument_id, "bars")
        if instrument is None:
            return
        minutes = bar_minutes(bar_type)
        offered = self._account.adapter.capabilities.bar_minutes
        if self._is_relayed(instrument.id):
            offered = (minutes,)  # the source says what it has
        if minutes not in offered or bar_type.spec.price_type != PriceType.LAST:
            self._unsupported(
                f"bars {bar_type}: the venue streams LAST bars of {list(offered)} minutes;"
                " use INTERNAL aggregation",
                instrument.id,
            )
            return
        self._add_feed(Feed(FeedKind.BARS, instrument.id, bar_minutes=minutes))

    async def _unsubscribe_bars(self, command: Any) -> None:
        instrument, minutes = str(command.bar_type.instrument_id), bar_minutes(command.bar_type)
        self._remove_feed(Feed(FeedKind.BARS, instrument, bar_minutes=minutes))

    async def _subscribe_instrument(self, command: Any) -> None:
        if (instrument := self._known(command.instrument_id, "instrument")) is not None:
            self._handle_instrument(instrument.nautilus)

    async def _subscribe_instruments(self, command: Any) -> None:
        for instrument in list(self._account.adapter.instruments.values()):
            self._handle_instrument(instrument.nautilus)

    async def _subscribe_instrument_status(self, command: Any) -> None:
        if self._known(command.instrument_id, "instrument status") is None:
            return
        self._statuses.want(command.instrument_id)

    async def _unsubscribe_instrument(self, command: Any) -> None:
        """Nothing to stop: an instrument is published when it is asked for."""

    async def _unsubscribe_instruments(self, command: Any) -> None:
        """Nothing to stop."""

    async def _unsubscribe_instrument_status(self, command: Any) -> None:
        self._statuses.drop(command.instrument_id)

    # -- prices of a ticker -----------------------------------------------------------------------

    async def _subscribe_mark_prices(self, command: Any) -> None:
        """Where the venue has but a ticker, its last price is polled."""
        if (instrument := self._known(command.instrument_id, "mark prices")) is None:
            return
        ticker = self._account.adapter.capabilities.ticker
        if not ticker or self._is_relayed(instrument.id):
            self._unsupported("mark prices", instrument.id)
            return
        self._tickers.wanted.add(command.instrument_id)
        self._tickers.begin()

    async def _unsubscribe_mark_prices(self, command: Any) -> None:
        self._tickers.wanted.discard(command.instrument_id)

    def _known(self, instrument_id: InstrumentId, what: str) -> VenueInstrument | None:
        name = str(instrument_id)
        instrument = self._account.adapter.instruments.get(name)
        if instrument is None:
            self._unsupported(f"{what}: the venue has no such instrument", name)
        return instrument

    def _streamed(self, instrument_id: InstrumentId, what: str) -> VenueInstrument | None:
        """Of an instrument with a stream, its venue's or another's."""
        instrument = self._known(instrument_id, what)
        able = self._account.adapter.capabilities
        if instrument is None or not able.ticker or self._is_relayed(instrument.id):
            return instrument
        self._unsupported(f"{what}: the venue streams nothing", instrument.id)
        return None

    def _unsupported(self, what: str, instrument: str) -> None:
        self._problem("DATA-UNSUPPORTED", f"{instrument or self.venue} {what}: not subscribed")

    # -- items of the stream ----------------------------------------------------------------------

    def _on_item(self, item: StreamItem) -> None:
        handler = self._handlers.get(type(item))
        if handler is None:
            raise TypeError(f"a public stream yielded {type(item).__name__}")
        handler(item)

    def _show(self, data: OrderBookDeltas | TradeTick) -> None:
        if self._account.on_market is not None:
            self._account.on_market(data)

    def _on_trade(self, trade: TradeTick) -> None:
        """Give each trade of an instrument a later `ts_init` than the one before it.

        Several trades of one frame share its receive time. A recording that was split between
        them would have two files of overlapping time, which the catalog refuses.
        """
        last = self._last_trade_ns.get(trade.instrument_id, 0)
        ts_init = trade.ts_init
        if ts_init <= last:
            ts_init = last + 1
            trade = TradeTick(
                trade.instrument_id,
                trade.price,
                trade.size,
                trade.aggressor_side,
                trade.trade_id,
                trade.ts_event,
                ts_init,
            )
        self._last_trade_ns[trade.instrument_id] = ts_init
        self._account.status.traded(str(trade.instrument_id), ts_init)
        self._show(trade)
        self._handle_data(trade)

    def _on_deltas(self, deltas: OrderBookDeltas) -> None:
        kept = self._books.get(deltas.instrument_id)
        if kept is None:
            return  # unsubscribed a moment ago
        status = kept.status
        if not kept.has_snapshot:
            if not _is_whole(deltas):
                self._account.status.count("deltas_before_snapshot")  # changes to a book not known
                return
            # Or the CLEAR of a gap, whose `Gap` then comes next. An empty book is a snapshot too:
            # it is not shown as valid before it has a level, and its changes count from now on.
            kept.has_snapshot = True
        kept.book.apply_deltas(deltas)
        ts_init = deltas.ts_init
        status.updates += 1
        status.last_update_ns = ts_init
        kept.last_update = self._loop_time()
        self._show(deltas)
        if kept.wants_deltas:
            self._handle_data(deltas)
        if status.state is not BookState.VALID and not self._becomes_valid(kept, deltas):
            return
        if kept.makes_quotes:
            self._emit_quote(kept, deltas.ts_event, ts_init)
        if kept.depth_levels:
            self._handle_data(kept.depth(deltas.ts_event, ts_init))

    def _becomes_valid(self, kept: StreamedBook, deltas: OrderBookDeltas) -> bool:
        if kept.status.state is BookState.STALE:
            kept.set_state(BookState.VALID, deltas.ts_init)
        elif not kept.is_empty:
            self._whole(kept)
        return kept.status.state is BookState.VALID

    def _on_gap(self, gap: Gap) -> None:
        kept = self._books.get(InstrumentId.from_str(gap.instrument))
        if kept is None:
            return
        now_ns = self._account.now_ns()
        if not kept.is_empty:  # the protocol owes a CLEAR; a wrong book must not stay
            cleared = kept.clear(self._book_ns(kept))
            self._show(cleared)
            if kept.wants_deltas:
                self._handle_data(cleared)
        self._not_whole(kept)
        if kept.depth_levels:
            self._handle_data(kept.depth(now_ns, now_ns))
        if self._stopping:
            return
        kept.status.gaps += 1
        kept.status.last_gap = gap.reason
        if kept.gap_since_ns == 0:
            kept.gap_since_ns, kept.gap_reason = now_ns, gap.reason
        text = f"{gap.instrument}: gap, the book is cleared: {gap.reason}"
        self._warn(f"gap {gap.instrument}", text)

    def _on_resynced(self, resynced: Resynced) -> None:
        kept = self._books.get(InstrumentId.from_str(resynced.instrument))
        if kept is not None:
            self._whole(kept)

    def _on_subscribed(self, subscribed: Subscribed) -> None:
        feed = subscribed.feed
        logger.info(f"{self.venue}: {feed.kind} of {feed.instrument} subscribed")

    def _on_fault(self, fault: StreamFault) -> None:
        feed = f"{fault.feed.kind} of {fault.feed.instrument}: " if fault.feed else ""
        self._problem(fault.code, f"{feed}{fault.message}")

    # -- health -----------------------------------------------------------------------------------

    def _whole(self, kept: StreamedBook) -> None:
        # From its first row on: no gap lies over rows that are there
        now_ns = max(kept.status.last_update_ns, kept.gap_since_ns)
        kept.reconnects = kept.wanted_ns = 0
        kept.last_update = self._loop_time()
        kept.set_state(BookState.VALID, now_ns)
        if kept.gap_since_ns:
            kept.status.resyncs += 1
            secs = (now_ns - kept.gap_since_ns) / 1e9
            name = kept.feed.instrument
            self._warn(f"whole {name}", f"{name}: the book is whole again after {secs:.3f} s")
            self._record_gap(kept, now_ns)

    def _book_ns(self, kept: StreamedBook) -> int:
        """Now, but not before the book's last update, also when the clock was set back."""
        return max(self._account.now_ns(), kept.status.last_update_ns + 1)

    def _not_whole(self, kept: StreamedBook) -> None:
        kept.has_snapshot = False
        kept.not_whole_since = self._loop_time()
        kept.set_state(BookState.RESYNC, self._account.now_ns())

    def _on_state(self, state: StreamState, reason: str) -> None:
        now_ns = self._account.now_ns()
        if state is StreamState.CONNECTED:
            self._record_reconnect(now_ns)
            for kept in self._books.values():
                kept.not_whole_since = kept.last_update = self._loop_time()
        elif state is StreamState.WAITING and self._down_since_ns == 0:
            self._down_since_ns, self._down_reason = now_ns, reason

    def _record_gap(self, kept: StreamedBook, now_ns: int) -> None:
        if kept.wanted_ns:  # from its subscription to here
            kept.gap_since_ns, kept.gap_reason = kept.wanted_ns, "the book never came"
        if kept.gap_since_ns:
            row = GapRow(
                kind=GapKind.GAP,
                instrument=kept.feed.instrument,
                reason=kept.gap_reason,
                from_ns=kept.gap_since_ns,
                to_ns=now_ns,
            )
            kept.gap_since_ns = 0
            self._account.record_gap(row)

    def _record_reconnect(self, now_ns: int) -> None:
        if self._down_since_ns:
            row = GapRow(
                kind=GapKind.RECONNECT,
                instrument="",
                reason=self._down_reason,
                from_ns=self._down_since_ns,
                to_ns=now_ns,
            )
            self._down_since_ns = 0
            self._account.record_gap(row)

    async def _watch_books(self, stream: StreamSupervisor) -> None:
        """Find books that never came, and silence that a live connection hides."""
        limits = self._account.book_limits
        told: set[tuple[str, int]] = set()
        while True:
            await asyncio.sleep(limits.check_secs)
            if not stream.is_connected or not self._books:
                continue
            now = self._loop_time()
            for kept in self._books.values():
                name, is_late = kept.feed.instrument, now - kept.not_whole_since >= limits.warn_secs
                if kept.wanted_ns and is_late and (name, kept.wanted_ns) not in told:
                    told.add((name, kept.wanted_ns))
                    self._warn(f"late {name}", f"{name}: subscribed, and no whole book has come")
            overdue = [book for book in self._books.values() if self._is_overdue(book, now)]
            if overdue:
                names = ", ".join(book.feed.instrument for book in overdue)
                stream.reconnect(f"no whole book of {names} within {limits.snapshot_secs} s")
            elif all(now - it.last_update >= limits.silence_secs for it in self._books.values()):
                stream.reconnect(f"no book has changed for {limits.silence_secs} s")
            elif silent := [it for it in self._books.values() if it.is_silent(now, limits)]:
                names = ", ".join(it.feed.instrument for it in silent)
                stream.reconnect(f"{names}: no change for {limits.silence_secs} s or longer")

    def _is_overdue(self, kept: StreamedBook, now: float) -> bool:
        """Whether the connection should be renewed for this book; marks silent books STALE."""
        limits = self._account.book_limits
        if kept.is_whole:
            if kept.status.state is BookState.VALID and now - kept.last_update >= limits.stale_secs:
                kept.set_state(BookState.STALE, self._account.now_ns())
                name = kept.feed.instrument
                self._warn(f"stale {name}", f"{name}: no change for {limits.stale_secs} s")
            return False
        if now - kept.not_whole_since < limits.snapshot_secs:
            return False
        kept.not_whole_since = now
        kept.reconnects += 1
        if kept.wanted_ns and kept.gap_since_ns == 0:
            kept.gap_since_ns, kept.gap_reason = kept.wanted_ns, "the book did not come"
        if kept.reconnects == limits.snapshot_reconnects_max + 1:
            self._problem("BOOK-MISSING", f"{kept.feed.instrument}: the book does not come")
        return kept.reconnects <= limits.snapshot_reconnects_max

    def _loop_time(self) -> float:
        return asyncio.get_running_loop().time()


class VenueDataClientFactory(DataClientFactory):
    """Gives NautilusTrader the data client of one venue account."""

    def __init__(self, runtime: VenueRuntime) -> None:
        self._runtime = runtime

    def create(  # type: ignore[override]  # NautilusTrader calls it on the instance
        self, *, name: str, config: DataClientConfig, cache: Any, clock: Any
    ) -> VenueDataClient:
        return VenueDataClient(
            runtime=self._runtime, name=name, config=config, cache=cache, clock=clock
        )


def make_data_factory(runtime: VenueRuntime) -> VenueDataClientFactory:
    """What `LiveNodeBuilder.add_data_client` takes, one for each venue of a config."""
    return VenueDataClientFactory(runtime)


def _is_whole(deltas: OrderBookDeltas) -> bool:
    return deltas.is_snapshot or deltas.deltas[0].is_clear
