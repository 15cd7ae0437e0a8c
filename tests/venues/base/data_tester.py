"""NautilusTrader's own DataTester on the data client, in a process of its own.

    python -m tests.venues.base.data_tester LOG_DIR

NautilusTrader's log goes to a JSON file in LOG_DIR, the client's own to standard error. Prints
the operations the venue saw, as JSON. Logging is global per process, hence the process.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
import time
from pathlib import Path

from nautilus_trader.live import LiveNode

from fairlead.adapters.base.aiohttp_transport import AiohttpWsTransport
from fairlead.adapters.base.runtime import VenueRuntime
from fairlead.engine.status import BookState, RunStatus
from tests.support.patience import over
from tests.venues.base.scripted import (
    BTC,
    ETH,
    ScriptedAdapter,
    ScriptedProtocol,
    ScriptedVenue,
    until,
)
from tests.venues.tester_nodes import builder, data_tester

# 19 changes of size after the first, and the snapshots before and after the reconnect.
QUOTES = 21


def build(runtime: VenueRuntime, log_dir: str) -> LiveNode:
    node = builder(log_dir, runtime, "SCRIPTED").build()
    node.add_builtin_actor("DataTester", data_tester("SCRIPTED", BTC, "1-HOUR"))
    return node


def quotes_heard(log_dir: str) -> int:
    [log] = Path(log_dir).glob("node*")
    return log.read_text().count('"message":"QuoteTick {')


async def main(log_dir: str) -> None:
    venue = ScriptedVenue()
    await venue.start()
    status, ws = RunStatus(), AiohttpWsTransport()
    runtime = VenueRuntime(
        adapter=ScriptedAdapter(ScriptedProtocol(venue.url)),
        ws=ws,
        instruments=(BTC, ETH),
        trading=False,
        now_ns=time.time_ns,
        rng=random.Random(1),
        status=status,
        on_fatal=lambda code, message: sys.exit(f"{code}: {message}"),
    )
    node = build(runtime, log_dir)
    handle = node.handle()
    running = asyncio.create_task(node.run_async())
    await until(lambda: status.book_is_valid(BTC) and len(venue.sent("sub")) == 3)
    for number in range(20):
        await venue.send(venue.delta("100.00", f"{number + 1}.000000"))
        trade = {"t": "trade", "i": BTC, "p": "100.00", "q": "1.000000", "id": number}
        await venue.send(trade, {"t": "bar", "i": BTC, "ohlc": ["1.00", "3.00", "1.00", "2.00"]})
    await venue.drop()
    await until(lambda: status.reconnects == 1 and status.books[BTC].state is BookState.VALID)
    # The book is whole before the actor has heard of it, and a stop ends what it listens to.
    await until(lambda: quotes_heard(log_dir) >= QUOTES)
    handle.stop()
    await over(running)
    await venue.stop()
    await ws.close()
    print(json.dumps([f"{frame['op']} {frame.get('kind', '')}".strip() for frame in venue.frames]))


if __name__ == "__main__":
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO)
    asyncio.run(main(sys.argv[1]))
