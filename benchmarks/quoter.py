"""What `page_load` has traded: a strategy that answers to ticks, and a venue of many markets."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderSide
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard import GuardedStrategy
from fairlead.engine.status import LatencyHistogram, RunStatus

FAR, STEP = Decimal("0.05"), Decimal("0.00002")  # below the market, of its price


class QuoterConfig(StrategyConfig):
    """`rests` orders of all instruments rest; from the first phase on, each `every_ms`, a tick is
    answered with one order more, and the oldest is cancelled. `folder`: see `Quoter`."""

    instruments: str  # ids, by comma
    folder: str
    rests: int
    every_ms: int

    def __init__(
        self, *, instruments: str, folder: str, rests: int, every_ms: int, **native: Any
    ) -> None:
        self.instruments = instruments
        self.folder = folder
        self.rests = rests
        self.every_ms = every_ms


class Quoter(GuardedStrategy):
    """Looks at `phase` in its folder: a new number there begins a new histogram, and writes the one
    of before as `phase-NUMBER.json`."""

    config_class = QuoterConfig

    def __init__(self, config: QuoterConfig) -> None:
        super().__init__(config)
        self.names = [InstrumentId.from_str(one) for one in config.instruments.split(",")]
        self.folder = Path(config.folder)
        self.count = 0
        self.resting: list[Any] = []
        self.ordered_ns = 0
        self.phase = ""

    def on_start(self) -> None:
        (self.status,) = (one for one in gc.get_objects() if isinstance(one, RunStatus))
        for name in self.names:
            self.subscribe_book_deltas(name, BookType.L2_MBP, managed=True)
        self.clock.set_timer("look", timedelta(milliseconds=25))

    def on_time_event(self, event: Any) -> None:
        if len(self.resting) < self.config.rests:
            self.order(self.names[self.count % len(self.names)])
        try:
            phase = (self.folder / "phase").read_text()
        except FileNotFoundError:
            return
        if phase and phase != self.phase:
            told = self.status.tick_to_order.snapshot()
            self.status.latencies["tick_to_order"] = LatencyHistogram()
            (self.folder / f"phase-{self.phase}.json").write_text(json.dumps(told))
            self.phase = phase

    def on_book_deltas(self, deltas: Any) -> None:
        now_ns = time.monotonic_ns()
        if self.phase and now_ns - self.ordered_ns >= self.config.every_ms * 1_000_000:
            self.ordered_ns = now_ns
            self.order(deltas.instrument_id)
            oldest = self.resting.pop(0)
            if self.cache.is_order_open(oldest):  # one that was refused is over
                self.cancel_order(oldest)

    def order(self, name: InstrumentId) -> None:
        top, instrument = self.cache.top_of_book(name), self.cache.instrument(name)
        if top is None or top[0] is None:
            return
        self.count += 1
        below = 1 - FAR - STEP * (self.count % 1000)
        order = self.order_factory.limit(
            name,
            OrderSide.BUY,
            instrument.make_qty(Decimal("0.001")),
            instrument.make_price(top[0].as_decimal() * below),
        )
        self.resting.append(order.client_order_id)
        self.submit_order(order)


def serve(markets: int, folder: Path) -> int:
    """The simulated Poloniex with so many markets, all of them alive, as `fairlead venue` does."""
    import msgspec

    from fairlead.adapters.poloniex.simulator import PoloniexSimulator
    from fairlead.adapters.poloniex.simulator_markets import DEFAULT_MARKETS, PoloniexSimOptions
    from fairlead.engine.cli.venue import _serve

    first = next(one for one in DEFAULT_MARKETS if one.symbol == "ETH_USDT")
    made = tuple(msgspec.structs.replace(first, symbol=name) for name in symbols(markets))
    options = PoloniexSimOptions(
        markets=made,
        active_markets=tuple(one.symbol for one in made),
        replay_market=made[0].symbol,
    )
    now_ns = time.time_ns()
    venue = PoloniexSimulator(options, now_ns=now_ns, seed=1, ids_from=now_ns // 1_000)
    return asyncio.run(_serve(venue, 0, folder))


def symbols(markets: int) -> list[str]:
    return ["ETH_USDT", *(f"C{number:02}_USDT" for number in range(1, markets))]
