"""Dialogues of the stream: subscriptions, books, deals, orders that come early, faults."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from nautilus_trader.model import BookAction, OrderBookDeltas, TradeTick

from fairlead.adapters.base.limits import MAX_LATE_IN_ROW
from fairlead.adapters.base.venue import (
    Feed,
    FeedKind,
    Gap,
    OrderPush,
    ParseError,
    Ready,
    Resynced,
    StreamFault,
    Subscribed,
    VenueError,
    VenueInstrument,
)
from fairlead.adapters.piexgo.config import PiexgoOptions
from fairlead.adapters.piexgo.websocket import EarlyOrders, PrivateStream, PublicStream
from fairlead.engine.secrets import Secret
from tests.venues.piexgo.test_payloads import SAMPLES

BTC = "BTC_USDT.PIEXGO"
BOOK, TRADES = Feed(FeedKind.BOOK, BTC), Feed(FeedKind.TRADES, BTC)
DEAL_MS = 1553326491272
NOW = (DEAL_MS + 500) * 10**6
SEC = 10**9


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_bytes())


def depth(change_id: int | None, bid: float = 10.5, ask: float = 11.5, **changes: Any) -> str:
    message = {
        "topic": "depth",
        "symbol": "btc_usdt",
        "buy_book": [{"index": 0, "price": bid, "qty": 1}],
        "sell_book": [{"index": 0, "price": ask, "qty": 2}],
        "change_id": change_id,
    }
    return json.dumps(message | changes)


def deals(*times: int, **changes: Any) -> str:
    rows = [{"time": t, "direct": 0, "price": "10.00", "vol": "1.0"} | changes for t in times]
    return json.dumps({"topic": "dealinfo", "symbol": "btc_usdt", "deals": rows})


def items(stream: PublicStream | PrivateStream, frame: str | bytes, ts: int = NOW) -> list[Any]:
    return list(stream.received(frame, ts))


def kinds(found: list[Any]) -> list[str]:
    return [type(item).__name__ for item in found]


def until_refused(stream: PublicStream, frame: str) -> list[Any]:
    """What a frame that can't be read tells before it is refused."""
    told: list[Any] = []
    found = iter(stream.received(frame, NOW))
    with pytest.raises(ParseError):
        told.extend(iter(lambda: next(found), None))
    return told


@pytest.fixture
def stream(instruments: Mapping[str, VenueInstrument]) -> PublicStream:
    return PublicStream(PiexgoOptions(), instruments)


@pytest.fixture
def live(stream: PublicStream) -> PublicStream:
    for feed in (BOOK, TRADES):
        stream.subscribe(feed)
    stream.opened(NOW)
    return stream


# -- subscriptions ---------------------------------------------------------------------------------


def test_the_documents_frames_are_sent(stream: PublicStream) -> None:
    assert stream.opened(NOW) == []
    assert [json.loads(f) for f in stream.subscribe(BOOK)] == [sample("ws_sub_depth")]
    assert [json.loads(f) for f in stream.subscribe(TRADES)] == [sample("ws_sub_dealinfo")]
    assert stream.subscribe(BOOK) == ()
    assert [json.loads(f) for f in stream.opened(NOW)] == [
        sample("ws_sub_depth"),
        sample("ws_sub_dealinfo"),
    ]
    assert [json.loads(f) for f in stream.unsubscribe(BOOK)] == [sample("ws_unsub_depth")]
    assert [json.loads(f) for f in stream.unsubscribe(TRADES)] == [sample("ws_unsub_dealinfo")]
    assert stream.unsubscribe(BOOK) == ()
    assert stream.ping(NOW) == ()


def test_the_first_message_proves_a_subscription(live: PublicStream) -> None:
    assert kinds(items(live, depth(1))) == ["Subscribed", "OrderBookDeltas"]
    assert kinds(items(live, depth(2, ask=12))) == ["OrderBookDeltas"]
    assert items(live, deals(DEAL_MS))[0] == Subscribed(TRADES)


def test_answers_are_taken_though_none_is_documented(live: PublicStream) -> None:
    told = {"op": "subscribe", "topic": "depth.btc_usdt", "err_code": 0, "msg": "ok"}
    assert items(live, json.dumps(told)) == [Subscribed(BOOK)]
    refused = told | {"topic": "dealinfo.btc_usdt", "err_code": 10201, "msg": "Invalid symbol."}
    (fault,) = items(live, json.dumps(refused))
    assert (fault.code, fault.feed) == ("PIEXGO-WS-10201", TRADES)


@pytest.mark.parametrize(
    "feed", [Feed(FeedKind.BOOK, "X_Y.Z"), Feed(FeedKind.BARS, BTC), Feed(FeedKind.TICKER, BTC)]
)
def test_what_is_not_pushed_is_refused(stream: PublicStream, feed: Feed) -> None:
    with pytest.raises(VenueError):
        stream.subscribe(feed)


# -- books -----------------------------------------------------------------------------------------


def test_a_book_is_whole_and_then_changes(live: PublicStream) -> None:
    (first,) = [i for i in items(live, json.dumps(sample("ws_depth"))) if type(i) is not Subscribed]
    assert [d.action for d in first.deltas] == [BookAction.CLEAR, *[BookAction.ADD] * 10]
    assert (str(first.deltas[1].order.price), str(first.deltas[1].order.size)) == (
        "3990.67",
        "0.2100",
    )
    changed = sample("ws_depth") | {"change_id": 36299}
    changed["buy_book"][0]["qty"] = 0.5
    (second,) = items(live, json.dumps(changed))
    assert [d.action for d in second.deltas] == [BookAction.UPDATE]


def test_what_is_late_or_told_twice_changes_nothing(live: PublicStream) -> None:
    items(live, depth(5))
    for change_id in (5, 4, -1):
        assert items(live, depth(change_id, bid=9, ask=20)) == []
    assert kinds(items(live, depth(900, bid=9))) == ["OrderBookDeltas"]  # a jump is normal
    list(live.closed(NOW))
    live.opened(NOW)
    assert "OrderBookDeltas" in kinds(items(live, depth(1)))  # another connection counts anew


BELIEVED = [["OrderBookDeltas", "Gap"], ["OrderBookDeltas", "Resynced"]]


def test_change_ids_that_begin_again_are_believed_after_some(live: PublicStream) -> None:
    """Else the book stands still for as long as the connection does, and looks valid."""
    items(live, depth(50_000))
    told = [kinds(items(live, depth(1 + n, bid=9, ask=9.5))) for n in range(MAX_LATE_IN_ROW + 3)]
    assert told == [*[[]] * MAX_LATE_IN_ROW, *BELIEVED, []]
    assert kinds(items(live, depth(30, bid=9.1, ask=9.5))) == ["OrderBookDeltas"]
    channel = live._books["depth.btc_usdt"]
    assert channel.book.is_valid
    assert [Decimal(price) for price in channel.book.levels()[0]] == [Decimal("9.1")]


def test_one_change_id_with_a_digit_too_many_stops_no_book(live: PublicStream) -> None:
    items(live, depth(50_000))
    items(live, depth(500_010, bid=10.6))
    told = [kinds(items(live, depth(50_002 + n, bid=9))) for n in range(MAX_LATE_IN_ROW + 2)]
    assert told == [*[[]] * MAX_LATE_IN_ROW, *BELIEVED]
    assert kinds(items(live, depth(50_900, bid=9.2))) == ["OrderBookDeltas"]
    assert items(live, depth(50_800, bid=9)) == [], "one that is late is late again"


def test_late_messages_now_and_then_change_nothing(live: PublicStream) -> None:
    for n in range(3 * MAX_LATE_IN_ROW):
        items(live, depth(100 + n, bid=9 + n / 100))
        assert items(live, depth(50, bid=5)) == []


def test_a_message_that_is_told_again_and_again_is_no_gap(live: PublicStream) -> None:
    items(live, depth(5))
    for _ in range(3 * MAX_LATE_IN_ROW):
        assert items(live, depth(5)) == []


def test_a_crossed_book_is_cleared_until_it_is_whole(live: PublicStream) -> None:
    items(live, depth(1))
    cleared, gap = items(live, depth(2, bid=12, ask=11))
    assert [d.action for d in cleared.deltas] == [BookAction.CLEAR]
    assert isinstance(gap, Gap)
    assert items(live, depth(3, bid=12, ask=12)) == []
    assert kinds(items(live, depth(4))) == ["OrderBookDeltas", "Resynced"]
    assert isinstance(items(live, depth(5, bid=20, ask=1))[1], Gap)


@pytest.mark.parametrize(
    "frame",
    [
        depth(2, sell_book=[{"price": 11.501, "qty": 1}]),
        depth(2, sell_book=[{"price": "", "qty": 1}]),
        depth(2, sell_book=None),
        depth(None),
        depth(2, symbol=""),
        depth(2, buy_book=[{"price": 10, "qty": 1}] * 2),
        "{",
    ],
)
def test_a_frame_that_can_not_be_read_breaks_the_book_off(live: PublicStream, frame: str) -> None:
    items(live, depth(1))
    assert kinds(until_refused(live, frame)) == ["OrderBookDeltas", "Gap"]
    assert until_refused(live, frame) == []
    assert kinds(items(live, depth(3))) == ["OrderBookDeltas", "Resynced"]


def test_the_end_of_a_connection_clears(live: PublicStream) -> None:
    assert list(live.closed(NOW)) == []
    items(live, depth(1))
    assert kinds(list(live.closed(NOW))) == ["OrderBookDeltas", "Gap"]
    live.opened(NOW)
    found = items(live, depth(1))
    assert [type(item) for item in found] == [Subscribed, OrderBookDeltas, Resynced]


def test_other_markets_and_topics_are_nobodys_business(live: PublicStream) -> None:
    for message in (
        {"topic": "depth", "symbol": "eth_usdt", "buy_book": [], "sell_book": [], "change_id": 1},
        {"topic": "dealinfo", "symbol": "eth_usdt", "deals": []},
        {"topic": "news"},
        {"ping": 1},
    ):
        assert items(live, json.dumps(message)) == []
    assert live.ignored_count == 4


# -- deals -----------------------------------------------------------------------------------------


def trades(found: list[Any]) -> list[TradeTick]:
    return [item for item in found if isinstance(item, TradeTick)]


def test_identical_deals_are_told_apart_across_messages(live: PublicStream) -> None:
    found = trades(items(live, deals(DEAL_MS, DEAL_MS))) + trades(items(live, deals(DEAL_MS)))
    assert len({tick.trade_id for tick in found}) == 3


def test_deals_come_in_the_order_of_their_time(live: PublicStream) -> None:
    found = trades(items(live, deals(DEAL_MS + 2, DEAL_MS, DEAL_MS + 1)))
    assert [tick.ts_event // 10**6 - DEAL_MS for tick in found] == [0, 1, 2]


def test_a_connection_does_not_begin_with_the_past(live: PublicStream) -> None:
    assert len(trades(items(live, deals(DEAL_MS - 60_000, DEAL_MS)))) == 1
    assert len(trades(items(live, deals(DEAL_MS - 60_000)))) == 1  # late, but not the past


def test_a_reconnect_tells_no_deal_twice(live: PublicStream) -> None:
    items(live, deals(DEAL_MS, DEAL_MS + 1))
    list(live.closed(NOW))
    live.opened(NOW + SEC)
    found = trades(items(live, deals(DEAL_MS, DEAL_MS + 1, DEAL_MS + 2)))
    assert [tick.ts_event // 10**6 - DEAL_MS for tick in found] == [2]


def test_a_deal_that_can_not_be_is_told_and_the_others_go_on(live: PublicStream) -> None:
    message = json.loads(deals(DEAL_MS, DEAL_MS, DEAL_MS))
    message["deals"][1]["price"] = ""
    message["deals"].append({})
    message["deals"].append(message["deals"][0] | {"time": DEAL_MS // 1000})
    found = items(live, json.dumps(message))
    assert len(trades(found)) == 2
    assert kinds(found).count("StreamFault") == 2  # one is of another time: before the connection
    assert items(live, json.dumps(message))[0] == StreamFault("PIEXGO-DEAL", found[1].message)


# -- orders ----------------------------------------------------------------------------------------

KEY, SECRET = Secret("example-key", "test"), Secret("example-secret", "test")


def account(early: EarlyOrders | None = None, **options: Any) -> PrivateStream:
    waiting = early or EarlyOrders(5 * SEC)
    stream = PrivateStream(PiexgoOptions(**options), "PIEXGO", KEY, SECRET, waiting)
    stream.opened(NOW)
    return stream


def event(order_id: str = "7", **changes: Any) -> str:
    message = sample("ws_pinfo_order")
    message["data"] |= {"order_id": order_id} | changes
    return json.dumps(message)


def test_both_forms_of_the_private_subscription() -> None:
    signed, unsigned = account().opened(NOW), account(pinfo="unsigned").opened(NOW)
    assert [json.loads(f) for f in signed] == [sample("extra_public/ws_sub_pinfo_signed")]
    assert [json.loads(f) for f in unsigned] == [sample("ws_sub_pinfo_seed_unauthenticated")]


def test_an_order_event_waits_for_the_answer_that_names_it() -> None:
    early = EarlyOrders(5 * SEC)
    stream = account(early)
    assert kinds(items(stream, event(remain="1.00000000", amount="0", status=0))) == ["Ready"]
    assert items(stream, event(remain="0.5", amount="3914", status=0)) == []
    early.named("7")
    found = items(stream, event())
    assert kinds(found) == ["OrderPush"] * 3
    assert [float(push.order.filled) for push in found] == [0, 0.5, 1]
    assert kinds(items(stream, event())) == ["OrderPush"]


def test_a_strangers_event_waits_as_long_as_it_may() -> None:
    stream = account()
    items(stream, event("1"))
    assert items(stream, event("2"), NOW + 4 * SEC) == []
    (push,) = items(stream, event("3"), NOW + 5 * SEC)
    assert push.order.venue_order_id == "1"
    found = list(stream.closed(NOW + 60 * SEC))
    assert [p.order.venue_order_id for p in found if isinstance(p, OrderPush)] == ["2", "3"]


def test_what_waits_is_bounded() -> None:
    early = EarlyOrders(5 * SEC)
    stream = account(early)
    for number in range(1_001):
        found = items(stream, event(f"{number}"))
    assert [push.order.venue_order_id for push in found] == ["0"]
    for _ in range(150):
        items(stream, event("5"))
    early.named("5")
    assert len(items(stream, event("5"))) == 101


def test_ready_goes_before_what_a_connection_tells_first() -> None:
    early = EarlyOrders(0)
    early.named("7")
    stream = account(early)
    assert kinds(items(stream, event())) == ["Ready", "OrderPush"]
    assert kinds(items(stream, event())) == ["OrderPush"]
    stream.opened(NOW)
    told = {"op": "subscribe", "topic": "pinfo", "err_code": 0}
    assert kinds(items(stream, json.dumps(told))) == ["Ready"]
    (fault,) = items(stream, json.dumps(told | {"err_code": 10440, "msg": "Invalid signature."}))
    assert fault.code == "PIEXGO-WS-10440"


def test_balances_are_counted_and_read_by_rest() -> None:
    stream = account()
    assert items(stream, json.dumps(sample("ws_pinfo_balance"))) == [Ready()]
    assert stream.balance_count == 1


@pytest.mark.parametrize(
    "changes", [{"status": 9}, {"remain": "NaN"}, {"market": ""}, {"timestamp": 1559734776923}]
)
def test_an_event_that_can_not_be_is_told(changes: dict[str, Any]) -> None:
    ready, fault = items(account(), event(**changes))
    assert ready == Ready()
    assert (fault.code, fault.action) == ("PIEXGO-PINFO", "none")


def test_a_frame_that_is_none_loses_nothing_that_waits() -> None:
    early = EarlyOrders(5 * SEC)
    stream = account(early)
    items(stream, event())
    early.named("7")
    with pytest.raises(ParseError):
        stream.received("{", NOW)
    assert kinds(list(stream.closed(NOW))) == ["OrderPush"]
