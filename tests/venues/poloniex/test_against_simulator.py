"""The adapter's orders and reads against the simulated venue on loopback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace
from nautilus_trader.model import BarType

from fairlead.adapters.base.aiohttp_transport import AiohttpTransport
from fairlead.adapters.base.venue import VenueError, VenueErrorKind
from fairlead.adapters.poloniex.simulator import PoloniexSimOptions, PoloniexSimulator
from fairlead.adapters.poloniex.venue import PoloniexAdapter
from fairlead.adapters.simulation.server import Served, serve
from fairlead.engine.orders.model import (
    Absent,
    Accepted,
    CancelAccepted,
    CancelRefused,
    Found,
    Intent,
    Kind,
    Lost,
    OrderState,
    Refused,
    Side,
    Tif,
    TriggerCondition,
    Unknown,
    Unsure,
    VenueOrder,
)
from fairlead.engine.secrets import Secret
from tests.support.patience import PATIENCE_SECS
from tests.venues.poloniex.simulator_kit import (
    BTC,
    NONE,
    adapter_of,
    context_of,
    intent,
    ref,
    simulator_of,
    stop,
)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """A market that stands still."""
    options = PoloniexSimOptions(is_market_live=False, states={"TRX_USDT": "PAUSE"})
    running = await serve(PoloniexSimulator(now_ns=time.time_ns(), seed=7, options=options))
    yield running
    await running.stop()


@pytest.fixture
async def adapter(served: Served) -> AsyncIterator[PoloniexAdapter]:
    made = adapter_of(served)
    await made.connect(trading=True)
    yield made
    await made.close()


async def accepted(adapter: PoloniexAdapter, wanted: Intent) -> str:
    (outcome,) = await adapter.orders.submit([wanted])
    assert isinstance(outcome, Accepted), outcome
    return outcome.venue_order_id


async def refused(adapter: PoloniexAdapter, wanted: Intent) -> str:
    (outcome,) = await adapter.orders.submit([wanted])
    assert isinstance(outcome, Refused), outcome
    return outcome.code


async def now(adapter: PoloniexAdapter, venue_order_id: str) -> VenueOrder:
    (order,) = await adapter.orders.orders([ref(venue_order_id)])
    return order


async def until_state(
    adapter: PoloniexAdapter, venue_order_id: str, state: OrderState
) -> VenueOrder:
    async with asyncio.timeout(PATIENCE_SECS):
        while True:
            order = await now(adapter, venue_order_id)
            if order.state is state:
                return order
            await asyncio.sleep(0.02)


def print_trade(served: Served, price: str, size: str = "0.01") -> None:
    exchange = served.venue.exchange
    exchange.print_trade("BTC_USDT", Decimal(price), Decimal(size), Side.BUY, exchange.now_ns)


# -- connecting -----------------------------------------------------------------------------------


async def test_instruments_of_every_state(adapter: PoloniexAdapter) -> None:
    btc, trx = adapter.instruments[BTC], adapter.instruments["TRX_USDT.POLONIEX"]
    assert (btc.price_precision, btc.size_precision, btc.min_notional) == (2, 6, Decimal(1))
    assert (btc.maker_fee, btc.taker_fee) == (Decimal("0.00145"), Decimal("0.00155"))
    assert (btc.tradable, trx.tradable, trx.state) == (True, False, "PAUSE")


async def connect_error(served: Served, **changes: Any) -> VenueError:
    context = context_of(served.describe(), AiohttpTransport())
    made = PoloniexAdapter(replace(context, **changes))
    with pytest.raises(VenueError) as caught:
        await made.connect(trading=True)
    await made.close()
    return caught.value


async def test_wrong_and_revoked_keys_are_auth_errors(served: Served) -> None:
    key = served.describe()["credentials"]["key"]  # type: ignore[index]
    wrong = {"key": Secret(key, "test"), "secret": Secret("wrong", "test")}
    error = await connect_error(served, secrets=wrong)
    assert (error.kind, error.code) == (VenueErrorKind.AUTH, "POLONIEX-HTTP-401")
    simulator_of(served).control({"revoked": True})
    assert (await connect_error(served)).kind is VenueErrorKind.AUTH


async def test_a_clock_that_is_off_is_measured_and_made_up_for(served: Served) -> None:
    for offset_secs in (-30, 30):
        context = context_of(
            served.describe(),
            AiohttpTransport(),
            lambda secs=offset_secs: time.time_ns() + secs * 10**9,  # type: ignore[misc]
        )
        made = PoloniexAdapter(context)
        await made.connect(trading=True)
        offset = made.http.clock.offset
        assert offset is not None
        assert abs(offset.likely_ns + offset_secs * 10**9) < 10**9
        await accepted(made, intent(100 + offset_secs))
        await made.close()


async def test_a_clock_that_jumped_refuses_and_is_measured_again(served: Served) -> None:
    jump = [0]
    context = context_of(served.describe(), AiohttpTransport(), lambda: time.time_ns() + jump[0])
    made = PoloniexAdapter(context)
    await made.connect(trading=True)
    jump[0] = 5 * 10**9
    assert await refused(made, intent(1)) == "POLONIEX-400"
    await accepted(made, intent(2))
    await made.close()


# -- every endpoint -------------------------------------------------------------------------------


async def test_every_endpoint_answers(adapter: PoloniexAdapter, served: Served) -> None:
    http = adapter.http
    print_trade(served, "60000")
    assert {m.symbol for m in await http.markets()} >= {"BTC_USDT", "BTS_BTC"}
    assert (await http.market("BTC_USDT")).symbol == "BTC_USDT"
    assert "BTC" in await http.currencies(multi_chain=True)
    assert (await http.currency("BTC")).name == "BTC"
    assert {c.coin for c in await http.currencies_v2()} >= {"BTC", "USDT"}
    assert (await http.currency_v2("BTC")).coin == "BTC"
    assert {p.symbol for p in await http.prices()} >= {"BTC_USDT"}
    assert (await http.price("BTC_USDT")).price == 60000
    assert {m.symbol for m in await http.mark_prices()} == {"BTC_USDT", "ETH_USDT"}
    assert (await http.mark_price("BTC_USDT")).mark_price == 60000
    assert (await http.mark_price_components("BTC_USDT")).components
    assert len((await http.order_book("BTC_USDT", limit=5)).asks) == 10
    assert len(await http.candles("BTC_USDT", "HOUR_1", limit=3)) == 3
    assert (await http.public_trades("BTC_USDT", limit=1))[0].quantity == "0.01"
    assert (await http.ticker("BTC_USDT")).close == 60000
    (account,) = await http.accounts()
    assert await http.account_balances(account.account_id)
    assert (await http.fee_info()).maker_rate == Decimal("0.00145")
    armed = await http.kill_switch(60)
    assert (await http.kill_switch_status()) == armed
    await http.kill_switch(-1)
    with pytest.raises(VenueError, match="POLONIEX-25020"):
        await http.kill_switch_status()


async def test_tickers_and_history(adapter: PoloniexAdapter, served: Served) -> None:
    for price in ("60000", "60001", "60002"):
        print_trade(served, price)
    assert {t.symbol for t in await adapter.http.tickers()} >= {"BTC_USDT"}
    ticks = await adapter.market_data.history_trades(BTC, None, None, 3)
    assert [str(t.price) for t in ticks] == ["60000.00", "60001.00", "60002.00"]
    bar_type = BarType.from_str(f"{BTC}-5-MINUTE-LAST-EXTERNAL")
    bars = await adapter.market_data.history_bars(bar_type, None, None, 5)
    stamps = [bar.ts_event for bar in bars]
    assert (len(bars), stamps) == (5, sorted(stamps))
    assert stamps[-1] <= time.time_ns()


# -- orders of every kind -------------------------------------------------------------------------


async def test_limit_rests_is_listed_and_cancelled(adapter: PoloniexAdapter) -> None:
    venue_id = await accepted(adapter, intent())
    (listed,) = await adapter.orders.open_orders([BTC])
    assert (listed.venue_order_id, listed.state, listed.price) == (
        venue_id,
        OrderState.OPEN,
        50000,
    )
    assert listed.client_order_id == intent().client_order_id
    (outcome,) = await adapter.orders.cancel([ref(venue_id)])
    assert isinstance(outcome, CancelAccepted)
    await until_state(adapter, venue_id, OrderState.CANCELED)
    (again,) = await adapter.orders.cancel([ref(venue_id)])
    assert isinstance(again, CancelRefused)
    (unknown,) = await adapter.orders.cancel([ref("12345")])
    assert isinstance(unknown, CancelRefused)


@pytest.mark.parametrize("side", list(Side))
async def test_market_orders_fill_with_fees_in_the_currency_received(
    adapter: PoloniexAdapter, side: Side
) -> None:
    before = {b.currency: b.free + b.locked for b in await adapter.orders.balances()}
    wanted = intent(kind=Kind.MARKET, price=None, side=side)
    venue_id = await accepted(adapter, wanted)
    done = await until_state(adapter, venue_id, OrderState.FILLED)
    assert done.filled == Decimal("0.001")
    fills = await adapter.orders.fills([ref(venue_id)], 0)
    assert sum(f.quantity for f in fills) == done.filled
    after = {b.currency: b.free + b.locked for b in await adapter.orders.balances()}
    fee = sum(f.fee for f in fills)
    value = sum(f.quantity * f.price for f in fills)
    assert {f.fee_currency for f in fills} == {"BTC" if side is Side.BUY else "USDT"}
    if side is Side.BUY:
        assert after["BTC"] - before["BTC"] == done.filled - fee
        assert before["USDT"] - after["USDT"] == value
    else:
        assert after["USDT"] - before["USDT"] == value - fee


async def test_times_in_force_and_post_only(adapter: PoloniexAdapter) -> None:
    for number, tif in enumerate((Tif.IOC, Tif.FOK)):
        venue_id = await accepted(adapter, intent(number, time_in_force=tif))
        assert (await now(adapter, venue_id)).state is OrderState.CANCELED
    resting = await accepted(adapter, intent(10, post_only=True))
    assert (await now(adapter, resting)).post_only
    crossing = await accepted(adapter, intent(11, post_only=True, price=Decimal(70000)))
    assert (await now(adapter, crossing)).state is OrderState.REFUSED


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"quantity": Decimal(1000)}, "POLONIEX-21709"),
        ({"quantity": Decimal("0.00001")}, "POLONIEX-21322"),
        ({"price": Decimal("50000.001")}, "POLONIEX-21335"),
        ({"quantity": Decimal("0.0010001")}, "POLONIEX-21336"),
        ({"instrument": "TRX_USDT.POLONIEX", "price": Decimal(1)}, "POLONIEX-10041"),
    ],
)
async def test_refusals_are_definite(
    adapter: PoloniexAdapter, fields: dict[str, Any], code: str
) -> None:
    if fields.get("instrument"):
        fields = fields | {"quantity": Decimal(10)}
    assert await refused(adapter, intent(**fields)) == code
    assert await adapter.orders.open_orders([BTC, "TRX_USDT.POLONIEX"]) == []


async def test_modes_of_the_venue_refuse(adapter: PoloniexAdapter, served: Served) -> None:
    venue = simulator_of(served)
    for number, (mode, code) in enumerate((("maintenance", 21340), ("post_only", 21341))):
        venue.control({mode: True})
        assert await refused(adapter, intent(number)) == f"POLONIEX-{code}"
        venue.control({mode: False})
    await accepted(adapter, intent(9))


async def test_a_batch_has_mixed_results(adapter: PoloniexAdapter) -> None:
    wanted = [
        intent(1),
        intent(2, quantity=Decimal(1000)),
        intent(3, side=Side.SELL, price=Decimal(90000)),
        stop(4, Side.BUY, TriggerCondition.GTE, "65000", "65100"),
        intent(1),  # the same client id: an order with it exists
        intent(5, reduce_only=True),
    ]
    outcomes = await adapter.orders.submit(wanted)
    assert [type(o) for o in outcomes] == [
        Accepted,
        Refused,
        Accepted,
        Accepted,
        Unknown,
        Accepted,
    ]
    ids = [o.venue_order_id for o in outcomes if isinstance(o, Accepted)]
    assert {o.venue_order_id for o in await adapter.orders.open_orders([BTC])} == set(ids)
    cancels = await adapter.orders.cancel([*map(ref, ids), ref("7")])
    assert [type(c) for c in cancels] == [CancelAccepted] * 4 + [CancelRefused]


async def test_cancel_all(adapter: PoloniexAdapter) -> None:
    await accepted(adapter, intent(1))
    await accepted(adapter, stop(2, Side.BUY, TriggerCondition.GTE, "65000", "65100"))
    orders: Any = adapter.orders
    assert await orders.cancel_all([BTC]) == 2
    async with asyncio.timeout(PATIENCE_SECS):
        while await adapter.orders.open_orders([BTC]):
            await asyncio.sleep(0.02)


async def test_replace_keeps_the_clients_identity(adapter: PoloniexAdapter) -> None:
    first = await accepted(adapter, intent(1))
    outcome = await adapter.orders.replace(ref(first), intent(1, price=Decimal(51000)))
    assert isinstance(outcome, Accepted), outcome
    (order,) = await adapter.orders.open_orders([BTC])
    assert (order.venue_order_id, order.price) == (outcome.venue_order_id, 51000)
    assert order.client_order_id == intent(1).client_order_id
    again = await adapter.orders.replace(ref(first), intent(1, price=Decimal(52000)))
    assert isinstance(again, Refused)
    poor = await adapter.orders.replace(
        ref(outcome.venue_order_id), intent(1, quantity=Decimal(1000))
    )
    assert isinstance(poor, Refused)
    await until_state(adapter, outcome.venue_order_id, OrderState.CANCELED)


# -- stops ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("condition", list(TriggerCondition))
async def test_a_stop_waits_triggers_and_its_child_is_adopted(
    adapter: PoloniexAdapter, served: Served, side: Side, condition: TriggerCondition
) -> None:
    print_trade(served, "60000")
    rises = condition is TriggerCondition.GTE
    trigger, before = ("60100", "60099.99") if rises else ("59900", "59900.01")
    limit = "70000" if side is Side.BUY else "50000"
    wanted = stop(1, side, condition, trigger, limit)
    venue_id = await accepted(adapter, wanted)
    print_trade(served, before)
    waiting = await now(adapter, venue_id)
    assert (waiting.state, waiting.kind) == (OrderState.WAITING, wanted.kind)
    assert (waiting.trigger_condition, waiting.trigger_price) == (condition, Decimal(trigger))
    print_trade(served, trigger)
    done = await now(adapter, venue_id)
    assert (done.state, done.triggered, done.venue_order_id) == (OrderState.FILLED, True, venue_id)
    assert done.client_order_id == wanted.client_order_id
    fills = await adapter.orders.fills([ref(venue_id)], 0)
    assert {f.venue_order_id for f in fills} == {venue_id}
    assert sum(f.quantity for f in fills) == wanted.quantity


async def test_the_guard_keeps_a_stop_whose_condition_is_true_from_the_venue(
    adapter: PoloniexAdapter, served: Served
) -> None:
    print_trade(served, "60000")
    wanted = stop(1, Side.BUY, TriggerCondition.GTE, "59000", "61000")
    assert await refused(adapter, wanted) == "POLONIEX-TRIGGER-CROSSED"
    limit = adapter_of(served, trigger_crossed="limit")
    await limit.connect(trading=True)
    venue_id = await accepted(limit, wanted)
    assert (await now(limit, venue_id)).state is OrderState.FILLED
    await limit.close()


async def test_a_triggered_stop_is_cancelled_and_found_by_another_process(
    adapter: PoloniexAdapter, served: Served
) -> None:
    print_trade(served, "60000")
    wanted = stop(1, Side.SELL, TriggerCondition.GTE, "60100", "80000")
    venue_id = await accepted(adapter, wanted)
    print_trade(served, "60100")
    restarted = adapter_of(served)  # knows nothing of parents and children
    await restarted.connect(trading=True)
    (listed,) = await restarted.orders.open_orders([BTC])
    assert (listed.venue_order_id, listed.state, listed.triggered) == (
        venue_id,
        OrderState.OPEN,
        True,
    )
    (outcome,) = await restarted.orders.cancel([ref(venue_id)])
    assert isinstance(outcome, CancelAccepted)
    await until_state(restarted, venue_id, OrderState.CANCELED)
    await restarted.close()


async def test_a_triggered_stop_without_funds_is_refused_by_the_venue(
    adapter: PoloniexAdapter, served: Served
) -> None:
    print_trade(served, "60000")
    wanted = stop(1, Side.BUY, TriggerCondition.GTE, "60100", "70000")
    venue_id = await accepted(adapter, replace(wanted, quantity=Decimal(100)))
    print_trade(served, "60100")
    assert (await now(adapter, venue_id)).state is OrderState.REFUSED


async def test_a_stop_is_replaced(adapter: PoloniexAdapter, served: Served) -> None:
    print_trade(served, "60000")
    old = stop(1, Side.BUY, TriggerCondition.GTE, "61000", "61100")
    first = await accepted(adapter, old)
    new = stop(1, Side.BUY, TriggerCondition.GTE, "62000", "62100")
    outcome = await adapter.orders.replace(ref(first), new)
    assert isinstance(outcome, Accepted), outcome
    (order,) = await adapter.orders.open_orders([BTC])
    assert (order.venue_order_id, order.trigger_price) == (outcome.venue_order_id, 62000)
    assert order.client_order_id == old.client_order_id


# -- lost answers ---------------------------------------------------------------------------------

KINDS = {
    "limit": (intent(1), "/orders"),
    "market": (intent(1, kind=Kind.MARKET, price=None, side=Side.SELL), "/orders"),
    "stop": (stop(1, Side.BUY, TriggerCondition.GTE, "65000", "65100"), "/smartorders"),
}


@pytest.mark.parametrize("fault", ["lose_answer", "bad_gateway", "truncated"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_lost_answer_is_found_by_client_id(
    adapter: PoloniexAdapter, served: Served, fault: str, kind: str
) -> None:
    wanted, path = KINDS[kind]
    served.venue.faults.next("POST", path, fault)
    ts_sent = time.time_ns()
    (outcome,) = await adapter.orders.submit([wanted])
    assert isinstance(outcome, Unknown), outcome
    restarted = adapter_of(served)
    await restarted.connect(trading=True)
    result = await restarted.orders.find(wanted, NONE, ts_sent)
    assert isinstance(result, Found), result
    assert result.order.client_order_id == wanted.client_order_id
    assert result.order.trigger_condition == wanted.trigger_condition
    await restarted.close()


@pytest.mark.parametrize("fault", ["lose_request", "unavailable"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_lost_request_is_absent(
    adapter: PoloniexAdapter, served: Served, fault: str, kind: str
) -> None:
    wanted, path = KINDS[kind]
    served.venue.faults.next("POST", path, fault)
    ts_sent = time.time_ns()
    (outcome,) = await adapter.orders.submit([wanted])
    assert isinstance(outcome, Unknown), outcome
    assert isinstance(await adapter.orders.find(wanted, NONE, ts_sent), Absent)
    served.venue.faults.next("GET", "/orders", "unavailable", times=9)
    assert isinstance(await adapter.orders.find(wanted, NONE, ts_sent), Unsure)


async def test_many_lost_orders_are_found_in_one_reading_of_the_lists(
    adapter: PoloniexAdapter, served: Served
) -> None:
    """What is over already is found as well; one that can't be read says nothing of the others."""
    lost = []
    for number, fault in enumerate(("lose_answer", "lose_answer", "lose_request"), start=1):
        price = None if number == 2 else Decimal("30000")
        kind = Kind.MARKET if number == 2 else Kind.LIMIT
        wanted = intent(number, kind=kind, price=price, side=Side.SELL if number == 2 else Side.BUY)
        served.venue.faults.next("POST", "/orders", fault)
        lost.append(Lost(wanted, NONE, time.time_ns()))
        (outcome,) = await adapter.orders.submit([wanted])
        assert isinstance(outcome, Unknown), outcome
    found, over, absent = await adapter.orders.find_all(lost)
    assert isinstance(found, Found)
    assert found.order.state is OrderState.OPEN
    assert isinstance(over, Found)
    assert over.order.state is OrderState.FILLED
    assert isinstance(absent, Absent)
    served.venue.faults.next("GET", "/orders/history", "unavailable", times=9)
    results = await adapter.orders.find_all(lost)
    assert [type(one) for one in results] == [Found, Found, Unsure]


async def test_over_the_venues_limit_a_create_is_refused_and_a_read_waits(
    adapter: PoloniexAdapter, served: Served
) -> None:
    served.venue.faults.next("POST", "/orders", "too_many")
    assert await refused(adapter, intent(1)) == "POLONIEX-429"
    served.venue.faults.next("GET", "/accounts/balances", "too_many")
    assert await adapter.orders.balances()
