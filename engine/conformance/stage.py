"""The stage of a card: a simulated venue that stands still, and engine processes on it.

The parts are those of a seeded session: the real adapter, order desk, gate, journal, market data
client and streams, on a clock that jumps to the next event. Nothing is drawn here: faults come
when a card asks for them, by what the desk wants of the venue, never by a venue's paths.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, cast

from msgspec.structs import replace

from fairlead.adapters import registry
from fairlead.adapters.base.transport import HttpTransport, WireTap, WsTransport
from fairlead.adapters.simulation.faults import Fault, HttpFault, WsFault
from fairlead.adapters.simulation.memory import tick
from fairlead.adapters.simulation.orders import SimOrder
from fairlead.adapters.simulation.virtual_time import VirtualLoop
from fairlead.engine.config import model
from fairlead.engine.conformance.taps import TappedHttp, TappedWs
from fairlead.engine.conformance.verdict import Broken, require
from fairlead.engine.orders.model import Capabilities, Kind, Role, Side, Tif
from fairlead.engine.risk.facts import OrderFacts
from fairlead.engine.sessions.agents import Agent
from fairlead.engine.sessions.checkers import check
from fairlead.engine.sessions.evidence import Evidence, Journaled
from fairlead.engine.sessions.faults import SwarmFaults
from fairlead.engine.sessions.feed import whole
from fairlead.engine.sessions.frames import FrameFaults
from fairlead.engine.sessions.plan import FrameFault, Plan
from fairlead.engine.sessions.process import Process, owner
from fairlead.engine.sessions.scene import Scene
from fairlead.engine.sessions.trace import Trace
from fairlead.engine.sessions.wire import Sent, purpose

LOOK_SECS = 0.1
MOST_SECS = 150.0  # for what must come by itself: the longest quarantine, backoff and poll
BOOK_SECS = 90.0
BREATH_SECS = 0.5
TICK_SECS = 0.2  # of the venue's own clock
BREATHING_LEVEL = 3  # from the best
LEVELS_MAX = 1_000
WORTH = Decimal(100)  # of an order, quote units; more where the venue wants more
PLAN = Plan(
    seed=1,
    venue="",
    agents=(),
    frames={},
    max_order_notional=100_000,
    max_position="1000000",
    max_open_orders=100,
    level_funds=20_000.0,
)


class Script(SwarmFaults):
    """Faults for single requests, each for the next one that serves a purpose."""

    def __init__(self, plan: Plan, max_lag_secs: float, now: Callable[[], float]) -> None:
        super().__init__(plan, max_lag_secs, now)
        self._requests: list[tuple[str, Fault]] = []
        self.pushes: deque[WsFault] = deque()  # for the next frames of the private stream

    def on(self, what: str, kind: HttpFault, *, secs: float = 0.5, times: int = 1) -> None:
        """`kind` for the next request that changes something, and serves `what`: submit, cancel.

        What only reads (`GET`) within such a call is spared, unless `what` begins with `read `.
        """
        self._requests += [(what, Fault(kind, secs))] * times

    @property
    def waiting(self) -> int:
        return len(self._requests) + len(self.pushes)

    def for_request(self, method: str, path: str) -> Fault | None:
        what = purpose()
        names = (what, f"read {what}") if method != "GET" else (f"read {what}",)
        for number, (wanted, fault) in enumerate(self._requests):
            if wanted in names:
                del self._requests[number]
                return self._counted(fault)
        return None

    def for_frame(self, path: str) -> Fault | None:
        return self._counted(Fault(self.pushes.popleft())) if self.pushes else None


class FrameScript(FrameFaults):
    """Faults for the next frames of the public stream."""

    def __init__(self) -> None:
        super().__init__({}, "script")
        self.next: deque[FrameFault] = deque()

    def draw(self) -> FrameFault | None:
        if self.healed or not self.next:
            return None
        kind = self.next.popleft()
        self.counts[f"frame_{kind.value}"] += 1
        return kind


class Trader(Agent):
    """Who gives a card's orders: what it names is valid at the venue."""

    def act(self) -> None:
        """It acts when a card says so."""

    def worth(self, quote: Decimal) -> Decimal:
        """A quantity of at least this value that the venue takes."""
        bid, _ = self.process.world.touch()
        assert bid is not None, "the market shows both sides"
        facts = self.process.instruments[self.instrument]
        least = max(quote, facts.min_notional * 2)
        steps = (least / bid / self.step).to_integral_value() + 1
        return max(steps * self.step, facts.min_quantity)

    def resting(self, side: Side = Side.BUY, bps: float = 40.0, **more: Any) -> OrderFacts:
        price = self.near(side, bps)
        assert price is not None, "the market shows both sides"
        return self.facts(side, Kind.LIMIT, self.worth(WORTH), price, **more)

    def plain(self, can: Capabilities, number: int = 0) -> OrderFacts:
        """The plainest order that the venue takes, another price for each number.

        It rests where orders can; else it trades at once, or not at all.
        """
        if Tif.GTC in can.time_in_force and Kind.LIMIT in can.kinds:
            return self.resting(bps=40.0 + number)
        if Kind.LIMIT not in can.kinds:
            return self.facts(Side.BUY, Kind.MARKET, self.worth(WORTH + 10 * number), None)
        return self.taking(can, number)

    def taking(self, can: Capabilities, number: int = 0, side: Side = Side.BUY) -> OrderFacts:
        """A limit order that trades at once."""
        price = self.near(side, -50.0 - number)
        limit = self.facts(side, Kind.LIMIT, self.worth(WORTH), price)
        return with_tif(limit, best_tif(can))

    def inside(self, side: Side, parts: int) -> OrderFacts:
        """The best of its side, of a quantity that is so many valid parts."""
        bid, ask = self.process.world.touch()
        assert bid is not None, "the market shows both sides"
        assert ask is not None, "the market shows both sides"
        price = bid + self.tick if side is Side.BUY else ask - self.tick
        return self.facts(side, Kind.LIMIT, self.worth(WORTH) * parts, price)


class Stage(Scene):
    """A venue, and the lives of a process on it, as a card directs them."""

    def __init__(self, venue: str, folder: Path, trace: Trace, loop: VirtualLoop) -> None:
        can = registry.spec(venue).capabilities
        frames = None if can.ticker else PLAN.frames
        super().__init__(replace(PLAN, venue=venue, frames=frames), folder, trace, loop)
        self.can = can
        self.script = Script(self.plan, self.can.max_order_lag_secs, loop.time)
        self.faults = self.venue.faults = self.script
        self.frame_script = FrameScript()
        self.frames = self.frame_script
        self.lives = 0
        self.is_breathing = True
        self.tap: WireTap | None = None  # set before `begin`
        self._living: Process | None = None
        self._trader: Trader | None = None
        self._background: list[asyncio.Task[None]] = []

    def config(self) -> model.Config:
        """As of a session; the gate has room for a burst, which the venue's limits must hold."""
        config = super().config()
        return replace(config, risk=replace(config.risk, max_orders_per_second=1_000))

    # -- lives ---------------------------------------------------------------------------------

    @property
    def process(self) -> Process:
        assert self._living is not None, "begin() comes first"
        return self._living

    async def begin(self) -> Process:
        """A process starts, reads its journal, and trades. Raises what its start raises."""
        if not self._background:
            self._background.append(
                asyncio.create_task(tick(self.venue, self.loop.now_ns, TICK_SECS))
            )
            await asyncio.sleep(2.0)  # a few trades, and a book
            self.venue.driver.paused = True
            self._background.append(asyncio.create_task(self._breathe()))
        process = self._living = Process(self, self.lives, self.spec, self.folder)
        self.lives += 1
        self.events.append(process.sink.events)
        with self.owned():
            await process.start()
        if self.can.ticker:  # what it trades at is another venue's book: here the true one
            return process
        require(process.book is not None, "there is no public stream")
        assert process.book is not None
        if not await whole(process.book, BOOK_SECS):
            raise Broken(f"the book does not become the venue's in {BOOK_SECS:g} s")
        return process

    async def kill(self) -> None:
        """The process dies between two statements, as by SIGKILL."""
        self.process._die("a card")
        await self.process.bury()
        self._living = None

    async def stop(self) -> None:
        """An ordered stop."""
        with self.owned():
            await self.process.stop()
        self.last_balances = self.process.balances
        await self.process.bury()
        self._living = None

    async def close(self) -> None:
        if self._living is not None:
            await self.kill()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    async def _breathe(self) -> None:
        """The market stands still, but for one size: books that change are sent, and are fresh."""
        spec = self.venue.exchange.markets[self.market].spec
        prices = [price for price, _ in self.bids()]
        price = prices[min(BREATHING_LEVEL, len(prices) - 1)]
        size = dict(self.bids())[price]
        while self.is_breathing:
            size += spec.size_step
            self.set_level(Side.BUY, price, size)
            await asyncio.sleep(BREATH_SECS)

    def set_level(self, side: Side, price: Decimal, size: Decimal) -> None:
        """What the market displays at a price; 0 is nothing."""
        self.venue.exchange.set_level(self.market, side, price, size, self.loop.now_ns())

    async def move(self, price: Decimal, *, is_rise: bool) -> None:
        """The market goes to a price: its best bid (a rise) or ask is there."""
        self.is_breathing = False
        await asyncio.sleep(2 * BREATH_SECS)
        gone, best = (Side.SELL, Side.BUY) if is_rise else (Side.BUY, Side.SELL)
        levels = self.asks() if is_rise else self.bids()
        tick = self.venue.exchange.markets[self.market].spec.tick
        away = price - levels[0][0] + (tick if is_rise else -tick)
        for level, _ in levels:
            self.set_level(gone, level, Decimal(0))
        for level, size in levels:
            self.set_level(gone, level + away, size)
        self.set_level(best, price, max(size for _, size in levels))
        self.is_breathing = True
        self._background.append(asyncio.create_task(self._breathe()))

    def asks(self) -> list[tuple[Decimal, Decimal]]:
        """As `bids`."""
        return self.venue.exchange.markets[self.market].book.asks.levels(LEVELS_MAX)

    def bids(self) -> list[tuple[Decimal, Decimal]]:
        """Price and size of the true book's levels, best first."""
        return self.venue.exchange.markets[self.market].book.bids.levels(LEVELS_MAX)

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Within, all tasks are the process's and end with it."""
        token = owner.set(self.process)
        try:
            yield
        finally:
            owner.reset(token)

    def trader(self) -> Trader:
        """Who trades in this life of the process."""
        if self._trader is None or self._trader.process is not self.process:
            seed = f"trader/{self.plan.venue}/{self.lives}"
            self._trader = Trader(self.process, "Card-001", Random(seed))  # noqa: S311 - simulation
        return self._trader

    def wired(self, http: HttpTransport, ws: WsTransport) -> tuple[HttpTransport, WsTransport]:
        """With a tap on both, as a recording has, where a card wants one."""
        if self.tap is None:
            return http, ws
        return TappedHttp(http, self.tap, self.loop.now_ns), TappedWs(ws, self.tap)

    # -- commands ------------------------------------------------------------------------------

    async def submit(self, *orders: OrderFacts) -> list[str]:
        """Through gate and desk, until the venue's answers came, or did not.

        Raises Broken where the gate refuses: a card's orders are good.
        """
        with self.owned():
            passed = self.process.approve(orders)
            if len(passed) < len(orders):
                denied = [name for name in self.trace.counts if name.startswith("denied:")]
                raise Broken(f"the gate refuses a card's order: {', '.join(denied)}")
            await self.process.send(passed)
        return [order.client_order_id for order in orders]

    def begin_submit(self, *orders: OrderFacts) -> list[str]:
        """The same beside what the card does next."""
        self._beside(self.submit(*orders))
        return [order.client_order_id for order in orders]

    async def cancel(self, *client_order_ids: str) -> None:
        with self.owned():
            await self.process.cancel(client_order_ids)

    async def end(self, client_order_id: str) -> None:
        """It is open no more; where an order clears what is there, nothing else is either."""
        if self.can.clears:
            await self.clear()
        elif self.process.desk.get(client_order_id) is not None:
            await self.cancel(client_order_id)
            await self.over(client_order_id)

    async def clear(self) -> None:
        """What is held is closed by a market exit, what is open by the venue's own call."""
        desk, positions = self.process.desk, self.process.gate.ledger.positions

        def is_dealt() -> bool:
            return all(one.intent.kind is not Kind.MARKET for one in desk.live_orders())

        await self.until(is_dealt, "a market order is not told as over")
        held = positions.get(self.instrument, Decimal(0))
        if held:
            side = Side.SELL if held > 0 else Side.BUY
            exit_ = self.trader().facts(side, Kind.MARKET, abs(held), None, reduce_only=True)
            await self.submit(replace(exit_, role=Role.EXIT))
            await self.until(
                lambda: not positions.get(self.instrument), "a market exit does not close"
            )
        if desk.live_orders():
            with self.owned():
                await cast(Any, self.process.runtime.adapter.orders).flatten(self.instrument)
            await self.until(lambda: not desk.live_orders(), "an order outlives the venue's call")

    async def replace(self, client_order_id: str, quantity: Decimal, price: Decimal) -> None:
        with self.owned():
            await self.process.replace(client_order_id, quantity, price)

    def begin_cancel(self, *client_order_ids: str) -> None:
        """The same beside what the card does next."""
        self._beside(self.cancel(*client_order_ids))

    def _beside(self, doing: Coroutine[Any, Any, Any]) -> None:
        with self.owned():
            self.process.spawn(doing, "card")

    def sweep(self, aggressor: Side, quantity: Decimal, price: Decimal) -> None:
        """The market trades this much down, or up, to a price."""
        exchange = self.venue.exchange
        done = exchange.sweep(self.market, aggressor, quantity, self.loop.now_ns(), price)
        assert done == quantity, f"the market had {done} of {quantity} within {price}"

    # -- what is seen --------------------------------------------------------------------------

    async def until(self, is_so: Callable[[], bool], otherwise: str) -> None:
        """Wait for what must come by itself. Raises Broken."""
        deadline = self.loop.time() + MOST_SECS
        while not is_so():
            if self.loop.time() >= deadline:
                raise Broken(f"{otherwise}, {MOST_SECS:g} s later")
            await asyncio.sleep(LOOK_SECS)

    async def settled(self, *client_order_ids: str) -> None:
        """Wait until the venue has proven what became of the orders, or that they are none."""
        for cid in client_order_ids:
            await self.until(lambda cid=cid: self.is_proven(cid), f"{cid} is still not proven")  # type: ignore[misc]

    async def over(self, *client_order_ids: str) -> None:
        """Wait until they have ended."""
        desk = self.process.desk
        for cid in client_order_ids:
            text = f"{cid} has not ended: {', '.join(self.story(cid))}"
            await self.until(lambda cid=cid: desk.get(cid) is None, text)  # type: ignore[misc]

    def is_proven(self, client_order_id: str) -> bool:
        live = self.process.desk.get(client_order_id)
        return live is None or live.is_proven

    def story(self, client_order_id: str) -> list[str]:
        """The kinds of its journal records, in order."""
        return [kind for _, _, kind, _ in self.process.journal.story(client_order_id)]

    def told(self, client_order_id: str) -> list[str]:
        """What its strategy heard, in this life of the process and in those before."""
        return [name for life in self.events for name, cid in life if cid == client_order_id]

    def at_venue(self) -> list[SimOrder]:
        """Every order that the account ever had there."""
        return self.venue.exchange.orders(self.account)

    def open_at_venue(self) -> list[SimOrder]:
        return [one for one in self.at_venue() if not one.status.is_terminal]

    def journaled(self, client_order_id: str) -> Journaled:
        """What its journal holds. After `stop`."""
        return self._evidence().orders[client_order_id]

    def _evidence(self) -> Evidence:
        return Evidence.read(self, self.folder / "journal.sqlite")

    def creates(self, client_order_id: str) -> list[Sent]:
        """Requests that could create this order."""
        calls = {
            call.number
            for call in self.wire.calls
            if call.what == "submit" and client_order_id in call.ids
        }
        return [one for one in self.wire.sent if one.call in calls and one.method != "GET"]

    def require_promises(self, *codes: str) -> None:
        """Journal, wire and the venue's ledger agree in what these codes are of.

        After `stop`. Raises Broken.
        """
        for found in check(self._evidence()):
            if found.code in codes:
                raise Broken(f"{found.code} {found.subject}: {found.detail}")


def best_tif(can: Capabilities) -> Tif:
    return next((t for t in (Tif.GTC, Tif.IOC, Tif.FOK) if t in can.time_in_force), Tif.GTC)


def with_tif(order: OrderFacts, tif: Tif) -> OrderFacts:
    return replace(order, time_in_force=tif.value)
