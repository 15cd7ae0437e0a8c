"""The public stream on real recorded traffic, and on that traffic with holes."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nautilus_trader.model import BookType, InstrumentId, OrderBook, OrderBookDeltas, TradeTick

from fairlead.adapters.base.limits import MAX_LATE_IN_ROW
from fairlead.adapters.base.venue import (
    Feed,
    FeedKind,
    Gap,
    Resynced,
    Send,
    StreamFault,
    Subscribed,
)
from fairlead.adapters.poloniex import schemas as s
from fairlead.adapters.poloniex.instruments import venue_instruments
from fairlead.adapters.poloniex.websocket import PublicStream
from tests.venues.poloniex.support import BTC, DATA, INSTRUMENTS, SHARED, payload, recorded

FULL = SHARED / "cryptofeed_POLONIEX.ws.1.0"
SMALL = DATA / "recorded_small.txt"
SEC = 1_000_000_000
TRADES = {"small": 5, "full": 6}


def full_or_skip() -> Path:
    if not FULL.exists():
        pytest.skip(f"the whole recording is not beside the repository: {FULL}")
    return FULL


def stream_of(path: Path) -> PublicStream:
    """A stream with the feeds that the recording subscribed."""
    instruments = INSTRUMENTS
    if path == FULL:
        line = (SHARED / "cryptofeed_POLONIEX.0").read_text().splitlines()[0]
        markets = msgspec.json.decode(line.partition(": ")[2], type=list[s.Market])
        assert len(markets) == 524
        instruments = venue_instruments(markets, "POLONIEX", None)
        assert len(instruments) == 524
    stream = PublicStream(url="", venue="POLONIEX", instruments=instruments)
    symbols = json.loads(next(frame for _, frame in recorded(path)))["symbols"]
    for symbol in symbols:
        for kind in (FeedKind.BOOK, FeedKind.TRADES):
            stream.subscribe(Feed(kind, f"{symbol}.POLONIEX"))
    stream.opened(0)
    return stream


class Books:
    """What a strategy would see: NautilusTrader's own books."""

    def __init__(self) -> None:
        self.books: dict[str, OrderBook] = {}
        self.trades: list[TradeTick] = []
        self.others: list[Any] = []

    def take(self, items: list[Any]) -> None:
        for item in items:
            if isinstance(item, OrderBookDeltas):
                name = str(item.instrument_id)
                book = self.books.setdefault(
                    name, OrderBook(InstrumentId.from_str(name), BookType.L2_MBP)
                )
                book.apply_deltas(item)
                self.check(book)
            elif isinstance(item, TradeTick):
                self.trades.append(item)
            else:
                self.others.append(item)

    def check(self, book: OrderBook) -> None:
        bid, ask = book.best_bid_price(), book.best_ask_price()
        assert bid is None or ask is None or bid < ask, "crossed"
        assert len(book.bids()) <= 20
        assert len(book.asks()) <= 20

    def kinds(self, kind: type) -> list[Any]:
        return [o for o in self.others if isinstance(o, kind)]


def levels(book: OrderBook) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    return (
        [(str(level.price), str(level.first().size)) for level in book.bids()],
        [(str(level.price), str(level.first().size)) for level in book.asks()],
    )


def true_books(frames: list[tuple[int, str]]) -> dict[str, tuple[dict[Any, Any], dict[Any, Any]]]:
    """The books by the plainest reading of the document, in Decimals."""
    books: dict[str, tuple[dict[Any, Any], dict[Any, Any]]] = {}
    for _, frame in frames:
        message = json.loads(frame)
        if message.get("channel") != "book_lv2" or "data" not in message:
            continue
        for row in message["data"]:
            if message["action"] == "snapshot":
                books[row["symbol"]] = ({}, {})
            for side, name in zip(books[row["symbol"]], ("bids", "asks"), strict=True):
                for price, size in row[name]:
                    if Decimal(size):
                        side[Decimal(price)] = Decimal(size)
                    else:
                        side.pop(Decimal(price), None)
    return books


def assert_books_true(seen: Books, frames: list[tuple[int, str]]) -> None:
    for symbol, (bids, asks) in true_books(frames).items():
        book = seen.books[f"{symbol}.POLONIEX"]
        for told, true in zip(levels(book), (bids, asks), strict=True):
            assert {Decimal(price): Decimal(size) for price, size in told} == true, symbol


@pytest.mark.parametrize("which", ["small", "full"])
def test_recording_replays(which: str) -> None:
    path = SMALL if which == "small" else full_or_skip()
    stream, seen = stream_of(path), Books()
    frames = list(recorded(path))
    for ts, frame in frames:
        seen.take(stream.received(frame, ts))
    assert stream.counters.gaps == 0
    assert stream.counters.stale == 0
    if which == "full":
        assert stream.counters.unknown_symbols == 0
        assert len(frames) == 302
        assert len(seen.books) == 11
    assert len(seen.trades) == TRADES[which]
    assert not seen.kinds(Gap)
    assert len(seen.kinds(Subscribed)) == 22
    wanted = [f for f in frames if json.loads(f[1])["channel"] == "book_lv2"]
    assert_books_true(seen, wanted)


@pytest.mark.parametrize("which", ["small", "full"])
def test_trade_size_is_the_base_quantity(which: str) -> None:
    path = SMALL if which == "small" else full_or_skip()
    stream = stream_of(path)
    checked = 0
    for ts, frame in recorded(path):
        message = json.loads(frame)
        if message.get("channel") != "trades" or "data" not in message:
            continue
        ticks = stream.received(frame, ts)
        assert len(ticks) == len(message["data"])
        for tick, row in zip(ticks, message["data"], strict=True):
            price, size = Decimal(str(tick.price)), Decimal(str(tick.size))
            assert size == Decimal(row["quantity"])
            assert Decimal(row["amount"]) == price * size
            assert str(tick.trade_id) == row["id"]
            assert tick.ts_event == row["createTime"] * 1_000_000
            assert tick.aggressor_side.name == row["takerSide"].upper()
            checked += 1
    assert checked == TRADES[which]


def btc_frames() -> list[tuple[int, str]]:
    return [(ts, f) for ts, f in recorded() if '"BTC_USDT","createTime"' in f and "book_lv2" in f]


@pytest.mark.parametrize("dropped", range(1, 12))
def test_a_dropped_frame_is_detected_and_resynced(dropped: int) -> None:
    """The next frame of the chain gives a gap; the book is empty until a snapshot, then true."""
    frames = btc_frames()
    stream, seen = stream_of(SMALL), Books()
    for ts, frame in frames[:dropped]:
        seen.take(stream.received(frame, ts))
    ts, frame = frames[dropped + 1]
    seen.take(stream.received(frame, ts))
    (gap,) = seen.kinds(Gap)
    assert gap.instrument == BTC
    assert gap.reason == "an update is missing"
    assert [json.loads(f)["event"] for f in gap.resync] == ["unsubscribe", "subscribe"]
    assert levels(seen.books[BTC]) == ([], [])
    for ts, frame in frames[dropped + 2 : dropped + 4]:  # these overtake the snapshot
        assert stream.received(frame, ts) == []
    snapshot = snapshot_after(frames[: dropped + 3])
    seen.take(stream.received(snapshot, ts))
    for ts, frame in frames[dropped + 4 :]:
        seen.take(stream.received(frame, ts))
    assert seen.kinds(Resynced) == [Resynced(BTC)]
    assert stream.counters.gaps == 1
    assert_books_true(seen, frames)


def snapshot_after(frames: list[tuple[int, str]]) -> str:
    """The snapshot that the venue would send after these frames."""
    bids, asks = true_books(frames)["BTC_USDT"]
    last = json.loads(frames[-1][1])
    row = last["data"][0]
    row["bids"] = [[str(p), str(q)] for p, q in bids.items()]
    row["asks"] = [[str(p), str(q)] for p, q in asks.items()]
    return json.dumps({"channel": "book_lv2", "data": [row], "action": "snapshot"})


def live() -> tuple[PublicStream, Books, list[tuple[int, str]]]:
    """A book with its snapshot and ten updates."""
    frames = btc_frames()
    stream, seen = stream_of(SMALL), Books()
    for ts, frame in frames[:11]:
        seen.take(stream.received(frame, ts))
    return stream, seen, frames


def test_a_duplicate_update_changes_nothing() -> None:
    stream, seen, frames = live()
    before = levels(seen.books[BTC])
    assert stream.received(frames[10][1], 1) == []
    assert stream.received(frames[4][1], 1) == []
    assert stream.counters.stale == 2
    seen.take(stream.received(frames[11][1], 1))
    assert not seen.kinds(Gap)
    assert levels(seen.books[BTC]) != before


def test_a_snapshot_older_than_the_book_is_ignored() -> None:
    stream, seen, frames = live()
    assert stream.received(frames[0][1], 1) == []
    assert stream.counters.stale == 1
    for ts, frame in frames[11:]:
        seen.take(stream.received(frame, ts))
    assert stream.counters.gaps == 0
    assert_books_true(seen, frames)


def test_a_snapshot_older_than_waiting_updates_is_not_believed() -> None:
    """Updates 3 and 4 wait, a snapshot as of 1 comes: 2 is missing, so the book stays empty."""
    frames = btc_frames()
    stream, seen = stream_of(SMALL), Books()
    assert stream.received(frames[3][1], 1) == []
    assert stream.received(frames[4][1], 1) == []
    items = stream.received(snapshot_after(frames[:2]), 10 * SEC)
    assert [type(i) for i in items] == [Send, Send]  # asked for again
    assert stream.counters.stale == 1
    seen.take(stream.received(snapshot_after(frames[:4]), 11 * SEC))
    for ts, frame in frames[5:]:
        seen.take(stream.received(frame, ts))
    assert_books_true(seen, frames)


def test_updates_before_the_snapshot_chain_onto_it() -> None:
    frames = btc_frames()
    stream, seen = stream_of(SMALL), Books()
    for ts, frame in frames[1:6]:
        assert stream.received(frame, ts) == []
    for ts, frame in (frames[0], *frames[6:]):
        seen.take(stream.received(frame, ts))
    assert stream.counters.gaps == 0
    assert_books_true(seen, frames)


def test_newer_snapshot_in_sync_replaces_the_book() -> None:
    stream, seen, frames = live()
    seen.take(stream.received(snapshot_after(frames[:20]), 1))
    for ts, frame in frames[20:]:
        seen.take(stream.received(frame, ts))
    assert stream.counters.gaps == 0
    assert_books_true(seen, frames)


def update(frame: str, **changes: Any) -> str:
    message = json.loads(frame)
    message["data"][0] |= changes
    return json.dumps(message)


def test_ids_that_start_anew_are_a_gap_not_a_frozen_book() -> None:
    stream, seen, frames = live()
    ts = json.loads(frames[11][1])["data"][0]["ts"] + 5_000
    seen.take(stream.received(update(frames[11][1], id=3, lastId=2, ts=ts), 1))
    assert [g.reason for g in seen.kinds(Gap)] == ["ids went back"]
    assert levels(seen.books[BTC]) == ([], [])
    seen.take(stream.received(update(frames[0][1], id=5, lastId=4, ts=ts + 1), 2))
    assert seen.kinds(Resynced) == [Resynced(BTC)]
    assert len(seen.books[BTC].bids()) == 20


def test_updates_that_are_only_ever_late_are_a_gap_not_a_frozen_book() -> None:
    """An id and a time that were told wrong, or a venue that counts and clocks anew."""
    stream, seen, frames = live()
    row = json.loads(frames[10][1])["data"][0]
    far = {"lastId": row["id"], "id": row["id"] * 10, "ts": row["ts"] * 10}
    seen.take(stream.received(update(frames[10][1], **far), 1))
    for ts, frame in frames[11 : 11 + MAX_LATE_IN_ROW]:
        assert stream.received(frame, ts) == []
    seen.take(stream.received(frames[11 + MAX_LATE_IN_ROW][1], 2))
    assert [g.reason for g in seen.kinds(Gap)] == ["ids went back"]
    assert levels(seen.books[BTC]) == ([], [])
    seen.take(stream.received(snapshot_after(frames[: 12 + MAX_LATE_IN_ROW]), 3))
    assert seen.kinds(Resynced) == [Resynced(BTC)]


def test_snapshots_that_are_only_ever_late_are_believed() -> None:
    stream, seen, frames = live()
    row = json.loads(frames[10][1])["data"][0]
    far = {"lastId": row["id"], "id": row["id"] * 10, "ts": row["ts"] * 10}
    seen.take(stream.received(update(frames[10][1], **far), 1))
    late = snapshot_after(frames[:20])
    for _ in range(MAX_LATE_IN_ROW):
        assert stream.received(late, 2) == []
    seen.take(stream.received(late, 3))
    assert [g.reason for g in seen.kinds(Gap)] == ["ids went back"]
    assert seen.kinds(Resynced) == [Resynced(BTC)]


def test_whole_books_that_are_only_ever_late_are_believed() -> None:
    """The channel `book`: each frame is the whole top."""
    stream = PublicStream(url="", venue="POLONIEX", instruments=INSTRUMENTS)
    stream.subscribe(Feed(FeedKind.BOOK, BTC, depth=5))
    stream.opened(0)
    seen = Books()
    row = json.loads(btc_frames()[0][1])["data"][0]

    def whole(ts: int, ts_init: int) -> list[Any]:
        told = row | {"ts": ts}
        return list(stream.received(json.dumps({"channel": "book", "data": [told]}), ts_init))

    seen.take(whole(row["ts"] * 10, 1))
    for n in range(MAX_LATE_IN_ROW):
        assert whole(row["ts"] + n, 2) == []
    seen.take(whole(row["ts"] + 50, 3))
    assert [g.reason for g in seen.kinds(Gap)] == ["times went back"]
    assert seen.kinds(Resynced) == [Resynced(BTC)]


def test_update_of_an_unknown_level_adds_it_and_a_delete_of_one_is_nothing() -> None:
    stream, seen, frames = live()
    row = json.loads(frames[10][1])["data"][0]
    before = levels(seen.books[BTC])
    chain = {"lastId": row["id"], "id": row["id"] + 5, "ts": row["ts"] + 1, "bids": []}
    deleted = update(frames[10][1], **chain, asks=[["99999.99", "0"]])
    assert stream.received(deleted, 1) == []
    assert levels(seen.books[BTC]) == before
    bids = [["21000.05", "0.5"]]
    chain = {"lastId": row["id"] + 5, "id": row["id"] + 6, "ts": row["ts"] + 2}
    stream_items = stream.received(update(frames[10][1], **chain, asks=[], bids=bids), 2)
    assert len(stream_items) == 1
    assert ("21000.05", "0.500000") in {
        (str(d.order.price), str(d.order.size)) for d in stream_items[0].deltas
    }
    assert stream.counters.gaps == 0


@pytest.mark.parametrize(
    ("level", "reason"),
    [
        (["21650.00", "-1"], "expected a decimal"),
        (["NaN", "1"], "expected a decimal"),
        (["21650.001", "1"], "expected at most 2 decimals"),
        (["1e5", "1"], "expected a decimal"),
        (["1_000", "1"], "expected a decimal"),
        (["99999999.00", "1"], "best bid at or above best ask"),
    ],
)
def test_a_level_that_cant_be_is_a_gap(level: list[str], reason: str) -> None:
    stream, seen, frames = live()
    bad = update(frames[11][1], bids=[level], asks=[])
    seen.take(stream.received(bad, 1))
    (gap,) = seen.kinds(Gap)
    assert reason in gap.reason
    assert levels(seen.books[BTC]) == ([], [])
    seen.take(stream.received(snapshot_after(frames[:13]), 2))
    assert_books_true(seen, frames[:13])


def test_resubscriptions_are_limited() -> None:
    stream, _, frames = live()
    crossed = update(frames[0][1], id=10**9, bids=[["99999", "1"]])
    asked = 0
    for i in range(100):
        items = stream.received(crossed, 10 * SEC + i * SEC // 10)
        asked += sum(len(i.resync) > 0 for i in items if isinstance(i, Gap))
    assert asked == 5  # 10 s of frames, one resubscription in more than 2 s


def test_waiting_updates_are_bounded() -> None:
    stream, _, frames = live()
    stream.received(frames[13][1], 1)
    for _ in range(1_500):
        stream.received(frames[14][1], 1)
    assert stream.counters.waiting_dropped > 0


def test_a_closed_connection_clears_every_book_and_a_new_one_starts_anew() -> None:
    stream, seen, frames = live()
    seen.take(list(stream.closed(7)))
    assert levels(seen.books[BTC]) == ([], [])
    assert [g.instrument for g in seen.kinds(Gap)] == [BTC]
    sent = [json.loads(f) for f in stream.opened(8)]
    assert [f["channel"] for f in sent] == [["book_lv2"], ["trades"], ["symbols"], ["exchange"]]
    assert "BTC_USDT" in sent[0]["symbols"]
    for ts, frame in frames:
        seen.take(stream.received(frame, ts))
    assert_books_true(seen, frames)


def test_a_row_for_an_unknown_symbol_is_counted() -> None:
    stream, _, frames = live()
    assert stream.received(update(frames[11][1], symbol="NO_SUCH"), 1) == []
    assert stream.counters.unknown_symbols == 1


@pytest.mark.parametrize(
    ("frame", "code", "action"),
    [
        (payload("ws_error_bad_channel"), "POLONIEX-WS-CHANNEL", "fatal"),
        (payload("ws_error_maintenance"), "POLONIEX-MAINTENANCE", "reconnect"),
        (
            {"event": "error", "message": 'Invalid channel value ["exchange"]'},
            "POLONIEX-WS-CHANNEL",
            "none",
        ),
        ({"event": "error", "message": "Too many requests"}, "POLONIEX-WS-ERROR", "none"),
    ],
)
def test_error_events(frame: dict[str, Any], code: str, action: str) -> None:
    (fault,) = stream_of(SMALL).received(json.dumps(frame), 1)
    assert isinstance(fault, StreamFault)
    assert (fault.code, fault.action) == (code, action)


def test_ping_and_pong() -> None:
    stream = stream_of(SMALL)
    assert [json.loads(f) for f in stream.ping(0)] == [payload("ws_ping")]
    assert stream.received(json.dumps(payload("ws_pong")), 1) == []
    assert stream.idle_ping_secs < 30  # the venue closes a silent client after 30 s
