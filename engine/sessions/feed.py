"""The subscribed book of one life of the process: the real market data client and public stream,
over a faulty wire, before the judge of `books`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from nautilus_trader.config import DataClientConfig
from nautilus_trader.model import BookType, InstrumentId, OrderBookDeltas

from fairlead.adapters.base.data_client import VenueDataClient
from fairlead.adapters.base.runtime import VenueRuntime
from fairlead.adapters.base.venue import Gap
from fairlead.engine.risk.facts import Reference
from fairlead.engine.sessions.books import ShownBook, TrueBook
from fairlead.engine.sessions.frames import FaultyWs, FrameLine
from fairlead.engine.sessions.scene import Scene
from fairlead.engine.status import RunStatus

if TYPE_CHECKING:
    from fairlead.adapters.base.venue import Adapter

LOOK_SECS = 0.25
SILENT_SLACK_SECS = 5.0  # beyond the protocol's own limit of silence


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
        self,
        scene: Scene,
        adapter: Adapter,
        true: TrueBook,
        *,
        life: int,
        now_ns: Callable[[], int],
        is_dead: Callable[[], bool],
        on_shown: Callable[[], None],
    ) -> None:
        """`now_ns` is the process's clock; `on_shown` hears of each book that is handed on."""
        self._scene = scene
        self._is_dead = is_dead
        self._on_shown = on_shown
        self._loop = scene.loop
        self._sequenced = adapter.capabilities.sequenced_books
        self.shown = ShownBook(true, self._sequenced, self._broken, scene.trace)
        self._ws = FaultyWs(
            scene.venue,
            scene.frames,
            scene.trace,
            scene.loop.now_ns,
            scene.plan.latency_secs,
            self,
        )
        self._is_stopping = False
        self._defects = 0
        plan = scene.plan
        runtime = _Runtime(
            adapter=adapter,
            ws=self._ws,
            instruments=(scene.instrument,),
            trading=False,
            now_ns=now_ns,
            rng=Random(f"book/{plan.venue}/{plan.seed}/{life}"),  # noqa: S311 - simulation
            status=RunStatus(),
            on_fatal=lambda code, message: self._broken("BOOK-FATAL", f"{code}: {message}"),
            gaps=self.shown,
        )
        self._client = _Client(
            self._handed_on,
            self.shown.gap,
            runtime=runtime,
            name=scene.venue_name,
            config=DataClientConfig(),
            cache=cast(Any, None),
            clock=cast(Any, None),
        )

    async def start(self) -> None:
        instrument_id = InstrumentId.from_str(self._scene.instrument)
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
        if not self._is_dead():
            self.shown.apply(deltas, is_stopping=self._is_stopping)
            self._on_shown()

    def _broken(self, code: str, detail: str) -> None:
        if not self._is_dead():
            self._scene.broken(code, self._scene.instrument, detail)


async def whole(feed: BookFeed, secs: float) -> bool:
    """Wait until the shown book is the true one of this moment."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + secs
    while loop.time() < deadline:
        await asyncio.sleep(LOOK_SECS)  # first: what is on its way at this moment may be older
        if feed.shown.is_now():
            return True
    return False
