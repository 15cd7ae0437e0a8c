"""A NautilusTrader node that runs live, on paper or to record: connected, watched, stopped.

How the three differ is told by `fairlead.engine.run.modes`.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import time
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msgspec
import uvloop
from nautilus_trader.live import NodeState

from fairlead.adapters.base.runtime import VenueRuntime
from fairlead.engine.config.loaded import LoadedConfig, account_files
from fairlead.engine.config.model import Record
from fairlead.engine.config.resolved import Resolved
from fairlead.engine.errors import Exit
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.kill.account import Reached
from fairlead.engine.kill.switch import kill_state, switch_of
from fairlead.engine.kill.thread import KillThread
from fairlead.engine.kill.watch import KillSignal
from fairlead.engine.observe.gone import GoneOrders
from fairlead.engine.orders import permit
from fairlead.engine.orders.files import require_writable
from fairlead.engine.recording.session import Recording
from fairlead.engine.research.marks import Marks, watch_cache
from fairlead.engine.risk.state import RiskStateError
from fairlead.engine.run.accounts import HeldAccounts, hold_accounts
from fairlead.engine.run.assembly import Assembly
from fairlead.engine.run.closed import ClosedOrders
from fairlead.engine.run.connection import VenueConnection, natives
from fairlead.engine.run.ended import Ended, verdict
from fairlead.engine.run.kernel import newest_log
from fairlead.engine.run.logged import begin_logs, own_log_path, people
from fairlead.engine.run.loopwatch import LoopWatch
from fairlead.engine.run.modes import MODES, NodeMode
from fairlead.engine.run.native.account import DRIFT, NativeAccount
from fairlead.engine.run.notify import READY, STOPPING, notify
from fairlead.engine.run.reach import PlainReach
from fairlead.engine.run.remains import Held, left_words, remains, tell
from fairlead.engine.run.shown import Shown
from fairlead.engine.run.signals import StopSignals
from fairlead.engine.run.simulated import leave_in_time, post_stop_secs
from fairlead.engine.run.stopguard import Stays, StopGuard
from fairlead.engine.run.takeover import count_out
from fairlead.engine.run.trading import TradingAccount
from fairlead.engine.run.winddown import wind_down
from fairlead.engine.status import RunStatus

logger = logging.getLogger(__name__)

STREAM_TRIES = 3  # failed connections before a stream that never was open ends the run
STREAM_LOOK_SECS = 0.2
FILLS_MAX = 100_000  # with the mid after each, about 1 kB: of a run of weeks the newest
UP_LOOK_SECS = 0.01  # before a strategy can block the loop
STARTS_MAX = 3  # where an account changed between the look at it and the run's own node


class NodeRun:
    """One run of a node: `run()` builds it, runs it until it is told to stop, and takes it down."""

    def __init__(
        self,
        resolved: Resolved,
        mode: NodeMode,
        *,
        run_secs: float | None = None,
        is_last: bool = True,
    ) -> None:
        """`is_last`: another is not started where this one finds that an account has moved."""
        self.is_moved = False  # it has: this run is over, and has traded nothing
        self._is_last = is_last
        self.loaded = loaded = resolved.loaded
        self.mode = mode
        self.status = RunStatus()
        self.trading: list[TradingAccount] = []
        self._marks = Marks(most=FILLS_MAX)
        self.failure: tuple[str, str] | None = None
        self.stop_reason = ""
        self._resolved = resolved
        self._traits = MODES[mode]
        self._settings = loaded.config.run
        self._run_secs = run_secs
        self._connections: dict[str, VenueConnection] = {}
        self._assembly: Assembly | None = None
        self._recording: Recording | None = None
        self._rng = random.Random(self._settings.seed)  # noqa: S311 - jitter, not secrets
        self._stopping = asyncio.Event()
        self._running: asyncio.Future[None] | None = None
        self._winding: asyncio.Task[None] | None = None  # an ordered stop, before the node's
        self._kill_state = kill_state(loaded)
        self._stop_guard: StopGuard | None = None
        self._switch = switch_of(loaded, self._kill_state)
        self._kill_thread: KillThread | None = None
        self._is_up = False  # it has said so
        self._began_ns = time.time_ns()
        self._accounts = HeldAccounts()
        self._gone = GoneOrders(loaded.state_dir)
        self._shown = Shown(
            loaded,
            resolved.people,
            mode,
            self.status,
            self.trading,
            self._kill_state,
            self._state,
            self._runtimes,
        )

    # -- from start to end ---------------------------------------------------------------------

    def run(self) -> Ended:
        """Blocks until the run has ended. Raises FairleadError for what prevents a start."""
        if (alerts := self._shown.alerts) is None:
            return self._run()
        alerts.start()
        try:
            ended = self._run()
        except BaseException as error:
            alerts.failed(error)
            raise
        if self.is_moved:
            alerts.again()
        else:
            alerts.ended(int(ended.exit), ended.reason)
        return ended

    def _run(self) -> Ended:
        with ExitStack() as held:
            held.callback(os.umask, os.umask(0o077))  # the owner's alone, also what others open
            require_writable(self.loaded.state_dir)
            if self._is_recording:
                record = self.loaded.config.record or Record()
                require_writable(self.loaded.resolve(record.dir))
            if self._traits.trades:
                self._accounts = hold_accounts(held, self._resolved, live=self._traits.is_real)
            return uvloop.run(self._main(held))

    @property
    def _is_recording(self) -> bool:
        return self.loaded.config.record is not None or self._traits.needs_recording

    def let_go(self) -> None:
        """Of a run that is closed, so that the process can have another node."""
        if self._assembly is not None:
            self._assembly.let_go()

    async def _main(self, held: ExitStack) -> Ended:
        started = time.monotonic()
        loop = asyncio.get_running_loop()
        limit_secs = self._settings.stop_timeout_secs
        self._stop_guard = StopGuard(loop.call_soon_threadsafe, limit_secs, self._stays)
        stops = StopSignals(
            loop, self._signalled, self._cut_off, self._stop_guard.asked, self._traits.leaves
        )
        watch = self._loop_watch(loop)
        with self._stop_guard, stops, KillSignal(self._kill_state), watch:
            if self._traits.is_real:
                self._kill_thread = held.enter_context(
                    KillThread(self.loaded, self._kill_state, self._reach, natives(self.loaded))
                )
            if self._is_recording:
                self._recording = Recording(self.loaded, self._resolved.secrets, self.status)
                if self._traits.needs_recording:  # it has nothing else to do
                    fatal = partial(self._fatal, "RECORDING")
                    self._recording.on_lost = lambda why: loop.call_soon_threadsafe(fatal, why)
                held.callback(self._recording.close)
            try:
                for key in self.loaded.config.venues:
                    self._connections[key] = self._connection(key)
                await self._shown.start()
                # Before there is a node: a venue that can't be reached ends the start at once, and
                # a simulated exchange needs the venue's fees to be built.
                if await self._unless_stopped(self._connect_all()):
                    assembly = Assembly(
                        self._resolved,
                        self.mode,
                        self._connections,
                        self.trading,
                        self._switch,
                        self.status,
                        self._say_running,
                        self._moved,
                    )
                    assembly.build(self._recording, self._accounts.kept, held)
                    self._assembly = assembly
                    self._shown.assembled(assembly.parts, assembly.node.cache)
                    assembly.parts.run_state.end = self._stop_soon
                    await self._run_node(assembly)
            finally:
                await self._close()
                await self._shown.stop()
        return self._ended(time.monotonic() - started)

    def _loop_watch(self, loop: asyncio.AbstractEventLoop) -> LoopWatch:
        return LoopWatch(
            loop,
            self._settings,
            cancels=self._cancel_past_loop,
            on_stuck=self._shown.stuck,
            is_up=lambda: self._is_up,
            is_stopping=self._stopping.is_set,
        )

    def _cancel_past_loop(self, reason: str) -> str:
        """Of a run whose loop stands still; from a thread of its own."""
        if self._kill_thread is None or self._settings.on_stop != "cancel":
            return "no cancel is sent"
        return self._kill_thread.cancel(reason)

    def _reach(self, loaded: LoadedConfig, key: str) -> Reached:
        """With the run's own keys: a kill needs no file that may have gone meanwhile."""
        return PlainReach(loaded, key, self._resolved.secrets[key])

    def _connection(self, key: str) -> VenueConnection:
        return VenueConnection(
            self.loaded,
            key,
            self._resolved.secrets[key],
            trading=self._traits.is_real and key in self.loaded.traded,
            recording=self._recording,
            rng=self._rng,
            status=self.status,
            on_fatal=self._fatal,
            mode=self.mode,
        )

    async def _connect_all(self) -> None:
        for connection in self._connections.values():
            await connection.connect()

    def _say_running(self) -> None:
        """A few lines for the person who started it: what runs where, and where its files are."""
        config, is_real = self.loaded.config, self._traits.is_real
        does = self._traits.does
        people.info("%s %s: %s; Ctrl-C stops it in order", config.name, self.mode, does)
        for key, venue in config.venues.items():
            account = f", account {venue.account}" if is_real else ""
            if venue.data_only:
                account = ", its market data only"
            names, host = ", ".join(venue.instruments), _host(self.loaded, key)
            people.info("connected to %s (%s)%s: %s", key.upper(), host, account, names)
        if self._traits.trades:
            strategies = (f"{one.id} ({one.path.rpartition(':')[2]})" for one in config.strategies)
            people.info("strategies: %s", ", ".join(strategies))
        for remark in self._accounts.remarks:
            people.warning("%s", remark)
        files = {"log": newest_log(self.loaded, self.mode)}
        if (own := own_log_path(self.loaded, self.mode)) is not None:
            files["its own log"] = own
        for key in self.loaded.traded if is_real else ():
            files[f"journal of {key}"] = account_files(self.loaded, key).journal
        if self._recording is not None:
            files["recording"] = self._recording.root
        people.info("%s", "; ".join(f"{name}: {path}" for name, path in files.items()))
        for line in self._shown.lines:
            people.info("%s", line)
        notify(READY)
        self._is_up = True
        self._shown.up()

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
        for connection in self._connections.values():
            await connection.close()

    # -- running -------------------------------------------------------------------------------

    async def _run_node(self, assembly: Assembly) -> None:
        if not self._traits.is_real:  # else it is said once the accounts are known
            self._say_running()
        cache = assembly.node.cache  # a node that runs gives it to nobody
        self._running = running = asyncio.ensure_future(assembly.node.run_async())
        watching = [
            self._watch(running, assembly),
            self._watch_streams(),
            assembly.clocks.run(),
        ]
        if assembly.kills is not None:
            watching.append(assembly.kills.run())
            watching.append(self._accounts.watch(self._switch, self.status))
        if self._traits.trades:
            assembly.parts.run_state.on_fill = self._shown.hears(self._marks.filled)
            names = [*self.loaded.config.instruments, *assembly.held]
            watching.append(watch_cache(self._marks, cache, names, time.time_ns))
        watching += [t.watch() for t in self.trading if isinstance(t, NativeAccount)]
        execution, parts = self.loaded.config.execution, assembly.parts
        if self._traits.is_real and execution.closed_orders_secs:
            told = parts.strategies, parts.run_state, self._marks, self._gone.add
            watching.append(ClosedOrders(cache, self.trading, *told, execution).run())
        if assembly.papers:
            watching.append(leave_in_time(assembly.handle, assembly.papers, self.loaded))
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
            if self._winding is not None:
                watches.append(self._winding)
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

    async def _watch(self, running: asyncio.Future[None], assembly: Assembly) -> None:
        """Stop when told, or when the time is over; cut the run off if it does not end."""
        while self._run_secs is not None and assembly.handle.state != NodeState.RUNNING:
            if self._stopping.is_set():
                break
            await asyncio.sleep(UP_LOOK_SECS)  # its time counts from when it is up
        if self._run_secs is not None and self._stop_guard is not None:
            self._stop_guard.asked(f"ran for {self._run_secs:g} s", self._run_secs)
        try:
            async with asyncio.timeout(self._run_secs):
                await self._stopping.wait()
        except TimeoutError:
            self.stop(f"ran for {self._run_secs:g} s")
        limit = self._settings.stop_timeout_secs
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
                    where = f"[venues.{name.partition('/')[0].lower()}.options]"
                    self._fatal(
                        "STREAM-UNREACHABLE",
                        f"{name}: {stream.last_error}; look at the stream's address in {where}, "
                        "the network, and the venue's status page",
                    )
                    return

    def _state(self) -> str:
        """Where the run is, for who looks."""
        if self._stopping.is_set():
            return "stopping"
        assembly = self._assembly
        is_up = assembly is not None and assembly.handle.state == NodeState.RUNNING
        return "running" if is_up else "starting"

    def _runtimes(self) -> Iterable[VenueRuntime]:
        return [one.runtime for one in self._connections.values()]

    def _stop_soon(self, reason: str) -> None:
        """On a later turn of the loop: NautilusTrader lends a strategy to its callback."""
        asyncio.get_running_loop().call_soon(self.stop, reason)

    def stop(self, reason: str) -> None:
        """Ask for an ordered stop."""
        if self._stopping.is_set():
            return
        self.stop_reason = reason
        self._stopping.set()
        notify(STOPPING)
        if self._stop_guard is not None:
            self._stop_guard.asked(reason)
        for trading in self.trading:
            trading.give_up_connecting()
        if (assembly := self._assembly) is None:
            return
        is_up = assembly.handle.state == NodeState.RUNNING
        if not is_up or self.failure is not None or not self._traits.trades:
            self._stop_node(assembly)
            return
        self._winding = permit.begun(self._wind_down(assembly))  # whoever asked, and wherever
        self._winding.add_done_callback(self._watch_ended)

    async def _wind_down(self, assembly: Assembly) -> None:
        after_secs = post_stop_secs(self.loaded, simulated=self._traits.is_simulated)
        await wind_down(assembly.parts.strategies, self.trading, self._settings, after_secs)
        self._stop_node(assembly)

    def _stop_node(self, assembly: Assembly) -> None:
        if self._traits.is_simulated and self._settings.on_stop == "cancel":
            self._cancel_simulated(assembly)
        self._marks.is_ending = True
        assembly.handle.stop()

    def _cancel_simulated(self, assembly: Assembly) -> None:
        """What the order desk does in a live run: no order stays open."""
        for strategy in assembly.parts.strategies:
            mine = {"strategy_id": strategy.strategy_id}
            named = {order.instrument_id for order in strategy.cache.orders_open(**mine)}
            for name in sorted(named, key=str):
                strategy._guard.cancel_all_orders(name)

    def _stays(self) -> Stays:
        """Called from the thread of the stop, while the loop is blocked."""
        live = [cid for t in self.trading for cid in t.live()]
        unsettled = any(t.unresolved() or t.left_open() for t in self.trading)
        return Stays(live, Exit.UNRESOLVED if unsettled else Exit.TIMED_OUT)

    def _moved(self, venue: str, order_id: str) -> None:
        """An order ended after the look at its account, so the look is to be done again: by a run
        that starts anew, since nothing of this one may trade. Never by guessing from positions.
        """
        what = f"{order_id} ended at {venue} while the run started"
        if self._is_last:
            self._fatal(DRIFT, f"{what}; start again, which asks for it")
            return
        self._switch.lost = "the account moved while the run started, which starts again"
        self.is_moved = True
        self.failure = (DRIFT, what)  # so that nothing is wound down
        people.info("%s: it is looked at again", what)
        self.stop(what)

    def _signalled(self, name: str) -> None:
        self.is_moved = False  # a person ends it, whatever it found
        self.stop(f"signal {name}")

    def _cut_off(self) -> None:
        """The second signal: no more orders are settled, files are closed."""
        what = "".join(f"; by the journal {one}" for one in left_words(self.trading))
        self._fail("STOP-AT-ONCE", f"cut off by a second signal; {self._traits.leaves}{what}")
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
            if not self._traits.needs_recording:
                return  # the run itself has ended as it should
            text = f"{self._recording.root}: {text}"
            self._fail("RECORDING", f"{text}; what was written before is whole")
            return
        self._fail("NODE", text)

    # -- the end -------------------------------------------------------------------------------

    def _tell_left(self, held: Sequence[Held], reason: str, named: set[str]) -> None:
        tell(held, reason)
        for words in left_words(self.trading, named):
            people.info("the run ends with %s", words)

    def _ended(self, seconds: float) -> Ended:
        unresolved = [cid for t in self.trading for cid in t.unresolved()]
        left_open = [cid for t in self.trading for cid in t.left_open()]
        refusals = {cid: why for t in self.trading for cid, why in t.cancel_refusals().items()}
        assembly = self._assembly
        run_state = RunState() if assembly is None else assembly.parts.run_state
        kills = halts = None
        held: Sequence[Held] = ()
        if assembly is not None:
            kills, halts = assembly.kills, assembly.halts
            cancels = self._settings.on_stop == "cancel"
            held = remains(
                self.trading,
                assembly.parts.strategies,
                cancels=cancels,
                flattens="flatten" in self.loaded.config.risk.on_breach,
                kills=self._kill_state.in_force(),
                since_ns=self._began_ns,
            )
        exit_code, reason = verdict(
            run_state,
            self.failure,
            self.stop_reason,
            unresolved=unresolved,
            left_open=left_open,
            refusals=refusals,
            killed=None if kills is None else kills.everything(),
            halted=None if halts is None else halts.verdict(),
            held=held,
        )
        self.is_moved &= exit_code is Exit.DRIFT  # and no strategy has broken or failed
        if not self.is_moved:
            self._tell_left(held, reason, {*unresolved, *left_open})
        if assembly is not None and self._traits.trades:
            for trading in self.trading:
                count_out(assembly.parts.gate, trading)
            exit_code, reason = _persisted(assembly, exit_code, reason)
        return Ended(
            exit=exit_code,
            reason=reason,
            status=self.status,
            findings=[
                *(finding for trading in self.trading for finding in trading.findings),
                *(() if assembly is None else assembly.clocks.findings),
            ],
            unresolved=unresolved,
            left_open=left_open,
            refusals=refusals,
            seconds=seconds,
            node=None if assembly is None else assembly.node,
            run_state=run_state,
            used=() if assembly is None else assembly.parts.used,
            recording=self._recording,
            held=() if assembly is None else tuple(assembly.held),
            booked=[trading.booked() for trading in self.trading],
            remains=held,
            marks=self._marks,
            gone=self._gone,
        )


def run_node(resolved: Resolved, mode: NodeMode, *, run_secs: float | None = None) -> Ended:
    """Blocks until the run has ended in order. `resolved` is for the mode, and without a problem.

    Starts again, a few times, where an account moved while it did. Raises FairleadError for what
    prevents a start.
    """
    begin_logs(resolved.loaded, mode)
    for left in reversed(range(STARTS_MAX)):
        run = NodeRun(resolved, mode, run_secs=run_secs, is_last=not left)
        ended = run.run()
        if not run.is_moved:
            return ended
        ended.close()
        run.let_go()
        del run, ended
        gc.collect()  # NautilusTrader refuses a second node while anything still holds the first
    raise AssertionError("the last run never asks for another")


def _host(loaded: LoadedConfig, key: str) -> str:
    """Where the venue is: a simulated one on loopback must not look like the real one."""
    options = msgspec.to_builtins(loaded.options[key])
    urls = (text for text in options.values() if isinstance(text, str) and "://" in text)
    return urlsplit(next(urls, "")).netloc or "no address"


def _persisted(assembly: Assembly, exit_code: Exit, reason: str) -> tuple[Exit, str]:
    """Write the risk states a last time; the end that the run earned stays its end."""
    try:
        assembly.parts.gate.persist()
    except RiskStateError as error:
        logger.error("RISK-STATE: %s", error)
        if exit_code is Exit.OK:
            return Exit.FAILED, f"RISK-STATE: {error}; {reason}"
    return exit_code, reason
