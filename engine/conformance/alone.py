"""Cards that bring their own loop: seeded sessions, and real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from random import Random
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

from msgspec.structs import replace

from fairlead.adapters import registry
from fairlead.adapters.base.aiohttp_transport import AiohttpTransport, AiohttpWsTransport
from fairlead.adapters.base.runtime import VenueRuntime
from fairlead.adapters.base.transport import (
    NO_HEADERS,
    HttpRequest,
    HttpResponse,
    WsConnection,
)
from fairlead.adapters.base.venue import AdapterContext, Feed, FeedKind, Resynced, TickerData
from fairlead.adapters.simulation.server import Served, serve
from fairlead.engine.conformance.card import Card, side_by_side
from fairlead.engine.conformance.verdict import Broken, require
from fairlead.engine.secrets import Secret
from fairlead.engine.sessions.run import run_many
from fairlead.engine.sessions.scene import instrument_of, options_of
from fairlead.engine.status import RunStatus

FEW_SEEDS = 20  # are not worth other processes
BOOK_SECS = 30.0
FAILED_TOLD = 3


def sessions(venue: str, seeds: int) -> str:
    """As `fairlead simulate --venues NAME --seeds 1..N`."""
    summary = run_many([venue], range(1, seeds + 1), jobs=1 if seeds <= FEW_SEEDS else 0)
    if summary.failed_count:
        told = [
            f"seed {one.seed}: {one.violations[0].code} {one.violations[0].detail}"
            for one in summary.failed[:FAILED_TOLD]
        ]
        raise Broken(
            f"{summary.failed_count} of {seeds} sessions broke a promise; {'; '.join(told)}"
        )
    of = summary.counts.get
    return (
        f"{seeds} sessions: {of('sent', 0)} orders, {of('fills', 0)} fills, "
        f"{of('unknown', 0)} unknown outcomes, {of('restarts', 0)} restarts; "
        "every promise held"
    )


class _OnLoopback:
    """Both transports, with the host of every address put in place of the venue's own."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._http = AiohttpTransport()
        self._ws = AiohttpWsTransport()

    async def request(self, request: HttpRequest) -> HttpResponse:
        return await self._http.request(
            replace(request, url=_moved(request.url, self._served.http_base))
        )

    async def connect(self, url: str, headers: Mapping[str, str] = NO_HEADERS) -> WsConnection:
        return await self._ws.connect(_moved(url, self._served.ws_base), headers)

    async def close(self) -> None:
        await self._http.close()
        await self._ws.close()


def _moved(url: str, base: str) -> str:
    to, parts = urlsplit(base), urlsplit(url)
    return urlunsplit((to.scheme, to.netloc, parts.path, parts.query, ""))


def loopback(venue: str, seeds: int) -> str:
    """The adapter and its simulator over real sockets."""
    return asyncio.run(_loopback(venue))


async def _loopback(venue: str) -> str:
    spec = registry.spec(venue)
    instrument = await asyncio.to_thread(lambda: instrument_of(venue)[0])
    simulated = registry.simulator(venue)(now_ns=time.time_ns(), seed=1)
    described: Any = simulated.describe("", "")
    credentials: dict[str, str] = described["credentials"]
    served = await serve(simulated)
    wire = _OnLoopback(served)
    fatal: list[str] = []
    whole = asyncio.Event()
    try:
        adapter = spec.create(
            AdapterContext(
                venue=venue.upper(),
                options=options_of(spec, described.get("options", {})),
                secrets={n: Secret(v, f"a card's {n}") for n, v in credentials.items()},
                http=wire,
                now_ns=time.time_ns,
                instruments=(instrument,),
            )
        )
        await adapter.connect(trading=True)
        balances = await adapter.orders.balances()
        require(len(balances) > 0, "the account has no balance")
        if adapter.capabilities.ticker:
            price, _ = await cast(TickerData, adapter.market_data).last_price(instrument)
            await adapter.close()
            return f"connected, {len(balances)} balances and a price ({price}) over real sockets"
        runtime = VenueRuntime(
            adapter=adapter,
            ws=wire,
            instruments=(instrument,),
            trading=False,
            now_ns=time.time_ns,
            rng=Random(1),  # noqa: S311 - simulation
            status=RunStatus(),
            on_fatal=lambda code, message: fatal.append(f"{code}: {message}"),
        )

        def on_item(item: Any) -> None:
            if isinstance(item, Resynced) or type(item).__name__ == "OrderBookDeltas":
                whole.set()

        stream = runtime.stream("card", adapter.market_data.public_stream(), on_item)
        stream.add_feed(Feed(FeedKind.BOOK, instrument))
        stream.start()
        try:
            async with asyncio.timeout(BOOK_SECS):
                await whole.wait()
        except TimeoutError:
            raise Broken(f"no book within {BOOK_SECS:g} s; {', '.join(fatal)}") from None
        finally:
            await stream.stop()
            await adapter.close()
    finally:
        await wire.close()
        await served.stop()
    return f"connected, {len(balances)} balances and a book of {instrument} over real sockets"


CARDS = (
    Card(
        "loopback.sockets",
        "it speaks with its simulator over HTTP and WebSocket",
        None,
        alone=loopback,
    ),
    Card("sessions.seeds", "every promise holds in seeded sessions", None, side_by_side, sessions),
)
