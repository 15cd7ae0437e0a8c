"""The market data client inside a real node, against a scripted venue on loopback."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import itertools
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from nautilus_trader.model import (
    BarType,
    BookType,
    InstrumentId,
    MarketStatusAction,
)

from fairlead.adapters.base.limits import BookLimits, RequestLimits
from fairlead.adapters.base.runtime import Failure
from fairlead.adapters.base.streamed_book import StreamedBook
from fairlead.adapters.base.transport import TransportError
from fairlead.adapters.base.venue import Feed, FeedKind
from fairlead.engine.recording.gaps import GapKind, GapRow
from fairlead.engine.status import BookState, BookStatus
from tests.support.patience import PATIENCE_SECS
from tests.venues.base.data_run import IID, L2, Run, bids, managed_book
from tests.venues.base.scripted import (
    BTC,
    ETH,
    ScriptedProtocol,
    ScriptedVenue,
    until,
)
from tests.venues.base.seen import Seen


@pytest.fixture
async def make_run(protocol: ScriptedProtocol, ws: Any) -> AsyncIterator[Callable[..., Run]]:
    made: list[Run] = []

    def make(**runtime: Any) -> Run:
        made.append(Run(protocol, ws, **runtime))
        return made[-1]

    yield make
    for run in made:
        await run.stop()
        run.strategies.clear()
    made.clear()
    gc.collect()  # one node at a time may exist in a thread


async def test_book_trades_and_instruments_reach_a_strategy(
    make_run: Callable[..., Run], venue: ScriptedVenue
) -> None:
    run = make_run()

    def start(strategy: Seen) -> None:
        managed_book(strategy)
        strategy.subscribe_trades(IID)

    seen = run.start(start)
    await until(lambda: run.book and run.book.state is BookState.VALID)
    await until(lambda: venue.sent("sub")[1:])
    await venue.send(venue.delta("100.00", "7.000000"))
    await venue.send({"t": "trade", "i": BTC, "p": "100.00", "q": "1.000000", "id": 1})
    await until(lambda: seen.of("trade"))
    assert [batch.is_snapshot for batch in seen.of("book_deltas")] == [True, False]
    assert bids(seen) == ["100.00 7.0", "99.00 2.0"]
    assert {str(instrument.id) for instrument in seen.cache.instruments()} == {BTC, ETH}
    assert run.book.updates == 2
    assert run.adapter.connects == 1
    await run.stop()
    assert run.adapter.closes == 1
    assert not venue.connections
    assert run.gaps == []  # an ordered stop is no gap


async def test_unsubscribe_ends_the_feed_when_nobody_wants_it(
    make_run: Callable[..., Run], venue: ScriptedVenue
) -> None:
    run = make_run()

    def start(strategy: Seen) -> None:
        strategy.subscribe_book_deltas(IID, L2, managed=False)
        strategy.subscribe_quotes(IID)
        strategy.subscribe_trades(IID)

    seen = run.start(start)
    await until(lambda: seen.of("quote") and len(venue.sent("sub")) == 2)
    seen.unsubscribe_trades(IID)
    await until(lambda: len(venue.sent("unsub")) == 1)
    seen.unsubscribe_book_deltas(IID)
    await venue.send(venue.delta("100.00", "2.000000"))
    await until(lambda: len(seen.of("quote")) == 2)  # quotes still need the book
    assert len(venue.sent("unsub")) == 1
    seen.unsubscribe_quotes(IID)
    await until(lambda: len(venue.sent("unsub")) == 2)
    assert [frame["kind"] for frame in venue.sent("unsub")] == ["trades", "book"]
    assert run.status.books == {}


async def test_quotes_are_the_changes_of_the_top_of_the_book(
    make_run: Callable[..., Run], venue: ScriptedVenue
) -> None:
    run = make_run()
    seen = run.start(lambda strategy: strategy.subscribe_quotes(IID))
    await until(lambda: seen.of("quote"))
    await venue.send(venue.delta("99.00", "5.000000"))  # not the top
    await venue.send(venue.delta("100.00", "5.000000"))
    await until(lambda: len(seen.of("quote")) == 2)
    first, second = seen.of("quote")
    assert (str(first.bid_price), str(first.ask_price)) == ("100.00", "100.01")
    assert (str(first.bid_size), str(second.bid_size)) == ("1.000000", "5.000000")
    assert seen.of("book_deltas") == []


async def test_quotes_of_a_managed_book_come_once(
    make_run: Callable[..., Run], venue: ScriptedVenue
) -> None:
    run = make_run()

    def start(strategy: Seen) -> None:
        strategy.subscribe_quotes(IID)
        managed_book(strategy)

    seen = run.start(start)
    await until(lambda: seen.of("quote"))
    for number in range(2, 5):
        await venue.send(venue.delta("100.00", f"{number}.000000"))
    await until(lambda: len(seen.of("book_deltas")) == 4)
    sizes = [str(quote.bid_size) for quote in seen.of("quote")]
    assert sizes == ["1.000000", "2.000000", "3.000000", "4.000000"]


async def test_deltas_subscribed_while_the_book_streams_begin_with_all_of_it(
    make_run: Callable[..., Run], venue: ScriptedVenue
) -> None:
    run = make_run()
    seen = run.start(lambda strategy: strategy.subscribe_quotes(IID))
    await until(lambda: seen.of("quote"))
    await venue.send(venue.delta("100.00", "5.000000"))
    await until(lambda: len(seen.of("quote")) == 2)
    managed_book(seen)
    await until(lambda: seen.of("book_deltas"))
    assert seen.of("book_deltas")[0].is_snapshot
    assert bids(seen) == ["100.00 5.0", "99.00 2.0"]
    assert len(venue.sent("sub")) == 1


async def test_depth_follows_the_book(make_run: Callable[..., Run], venue: ScriptedVenue) -> None:
    run = make_run()
    seen = run.start(lambda strategy: strategy.subscribe_book_depth(IID, L2, depth=1))
    await until(lambda: seen.of("book_depth"))
    await venue.send(venue.delta("100.00", "5.000000"))
    await until(lambda: len(seen.of("book_depth")) == 2)
    tops = [(str(depth.bids[0].price), str(depth.bids[0].size)) for depth in seen.of("book_depth")]
    assert tops == [("100.00", "1.000000"), ("100.00", "5.000000")]
    assert [len(depth.asks) for depth in seen.of("book_depth")] == [1, 1]


async def test_a_deeper_subscription_renews_the_feed(
    make_run: Callable[..., Run], venue: ScriptedVenue
) -> None:
    run = make_run(book_depths=(5, 20))
    seen = run.start(lambda strategy: strategy.subscribe_book_depth(IID, L2, depth=5))
    await until(lambda: seen.of("book_depth"))
    seen.subscribe_book_deltas(IID, L2, depth=10, managed=True)
    await until(lambda: seen.of("book_deltas"))
    depths = [(frame["op"], frame["depth"]) for frame in venue.frames if "depth" in frame]
    assert depths == [("sub", 5), ("unsub", 5), ("sub", 20)]
    assert bids(seen) == ["100.00 1.0", "99.00 2.0"]


async def test_a_lost_connection_clears_the_book_then_makes_it_whole(
    make_run: Callable[..., Run], venue: ScriptedVenue
) -> None:
    run = make_run()
    seen = run.start(managed_book)
    await until(lambda: seen.of("book_deltas"))
    venue.snapshots = False
    await venue.drop()
    await until(lambda: len(seen.of("book_deltas")) == 2 and len(venue.sent("sub")) == 2)
    assert [delta.is_clear for delta in seen.of("book_deltas")[1].deltas] == [True]
    assert bids(seen) == []
    assert run.book.state is BookState.RESYNC
    assert not run.status.book_is_valid(BTC)
    await venue.send(venue.snapshot(bid="101.00"))
    await until(lambda: run.book.state is BookState.VALID)
    await until(lambda: len(seen.of("book_deltas")) == 3)
    assert bids(seen) == ["101.00 1.0", "100.00 2.0"]
    assert (run.book.gaps, run.book.resyncs) == (1, 1)
    assert run.status.reconnects == 1
    assert sorted(row.kind for row in run.gaps) == [GapKind.GAP, GapKind.RECONNECT]
    assert all(row.from_ns < row.to_ns for row in run.gaps)


async def test_changes_that_follow_the_snapshot_of_an_empty_book_are_kept(
    make_run: Callable[..., Run], venue: ScriptedVenue, protocol: ScriptedProtocol
) -> None:
    venue.snapshots = False
    snap = protocol._snap
    # A first snapshot needs no Resynced.
    protocol._snap = lambda *args: list(snap(*args))[:1]  # type: ignore[method-assign]
    run = make_run()
    seen = run.start(managed_book)
    await until(lambda: venue.sent("sub"))
    empty = venue.snapshot() | {"bids": [], "asks": []}
    await venue.send(empty)
    await until(lambda: seen.of("book_deltas"))
    assert run.book.state is BookState.RESYNC  # there is nothing to price against
    await venue.send(venue.delta("100.00", "7.000000"))
    await until(lambda: len(seen.of("book_deltas")) == 2)
    assert bids(seen) == ["100.00 7.0"]
    assert run.book.state is BookState.VALID
    assert "deltas_before_snapshot" not in run.status.counters


async def test_a_sequence_gap_is_resynced_and_recorded(
    make_run: Callable[..., Run], venue: ScriptedVenue
) -> None:
    run = make_run()
    seen = run.start(managed_book)
    await until(lambda: seen.of("book_deltas"))
    await venue.send(venue.delta("100.00", "9.000000", skip=3))
    await until(lambda: len(seen.of("book_deltas")) == 3)
    kinds = ["clear" if len(batch.deltas) == 1 else "snapshot" for batch in seen.of("book_deltas")]
    assert kinds == ["snapshot", "clear", "snapshot"]
    assert [(row.kind, row.instrument) for row in run.gaps] == [(GapKind.GAP, BTC)]
    assert run.gaps[0].reason == "sequence 5 after 1"
    assert run.book.last_gap == "sequence 5 after 1"


async def test_a_gap_without_a_clear_is_cleared_all_the_same(
    make_run: Callable[..., Run], venue: ScriptedVenue, protocol: ScriptedProtocol
) -> None:
    whole = protocol._lost

    def careless(*args: Any) -> Any:
        return (item for item in list(whole(*args))[1:])

    protocol._lost = careless  # type: ignore[method-assign]
    venue.snapshots = True
    run = make_run()
    seen = run.start(managed_book)
    await until(lambda: seen.of("book_deltas"))
    await venue.send(venue.delta("100.00", "9.000000", skip=3))
    await until(lambda: len(seen.of("book_deltas")) == 3)
    assert [delta.is_clear for delta in seen.of("book_deltas")[1].deltas] == [True]


async def test_changes_of_a_book_that_is_not_known_are_kept_from_strategies(
    make_run: Callable[..., Run], venue: ScriptedVenue, protocol: ScriptedProtocol
) -> None:
    venue.snapshots = False
    run = make_run()
    seen = run.start(managed_book)
    await until(lambda: venue.sent("sub"))
    protocol.seqs[BTC] = 0  # a protocol that forgot to wait for the snapshot
    await venue.send(venue.delta("100.00", "9.000000"))
    await until(lambda: run.status.counters.get("deltas_before_snapshot"))
    await venue.send(venue.snapshot())
    await until(lambda: seen.of("book_deltas"))
    assert seen.of("book_deltas")[0].is_snapshot
    assert run.book.state is BookState.VALID


async def test_a_book_that_never_comes_renews_the_connection_a_few_times(
    make_run: Callable[..., Run], venue: ScriptedVenue
) -> None:
    venue.snapshots = False
    limits = BookLimits(check_secs=0.02, snapshot_secs=0.05, snapshot_reconnects_max=2)
    run = make_run(book_limits=limits)
    run.start(managed_book)
    await until(lambda: any(problem.code == "BOOK-MISSING" for problem in run.status.problems))
    assert run.status.reconnects == 2
    assert run.book.state is BookState.RESYNC
    assert run.fatal == []


async def test_a_book_that_never_comes_is_told_and_a_gap_from_the_start(
    make_run: Callable[..., Run], venue: ScriptedVenue, caplog: pytest.LogCaptureFixture
) -> None:
    """Well before the connection is renewed for it: a short run said nothing."""
    venue.snapshots = False
    run = make_run(book_limits=BookLimits(check_secs=0.02, warn_secs=0.05))
    before = time.time_ns()
    run.start(managed_book)
    await until(lambda: "no whole book has come" in caplog.text)
    began = time.time_ns()
    await run.stop()
    assert caplog.text.count("no whole book has come") == 1
    (row,) = [row for row in run.gaps if row.instrument == BTC]
    assert (row.kind, row.reason) == (GapKind.GAP, "the book never came")
    assert before < row.from_ns < began < row.to_ns


async def test_a_book_that_comes_late_leaves_a_gap_from_its_subscription(
    make_run: Callable[..., Run], venue: ScriptedVenue
) -> None:
    venue.snapshots = False
    limits = BookLimits(check_secs=0.02, snapshot_secs=0.05, snapshot_reconnects_max=1)
    run = make_run(book_limits=limits)
    run.start(managed_book)
    await until(lambda: any(problem.code == "BOOK-MISSING" for problem in run.status.problems))
    await venue.send(venue.snapshot())
    await until(lambda: run.book.state is BookState.VALID)
    (row,) = [row for row in run.gaps if row.kind is GapKind.GAP]
    assert row.reason == "the book did not come"
    await run.stop()
    assert [row for row in run.gaps if row.kind is GapKind.GAP] == [row]


async def test_a_silent_book_is_stale_then_renewed(
    make_run: Callable[..., Run], venue: ScriptedVenue
) -> None:
    run = make_run(book_limits=BookLimits(check_secs=0.02, stale_secs=0.1, silence_secs=0.5))
    run.start(managed_book)
    await until(lambda: run.book and run.book.state is BookState.STALE)
    assert run.status.reconnects == 0
    await venue.send(venue.delta("100.00", "2.000000"))
    await until(lambda: run.book.state is BookState.VALID)
    await until(lambda: run.status.reconnects == 1)
    assert run.gaps[-1].kind in {GapKind.GAP, GapKind.RECONNECT}


def _other_book(strategy: Seen) -> None:
    strategy.subscribe_book_deltas(InstrumentId.from_str(ETH), L2)


async def test_one_silent_book_of_several_renews_the_connection(
    make_run: Callable[..., Run], venue: ScriptedVenue
) -> None:
    """Else a book that is stuck stands still for as long as another one moves."""
    run = make_run(book_limits=BookLimits(check_secs=0.02, silence_secs=0.3))
    run.start(managed_book, _other_book)
    await until(lambda: len(run.status.books) == 2)
    sizes = itertools.count(1)

    async def trade_on() -> None:
        while not run.status.reconnects:
            await venue.send(venue.delta("100.00", f"{next(sizes)}.000000"))
            await asyncio.sleep(0.02)

    async with asyncio.timeout(PATIENCE_SECS):
        await trade_on()
    assert run.fatal == []


def test_a_book_that_is_quiet_is_asked_for_ever_more_seldom() -> None:
    limits = BookLimits(silence_secs=10.0, silence_doublings_max=2)
    book = StreamedBook(IID, Feed(FeedKind.BOOK, BTC), BookStatus(instrument=BTC))
    waits, now = [], 0.0
    for _ in range(5):
        began = book.last_update = now
        book.status.updates += 2  # the CLEAR and the snapshot of the renewed connection
        while not book.is_silent(now, limits):
            now += 1
        waits.append(now - began)
    assert waits == [10, 20, 40, 40, 40]
    book.status.updates += 3
    book.last_update = now
    assert not book.is_silent(now + 9, limits)
    assert book.is_silent(now + 10, limits)


async def test_a_mute_connection_is_replaced(
    make_run: Callable[..., Run], venue: ScriptedVenue, protocol: ScriptedProtocol
) -> None:
    protocol.idle_ping_secs, protocol.idle_close_secs = 0.05, 0.3
    venue.answers_pings = False
    run = make_run()
    seen = run.start(managed_book)
    await until(lambda: len(seen.of("book_deltas")) >= 3)  # snapshot, CLEAR, snapshot
    assert run.gaps[0].reason in {"connection lost", "no frame for 0.3 s"}


async def test_a_parse_error_storm_is_survived(
    make_run: Callable[..., Run], venue: ScriptedVenue
) -> None:
    run = make_run()
    seen = run.start(managed_book)
    await until(lambda: seen.of("book_deltas"))
    for _ in range(25):
        await venue.send("\x00garbage")
    await until(lambda: run.status.reconnects >= 1 and run.book.state is BookState.VALID)
    assert run.status.parse_errors >= 10
    await venue.send(venue.delta("100.00", "4.000000"))
    await until(lambda: bids(seen)[:1] == ["100.00 4.0"])
    assert run.fatal == []


async def test_a_fatal_fault_stops_the_run_with_its_cause(
    make_run: Callable[..., Run], venue: ScriptedVenue
) -> None:
    run = make_run()
    seen = run.start(managed_book)
    await until(lambda: seen.of("book_deltas"))
    await venue.send({"t": "fault", "text": "market data key revoked", "action": "fatal"})
    assert run.task is not None
    await asyncio.wait_for(asyncio.shield(run.task), 3)
    assert run.fatal == [("SCRIPTED-9", "SCRIPTED/public: market data key revoked")]
    assert run.status.problems[-1].code == "SCRIPTED-9"


async def test_a_failed_connect_keeps_its_cause(make_run: Callable[..., Run]) -> None:
    run = make_run()
    run.adapter.connect_error = TransportError("HTTP-CONNECT", "no route to host", sent=False)
    run.start(managed_book, connect_secs=1)
    await until(lambda: run.error)
    run.task = None
    assert run.runtime.failure == Failure("HTTP-CONNECT", "no route to host")


async def test_an_unknown_instrument_is_named_with_the_nearest(
    make_run: Callable[..., Run],
) -> None:
    run = make_run(instruments=("BTC_USD.SCRIPTED",))
    with pytest.raises(LookupError):
        await run.runtime.ensure_connected()
    assert run.runtime.failure is not None
    assert run.runtime.failure.code == "INSTRUMENT-UNKNOWN"
    assert run.runtime.failure.message.endswith(f"did you mean {BTC}?")
    assert run.adapter.closes == 1, "what connecting left at the venue is taken back"


async def test_both_clients_share_one_connection(make_run: Callable[..., Run]) -> None:
    run = make_run()
    await asyncio.gather(run.runtime.ensure_connected(), run.runtime.ensure_connected())
    assert run.adapter.connects == 1
    await run.runtime.release()
    assert run.adapter.closes == 0
    await run.runtime.release()
    assert run.adapter.closes == 1


@pytest.mark.parametrize("fails", [False, True])
async def test_requests_are_always_answered(make_run: Callable[..., Run], fails: bool) -> None:
    run = make_run()
    run.adapter.market_data.fails = fails
    bar_type = BarType.from_str(f"{BTC}-1-MINUTE-LAST-EXTERNAL")

    def start(strategy: Seen) -> None:
        hour_ago = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
        strategy.request_bars(bar_type, start=hour_ago)
        strategy.request_trades(IID)
        strategy.request_book_snapshot(IID)
        strategy.request_quotes(IID)
        strategy.request_instrument(IID)

    seen = run.start(start)
    await until(lambda: seen.of("historical_quotes") and seen.of("book"))
    await until(lambda: seen.of("historical_bars") and seen.of("historical_trades"))
    await until(lambda: seen.of("instrument"))
    rows = 0 if fails else 1
    assert [len(bars) for bars in seen.of("historical_bars")] == [rows]
    assert [len(trades) for trades in seen.of("historical_trades")] == [rows]
    assert [len(quotes) for quotes in seen.of("historical_quotes")] == [0]
    assert [len(book.bids()) for book in seen.of("book")] == [rows]
    failed = [it for it in run.status.problems if it.code == "REQUEST-FAILED"]
    assert len(failed) == (3 if fails else 0)
    assert all("SCRIPTED-500" in problem.message for problem in failed)


async def test_a_request_that_hangs_is_answered(make_run: Callable[..., Run]) -> None:
    run = make_run(request_limits=RequestLimits(timeout_secs=0.05))

    async def hang(*args: Any) -> Any:
        await asyncio.Event().wait()

    run.adapter.market_data.history_trades = hang  # type: ignore[method-assign]
    seen = run.start(lambda strategy: strategy.request_trades(IID))
    await until(lambda: seen.of("historical_trades"))
    assert seen.of("historical_trades") == [[]]


async def test_a_snapshot_request_never_disagrees_with_the_stream(
    make_run: Callable[..., Run],
) -> None:
    run = make_run()
    seen = run.start(managed_book)
    await until(lambda: seen.of("book_deltas"))
    seen.request_book_snapshot(IID)
    await until(lambda: seen.of("book"))
    assert run.adapter.market_data.snapshot_requests == 0
    assert [str(level.price) for level in seen.of("book")[0].bids()] == ["100.00", "99.00"]
    assert bids(seen) == ["100.00 1.0", "99.00 2.0"]


async def test_bars_of_an_interval_that_the_venue_streams(
    make_run: Callable[..., Run], venue: ScriptedVenue
) -> None:
    run = make_run()
    hour = BarType.from_str(f"{BTC}-1-HOUR-LAST-EXTERNAL")
    seen = run.start(lambda strategy: strategy.subscribe_bars(hour))
    await until(lambda: venue.sent("sub"))
    await venue.send({"t": "bar", "i": BTC, "ohlc": ["1.00", "3.00", "1.00", "2.00"]})
    await until(lambda: seen.of("bar"))
    assert seen.of("bar")[0].bar_type == hour
    assert venue.sent("sub")[0]["kind"] == "bars"
    seen.unsubscribe_bars(hour)
    await until(lambda: venue.sent("unsub"))


async def test_what_the_venue_lacks_is_a_problem_and_not_a_crash(
    make_run: Callable[..., Run], venue: ScriptedVenue
) -> None:
    run = make_run()

    def start(strategy: Seen) -> None:
        strategy.subscribe_bars(BarType.from_str(f"{BTC}-5-MINUTE-LAST-EXTERNAL"))
        strategy.subscribe_mark_prices(IID)
        strategy.subscribe_trades(InstrumentId.from_str("DOGE_USDT.SCRIPTED"))
        strategy.subscribe_book_deltas(InstrumentId.from_str(ETH), BookType.L3_MBO)
        managed_book(strategy)

    seen = run.start(start)
    await until(lambda: seen.of("book_deltas"))
    texts = [it.message for it in run.status.problems if it.code == "DATA-UNSUPPORTED"]
    assert len(texts) == 4
    assert "[1, 60] minutes" in texts[0]
    assert len(venue.sent("sub")) == 1


async def test_instrument_status_is_published_when_it_changes(
    make_run: Callable[..., Run],
) -> None:
    run = make_run(request_limits=RequestLimits(status_poll_secs=0.02))
    seen = run.start(lambda strategy: strategy.subscribe_instrument_status(IID))
    await until(lambda: seen.of("instrument_status"))
    polls = 0

    async def refresh() -> None:
        nonlocal polls
        polls += 1
        if polls == 3:
            halted = msgspec.structs.replace(run.adapter.instruments[BTC], tradable=False)
            run.adapter.instruments[BTC] = halted

    run.adapter.refresh_instruments = refresh  # type: ignore[method-assign]
    await until(lambda: polls >= 5)
    actions = [status.action for status in seen.of("instrument_status")]
    assert actions == [MarketStatusAction.TRADING, MarketStatusAction.HALT]


async def test_two_strategies_share_one_feed(
    make_run: Callable[..., Run], venue: ScriptedVenue
) -> None:
    run = make_run()
    run.start(managed_book, managed_book)
    await until(lambda: all(seen.of("book_deltas") for seen in run.strategies))
    assert len(venue.sent("sub")) == 1


async def test_a_gap_sink_that_fails_does_not_stop_the_feed(
    make_run: Callable[..., Run], venue: ScriptedVenue
) -> None:
    class Full:
        def append(self, row: GapRow) -> None:
            raise OSError(28, "No space left on device")

    run = make_run()
    run.runtime._gaps = Full()
    seen = run.start(managed_book)
    await until(lambda: seen.of("book_deltas"))
    await venue.send(venue.delta("100.00", "9.000000", skip=3))
    await until(lambda: len(seen.of("book_deltas")) == 3)
    assert run.status.counters["gap_rows_lost"] == 1
    assert run.status.snapshot(1)["totals"]["gaps"] == 1
