"""The adapter's streams against the simulated venue, in memory and in virtual time."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from nautilus_trader.model import (
    BookType,
    InstrumentId,
    InstrumentStatus,
    MarketStatusAction,
    OrderBook,
    OrderBookDeltas,
    TradeTick,
)

from fairlead.adapters.base.renewals import Renewals
from fairlead.adapters.base.venue import (
    BalancePush,
    Feed,
    FeedKind,
    Gap,
    OrderPush,
    Ready,
    Resynced,
    StreamFault,
    Subscribed,
)
from fairlead.adapters.poloniex.simulator import PoloniexSimOptions, PoloniexSimulator
from fairlead.adapters.simulation.virtual_time import START_NS
from fairlead.engine.orders.model import (
    Accepted,
    CancelAccepted,
    Kind,
    OrderState,
    Refused,
    Side,
    TriggerCondition,
)
from fairlead.engine.status import StreamState
from tests.venues.poloniex.simulator_kit import (
    BTC,
    Memory,
    Supervised,
    in_memory,
    intent,
    ref,
    stop,
)

MARKET = "BTC_USDT"


def replayed(items: list[Any]) -> OrderBook:
    book = OrderBook(InstrumentId.from_str(BTC), BookType.L2_MBP)
    for item in items:
        if isinstance(item, OrderBookDeltas):
            book.apply_deltas(item)
    return book


def assert_true(book: OrderBook, memory: Memory) -> None:
    """The adapter's book is the venue's, level by level."""
    true = memory.venue.exchange.markets[MARKET].book
    for levels, side in ((book.bids(), true.bids), (book.asks(), true.asks)):
        told = [(level.price.as_decimal(), Decimal(str(level.size()))) for level in levels]
        assert [(p, float(q)) for p, q in told] == [(p, float(q)) for p, q in side.levels(20)]


async def book_stream(memory: Memory) -> Supervised:
    await memory.adapter.connect(trading=False)
    stream = memory.public()
    stream.supervisor.start()
    stream.supervisor.add_feed(Feed(FeedKind.BOOK, BTC))
    await stream.until(lambda: len(stream.of(OrderBookDeltas)) > 50)
    return stream


async def settled(memory: Memory) -> None:
    """The market stands, and what was published has arrived."""
    memory.venue.driver.paused = True
    await asyncio.sleep(0.1)


def test_a_book_is_the_venues_own() -> None:
    async def session(memory: Memory) -> None:
        stream = await book_stream(memory)
        stream.supervisor.add_feed(Feed(FeedKind.TRADES, BTC))
        await stream.until(lambda: len(stream.of(OrderBookDeltas)) > 800)
        await settled(memory)
        assert_true(replayed(stream.items), memory)
        assert stream.of(Gap) == []
        assert len(stream.of(Subscribed)) == 2
        ticks, tape = stream.of(TradeTick), memory.venue.exchange.markets[MARKET].tape.trades
        told = [(str(t.trade_id), t.price.as_decimal(), t.size.as_decimal()) for t in ticks]
        true = [(str(t.id), t.price, t.quantity) for t in tape][-len(told) :]
        assert len(told) > 100
        assert [(i.rpartition("-")[2], p, q) for i, p, q in told] == true
        await memory.stop(stream)

    in_memory(session)


def test_a_lost_frame_is_a_gap_and_the_book_comes_back() -> None:
    async def session(memory: Memory) -> None:
        stream = await book_stream(memory)
        memory.venue.faults.next("WS", "/ws/public", "lose")
        await stream.until(lambda: stream.of(Resynced))
        (gap,) = stream.of(Gap)
        (back,) = stream.of(Resynced)
        between = stream.items[stream.items.index(gap) : stream.items.index(back)]
        assert not any(i.is_snapshot is False for i in between if isinstance(i, OrderBookDeltas))
        await settled(memory)
        assert_true(replayed(stream.items), memory)
        await memory.stop(stream)

    in_memory(session)


def test_duplicated_malformed_and_dropped_frames_end_in_the_true_book() -> None:
    async def session(memory: Memory) -> None:
        stream = await book_stream(memory)
        for kind in ("duplicate", "malformed", "drop", "lose"):
            count = len(stream.of(OrderBookDeltas))
            memory.venue.faults.next("WS", "/ws/public", kind)
            await stream.until(lambda: len(stream.of(OrderBookDeltas)) > count + 200)  # noqa: B023
            await asyncio.sleep(5)
        assert stream.states.count(StreamState.CONNECTED) == 2
        await settled(memory)
        assert_true(replayed(stream.items), memory)
        await memory.stop(stream)

    in_memory(session)


def test_a_quiet_connection_is_kept_and_a_silent_one_renewed() -> None:
    options = PoloniexSimOptions(is_market_live=False)
    quiet = PoloniexSimulator(now_ns=START_NS, seed=5, options=options)

    async def session(memory: Memory) -> None:
        await memory.adapter.connect(trading=False)
        stream = memory.public()
        stream.supervisor.start()
        stream.supervisor.add_feed(Feed(FeedKind.BOOK, BTC))
        await stream.until(lambda: stream.of(OrderBookDeltas))
        await asyncio.sleep(300)  # ten times what the venue bears without a word
        assert stream.states.count(StreamState.CONNECTED) == 1
        memory.venue.faults.next("WS", "/ws/public", "mute")
        await asyncio.sleep(60)
        assert stream.states.count(StreamState.CONNECTED) == 2
        await memory.stop(stream)

    in_memory(session, quiet)


def test_states_and_modes_become_instrument_status() -> None:
    async def session(memory: Memory) -> None:
        stream = await book_stream(memory)
        actions: list[Any] = []
        for body in (
            {"symbol": MARKET, "state": "PAUSE"},
            {"symbol": MARKET, "state": "NORMAL"},
            {"post_only": True},
            {"post_only": False},
        ):
            count = len(stream.of(InstrumentStatus))
            memory.venue.control(body)
            await stream.until(lambda: len(stream.of(InstrumentStatus)) > count)  # noqa: B023
            actions.append(stream.of(InstrumentStatus)[-1].action)
        assert actions == [
            MarketStatusAction.PAUSE,
            MarketStatusAction.TRADING,
            MarketStatusAction.QUOTING,
            MarketStatusAction.TRADING,
        ]
        await memory.stop(stream)

    in_memory(session)


# -- private --------------------------------------------------------------------------------------


async def private_stream(memory: Memory) -> Supervised:
    await memory.adapter.connect(trading=True)
    stream = memory.private()
    attach = getattr(stream.supervisor.protocol, "attach", None)
    assert attach is not None
    attach(stream.supervisor.send)
    stream.supervisor.start()
    await stream.until(lambda: stream.of(Ready))
    return stream


def print_trade(memory: Memory, price: str, size: str, side: Side = Side.BUY) -> None:
    exchange = memory.venue.exchange
    exchange.print_trade(MARKET, Decimal(price), Decimal(size), side, exchange.now_ns)


def still() -> PoloniexSimulator:
    options = PoloniexSimOptions(is_market_live=False)
    return PoloniexSimulator(now_ns=START_NS, seed=5, options=options)


def test_pushes_tell_a_whole_life() -> None:
    async def session(memory: Memory) -> None:
        stream = await private_stream(memory)
        wanted = intent(1, price=Decimal(59000))
        (outcome,) = await memory.adapter.orders.submit([wanted])
        assert isinstance(outcome, Accepted)
        await stream.until(lambda: stream.of(OrderPush))
        print_trade(memory, "59000", "0.0004", Side.SELL)
        await stream.until(lambda: len(stream.of(OrderPush)) == 2)
        (cancel,) = await memory.adapter.orders.cancel([ref(outcome.venue_order_id)])
        assert isinstance(cancel, CancelAccepted)
        await stream.until(lambda: len(stream.of(OrderPush)) == 3)
        pushes = stream.of(OrderPush)
        assert [p.order.state for p in pushes] == [
            OrderState.OPEN,
            OrderState.OPEN,
            OrderState.CANCELED,
        ]
        assert {p.order.client_order_id for p in pushes} == {wanted.client_order_id}
        fill = pushes[1].fill
        assert (fill.quantity, fill.price, fill.is_maker) == (Decimal("0.0004"), 59000, True)
        (read,) = await memory.adapter.orders.fills([ref(outcome.venue_order_id)], 0)
        assert (read.trade_id, read.fee) == (fill.trade_id, fill.fee)
        balances = {b.currency: b for b in stream.of(BalancePush)[-1].balances}
        true = memory.venue.exchange.ledger.balances("spot")
        assert {c: (b.free, b.locked) for c, b in balances.items()} == {
            c: (b.free, b.locked) for c, b in true.items()
        }
        await memory.stop(stream)

    in_memory(session, still())


def test_the_child_of_a_stop_is_pushed_under_its_parents_id() -> None:
    async def session(memory: Memory) -> None:
        stream = await private_stream(memory)
        print_trade(memory, "60000", "0.001")
        wanted = stop(1, Side.SELL, TriggerCondition.LTE, "59500", "50000")
        (outcome,) = await memory.adapter.orders.submit([wanted])
        assert isinstance(outcome, Accepted)
        print_trade(memory, "59500", "0.001", Side.SELL)
        await stream.until(lambda: any(p.fill for p in stream.of(OrderPush)))
        pushes = stream.of(OrderPush)
        assert {p.order.venue_order_id for p in pushes} == {outcome.venue_order_id}
        assert {p.order.client_order_id for p in pushes} == {wanted.client_order_id}
        assert pushes[-1].order.state is OrderState.FILLED
        assert pushes[-1].order.triggered
        assert pushes[-1].fill.venue_order_id == outcome.venue_order_id
        await memory.stop(stream)

    in_memory(session, still())


def test_the_child_is_adopted_without_a_client_id_too() -> None:
    options = PoloniexSimOptions(is_market_live=False, child_client_id="none")
    venue = PoloniexSimulator(now_ns=START_NS, seed=5, options=options)

    async def session(memory: Memory) -> None:
        stream = await private_stream(memory)
        print_trade(memory, "60000", "0.001")
        wanted = stop(1, Side.SELL, TriggerCondition.LTE, "59500", "50000")
        (outcome,) = await memory.adapter.orders.submit([wanted])
        assert isinstance(outcome, Accepted)
        print_trade(memory, "59500", "0.001", Side.SELL)
        await stream.until(lambda: any(p.fill for p in stream.of(OrderPush)))
        push = stream.of(OrderPush)[-1]
        assert push.order.venue_order_id == outcome.venue_order_id
        assert push.order.client_order_id == wanted.client_order_id
        await memory.stop(stream)

    in_memory(session, venue)


def test_the_end_of_a_replaced_order_is_swallowed() -> None:
    async def session(memory: Memory) -> None:
        stream = await private_stream(memory)
        (first,) = await memory.adapter.orders.submit([intent(1)])
        assert isinstance(first, Accepted)
        changed = intent(1, price=Decimal(51000))
        second = await memory.adapter.orders.replace(ref(first.venue_order_id), changed)
        assert isinstance(second, Accepted)
        await asyncio.sleep(1)
        told = [(p.order.venue_order_id, p.order.state) for p in stream.of(OrderPush)]
        assert told == [
            (first.venue_order_id, OrderState.OPEN),
            (second.venue_order_id, OrderState.OPEN),
        ]
        await memory.stop(stream)

    in_memory(session, still())


def test_orders_over_the_websocket_have_the_same_outcomes() -> None:
    async def session(memory: Memory) -> None:
        stream = await private_stream(memory)
        posts = memory.venue.limits
        assert posts is not None
        wanted = [intent(1), intent(2, quantity=Decimal(1000)), intent(3, kind=Kind.LIMIT)]
        one, poor, three = await memory.adapter.orders.submit(wanted)
        assert isinstance(one, Accepted)
        assert isinstance(poor, Refused)
        assert poor.code == "POLONIEX-21721"
        assert isinstance(three, Accepted)
        memory.venue.faults.next("POST", "/orders", "lose_request", times=5)  # REST is not used
        (four,) = await memory.adapter.orders.submit([intent(4)])
        assert isinstance(four, Accepted)
        ids = [one.venue_order_id, three.venue_order_id, four.venue_order_id]
        cancels = await memory.adapter.orders.cancel([ref(i) for i in ids])
        assert [type(c) for c in cancels] == [CancelAccepted] * 3
        await stream.until(lambda: len(stream.of(OrderPush)) == 6)
        await memory.stop(stream)

    in_memory(session, still(), order_transport="websocket")


def test_a_reconnect_logs_in_again_and_is_ready() -> None:
    async def session(memory: Memory) -> None:
        stream = await private_stream(memory)
        memory.venue.push.drop_all()
        await stream.until(lambda: len(stream.of(Ready)) == 2)
        (outcome,) = await memory.adapter.orders.submit([intent(1)])
        assert isinstance(outcome, Accepted)
        await stream.until(lambda: stream.of(OrderPush))
        await memory.stop(stream)

    in_memory(session, still())


def test_maintenance_and_a_revoked_key_end_the_private_stream_as_they_should() -> None:
    async def session(memory: Memory) -> None:
        stream = await private_stream(memory)
        memory.venue.control({"maintenance": True})
        memory.venue.push.drop_all()
        await stream.until(lambda: stream.of(StreamFault))
        assert stream.of(StreamFault)[0].code == "POLONIEX-MAINTENANCE"
        memory.venue.control({"maintenance": False})
        await stream.until(lambda: len(stream.of(Ready)) == 2)
        memory.venue.control({"revoked": True})
        memory.venue.push.drop_all()
        await stream.until(lambda: stream.states[-1] is StreamState.FAILED)
        assert stream.items[-1][0] == "POLONIEX-WS-AUTH"
        await memory.stop(stream)

    in_memory(session, still())


def test_the_dead_mans_switch_is_renewed_and_works_when_nobody_does() -> None:
    async def session(memory: Memory) -> None:
        await memory.adapter.connect(trading=True)
        problems: list[tuple[str, ...]] = []
        renewals = Renewals(
            lambda *told: problems.append(told), lambda *told: problems.append(told)
        )
        renewals.start(memory.adapter.renewals())
        (outcome,) = await memory.adapter.orders.submit([intent(1)])
        assert isinstance(outcome, Accepted)
        first = await memory.adapter.http.kill_switch_status()
        await asyncio.sleep(60)
        assert len(memory.venue.exchange.open_orders("spot")) == 1
        later = await memory.adapter.http.kill_switch_status()  # as the venue holds it
        assert 56_000 < later.cancellation_time - first.cancellation_time < 64_000
        await renewals.stop()  # the process is gone
        await asyncio.sleep(11)
        assert problems == []
        assert memory.venue.exchange.open_orders("spot") == []

    in_memory(session, still(), dead_mans_switch_secs=10)
