"""A live node that records trades and books into a catalog; run and killed by a test.

Arguments: catalog, number of trades, number of the first, seconds after which a file is closed.
Prints `begun` at the first trade.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from nautilus_trader.common import DataActor, Environment, LoggerConfig, LogLevel
from nautilus_trader.config import DataClientConfig
from nautilus_trader.live import LiveNode, LiveNodeConfig
from nautilus_trader.live.clients import DataClientFactory, MarketDataClient
from nautilus_trader.model import (
    AggressorSide,
    Currency,
    CurrencyPair,
    InstrumentId,
    Price,
    Quantity,
    TradeId,
    TraderId,
    TradeTick,
    Venue,
)

from fairlead.engine.recording.definitions import define
from fairlead.engine.recording.journal import RunJournal

IID = InstrumentId.from_str("BTC_USDT.X")
CATALOG, COUNT, FIRST, ROTATE_SECS = Path(sys.argv[1]), *map(int, sys.argv[2:])
INSTRUMENT = CurrencyPair(
    IID,
    IID.symbol,
    Currency.from_str("BTC"),
    Currency.from_str("USDT"),
    2,
    3,
    Price.from_str("0.01"),
    Quantity.from_str("0.001"),
    0,
    0,
)
done = asyncio.Event()


class Feed(MarketDataClient):
    def __init__(self, **kwargs):
        super().__init__(venue=Venue("X"), **kwargs)

    async def _connect(self):
        self._handle_instrument(INSTRUMENT)

    async def _disconnect(self):
        return None

    async def _subscribe_trades(self, command):
        self.create_task(self._feed())

    async def _feed(self):
        price, size = Price.from_str("100.00"), Quantity.from_str("0.001")
        for i in range(FIRST, FIRST + COUNT):
            ts = time.time_ns()
            trade = TradeTick(IID, price, size, AggressorSide.BUY, TradeId(str(i)), ts, ts)
            self._handle_data(trade)
            if i == FIRST:
                print("begun", flush=True)
            if i % 20 == 19:
                await asyncio.sleep(0.002)
        done.set()


class FeedFactory(DataClientFactory):
    @staticmethod
    def create(*, name, config, cache, clock):
        return Feed(name=name, config=config, cache=cache, clock=clock)


class Subscriber(DataActor):
    def on_start(self):
        self.subscribe_trades(IID)


async def main() -> None:
    define(CATALOG, [INSTRUMENT])
    journal = RunJournal(CATALOG, [str(IID)], time.time_ns())
    config = LiveNodeConfig(
        environment=Environment.LIVE,
        trader_id=TraderId("TESTER-001"),
        delay_post_stop_secs=0.0,
        logging=LoggerConfig(stdout_level=LogLevel.ERROR, is_colored=False),
        streaming=journal.streaming(ROTATE_SECS),
        data_clients={"X": DataClientConfig()},
    )
    node = LiveNode.build("REC", config, data_factories={"X": FeedFactory()})
    node.add_actor(Subscriber())
    handle = node.handle()
    running = asyncio.ensure_future(node.run_async())
    await done.wait()
    handle.stop()
    await running
    journal.close()


asyncio.run(main())
