"""One seeded session: a venue, processes that live and die on one journal, healing, and the end."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from random import Random

from fairlead.adapters.simulation.orders import NewOrder
from fairlead.adapters.simulation.virtual_time import VirtualLoop
from fairlead.engine.errors import FairleadError
from fairlead.engine.orders.live import LiveOrder
from fairlead.engine.orders.model import Side
from fairlead.engine.run.simulated import POST_STOP_SECS
from fairlead.engine.sessions.agents import KINDS
from fairlead.engine.sessions.faults import SimulatedDeath
from fairlead.engine.sessions.feed import whole
from fairlead.engine.sessions.neighbour import Neighbour
from fairlead.engine.sessions.plan import Plan
from fairlead.engine.sessions.process import Process, owner
from fairlead.engine.sessions.scene import Scene
from fairlead.engine.sessions.shipped import KINDS as SHIPPED
from fairlead.engine.sessions.trace import Trace
from fairlead.engine.sessions.verdict import Violation

TICK_SECS = 0.2
RESOLVE_SECS = 120.0  # by when every UNKNOWN and every cancel has ended, after healing
BEYOND_SECS = 100.0  # for orders that come after all documented lag, and the comparison after
HIDDEN_SECS = 30.0
CANCEL_SECS = 60.0  # by when an order has ended that is cancelled after healing
STOP_SECS = 20.0
BOOK_SECS = 90.0  # by when a stream has its book again: the longest backoff, and a resync
QUIET_SECS = 18.0  # a request that hangs since before healing, and a whole poll after it
RESTART_SECS_MAX = 10.0
MAX_LIVES = 40


class World(Scene):
    """A session's scene, and who plays on it: processes that live and die, healing, the end."""

    def __init__(self, plan: Plan, folder: Path, trace: Trace, loop: VirtualLoop) -> None:
        super().__init__(plan, folder, trace, loop)
        self.process: Process | None = None
        self.lives = 0
        self._ended = asyncio.Event()

    # -- the session ---------------------------------------------------------------------------

    async def run(self) -> None:
        background = [
            asyncio.create_task(self._tick()),
            asyncio.create_task(self._supervise()),
            asyncio.create_task(self._manual()),
            asyncio.create_task(self._kill()),
            asyncio.create_task(self._stop_early()),
        ]
        neighbour = Neighbour(self) if self.plan.shared_folder else None
        if neighbour is not None:
            background.append(asyncio.create_task(neighbour.run()))
        try:
            await asyncio.sleep(self.plan.secs)
            self.is_over = True
            self._heal()
            if self.process is not None:
                self.process.steps.disarm()
            self.trace.line("world", "healed")
            await self._resolve()
            await self._close()
            if neighbour is not None:
                neighbour.judge()
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            if self.process is not None:  # the last one, which nobody buries
                self.process.journal.close()

    def _heal(self) -> None:
        self.healed = True
        if self.process is not None and self.process.node is not None:
            self.process.node.market.is_quiet = True
        self.faults.heal()
        self.frames.heal()

    async def _tick(self) -> None:
        while True:
            self.venue.advance(self.loop.now_ns())
            await asyncio.sleep(TICK_SECS)

    async def _supervise(self) -> None:
        """Start the process again whenever it has ended, as a service manager does."""
        failures = 0
        while not self._ended.is_set():
            wait_secs = min(RESTART_SECS_MAX, self.plan.restart_secs * 2**failures)
            try:
                process = Process(self, self.lives, self.spec, self.folder)
            except FairleadError as error:
                self.trace.count("starts_failed")
                self.trace.line("process", f"did not start: {error}")
                await asyncio.sleep(wait_secs)
                failures += 1
                continue
            self.lives += 1
            self.process = process
            self.events.append(process.sink.events)
            self.trace.line("process", f"life {process.life} begins")
            was_up = await self._live(process)
            self.process = None
            failures = 0 if was_up else failures + 1
            if self.lives >= MAX_LIVES and not self.healed:
                self._heal()
            await asyncio.sleep(wait_secs)

    async def _live(self, process: Process) -> bool:
        """From start to end; whether it came up."""
        came_up = False
        token = owner.set(process)
        try:
            starting = asyncio.create_task(process.start())
            ending = asyncio.create_task(process.failed.wait())
            await asyncio.wait({starting, ending}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done() and self._has_started(starting) and not process.is_dead:
                came_up = True
                if process.node is not None:
                    process.node.start()
                for number, kind in enumerate(self.agents()):
                    if kind not in SHIPPED:
                        self._add_agent(process, number, kind)
                await ending
            if not process.is_dead and process.is_up:
                await self._stop(process)
        finally:
            owner.reset(token)
        await process.bury()
        return came_up

    def _has_started(self, starting: asyncio.Task[None]) -> bool:
        error = starting.exception()
        if error is None:
            return True
        self.trace.count("starts_failed")
        self.trace.line("process", f"did not start: {type(error).__name__}: {error}")
        if not isinstance(error, FairleadError | SimulatedDeath):
            self.defect("start", error)
        return False

    def _add_agent(self, process: Process, number: int, kind: str) -> None:
        rng = Random(f"agent/{self.plan.seed}/{number}/{process.life}")  # noqa: S311 - simulation
        agent = KINDS[kind](process, f"{kind.capitalize()}-{number}", rng)
        process.spawn(agent.run(), f"agent {number}")

    async def _stop(self, process: Process) -> None:
        self.trace.line("process", "ordered stop")
        self.trace.count("stops")
        try:
            async with asyncio.timeout(STOP_SECS):
                await process.stop()
        except TimeoutError:
            self.trace.count("stops_cut_off")
        except (FairleadError, SimulatedDeath) as error:
            self.trace.line("process", f"stop: {error}")
        except Exception as error:
            self.defect("stop", error)

    # -- what happens to it --------------------------------------------------------------------

    async def _manual(self) -> None:
        """Another client of the same account: orders of sizes that no agent chooses."""
        if not self.plan.manual_per_min:
            return
        rng = Random(f"manual/{self.plan.seed}")  # noqa: S311 - simulation
        spec = self.venue.exchange.markets[self.market].spec
        while not self.healed:
            await asyncio.sleep(rng.expovariate(self.plan.manual_per_min / 60))
            bid, ask = self.touch()
            if self.healed or bid is None or ask is None:
                continue
            side = Side.BUY if rng.random() < 0.5 else Side.SELL
            price = bid * Decimal("0.999") if side is Side.BUY else ask * Decimal("1.001")
            new = NewOrder(
                market=self.market,
                side=side,
                quantity=Decimal("0.02") + rng.randint(1, 99) * spec.size_step,
                price=(price / spec.tick).quantize(Decimal(1)) * spec.tick,
            )
            order = self.venue.trade_by_hand(new, self.loop.now_ns())
            if order is not None:
                self.externals.add(order.id)
                self.trace.count("manual_orders")

    async def _kill(self) -> None:
        if self.plan.kill_at is None:
            return
        await asyncio.sleep(self.plan.kill_at)
        process = await self._up()
        self.is_killed = True
        process.halt("kill switch")
        ids = [o.intent.client_order_id for o in process.desk.live_orders()]
        if ids:
            token = owner.set(process)
            process.spawn(process.cancel(ids), "kill")
            owner.reset(token)

    async def _stop_early(self) -> None:
        if self.plan.stop_at is None:
            return
        await asyncio.sleep(self.plan.stop_at)
        process = await self._up()
        if not self.healed:
            process.ask_stop("somebody stops it")

    async def _up(self) -> Process:
        """The process, once it trades."""
        while True:
            if self.process is not None and self.process.is_up:
                return self.process
            await asyncio.sleep(0.1)

    # -- after healing -------------------------------------------------------------------------

    async def _resolve(self) -> None:
        """Every UNKNOWN and every cancel must end by itself; those of the last exits too."""
        healed_at = self.loop.time()
        deadline = healed_at + RESOLVE_SECS
        if self.plan.lag == "beyond":
            await asyncio.sleep(BEYOND_SECS)
        await self._settle(healed_at, deadline)
        self.is_closing = True
        if self.plan.brackets:  # an exit may be on its way to the desk
            await asyncio.sleep(1.0)
            await self._settle(healed_at, deadline)

    async def _settle(self, healed_at: float, deadline: float) -> None:
        waiting: list[LiveOrder] = []
        while True:
            waiting = self._unsettled(healed_at)
            process = self.process
            is_up = process is not None and process.is_up and not process.failed.is_set()
            if is_up and not waiting:  # one that failed is on its way out, and another comes
                return
            if self.loop.time() >= deadline:
                break
            await asyncio.sleep(1.0)
        for order in waiting:
            intent = order.intent
            state = f"{order.state}, cancel requested: {order.cancel_requested}"
            self.problems.append(Violation("LIVENESS", intent.client_order_id, state))
        if self.process is None or not self.process.is_up:
            self.problems.append(Violation("LIVENESS", "", "the process did not come up"))

    def _unsettled(self, healed_at: float) -> list[LiveOrder]:
        process = self.process
        if process is None or not process.is_up:
            return []
        found = []
        for order in process.desk.live_orders():
            if not order.is_known:
                is_due = self.loop.time() - healed_at >= HIDDEN_SECS
                if is_due and self._is_hidden(process, order):
                    self.stuck.append(order.intent.client_order_id)
                    continue
                found.append(order)
            elif order.cancel_requested:
                found.append(order)
        return found

    def _is_hidden(self, process: Process, order: LiveOrder) -> bool:
        """Whether the venue can't be asked for such an order at all, as its adapter says.

        Or whether a person must decide, because an order that came after all documented lag looks
        like another whose answer was lost; the instrument is halted until then.
        """
        story = process.journal.story(order.intent.client_order_id)
        last = next((body for _, _, kind, body in reversed(story) if kind == "UNSURE"), b"")
        is_beyond = self.plan.lag == "beyond"
        return b"-HIDDEN" in last or (is_beyond and b'"ambiguous":true' in last)

    async def _close(self) -> None:
        """Cancel what is open, let the market stand still, compare, and stop in order.

        A process that ends meanwhile leaves its orders to the next one.
        """
        process = self.process
        deadline = self.loop.time() + RESOLVE_SECS
        while process is not None:
            await self._end_strategies(process)
            if self.process is process:
                await self._cancel_open(process)
            if self.process is process and not process.failed.is_set():
                break
            await self._settle(self.loop.time() - HIDDEN_SECS, deadline)
            if self.loop.time() >= deadline:
                return
            process = self.process
        if process is None:
            return
        await self._book_whole(process, "after healing")
        self.venue.driver.paused = True
        await asyncio.sleep(max(QUIET_SECS, self.plan.poll_ms / 1000 * 12))
        await self._book_whole(process, "at the end")
        if self.process is process:
            token = owner.set(process)
            self._ended.set()
            await self._stop(process)
            owner.reset(token)
            self.last_balances = process.balances
            process.failed.set()

    async def _cancel_open(self, process: Process) -> None:
        """What is cancelled is over in time, unless its process ends first."""
        token = owner.set(process)
        ids = [o.intent.client_order_id for o in process.desk.live_orders() if o.is_known]
        if ids:
            process.spawn(process.cancel(ids), "close")
        owner.reset(token)
        deadline = self.loop.time() + CANCEL_SECS
        while any(o.is_known for o in process.desk.live_orders()):
            if process.failed.is_set():
                return
            if self.loop.time() >= deadline:
                break
            await asyncio.sleep(0.5)
        for order in process.desk.live_orders():
            if order.is_known:
                text = f"{order.state} {CANCEL_SECS:g} s after its cancel"
                self.problems.append(Violation("LIVENESS", order.intent.client_order_id, text))

    async def _end_strategies(self, process: Process) -> None:
        """Every order that is left must be known to its strategy; then they are stopped."""
        if process.node is None or not process.is_up:
            return
        process.node.check_owned("at the end")
        token = owner.set(process)
        await process.wind_down([])
        owner.reset(token)
        await asyncio.sleep(POST_STOP_SECS)
        now = self.loop.time()
        await self._settle(now - HIDDEN_SECS, now + RESOLVE_SECS)
        if not process.failed.is_set():
            process.node.check_flat()

    async def _book_whole(self, process: Process, when: str) -> None:
        """The book that is shown must come to be the true one."""
        if process.book is None or self.process is not process or process.failed.is_set():
            return
        if not await whole(process.book, BOOK_SECS) and not process.failed.is_set():
            text = f"not the venue's book {when}, for {BOOK_SECS} s"
            self.problems.append(Violation("BOOK-LIVENESS", self.instrument, text))
