"""Orders through the adapter at the simulated venue: outcomes, lists, and what was lost."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from fairlead.adapters.base.limits import ReadLimits
from fairlead.adapters.base.venue import AdapterContext, Feed, FeedKind, VenueError, VenueErrorKind
from fairlead.adapters.piexgo.config import PiexgoOptions
from fairlead.adapters.piexgo.errors import ERROR_CODES
from fairlead.adapters.piexgo.orders import OPEN_AT_ONCE_MAX
from fairlead.adapters.piexgo.venue import CAPABILITIES, SPEC, PiexgoAdapter
from fairlead.adapters.simulation.memory import InMemoryHttp
from fairlead.engine.orders.model import (
    Absent,
    Accepted,
    CancelAccepted,
    CancelRefused,
    Found,
    Intent,
    Kind,
    Lost,
    OrderRef,
    OrderState,
    Refused,
    Side,
    Tif,
    TriggerCondition,
    Unknown,
    Unsure,
    VenueOrder,
    VenueUnavailable,
)
from fairlead.engine.secrets import Secret
from tests.venues.piexgo.simulator_kit import MS, Desk

BTC, ETH = "BTC_USDT.PIEXGO", "ETH_USDT.PIEXGO"
NONE: frozenset[str] = frozenset()
GTE, LTE = TriggerCondition.GTE, TriggerCondition.LTE

LATER_MS = 4_000  # what is that much older than an order is not it


class World:
    """The adapter, connected for trading, at a venue whose clock is moved by hand."""

    def __init__(self, options: dict[str, Any], venue: dict[str, Any]) -> None:
        self.desk = Desk(**venue)
        self.sim = self.desk.sim
        secrets = {"key": Secret(self.desk.key, "test"), "secret": Secret(self.desk.secret, "test")}
        self.adapter = PiexgoAdapter(
            AdapterContext(
                venue="PIEXGO",
                options=PiexgoOptions(http_url="http://x", requests_per_second=10_000, **options),
                secrets=secrets,
                http=InMemoryHttp(self.sim, lambda: self.desk.now_ns),
                now_ns=lambda: self.desk.now_ns,
                instruments=(BTC,),
                reads=ReadLimits(tries_max=1),
            )
        )
        self.orders = self.adapter.orders
        self.desk.print("60000")

    async def accepted(self, wanted: Intent) -> VenueOrder:
        (outcome,) = await self.orders.submit([wanted])
        assert isinstance(outcome, Accepted), outcome
        return await self.state(outcome.venue_order_id)

    async def state(self, order_id: str) -> VenueOrder:
        (found,) = await self.orders.orders([ref(order_id)])
        assert found.venue_order_id == order_id
        return found


async def world(options: dict[str, Any] | None = None, **venue: Any) -> World:
    made = World(options or {}, venue)
    await made.adapter.connect(trading=True)
    return made


def intent(number: int = 1, **fields: Any) -> Intent:
    base: dict[str, Any] = {
        "client_order_id": f"C-{number}",
        "strategy": "S-1",
        "instrument": BTC,
        "side": Side.BUY,
        "kind": Kind.LIMIT,
        "quantity": Decimal("0.01"),
        "price": Decimal("50000"),
    }
    return Intent(**(base | fields))


def stop(side: Side, condition: TriggerCondition, trigger: str) -> Intent:
    is_stop = (side is Side.BUY) == (condition is GTE)
    return intent(
        side=side,
        kind=Kind.STOP_LIMIT if is_stop else Kind.LIMIT_IF_TOUCHED,
        price=Decimal(trigger),
        trigger_price=Decimal(trigger),
        trigger_condition=condition,
    )


def ref(order_id: str, instrument: str = BTC) -> OrderRef:
    return OrderRef(instrument=instrument, venue_order_id=order_id)


# -- connecting ------------------------------------------------------------------------------------


async def test_the_adapter_offers_what_the_venue_has() -> None:
    found = await world()
    assert set(found.adapter.instruments) == {f"{market}.PIEXGO" for market in found.sim.markets}
    assert found.adapter.clock_offset_ms == 0
    assert SPEC.capabilities is CAPABILITIES
    assert Kind.LIMIT_IF_TOUCHED not in CAPABILITIES.kinds
    assert not CAPABILITIES.client_order_ids
    assert found.adapter.private_stream() is not None


async def test_a_wrong_key_and_an_unknown_market_are_told() -> None:
    bad = World({}, {})
    bad.sim.take_credentials({"key": "other", "secret": "other"})
    with pytest.raises(VenueError) as caught:
        await bad.adapter.connect(trading=True)
    assert caught.value.kind is VenueErrorKind.AUTH
    named = World({}, {})
    named.adapter._named = ("BTC_USD.PIEXGO",)
    with pytest.raises(VenueError, match=r"did you mean BTC_USDT\.PIEXGO"):
        await named.adapter.connect(trading=False)


# -- submit ----------------------------------------------------------------------------------------


async def test_each_kind_that_the_venue_has() -> None:
    venue = await world()
    limit = await venue.accepted(intent())
    assert (limit.state, limit.price, limit.kind) == (OrderState.OPEN, 50000, Kind.LIMIT)
    market = await venue.accepted(intent(kind=Kind.MARKET, price=None))
    assert (market.state, market.filled, market.kind) == (
        OrderState.FILLED,
        Decimal("0.01"),
        Kind.MARKET,
    )
    for side, condition, trigger in ((Side.BUY, GTE, "61000"), (Side.SELL, LTE, "59000")):
        waiting = await venue.accepted(stop(side, condition, trigger))
        assert (waiting.state, waiting.kind) == (OrderState.WAITING, Kind.STOP_LIMIT)
        assert waiting.trigger_price == Decimal(trigger)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (stop(Side.BUY, LTE, "59000"), "LIMIT_IF_TOUCHED"),
        (stop(Side.SELL, GTE, "61000"), "LIMIT_IF_TOUCHED"),
        (intent(time_in_force=Tif.IOC), "time in force IOC"),
        (intent(time_in_force=Tif.FOK), "time in force FOK"),
        (intent(post_only=True), "post-only"),
        (intent(instrument="X_Y.PIEXGO"), "no market"),
        (intent(price=None), "no price"),
        (intent(kind=Kind.STOP_LIMIT), "no trigger"),
        (
            msgspec.structs.replace(stop(Side.BUY, GTE, "61000"), trigger_condition=LTE),
            "STOP_LIMIT BUY with lte",
        ),
    ],
)
async def test_what_the_venue_lacks_is_refused_by_name(wanted: Intent, words: str) -> None:
    venue = await world()
    (outcome,) = await venue.orders.submit([wanted])
    assert isinstance(outcome, Refused)
    assert words in outcome.message
    assert "not sent" in outcome.message or "no market" in outcome.message
    assert venue.sim.exchange.orders("main") == []


async def test_a_market_buy_can_be_refused() -> None:
    venue = await world({"market_buy": "refuse"})
    buy, sell = (intent(side=side, kind=Kind.MARKET, price=None) for side in Side)
    outcomes = await venue.orders.submit([buy, sell])
    assert [type(outcome) for outcome in outcomes] == [Refused, Accepted]


@pytest.mark.parametrize(
    ("side", "condition", "trigger", "is_passed"),
    [
        (Side.BUY, GTE, "60000", True),
        (Side.BUY, GTE, "59000", True),
        (Side.BUY, GTE, "60000.01", False),
        (Side.SELL, LTE, "60000", True),
        (Side.SELL, LTE, "61000", True),
        (Side.SELL, LTE, "59999.99", False),
    ],
)
async def test_a_stop_that_is_passed_is_not_sent(
    side: Side, condition: TriggerCondition, trigger: str, is_passed: bool
) -> None:
    """The venue may wait for it the other way: which, nothing tells."""
    venue = await world()
    stream: Any = venue.adapter.market_data.public_stream()
    deal = {"time": venue.desk.now_ns // MS, "direct": 0, "price": "60000", "vol": "1"}
    frame = json.dumps({"topic": "dealinfo", "symbol": "btc_usdt", "deals": [deal]})
    stream.subscribe(Feed(FeedKind.TRADES, BTC))
    list(stream.received(frame, venue.desk.now_ns))
    (outcome,) = await venue.orders.submit([stop(side, condition, trigger)])
    assert isinstance(outcome, Refused if is_passed else Accepted)
    venue.desk.wait(2_001)  # a price that is old tells nothing
    (outcome,) = await venue.orders.submit([stop(side, condition, trigger)])
    assert isinstance(outcome, Accepted)


@pytest.mark.parametrize("code", [*ERROR_CODES, 99999])
async def test_every_code_of_a_create(code: int) -> None:
    venue = await world()
    venue.sim.fail_next("/api/v1/order", code)
    (outcome,) = await venue.orders.submit([intent()])
    is_definite = code >= 10200 and code != 99999
    assert isinstance(outcome, Refused if is_definite else Unknown)
    assert len(venue.sim.exchange.orders("main")) == 0


# -- cancel ----------------------------------------------------------------------------------------


async def test_cancels_of_two_markets_in_lots_of_fifty() -> None:
    venue = await world(balances={"USDT": Decimal(10**6)})
    ids = [(await venue.accepted(intent(n))).venue_order_id for n in range(60)]
    eth = intent(instrument=ETH, price=Decimal(2000))
    (other,) = await venue.orders.submit([eth])
    assert isinstance(other, Accepted)
    refs = [*map(ref, ids), ref(other.venue_order_id, ETH), ref("")]
    outcomes = await venue.orders.cancel(refs)
    assert [type(o) for o in outcomes] == [*[CancelAccepted] * 61, CancelRefused]
    assert venue.sim.exchange.open_orders("main") == []
    states = await venue.orders.orders([*map(ref, ids), ref(other.venue_order_id, ETH)])
    assert {state.state for state in states} == {OrderState.CANCELED}
    assert len(states) == 61


async def test_a_lot_that_is_refused_is_tried_one_by_one() -> None:
    venue = await world()
    ids = [(await venue.accepted(intent(n))).venue_order_id for n in range(3)]
    venue.sim.fail_next("/api/v1/cancelOrders", 10300)
    outcomes = await venue.orders.cancel([ref(order_id) for order_id in ids])
    assert outcomes == [CancelAccepted()] * 3
    assert venue.sim.exchange.open_orders("main") == []


@pytest.mark.parametrize("code", [10101, 99999])
async def test_a_cancel_that_proves_nothing_is_unknown(code: int) -> None:
    venue = await world()
    order = await venue.accepted(intent())
    venue.sim.fail_next("/api/v1/cancelOrder", code, is_executed=True)
    (outcome,) = await venue.orders.cancel([ref(order.venue_order_id)])
    assert isinstance(outcome, Unknown)
    assert (await venue.state(order.venue_order_id)).state is OrderState.CANCELED


async def test_a_cancel_needs_no_markets() -> None:
    """So that the kill switch asks for nothing else."""
    venue = World({}, {})
    order_id = venue.desk.order("BUY", "0.01", "50000")
    outcomes = await venue.orders.cancel([ref(order_id)])
    assert outcomes == [CancelAccepted()]
    assert not venue.adapter.instruments


# -- states ----------------------------------------------------------------------------------------


async def test_fills_are_exact_though_averages_are_rounded() -> None:
    venue = await world()
    order = await venue.accepted(intent(quantity=Decimal("0.3"), price=Decimal("60500")))
    assert order.filled > 0
    (ledger,) = venue.sim.exchange.orders("main")
    assert order.avg_price is not None
    assert order.avg_price * order.filled == ledger.funds
    for _ in range(60):  # it leaves the first page of its history
        venue.desk.order("SELL", "0.001")
    later = await venue.state(order.venue_order_id)
    assert later.avg_price is not None
    assert later.avg_price * later.filled == ledger.funds


async def test_an_order_that_the_venue_does_not_know_is_left_out() -> None:
    venue = await world()
    order = await venue.accepted(intent())
    known = ref(order.venue_order_id)
    found = await venue.orders.orders([ref("123"), known, ref("1,2")])
    assert [state.venue_order_id for state in found] == [order.venue_order_id]
    venue.sim.fail_next("/api/v1/orderInfo", 10101)
    with pytest.raises(VenueUnavailable):
        await venue.orders.orders([ref("123"), known])


async def test_open_orders_are_whole_while_pages_shift(monkeypatch: pytest.MonkeyPatch) -> None:
    """An order that ends between two pages moves the others up: none is passed over."""
    venue = await world(balances={"USDT": Decimal(10**6)})
    ids = [(await venue.accepted(intent(n))).venue_order_id for n in range(110)]
    ended = iter(ids[::-1])
    read, pages = venue.adapter.http.open_orders, []

    async def shifting(page: int = 0) -> Any:
        found = await read(page)
        pages.append(page)
        if len(pages) < 3:
            venue.desk.ok("/api/v1/cancelOrder", symbol="BTC_USDT", order_id=next(ended))
        return found

    monkeypatch.setattr(venue.adapter.http, "open_orders", shifting)
    found = {order.venue_order_id for order in await venue.orders.open_orders([BTC])}
    assert set(ids[:-2]) <= found
    assert pages[:3] == [0, 1, 2]
    assert await venue.orders.open_orders([ETH]) == []
    with pytest.raises(VenueUnavailable):
        await venue.orders.open_orders(["X_Y.PIEXGO"])


async def test_balances_and_fees() -> None:
    venue = await world()
    await venue.accepted(intent())
    balances = {b.currency: b for b in await venue.orders.balances()}
    assert (balances["USDT"].free, balances["USDT"].locked) == (99_500, 500)
    buy = venue.orders.fee(BTC, Side.BUY, Decimal(2), Decimal(100))
    sell = venue.orders.fee(BTC, Side.SELL, Decimal(2), Decimal(100))
    assert (buy.amount, buy.currency) == (Decimal("0.003"), "BTC")
    assert (sell.amount, sell.currency) == (Decimal("0.3"), "USDT")
    venue.sim.fail_next("/api/v1/account", 10440)
    with pytest.raises(VenueUnavailable) as caught:
        await venue.orders.balances()
    assert caught.value.is_auth


# -- what was lost ---------------------------------------------------------------------------------


async def lose(venue: World, wanted: Intent, *, is_executed: bool = True) -> int:
    """Submit so that the answer proves nothing. Returns the time of sending."""
    venue.sim.fail_next("/api/v1/order", 10101, is_executed=is_executed)
    sent = venue.desk.now_ns
    (outcome,) = await venue.orders.submit([wanted])
    assert isinstance(outcome, Unknown)
    return sent


@pytest.mark.parametrize("end", ["rests", "fills", "cancelled"])
async def test_a_lost_order_is_found_wherever_it_is(end: str) -> None:
    venue = await world()
    twin = await venue.accepted(intent())
    sent = await lose(venue, intent())
    lost = venue.sim.exchange.orders("main")[-1]
    if end == "fills":
        venue.desk.print("49000", "9")
    elif end == "cancelled":
        venue.desk.ok("/api/v1/cancelOrder", symbol="BTC_USDT", order_id=str(lost.id))
    found = await venue.orders.find(intent(), frozenset({twin.venue_order_id}), sent)
    assert isinstance(found, Found)
    assert found.order.venue_order_id == str(lost.id)
    both = await venue.orders.find(intent(), NONE, sent)
    assert isinstance(both, Unsure)
    assert both.ambiguous
    assert len(both.candidates) == 2


async def test_an_order_that_never_was_is_absent() -> None:
    venue = await world()
    await venue.accepted(intent(quantity=Decimal("0.02")))
    sent = await lose(venue, intent(), is_executed=False)
    assert isinstance(await venue.orders.find(intent(), NONE, sent), Absent)


@pytest.mark.parametrize(
    ("change", "is_found"),
    [
        ({}, True),
        ({"side": Side.SELL}, False),
        ({"price": Decimal("50000.01")}, False),
        ({"quantity": Decimal("0.0101")}, False),
        ({"kind": Kind.MARKET, "price": None}, False),
        ({"instrument": ETH}, False),
    ],
)
async def test_every_field_counts(change: dict[str, Any], is_found: bool) -> None:
    venue = await world()
    sent = await lose(venue, intent())
    result = await venue.orders.find(intent(**change), NONE, sent)
    assert isinstance(result, Found if is_found else Absent)


async def test_older_orders_are_not_it() -> None:
    venue = await world()
    await lose(venue, intent())
    venue.desk.wait(LATER_MS)
    result = await venue.orders.find(intent(), NONE, venue.desk.now_ns)
    assert isinstance(result, Absent)


@pytest.mark.parametrize("path", ["openOrders", "tradeOrderHistory", "canceledOrderHistory"])
async def test_a_list_that_could_not_be_read_proves_nothing(path: str) -> None:
    venue = await world()
    sent = await lose(venue, intent(), is_executed=False)
    venue.sim.fail_next(f"/api/v1/{path}", 10103)
    results = await venue.orders.find_all([Lost(intent(), NONE, sent)] * 2)
    assert [type(result) for result in results] == [Unsure, Unsure]


async def test_a_lost_stop_is_unsure_until_one_was_seen_waiting() -> None:
    hiding = await world(hides_waiting=True)
    wanted = stop(Side.BUY, GTE, "61000")
    sent = await lose(hiding, wanted)
    assert isinstance(await hiding.orders.find(wanted, NONE, sent), Unsure)
    hiding.desk.print("61000")  # it fires
    assert isinstance(await hiding.orders.find(wanted, NONE, sent), Found)
    listing = await world()
    sent = await lose(listing, wanted)
    found = await listing.orders.find(wanted, NONE, sent)
    assert isinstance(found, Found)
    assert (found.order.state, found.order.trigger_condition) == (OrderState.WAITING, GTE)
    other = stop(Side.SELL, LTE, "59000")
    assert isinstance(await listing.orders.find(other, NONE, sent), Absent)
    told = await world({"lists_triggers": True})
    assert isinstance(await told.orders.find(other, NONE, sent), Absent)


async def test_long_lived_orders_that_ended_lately_hide_nothing() -> None:
    """A history may be ordered by when orders ended: the older rows on its first pages are none."""
    funds = {"USDT": Decimal(10**6), "BTC": Decimal(1)}
    venue = await world(balances=funds, history_kept=10_000)
    old = [venue.desk.order("BUY", "0.001", "50000") for _ in range(120)]
    venue.desk.wait(LATER_MS)
    sent = await lose(venue, intent(side=Side.SELL, price=Decimal("60000")))
    lost = venue.sim.exchange.orders("main")[-1]
    venue.desk.print("60500", "9", Side.BUY)
    venue.desk.print("49000", "9")  # all of the old ones end after it
    orders = venue.sim.exchange._by_account["main"]
    orders.sort(key=lambda order: order.ts_updated * 10 + (order.id != lost.id))
    assert [str(order.id) for order in orders[1:]] == old
    assert len(old) < OPEN_AT_ONCE_MAX
    result = await venue.orders.find(intent(side=Side.SELL, price=Decimal("60000")), NONE, sent)
    assert isinstance(result, Found)
