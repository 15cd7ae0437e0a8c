"""ccxt's own clients of both products (sync, async, pro) use the simulated venue unmodified."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from fairlead.adapters.binance.simulator import BinanceSimulator
from fairlead.adapters.simulation.server import Served, serve
from tests.support.patience import PATIENCE_SECS

ccxt = pytest.importorskip("ccxt", reason="ccxt is not installed: it is a development dependency")
pytest.importorskip("ccxt.pro", reason="this ccxt has no WebSocket clients")

SPOT, USDM = "binance", "binanceusdm"
SYMBOLS = {SPOT: "BTC/USDT", USDM: "BTC/USDT:USDT"}
ACCOUNTS = {SPOT: "spot", USDM: "usdm"}
BOTH = pytest.mark.parametrize("product", [SPOT, USDM])


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    running = await serve(BinanceSimulator(now_ns=time.time_ns(), seed=7))
    yield running
    await running.stop()


def configured(made: Any, served: Served) -> Any:
    """Nothing but hosts and credentials set."""
    told: Any = served.describe()
    made.apiKey = told["credentials"]["api_key"]
    made.secret = told["credentials"]["api_secret"]
    api = made.urls["api"]
    for name, url in api.items():
        if isinstance(url, str):
            api[name] = told["rest"] + "/" + url.partition("://")[2].partition("/")[2]
    if "ws" in api:
        api["ws"] |= {"spot": told["ws"], "future": told["usdm_ws"]}
        api["ws"]["ws-api"] |= {"spot": told["ws_api"], "future": told["usdm_ws_api"]}
    return made


@pytest.fixture
async def pro(served: Served, product: str) -> AsyncIterator[Any]:
    made = configured(
        getattr(ccxt.pro, product)({"enableRateLimit": False, "timeout": PATIENCE_SECS * 1000}),
        served,
    )
    yield made
    await made.close()


async def within[T](waiting: Coroutine[Any, Any, T]) -> T:
    async with asyncio.timeout(PATIENCE_SECS):
        return await waiting


def fills(served: Served, product: str) -> Any:
    return served.venue.exchange.ledger.fills(ACCOUNTS[product])


@BOTH
async def test_ccxt_reads_markets_and_market_data(pro: Any, product: str) -> None:
    symbol = SYMBOLS[product]
    markets = await pro.load_markets()
    assert markets[symbol]["active"] is True
    precision = markets[symbol]["precision"]
    wanted = (1e-05, 0.01) if product == SPOT else (0.001, 0.1)
    assert (precision["amount"], precision["price"]) == wanted
    book = await pro.fetch_order_book(symbol, 20)
    assert len(book["bids"]) == len(book["asks"]) == 20
    assert len(await pro.fetch_ohlcv(symbol, "1m", limit=10)) == 10
    ticker = await pro.fetch_ticker(symbol)
    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    assert isinstance(await pro.fetch_trades(symbol), list)
    assert await pro.fetch_time() > 0


@BOTH
async def test_ccxt_pro_watches_public_streams(served: Served, pro: Any, product: str) -> None:
    symbol = SYMBOLS[product]
    for _ in range(3):
        book = await within(pro.watch_order_book(symbol))
    assert book["bids"][0][0] < book["asks"][0][0]
    assert (await within(pro.watch_trades(symbol)))[-1]["price"] > 0
    assert (await within(pro.watch_ticker(symbol)))["last"] > 0
    assert (await within(pro.watch_ohlcv(symbol, "1m")))[-1][4] > 0
    assert (await within(pro.watch_bids_asks([symbol])))[symbol]["bid"] > 0


@BOTH
async def test_ccxt_trades_and_the_ledger_agrees(served: Served, pro: Any, product: str) -> None:
    symbol = SYMBOLS[product]
    last = (await pro.fetch_ticker(symbol))["last"]
    low = round(last * 0.98, 1)
    resting = await pro.create_order(symbol, "limit", "buy", 0.01, low)
    assert [o["id"] for o in await pro.fetch_open_orders(symbol)] == [resting["id"]]
    changed = await pro.edit_order(resting["id"], symbol, "limit", "buy", 0.02, low)
    assert changed["amount"] == 0.02
    bought = await pro.create_order(symbol, "market", "buy", 0.02)
    order = await pro.fetch_order(bought["id"], symbol)
    assert (order["status"], order["filled"]) == ("closed", 0.02)
    trades = await pro.fetch_my_trades(symbol)
    assert sum(t["amount"] for t in trades) == sum(
        float(f.quantity) for f in fills(served, product)
    )
    cancelled = await pro.cancel_order(changed["id"], symbol)
    assert cancelled["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        await pro.cancel_order(changed["id"], symbol)
    with pytest.raises(ccxt.BaseError):
        await pro.create_order(symbol, "limit", "buy", 500, low)
    await pro.create_order(symbol, "limit", "buy", 0.01, low, {"postOnly": True})
    await pro.cancel_all_orders(symbol)
    assert await pro.fetch_open_orders(symbol) == []


@BOTH
async def test_ccxt_asks_in_frames_what_it_asks_there(
    served: Served, pro: Any, product: str
) -> None:
    """By spot's names of both products, though no document of USD-M's has some of them."""
    symbol = SYMBOLS[product]
    assert len(await within(pro.fetch_ohlcv_ws(symbol, "1m", limit=5))) == 5
    bought = await within(pro.create_order_ws(symbol, "market", "buy", 0.02))
    (trade,) = await within(pro.fetch_my_trades_ws(symbol))
    assert (trade["order"], trade["amount"]) == (bought["id"], 0.02)
    assert trade["price"] in [row["price"] for row in await within(pro.fetch_trades_ws(symbol))]
    low = round(trade["price"] * 0.98, 1)
    resting = await within(pro.create_order_ws(symbol, "limit", "buy", 0.01, low))
    await within(pro.create_order_ws(symbol, "limit", "buy", 0.01, low, {"test": True}))
    found = await within(pro.fetch_open_orders_ws(symbol))
    assert [order["id"] for order in found] == [resting["id"]]


@BOTH
async def test_ccxt_pro_watches_orders_and_balance(served: Served, pro: Any, product: str) -> None:
    symbol = SYMBOLS[product]
    await pro.load_markets()
    asset = "BTC" if product == SPOT else "USDT"
    before = (await pro.fetch_balance())[asset]["total"]
    watching = asyncio.create_task(pro.watch_orders(symbol))
    balance = asyncio.create_task(pro.watch_balance())
    await within(_heard(served, product))
    bought = await pro.create_order(symbol, "market", "buy", 0.02)
    seen = await within(watching)
    while seen[-1]["status"] != "closed":
        seen = await within(pro.watch_orders(symbol))
    assert (seen[-1]["id"], seen[-1]["filled"]) == (bought["id"], 0.02)
    while (await within(balance))[asset]["total"] == before:
        balance = asyncio.create_task(pro.watch_balance())


async def _heard(served: Served, product: str) -> None:
    """Until the client's account stream is there."""
    push: Any = served.venue.push  # type: ignore[attr-defined]
    while not (
        any(one.subscriptions for one in push.apis)
        if product == SPOT
        else any(one.keys for one in push.sessions)
    ):
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("product", [SPOT])
async def test_ccxt_places_a_spot_stop(served: Served, pro: Any, product: str) -> None:
    last = (await pro.fetch_ticker("BTC/USDT"))["last"]
    stop = {"stopLossPrice": round(last * 0.98, 2)}
    made = await pro.create_order("BTC/USDT", "limit", "sell", 0.01, round(last * 0.97, 2), stop)
    order = await pro.fetch_order(made["id"], "BTC/USDT")
    assert (order["info"]["type"], order["info"]["isWorking"]) == ("STOP_LOSS_LIMIT", False)


@pytest.mark.parametrize("product", [USDM])
async def test_ccxt_sets_and_reads_positions(served: Served, pro: Any, product: str) -> None:
    symbol = "BTC/USDT:USDT"
    await pro.set_leverage(10, symbol)
    await pro.set_margin_mode("isolated", symbol)
    await pro.create_order(symbol, "market", "sell", 0.02)
    (position,) = await pro.fetch_positions([symbol])
    assert (position["side"], position["contracts"]) == ("short", 0.02)
    await pro.create_order(symbol, "market", "buy", 0.02, None, {"reduceOnly": True})
    assert [p for p in await pro.fetch_positions([symbol]) if p["contracts"]] == []
    with pytest.raises(ccxt.ExchangeError, match="-2022"):
        await pro.create_order(symbol, "market", "buy", 0.02, None, {"reduceOnly": True})


@BOTH
async def test_ccxt_sync(served: Served, product: str) -> None:
    def play() -> Any:
        made = configured(
            getattr(ccxt, product)({"enableRateLimit": False, "timeout": PATIENCE_SECS * 1000}),
            served,
        )
        made.create_order(SYMBOLS[product], "market", "buy", 0.01)
        return made.fetch_balance()["USDT"]["total"]

    total = await within(asyncio.to_thread(play))
    assert total < 100_000
    assert [float(fill.quantity) for fill in fills(served, product)] == [0.01]


@BOTH
async def test_ccxt_with_a_wrong_secret_is_refused(pro: Any, product: str) -> None:
    pro.secret = "x" * 64
    with pytest.raises(ccxt.AuthenticationError, match="-1022"):
        await pro.fetch_balance()


@BOTH
async def test_ccxt_is_told_to_slow_down(served: Served, pro: Any, product: str) -> None:
    served.venue.faults.next(
        "GET", "/api/v3/time" if product == SPOT else "/fapi/v1/time", "too_many"
    )
    with pytest.raises(ccxt.DDoSProtection):
        await pro.fetch_time()
