"""Clients of OceanEx and of Pusher written by others use the simulated venue unmodified."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import ccxt.async_support as ccxt
import pysher
import pytest

from fairlead.adapters.oceanex.simulator import OceanexSimulator
from fairlead.adapters.simulation.server import Served, serve
from tests.support.patience import PATIENCE_SECS
from tests.venues.printed import is_seen

SYMBOL = "BTC/USDT"


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    running = await serve(OceanexSimulator(now_ns=time.time_ns(), seed=7))
    yield running
    await running.stop()


@pytest.fixture
async def client(served: Served) -> AsyncIterator[Any]:
    """ccxt with nothing but its host and credentials set, and its own throttle off.

    Its `rateLimit` is 3000 ms between calls, 150 times slower than the venue's limit.
    """
    told: Any = served.describe()
    exchange = ccxt.oceanex(
        {
            "apiKey": told["uid"],
            "secret": told["credentials"]["private_key"],
            "enableRateLimit": False,
            "timeout": PATIENCE_SECS * 1000,
        }
    )
    exchange.urls["api"]["rest"] = str(told["rest"]).removesuffix("/v1")
    yield exchange
    await exchange.close()


async def _until(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE_SECS
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.02)


async def test_ccxt_reads_markets_and_market_data(served: Served, client: Any) -> None:
    markets = await client.fetch_markets()
    assert {m["symbol"] for m in markets} >= {"BTC/USDT", "ETH/USDT", "VET/USDT"}
    bitcoin = next(m for m in markets if m["symbol"] == SYMBOL)
    precision = bitcoin["precision"]
    assert (precision["amount"], precision["price"]) == (1e-06, 0.01)

    book = await client.fetch_order_book(SYMBOL, 5)
    assert len(book["bids"]) == len(book["asks"]) == 5
    assert book["bids"][0][0] < book["asks"][0][0]

    ticker = await client.fetch_ticker(SYMBOL)
    assert ticker["bid"] < ticker["ask"]
    assert set(await client.fetch_tickers(["BTC/USDT", "ETH/USDT"])) == {"BTC/USDT", "ETH/USDT"}
    assert len(await client.fetch_order_books(["BTC/USDT", "ETH/USDT"])) == 2

    bars = await client.fetch_ohlcv(SYMBOL, "5m", limit=10)
    assert len(bars) == 10
    assert [b[0] for b in bars] == sorted(b[0] for b in bars)
    assert all(low <= min(o, c) <= max(o, c) <= high for _, o, high, low, c, _ in bars)

    assert await is_seen(client, SYMBOL, served.venue.exchange, "btcusdt", Decimal("0.5"))

    assert abs(await client.fetch_time() - time.time() * 1000) < 5000
    fees = await client.fetch_trading_fees()
    assert fees[SYMBOL]["taker"] == 0.001


async def test_ccxt_trades_and_the_ledger_agrees(served: Served, client: Any) -> None:
    exchange = served.venue.exchange
    assert (await client.fetch_balance())["USDT"]["free"] == 100_000

    resting = await client.create_order(SYMBOL, "limit", "buy", 0.01, 30_000)
    assert resting["status"] == "open"
    fetched = await client.fetch_order(resting["id"], SYMBOL)
    assert (fetched["amount"], fetched["price"], fetched["filled"]) == (0.01, 30_000, 0)
    assert [o["id"] for o in await client.fetch_open_orders(SYMBOL)] == [resting["id"]]
    assert (await client.fetch_balance())["USDT"]["used"] == 300

    bought = await client.create_order(SYMBOL, "market", "buy", 0.02)
    filled = await client.fetch_order(bought["id"], SYMBOL)
    assert (filled["status"], filled["filled"]) == ("closed", 0.02)
    fills = [f for f in exchange.ledger.fills("main") if f.order_id == int(bought["id"])]
    assert sum(f.quantity for f in fills) == Decimal("0.02")
    assert {f.fee_currency for f in fills} == {"BTC"}
    balance = await client.fetch_balance()
    assert Decimal(str(balance["BTC"]["free"])) == Decimal("2.02") - Decimal("0.00002")

    cancelled = await client.cancel_order(resting["id"])
    assert cancelled["status"] == "cancelling"  # a reply to a cancel is not final
    order = exchange.order("main", int(resting["id"]))
    assert order is not None
    await _until(lambda: order.status.is_terminal)
    assert (await client.fetch_order(resting["id"], SYMBOL))["status"] == "canceled"
    assert await client.fetch_open_orders(SYMBOL) == []
    closed = await client.fetch_closed_orders(SYMBOL)
    assert {o["id"] for o in closed} == {resting["id"], bought["id"]}

    with pytest.raises(ccxt.InsufficientFunds, match="Cannot lock funds"):
        await client.create_order(SYMBOL, "limit", "buy", 100, 30_000)
    with pytest.raises(ccxt.OrderNotFound):
        await client.cancel_order("1")


async def test_ccxt_with_a_wrong_key_is_refused(served: Served, client: Any) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    client.secret = (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )
    with pytest.raises(ccxt.AuthenticationError, match="Token verification failed"):
        await client.fetch_balance()


async def test_pysher_receives_books_and_trades(served: Served) -> None:
    told = served.describe()
    books: list[dict[str, Any]] = []
    trades: list[dict[str, Any]] = []
    client = pysher.Pusher(
        str(told["app_key"]),
        secure=False,
        custom_host="127.0.0.1",
        port=served.port,
        log_level=logging.CRITICAL,
    )

    def subscribe(_: Any) -> None:
        book = client.subscribe("market-btcusdt-2-global")
        book.bind("update", lambda data: books.append(json.loads(data)))
        tape = client.subscribe("market-btcusdt-trade-global")
        tape.bind("trades", lambda data: trades.extend(json.loads(data)["trades"]))

    client.connection.bind("pusher:connection_established", subscribe)
    client.connect()
    try:
        await _until(lambda: len(books) >= 3 and len(trades) >= 3)
    finally:
        # It closes its socket under the read of its own thread, a daemon, which then waits on
        # whatever the server does: nothing is gained by joining it.
        await asyncio.to_thread(client.disconnect, 0)
    for book in books:
        bids, asks = book["bids"], book["asks"]
        assert Decimal(bids[0][0]) < Decimal(asks[0][0])
        assert [Decimal(p) for p, _ in bids] == sorted((Decimal(p) for p, _ in bids), reverse=True)
        assert [Decimal(p) for p, _ in asks] == sorted(Decimal(p) for p, _ in asks)
    told_ids = {t["tid"] for t in trades}
    tape_ids = {t.id for t in served.venue.exchange.markets["btcusdt"].tape.trades}
    assert told_ids <= tape_ids
