"""One life of the engine's process: adapter, journal, gate, desk, private stream; and its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, cast

from fairlead.adapters.base.limits import STREAM_LIMITS
from fairlead.adapters.base.runtime import VenueRuntime
from fairlead.adapters.base.venue import AdapterContext, AdapterSpec, VenueInstrument
from fairlead.adapters.simulation.memory import InMemoryWs
from fairlead.engine.errors import FairleadError
from fairlead.engine.orders.approved import Approved
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.model import (
    Finding,
    Intent,
    OrderState,
    Role,
    VenueBalance,
    VenueFill,
    VenueUnavailable,
)
from fairlead.engine.risk.facts import (
    Funds,
    InstrumentFacts,
    OrderFacts,
    Reference,
    RiskView,
)
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.gateview import GateView
from fairlead.engine.risk.look import STOPS
from fairlead.engine.risk.state import Halt
from fairlead.engine.risk.states import Clearing
from fairlead.engine.risk.verdict import Denial
from fairlead.engine.risk.view import instrument_facts
from fairlead.engine.run.counting import counted_account
from fairlead.engine.run.simulated import POST_STOP_SECS
from fairlead.engine.run.winddown import wind_down
from fairlead.engine.secrets import Secret
from fairlead.engine.sessions.faults import DyingDatabase, SimulatedDeath, Steps
from fairlead.engine.sessions.feed import BookFeed
from fairlead.engine.sessions.holding import released, show_prices
from fairlead.engine.sessions.host.node import HostNode
from fairlead.engine.sessions.neighbour import OWN, kill_switch, risk_states
from fairlead.engine.sessions.scene import OTHER, Scene
from fairlead.engine.sessions.wanted import facts_of, intent_of, words_of
from fairlead.engine.sessions.wire import FaultyHttp, OrdersTap
from fairlead.engine.status import RunStatus

if TYPE_CHECKING:
    from fairlead.adapters.base.account import Account
    from fairlead.adapters.base.execution_client import VenueExecutionClient
    from fairlead.engine.orders.desk import OrderDesk

logger = logging.getLogger(__name__)

# What may end a task: the process died or was stopped, the disk or the venue refused.
_EXPECTED = (asyncio.CancelledError, SimulatedDeath, FairleadError, VenueUnavailable)

owner: ContextVar[Process | None] = ContextVar("owner", default=None)


class SimView(GateView):
    """The gate's `RiskView` over the venue's true book, or what a gap has left of it."""

    def __init__(self, process: Process) -> None:
        super().__init__(process.gate)
        self._process = process
        self._instruments: dict[str, InstrumentFacts] = {}

    def now_ns(self) -> int:
        return self._process.now_ns()

    def reference(self, instrument: str) -> Reference | None:
        world, now_ns = self._process.world, self.now_ns()
        bid, ask = world.touch()
        gap = world.gap()
        if gap is None and self._process.book is not None:
            return self._process.book.reference(now_ns)
        if gap is None:
            return Reference("book", now_ns, bid, ask, None, valid=bool(bid and ask))
        if gap.kind == "empty":
            return Reference("book", now_ns, valid=False)
        if gap.kind == "crossed":
            return Reference("book", now_ns, ask, bid, None, valid=False)
        age_ns = round((world.loop.time() - gap.at) * 1e9)
        return Reference("book", now_ns - age_ns, bid, ask, None, valid=bool(bid and ask))

    def instrument(self, instrument: str) -> InstrumentFacts | None:
        facts = self._instruments.get(instrument)
        if facts is None:
            found = self._process.instruments.get(instrument)
            if found is None or instrument not in self._process.runtime.instruments:
                return None
            facts = self._instruments[instrument] = instrument_facts(found.nautilus)
        return facts

    def seen(self, client_order_id: str) -> bool:
        return client_order_id in self._gate.ledger.live or client_order_id in self._process.ids

    def funds(self, instrument: str, currency: str) -> Funds | None:
        for balance in self._process.balances:
            if balance.currency == currency:
                total = balance.free + balance.locked
                is_cash = not self._process.world.spec.capabilities.pays_positions
                return Funds(total, balance.free, is_cash, Decimal(1), self._process.balances_ns)
        return None


class GateSink:
    """The desk's `EventSink`: feeds the gate as a guarded strategy does, and counts."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._gate = process.gate
        self._trace = process.world.trace
        self.events: list[tuple[str, str]] = []

    def _hear(self, name: str, intent: Intent, detail: str = "") -> None:
        self.events.append((name, intent.client_order_id))
        if self._trace.is_on:
            self._trace.line("strategy", f"{name} {intent.client_order_id} {detail}")

    def _client(self, intent: Intent) -> VenueExecutionClient | None:
        """The execution client, for an order of a hosted strategy: that feeds the gate itself."""
        node = self._process.node
        return node.client if node is not None and node.has(intent) else None

    def _over(self, intent: Intent) -> None:
        self._process.trading.order_over(intent.client_order_id)
        self._gate.closed(intent.client_order_id)

    def order_submitted(self, intent: Intent) -> None:
        self._hear("submitted", intent)
        client = self._client(intent)
        if client is not None:
            client.order_submitted(intent)
        else:
            self._process.trading.order_sent(intent)

    def order_accepted(self, intent: Intent, venue_order_id: str, ts_event: int) -> None:
        self._hear("accepted", intent, venue_order_id)
        client = self._client(intent)
        if client is not None:
            client.order_accepted(intent, venue_order_id, ts_event)

    def order_refused(self, intent: Intent, code: str, message: str, ts_event: int) -> None:
        self._trace.count(f"refused:{code}")
        self._hear("refused", intent, f"{code} {message}")
        client = self._client(intent)
        if client is not None:
            client.order_refused(intent, code, message, ts_event)
        elif code != "DESK-DUPLICATE-ID":
            self._over(intent)

    def order_held(self, intent: Intent, ts_event: int) -> None:
        self._hear("held", intent)
        client = self._client(intent)
        if client is not None:
            client.order_held(intent, ts_event)
        else:
            self._process.trading.order_held(intent)

    def order_released(self, intent: Intent, venue_order_id: str, ts_event: int) -> None:
        self._hear("released", intent, venue_order_id)
        client = self._client(intent)
        if client is not None:
            client.order_released(intent, venue_order_id, ts_event)

    def order_triggered(self, intent: Intent, venue_order_id: str, ts_event: int) -> None:
        self._hear("triggered", intent)
        client = self._client(intent)
        if client is not None:
            client.order_triggered(intent, venue_order_id, ts_event)

    def order_filled(self, intent: Intent, fill: VenueFill) -> None:
        self._hear("filled", intent, f"{fill.quantity} @ {fill.price} {fill.trade_id}")
        client = self._client(intent)
        if client is not None:
            client.order_filled(intent, fill)
            return
        self._gate.filled(
            intent.client_order_id,
            intent.strategy,
            intent.instrument,
            intent.side,
            fill.quantity,
            fill.price,
            (fill.fee, fill.fee_currency),
            self._process.now_ns(),
        )

    def order_canceled(self, intent: Intent, venue_order_id: str, ts_event: int) -> None:
        self._hear("canceled", intent)
        client = self._client(intent)
        if client is not None:
            client.order_canceled(intent, venue_order_id, ts_event)
            return
        self._process.trading.order_over(intent.client_order_id)
        self._gate.canceled(intent.client_order_id, self._process.now_ns())

    def order_expired(self, intent: Intent, venue_order_id: str, ts_event: int) -> None:
        self._hear("expired", intent)
        client = self._client(intent)
        if client is not None:
            client.order_expired(intent, venue_order_id, ts_event)
        else:
            self._over(intent)

    def order_replaced(self, intent: Intent, venue_order_id: str, ts_event: int) -> None:
        self._hear("replaced", intent, venue_order_id)
        self._gate.modify_answered(intent.client_order_id, intent.quantity)

    def replace_refused(self, intent: Intent, code: str, message: str, ts_event: int) -> None:
        self._hear("replace_refused", intent, f"{code} {message}")
        self._gate.modify_answered(intent.client_order_id, intent.quantity)

    def cancel_refused(self, intent: Intent, code: str, message: str, ts_event: int) -> None:
        self._hear("cancel_refused", intent, f"{code} {message}")
        client = self._client(intent)
        if client is not None:
            client.cancel_refused(intent, code, message, ts_event)

    def balances(self, balances: Sequence[VenueBalance], ts_event: int) -> None:
        self._process.balances = tuple(balances)
        self._process.balances_ns = ts_event
        if self._process.node is not None:
            self._process.node.client.balances(balances, ts_event)

    def finding(self, finding: Finding) -> None:
        self._trace.line("finding", f"{finding.code} {finding.subject} {finding.action}")
        self._process.trading.found(finding)


BLIND = ("INVALID_BOOK", "STALE_REFERENCE")  # refusals for want of a book


class WatchedGate(RiskGate):
    """The run's gate, whose every verdict is looked at."""

    process: Process

    def check(self, order: OrderFacts, view: RiskView) -> Denial | None:
        node = self.process.node
        if node is not None:
            node.market.keep()  # what the engine's book is at this moment
        denial = super().check(order, view)
        if not self._passes_halt:  # a flatten passes whatever the book is
            self.process.looked(order, denial, is_simulated=isinstance(view, SimView))
        return denial


class Process:
    """From start to death or ordered stop. Its tasks are those created while `owner` is set."""

    def __init__(self, world: Scene, life: int, spec: AdapterSpec, folder: Path) -> None:
        plan = world.plan
        self.world = world
        self.life = life
        self.is_dead = False
        self.failed = asyncio.Event()  # dead, or asked to stop
        self.why = ""
        self.tasks: list[asyncio.Task[Any]] = []
        self.ids: set[str] = set()
        self.balances: tuple[VenueBalance, ...] = ()
        self.balances_ns = 0
        self.is_up = False
        self.is_stopping = False
        deaths = plan.deaths
        death = deaths[life] if life < len(deaths) and not world.healed else None
        self.steps = Steps(death, self._die)
        self.config = world.config()
        self.node: HostNode | None = None
        self.gate = WatchedGate(
            self.config.risk,
            state=risk_states(folder, world.plan.venue, OWN),
            kill=kill_switch(folder),
            capabilities={world.venue_name: spec.capabilities},
        )
        self.gate.process = self
        self.gate.on_halt = self._halted
        self.journal = Journal(folder / "journal.sqlite", fsync=False, now_ns=self.now_ns)
        self.journal._db = cast(
            Any,
            DyingDatabase(
                self.journal._db,
                self.steps,
                is_dead=lambda: self.is_dead,
                is_full=world.is_disk_full,
                trace=world.trace,
            ),
        )
        self.runtime = self._runtime(spec)
        self.book: BookFeed | None = None
        if world.true_book is not None:
            self.book = BookFeed(
                world,
                self.runtime.adapter,
                world.true_book,
                life=life,
                now_ns=self.now_ns,
                is_dead=lambda: self.is_dead,
                on_shown=self._shown,
            )
        self.trading = counted_account(
            self.gate,
            world.plan.venue,
            runtime=self.runtime,
            journal=self.journal,
            config=self.config,
            on_apart=self._apart,
        )
        self.trading.regate = partial(released, self)
        self.view: SimView = SimView(self)
        self.sink = GateSink(self)
        # The desk's last look, as in a run: where a request takes one order, others wait behind it.
        recalled = self.gate.recalled
        self.trading.killed = lambda one: "kill switch" if world.is_killed else recalled(one)
        self.desk: OrderDesk = self.trading.make_desk(cast("VenueExecutionClient", self.sink))
        if world.shipped:
            self.node = HostNode(self, world.shipped)
        self.desk.on_failure = lambda error: self.trading.fatal("DESK-FAILED", str(error))

    def _apart(self, name: str, strategy: str) -> None:
        """The gate has from the desk what is executed of it: its strategy only hears of it."""
        if self.node is not None:
            self.node.run_state.apart[name] = self.node.strategies.get(strategy)

    def _runtime(self, spec: AdapterSpec) -> VenueRuntime:
        world, latency_secs = self.world, self.world.plan.latency_secs
        http = FaultyHttp(
            world.venue,
            process=self,
            log=world.wire,
            faults=world.faults,
            trace=world.trace,
            now_ns=world.loop.now_ns,
            latency_secs=latency_secs,
            lag_secs=spec.capabilities.max_order_lag_secs,
        )
        wired = world.wired(http, InMemoryWs(world.venue, world.loop.now_ns, latency_secs))
        secrets = {
            name: Secret(value, f"simulated {name}") for name, value in world.credentials.items()
        }
        adapter = spec.create(
            AdapterContext(
                venue=world.venue_name,
                options=world.adapter_options(spec),
                secrets=secrets,
                http=wired[0],
                now_ns=self.now_ns,
                instruments=(world.instrument,),
                person=getattr(world.venue, "person", None),
            )
        )
        adapter.orders = cast(Any, OrdersTap(adapter.orders, world.wire, self, world.loop.time))
        return VenueRuntime(
            adapter=adapter,
            ws=wired[1],
            instruments=(world.instrument,),
            trading=True,
            now_ns=self.now_ns,
            boot="session",
            rng=Random(f"runtime/{world.plan.seed}/{self.life}"),  # noqa: S311 - simulation
            status=RunStatus(),
            on_fatal=self.fatal,
            stream_limits=STREAM_LIMITS,
        )

    def _shown(self) -> None:
        if self.node is not None:
            self.node.market.keep()

    @property
    def instruments(self) -> Mapping[str, VenueInstrument]:
        return self.runtime.adapter.instruments

    def known_instrument(self, name: str) -> Any | None:
        """NautilusTrader's instrument of an id that this run has, once the venue has told it."""
        known = self.instruments.get(name)
        return known.nautilus if known is not None and name in self.runtime.instruments else None

    def now_ns(self) -> int:
        """The wall clock of the machine, which may be wrong."""
        return self.world.engine_now_ns()

    # -- life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """As the execution client connects. Raises FairleadError where a live run would not start,
        and SimulatedDeath."""
        await self.trading.connect(self.desk)
        try:
            self.sink.balances(await self.trading.orders.balances(), self.now_ns())
        except VenueUnavailable as error:
            raise FairleadError(error.code, error.message) from error
        if self.book is not None:
            await self.book.start()
        self.desk.start()
        if self.runtime.adapter.capabilities.holds:
            self.spawn(show_prices(self), "prices of held orders")
        self.is_up = True

    async def stop(self) -> None:
        """An ordered stop, as a run makes it; after a failure strategies only end."""
        self.is_stopping = True
        if self.why:
            self.end_strategies()
            await asyncio.sleep(POST_STOP_SECS if self.node is not None else 0.0)
        else:
            await self.wind_down([self.trading])
        self.is_up = False
        if self.book is not None:
            await self.book.stop()
        await self.trading.disconnect(self.desk)

    async def wind_down(self, accounts: Sequence[Account]) -> None:
        """Strategies end as in a run; `accounts` settle while these still hear of it."""
        strategies = [] if self.node is None else list(self.node.strategies.values())
        await wind_down(strategies, accounts, self.config.run, POST_STOP_SECS)
        self.end_strategies()

    def end_strategies(self) -> None:
        """NautilusTrader's own stop: `on_stop` where it was not called, and no event after it."""
        if self.node is not None:
            self.node.stop()

    async def bury(self) -> None:
        """End every task and free the journal; nothing is written or sent any more."""
        self.is_up = False
        self.is_dead = True
        for task in self.tasks:
            task.cancel()
        for ended in await asyncio.gather(*self.tasks, return_exceptions=True):
            if isinstance(ended, BaseException) and not isinstance(ended, _EXPECTED):
                self.world.defect("task", ended)
        self.journal.close()

    def _die(self, where: str) -> None:
        self.is_dead = True
        self.world.died(where)
        self.failed.set()

    def ask_stop(self, why: str) -> None:
        """For no failure of the run: it ends in order."""
        self.world.trace.line("process", f"asks to stop: {why}")
        self.failed.set()

    def fatal(self, code: str, message: str) -> None:
        if not self.is_dead and not self.why:
            self.why = f"{code}: {message}"
            self.world.trace.count(f"fatal:{code}")
            self.world.trace.line("process", f"asks to stop: {self.why}")
            self.failed.set()

    def halt(self, why: str) -> None:
        self.gate.halt(why, self.now_ns())

    def _halted(self, venues: Sequence[str], halt: Halt, word: Clearing | None) -> None:
        """From this moment on the gate refuses everything, and nothing may be sent."""
        self.world.halted(halt.code or OTHER, halt.reason)

    # -- what a strategy can do -----------------------------------------------------------------

    async def submit(self, wanted: Sequence[OrderFacts]) -> None:
        """Each through the gate, then to the desk together."""
        await self.send(self.approve(wanted))

    def approve(self, wanted: Sequence[OrderFacts]) -> list[Approved]:
        """Those that pass the gate, which count as live from now on."""
        passed: list[OrderFacts] = []
        for facts in wanted:
            if self._denial(facts) is not None:
                continue
            self.gate.approve(facts, self.now_ns())
            self.ids.add(facts.client_order_id)
            passed.append(facts)
        found = [self.gate.approvals.order(intent_of(facts, self.now_ns())) for facts in passed]
        return [approved for approved in found if approved is not None]

    async def send(self, approved: Sequence[Approved]) -> None:
        if not approved:
            return
        trace = self.world.trace
        trace.count("orders", len(approved))
        for one in approved:
            trace.line("agent", f"submit {words_of(one.intent)}")
        try:
            await self.desk.submit(approved)
        except JournalError as error:
            for one in approved:
                if self.desk.get(one.intent.client_order_id) is None:
                    self.gate.closed(one.intent.client_order_id)
            self.desk.fail(error)
        except Exception as error:
            self.world.defect("submit", error)
            self.desk.fail(error)

    def _denial(self, facts: OrderFacts) -> Denial | None:
        return self.gate.check(facts, self.view)

    def looked(self, facts: OrderFacts, denial: Denial | None, *, is_simulated: bool) -> None:
        """An order that the gate lets through on a wrong book is a broken promise.

        And so is one that is no exit beside as many orders of unknown outcome as may be.
        """
        world = self.world
        if denial is not None:
            world.trace.count(f"denied:{denial.code}")
            if denial.code in BLIND and not self._is_blind(is_simulated=is_simulated):
                world.broken("SEES-NOT", facts.client_order_id, f"refused: {denial}")
            return
        unknown = [o for o in self.desk.unresolved() if o.state is OrderState.UNKNOWN]
        if len(unknown) >= world.plan.max_unknown_outcomes and not facts.is_exit:
            text = f"approved beside {len(unknown)} orders of unknown outcome"
            world.broken("UNKNOWN-BEYOND", facts.client_order_id, text)
        if facts.role is Role.STOP and facts.kind in STOPS:
            return  # a protection needs no book; EXIT-BEYOND looks at its size
        gap = world.gap()
        if gap is not None:
            age_ns = (world.loop.time() - gap.at) * 1e9
            # By a clock that was set meanwhile a strategy's book has another age.
            is_aged = is_simulated or not world.plan.clock_steps
            is_old = is_aged and age_ns > self.gate.limits.stale_after_ns
            if gap.kind != "stale" or is_old:
                world.broken("BAD-BOOK", facts.client_order_id, f"approved on a {gap.kind} book")
        elif self.book is not None and not self.book.reference(0).valid:
            world.broken("BAD-BOOK", facts.client_order_id, "approved without a whole book")

    def _is_blind(self, *, is_simulated: bool) -> bool:
        """Whether the market can't be known here, by what the scene and its stream have told."""
        world, now_ns = self.world, self.now_ns()
        limit_ns = self.gate.limits.stale_after_ns
        if world.gap() is not None or None in world.touch():
            return True
        node = None if is_simulated else self.node
        if node is not None and now_ns - node.market.heard_ns > limit_ns:
            return True  # a market that stands still tells nothing
        if self.book is None:
            return False
        shown = self.book.reference(now_ns)
        return not shown.valid or now_ns - shown.ts_ns > limit_ns

    async def cancel(self, client_order_ids: Sequence[str]) -> None:
        self.world.trace.count("cancels", len(client_order_ids))
        self.world.trace.line("agent", f"cancel {', '.join(client_order_ids)}")
        await self._guarded(self.desk.cancel(client_order_ids))

    async def replace(self, client_order_id: str, quantity: Decimal, price: Decimal) -> None:
        live = self.desk.get(client_order_id)
        pending = self.gate.ledger.live.get(client_order_id)
        if live is None or pending is None or self.gate.approvals.changes(client_order_id):
            return
        intent = live.told
        facts = facts_of(intent, quantity, price, pending)
        if self._denial(facts) is not None:
            return
        change = (quantity, price, None)
        self.gate.approve_modify(facts, change, self.now_ns())
        self.world.trace.count("replaces")
        self.world.trace.line("agent", f"replace {client_order_id}: {quantity} @ {price}")
        changed = self.gate.approvals.replacement(intent, change)
        assert changed is not None, "the gate gives what it has let through"
        await self._guarded(self.desk.replace(changed))

    async def _guarded(self, doing: Any) -> None:
        try:
            await doing
        except JournalError as error:
            self.desk.fail(error)
        except Exception as error:
            self.world.defect("command", error)
            self.desk.fail(error)

    def spawn(self, doing: Any, name: str) -> None:
        """A command runs beside the strategy, as in NautilusTrader."""
        asyncio.get_running_loop().create_task(doing, name=name)
