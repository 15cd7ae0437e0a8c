"""The adapter on the simulated venue: over loopback, and in memory in virtual time."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fairlead.adapters.base.aiohttp_transport import AiohttpTransport
from fairlead.adapters.base.connection import StreamSupervisor
from fairlead.adapters.base.transport import HttpTransport
from fairlead.adapters.base.venue import AdapterContext
from fairlead.adapters.poloniex.config import PoloniexOptions
from fairlead.adapters.poloniex.simulator import PoloniexSimulator
from fairlead.adapters.poloniex.venue import PoloniexAdapter
from fairlead.adapters.simulation.memory import InMemoryHttp, InMemoryWs, tick
from fairlead.adapters.simulation.server import Served
from fairlead.adapters.simulation.virtual_time import START_NS, VirtualLoop, run_virtual
from fairlead.engine.orders.model import Intent, Kind, OrderRef, Side, TriggerCondition
from fairlead.engine.secrets import Secret
from fairlead.engine.status import StreamState, StreamStatus

BTC, ETH = "BTC_USDT.POLONIEX", "ETH_USDT.POLONIEX"
NONE: frozenset[str] = frozenset()


def context_of(
    facts: Any, http: HttpTransport, now_ns: Callable[[], int] = time.time_ns, **options: Any
) -> AdapterContext:
    return AdapterContext(
        venue="POLONIEX",
        options=PoloniexOptions(
            http_url=facts["rest"],
            ws_url=facts["public_ws"],
            private_ws_url=facts["private_ws"],
            **options,
        ),
        secrets={name: Secret(text, "test") for name, text in facts["credentials"].items()},
        http=http,
        now_ns=now_ns,
        instruments=(BTC,),
    )


def adapter_of(served: Served, **options: Any) -> PoloniexAdapter:
    return PoloniexAdapter(context_of(served.describe(), AiohttpTransport(), **options))


def simulator_of(served: Served) -> PoloniexSimulator:
    assert isinstance(served.venue, PoloniexSimulator)
    return served.venue


def intent(number: int = 1, **fields: Any) -> Intent:
    """A BUY LIMIT of 0.001 BTC far below the market, changed by `fields`."""
    base: dict[str, Any] = {
        "client_order_id": f"3f0c9d60-5a3e-4c9e-9d84-{number:012}",
        "strategy": "S-1",
        "instrument": BTC,
        "side": Side.BUY,
        "kind": Kind.LIMIT,
        "quantity": Decimal("0.001"),
        "price": Decimal("50000"),
    }
    return Intent(**(base | fields))


def stop(number: int, side: Side, condition: TriggerCondition, trigger: str, price: str) -> Intent:
    is_stop = (side is Side.BUY) == (condition is TriggerCondition.GTE)
    return intent(
        number,
        side=side,
        kind=Kind.STOP_LIMIT if is_stop else Kind.LIMIT_IF_TOUCHED,
        price=Decimal(price),
        trigger_price=Decimal(trigger),
        trigger_condition=condition,
    )


def ref(venue_order_id: str) -> OrderRef:
    return OrderRef(instrument=BTC, venue_order_id=venue_order_id)


class Supervised:
    """One stream of the adapter under its real supervisor, and every item that came."""

    def __init__(self, protocol: Any, transport: Any, now_ns: Callable[[], int]) -> None:
        self.items: list[Any] = []
        self.states: list[StreamState] = []
        self.supervisor = StreamSupervisor(
            status=StreamStatus(name="stream"),
            protocol=protocol,
            transport=transport,
            on_item=self.items.append,
            on_fatal=lambda code, message: self.items.append((code, message)),
            on_state=lambda state, _: self.states.append(state),
            now_ns=now_ns,
            rng=random.Random(1),
        )

    def of(self, kind: type) -> list[Any]:
        return [item for item in self.items if isinstance(item, kind)]

    async def until(self, done: Callable[[], object]) -> None:
        async with asyncio.timeout(60.0):
            while not done():
                await asyncio.sleep(0.005)


class Memory:
    """A simulated venue and the adapter in one event loop, by that loop's clock."""

    def __init__(self, loop: VirtualLoop, venue: PoloniexSimulator, **options: Any) -> None:
        self.venue = venue
        self.now_ns = loop.now_ns
        facts = venue.describe("http://venue", "ws://venue")
        http = InMemoryHttp(venue, self.now_ns, latency_secs=0.005)
        self.ws = InMemoryWs(venue, self.now_ns, latency_secs=0.005)
        self.adapter = PoloniexAdapter(context_of(facts, http, self.now_ns, **options))
        self._tick = asyncio.ensure_future(tick(venue, self.now_ns))

    def public(self) -> Supervised:
        return Supervised(self.adapter.market_data.public_stream(), self.ws, self.now_ns)

    def private(self) -> Supervised:
        return Supervised(self.adapter.private_stream(), self.ws, self.now_ns)

    async def stop(self, *streams: Supervised) -> None:
        for stream in streams:
            await stream.supervisor.stop()
        self._tick.cancel()
        await asyncio.gather(self._tick, return_exceptions=True)


def in_memory(session: Callable[[Memory], Any], venue: Any = None, **options: Any) -> None:
    """Run `session` with a venue and adapter in virtual time."""
    loop = VirtualLoop()

    async def main() -> None:
        made = venue if venue is not None else PoloniexSimulator(now_ns=START_NS, seed=5)
        memory = Memory(loop, made, **options)
        try:
            await session(memory)
        finally:
            await memory.stop()

    run_virtual(main(), loop)
