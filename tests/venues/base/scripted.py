"""A tiny venue on loopback whose every frame the test decides, its stream protocol and adapter.

Frames are JSON: `{"op": ...}` from the client; `{"t": ...}` from the venue.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from aiohttp import WSMsgType, web
from nautilus_trader.model import (
    AggressorSide,
    Bar,
    BarType,
    BookAction,
    BookOrder,
    Currency,
    CurrencyPair,
    InstrumentId,
    OrderBookDelta,
    OrderBookDeltas,
    OrderSide,
    Price,
    Quantity,
    RecordFlag,
    TradeId,
    TradeTick,
)

from fairlead.adapters.base.venue import (
    Feed,
    FeedKind,
    Gap,
    ParseError,
    Renewal,
    Resynced,
    Send,
    StreamFault,
    Subscribed,
    VenueError,
    VenueErrorKind,
    VenueInstrument,
)
from fairlead.engine.orders.model import Capabilities, Kind, Tif
from tests.support.patience import PATIENCE_SECS

BTC = "BTC_USDT.SCRIPTED"
ETH = "ETH_USDT.SCRIPTED"


async def until(condition: Callable[[], Any], what: str = "") -> None:
    """Poll until true; fails after a deadline instead of sleeping a guessed time."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECS
    while not condition():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"not within {PATIENCE_SECS} s: {what or condition}")
        await asyncio.sleep(0.005)


class ScriptedVenue:
    """A WebSocket server. It greets, and answers subscriptions with a snapshot, unless told not."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []  # everything clients sent
        self.connections: list[web.WebSocketResponse] = []
        self.greets = True
        self.snapshots = True
        self.answers_pings = True
        self.refuses = False
        self.seq = itertools.count(1)
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/ws", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        self.url = f"ws://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/ws"

    async def stop(self) -> None:
        await self.drop()
        assert self._runner is not None
        await self._runner.cleanup()

    def sent(self, op: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame.get("op") == op]

    async def send(self, *frames: dict[str, Any] | str) -> None:
        """To every open connection."""
        for connection in list(self.connections):
            for frame in frames:
                await connection.send_str(frame if isinstance(frame, str) else json.dumps(frame))

    async def drop(self) -> None:
        for connection in list(self.connections):
            await connection.close()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if self.refuses:
            return web.Response(status=503)
        socket = web.WebSocketResponse(autoping=self.answers_pings)
        await socket.prepare(request)
        self.connections.append(socket)
        if self.greets:
            await socket.send_str(json.dumps({"t": "welcome"}))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._received(socket, json.loads(message.data))
        finally:
            self.connections.remove(socket)
        return socket

    async def _received(self, socket: web.WebSocketResponse, frame: dict[str, Any]) -> None:
        self.frames.append(frame)
        if frame["op"] == "ping" and self.answers_pings:
            await socket.send_str(json.dumps({"t": "pong"}))
        is_book = frame["op"] in {"sub", "resync"} and frame["kind"] == "book"
        if is_book and self.snapshots:
            await socket.send_str(json.dumps(self.snapshot(frame["i"])))

    def snapshot(self, instrument: str = BTC, bid: str = "100.00") -> dict[str, Any]:
        ask = str(Decimal(bid) + Decimal("0.01"))
        return {
            "t": "snap",
            "i": instrument,
            "seq": next(self.seq),
            "bids": [[bid, "1.000000"], [str(Decimal(bid) - 1), "2.000000"]],
            "asks": [[ask, "1.000000"], [str(Decimal(ask) + 1), "2.000000"]],
        }

    def delta(self, price: str, size: str, instrument: str = BTC, skip: int = 0) -> dict[str, Any]:
        """One bid level changed; `skip` sequence numbers are lost before it."""
        for _ in range(skip):
            next(self.seq)
        return {"t": "delta", "i": instrument, "seq": next(self.seq), "bids": [[price, size]]}


class ScriptedProtocol:
    """The stream protocol of `ScriptedVenue`, by the contract of `StreamProtocol`."""

    def __init__(self, url: str, idle_ping_secs: float = 10.0, idle_close_secs: float = 30.0):
        self.url = url
        self.idle_ping_secs = idle_ping_secs
        self.idle_close_secs = idle_close_secs
        self.feeds: dict[Feed, None] = {}
        self.seqs: dict[str, int] = {}  # books that are whole
        self.greeted = False
        self.pings_by_frame = True

    def opened(self, now_ns: int) -> Sequence[str]:
        self.seqs.clear()
        self.greeted = False
        return [json.dumps({"op": "hello"})]

    def subscribe(self, feed: Feed) -> Sequence[str]:
        self.feeds[feed] = None
        return [_feed_frame("sub", feed)] if self.greeted else []

    def unsubscribe(self, feed: Feed) -> Sequence[str]:
        self.feeds.pop(feed, None)
        if feed.kind is FeedKind.BOOK:
            self.seqs.pop(feed.instrument, None)
        return [_feed_frame("unsub", feed)] if self.greeted else []

    def ping(self, now_ns: int) -> Sequence[str]:
        return [json.dumps({"op": "ping"})] if self.pings_by_frame else []

    def received(self, frame: bytes | str, ts_init: int) -> Iterable[Any]:
        try:
            message = json.loads(frame)
            kind = message["t"]
        except (ValueError, TypeError, KeyError) as error:
            raise ParseError("scripted", f"not a message: {error!r}") from error
        if kind == "boom":
            raise RuntimeError("a parser's bug")
        return getattr(self, f"_{kind}")(message, ts_init)

    def closed(self, ts_init: int) -> Iterable[Any]:
        self.greeted = False
        for instrument in list(self.seqs):
            yield from self._lost(instrument, "connection lost", (), ts_init)

    def _welcome(self, message: dict[str, Any], ts_init: int) -> Iterable[Any]:
        self.greeted = True
        for feed in self.feeds:
            yield Send(_feed_frame("sub", feed))

    def _pong(self, message: dict[str, Any], ts_init: int) -> Iterable[Any]:
        return ()

    def _subscribed(self, message: dict[str, Any], ts_init: int) -> Iterable[Any]:
        yield Subscribed(Feed(FeedKind.BOOK, message["i"]))

    def _fault(self, message: dict[str, Any], ts_init: int) -> Iterable[Any]:
        yield StreamFault("SCRIPTED-9", message["text"], message["action"])

    def _snap(self, message: dict[str, Any], ts_init: int) -> Iterable[Any]:
        name, seq = message["i"], message["seq"]
        instrument = InstrumentId.from_str(name)
        deltas = [OrderBookDelta.clear(instrument, seq, ts_init, ts_init)]
        levels = [(OrderSide.BUY, *level) for level in message["bids"]]
        levels += [(OrderSide.SELL, *level) for level in message["asks"]]
        for index, (side, price, size) in enumerate(levels):
            last = RecordFlag.F_LAST.value if index == len(levels) - 1 else 0
            order = BookOrder(side, Price.from_str(price), Quantity.from_str(size), 0)
            flags = RecordFlag.F_SNAPSHOT.value | last
            add = BookAction.ADD
            deltas.append(OrderBookDelta(instrument, add, order, flags, seq, ts_init, ts_init))
        was_whole = name in self.seqs
        self.seqs[name] = seq
        yield OrderBookDeltas(instrument, deltas)
        if not was_whole:
            yield Resynced(name)

    def _delta(self, message: dict[str, Any], ts_init: int) -> Iterable[Any]:
        name, seq = message["i"], message["seq"]
        if name not in self.seqs:
            return
        if seq != self.seqs[name] + 1:
            resync = json.dumps({"op": "resync", "i": name, "kind": "book"})
            reason = f"sequence {seq} after {self.seqs[name]}"
            yield from self._lost(name, reason, (resync,), ts_init)
            return
        self.seqs[name] = seq
        instrument = InstrumentId.from_str(name)
        [[price, size]] = message["bids"]
        order = BookOrder(OrderSide.BUY, Price.from_str(price), Quantity.from_str(size), 0)
        flags, action = RecordFlag.F_LAST.value, BookAction.UPDATE
        delta = OrderBookDelta(instrument, action, order, flags, seq, ts_init, ts_init)
        yield OrderBookDeltas(instrument, [delta])

    def _lost(self, name: str, reason: str, resync: tuple[str, ...], ts_init: int) -> Iterable[Any]:
        seq = self.seqs.pop(name)
        instrument = InstrumentId.from_str(name)
        clear = OrderBookDelta.clear(instrument, seq, ts_init, ts_init)
        yield OrderBookDeltas(instrument, [clear])
        yield Gap(name, reason, resync)

    def _trade(self, message: dict[str, Any], ts_init: int) -> Iterable[Any]:
        yield TradeTick(
            InstrumentId.from_str(message["i"]),
            Price.from_str(message["p"]),
            Quantity.from_str(message["q"]),
            AggressorSide.BUY,
            TradeId(str(message["id"])),
            ts_init,
            ts_init,
        )

    def _bar(self, message: dict[str, Any], ts_init: int) -> Iterable[Any]:
        bar_type = BarType.from_str(f"{message['i']}-1-HOUR-LAST-EXTERNAL")
        prices = [Price.from_str(price) for price in message["ohlc"]]
        yield Bar(bar_type, *prices, Quantity.from_str("1.000000"), ts_init, ts_init)


def _feed_frame(op: str, feed: Feed) -> str:
    frame = {"op": op, "i": feed.instrument, "kind": feed.kind.value, "depth": feed.depth}
    return json.dumps(frame)


def instrument(name: str) -> VenueInstrument:
    symbol = InstrumentId.from_str(name).symbol
    base, quote = str(symbol).split("_")
    ts_ns = time.time_ns()
    nautilus = CurrencyPair(
        instrument_id=InstrumentId.from_str(name),
        raw_symbol=symbol,
        base_currency=Currency.from_str(base),
        quote_currency=Currency.from_str(quote),
        price_precision=2,
        size_precision=6,
        price_increment=Price.from_str("0.01"),
        size_increment=Quantity.from_str("0.000001"),
        ts_event=ts_ns,
        ts_init=ts_ns,
    )
    return VenueInstrument(
        id=name,
        symbol=str(symbol),
        base=base,
        quote=quote,
        nautilus=nautilus,
        price_precision=2,
        size_precision=6,
    )


class ScriptedMarketData:
    def __init__(self, protocol: ScriptedProtocol) -> None:
        self.protocol = protocol
        self.fails = False
        self.snapshot_requests = 0

    def public_stream(self) -> ScriptedProtocol:
        return self.protocol

    def _check(self) -> None:
        if self.fails:
            raise VenueError(VenueErrorKind.UNKNOWN, "SCRIPTED-500", "the venue is down")

    async def history_trades(
        self, instrument: str, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[Any]:
        self._check()
        message = {"i": instrument, "p": "99.00", "q": "1.000000", "id": 7}
        return list(self.protocol._trade(message, time.time_ns()))

    async def history_bars(
        self, bar_type: Any, start_ns: int | None, end_ns: int | None, limit: int
    ) -> list[Any]:
        self._check()
        price, ts_ns = Price.from_str("99.00"), time.time_ns()
        size = Quantity.from_str("1.000000")
        return [Bar(bar_type, price, price, price, price, size, ts_ns, ts_ns)]

    async def book_snapshot(self, instrument: str, depth: int) -> Any:
        self._check()
        self.snapshot_requests += 1
        message = {
            "i": instrument,
            "seq": 1,
            "bids": [["90.00", "1.000000"]],
            "asks": [["91.00", "1.000000"]],
        }
        protocol = ScriptedProtocol("")
        return next(iter(protocol._snap(message, time.time_ns())))


class ScriptedAdapter:
    """An `Adapter` without trading."""

    name = "scripted"
    venue = "SCRIPTED"

    def __init__(self, protocol: ScriptedProtocol, book_depths: tuple[int, ...] = ()) -> None:
        self.capabilities = Capabilities(
            kinds=frozenset(Kind),
            time_in_force=frozenset(Tif),
            bar_minutes=(1, 60),
            book_depths=book_depths,
        )
        self.instruments = {name: instrument(name) for name in (BTC, ETH)}
        self.market_data = ScriptedMarketData(protocol)
        self.connect_error: Exception | None = None
        self.connects = 0
        self.closes = 0
        self.renewing: tuple[Renewal, ...] = ()
        self.orders: Any = None

    async def connect(self, *, trading: bool) -> None:
        self.connects += 1
        if self.connect_error is not None:
            raise self.connect_error

    async def refresh_instruments(self) -> None: ...

    def renewals(self) -> Sequence[Renewal]:
        return self.renewing

    def private_stream(self) -> None:
        return None

    async def close(self) -> None:
        self.closes += 1
