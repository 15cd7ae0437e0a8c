"""The adapter against the simulated venue on loopback: real HTTP, real WebSocket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec.structs import replace
from nautilus_trader.model import (
    BarType,
    BookType,
    InstrumentId,
    OrderBook,
    OrderBookDeltas,
    TradeTick,
)

from fairlead.adapters.base.aiohttp_transport import AiohttpWsTransport
from fairlead.adapters.base.transport import TransportError
from fairlead.adapters.base.venue import (
    Feed,
    FeedKind,
    Gap,
    ParseError,
    Send,
    StreamFault,
    Subscribed,
    VenueError,
    VenueErrorKind,
)
from fairlead.adapters.oceanex.http import WithdrawalsDisabled
from fairlead.adapters.oceanex.orders import OceanexOrders
from fairlead.adapters.oceanex.simulator import OceanexSimOptions, OceanexSimulator
from fairlead.adapters.oceanex.venue import OceanexAdapter
from fairlead.adapters.oceanex.websocket import OceanexStream
from fairlead.adapters.simulation.server import Served, serve
from fairlead.engine.orders.model import (
    Accepted,
    CancelAccepted,
    CancelRefused,
    Intent,
    Kind,
    OrderRef,
    OrderState,
    Refused,
    Side,
    TriggerCondition,
    Unknown,
    VenueOrder,
)
from fairlead.engine.secrets import Secret
from tests.support.patience import PATIENCE_SECS
from tests.venues.oceanex.conftest import context_of, pem_of

BTC = "BTC_USDT.OCEANEX"
ETH = "ETH_USDT.OCEANEX"
NONE: frozenset[str] = frozenset()


def intent(number: int = 1, **fields: Any) -> Intent:
    """A BUY LIMIT of 0.001 BTC far below the market, changed by `fields`."""
    base: dict[str, Any] = {
        "client_order_id": f"c-{number}",
        "strategy": "S-1",
        "instrument": BTC,
        "side": Side.BUY,
        "kind": Kind.LIMIT,
        "quantity": Decimal("0.001"),
        "price": Decimal("50000"),
    }
    return Intent(**(base | fields))


def stop(side: Side, condition: TriggerCondition, trigger: str, price: str) -> Intent:
    is_stop = (side is Side.BUY) == (condition is TriggerCondition.GTE)
    return intent(
        side=side,
        kind=Kind.STOP_LIMIT if is_stop else Kind.LIMIT_IF_TOUCHED,
        price=Decimal(price),
        trigger_price=Decimal(trigger),
        trigger_condition=condition,
    )


def ref(order_id: str) -> OrderRef:
    return OrderRef(instrument=BTC, venue_order_id=order_id)


async def accepted(adapter: OceanexAdapter, order: Intent) -> VenueOrder:
    (outcome,) = await adapter.orders.submit([order])
    assert isinstance(outcome, Accepted), outcome
    assert outcome.order is not None
    return outcome.order


async def until_state(adapter: OceanexAdapter, order_id: str, state: OrderState) -> VenueOrder:
    async with asyncio.timeout(PATIENCE_SECS):
        while True:
            (order,) = await adapter.orders.orders([ref(order_id)])
            if order.state is state:
                return order
            await asyncio.sleep(0.01)


# -- connecting ------------------------------------------------------------------------------------


async def test_instruments(adapter: OceanexAdapter) -> None:
    btc = adapter.instruments[BTC]
    assert (btc.symbol, btc.base, btc.quote, btc.tradable) == ("btcusdt", "BTC", "USDT", True)
    assert (btc.price_precision, btc.size_precision, btc.min_notional) == (2, 6, Decimal(10))
    assert (str(btc.nautilus.price_increment), str(btc.nautilus.size_increment)) == (
        "0.01",
        "0.000001",
    )
    assert str(btc.nautilus.min_notional) == "10.00000000 USDT"
    assert btc.nautilus.info["taker_fee"] == "0.001"
    assert (btc.buy_fee, btc.sell_fee, btc.buy_fee_in_base) == (
        Decimal("0.001"),
        Decimal("0.001"),
        True,
    )
    assert adapter.skipped == {}


async def test_fees_are_in_the_currency_received(adapter: OceanexAdapter) -> None:
    buy = adapter.orders.fee(BTC, Side.BUY, Decimal("0.5"), Decimal(60000))
    sell = adapter.orders.fee(BTC, Side.SELL, Decimal("0.5"), Decimal(60000))
    assert (buy.amount, buy.currency) == (Decimal("0.0005"), "BTC")
    assert (sell.amount, sell.currency) == (Decimal("30"), "USDT")


async def connect_error(
    served: Served, secrets: dict[str, str] | None = None, **options: Any
) -> VenueError:
    context = context_of(served, **options)
    if secrets is not None:
        changed = dict(context.secrets) | {n: Secret(t, "test") for n, t in secrets.items()}
        context = replace(context, secrets=changed)
    adapter = OceanexAdapter(context)
    with pytest.raises(VenueError) as caught:
        await adapter.connect(trading=True)
    await adapter.close()
    return caught.value


async def test_another_private_key_is_an_auth_error(served: Served, key: rsa.RSAPrivateKey) -> None:
    error = await connect_error(served, {"private_key": pem_of(key)})
    assert (error.kind, error.code) == (VenueErrorKind.AUTH, "OCEANEX-1010")


async def test_a_missing_scope_and_a_disabled_key_are_auth_errors() -> None:
    for options, code in (
        (OceanexSimOptions(scopes=("query",)), "OCEANEX-SCOPE"),
        (OceanexSimOptions(key_enabled=False), "OCEANEX-1008"),
    ):
        served = await serve(OceanexSimulator(now_ns=time.time_ns(), options=options))
        error = await connect_error(served)
        await served.stop()
        assert (error.kind, error.code) == (VenueErrorKind.AUTH, code)


async def test_a_clock_far_off_is_a_clock_error(served: Served) -> None:
    context = context_of(served)
    adapter = OceanexAdapter(replace(context, now_ns=lambda: time.time_ns() - 60 * 10**9))
    with pytest.raises(VenueError) as caught:
        await adapter.connect(trading=True)
    await adapter.close()
    assert caught.value.kind is VenueErrorKind.CLOCK


async def test_an_unknown_market_is_named_with_its_neighbour(served: Served) -> None:
    context = context_of(served)
    adapter = OceanexAdapter(replace(context, secrets={}, instruments=("BTC_USTD.OCEANEX",)))
    with pytest.raises(VenueError, match=r"did you mean BTC_USDT\.OCEANEX"):
        await adapter.connect(trading=False)
    await adapter.close()


async def test_market_data_needs_no_credentials(served: Served) -> None:
    context = context_of(served)
    adapter = OceanexAdapter(replace(context, secrets={}))
    await adapter.connect(trading=False)
    (outcome,) = await adapter.orders.submit([intent()])
    await adapter.close()
    assert isinstance(outcome, Refused)
    assert outcome.code == "OCEANEX-NO-KEY"


# -- every endpoint --------------------------------------------------------------------------------


async def test_every_endpoint_answers(adapter: OceanexAdapter) -> None:
    http = adapter.http
    assert (await http.ticker("btcusdt")).ticker.buy > 0
    assert {row.market for row in await http.tickers_multi(["btcusdt", "ethusdt"])} == {
        "btcusdt",
        "ethusdt",
    }
    assert "vetusdt" in await http.tickers()
    assert len((await http.order_book("btcusdt", 5)).asks) == 5
    assert len(await http.order_book_multi(["btcusdt", "ethusdt"], 3)) == 2
    assert await http.trades("btcusdt", limit=5) is not None
    assert len(await http.candles("btcusdt", period=1, limit=3)) == 3
    assert abs(await http.timestamp() - time.time()) < 5
    assert (await http.key())[0].state == "1"
    assert (await http.member()).accounts
    assert (await http.deposit_address("vet")).currency == "vet"
    assert (await http.deposit_addresses("vet")).resources
    assert (await http.deposit_history("vet", limit=5)).resources is not None
    assert (await http.withdraw_history("vet", limit=5)).resources == []
    assert await http.clear_orders("buy") == []


async def test_withdrawals_are_off_unless_allowed(adapter: OceanexAdapter, served: Served) -> None:
    rid = OceanexSimOptions().withdraw_rids[0]
    with pytest.raises(WithdrawalsDisabled):
        await adapter.http.withdraw(rid, "vet", Decimal(10))
    allowing = OceanexAdapter(context_of(served, allow_withdrawals=True))
    made = await allowing.http.withdraw(rid, "vet", Decimal(10), tid="t-1", memo="note")
    await allowing.close()
    assert (made.amount, made.rid) == (Decimal(10), rid)


async def test_order_status_by_query_string(served: Served) -> None:
    adapter = OceanexAdapter(context_of(served, orders_get_jwt="query"))
    await adapter.connect(trading=True)
    order = await accepted(adapter, intent())
    found = await adapter.orders.orders([ref(order.venue_order_id)])
    await adapter.close()
    assert [o.venue_order_id for o in found] == [order.venue_order_id]


# -- market data -----------------------------------------------------------------------------------


async def test_book_snapshot(adapter: OceanexAdapter) -> None:
    deltas = await adapter.market_data.book_snapshot(BTC, 20)
    book = OrderBook(InstrumentId.from_str(BTC), BookType.L2_MBP)
    book.apply_deltas(deltas)
    assert (len(book.bids()), len(book.asks())) == (20, 20)
    assert book.best_bid_price() < book.best_ask_price()


async def test_bars_are_closed_and_ascending(adapter: OceanexAdapter) -> None:
    bar_type = BarType.from_str(f"{BTC}-1-MINUTE-LAST-EXTERNAL")
    bars = await adapter.market_data.history_bars(bar_type, None, None, 3)
    stamps = [bar.ts_event for bar in bars]
    assert len(bars) == 3
    assert stamps == sorted(stamps)
    assert stamps[-1] <= time.time_ns()
    assert all(stamp % (60 * 10**9) == 0 for stamp in stamps)
    same = await adapter.market_data.history_bars(bar_type, stamps[0], stamps[1], 0)
    assert [bar.ts_event for bar in same] == stamps[:2]


async def test_bars_of_other_periods_are_refused(adapter: OceanexAdapter) -> None:
    for spec in ("3-MINUTE-LAST", "1-SECOND-LAST", "1-MINUTE-BID"):
        bar_type = BarType.from_str(f"{BTC}-{spec}-EXTERNAL")
        with pytest.raises(VenueError, match="OCEANEX-NO-BARS"):
            await adapter.market_data.history_bars(bar_type, None, None, 1)


async def test_trade_history_is_ascending(adapter: OceanexAdapter) -> None:
    async with asyncio.timeout(PATIENCE_SECS):
        while len(await adapter.market_data.history_trades(BTC, None, None, 0)) < 3:
            await asyncio.sleep(0.05)
    ticks = await adapter.market_data.history_trades(BTC, None, None, 2)
    assert len(ticks) == 2
    assert int(str(ticks[0].trade_id)) < int(str(ticks[1].trade_id))
    after = await adapter.market_data.history_trades(BTC, time.time_ns() + 10**12, None, 0)
    assert after == []
    # The venue's bounds exclude the second that they name; the adapter's include their times.
    one = ticks[0].ts_event
    within = await adapter.market_data.history_trades(BTC, one, one, 0)
    assert str(ticks[0].trade_id) in {str(tick.trade_id) for tick in within}
    assert {tick.ts_event for tick in within} == {one}


@dataclass
class Session:
    """A stream and its connection, and every item that came."""

    stream: OceanexStream
    connection: Any
    items: list[Any]

    async def until(self, done: Any) -> None:
        async with asyncio.timeout(PATIENCE_SECS):
            while not done(self.items):
                frame = await self.connection.receive()
                for item in self.stream.received(frame, time.time_ns()):
                    if isinstance(item, Send):
                        await self.connection.send(item.frame)
                    else:
                        self.items.append(item)

    def of(self, kind: type) -> list[Any]:
        return [item for item in self.items if isinstance(item, kind)]


@pytest.fixture
async def session(adapter: OceanexAdapter) -> AsyncIterator[Session]:
    stream: Any = adapter.market_data.public_stream()
    transport = AiohttpWsTransport()
    connection = await transport.connect(stream.url)
    stream.opened(time.time_ns())
    for kind in (FeedKind.BOOK, FeedKind.TRADES, FeedKind.TICKER):
        stream.subscribe(Feed(kind, BTC))
    yield Session(stream, connection, [])
    await connection.close()
    await transport.close()


async def test_stream_of_book_trades_and_tickers(session: Session, served: Served) -> None:
    await session.until(
        lambda items: (
            sum(isinstance(item, OrderBookDeltas) for item in items) > 5
            and any(isinstance(item, TradeTick) for item in items)
            and session.stream.tickers
        )
    )
    assert len(session.of(Subscribed)) == 3
    assert session.of(StreamFault) == []
    book = OrderBook(InstrumentId.from_str(BTC), BookType.L2_MBP)
    for deltas in session.of(OrderBookDeltas):
        book.apply_deltas(deltas)
    assert not session.of(OrderBookDeltas)[-1].is_snapshot
    assert book.best_bid_price() < book.best_ask_price()


async def test_a_wrong_app_key_is_fatal(served: Served) -> None:
    adapter = OceanexAdapter(context_of(served))
    await adapter.connect(trading=False)
    stream: Any = adapter.market_data.public_stream()
    transport = AiohttpWsTransport()
    connection = await transport.connect(stream.url.replace("/app/", "/app/wrong"))
    running = Session(stream, connection, [])
    await running.until(lambda items: items)
    with pytest.raises(TransportError):
        await running.until(lambda items: False)
    await transport.close()
    await adapter.close()
    assert [(f.code, f.action) for f in running.of(StreamFault)] == [
        ("OCEANEX-PUSHER-4001", "fatal")
    ]


async def test_a_malformed_frame_is_survived(session: Session, served: Served) -> None:
    await session.until(lambda items: any(isinstance(item, OrderBookDeltas) for item in items))
    simulator: Any = served.venue
    simulator.faults.next("WS", "/", "malformed")
    with pytest.raises(ParseError):
        await session.until(lambda items: False)
    # The generator yields gaps before it raises; the session keeps what came before the error.
    assert isinstance(session.items[-1], Gap)
    count = len(session.items)
    await session.until(
        lambda items: any(isinstance(item, OrderBookDeltas) for item in items[count:])
    )


# -- orders ----------------------------------------------------------------------------------------


async def test_limit_rests_and_is_cancelled(adapter: OceanexAdapter) -> None:
    order = await accepted(adapter, intent())
    assert (order.state, order.kind, order.price) == (OrderState.OPEN, Kind.LIMIT, 50000)
    open_ids = [o.venue_order_id for o in await adapter.orders.open_orders([BTC])]
    assert open_ids == [order.venue_order_id]
    (outcome,) = await adapter.orders.cancel([ref(order.venue_order_id)])
    assert isinstance(outcome, CancelAccepted)
    gone = await until_state(adapter, order.venue_order_id, OrderState.CANCELED)
    assert gone.filled == 0
    assert await adapter.orders.open_orders([BTC]) == []
    (again,) = await adapter.orders.cancel([ref(order.venue_order_id)])
    assert isinstance(again, CancelAccepted | CancelRefused)


async def test_market_order_fills(adapter: OceanexAdapter) -> None:
    before = {b.currency: b.free + b.locked for b in await adapter.orders.balances()}
    order = await accepted(adapter, intent(kind=Kind.MARKET, price=None))
    done = await until_state(adapter, order.venue_order_id, OrderState.FILLED)
    assert (done.filled, done.price) == (Decimal("0.001"), None)
    assert done.avg_price is not None
    after = {b.currency: b.free + b.locked for b in await adapter.orders.balances()}
    fee = adapter.orders.fee(BTC, Side.BUY, done.filled, done.avg_price)
    assert after["BTC"] - before["BTC"] == done.filled - fee.amount
    assert after["USDT"] < before["USDT"]


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("condition", list(TriggerCondition))
async def test_stops_wait_with_both_conditions_on_both_sides(
    adapter: OceanexAdapter, side: Side, condition: TriggerCondition
) -> None:
    trigger = "90000" if condition is TriggerCondition.GTE else "30000"
    wanted = stop(side, condition, trigger, "60000")
    order = await accepted(adapter, wanted)
    assert (order.state, order.kind, order.triggered) == (OrderState.WAITING, wanted.kind, False)
    assert (order.trigger_price, order.trigger_condition) == (Decimal(trigger), condition)
    (outcome,) = await adapter.orders.cancel([ref(order.venue_order_id)])
    assert isinstance(outcome, CancelAccepted)


async def test_a_stop_that_is_already_satisfied_triggers(adapter: OceanexAdapter) -> None:
    order = await accepted(adapter, stop(Side.BUY, TriggerCondition.GTE, "10000", "90000"))
    done = await until_state(adapter, order.venue_order_id, OrderState.FILLED)
    assert done.triggered


async def test_many_orders_of_two_markets(adapter: OceanexAdapter, served: Served) -> None:
    orders = [
        intent(1, price=Decimal(50001)),
        intent(2, instrument=ETH, quantity=Decimal("0.1"), price=Decimal(1000)),
        intent(3, side=Side.SELL, price=Decimal(90000)),
        stop(Side.SELL, TriggerCondition.LTE, "30000", "29000"),
        intent(5, post_only=True),
    ]
    outcomes = await adapter.orders.submit(orders)
    assert [type(o) for o in outcomes] == [Accepted] * 4 + [Refused]
    for wanted, outcome in zip(orders[:4], outcomes, strict=False):
        assert isinstance(outcome, Accepted)
        assert outcome.order is not None
        assert (outcome.order.instrument, outcome.order.side, outcome.order.price) == (
            wanted.instrument,
            wanted.side,
            wanted.price,
        )
    refs = [
        OrderRef(instrument=wanted.instrument, venue_order_id=outcome.venue_order_id)
        for wanted, outcome in zip(orders, outcomes, strict=True)
        if isinstance(outcome, Accepted)
    ]
    cancels = await adapter.orders.cancel([*refs, OrderRef(instrument=BTC)])
    assert [type(c) for c in cancels] == [CancelAccepted] * 4 + [CancelRefused]
    assert len(await adapter.orders.orders(refs)) == 4


async def test_refusals_are_definite(adapter: OceanexAdapter) -> None:
    poor, small, fine = (
        intent(1, quantity=Decimal(1000), price=Decimal(50000)),
        intent(2, price=Decimal("1.00")),
        intent(3, price=Decimal("50000.001")),
    )
    for wanted in (poor, small, fine):
        (outcome,) = await adapter.orders.submit([wanted])
        assert isinstance(outcome, Refused), (wanted, outcome)
    assert await adapter.orders.open_orders([BTC]) == []


async def test_a_cancel_of_no_order_is_refused(adapter: OceanexAdapter) -> None:
    (outcome,) = await adapter.orders.cancel([ref("123")])
    assert isinstance(outcome, CancelRefused)
    order = await accepted(adapter, intent())
    both = await adapter.orders.cancel([ref("123"), ref(order.venue_order_id)])
    assert [type(o) for o in both] == [Unknown, CancelAccepted]  # the answer leaves it out
    assert await adapter.orders.orders([ref("123")]) == []
    found = await adapter.orders.orders([ref("123"), ref(order.venue_order_id)])
    assert [o.venue_order_id for o in found] == [order.venue_order_id]


async def test_more_open_orders_than_a_page(adapter: OceanexAdapter) -> None:
    orders = [intent(n, price=Decimal(20000 + n)) for n in range(120)]
    outcomes = await adapter.orders.submit(orders)
    assert all(isinstance(o, Accepted) for o in outcomes)
    assert len(await adapter.orders.open_orders([BTC])) == 120
    refs = [ref(o.venue_order_id) for o in outcomes if isinstance(o, Accepted)]
    assert len(await adapter.orders.orders(refs)) == 120
    assert {type(c) for c in await adapter.orders.cancel(refs)} == {CancelAccepted}


# -- lost answers ----------------------------------------------------------------------------------


async def test_an_unreachable_venue_refuses_before_sending(served: Served) -> None:
    context = context_of(served)
    adapter = OceanexAdapter(context)
    await adapter.connect(trading=True)
    await served.stop()
    await context.http.close()  # no connection is kept
    (outcome,) = await adapter.orders.submit([intent()])
    assert isinstance(outcome, Refused)
    assert outcome.code == "OCEANEX-HTTP-CONNECT"
    await adapter.close()


async def test_what_the_venue_lacks_is_empty_or_refused(adapter: OceanexAdapter) -> None:
    assert isinstance(adapter.orders, OceanexOrders)
    assert await adapter.orders.fills([], 0) == []
    assert isinstance(await adapter.orders.replace(ref("1"), intent()), Refused)
