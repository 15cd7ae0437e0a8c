"""The book as a strategy sees it, through the venue's public stream, held against the true book.

The real market data client and public stream serve one book per life of the process over a faulty
wire. Each book that is shown must have been the venue's true book at some moment. What is judged
is what NautilusTrader's data engine would be handed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from nautilus_trader.config import DataClientConfig
from nautilus_trader.model import BookAction, BookType, InstrumentId, OrderBookDeltas, OrderSide

from adapters.base.data_client import VenueDataClient
from adapters.base.runtime import VenueRuntime
from adapters.base.venue import Gap
from adapters.simulation.exchange import ExchangeListener
from engine.orders.model import Side
from engine.recording.gaps import GapKind, GapRow
from engine.risk.facts import Reference
from engine.simulate.frames import FaultyWs, FrameFaults, FrameLine
from engine.simulate.trace import Trace
from engine.status import RunStatus

if TYPE_CHECKING:
    from adapters.base.venue import Adapter
    from adapters.simulation.venue import SimulatedVenue
    from engine.simulate.process import Process

DEPTH_MIN = 20  # a shown side may end after so many levels, or where the true side ends
LEVELS_MAX = 10_000
LOOK_SECS = 0.25
SILENT_SLACK_SECS = 5.0  # beyond the protocol's own limit of silence

Levels = dict[Decimal, Decimal]


class TrueBook(ExchangeListener):
    """Every book that the venue can have told: one for each change seen between two publications.

    `moments` are (bids, asks), in order. A venue publishes in `advance` only, so its book is taken
    at the end of each.
    """

    def __init__(self, venue: SimulatedVenue, market: str) -> None:
        self.moments: list[tuple[Levels, Levels]] = []
        self._market = market
        self._book = venue.exchange.markets[market].book
        self._is_changed = True
        advance = venue.advance

        def advance_and_look(now_ns: int) -> None:
            advance(now_ns)
            self._look()

        venue.advance = advance_and_look  # type: ignore[method-assign]
        venue.exchange.listeners.append(self)

    def book_changed(self, market: str, side: Side, price: Decimal, size: Decimal) -> None:
        if market == self._market:
            self._is_changed = True

    def _look(self) -> None:
        if self._is_changed:
            self._is_changed = False
            book = self._book
            self.moments.append(
                (dict(book.bids.levels(LEVELS_MAX)), dict(book.asks.levels(LEVELS_MAX)))
            )


class ShownBook:
    """The book of one life of the process, and the verdict on each of its states.

    `broken(code, detail)` hears what must not be. Where frames are `sequenced`, moments go forward
    between two gaps; a venue whose frames carry no sequence can't reveal that one came late or
    again: then any moment will do.
    """

    def __init__(
        self, true: TrueBook, sequenced: bool, broken: Callable[[str, str], None], trace: Trace
    ) -> None:
        self.bids: Levels = {}
        self.asks: Levels = {}
        self.ts_init = 0
        self.rows: list[GapRow] = []
        self._true = true
        self._sequenced = sequenced
        self._broken = broken
        self._trace = trace
        self._moment = 0  # the first that can be shown next
        self._ts_event = 0
        self._rows_before: int | None = None  # rows when the gap in force began

    @property
    def levels(self) -> int:
        return len(self.bids) + len(self.asks)

    # -- what the client hands on --------------------------------------------------------------

    def append(self, row: GapRow) -> None:
        """Implements `adapters.base.runtime.GapSink`."""
        self.rows.append(row)
        if self._trace.is_on:
            self._trace.line("book", f"recorded: {row.kind} {row.reason}")

    def apply(self, deltas: OrderBookDeltas, *, is_stopping: bool) -> None:
        had = bool(self.bids or self.asks)
        for delta in deltas.deltas:
            action, order = delta.action, delta.order
            if action == BookAction.CLEAR:
                self.bids, self.asks = {}, {}
                continue
            side = self.bids if order.side == OrderSide.BUY else self.asks
            price = order.price.as_decimal()
            if action == BookAction.DELETE:
                side.pop(price, None)
            else:
                side[price] = order.size.as_decimal()
        self.ts_init = deltas.ts_init
        if not self.bids and not self.asks:
            if had and not is_stopping and self._find() is None:
                self.gap()
            return
        if self._rows_before is not None and had:
            self.check_recorded()
        self._judge(deltas.ts_event)

    def check_recorded(self) -> None:
        """The gap that is over must have been written down."""
        before, self._rows_before = self._rows_before, None
        if before is not None and not any(r.kind is GapKind.GAP for r in self.rows[before:]):
            self._broken("BOOK-UNRECORDED", "the book was cleared, and no gap is recorded")

    def gap(self) -> None:
        """The client was told of a gap, or the book was cleared for another reason than that the
        venue's is empty."""
        self._moment = self._ts_event = 0
        if self._rows_before is None:
            self._trace.count("book_gaps")
            self._rows_before = len(self.rows)
            self._trace.line("book", "gap")

    def _judge(self, ts_event: int) -> None:
        self._trace.count("books")
        if ts_event < self._ts_event:
            text = f"event time {ts_event} after {self._ts_event}, and no gap between"
            self._broken("BOOK-TIME", text)
        self._ts_event = ts_event
        found = self._find()
        if found is None:
            code = "BOOK-WRONG"
            if self.bids and self.asks and max(self.bids) >= min(self.asks):
                code = "BOOK-CROSSED"
            self._broken(code, self._words())
        elif self._sequenced:
            self._moment = found

    def _find(self) -> int | None:
        """The moment that is shown: the first possible of a sequence, else the last."""
        moments = self._true.moments
        numbers = range(self._moment, len(moments))
        for number in numbers if self._sequenced else reversed(numbers):
            if self.is_like(moments[number]):
                return number
        return None

    def is_like(self, moment: tuple[Levels, Levels]) -> bool:
        if self.bids == moment[0] and self.asks == moment[1]:
            return True
        return _is_top(self.bids, moment[0]) and _is_top(self.asks, moment[1])

    def is_now(self) -> bool:
        return self.is_like(self._true.moments[-1])

    def _words(self) -> str:
        bid, ask = max(self.bids, default=None), min(self.asks, default=None)
        true_bids, true_asks = self._true.moments[-1]
        wrong = [
            f"{name} {price}: {shown.get(price, 'none')}, now {true.get(price, 'none')}"
            for name, shown, true in (("bid", self.bids, true_bids), ("ask", self.asks, true_asks))
            for price in sorted(shown.keys() | true.keys())
            if shown.get(price) != true.get(price)
        ]
        return f"{bid} / {ask} was never the venue's book; {'; '.join(wrong[:4])}"


def _is_top(shown: Levels, true: Levels) -> bool:
    """Whether a side is shown as it is, level for level, at least DEPTH_MIN deep. `true` is
    best first."""
    if len(shown) == len(true):
        return shown == true
    if not DEPTH_MIN <= len(shown) < len(true):
        return False
    return shown == dict(list(true.items())[: len(shown)])


class _Runtime(VenueRuntime):
    """The other half of the process connects the adapter, once for both."""

    async def ensure_connected(self) -> None: ...

    async def release(self) -> None: ...


class _Client(VenueDataClient):
    """The market data client, whose data engine is a `ShownBook`."""

    def __init__(
        self, hand_on: Callable[[OrderBookDeltas], None], on_gap: Callable[[], None], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._hand_on = hand_on
        self._tell_gap = on_gap

    def _on_gap(self, gap: Gap) -> None:
        if not self._stopping:
            self._tell_gap()
        super()._on_gap(gap)

    def _handle_instrument(self, instrument: object) -> None: ...

    def _handle_data(self, data: object) -> None:
        if isinstance(data, OrderBookDeltas):
            self._hand_on(data)


class BookFeed:
    """The subscribed book of one life: stream, client and judge."""

    def __init__(
        self, process: Process, adapter: Adapter, true: TrueBook, faults: FrameFaults
    ) -> None:
        world = process.world
        self._process = process
        self._loop = world.loop
        self._sequenced = adapter.capabilities.sequenced_books
        self.shown = ShownBook(true, self._sequenced, self._broken, world.trace)
        self._ws = FaultyWs(
            world.venue,
            faults,
            world.trace,
            world.loop.now_ns,
            world.plan.latency_secs,
            self,
        )
        self._is_stopping = False
        self._defects = 0
        plan = world.plan
        runtime = _Runtime(
            adapter=adapter,
            ws=self._ws,
            instruments=(world.instrument,),
            trading=False,
            now_ns=process.now_ns,
            rng=Random(f"book/{plan.venue}/{plan.seed}/{process.life}"),  # noqa: S311 - simulation
            status=RunStatus(),
            on_fatal=lambda code, message: self._broken("BOOK-FATAL", f"{code}: {message}"),
            gaps=self.shown,
        )
        self._client = _Client(
            self._handed_on,
            self.shown.gap,
            runtime=runtime,
            name=world.venue_name,
            config=DataClientConfig(),
            cache=cast(Any, None),
            clock=cast(Any, None),
        )

    async def start(self) -> None:
        instrument_id = InstrumentId.from_str(self._process.world.instrument)
        await self._client._connect()
        await self._client._subscribe_book_deltas(
            SimpleNamespace(
                instrument_id=instrument_id, book_type=BookType.L2_MBP, depth=None, managed=True
            )
        )

    async def stop(self) -> None:
        """An ordered stop: what is open is recorded."""
        self._is_stopping = True
        await self._client._disconnect()
        self.shown.check_recorded()

    def reference(self, now_ns: int) -> Reference:
        """What the gate prices against. Its age is by receipt: a clock that is off would make
        the venue's own times useless."""
        shown = self.shown
        if not shown.bids or not shown.asks:
            return Reference("book", now_ns, valid=False)
        return Reference("book", shown.ts_init, max(shown.bids), min(shown.asks), None, valid=True)

    def unreadable(self) -> None:
        """Without a sequence the next frame can't tell what was in one that can't be read."""
        if not self._sequenced and self.shown.levels:
            self._broken("BOOK-UNREADABLE", "a frame could not be read, and the book is shown on")

    def closed(self, line: FrameLine) -> None:
        """No book outlives its connection, and a silent one is not kept for longer than its
        protocol says."""
        if self.shown.levels:
            self._broken("BOOK-UNCLEARED", "its connection is closed, and the book is shown on")
        stream = self._client._stream
        if stream is not None and stream.status.defects > self._defects:
            self._defects = stream.status.defects
            self._broken("BOOK-DEFECT", stream.status.last_error or "in the stream")
        if line.silent_since is None or stream is None:
            return
        secs = self._loop.time() - line.silent_since
        if secs > stream.protocol.idle_close_secs + SILENT_SLACK_SECS:
            self._broken("BOOK-SILENT", f"a connection silent for {secs:.1f} s was kept")

    def _handed_on(self, deltas: OrderBookDeltas) -> None:
        if not self._process.is_dead:
            self.shown.apply(deltas, is_stopping=self._is_stopping)
            if self._process.node is not None:
                self._process.node.market.keep()

    def _broken(self, code: str, detail: str) -> None:
        if not self._process.is_dead:
            self._process.world.broken(code, self._process.world.instrument, detail)


async def whole(feed: BookFeed, secs: float) -> bool:
    """Wait until the shown book is the true one of this moment."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + secs
    while loop.time() < deadline:
        await asyncio.sleep(LOOK_SECS)  # first: what is on its way at this moment may be older
        if feed.shown.is_now():
            return True
    return False
