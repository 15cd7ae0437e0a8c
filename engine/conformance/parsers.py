"""Cards of parsers: any bytes give events, or the errors of the contract."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from nautilus_trader.model import BarType

from fairlead.adapters.base.limits import ReadLimits
from fairlead.adapters.base.transport import HttpRequest, HttpResponse
from fairlead.adapters.base.venue import (
    AdapterContext,
    Feed,
    FeedKind,
    ParseError,
    StreamProtocol,
    VenueError,
)
from fairlead.adapters.simulation.memory import InMemoryHttp
from fairlead.adapters.simulation.mutation import JSON, Mutator
from fairlead.engine.conformance.card import Card, books
from fairlead.engine.conformance.listening import Listener
from fairlead.engine.conformance.stage import Stage
from fairlead.engine.conformance.taps import Kept
from fairlead.engine.conformance.verdict import Broken, require
from fairlead.engine.orders.model import (
    Capabilities,
    Intent,
    Kind,
    Lost,
    OrderRef,
    Side,
    VenueUnavailable,
)
from fairlead.engine.secrets import Secret

Errors = tuple[type[Exception], ...]
FRAMES = 4_000
ANSWERS = 60  # of each call
ROOM_SECS = 0.5
BYTES_TOLD = 160


async def public_frames(stage: Stage) -> str:
    """The public stream's parser."""
    await stage.begin()
    kinds = [FeedKind.BOOK, FeedKind.TRADES] if stage.can.public_trades else [FeedKind.BOOK]
    feeds = [Feed(kind, stage.instrument) for kind in kinds]
    heard = Listener(stage, feeds)
    stage.venue.driver.paused = False
    await asyncio.sleep(6.0)
    await heard.stop()
    protocol = stage.process.runtime.adapter.market_data.public_stream()
    for feed in feeds:
        protocol.subscribe(feed)
    return _fuzz(stage, protocol, heard.frames)


async def private_frames(stage: Stage) -> str:
    """The private stream's parser, on frames of orders, executions and balances."""
    kept = stage.tap = Kept()
    await stage.begin()
    trader = stage.trader()
    for number in range(3):
        (cid,) = await stage.submit(trader.taking(stage.can, number))
        await stage.settled(cid)
    await asyncio.sleep(2.0)
    protocol = stage.process.runtime.adapter.private_stream()
    require(protocol is not None, "it says that it pushes (`private_stream`), and has no stream")
    assert protocol is not None
    protocol.attach(lambda frames: None)
    return _fuzz(stage, protocol, kept.frames)


def _fuzz(stage: Stage, protocol: StreamProtocol, frames: Sequence[bytes]) -> str:
    require(len(frames) > 0, "no frame came")
    mutator = Mutator(stage.plan.seed, frames, JSON, ())
    now_ns, items, refused = stage.loop.now_ns(), 0, 0
    protocol.opened(now_ns)
    for number in range(FRAMES):
        data = frames[number] if number < len(frames) else mutator()
        frame = data.decode(errors="replace") if number % 2 else data
        try:
            items += sum(1 for _ in protocol.received(frame, now_ns))
        except ParseError as error:
            if number < len(frames):
                raise Broken(f"a true frame: {error}; {data[:BYTES_TOLD]!r}") from error
            refused += 1
        except Exception as error:
            raise Broken(f"{type(error).__name__}: {error}; on {data[:BYTES_TOLD]!r}") from error
    list(protocol.closed(now_ns))
    return f"{FRAMES} frames of {len(frames)} true ones: {items} items, {refused} decode errors"


class _SpoiltHttp:
    """An `HttpTransport` whose answers are changed, once `mutator` is there."""

    def __init__(self, http: InMemoryHttp) -> None:
        self.mutator: Mutator | None = None
        self.told = b""
        self.bodies: list[bytes] = []
        self._http = http

    async def request(self, request: HttpRequest) -> HttpResponse:
        response = await self._http.request(request)
        if self.mutator is None:
            self.bodies.append(response.body)
            return response
        self.mutator.corpus[:] = [response.body] * 3 + self.bodies[:20]
        self.told = self.mutator()
        return HttpResponse(
            status=response.status if self.mutator.below(8) else self.mutator.pick(STATUSES),
            body=self.told,
            headers=response.headers,
        )

    async def close(self) -> None: ...


STATUSES = (200, 201, 204, 301, 400, 401, 403, 404, 408, 409, 418, 429, 500, 502, 503, 504)


async def answers(stage: Stage) -> str:
    """Every read, create and cancel, on answers that say anything."""
    await stage.begin()
    http = _SpoiltHttp(InMemoryHttp(stage.venue, stage.loop.now_ns))
    adapter = stage.spec.create(
        AdapterContext(
            venue=stage.venue_name,
            options=stage.adapter_options(stage.spec),
            secrets={n: Secret(v, f"a card's {n}") for n, v in stage.credentials.items()},
            http=http,
            now_ns=stage.loop.now_ns,
            instruments=(stage.instrument,),
            reads=ReadLimits(tries_max=1),
        )
    )
    await adapter.connect(trading=True)
    calls = [*_market_calls(stage, adapter), *_order_calls(stage, adapter)]
    for name, call, _ in calls:  # as they are: what is true is in the corpus
        http.mutator = None
        await _call(http, name, call, (VenueError, VenueUnavailable))
    http.mutator = Mutator(stage.plan.seed, [b"{}"], JSON, ())
    count = refused = 0
    for name, call, allowed in calls:
        for _ in range(ANSWERS):
            count += 1
            refused += await _call(http, name, call, allowed)
            await asyncio.sleep(ROOM_SECS)  # in the budget of requests
    return f"{count} spoilt answers to {len(calls)} calls: {refused} errors of the contract"


async def _call(
    http: _SpoiltHttp,
    name: str,
    call: Callable[[], Awaitable[Any]],
    allowed: tuple[type[Exception], ...],
) -> int:
    try:
        await call()
    except allowed:
        return 1
    except Exception as error:
        told = f"{name} raised {type(error).__name__}: {error}; on {http.told[:BYTES_TOLD]!r}"
        raise Broken(told) from error
    return 0


Spoilt = tuple[str, Callable[[], Awaitable[Any]], Errors]


def _market_calls(stage: Stage, adapter: Any) -> list[Spoilt]:
    data, name = adapter.market_data, stage.instrument
    found: list[Spoilt] = [
        ("refresh_instruments", adapter.refresh_instruments, (VenueError,)),
        ("measure_clock", adapter.measure_clock, (VenueError,)),
        ("book_snapshot", lambda: data.book_snapshot(name, 0), (VenueError,)),
        ("history_trades", lambda: data.history_trades(name, None, None, 5), (VenueError,)),
    ]
    if stage.can.ticker:
        found.append(("last_price", lambda: data.last_price(name), (VenueError,)))
    if stage.can.bar_minutes:
        minutes = min(stage.can.bar_minutes)
        bars = BarType.from_str(f"{name}-{minutes}-MINUTE-LAST-EXTERNAL")
        found.append(
            ("history_bars", lambda: data.history_bars(bars, None, None, 5), (VenueError,))
        )
    return found


def _order_calls(stage: Stage, adapter: Any) -> list[Spoilt]:
    """Reads raise VenueUnavailable; what is sent to change something raises nothing."""
    orders, facts = adapter.orders, stage.trader().plain(stage.can)
    intent = Intent(
        client_order_id=facts.client_order_id,
        strategy=facts.strategy,
        instrument=facts.instrument,
        side=Side.BUY,
        kind=Kind(facts.kind),
        quantity=facts.quantity,
        price=facts.price,
    )
    ref = OrderRef(
        instrument=stage.instrument, client_order_id=intent.client_order_id, venue_order_id="1"
    )
    lost = Lost(intent, frozenset(), stage.loop.now_ns())
    reads = (VenueUnavailable,)
    return [
        ("balances", orders.balances, reads),
        ("open_orders", lambda: orders.open_orders([stage.instrument]), reads),
        ("orders", lambda: orders.orders([ref]), reads),
        ("fills", lambda: orders.fills([ref], 0), reads),
        ("find_all", lambda: orders.find_all([lost]), ()),
        ("cancel", lambda: orders.cancel([ref]), ()),
    ]


def _pushes(can: Capabilities) -> str:
    return "" if can.private_stream else "the venue pushes nothing private (`private_stream`)"


CARDS = (
    Card("parsers.public", "any frame gives events or a decode error", public_frames, books),
    Card(
        "parsers.private",
        "any private frame gives events or a decode error",
        private_frames,
        _pushes,
    ),
    Card("parsers.answers", "any answer gives values or the contract's errors", answers),
)
