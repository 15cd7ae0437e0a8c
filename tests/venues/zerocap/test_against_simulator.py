"""The streams against the simulated venue on loopback: real WebSockets, signed handshakes."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from nautilus_trader.model import OrderBookDeltas

from fairlead.adapters.base.aiohttp_transport import AiohttpTransport, AiohttpWsTransport
from fairlead.adapters.base.connection import StreamSupervisor
from fairlead.adapters.base.limits import StreamLimits
from fairlead.adapters.base.venue import Feed, FeedKind, OrderPush, Ready
from fairlead.adapters.simulation.server import Served, serve
from fairlead.adapters.zerocap.simulator import ZerocapSimOptions, ZerocapSimulator
from fairlead.adapters.zerocap.venue import ZerocapAdapter
from fairlead.engine.orders.model import Accepted, OrderState, ref_of
from fairlead.engine.status import StreamStatus
from tests.support.patience import PATIENCE_SECS
from tests.venues.zerocap.test_orders import USDT, context, intent

BOTH = pytest.mark.parametrize("dialect", ["A", "C"])
QUICK = StreamLimits(backoff_min_secs=0.01, backoff_max_secs=0.02)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    options = ZerocapSimOptions(push_interval_ms=20)
    running = await serve(ZerocapSimulator(now_ns=time.time_ns(), seed=7, options=options))
    yield running
    await running.stop()


class Watched:
    """A supervised stream and what it told."""

    def __init__(self, protocol: Any, ws: AiohttpWsTransport) -> None:
        self.items: list[Any] = []
        self.fatal: list[tuple[str, str]] = []
        self.status = StreamStatus(name="ZEROCAP/test")
        self.stream = StreamSupervisor(
            status=self.status,
            protocol=protocol,
            transport=ws,
            on_item=self.items.append,
            on_fatal=lambda code, message: self.fatal.append((code, message)),
            on_state=lambda state, reason: None,
            now_ns=time.time_ns,
            rng=random.Random(1),
            limits=QUICK,
        )
        self.stream.start()

    def of(self, kind: type) -> list[Any]:
        return [item for item in self.items if isinstance(item, kind)]


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_SECS):
        while not condition():
            await asyncio.sleep(0.01)


def adapter_of(served: Served, dialect: Any, secrets: Any = None) -> tuple[ZerocapAdapter, Any]:
    http = AiohttpTransport()
    made = context(served.venue, dialect, secrets)  # type: ignore[arg-type]
    told = served.describe()
    options = msgspec.structs.replace(
        made.options, http_url=str(told["rest"]), ws_url=str(told["ws"])
    )
    return ZerocapAdapter(msgspec.structs.replace(made, http=http, options=options)), http


@BOTH
async def test_books_and_orders_come_over_sockets(served: Served, dialect: Any) -> None:
    adapter, http = adapter_of(served, dialect)
    ws = AiohttpWsTransport()
    await adapter.connect(trading=True)
    price = adapter.market_data.public_stream()
    price.subscribe(Feed(FeedKind.BOOK, USDT))
    private = adapter.private_stream()
    assert private is not None
    books, orders = Watched(price, ws), Watched(private, ws)
    private.attach(orders.stream.send)
    await until(lambda: len(books.of(OrderBookDeltas)) >= 3 and orders.of(Ready))
    assert adapter.ladders.get(USDT) is not None
    (outcome,) = await adapter.orders.submit([intent()])
    assert isinstance(outcome, Accepted), outcome
    await until(lambda: [p for p in orders.of(OrderPush) if p.order.state is OrderState.FILLED])
    pushed = {push.fill.trade_id for push in orders.of(OrderPush) if push.fill is not None}
    assert outcome.order is not None
    (fill,) = await adapter.orders.fills([ref_of(outcome.order)], 0)
    assert pushed == {fill.trade_id}

    # Each connection has a handshake of its own.
    books.stream.reconnect("the test")
    before = len(books.of(OrderBookDeltas))
    await until(lambda: books.status.connects == 2 and len(books.of(OrderBookDeltas)) > before + 1)
    assert books.fatal == orders.fatal == []
    for watched in (books, orders):
        await watched.stream.stop()
    await ws.close()
    await http.close()


@BOTH
async def test_a_wrong_key_ends_the_stream_and_says_why(served: Served, dialect: Any) -> None:
    wrong = {"api_key": "coinroutes", "api_secret": "the-wrong-secret"}
    adapter, http = adapter_of(served, dialect, wrong)
    ws = AiohttpWsTransport()
    private = adapter.private_stream()
    watched = Watched(private, ws)
    await until(lambda: watched.fatal)
    ((code, message),) = watched.fatal
    assert (code, message) == ("ZEROCAP-401", "ZEROCAP/test: Unauthorized")
    await watched.stream.stop()
    await ws.close()
    await http.close()


async def test_a_stream_without_a_key_ends_and_says_why(served: Served) -> None:
    adapter, http = adapter_of(served, "A", {})
    ws = AiohttpWsTransport()
    watched = Watched(adapter.market_data.public_stream(), ws)
    await until(lambda: watched.fatal)
    ((code, message),) = watched.fatal
    assert code == "ZEROCAP-NO-KEY"
    assert "credentials" in message
    assert watched.status.connects == 0
    await watched.stream.stop()
    await ws.close()
    await http.close()
