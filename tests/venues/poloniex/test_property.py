"""Any bytes give items or ParseError; nothing else escapes, and no book is ever crossed."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.adapters.base.venue import Feed, FeedKind, ParseError
from fairlead.adapters.poloniex.parse import Names
from fairlead.adapters.poloniex.private_websocket import PrivateStream, TradeRequests
from fairlead.adapters.poloniex.symbols import parse_wire_id
from fairlead.adapters.poloniex.tracking import Tracker
from fairlead.adapters.poloniex.websocket import PublicStream
from fairlead.engine.secrets import Secret
from tests.venues.poloniex.support import BTC, DATA, INSTRUMENTS, recorded

SAMPLES = [p.read_text() for p in sorted(DATA.glob("polo_ws_*.json"))]
SAMPLES += [frame for _, frame in list(recorded())[:40]]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["channel", "event", "data", "symbol", "asks", "id", "ts", "action"])
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


def public() -> PublicStream:
    stream = PublicStream(url="", venue="POLONIEX", instruments=INSTRUMENTS)
    for kind in FeedKind:
        stream.subscribe(Feed(kind, BTC, bar_minutes=1 if kind is FeedKind.BARS else 0))
    stream.opened(0)
    return stream


def private() -> PrivateStream:
    stream = PrivateStream(
        url="",
        key=Secret("k", "test"),
        secret=Secret("s", "test"),
        timestamp_ms=lambda: 1,
        names=Names(venue="POLONIEX", size_precisions={"BTC_USDT": 6}),
        tracker=Tracker(),
        requests=TradeRequests(1.0),
    )
    stream.opened(0)
    return stream


def feed(frame: bytes | str) -> None:
    for stream in (public(), private()):
        try:
            list(stream.received(frame, 1))
        except ParseError:
            continue


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes(frame: bytes | str) -> None:
    feed(frame)


@given(JSON)
def test_any_json(value: Any) -> None:
    feed(json.dumps(value))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(SAMPLES),
    st.integers(0, 2000),
    st.integers(0, 30),
    st.binary(max_size=6) | st.sampled_from([b'"NaN"', b'"-1"', b"null", b'"1e400"', b"[]"]),
)
def test_damaged_samples(sample: str, start: int, cut: int, put: bytes) -> None:
    raw = sample.encode()
    start %= len(raw)
    feed(raw[:start] + put + raw[start + cut :])


@given(
    st.sampled_from(["book_lv2", "trades", "ticker", "candles_minute_1", "orders", "balances"]),
    JSON,
)
def test_any_data_in_a_known_channel(channel: str, data: Any) -> None:
    feed(json.dumps({"channel": channel, "data": data, "action": "update"}))
    feed(
        json.dumps(
            {"channel": channel, "data": [data], "action": "snapshot"}, separators=(",", ":")
        )
    )


@given(st.text(max_size=80))
def test_client_ids_are_total(text: str) -> None:
    assert parse_wire_id(text).client_order_id in text


@given(st.lists(st.integers(0, 60), max_size=80), st.randoms(use_true_random=False))
def test_lost_repeated_and_swapped_frames_never_leave_a_wrong_book(
    skipped: list[int], rng: Any
) -> None:
    """Whatever happens to the order of frames, a book that is shown is one the venue had."""
    all_frames = [f for _, f in recorded() if '"BTC_USDT","createTime"' in f and "book_lv2" in f]
    true: dict[int, tuple[dict[str, str], dict[str, str]]] = {}
    reference = public()
    for frame in all_frames:
        reference.received(frame, 1)
        book = reference._books["BTC_USDT"].book
        true[book.last_id] = book.levels()
    frames = [f for i, f in enumerate(all_frames) if i not in skipped or rng.random() < 0.3]
    for _ in range(3):
        i, j = rng.randrange(len(frames)), rng.randrange(len(frames))
        frames[i], frames[j] = frames[j], frames[i]
    stream = public()
    for frame in frames:
        stream.received(frame, 1)
        book = stream._books["BTC_USDT"].book
        if book.is_valid:
            assert book.levels() == true[book.last_id]
