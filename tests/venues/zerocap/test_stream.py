"""The two dialogues against the simulated venue's sessions, without sockets; and by their bytes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.model import BookAction, OrderBookDeltas

from fairlead.adapters.base.limits import MAX_LATE_IN_ROW
from fairlead.adapters.base.venue import (
    Feed,
    FeedKind,
    Gap,
    OrderPush,
    ParseError,
    Ready,
    Resynced,
    Send,
    SignedHandshake,
    StreamFault,
    Subscribed,
    VenueError,
    VenueInstrument,
)
from fairlead.adapters.simulation.venue import Opened
from fairlead.adapters.zerocap.config import ZerocapMarket, ZerocapOptions
from fairlead.adapters.zerocap.instruments import instrument
from fairlead.adapters.zerocap.signing import Signer
from fairlead.adapters.zerocap.websocket import AccountStream, Ladders, PriceStream
from fairlead.engine.orders.model import OrderState, Side
from fairlead.engine.secrets import Secret
from tests.simulation.zerocap_harness import SYMBOL, Desk

BOTH = pytest.mark.parametrize("dialect", ["A", "C"])
USDT = "USDT_AUD.ZEROCAP"
FEED = Feed(FeedKind.BOOK, USDT)
NS = 10**9
NOW = 1_800_000_000 * NS


def facts() -> dict[str, VenueInstrument]:
    found = {}
    for symbol, precisions in (("USDT/AUD", (4, 2)), ("BTC/AUD", (2, 6))):
        market = ZerocapMarket(
            symbol=symbol, price_precision=precisions[0], quantity_precision=precisions[1]
        )
        built = instrument(market, True, "ZEROCAP", 1)
        found[built.id] = built
    return found


def signer(dialect: Any) -> Signer:
    return Signer(dialect, Secret("k", "test"), Secret("s", "test"), lambda: NOW)


def prices(dialect: Any, **options: Any) -> PriceStream:
    made = ZerocapOptions(dialect=dialect, **options)
    stream = PriceStream(made, facts(), Ladders(), signer(dialect))
    stream.opened(NOW)
    return stream


class Linked:
    """A stream and the simulated venue's session: what it wants sent is sent."""

    def __init__(self, stream: Any, desk: Desk) -> None:
        self.stream = stream
        self.desk = desk
        self.items: list[Any] = []
        self._frames: list[str] = []
        for frame in stream.opened(desk.now_ns):
            self._frames.append(frame)
        self.session = desk.sim.open_session(
            Opened("/v2", "", self._frames.append, lambda: None, desk.headers())
        )

    def settle(self, ms: int = 300) -> list[Any]:
        """Let the venue run; every item since the last call."""
        self.desk.wait(ms)
        while self._frames:
            for item in self.stream.received(self._frames.pop(0), self.desk.now_ns):
                if isinstance(item, Send):
                    self.session.received(item.frame)
                else:
                    self.items.append(item)
        items, self.items = self.items, []
        return items

    def send(self, frames: Any) -> None:
        for frame in frames:
            self.session.received(frame)


def move(desk: Desk, price: str = "1.4990", size: str = "700000") -> None:
    desk.sim.exchange.set_level(SYMBOL, Side.BUY, Decimal(price), Decimal(size), desk.now_ns)


def book_of(stream: PriceStream) -> Any:
    bids, asks = stream._books[SYMBOL].book.levels()
    return bids, asks


# -- prices ----------------------------------------------------------------------------------------


@BOTH
def test_a_book_is_the_ladder_with_its_sides_right(dialect: Any) -> None:
    desk = Desk(dialect)
    stream = prices(dialect)
    stream.subscribe(FEED)
    link = Linked(stream, desk)
    items = link.settle()
    assert [type(item) for item in items] == [Subscribed, OrderBookDeltas]
    bids, asks = book_of(stream)
    quoted = desk.sim.ladders(desk.sim.markets[SYMBOL])
    tick = Decimal("0.0001")
    for levels, tiers, rounding in (
        (bids, quoted[0], ROUND_FLOOR),
        (asks, quoted[1], ROUND_CEILING),
    ):
        for tier in tiers:
            assert Decimal(levels[str(tier.price.quantize(tick, rounding))]) >= tier.size
    assert max(map(Decimal, bids)) < min(map(Decimal, asks))
    ladder = stream._ladders.get(USDT)
    assert ladder is not None
    assert ladder.price_for(Side.BUY, Decimal(100)) == quoted[1][0].price
    assert stream.ignored_count == 0


@BOTH
def test_a_feed_that_is_down_clears_the_book_until_it_is_back(dialect: Any) -> None:
    desk = Desk(dialect)
    stream = prices(dialect)
    stream.subscribe(FEED)
    link = Linked(stream, desk)
    link.settle()
    desk.sim.control({"prices": "down"})
    cleared, gap = link.settle()
    assert [delta.action for delta in cleared.deltas] == [BookAction.CLEAR]
    assert gap == Gap(USDT, "price stream unavailable")
    assert stream._ladders.get(USDT) is None, "what is stale prices nothing"
    desk.sim.control({"prices": "up"})
    whole, resynced = link.settle()
    assert isinstance(whole, OrderBookDeltas)
    assert resynced == Resynced(USDT)


@BOTH
def test_a_market_that_the_desk_does_not_quote_is_named(dialect: Any) -> None:
    """It acknowledges the subscription, says that prices are unavailable, and sends no ladder."""
    desk = Desk(dialect)
    kept = desk.sim.markets.pop(SYMBOL)
    stream = prices(dialect)
    stream.subscribe(FEED)
    subscribed, fault = Linked(stream, desk).settle()
    assert isinstance(subscribed, Subscribed)
    assert (fault.code, fault.action, fault.feed) == ("ZEROCAP-NO-PRICES", "none", FEED)
    assert SYMBOL in fault.message
    desk.sim.markets[SYMBOL] = kept


@BOTH
def test_a_reconnect_clears_and_subscribes_again(dialect: Any) -> None:
    desk = Desk(dialect)
    stream = prices(dialect)
    stream.subscribe(FEED)
    Linked(stream, desk).settle()
    cleared, gap = stream.closed(desk.now_ns)
    assert isinstance(cleared, OrderBookDeltas)
    assert gap == Gap(USDT, "connection closed")
    assert stream.closed(desk.now_ns) == []
    kinds = [type(item) for item in Linked(stream, desk).settle()]
    assert kinds == [Subscribed, OrderBookDeltas, Resynced]


def ladder(
    dialect: str, bids: Any, asks: Any, at: float = 1_800_000_000.0, of: str = SYMBOL
) -> str:
    told: dict[str, Any] = {"timestamp": at, "symbol": of, "bids": bids, "asks": asks}
    return json.dumps({"type": "price", "data": told})


def test_a_crossed_ladder_clears_the_book() -> None:
    stream = prices("C")
    stream.subscribe(FEED)
    list(stream.received(ladder("C", [[1.4, 10]], [[1.5, 10]]), NOW))
    crossed = ladder("C", [[1.6, 10], [1.5, 20]], [[1.5, 10], [1.55, 20]], 1_800_000_001.0)
    cleared, gap = stream.received(crossed, NOW)
    assert gap == Gap(USDT, "a crossed ladder")
    assert cleared.deltas[0].action == BookAction.CLEAR
    assert list(stream.received(crossed, NOW)) == []
    sound = ladder("C", [[1.4, 10]], [[1.5, 10]], 1_800_000_002.0)
    assert list(stream.received(sound, NOW))[1:] == [Resynced(USDT)]


def test_silence_of_one_ladder_clears_its_book_while_others_speak() -> None:
    stream = prices("C", stale_secs=10.0)
    stream.subscribe(FEED)
    stream.subscribe(Feed(FeedKind.BOOK, "BTC_AUD.ZEROCAP"))
    for of in (SYMBOL, "BTC/AUD"):
        list(stream.received(ladder("C", [[1.4, 10]], [[1.5, 10]], of=of), NOW))
    pong = '{"type":"message","message":"pong"}'
    assert list(stream.received(pong, NOW + 10 * NS)) == []
    other = ladder("C", [[1.4, 10]], [[1.5, 11]], 1_800_000_011.0, "BTC/AUD")
    items = list(stream.received(other, NOW + 11 * NS))
    assert [item for item in items if isinstance(item, Gap)] == [Gap(USDT, "no ladder for 10 s")]


def test_a_silent_connection_of_dialect_a_is_given_up() -> None:
    """It has no heartbeat, so that silence is all there is to see of a feed that died."""
    assert prices("A", stale_secs=12.0).idle_close_secs == 12.0
    assert prices("C", idle_close_secs=40.0).idle_close_secs == 40.0


def test_an_older_ladder_that_comes_late_changes_nothing() -> None:
    stream = prices("C")
    stream.subscribe(FEED)
    newer = ladder("C", [[1.4, 10]], [[1.5, 10]], 1_800_000_005.0)
    older = ladder("C", [[1.3, 10]], [[1.6, 10]], 1_800_000_004.0)
    assert len(list(stream.received(newer, NOW))) == 1
    for _ in range(10):
        assert list(stream.received(older, NOW)) == []
    told = [*stream.received(older, NOW), *stream.received(older, NOW)]
    assert [type(one).__name__ for one in told] == [
        *("OrderBookDeltas", "Gap", "OrderBookDeltas", "Resynced"),
    ], "the venue's clock has gone back: what was shown meanwhile was old"
    assert stream._ladders.get(USDT).bids[0].price == Decimal("1.3")


def test_one_time_that_is_far_ahead_stops_no_book() -> None:
    stream = prices("C")
    stream.subscribe(FEED)
    list(stream.received(ladder("C", [[1.4, 10]], [[1.5, 10]], 8_900_000_000.0), NOW))
    told = [
        list(stream.received(ladder("C", [[1.3, 10]], [[1.6, 10]], 1_800_000_000.0 + n), NOW))
        for n in range(MAX_LATE_IN_ROW + 3)
    ]
    assert [len(one) for one in told] == [*[0] * MAX_LATE_IN_ROW, 2, 2, 1]


@pytest.mark.parametrize("frame", ["{", '{"type":"price"}', '{"type":"price","data":{"bids":7}}'])
def test_a_frame_that_can_not_be_read_clears_the_books(frame: str) -> None:
    stream = prices("C")
    stream.subscribe(FEED)
    list(stream.received(ladder("C", [[1.4, 10]], [[1.5, 10]]), NOW))
    told = stream.received(frame, NOW)
    assert isinstance(next(told), OrderBookDeltas)
    assert isinstance(next(told), Gap)
    with pytest.raises(ParseError):
        next(told)


def test_subscriptions_go_out_as_the_document_s(sample: Any) -> None:
    for dialect in ("A", "C"):
        stream = prices(dialect)
        assert stream.subscribe(FEED) == ()  # the venue greets first
        (send,) = stream.received(sample("zc_ws_connected.json"), NOW)
        documented = json.loads(sample(f"zc_{dialect}_ws_subscribe_price.json"))
        assert json.loads(send.frame) == documented
        assert list(stream.received(sample("zc_ws_connected.json"), NOW)) == []
        assert list(stream.received(sample("zc_ws_price_sub_ok.json"), NOW)) == [Subscribed(FEED)]
        assert stream.subscribe(FEED) == ()
    (frame,) = stream.unsubscribe(FEED)
    assert json.loads(frame) == {"type": "price", "symbols": [SYMBOL], "is_subscribe": False}
    assert stream.unsubscribe(FEED) == ()
    assert [json.loads(f) for f in stream.ping(NOW)] == [
        json.loads(sample("zc_C_ws_ping_request.json"))
    ]
    assert prices("A").ping(NOW) == ()


def test_dialect_a_ignores_what_it_can_not_unsubscribe() -> None:
    desk = Desk("A")
    stream = prices("A")
    stream.subscribe(FEED)
    link = Linked(stream, desk)
    link.settle()
    assert stream.unsubscribe(FEED) == ()
    move(desk)
    assert link.settle() == []
    assert stream.ignored_count == 1


@pytest.mark.parametrize("kind", [FeedKind.TRADES, FeedKind.TICKER, FeedKind.BARS])
def test_only_ladders_are_streamed(kind: FeedKind) -> None:
    with pytest.raises(VenueError, match="ladders only"):
        prices("A").subscribe(Feed(kind, USDT))
    with pytest.raises(VenueError, match="no market"):
        prices("A").subscribe(Feed(FeedKind.BOOK, "NO_NE.ZEROCAP"))


# -- the account -----------------------------------------------------------------------------------


def account(dialect: Any) -> AccountStream:
    return AccountStream(ZerocapOptions(dialect=dialect), "ZEROCAP", signer(dialect))


@BOTH
def test_an_order_is_pushed_with_its_execution(dialect: Any) -> None:
    desk = Desk(dialect)
    link = Linked(account(dialect), desk)
    assert link.settle() == [Ready()]
    done = desk.create("buy", "100", "21.1")
    pushes = [item for item in link.settle() if isinstance(item, OrderPush)]
    assert pushes[0].order.state is OrderState.OPEN
    assert pushes[-1].order.state is OrderState.FILLED
    fills = {push.fill.trade_id: push.fill for push in pushes if push.fill is not None}
    assert list(fills) == [done["trades"][0]["id"]]
    (truth,) = desk.sim.exchange.ledger.fills("main")
    (fill,) = fills.values()
    assert (fill.price, fill.quantity) == (truth.price, truth.quantity)
    assert {push.order.venue_order_id for push in pushes} == {done["id"]}


@BOTH
def test_a_rejection_is_pushed(dialect: Any) -> None:
    desk = Desk(dialect)
    link = Linked(account(dialect), desk)
    link.settle()
    desk.create("buy", "100", "0.1")
    assert [item.order.state for item in link.settle()] == [OrderState.OPEN, OrderState.CANCELED]


def test_an_execution_of_an_order_never_told_is_left_to_the_answer(sample: Any) -> None:
    stream = account("A")
    assert list(stream.received(sample("zc_A_ws_trade_info.json"), NOW)) == []
    assert stream.ignored_count == 1


def test_subscriptions_of_the_account(sample: Any) -> None:
    old, today = account("A"), account("C")
    for stream in (old, today):
        assert stream.opened(NOW) == ()
    (send,) = old.received(sample("zc_ws_connected.json"), NOW)
    assert json.loads(send.frame) == json.loads(sample("zc_A_ws_subscribe_orders.json"))
    sends = list(today.received(sample("zc_ws_connected.json"), NOW))
    assert [json.loads(s.frame) for s in sends] == [{"type": "order"}, {"type": "trade"}]
    # The document shows this text for orders too.
    assert list(old.received(sample("zc_ws_price_sub_ok.json"), NOW)) == [Ready()]
    assert list(today.received(sample("zc_ws_price_sub_ok.json"), NOW)) == []
    assert list(today.received(sample("zc_ws_price_sub_ok.json"), NOW)) == [Ready()]


# -- both ------------------------------------------------------------------------------------------


@BOTH
def test_the_handshake_is_signed(dialect: Any) -> None:
    for stream in (prices(dialect), account(dialect)):
        assert isinstance(stream, SignedHandshake)
        assert stream.handshake() == signer(dialect).headers()
    keyless = PriceStream(ZerocapOptions(dialect=dialect), facts(), Ladders(), None)
    with pytest.raises(VenueError, match="credentials"):
        keyless.handshake()


@pytest.mark.parametrize(
    ("name", "action"),
    [("A_ws_unauthorized", "fatal"), ("C_ws_unauthorized", "fatal"),
     ("C_ws_ping_timeout", "reconnect"), ("A_ws_invalid_message", "none")],
)  # fmt: skip
def test_faults(sample: Any, name: str, action: str) -> None:
    for stream in (prices(name[0]), account(name[0])):
        (fault,) = stream.received(sample(f"zc_{name}.json"), NOW)
        assert isinstance(fault, StreamFault)
        assert fault.action == action


frames = st.one_of(
    st.text(max_size=40),
    st.builds(
        lambda type_, channel, data: json.dumps({"type": type_, "channel": channel, "data": data}),
        st.sampled_from(["price", "order", "trade", "message", None]),
        st.sampled_from([f"dma_ladder_price_{SYMBOL}", "dma_order_info", "dma_trade_info", ""]),
        st.fixed_dictionaries(
            {},
            optional={
                "symbol": st.sampled_from([SYMBOL, "BTC/AUD", "x"]),
                "bids": st.lists(st.tuples(st.sampled_from([1, 1.5, "2", 0]), st.just(7))),
                "asks": st.lists(st.tuples(st.sampled_from([1, 1.6, "3", "x"]), st.just(7))),
                "timestamp": st.sampled_from([1_800_000_000.5, 1_800_000_001, "7", None]),
                "id": st.sampled_from(["o1", ""]),
                "order": st.sampled_from(["o1", "o2"]),
                "status": st.sampled_from(["open", "closed"]),
                "amount": st.sampled_from(["1", 2, ""]),
                "filled": st.sampled_from(["1", 0]),
                "price": st.sampled_from(["1", "NaN"]),
                "side": st.just("buy"),
                "type": st.just("limit"),
            },
        ),
    ),
    st.sampled_from(
        ['{"type":"message","message":"Price stream unavailable."}',
         '{"type":"message","message":"Successfully connected."}',
         '{"type":"message","message":"price Subscription successful."}']
    ),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["A", "C"]), st.lists(frames, max_size=12))
def test_any_dialogue_shows_no_crossed_book(dialect: Any, told: list[str]) -> None:
    price, account_ = prices(dialect), account(dialect)
    price.subscribe(FEED)
    account_.opened(NOW)
    for number, frame in enumerate(told):
        for stream in (price, account_):
            with contextlib.suppress(ParseError):
                list(stream.received(frame, NOW + number * NS))
        book = price._books[SYMBOL].book
        bid, ask = book.best()
        assert not (book.is_valid and bid and ask) or Decimal(bid[0]) < Decimal(ask[0])
        if not book.is_valid:
            assert price._ladders.get(USDT) is None
    list(price.closed(NOW))


def test_instruments_are_named_and_rounded() -> None:
    found: Mapping[str, VenueInstrument] = facts()
    assert set(found) == {USDT, "BTC_AUD.ZEROCAP"}
    assert str(found[USDT].nautilus.size_increment) == "0.01"
