"""The way to the simulated exchange, in virtual time: what arrives when, and in what order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

import pytest

from fairlead.adapters.simulation.virtual_time import VirtualLoop, run_virtual
from fairlead.engine.matching.line import Line
from fairlead.engine.matching.orders import NewOrder
from fairlead.engine.matching.taking import Print
from tests.unit.matching.kit import BTC, BUY, MS, SELL, Bench, new

BIDS = [(BUY, Decimal("99"), Decimal(5))]
ASKS = [(SELL, Decimal("100"), Decimal(5))]


class Way:
    """A bench behind a line, in virtual time that begins at 0 ms."""

    def __init__(self, latency_ms: float, delay_ns: Callable[[], int] | None = None) -> None:
        self.loop = VirtualLoop(start_ns=0)
        self.bench = Bench()
        self.shift_ns = 0  # by which the machine's clock was set
        self.errors: list[Exception] = []
        self.arrived: list[tuple[float, float]] = []  # ms taken, and late
        self.line = Line(
            self.bench.exchange,
            latency_ns=int(latency_ms * MS),
            now_ns=lambda: self.loop.now_ns() + self.shift_ns,
            on_error=self.errors.append,
            delay_ns=delay_ns,
            on_arrival=lambda *ns: self.arrived.append((ns[0] / MS, ns[1] / MS)),
        )

    def run(self, main: Callable[[], Coroutine[Any, Any, None]]) -> Bench:
        run_virtual(main(), self.loop)
        self.line.finish()
        return self.bench

    def send(self, order: NewOrder, sent_ns: int | None = None) -> None:
        self.line.send(
            self.loop.now_ns() if sent_ns is None else sent_ns,
            lambda now: self.bench.exchange.submit([order], now),
        )

    def book(self, ask: str = "100", at_ms: float | None = None) -> None:
        levels = [*BIDS, (SELL, Decimal(ask), Decimal(5))]
        ts_ns = self.loop.now_ns() if at_ms is None else int(at_ms * MS)
        self.line.market(
            ts_ns, lambda now: self.bench.exchange.book(BTC, levels, now, is_whole=True)
        )


@pytest.mark.parametrize("latency_ms", [0, 0.25, 1, 5, 28, 100])
@pytest.mark.parametrize("pace_ms", [2, 50, 3000])
def test_a_command_arrives_after_the_latency_whatever_the_data_does(latency_ms, pace_ms):
    way = Way(latency_ms)

    async def main() -> None:
        way.book()
        await asyncio.sleep(0.0105)
        way.send(new("buy", BUY, 1))
        for _ in range(4):
            await asyncio.sleep(pace_ms / 1000)
            way.book()
        await asyncio.sleep(0.2)

    bench = way.run(main)
    assert bench.at("buy", "accepted") == bench.at("buy") == [10.5 + latency_ms]


def test_it_meets_the_market_of_its_arrival_not_a_later_one():
    way = Way(5)

    async def main() -> None:
        way.book("100")
        way.send(new("buy", BUY, 1))
        await asyncio.sleep(0.004)
        way.book("101")
        await asyncio.sleep(0.004)
        way.book("102")

    assert way.run(main).filled_of("buy") == ["1@101 T"]


def test_a_late_timer_changes_nothing():
    """The loop was blocked: what was received after the arrival is shown after it."""
    way = Way(5)

    async def main() -> None:
        way.book("100")
        way.send(new("buy", BUY, 1))
        way.book("102", at_ms=8)  # before the timer could ring
        await asyncio.sleep(0.02)

    bench = way.run(main)
    assert (bench.at("buy"), bench.filled_of("buy")) == ([5], ["1@100 T"])


def test_a_command_never_arrives_before_it_could_leave():
    """Its strategy has blocked the loop for longer than the latency."""
    way = Way(5)

    async def main() -> None:
        way.book("100")
        await asyncio.sleep(0.05)
        way.send(new("buy", BUY, 1), sent_ns=10 * MS)
        await asyncio.sleep(0.01)

    assert way.run(main).at("buy") == [50]


def test_what_came_later_than_its_latency_is_measured():
    """Of a burst that was handed over late each is late, also the one that waits for another."""
    way = Way(5)

    async def main() -> None:
        way.book("100")
        way.send(new("in time", BUY, 1))
        await asyncio.sleep(0.05)
        way.send(new("late", BUY, 1), sent_ns=10 * MS)
        way.send(new("late too", BUY, 1), sent_ns=30 * MS)
        way.send(new("hardly", BUY, 1), sent_ns=47 * MS)
        await asyncio.sleep(0.01)
        way.send(new("never arrives in its time", BUY, 1))

    way.run(main)
    assert way.arrived == [(5, 0), (40, 35), (20, 15), (5, 0)]


def test_one_that_waits_for_the_one_before_is_not_late():
    delays = iter([40 * MS, 5 * MS])
    way = Way(40, lambda: next(delays))

    async def main() -> None:
        way.book("100")
        way.send(new("slow", BUY, 1))
        await asyncio.sleep(0.01)
        way.send(new("quick", BUY, 1))
        await asyncio.sleep(0.1)

    way.run(main)
    assert way.arrived == [(40, 0), (30, 0)]


def test_what_is_on_its_way_when_the_run_ends_is_carried_out_then():
    way = Way(5_000)

    async def main() -> None:
        way.book("100")
        await asyncio.sleep(0.01)
        way.send(new("bid", BUY, 1, "90"))
        await asyncio.sleep(0.01)
        way.line.finish()
        assert way.bench.of("bid") == ["accepted"]
        await asyncio.sleep(10)

    assert way.run(main).at("bid", "accepted") == [20]


def test_commands_arrive_in_order():
    way = Way(5)

    async def main() -> None:
        way.book("100")
        way.send(new("bid", BUY, 1, "90"))
        way.line.send(way.loop.now_ns(), lambda now: way.bench.exchange.cancel("bid", now))
        way.send(new("early", BUY, 1, "91"), sent_ns=-9 * MS)
        await asyncio.sleep(0.01)

    bench = way.run(main)
    assert bench.of("bid") == ["accepted", "canceled"]
    assert bench.at("early", "accepted") == [5]


def test_orders_expire_by_the_clock_alone():
    way = Way(1)

    async def main() -> None:
        way.book("100")
        way.send(new("bid", BUY, 1, "90", tif="GTD", expire_ns=40 * MS))
        await asyncio.sleep(0.1)

    bench = way.run(main)
    assert bench.at("bid", "expired") == [40]


def test_a_defect_of_what_a_timer_carries_out_is_told():
    way = Way(1)

    async def main() -> None:
        way.line.send(0, lambda now: way.bench.exchange.trade("none", Print(1, 1, BUY), now))
        await asyncio.sleep(0.1)

    way.run(main)
    assert [type(error) for error in way.errors] == [KeyError]


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_clock_that_is_set_keeps_nobody_waiting(hours):
    way = Way(5)

    async def main() -> None:
        way.shift_ns = 10 * 3600 * 1000 * MS
        way.line.market(way.shift_ns, lambda now: way.bench.exchange.book(BTC, BIDS + ASKS, now))
        way.send(new("before", BUY, 1, "90"), sent_ns=way.shift_ns)
        way.shift_ns += hours * 3600 * 1000 * MS
        way.send(new("after", BUY, 1, "91"), sent_ns=way.loop.now_ns() + way.shift_ns)
        await asyncio.sleep(0.01)

    bench = way.run(main)
    assert [one.order for one in bench.told if one.kind == "accepted"] == ["before", "after"]
    assert bench.at("after", "accepted") == [(10 + hours) * 3_600_000 + 5]
