"""ccxt's own Poloniex clients (sync, async, pro) use the simulated venue unmodified."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from decimal import Decimal
from typing import Any

import ccxt
import ccxt.async_support
import ccxt.pro
import pytest

from fairlead.adapters.poloniex.simulator import PoloniexSimOptions, PoloniexSimulator
from fairlead.adapters.poloniex.simulator_orders import ACCOUNT
from fairlead.adapters.simulation.server import Served, serve
from fairlead.engine.orders.model import Side
from tests.support.patience import PATIENCE_SECS
from tests.venues.printed import is_seen

SYMBOL, MARKET = "BTC/USDT", "BTC_USDT"


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """Budgets are ten times the venue's: ccxt's throttle is off, and it asks for lists often."""
    options = PoloniexSimOptions(bulk_rate=100)
    running = await serve(PoloniexSimulator(now_ns=time.time_ns(), seed=7, options=options))
    yield running
    await running.stop()


def configured(made: Any, served: Served) -> Any:
    """Nothing but hosts and credentials set."""
    told: Any = served.describe()
    made.apiKey, made.secret = told["credentials"]["key"], told["credentials"]["secret"]
    made.urls["api"]["spot"] = made.urls["api"]["swap"] = told["rest"]
    made.urls["api"]["ws"] = {"public": told["public_ws"], "private": told["private_ws"]}
    return made


@pytest.fixture
async def client(served: Served) -> AsyncIterator[Any]:
    made = configured(
        ccxt.async_support.poloniex({"enableRateLimit": False, "timeout": PATIENCE_SECS * 1000}),
        served,
    )
    yield made
    await made.close()


@pytest.fixture
async def pro(served: Served) -> AsyncIterator[Any]:
    made = configured(
        ccxt.pro.poloniex({"enableRateLimit": False, "timeout": PATIENCE_SECS * 1000}), served
    )
    yield made
    await made.close()


async def within[T](waiting: Coroutine[Any, Any, T]) -> T:
    async with asyncio.timeout(PATIENCE_SECS):
        return await waiting


def exchange_of(served: Served) -> Any:
    return served.venue.exchange


async def until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE_SECS):
        while not condition():
            await asyncio.sleep(0.01)


async def test_ccxt_reads_markets_and_market_data(served: Served, client: Any) -> None:
    markets = await client.load_markets()
    assert set(markets) >= {"BTC/USDT", "ETH/USDT", "ETH/BTC", "BTS/BTC"}
    assert markets[SYMBOL]["precision"] == {"amount": 1e-06, "price": 0.01, **_rest(markets)}
    assert markets[SYMBOL]["active"] is True
    assert set(await client.fetch_currencies()) >= {"BTC", "USDT", "TRX"}

    book = await client.fetch_order_book(SYMBOL, 20)
    assert len(book["bids"]) == len(book["asks"]) == 20
    assert book["bids"][0][0] < book["asks"][0][0]
    assert [p for p, _ in book["asks"]] == sorted(p for p, _ in book["asks"])

    ticker = await client.fetch_ticker(SYMBOL)
    assert ticker["bid"] < ticker["ask"]
    assert set(await client.fetch_tickers([SYMBOL, "ETH/USDT"])) == {SYMBOL, "ETH/USDT"}

    bars = await client.fetch_ohlcv(SYMBOL, "5m", limit=10)
    assert len(bars) == 10
    assert [b[0] for b in bars] == sorted(b[0] for b in bars)
    assert all(low <= min(o, c) <= max(o, c) <= high for _, o, high, low, c, _ in bars)

    exchange = exchange_of(served)
    size = Decimal("0.512345")
    assert await is_seen(client, SYMBOL, exchange, MARKET, size)
    assert abs(await client.fetch_time() - time.time() * 1000) < 5000
    assert (await client.fetch_trading_fees())[SYMBOL]["taker"] == 0.00155


def _rest(markets: Any) -> dict[str, Any]:
    """Precision keys beyond amount and price, which differ between ccxt's versions."""
    found = markets[SYMBOL]["precision"]
    return {key: found[key] for key in found if key not in ("amount", "price")}


async def test_ccxt_trades_and_the_ledger_agrees(served: Served, client: Any) -> None:
    exchange = exchange_of(served)
    assert (await client.fetch_balance())["USDT"]["free"] == 100_000

    params = {"clientOrderId": "mine-1"}
    resting = await client.create_order(SYMBOL, "limit", "buy", 0.01, 30_000, params)
    fetched = await client.fetch_order(resting["id"], SYMBOL)
    assert (fetched["amount"], fetched["price"], fetched["filled"]) == (0.01, 30_000, 0)
    assert (fetched["status"], fetched["clientOrderId"]) == ("open", "mine-1")
    assert [o["id"] for o in await client.fetch_open_orders(SYMBOL)] == [resting["id"]]
    assert (await client.fetch_balance())["USDT"]["used"] == 300
    with pytest.raises(ccxt.ExchangeError, match="21312"):
        await client.create_order(SYMBOL, "limit", "buy", 0.01, 30_000, params)

    bought = await client.create_order(SYMBOL, "market", "buy", 0, None, {"cost": 1200})
    filled = await client.fetch_order(bought["id"], SYMBOL)
    assert filled["status"] == "closed"
    assert 1199 < filled["cost"] <= 1200
    fills = [f for f in exchange.ledger.fills(ACCOUNT) if f.order_id == int(bought["id"])]
    assert {f.fee_currency for f in fills} == {"BTC"}
    sold = await client.create_order(SYMBOL, "market", "sell", 0.015)
    trades = await client.fetch_order_trades(sold["id"], SYMBOL)
    assert sum(Decimal(str(t["amount"])) for t in trades) == Decimal("0.015")
    assert {t["fee"]["currency"] for t in trades} == {"USDT"}
    assert {t["takerOrMaker"] for t in trades} == {"taker"}
    mine = await client.fetch_my_trades(SYMBOL)
    assert {t["order"] for t in mine} == {bought["id"], sold["id"]}

    moved = await client.edit_order(resting["id"], SYMBOL, "limit", "buy", 0.02, 31_000)
    assert moved["id"] != resting["id"]
    assert (await client.fetch_order(resting["id"], SYMBOL))["status"] == "canceled"
    cancelled = await client.cancel_order(moved["id"], SYMBOL)
    assert cancelled["id"] == moved["id"]
    order = exchange.order(ACCOUNT, int(moved["id"]))
    await until(lambda: order.status.is_terminal)
    assert await client.fetch_open_orders(SYMBOL) == []

    with pytest.raises(ccxt.InsufficientFunds, match="21709"):
        await client.create_order(SYMBOL, "limit", "buy", 100, 30_000)
    with pytest.raises(ccxt.ExchangeError, match="21301"):
        await client.cancel_order("1", SYMBOL)
    with pytest.raises(ccxt.ExchangeError, match="21359"):
        await client.cancel_order(moved["id"], SYMBOL)


async def test_ccxt_stop_orders_trigger_and_cancel(served: Served, client: Any) -> None:
    exchange = exchange_of(served)
    served.venue.driver.paused = True
    free = (await client.fetch_balance())["USDT"]["free"]
    stop = await client.create_order(SYMBOL, "limit", "buy", 0.01, 70_000, {"triggerPrice": 66_000})
    other = await client.create_order(SYMBOL, "limit", "sell", 0.01, 50_000, {"stopPrice": 55_000})
    assert (await client.fetch_balance())["USDT"]["free"] == free  # frozen when triggered only
    waiting = await client.fetch_open_orders(SYMBOL, params={"trigger": True})
    assert {o["id"] for o in waiting} == {stop["id"], other["id"]}
    assert await client.fetch_open_orders(SYMBOL) == []

    exchange.print_trade(MARKET, Decimal(66_001), Decimal("0.01"), Side.BUY, exchange.now_ns)
    seen = await client.fetch_order(stop["id"], SYMBOL, {"trigger": True})
    assert seen["info"]["state"] == "TRIGGERED"
    child = seen["info"]["triggeredOrder"]
    assert child["id"] != stop["id"]
    bought = await client.fetch_order(child["id"], SYMBOL)
    assert (bought["status"], bought["filled"]) == ("closed", 0.01)

    await client.cancel_order(other["id"], SYMBOL, {"trigger": True})
    assert await client.fetch_open_orders(SYMBOL, params={"trigger": True}) == []


async def test_ccxt_cancels_all(served: Served, client: Any) -> None:
    for price in (30_000, 31_000):
        await client.create_order(SYMBOL, "limit", "buy", 0.01, price)
    other = await client.create_order("ETH/USDT", "limit", "buy", 0.1, 2_000)
    await client.cancel_all_orders(SYMBOL)
    exchange = exchange_of(served)
    await until(lambda: len(exchange.open_orders(ACCOUNT)) == 1)
    assert [o["id"] for o in await client.fetch_open_orders()] == [other["id"]]
    await client.cancel_all_orders()
    await until(lambda: exchange.open_orders(ACCOUNT) == [])


async def test_ccxt_moves_money_and_the_ledger_agrees(served: Served, client: Any) -> None:
    """Addresses, a transfer there and back, a withdrawal, and what each left in its list."""
    exchange = exchange_of(served)
    await client.load_markets()
    address = await client.fetch_deposit_address("ETH", {"network": "ETH"})
    made = await client.create_deposit_address("ETH", {"network": "ETH"})
    assert address["address"] != made["address"]

    there = await client.transfer("USDT", 10.5, "spot", "future")
    await client.transfer("USDT", 4, "future", "spot")
    assert exchange.ledger.balance(ACCOUNT, "USDT").free == Decimal("99993.5")
    found = await client.private_get_accounts_transfer_id({"id": there["id"]})
    assert (found["amount"], found["currency"]) == ("10.5", "USDT")
    listed = await client.private_get_accounts_transfer()
    assert [t["amount"] for t in listed] == ["4", "10.5"]
    with pytest.raises(ccxt.ExchangeError, match="250005"):
        await client.transfer("USDT", 400, "future", "spot")

    sent = await client.withdraw("ETH", 1.5, made["address"], {"network": "ETH"})
    assert exchange.ledger.balance(ACCOUNT, "ETH").free == Decimal("18.5")
    (withdrawal,) = await client.fetch_withdrawals("ETH")
    assert withdrawal["id"] == str(sent["info"]["withdrawalNumber"])
    assert withdrawal["amount"] == 1  # 0.5 is the fee
    assert withdrawal["status"] == "pending"
    with pytest.raises(ccxt.InsufficientFunds, match="21709"):
        await client.withdraw("ETH", 1e6, made["address"], {"network": "ETH"})
    deposits = await client.fetch_deposits()
    assert {d["currency"]: d["amount"] for d in deposits} == {
        **{"USDT": 100_000, "BTC": 2},
        **{"ETH": 20, "TRX": 100_000},
    }


async def test_ccxt_reads_every_endpoint_that_it_names(served: Served, client: Any) -> None:
    """All its GET endpoints of the spot venue; one that is missing would answer 404."""
    given = {"symbol": "BTC_USDT", "currency": "BTC", "interval": "DAY_1"}
    moved = await client.transfer("BTC", 1, "spot", "future")
    account = served.venue.options.account_id
    order = await client.create_order(SYMBOL, "limit", "buy", 0.01, 30_000)
    stop = await client.create_order(
        SYMBOL, "limit", "sell", 0.01, 50_000, {"triggerPrice": 55_000}
    )
    await client.private_post_orders_killswitch({"timeout": "60"})
    ids = {"transfer": moved["id"], "smartorders": stop["id"], "orders": order["id"]}
    seen = 0
    for scope in ("public", "private"):
        for path in client.api[scope]["get"]:
            named = next((ids[word] for word in path.split("/") if word in ids), account)
            params = {"id": named} | given
            answer = await client.request(path, scope, "GET", params)
            assert isinstance(answer, dict | list), path
            seen += 1
    assert seen >= 48


async def test_ccxt_with_a_wrong_secret_is_refused(client: Any) -> None:
    client.secret = "0" * 64
    with pytest.raises(ccxt.AuthenticationError, match="401"):
        await client.fetch_balance()


async def test_ccxt_sync_client(served: Served) -> None:
    def session() -> tuple[Any, Any]:
        made = configured(
            ccxt.poloniex({"enableRateLimit": False, "timeout": PATIENCE_SECS * 1000}), served
        )
        order = made.create_order(SYMBOL, "limit", "sell", 0.01, 90_000)
        fetched = made.fetch_order(order["id"], SYMBOL)
        made.cancel_order(order["id"], SYMBOL)
        return made.fetch_order_book(SYMBOL), fetched

    book, fetched = await asyncio.to_thread(session)
    assert book["bids"][0][0] < book["asks"][0][0]
    assert (fetched["side"], fetched["price"], fetched["status"]) == ("sell", 90_000, "open")


async def test_ccxt_pro_watches_public_channels(served: Served, pro: Any) -> None:
    for _ in range(20):
        book = await within(pro.watch_order_book(SYMBOL))
        assert book["bids"][0][0] < book["asks"][0][0]
    true = exchange_of(served).markets[MARKET].book
    served.venue.driver.paused = True
    exchange = exchange_of(served)
    exchange.set_level(MARKET, Side.BUY, Decimal(59_000), Decimal("1.25"), exchange.now_ns)
    best = true.bids.best()
    exchange.set_level(MARKET, Side.BUY, best.price, Decimal("3.5"), exchange.now_ns)

    async def caught_up() -> None:
        while (await pro.watch_order_book(SYMBOL))["bids"][0][1] != 3.5:
            pass

    await within(caught_up())
    seen = pro.orderbooks[SYMBOL]
    assert [[float(p), float(q)] for p, q in true.bids.levels(20)] == seen["bids"][:20]
    assert [[float(p), float(q)] for p, q in true.asks.levels(20)] == seen["asks"][:20]
    served.venue.driver.paused = False
    trades = await within(pro.watch_trades(SYMBOL))
    assert {t["symbol"] for t in trades} == {SYMBOL}
    tape_ids = {str(t.id) for t in exchange.markets[MARKET].tape.trades}
    assert {t["id"] for t in trades} <= tape_ids
    ticker = await within(pro.watch_ticker(SYMBOL))
    assert ticker["close"] > 0
    bars = await within(pro.watch_ohlcv(SYMBOL, "1m"))
    assert bars[-1][2] >= bars[-1][3]


async def test_ccxt_pro_watches_orders_and_balance(served: Served, pro: Any) -> None:
    await pro.load_markets()
    watching = asyncio.create_task(pro.watch_orders(SYMBOL))
    balance = asyncio.create_task(pro.watch_balance())
    await until(lambda: sum(s.wants("orders", MARKET) for s in served.venue.push.sessions) == 1)
    await until(lambda: sum(s.wants("balances", "") for s in served.venue.push.sessions) == 1)
    placed = await pro.create_order(SYMBOL, "limit", "buy", 0.01, 30_000)
    (told,) = await within(_result(watching))
    assert (told["id"], told["status"], told["price"]) == (placed["id"], "open", 30_000)
    assert (await within(_result(balance)))["USDT"]["used"] == 300

    watching = asyncio.create_task(pro.watch_orders(SYMBOL))
    await pro.cancel_order(placed["id"], SYMBOL)
    (told,) = await within(_result(watching))
    assert (told["id"], told["status"]) == (placed["id"], "canceled")


async def _result(task: asyncio.Task[Any]) -> Any:
    return await task


async def next_second() -> None:
    """ccxt numbers its requests by the second: two in one second would share their answer."""
    now = int(time.time())
    while int(time.time()) == now:
        await asyncio.sleep(0.01)


async def test_ccxt_pro_trades_over_the_websocket(served: Served, pro: Any) -> None:
    made = await within(pro.create_order_ws(SYMBOL, "limit", "buy", 0.01, 30_000))
    order = exchange_of(served).order(ACCOUNT, int(made["id"]))
    assert order.price == 30_000
    await next_second()
    await within(pro.cancel_order_ws(made["id"], SYMBOL))
    await until(lambda: order.status.is_terminal)
    await next_second()
    with pytest.raises(ccxt.BaseError, match="insufficient"):
        await within(pro.create_order_ws(SYMBOL, "limit", "buy", 100, 30_000))
