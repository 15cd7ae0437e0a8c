"""The contenders of `benchmarks/wire.py`: each trades until it has sent so many orders.

Called with a name, the number of orders, a folder and the venue's line; prints the microseconds of
each order as JSON. A frame counts as received when aiohttp hands it over, an
order as written when aiohttp hands its first bytes to the socket: in the same place for all.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from aiohttp.http_writer import StreamWriter
from nautilus_trader.common import Environment, LoggerConfig, LogLevel
from nautilus_trader.config import DataClientConfig, ExecutionClientConfig
from nautilus_trader.live import LiveExecutionEngineConfig, LiveNode
from nautilus_trader.live.clients import (
    DataClientFactory,
    ExecutionClient,
    ExecutionClientFactory,
    MarketDataClient,
)
from nautilus_trader.model import (
    AccountBalance,
    AccountId,
    AccountType,
    BookType,
    Currency,
    InstrumentId,
    Money,
    OmsType,
    OrderBookDeltas,
    OrderSide,
    StrategyId,
    TraderId,
    Venue,
    VenueOrderId,
)
from nautilus_trader.trading import Strategy, StrategyConfig

from fairlead import GuardedStrategy
from fairlead.adapters.base.aiohttp_transport import AiohttpTransport
from fairlead.adapters.base.venue import Feed, FeedKind
from fairlead.adapters.poloniex.signing import sign, string_to_sign
from fairlead.engine.config.resolved import resolve
from fairlead.engine.run.config import load
from fairlead.engine.run.node import NodeRun
from fairlead.engine.run.reach import adapter_of

SYMBOL, IID = "BTC_USDT", InstrumentId.from_str("BTC_USDT.POLONIEX")
PAUSE_NS = 60_000_000  # after an order's end, before the next
AWAY = Decimal("0.97")  # of the best bid: it rests
SIZE = Decimal("0.001")
CREATE = b"POST /orders "


class Probe:
    """When what an order answers to was received, and when its bytes were written."""

    def __init__(self) -> None:
        self.orders = 0  # how many are wanted
        self.took: list[float] = []
        self.received_ns = 0
        self.next_ns = 0
        self.done: Callable[[], None] = lambda: None

    def is_due(self) -> bool:
        return self.received_ns == 0 and time.time_ns() >= self.next_ns

    def begins(self, received_ns: int) -> None:
        self.received_ns = received_ns

    def written(self, data: bytes) -> None:
        if self.received_ns and data[: len(CREATE)] == CREATE:
            self.took.append((time.time_ns() - self.received_ns) / 1e3)

    def ended(self) -> None:
        self.received_ns = 0
        self.next_ns = time.time_ns() + PAUSE_NS
        if len(self.took) >= self.orders:
            self.done()


PROBE = Probe()


def watch_writes() -> None:
    write, writelines = StreamWriter._write, StreamWriter._writelines

    def one(self: Any, chunk: Any) -> None:
        PROBE.written(bytes(chunk[: len(CREATE)]))
        write(self, chunk)

    def many(self: Any, chunks: Any) -> None:
        PROBE.written(bytes(chunks[0][: len(CREATE)]))
        writelines(self, chunks)

    StreamWriter._write, StreamWriter._writelines = one, many  # type: ignore[method-assign]


# -- what all but fairlead share -------------------------------------------------------------------


def revealed(line: Mapping[str, Any]) -> tuple[str, str]:
    """Key and secret, from the files that the venue's line refers to."""
    words = (line["credentials"][name].removeprefix("file:") for name in ("key", "secret"))
    key, secret = (Path(word).read_text() for word in words)
    return key, secret


class Rest:
    """Signed requests over one session."""

    def __init__(self, line: Mapping[str, Any]) -> None:
        self._base = str(line["rest"])
        self._key, self._secret = revealed(line)
        self._session = aiohttp.ClientSession()

    async def ask(self, method: str, path: str, data: Mapping[str, Any] | None) -> Any:
        body = b"" if data is None else json.dumps(data).encode()
        stamp = time.time_ns() // 1_000_000
        headers = {
            "key": self._key,
            "signTimestamp": str(stamp),
            "signature": sign(self._secret, string_to_sign(method, path, stamp, {}, body)),
            "Content-Type": "application/json",
        }
        async with self._session.request(
            method, self._base + path, data=body, headers=headers
        ) as answer:
            return json.loads(await answer.read())

    async def create(self, price: Decimal, name: str = "") -> str:
        order = {
            "symbol": SYMBOL,
            "side": "BUY",
            "type": "LIMIT",
            "price": str(price),
            "quantity": str(SIZE),
        }
        if name:
            order["clientOrderId"] = name
        return str((await self.ask("POST", "/orders", order))["id"])

    async def cancel(self, number: str) -> None:
        await self.ask("DELETE", f"/orders/{number}", None)

    async def close(self) -> None:
        await self._session.close()


def away(bid: Decimal) -> Decimal:
    return (bid * AWAY).quantize(Decimal("0.01"))


async def loose(line: Mapping[str, Any], order: Callable[[Decimal], Any]) -> None:
    """Read the book's frames, and run `order` beside them when one is due."""
    ended = asyncio.Event()
    PROBE.done = ended.set

    async def send(bid: Decimal) -> None:
        try:
            await order(away(bid))
        finally:
            PROBE.ended()

    running: set[asyncio.Task[None]] = set()
    bid = Decimal(0)
    async with aiohttp.ClientSession() as session, session.ws_connect(line["public_ws"]) as ws:
        wanted = {"event": "subscribe", "channel": ["book_lv2"], "symbols": [SYMBOL]}
        await ws.send_str(json.dumps(wanted))
        while not ended.is_set():
            text = (await ws.receive()).data
            received_ns = time.time_ns()
            if ended.is_set():
                break
            frame = json.loads(text)
            if frame.get("channel") != "book_lv2" or not frame.get("data"):
                continue
            row = frame["data"][0]
            if bid == 0 and row["bids"]:
                bid = Decimal(row["bids"][0][0])
            if bid and PROBE.is_due():
                PROBE.begins(received_ns)
                task = asyncio.get_running_loop().create_task(send(bid))
                running.add(task)
    for failed in await asyncio.gather(*running, return_exceptions=True):
        if failed is not None:  # its bytes were written, which is what counts here
            print(f"{type(failed).__name__}: {failed}", file=sys.stderr)


async def post(line: Mapping[str, Any], _: Path) -> None:
    rest = Rest(line)

    async def order(price: Decimal) -> None:
        await rest.cancel(await rest.create(price))

    await loose(line, order)
    await rest.close()


async def ccxt(line: Mapping[str, Any], _: Path) -> None:
    import ccxt.async_support as library

    made = library.poloniex({"enableRateLimit": False})
    made.apiKey, made.secret = revealed(line)
    made.urls["api"]["spot"] = made.urls["api"]["swap"] = line["rest"]
    await made.load_markets()

    async def order(price: Decimal) -> None:
        sent = await made.create_order("BTC/USDT", "limit", "buy", float(SIZE), float(price))
        await made.cancel_order(sent["id"], "BTC/USDT")

    await loose(line, order)
    await made.close()


# -- one strategy for both of NautilusTrader's -----------------------------------------------------


class Sender(Strategy):
    """Sends a limit order that rests when one is due, and cancels it when it is accepted."""

    def on_start(self) -> None:
        self.subscribe_book_deltas(IID, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: OrderBookDeltas) -> None:
        if not PROBE.is_due():
            return
        top = self.cache.top_of_book(IID)
        if top is None:
            return
        PROBE.begins(deltas.ts_init)
        instrument = self.cache.instrument(IID)
        price = instrument.make_price(away(top[0].as_decimal()))
        quantity = instrument.make_qty(SIZE)
        self.submit_order(self.order_factory.limit(IID, OrderSide.BUY, quantity, price))

    def on_order_accepted(self, event: Any) -> None:
        self.cancel_order(event.client_order_id)

    def on_order_canceled(self, event: Any) -> None:
        PROBE.ended()


class GuardedSenderConfig(StrategyConfig):
    """No parameters."""


class GuardedSender(GuardedStrategy, Sender):
    config_class = GuardedSenderConfig


CONFIG = """
name = "wire"
[venues.poloniex]
adapter = "poloniex"
instruments = ["BTC_USDT.POLONIEX"]
[venues.poloniex.options]
http_url = "{rest}"
ws_url = "{public_ws}"
private_ws_url = "{private_ws}"
[venues.poloniex.credentials]
key = "{credentials[key]}"
secret = "{credentials[secret]}"
[[strategies]]
id = "Sender-001"
path = "benchmarks.wire_sides:GuardedSender"
[risk]
max_order_notional = "5000 USDT"
max_position = {{ "BTC_USDT.POLONIEX" = "1" }}
max_open_orders = 20
max_orders_per_second = 50
price_collar_bps = "1000"
[execution]
journal_fsync = "{fsync}"
"""


def configured(line: Mapping[str, Any], folder: Path, fsync: str = "never") -> Any:
    config = folder / "wire.toml"
    config.write_text(CONFIG.format(**line, fsync=fsync))
    return resolve(load(config), "live").require()


def fairlead(fsync: str) -> Callable[[Mapping[str, Any], Path], None]:
    def run(line: Mapping[str, Any], folder: Path) -> None:
        node = NodeRun(configured(line, folder, fsync), "live")
        PROBE.done = lambda: node.stop("enough")
        ended = node.run()
        if ended.exit:
            sys.exit(f"the run ended with {ended.exit}: {ended.reason}")

    return run


# -- a bare adapter for NautilusTrader -------------------------------------------------------------

VENUE = Venue("POLONIEX")


class Wire:
    """What the clients of the bare adapter share: the venue's parser, and requests."""

    def __init__(self, adapter: Any, line: Mapping[str, Any]) -> None:
        self.instrument = adapter.instruments[str(IID)].nautilus
        self.stream = adapter.market_data.public_stream()
        self.line = line
        self.rest = Rest(line)


class BareData(MarketDataClient):
    def __init__(self, *, wire: Wire, **kwargs: Any) -> None:
        super().__init__(venue=VENUE, **kwargs)
        self._wire = wire

    async def _connect(self) -> None:
        self._handle_instrument(self._wire.instrument)

    async def _disconnect(self) -> None:
        """The loop ends with its task."""

    async def _subscribe_book_deltas(self, command: Any) -> None:
        self.create_task(self._read())

    async def _read(self) -> None:
        stream, url = self._wire.stream, self._wire.line["public_ws"]
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as ws:
            frames = [
                *stream.opened(time.time_ns()),
                *stream.subscribe(Feed(FeedKind.BOOK, str(IID))),
            ]
            for frame in frames:
                await ws.send_str(frame)
            while True:
                text = (await ws.receive()).data
                for item in stream.received(text, time.time_ns()):
                    if type(item) is OrderBookDeltas:
                        self._handle_data(item)


class BareExecution(ExecutionClient):
    def __init__(self, *, wire: Wire, **kwargs: Any) -> None:
        super().__init__(
            venue=VENUE,
            account_id=AccountId("POLONIEX-001"),
            account_type=AccountType.CASH,
            oms_type=OmsType.NETTING,
            **kwargs,
        )
        self._wire = wire

    async def _connect(self) -> None:
        free = [
            AccountBalance(Money(amount, one), Money(0, one), Money(amount, one))
            for amount, one in ((100_000, Currency.from_str("USDT")), (2, Currency.from_str("BTC")))
        ]
        self.generate_account_state(free, [], True, self.clock.timestamp_ns())

    async def _disconnect(self) -> None:
        await self._wire.rest.close()

    async def _submit_order(self, command: Any) -> None:
        order = self.cache.order(command.client_order_id)
        self.generate_order_submitted(order)
        number = await self._wire.rest.create(order.price, str(order.client_order_id))
        self.generate_order_accepted(order, VenueOrderId(number), self.clock.timestamp_ns())

    async def _cancel_order(self, command: Any) -> None:
        order = self.cache.order(command.client_order_id)
        await self._wire.rest.cancel(str(order.venue_order_id))
        self.generate_order_canceled(order, order.venue_order_id, self.clock.timestamp_ns())

    async def _generate_order_status_reports(self, _: Any) -> list[Any]:
        return []

    async def _generate_fill_reports(self, _: Any) -> list[Any]:
        return []

    async def _generate_position_status_reports(self, _: Any) -> list[Any]:
        return []

    async def _generate_mass_status(self, _: Any) -> Any:
        return NotImplemented


def factories(wire: Wire) -> tuple[Any, Any]:
    class Data(DataClientFactory):
        @staticmethod
        def create(**given: Any) -> BareData:  # type: ignore[override]
            return BareData(wire=wire, **given)

    class Execution(ExecutionClientFactory):
        @staticmethod
        def create(**given: Any) -> BareExecution:  # type: ignore[override]
            return BareExecution(wire=wire, **given)

    return Data(), Execution()


async def bare(line: Mapping[str, Any], folder: Path) -> None:
    resolved = configured(line, folder)
    http = AiohttpTransport()
    adapter = adapter_of(resolved.loaded, "poloniex", resolved.secrets["poloniex"], http)
    await adapter.connect(trading=False)
    data, execution = factories(Wire(adapter, line))
    builder = LiveNode.builder("BARE", TraderId("BARE-001"), Environment.LIVE)
    builder = builder.with_logging(LoggerConfig(stdout_level=LogLevel.ERROR, is_colored=False))
    builder = builder.with_exec_engine_config(
        LiveExecutionEngineConfig(reconciliation=False, reconciliation_startup_delay_secs=0.0)
    )
    builder = builder.with_delay_post_stop_secs(0)
    builder = builder.add_data_client("POLONIEX", data, DataClientConfig())
    builder = builder.add_exec_client("POLONIEX", execution, ExecutionClientConfig())
    node = builder.build()
    native = StrategyConfig(
        strategy_id=StrategyId("Sender-001"), log_events=False, log_commands=False
    )
    node.add_strategy(Sender(native))
    handle = node.handle()
    PROBE.done = handle.stop
    await node.run_async()
    await http.close()


SIDES: Mapping[str, Callable[[Mapping[str, Any], Path], Any]] = {
    "fairlead": fairlead("never"),
    "fairlead-fsync": fairlead("always"),
    "bare": bare,
    "ccxt": ccxt,
    "post": post,
}


def main() -> None:
    name, orders, folder, line = sys.argv[1:]
    PROBE.orders = int(orders)
    watch_writes()
    side = SIDES[name]
    doing = side(json.loads(line), Path(folder))
    if asyncio.iscoroutine(doing):
        uvloop.run(doing)
    print(json.dumps(PROBE.took))
