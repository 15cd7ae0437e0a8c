"""Dialogues of the push feed: greeting, subscriptions, keep-alive, books, trades, faults."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from nautilus_trader.model import AggressorSide, BookAction, OrderBookDeltas, TradeTick

from fairlead.adapters.base.venue import (
    Feed,
    FeedKind,
    Gap,
    ParseError,
    Resynced,
    Send,
    StreamFault,
    Subscribed,
    VenueError,
    VenueInstrument,
)
from fairlead.adapters.oceanex.config import OceanexOptions
from fairlead.adapters.oceanex.websocket import HISTORY_GRACE_NS, OceanexStream, fault_action

OCEVET = "OCE_VET.OCEANEX"
BTCUSDT = "BTC_USDT.OCEANEX"
BOOK = Feed(FeedKind.BOOK, OCEVET)
TRADES = Feed(FeedKind.TRADES, OCEVET)
TICKER = Feed(FeedKind.TICKER, OCEVET)
BOOK_CHANNEL = "market-ocevet-8-global"
TRADES_CHANNEL = "market-ocevet-trade-global"
NOW = 1_540_523_616_000_000_000


def subscribe(channel: str) -> dict[str, Any]:
    return {"event": "pusher:subscribe", "data": {"channel": channel}}


def event(name: str, channel: str, data: object, *, double: bool = True) -> str:
    body = json.dumps(data) if double else data
    return json.dumps({"event": name, "channel": channel, "data": body})


def items(stream: OceanexStream, frame: bytes | str, ts: int = NOW) -> list[Any]:
    return list(stream.received(frame, ts))


def sent(found: Iterable[Any]) -> list[dict[str, Any]]:
    return [json.loads(item.frame) for item in found if isinstance(item, Send)]


@pytest.fixture
def stream(instruments: Mapping[str, VenueInstrument]) -> OceanexStream:
    return OceanexStream(OceanexOptions(), instruments)


@pytest.fixture
def live(stream: OceanexStream, payload: Any) -> OceanexStream:
    """Greeted, with book, trades and ticker of OCE/VET."""
    stream.opened(NOW)
    for feed in (BOOK, TRADES, TICKER):
        assert stream.subscribe(feed) == ()
    items(stream, payload("extra_public/pusher_connection_established.json"))
    return stream


def book(asks: list[tuple[str, str]], bids: list[tuple[str, str]], **how: bool) -> str:
    return event("update", BOOK_CHANNEL, {"asks": asks, "bids": bids}, **how)


SOUND = book([("11.0", "1.0"), ("12.0", "2.0")], [("10.0", "1.0"), ("9.0", "2.0")])


def test_url_names_the_key_and_the_protocol(stream: OceanexStream) -> None:
    options = OceanexOptions()
    assert stream.url.startswith(f"{options.ws_url}/app/{options.app_key}?protocol=7&")


def test_subscriptions_wait_for_the_greeting(stream: OceanexStream, payload: Any) -> None:
    assert stream.opened(NOW) == ()
    assert stream.subscribe(BOOK) == ()
    greeting = payload("extra_public/pusher_connection_established.json")
    assert sent(items(stream, greeting)) == [subscribe(BOOK_CHANNEL)]
    assert [json.loads(f) for f in stream.subscribe(TRADES)] == [subscribe(TRADES_CHANNEL)]
    assert stream.subscribe(TRADES) == ()
    assert items(stream, greeting) == []


def test_reconnect_subscribes_anew(live: OceanexStream, payload: Any) -> None:
    list(live.closed(NOW))
    assert live.opened(NOW) == ()
    found = sent(items(live, payload("extra_public/pusher_connection_established.json")))
    assert found == [subscribe(c) for c in (BOOK_CHANNEL, TRADES_CHANNEL, "market-global")]


def test_channels_use_the_price_precision(stream: OceanexStream) -> None:
    stream.opened(NOW)
    items(stream, event("pusher:connection_established", "", {"socket_id": "1.2"}))
    frames = stream.subscribe(Feed(FeedKind.BOOK, BTCUSDT))
    assert json.loads(frames[0]) == subscribe("market-btcusdt-2-global")


def test_subscription_success_names_the_feed(live: OceanexStream) -> None:
    frame = event("pusher_internal:subscription_succeeded", BOOK_CHANNEL, {})
    assert items(live, frame) == [Subscribed(BOOK)]


def test_a_shared_channel_is_left_with_its_last_feed(live: OceanexStream) -> None:
    other = Feed(FeedKind.TICKER, BTCUSDT)
    assert live.subscribe(other) == ()
    assert live.unsubscribe(TICKER) == ()
    assert [json.loads(frame) for frame in live.unsubscribe(other)] == [
        {"event": "pusher:unsubscribe", "data": {"channel": "market-global"}}
    ]
    assert live.unsubscribe(other) == ()


@pytest.mark.parametrize("feed", [Feed(FeedKind.BOOK, "NO_NE.X"), Feed(FeedKind.BARS, OCEVET)])
def test_what_the_venue_lacks_is_refused(stream: OceanexStream, feed: Feed) -> None:
    with pytest.raises(VenueError):
        stream.subscribe(feed)


def test_pings_are_answered_and_sent(live: OceanexStream, payload: Any) -> None:
    assert sent(items(live, payload("extra_public/pusher_ping.json"))) == [
        {"event": "pusher:pong", "data": {}}
    ]
    assert items(live, payload("extra_public/pusher_pong.json")) == []
    assert [json.loads(f) for f in live.ping(NOW)] == [{"event": "pusher:ping", "data": {}}]


@pytest.mark.parametrize(
    ("told", "expected"), [(120, 30.0), (10, 10.0), (0, 30.0), (None, 30.0), ("7", 7.0)]
)
def test_the_venue_s_activity_timeout_can_only_shorten(
    stream: OceanexStream, told: object, expected: float
) -> None:
    greeting = {"socket_id": "1.2", "activity_timeout": told}
    items(stream, event("pusher:connection_established", "", greeting))
    assert (stream.idle_ping_secs, stream.idle_close_secs) == (expected, expected + 30.0)


# -- books -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["ws_order_book_update.json", "extra_public/ws_order_book_update_double_encoded.json"],
)
def test_both_encodings_give_the_same_book(live: OceanexStream, payload: Any, name: str) -> None:
    frame = payload(name).replace(b"ocevet-6", b"ocevet-8")
    (deltas,) = items(live, frame)
    assert isinstance(deltas, OrderBookDeltas)
    assert (deltas.ts_event, deltas.ts_init, len(deltas.deltas)) == (NOW, NOW, 11)
    assert str(deltas.deltas[6].order) == "SELL,2924.50000000,0.00100000,0"


def test_only_changes_travel(live: OceanexStream) -> None:
    items(live, SOUND)
    assert items(live, SOUND) == []
    changed = book([("11.0", "5.0"), ("12.0", "2.0")], [("10.0", "1.0"), ("9.0", "2.0")])
    (deltas,) = items(live, changed)
    assert [d.action for d in deltas.deltas] == [BookAction.UPDATE]


def test_a_crossed_book_is_a_gap_until_a_sound_one(live: OceanexStream) -> None:
    items(live, SOUND)
    crossed = book([("9.5", "1.0")], [("10.0", "1.0")])
    clear, gap = items(live, crossed)
    assert (clear.deltas[0].action, gap) == (
        BookAction.CLEAR,
        Gap(OCEVET, "crossed or locked book"),
    )
    assert items(live, crossed) == []
    deltas, resynced = items(live, SOUND)
    assert deltas.is_snapshot
    assert resynced == Resynced(OCEVET)
    assert items(live, SOUND) == []


def test_the_first_book_is_no_resync(live: OceanexStream) -> None:
    assert [type(item) for item in items(live, SOUND)] == [OrderBookDeltas]


def test_closing_clears_whole_books_only(live: OceanexStream) -> None:
    assert list(live.closed(NOW)) == []
    items(live, SOUND)
    clear, gap = live.closed(NOW)
    assert clear.deltas[0].action == BookAction.CLEAR
    assert gap == Gap(OCEVET, "connection closed")
    assert list(live.closed(NOW)) == []
    assert [type(item) for item in items(live, SOUND)] == [OrderBookDeltas, Resynced]


@pytest.mark.parametrize(
    "frame",
    [
        "no json",
        b"\xff",
        '{"event":1}',
        book([("11.0", "x")], []),
        event("update", BOOK_CHANNEL, {"asks": []}),
        event("update", BOOK_CHANNEL, "text"),
        event("update", BOOK_CHANNEL, [], double=False),
        book([("0.123456789", "1")], []),
        book([(11.5, "1")], [], double=False),  # type: ignore[list-item]
    ],
)
def test_an_unreadable_frame_breaks_the_book_off(live: OceanexStream, frame: str | bytes) -> None:
    items(live, SOUND)
    coming = iter(live.received(frame, NOW))
    clear, gap = next(coming), next(coming)
    with pytest.raises(ParseError):
        next(coming)
    assert clear.deltas[0].action == BookAction.CLEAR
    assert isinstance(gap, Gap)
    assert [type(item) for item in items(live, SOUND)] == [OrderBookDeltas, Resynced]


def test_channels_not_subscribed_and_unknown_events_are_ignored(live: OceanexStream) -> None:
    levels: dict[str, Any] = {"asks": [], "bids": []}
    assert items(live, event("update", "market-x-2-global", levels)) == []
    assert items(live, event("trades", "market-x-trade-global", {"trades": []})) == []
    assert items(live, event("whatever", BOOK_CHANNEL, levels)) == []
    assert live.ignored_count == 3


# -- trades and tickers ----------------------------------------------------------------------------


def trade(tid: int, date: int, side: str = "sell", price: str = "10.5") -> dict[str, Any]:
    return {"tid": tid, "type": side, "date": date, "price": price, "amount": "0.5"}


def trades(*rows: dict[str, Any]) -> str:
    return event("trades", TRADES_CHANNEL, {"trades": list(rows)})


SECS = NOW // 10**9


@pytest.mark.parametrize("name", ["ws_trades.json", "extra_public/ws_trades_double_encoded.json"])
def test_trade_payload(live: OceanexStream, payload: Any, name: str) -> None:
    (tick,) = items(live, payload(name))
    assert isinstance(tick, TradeTick)
    assert (str(tick.price), str(tick.size)) == ("2890.77493651", "0.65200712")
    assert tick.aggressor_side == AggressorSide.SELL
    assert (tick.ts_event, tick.ts_init) == (1540523615 * 10**9, NOW)


def test_trades_are_told_once_also_across_a_reconnect(live: OceanexStream) -> None:
    first = items(live, trades(trade(7, SECS), trade(5, SECS), trade(6, SECS)))
    assert [str(tick.trade_id) for tick in first] == ["5", "6", "7"]
    list(live.closed(NOW))
    live.opened(NOW + 60 * 10**9)
    again = items(live, trades(trade(6, SECS), trade(7, SECS), trade(8, SECS + 1)))
    assert [str(tick.trade_id) for tick in again] == ["8"]  # missed while away, so told


def test_history_in_the_first_message_is_not_told_as_live(live: OceanexStream) -> None:
    old = SECS - HISTORY_GRACE_NS // 10**9 - 1
    found = items(live, trades(trade(1, old), trade(2, SECS)))
    assert [str(tick.trade_id) for tick in found] == ["2"]
    assert items(live, trades(trade(1, old))) == []


def test_a_trade_that_does_not_fit_spares_the_others(live: OceanexStream) -> None:
    fault, tick = items(live, trades(trade(1, SECS, price="1.123456789"), trade(2, SECS)))
    assert isinstance(fault, StreamFault)
    assert (fault.code, fault.action) == ("OCEANEX-TRADE", "none")
    assert str(tick.trade_id) == "2"


@pytest.mark.parametrize("name", ["ws_tickers.json", "extra_public/ws_tickers_double_encoded.json"])
def test_tickers_are_kept(live: OceanexStream, payload: Any, name: str) -> None:
    assert items(live, payload(name)) == []
    ticker = live.tickers[OCEVET]
    assert (str(ticker.buy), str(ticker.sell), str(ticker.open)) == (
        "2909.5",
        "2954.5",
        "1590.54056637",
    )


# -- faults ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "action", "backoff"),
    [
        (4000, "fatal", 0.0),
        (4001, "fatal", 0.0),
        (4007, "fatal", 0.0),
        (4099, "fatal", 0.0),
        (4100, "reconnect", 1.0),
        (4199, "reconnect", 1.0),
        (4200, "reconnect", 0.0),
        (4201, "reconnect", 0.0),
        (4299, "reconnect", 0.0),
        (4301, "none", 0.0),
        (5001, "none", 0.0),
        (500, "none", 0.0),
        (None, "none", 0.0),
    ],
)
def test_actions_by_code(code: int | None, action: str, backoff: float) -> None:
    assert fault_action(code) == (action, backoff)


@pytest.mark.parametrize(
    ("name", "code", "action"),
    [
        ("pusher_error_4001", "OCEANEX-PUSHER-4001", "fatal"),
        ("pusher_error_4007", "OCEANEX-PUSHER-4007", "fatal"),
        ("pusher_error_5001", "OCEANEX-PUSHER-5001", "none"),
        ("pusher_error_duplicate_subscription", "OCEANEX-DUPLICATE-SUBSCRIPTION", "none"),
    ],
)
def test_error_payloads(
    live: OceanexStream, payload: Any, name: str, code: str, action: str
) -> None:
    (fault,) = items(live, payload(f"extra_public/{name}.json"))
    assert (fault.code, fault.action) == (code, action)


@pytest.mark.parametrize(
    "data",
    [
        '{"code":4100,"message":"Over capacity"}',
        '"{\\"code\\":4100,\\"message\\":\\"Over capacity\\"}"',
    ],
)
def test_errors_are_objects_or_text(live: OceanexStream, data: str) -> None:
    (fault,) = items(live, '{"event":"pusher:error","data":' + data + "}")
    assert (fault.code, fault.message, fault.backoff_secs) == (
        "OCEANEX-PUSHER-4100",
        "Over capacity",
        1.0,
    )


def test_an_error_in_plain_text_is_shown(live: OceanexStream) -> None:
    (fault,) = items(live, '{"event":"pusher:error","data":"Invalid signature: x"}')
    assert (fault.code, fault.message) == ("OCEANEX-PUSHER", "Invalid signature: x")


def test_a_duplicate_subscription_names_its_feed(live: OceanexStream) -> None:
    data = {"code": None, "message": f"Existing subscription to {BOOK_CHANNEL}"}
    (fault,) = items(live, event("pusher:error", "", data))
    assert fault.feed == BOOK
