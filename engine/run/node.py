"""A running NautilusTrader node for live, paper and recording: built, watched, stopped in order.

The three differ only in who executes: the venue (live), our simulated exchange (paper), or nobody
(record).
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import uvloop
from nautilus_trader.common import (
    Environment,
)
from nautilus_trader.config import DataClientConfig, ExecutionClientConfig
from nautilus_trader.live import (
    LiveDataEngineConfig,
    LiveExecutionEngineConfig,
    LiveNodeBuilder,
    LiveNodeConfig,
    NodeState,
    SubmissionRecoveryPolicy,
)
from nautilus_trader.model import (
    TraderId,
)

from adapters.base.account import Account
from adapters.base.aiohttp_transport import AiohttpTransport, AiohttpWsTransport
from adapters.base.data_client import make_data_factory
from adapters.base.execution_client import make_execution_factory
from adapters.base.runtime import VenueRuntime
from adapters.base.venue import Adapter, AdapterContext, AdapterSpec
from engine.config.loaded import LoadedConfig, account_files
from engine.config.model import Record
from engine.errors import Exit, FairleadError
from engine.guard.run_state import RunState
from engine.kill.account import Markets
from engine.kill.halts import RunHalts
from engine.kill.switch import kill_state, switch_of
from engine.kill.thread import KillThread
from engine.kill.watch import KillSignal, KillWatch
from engine.matching.client import SimulatedExecutionClient
from engine.orders.files import require_writable
from engine.orders.journal import Journal
from engine.orders.model import Finding, Intent
from engine.recording.session import Recording
from engine.risk.state import RiskStateError
from engine.run import build
from engine.run.accounts import hold_accounts
from engine.run.approvals import GateApprovals
from engine.run.banner import say_running
from engine.run.claims import claims
from engine.run.clocks import RunClocks
from engine.run.ended import CUT_OFF, EXITS, Ended, Mode, connect_exit
from engine.run.held import held_beyond, unlisted
from engine.run.kernel_log import logger_config
from engine.run.market_actor import MarketActor
from engine.run.reach import PlainReach, markets_of
from engine.run.recovered import count_again, count_in
from engine.run.signals import StopSignals
from engine.run.simulated import leave_in_time, post_stop_secs, simulated_account
from engine.run.stopguard import Stays, StopGuard
from engine.run.venues import venue_secrets, venue_specs
from engine.secrets import Secret
from engine.status import RunStatus

logger = logging.getLogger(__name__)

POSITION_CHECK_SECS = 30.0  # NautilusTrader's positions against the journal's
CONNECT_SECS = 60  # on top of the quarantine of unproven orders
STREAM_TRIES = 3  # failed connections before a stream that never was open ends the run
STREAM_LOOK_SECS = 0.2
UP_LOOK_SECS = 0.01  # before a strategy can block the loop


class NodeRun:
    """One run of a node: `run()` builds it, runs it until it is told to stop, and takes it down."""

    def __init__(self, loaded: LoadedConfig, mode: Mode, *, run_secs: float | None = None) -> None:
        self.loaded = loaded
        self.config = loaded.config
        self.mode = mode
        self.status = RunStatus()
        self.findings: list[Finding] = []
        self.trading: list[Account] = []
        self.failure: tuple[str, str] | None = None
        self.stop_reason = ""
        self._run_secs = run_secs
        self._runtimes: dict[str, VenueRuntime] = {}
        self._node: Any = None
        self._handle: Any = None
        self._recording: Recording | None = None
        self._transports: list[AiohttpTransport | AiohttpWsTransport] = []
        self._rng = random.Random(self.config.run.seed)  # noqa: S311 - jitter, not secrets
        self._stopping = asyncio.Event()
        self._running: asyncio.Future[None] | None = None
        self.gate: Any = None
        self._kill_state = kill_state(self.loaded)
        self._switch = switch_of(self.loaded, self._kill_state)
        self.run_state = RunState()
        self._strategies: tuple[Any, ...] = ()
        self._kills: KillWatch | None = None
        self._clocks: RunClocks | None = None
        self._guard: StopGuard | None = None
        self._halts: RunHalts | None = None
        self._recovered_count = 0  # venues whose account is known
        self._kept: Mapping[str, Callable[[], None]] = {}  # by venue: its state is here now
        self._papers: list[SimulatedExecutionClient] = []
        self._held: list[str] = []  # instruments that a journal holds and the config does not name

    # -- building ------------------------------------------------------------------------------

    def run(self) -> Ended:
        """Blocks until the run has ended. Raises FairleadError for what prevents a start."""
        specs = venue_specs(self.loaded, self.mode)
        # Paper and record need them only where market data does.
        needed = [key for key, spec in specs.items() if self.mode == "live" or spec.keyed_data]
        secrets = venue_secrets(self.loaded, specs, needed)
        with ExitStack() as held:
            if self.mode != "record":  # of an account: the owner's alone, also what others open
                held.callback(os.umask, os.umask(0o077))
            require_writable(self.loaded.state_dir)
            if self._is_recording:
                require_writable(self.loaded.resolve((self.config.record or Record()).dir))
            if self.mode != "record":
                self._kept = hold_accounts(held, self.loaded, secrets, live=self.mode == "live")
            return uvloop.run(self._main(specs, secrets, held))

    @property
    def _is_recording(self) -> bool:
        return self.config.record is not None or self.mode == "record"

    async def _main(
        self,
        specs: Mapping[str, AdapterSpec],
        secrets: Mapping[str, Mapping[str, Secret]],
        held: ExitStack,
    ) -> Ended:
        started = time.monotonic()
        loop = asyncio.get_running_loop()
        self._guard = StopGuard(loop, self.config.run.stop_timeout_secs, self._stays)
        stops = StopSignals(loop, self._signalled, self._cut_off, self._guard.asked)
        with self._guard, stops, KillSignal(self._kill_state):
            if self.mode == "live":
                held.enter_context(KillThread(self.loaded, self._kill_state, PlainReach))
            if self._is_recording:
                self._recording = Recording(self.loaded, secrets, self.status)
                if self.mode == "record":  # it has nothing else to do
                    fatal = partial(self._fatal, "RECORDING")
                    self._recording.on_lost = lambda why: loop.call_soon_threadsafe(fatal, why)
                held.callback(self._recording.close)
            try:
                for key, spec in specs.items():
                    self._runtimes[key] = self._runtime(key, spec, secrets[key])
                # Before there is a node: a venue that can't be reached ends the start at once, and
                # the simulated exchange of a paper run needs the venue's fees to be built.
                if await self._unless_stopped(self._connect_all()):
                    self._assemble(held)
                    await self._run_node()
            finally:
                await self._close()
        return self._ended(time.monotonic() - started)

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """True when the work is done; a stop gives it up. Raises what the work raised."""
        working = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not working.done():
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        elif not working.cancelled():
            working.result()
        return not self._stopping.is_set()

    async def _close(self) -> None:
        """End what still runs; nothing is asked of a venue any more."""
        for trading in self.trading:
            await trading.close()
        for transport in self._transports:
            await transport.close()

    def _runtime(self, key: str, spec: AdapterSpec, secrets: Mapping[str, Secret]) -> VenueRuntime:
        venue = self.config.venues[key]
        tap = self._recording.tap(key) if self._recording is not None else None
        http, ws = AiohttpTransport(tap), AiohttpWsTransport(tap)
        self._transports += [http, ws]
        adapter: Adapter = spec.create(
            AdapterContext(
                venue=key.upper(),
                options=self.loaded.options[key],
                secrets=secrets,
                http=http,
                now_ns=time.time_ns,
                instruments=tuple(venue.instruments),
            )
        )
        return VenueRuntime(
            adapter=adapter,
            ws=ws,
            instruments=tuple(venue.instruments),
            trading=self.mode == "live",
            now_ns=time.time_ns,
            rng=self._rng,
            status=self.status,
            on_fatal=self._fatal,
            gaps=self._recording.gaps if self._recording is not None else None,
        )

    async def _connect_all(self) -> None:
        for runtime in self._runtimes.values():
            try:
                await runtime.ensure_connected()
            except Exception as error:
                failure = runtime.failure
                if failure is None:
                    raise
                raise FairleadError(failure.code, failure.message, connect_exit(runtime)) from error

    def _assemble(self, held: ExitStack) -> None:
        """The node with its clients and strategies."""
        parts = self._parts()
        self.gate, self.run_state = parts.gate, parts.run_state
        if self.mode == "live":
            self.run_state.ticks = {}
        if self.mode == "paper":  # a live run's orders are told from its journal
            self.run_state.markets = {}
            build.tell_idle_balances(self.loaded, self.run_state, self._instruments())
        self.run_state.offer = build.venue_offer(self.loaded)
        if self.mode != "record":
            self._halts = RunHalts(
                self.loaded,
                self.gate,
                self.status,
                self.trading,
                time.time_ns,
                paper=self.mode != "live",
            )
            self._kills = KillWatch(
                self.loaded,
                self._switch,
                self._halts,
                self.status,
                self.trading,
                lambda: self._strategies,
                self._markets,
                time.time_ns,
            )
        runtimes = tuple(self._runtimes.values())
        self._clocks = RunClocks(runtimes, self.gate, self.trading, time.time_ns, time.monotonic_ns)
        self.findings = self._clocks.findings
        builder = LiveNodeBuilder.from_config(self.config.name, self._node_config())
        for key, runtime in self._runtimes.items():
            name = key.upper()
            builder = builder.add_data_client(name, make_data_factory(runtime), DataClientConfig())
            if self.mode == "live":
                factory = make_execution_factory(self._trading(key, runtime, held))
                builder = builder.add_exec_client(name, factory, ExecutionClientConfig())
            elif self.mode == "paper":
                approvals = GateApprovals(self.gate)
                paper = simulated_account(self.config, key, runtime, approvals, self._papers.append)
                builder = builder.add_exec_client(name, paper, ExecutionClientConfig())
        self._node = builder.build()
        self._handle = self._node.handle()
        self._strategies = parts.strategies
        journals = {trading.venue: trading.journal for trading in self.trading}
        claimed = claims(self.loaded, journals.values())
        for strategy in self._strategies:
            strategy.keep_brackets_in(journals)
            self._node.add_strategy(strategy)
            strategy.set_external_order_instrument_ids(claimed[str(strategy.strategy_id)])
        watched = tuple(self._held)
        if self._recording is not None or self.mode == "paper":  # the exchange sees all of it
            watched = (*build.instrument_ids(self.loaded), *watched)
        if watched:
            self._node.add_actor(MarketActor(watched))

    def _markets(self, venue: str) -> Markets:
        key = venue.lower()
        return markets_of(self._runtimes[key].adapter, self.config.venues[key].account_type)

    def _parts(self) -> build.Parts:
        """Gate and strategies; a recorder has no strategies, whatever the config names."""
        if self.mode == "record":
            gate = build.build_gate(self.loaded)
            return build.Parts(gate=gate, run_state=RunState(), strategies=())
        try:
            states = build.risk_states(self.loaded, paper=self.mode != "live")
            return build.build_parts(self.loaded, states, self._switch)
        except RiskStateError as error:
            raise FairleadError("RISK-STATE", str(error), Exit.FAILED) from error

    def _instruments(self) -> Iterator[Any]:
        """NautilusTrader's own, of the connected venues."""
        for runtime in self._runtimes.values():
            for name in runtime.instruments:
                yield runtime.adapter.instruments[name].nautilus

    def _node_config(self) -> LiveNodeConfig:
        record, is_live = None, self.mode == "live"
        if self._recording is not None:
            record = self._recording.streaming(self._instruments())
        return LiveNodeConfig(
            environment=Environment.LIVE if is_live else Environment.SANDBOX,
            trader_id=TraderId("FAIRLEAD-001"),
            streaming=record,
            timeout_connection_secs=CONNECT_SECS + self.config.execution.absent_quarantine_secs,
            timeout_disconnection_secs=float(self.config.run.stop_timeout_secs),
            delay_post_stop_secs=post_stop_secs(self.config, paper=self.mode == "paper"),
            logging=logger_config(self.loaded, self.mode),
            data_engine=LiveDataEngineConfig(
                emit_quotes_from_book=True, time_bars_build_with_no_updates=False
            ),
            exec_engine=LiveExecutionEngineConfig(
                reconciliation=is_live,
                reconciliation_startup_delay_secs=0.0,
                submission_recovery_policy=SubmissionRecoveryPolicy.RETAIN_UNRESOLVED,
                # On paper there is nobody else to ask.
                inflight_check_interval_ms=2_000 if is_live else 0,
                open_check_interval_secs=10.0 if is_live else None,
                open_check_open_only=False,
                position_check_interval_secs=POSITION_CHECK_SECS if is_live else None,
                # What the venue executed is true, whatever was ordered: else positions are wrong.
                allow_overfills=True,
            ),
        )

    def _trading(self, key: str, runtime: VenueRuntime, held: ExitStack) -> Account:
        venue = self.config.venues[key]
        journal = Journal(
            account_files(self.loaded, key).journal,
            fsync=self.config.execution.journal_fsync == "always",
            now_ns=time.time_ns,
        )
        held.callback(journal.close)
        self._kept[key]()
        self._keep_held(key, runtime, journal)
        trading = Account(
            runtime=runtime,
            account=venue.account,
            account_type=venue.account_type,
            journal=journal,
            approvals=GateApprovals(self.gate),
            config=self.config,
            claimed=frozenset(
                str(name) for names in claims(self.loaded, [journal]).values() for name in names
            ),
            on_recovered=self._recovered,
            on_told=self._told,
            on_halt=lambda instrument, why: self.gate.halt(
                f"{instrument}: {why}", time.time_ns(), instrument
            ),
            on_sent=self._sent,
            on_over=self.gate.order_over,
            on_unknown=lambda count: self.gate.unknown_outcomes(key, count),
        )
        if self._kills is not None:
            trading.killed = self._kills.killed
        if self._halts is not None:
            self._halts.opened(trading)
        self.trading.append(trading)
        return trading

    def _keep_held(self, key: str, runtime: VenueRuntime, journal: Journal) -> None:
        """Load also what the journal holds and the config names no more. Raises FairleadError."""
        held = held_beyond(journal, self.config.venues[key].instruments)
        error = unlisted(held, runtime.adapter.instruments, journal.path)
        if error is not None:
            raise error
        for one in held:
            logger.warning(
                "%s holds %s, which the config does not name: kept and counted, and no strategy "
                "trades it",
                journal.path,
                one,
            )
        runtime.instruments += tuple(one.instrument for one in held)
        self._held += [one.instrument for one in held]

    def _recovered(self, trading: Account) -> None:
        """The account is known: what it holds counts against the limits from the first order."""
        assert trading.desk is not None
        if self._kills is not None:
            self._kills.recovered(trading)
        count_in(self.gate, trading.journal, trading.desk)
        self._recovered_count += 1
        if self._recovered_count == len(self.trading):
            self._say_running()

    def _say_running(self) -> None:
        where = str(self._recording.root) if self._recording is not None else None
        say_running(self.loaded, self.mode, where)

    def _told(self, trading: Account) -> None:
        """What was filled since the recovery is in what NautilusTrader was told: count it too."""
        assert trading.desk is not None
        count_again(self.gate, trading.venue, trading.journal, trading.desk)

    def _sent(self, intent: Intent) -> None:
        """Tick to order: from the receipt of what the strategy answered to, until the send."""
        ticks = self.run_state.ticks
        received = ticks.pop(intent.client_order_id, 0) if ticks else 0
        if received:
            self.status.tick_to_order.record(time.time_ns() - received)

    # -- running -------------------------------------------------------------------------------

    async def _run_node(self) -> None:
        if self.mode != "live":  # a live run says so once its accounts are known
            self._say_running()
        self._running = running = asyncio.ensure_future(self._node.run_async())
        watching = [self._watch(running), self._watch_streams()]
        if self._kills is not None:
            watching.append(self._kills.run())
        if self._clocks is not None:
            watching.append(self._clocks.run())
        if self._papers:
            watching.append(leave_in_time(self._handle, self._papers, self.config))
        watches = [asyncio.ensure_future(watch) for watch in watching]
        for started in watches:
            started.add_done_callback(self._watch_ended)
        try:
            await running
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise
        except RuntimeError as error:
            self._node_failed(str(error))
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)

    def _watch_ended(self, watch: asyncio.Future[None]) -> None:
        """A watch that dies of a defect must not leave a run that nobody can stop."""
        if watch.cancelled() or (error := watch.exception()) is None:
            return
        logger.error("a watch of the run failed", exc_info=error)
        self._fail("NODE", f"{type(error).__name__}: {error}")
        self._stopping.set()
        if self._running is not None:
            self._running.cancel()

    async def _watch(self, running: asyncio.Future[None]) -> None:
        """Stop when told, or when the time is over; cut the run off if it does not end."""
        while self._run_secs is not None and self._handle.state != NodeState.RUNNING:
            if self._stopping.is_set():
                break
            await asyncio.sleep(UP_LOOK_SECS)  # its time counts from when it is up
        if self._run_secs is not None and self._guard is not None:
            self._guard.asked(f"ran for {self._run_secs:g} s", self._run_secs)
        try:
            async with asyncio.timeout(self._run_secs):
                await self._stopping.wait()
        except TimeoutError:
            self.stop(f"ran for {self._run_secs:g} s")
        limit = self.config.run.stop_timeout_secs
        done, _ = await asyncio.wait({running}, timeout=limit)
        if not done:
            self._fail("STOP-TIMEOUT", f"the run did not stop within {limit} s and was cut off")
            running.cancel()

    async def _watch_streams(self) -> None:
        """End a run whose stream is refused from the start; one that was open reconnects."""
        while True:
            await asyncio.sleep(STREAM_LOOK_SECS)
            for name, stream in self.status.streams.items():
                if not stream.connects and stream.connect_failures >= STREAM_TRIES:
                    self._fatal("STREAM-UNREACHABLE", f"{name}: {stream.last_error}")
                    return

    def stop(self, reason: str) -> None:
        """Ask for an ordered stop."""
        if self._stopping.is_set():
            return
        self.stop_reason = reason
        self._stopping.set()
        if self._guard is not None:
            self._guard.asked(reason)
        for trading in self.trading:
            trading.give_up_connecting()
        if self.mode == "paper" and self.config.run.on_stop == "cancel":
            self._cancel_simulated()
        if self._handle is not None:
            self._handle.stop()

    def _cancel_simulated(self) -> None:
        """What the order desk does in a live run: no order stays open."""
        for strategy in self._strategies:
            mine = {"strategy_id": strategy.strategy_id}
            named = {order.instrument_id for order in strategy.cache.orders_open(**mine)}
            for name in sorted(named, key=str):
                strategy.cancel_all_orders(name)

    def _stays(self) -> Stays:
        """Called from the thread of the stop, while the loop is blocked."""
        live = [cid for t in self.trading for cid in t.live()]
        unsettled = any(t.unresolved() or t.left_open() for t in self.trading)
        return Stays(live, Exit.UNRESOLVED if unsettled else Exit.TIMED_OUT)

    def _signalled(self, name: str) -> None:
        self.stop(f"signal {name}")

    def _cut_off(self) -> None:
        """The second signal: no more orders are settled, files are closed."""
        self._fail("STOP-AT-ONCE", "cut off by a second signal; the journal is whole")
        if self._running is not None:
            self._running.cancel()

    def _fatal(self, code: str, message: str) -> None:
        self._fail(code, message)
        self.stop(f"{code}: {message}")

    def _fail(self, code: str, message: str) -> None:
        logger.error("%s: %s", code, message)
        if self.failure is None:
            self.failure = (code, message)

    def _node_failed(self, text: str) -> None:
        """NautilusTrader's reason is the least precise one: the venue's own comes first."""
        if self.failure is not None or "recovery incomplete" in text:
            logger.warning("%s", text)
            return
        if "streaming writer" in text and self._recording is not None:
            if self._recording.lost is not None:
                return  # told, and why
            self._recording.problem(f"the last rows were not written: {text}")
            if self.mode != "record":
                return  # the run itself has ended as it should
            text = f"{self._recording.root}: {text}"
            self._fail("RECORDING", f"{text}; what was written before is whole")
            return
        self._fail("NODE", text)

    # -- the end -------------------------------------------------------------------------------

    def _ended(self, seconds: float) -> Ended:
        unresolved = [cid for t in self.trading for cid in t.unresolved()]
        left_open = [cid for t in self.trading for cid in t.left_open()]
        exit_code, reason = self._verdict(unresolved, left_open)
        if self.mode != "record" and self.gate is not None:
            exit_code, reason = self._persisted(exit_code, reason)
        return Ended(
            exit=exit_code,
            reason=reason,
            status=self.status,
            findings=[f for t in self.trading for f in t.findings] + self.findings,
            unresolved=unresolved,
            left_open=left_open,
            seconds=seconds,
            node=self._node,
            gate=self.gate,
            run_state=self.run_state,
            recording=self._recording,
            held=tuple(self._held),
            booked=[trading.booked() for trading in self.trading],
        )

    def _persisted(self, exit_code: Exit, reason: str) -> tuple[Exit, str]:
        """Write the risk states a last time; the end that the run earned stays its end."""
        try:
            self.gate.persist()
        except RiskStateError as error:
            logger.error("RISK-STATE: %s", error)
            if exit_code is Exit.OK:
                return Exit.FAILED, f"RISK-STATE: {error}; {reason}"
        return exit_code, reason

    def _verdict(self, unresolved: list[str], left_open: list[str]) -> tuple[Exit, str]:
        """A strategy's end comes first, then what ended the run, then what the stop left behind."""
        exit_code, reason = build.ending(self.run_state)
        if exit_code is not Exit.OK:
            return exit_code, reason
        if self.failure is not None and self.failure[0] not in CUT_OFF:
            code, message = self.failure
            return EXITS.get(code, Exit.VENUE), f"{code}: {message}"
        if unresolved:
            text = "the outcome of these orders is unknown; the next start goes on asking: "
            return Exit.UNRESOLVED, text + ", ".join(unresolved)
        if left_open:
            text = "the venue did not confirm the cancel of these orders: "
            return Exit.UNRESOLVED, text + ", ".join(left_open)
        if self.failure is not None:
            code, message = self.failure
            return EXITS[code], f"{code}: {message}"
        if self._kills is not None and (killed := self._kills.everything()) is not None:
            return Exit.KILLED, f"{killed}; {self.stop_reason or reason}"
        if self._halts is not None and (halted := self._halts.verdict()) is not None:
            return Exit.KILLED, f"{halted} ({self.stop_reason or reason})"
        return Exit.OK, self.stop_reason or reason
