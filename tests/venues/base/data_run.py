"""A node with one data client and one strategy, against a scripted venue."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

from nautilus_trader.common import Environment, LoggerConfig
from nautilus_trader.config import DataClientConfig
from nautilus_trader.live import LiveDataEngineConfig, LiveNode
from nautilus_trader.model import (
    BookType,
    InstrumentId,
    StrategyId,
    TraderId,
)
from nautilus_trader.trading import StrategyConfig

from fairlead.adapters.base.data_client import make_data_factory
from fairlead.adapters.base.limits import StreamLimits
from fairlead.adapters.base.runtime import VenueRuntime
from fairlead.engine.recording.gaps import GapRow
from fairlead.engine.status import RunStatus
from tests.venues.base.scripted import (
    BTC,
    ETH,
    ScriptedAdapter,
    ScriptedProtocol,
)
from tests.venues.base.seen import Seen

IID = InstrumentId.from_str(BTC)
L2 = BookType.L2_MBP


class GapRows(list[GapRow]):
    """A gap sink in memory."""


class Run:
    """One node with one data client and one strategy."""

    def __init__(self, protocol: ScriptedProtocol, ws: Any, **runtime: Any) -> None:
        self.adapter = ScriptedAdapter(protocol, runtime.pop("book_depths", ()))
        self.gaps = GapRows()
        self.fatal: list[tuple[str, str]] = []
        self.status = RunStatus()
        options: dict[str, Any] = {
            "instruments": (BTC, ETH),
            "stream_limits": StreamLimits(backoff_min_secs=0.01, backoff_max_secs=0.02),
        }
        self.runtime = VenueRuntime(
            adapter=self.adapter,  # type: ignore[arg-type]
            ws=ws,
            trading=False,
            now_ns=time.time_ns,
            rng=random.Random(1),
            status=self.status,
            on_fatal=self._fatal,
            gaps=self.gaps,
            **(options | runtime),
        )
        self.strategies: list[Seen] = []
        self.handle: Any = None
        self.task: asyncio.Task[None] | None = None
        self.error = ""

    def _fatal(self, code: str, message: str) -> None:
        """What a mode does: remember, and stop the node."""
        self.fatal.append((code, message))
        self.handle.stop()

    def start(self, *starts: Callable[[Seen], None], connect_secs: int = 5) -> Seen:
        builder = (
            LiveNode.builder("DATA", TraderId("TESTER-001"), Environment.LIVE)
            .with_logging(LoggerConfig(bypass_logging=True))
            .with_timeout_connection(connect_secs)
            .with_timeout_disconnection_secs(3)
            .with_delay_post_stop_secs(0)
            .with_data_engine_config(LiveDataEngineConfig(emit_quotes_from_book=True))
            .add_data_client("SCRIPTED", make_data_factory(self.runtime), DataClientConfig())
        )
        node = builder.build()
        for number, start in enumerate(starts):
            config = StrategyConfig(strategy_id=StrategyId(f"S-{number}"))
            self.strategies.append(Seen(config))
            self.strategies[-1].begin = start
            node.add_strategy(self.strategies[-1])
        self.handle = node.handle()
        self.task = asyncio.create_task(self._run(node))
        return self.strategies[0]

    async def _run(self, node: Any) -> None:
        try:
            await node.run_async()
        except RuntimeError as error:  # kept as text: its traceback would keep the node alive
            self.error = str(error)

    async def stop(self) -> None:
        """Stop in order; the node must not fail."""
        if self.task is not None:
            task, self.task = self.task, None
            self.handle.stop()
            await asyncio.wait_for(task, 5)
            assert self.error == ""

    @property
    def book(self) -> Any:
        return self.status.books.get(BTC)


def managed_book(strategy: Seen) -> None:
    strategy.subscribe_book_deltas(IID, L2, managed=True)


def bids(strategy: Seen) -> list[str]:
    book = strategy.cache.order_book(IID)
    return [f"{level.price} {level.size()}" for level in book.bids()]
