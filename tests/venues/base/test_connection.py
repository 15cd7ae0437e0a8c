"""The stream supervisor against a scripted venue on loopback."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
from nautilus_trader.model import OrderBookDeltas, TradeTick

from fairlead.adapters.base.connection import StreamSupervisor
from fairlead.adapters.base.limits import StreamLimits
from fairlead.adapters.base.transport import TransportError
from fairlead.adapters.base.venue import (
    Feed,
    FeedKind,
    Gap,
    Resynced,
    StreamFault,
    VenueError,
    VenueErrorKind,
)
from fairlead.engine.errors import FairleadError
from fairlead.engine.status import StreamState, StreamStatus
from tests.venues.base.scripted import (
    BTC,
    ETH,
    PATIENCE_SECS,
    ScriptedProtocol,
    ScriptedVenue,
    until,
)

BOOK = Feed(FeedKind.BOOK, BTC)
# However slow the machine, no session of a test lasts long enough to forget the defects before it.
ENDURING = StreamLimits(backoff_min_secs=0.01, backoff_max_secs=0.02, stable_secs=2 * PATIENCE_SECS)
QUICK = StreamLimits(backoff_min_secs=0.01, backoff_max_secs=0.02, stable_secs=0.2)


class Watched:
    """A supervisor and everything it told."""

    def __init__(self, protocol: Any, ws: Any, limits: StreamLimits = QUICK) -> None:
        self.items: list[Any] = []
        self.states: list[tuple[StreamState, str]] = []
        self.fatal: list[tuple[str, str]] = []
        self.status = StreamStatus(name="SCRIPTED/public")
        self.fail_on: Callable[[Any], bool] = lambda _item: False
        self.error: Exception = ValueError("a consumer's bug")
        self.stream = StreamSupervisor(
            status=self.status,
            protocol=protocol,
            transport=ws,
            on_item=self._item,
            on_fatal=lambda code, message: self.fatal.append((code, message)),
            on_state=lambda state, reason: self.states.append((state, reason)),
            now_ns=time.time_ns,
            rng=random.Random(1),
            limits=limits,
        )

    def _item(self, item: Any) -> None:
        self.items.append(item)
        if self.fail_on(item):
            raise self.error

    def of(self, kind: type) -> list[Any]:
        return [item for item in self.items if isinstance(item, kind)]

    def waits(self) -> list[str]:
        return [reason for state, reason in self.states if state is StreamState.WAITING]


@pytest.fixture
async def watch(protocol: ScriptedProtocol, ws: Any) -> AsyncIterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def make(limits: StreamLimits = QUICK, transport: Any = None) -> Watched:
        made.append(Watched(protocol, transport or ws, limits))
        made[-1].stream.start()
        return made[-1]

    yield make
    for watched in made:
        await watched.stream.stop()


async def test_feeds_are_subscribed_after_the_greeting_and_data_flows(
    watch: Callable[..., Watched], venue: ScriptedVenue
) -> None:
    watched = watch()
    watched.stream.add_feed(BOOK)  # before there is a connection
    await until(lambda: watched.of(Resynced))
    watched.stream.add_feed(Feed(FeedKind.TRADES, BTC))  # with one
    await until(lambda: len(venue.sent("sub")) == 2)
    await venue.send({"t": "trade", "i": BTC, "p": "100.00", "q": "1.000000", "id": 1})
    await until(lambda: watched.of(TradeTick))

    assert [frame["op"] for frame in venue.frames] == ["hello", "sub", "sub"]
    assert len(watched.of(OrderBookDeltas)) == 1
    assert watched.status.state is StreamState.CONNECTED
    assert watched.status.frames == 3  # greeting, snapshot, trade
    assert watched.status.bytes > 0
    assert watched.status.last_frame_ns >= watched.status.connected_since_ns > 0
    assert watched.status.close_secs == watched.stream.protocol.idle_close_secs


async def test_unsubscribe_is_sent_once(
    watch: Callable[..., Watched], venue: ScriptedVenue
) -> None:
    watched = watch()
    watched.stream.add_feed(BOOK)
    await until(lambda: watched.of(Resynced))
    watched.stream.remove_feed(BOOK)
    watched.stream.remove_feed(BOOK)
    watched.stream.add_feed(Feed(FeedKind.TRADES, ETH))
    await until(lambda: any(frame["i"] == ETH for frame in venue.sent("sub")))
    assert len(venue.sent("unsub")) == 1


async def test_a_dropped_connection_clears_books_and_comes_back_with_its_feeds(
    watch: Callable[..., Watched], venue: ScriptedVenue
) -> None:
    watched = watch()
    watched.stream.add_feed(BOOK)
    await until(lambda: watched.of(Resynced))
    watched.items.clear()
    await venue.drop()
    await until(lambda: watched.of(Resynced))

    kinds = [type(item) for item in watched.items]
    assert kinds == [OrderBookDeltas, Gap, OrderBookDeltas, Resynced]
    assert [delta.is_clear for delta in watched.items[0].deltas] == [True]
    assert watched.items[2].is_snapshot
    assert watched.status.reconnects == 1
    assert watched.status.gaps == 1
    assert len(venue.sent("sub")) == 2


async def test_resync_frames_of_a_gap_are_sent(
    watch: Callable[..., Watched], venue: ScriptedVenue
) -> None:
    watched = watch()
    watched.stream.add_feed(BOOK)
    await until(lambda: watched.of(Resynced))
    await venue.send(venue.delta("100.00", "3.000000", skip=2))
    await until(lambda: len(watched.of(Resynced)) == 2)
    assert len(venue.sent("resync")) == 1
    assert watched.status.reconnects == 0
    assert watched.status.gaps == 1


async def test_a_mute_connection_is_pinged_then_given_up(
    watch: Callable[..., Watched], venue: ScriptedVenue, protocol: ScriptedProtocol
) -> None:
    protocol.idle_ping_secs, protocol.idle_close_secs = 0.05, 0.2
    venue.answers_pings = False
    watched = watch()
    await until(lambda: watched.status.connects == 2)
    assert len(venue.sent("ping")) >= 2
    assert watched.waits()[0] == "no frame for 0.2 s"


async def test_a_quiet_connection_that_answers_pings_is_kept(
    watch: Callable[..., Watched], venue: ScriptedVenue, protocol: ScriptedProtocol
) -> None:
    protocol.idle_ping_secs, protocol.idle_close_secs = 0.05, 0.6
    watched = watch()
    await until(lambda: len(venue.sent("ping")) >= 14)  # 0.7 s, past the limit
    assert watched.status.connects == 1


async def test_pings_go_out_although_the_venue_never_stops_talking(
    watch: Callable[..., Watched], venue: ScriptedVenue, protocol: ScriptedProtocol
) -> None:
    protocol.idle_ping_secs, protocol.idle_close_secs = 0.1, 5.0
    watch()
    await until(lambda: venue.connections)

    async def chatter() -> None:
        while True:
            await venue.send({"t": "pong"})
            await asyncio.sleep(0.01)

    task = asyncio.create_task(chatter())
    await until(lambda: len(venue.sent("ping")) >= 2)
    task.cancel()


async def test_one_bad_frame_is_counted_and_the_connection_kept(
    watch: Callable[..., Watched], venue: ScriptedVenue, caplog: pytest.LogCaptureFixture
) -> None:
    watched = watch()
    watched.stream.add_feed(BOOK)
    await until(lambda: watched.of(Resynced))
    for _ in range(QUICK.parse_errors_in_row_max + 5):
        await venue.send("<html>" + "x" * 5000, venue.delta("100.00", "2.000000"))
    await until(lambda: len(watched.of(OrderBookDeltas)) == QUICK.parse_errors_in_row_max + 6)
    assert watched.status.parse_errors == QUICK.parse_errors_in_row_max + 5
    assert watched.status.connects == 1
    lines = [record.getMessage() for record in caplog.records if "<html>" in record.getMessage()]
    assert len(lines) == 1, "one a minute; the count comes with the next one"
    assert max(map(len, lines)) < 3 * QUICK.excerpt_chars_max


async def test_a_storm_of_bad_frames_renews_the_connection(
    watch: Callable[..., Watched], venue: ScriptedVenue
) -> None:
    watched = watch()
    await until(lambda: venue.connections)
    for _ in range(QUICK.parse_errors_in_row_max):
        await venue.send("not json")
    await until(lambda: watched.status.connects == 2)
    assert watched.waits() == ["10 frames in a row not understood"]
    assert watched.fatal == []


async def test_a_fault_can_ask_for_a_reconnect(
    watch: Callable[..., Watched], venue: ScriptedVenue
) -> None:
    watched = watch()
    await until(lambda: venue.connections)
    await venue.send({"t": "fault", "text": "slow down", "action": "none"})
    await venue.send({"t": "fault", "text": "server restarts", "action": "reconnect"})
    await until(lambda: watched.status.connects == 2)
    assert watched.waits() == ["SCRIPTED-9: server restarts"]
    assert watched.status.faults == 2
    assert len(watched.of(StreamFault)) == 2


async def test_a_fatal_fault_ends_the_stream_with_its_cause(
    watch: Callable[..., Watched], venue: ScriptedVenue
) -> None:
    watched = watch()
    await until(lambda: venue.connections)
    await venue.send({"t": "fault", "text": "key revoked", "action": "fatal"})
    await until(lambda: watched.fatal)
    assert watched.fatal == [("SCRIPTED-9", "SCRIPTED/public: key revoked")]
    assert watched.status.state is StreamState.FAILED
    assert watched.status.connects == 1
    assert not watched.stream.is_connected


@pytest.mark.parametrize("where", ["protocol", "consumer"])
async def test_a_defect_is_retried_then_fatal(
    watch: Callable[..., Watched], venue: ScriptedVenue, where: str
) -> None:
    watched = watch(ENDURING)
    watched.stream.add_feed(BOOK)
    if where == "consumer":
        watched.fail_on = lambda item: isinstance(item, Resynced)
    else:
        await _boom_at_each_book(watched, venue)
    await until(lambda: watched.fatal)
    [(code, message)] = watched.fatal
    assert code == "STREAM-DEFECT"
    assert "bug" in message
    assert watched.status.defects == QUICK.defects_in_row_max


async def _boom_at_each_book(watched: Watched, venue: ScriptedVenue) -> None:
    """Of whichever connection shows one: under load one may be lost for another reason."""
    seen = 0
    while not watched.fatal:
        await until(lambda: watched.fatal or len(watched.of(Resynced)) > seen)  # noqa: B023
        seen = len(watched.of(Resynced))
        if not watched.fatal:
            with suppress(ConnectionError):  # one that closes: the next shows a book again
                await venue.send({"t": "boom"})


async def test_what_a_person_has_to_do_is_told_whole(
    watch: Callable[..., Watched], venue: ScriptedVenue, caplog: pytest.LogCaptureFixture
) -> None:
    """As of a journal that was taken away, which the consumer of a fill finds."""
    watched = watch(ENDURING)
    text = "Don't start again before the journal is back. " + "What to do is told. " * 20 + "Over"
    watched.error = FairleadError("JRN-CHANGED", text)
    watched.fail_on = lambda item: isinstance(item, Resynced)
    watched.stream.add_feed(BOOK)
    await until(lambda: watched.fatal)
    told = [record.getMessage() for record in caplog.records]
    (line,) = [one for one in told if one.endswith("; connecting again until it is back")]
    assert f"JRN-CHANGED: {text}; connecting again" in line
    assert watched.fatal == [("STREAM-DEFECT", f"SCRIPTED/public: JRN-CHANGED: {text}")]


async def test_an_unreachable_venue_is_tried_again_with_growing_bounded_waits(
    watch: Callable[..., Watched], venue: ScriptedVenue, caplog: pytest.LogCaptureFixture
) -> None:
    venue.refuses = True
    watched = watch(StreamLimits(backoff_min_secs=0.02, backoff_max_secs=0.08))
    await until(lambda: watched.status.connect_failures >= 6)
    texts = [record.getMessage() for record in caplog.records]
    waits = [float(text.split(" in ")[-1].split()[0]) for text in texts if "again in" in text]
    assert all(
        low <= wait <= high
        for wait, low, high in zip(
            waits, (0.01, 0.02, 0.04, 0.04, 0.04), (0.02, 0.04, 0.08, 0.08, 0.08), strict=False
        )
    ), waits
    venue.refuses = False
    await until(lambda: watched.status.state is StreamState.CONNECTED)
    assert watched.fatal == []


async def test_a_connect_that_hangs_is_given_up(watch: Callable[..., Watched]) -> None:
    class Hanging:
        async def connect(self, url: str) -> Any:
            await asyncio.Event().wait()

    watched = watch(StreamLimits(connect_timeout_secs=0.02, backoff_max_secs=0.01), Hanging())
    await until(lambda: watched.status.connect_failures == 2)
    assert watched.waits()[0] == "could not connect within 0.02 s"


async def test_a_connection_that_takes_no_frames_is_renewed(
    watch: Callable[..., Watched], ws: Any
) -> None:
    class Stuck:
        def __init__(self, inner: Any) -> None:
            self.inner = inner
            self.receive, self.close, self.ping = inner.receive, inner.close, inner.ping

        async def send(self, frame: str) -> None:
            await asyncio.Event().wait()

    class StuckWs:
        async def connect(self, url: str) -> Any:
            return Stuck(await ws.connect(url))

    limits = StreamLimits(send_timeout_secs=0.05, outbound_frames_max=4, backoff_min_secs=0.01)
    watched = watch(limits, StuckWs())
    await until(lambda: watched.status.connects == 2)
    assert watched.waits() == ["send took longer than 0.05 s"]
    watched.stream.send(str(number) for number in range(10))
    await until(lambda: watched.status.connects == 3)
    assert watched.waits()[1] == "4 frames wait to be sent"


async def test_a_burst_leaves_turns_to_others(watch: Callable[..., Watched]) -> None:
    """A connection whose receive never suspends must not starve the loop."""
    turns: list[int] = []

    class Flood:
        frames = 0

        async def send(self, frame: str) -> None: ...
        async def ping(self) -> None: ...
        async def close(self) -> None: ...
        async def receive(self) -> str:
            self.frames += 1
            if self.frames > 320:
                raise TransportError("WS-CLOSED", "end", sent=True)
            return '{"t": "pong"}'

    flood = Flood()

    class FloodWs:
        async def connect(self, url: str) -> Any:
            return flood

    watched = watch(StreamLimits(backoff_min_secs=60), FloodWs())

    async def other() -> None:
        while True:
            turns.append(flood.frames)
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await until(lambda: watched.waits())
    task.cancel()
    steps = {later - earlier for earlier, later in itertools.pairwise(turns)}
    assert watched.status.frames == 320
    assert max(steps) == QUICK.burst_frames_max


async def test_stop_delivers_the_last_items(
    watch: Callable[..., Watched], venue: ScriptedVenue
) -> None:
    watched = watch()
    watched.stream.add_feed(BOOK)
    await until(lambda: watched.of(Resynced))
    async with asyncio.timeout(PATIENCE_SECS):
        await watched.stream.stop()
    assert isinstance(watched.items[-1], Gap)
    assert watched.status.state is StreamState.STOPPED
    await until(lambda: not venue.connections)


async def test_stop_while_waiting_to_reconnect(
    watch: Callable[..., Watched], venue: ScriptedVenue
) -> None:
    venue.refuses = True
    watched = watch(StreamLimits(backoff_min_secs=3600, backoff_max_secs=3600))
    await until(lambda: watched.waits())
    async with asyncio.timeout(PATIENCE_SECS):
        await watched.stream.stop()
    assert watched.status.state is StreamState.STOPPED


async def test_a_protocol_that_cannot_subscribe_does_not_raise_into_its_caller(
    watch: Callable[..., Watched], venue: ScriptedVenue, protocol: ScriptedProtocol
) -> None:
    watched = watch()
    await until(lambda: venue.sent("hello"))

    def refuse(feed: Feed) -> list[str]:
        raise KeyError(feed.instrument)

    protocol.subscribe = refuse  # type: ignore[method-assign]
    watched.stream.add_feed(BOOK)
    await until(lambda: watched.status.connects == 2)
    assert watched.status.defects == 1
    assert "defect in subscribe: KeyError" in watched.waits()[0]


async def test_a_feed_that_the_venue_lacks_is_a_fault_and_no_reconnect(
    watch: Callable[..., Watched], venue: ScriptedVenue, protocol: ScriptedProtocol
) -> None:
    watched = watch()
    await until(lambda: venue.sent("hello"))

    def refuse(feed: Feed) -> list[str]:
        raise VenueError(VenueErrorKind.REFUSED, "SCRIPTED-NO-BARS", "bars are not pushed")

    protocol.subscribe = refuse  # type: ignore[method-assign]
    bars = Feed(FeedKind.BARS, BTC, bar_minutes=1)
    watched.stream.add_feed(bars)
    assert watched.of(StreamFault) == [
        StreamFault("SCRIPTED-NO-BARS", "bars are not pushed", feed=bars)
    ]
    assert watched.stream.feeds == {}
    assert watched.status.faults == 1
    assert watched.stream.is_connected
