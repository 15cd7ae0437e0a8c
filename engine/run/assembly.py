"""A connected run becomes a NautilusTrader node: gate, strategies, clients, and their watches."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

from nautilus_trader.live import LiveNodeBuilder

from fairlead.adapters.base.account import Account
from fairlead.adapters.base.execution_client import make_execution_factory
from fairlead.adapters.base.relay import Relay
from fairlead.adapters.base.runtime import VenueRuntime
from fairlead.engine.config.loaded import account_files
from fairlead.engine.config.priced import require_priced
from fairlead.engine.config.resolved import Resolved
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.kill.account import Markets
from fairlead.engine.kill.halts import RunHalts
from fairlead.engine.kill.switch import KillSwitch
from fairlead.engine.kill.watch import KillWatch
from fairlead.engine.matching.client import SimulatedExecutionClient
from fairlead.engine.newest import Newest
from fairlead.engine.observe.arrivals import arrived
from fairlead.engine.orders.approved import Approved
from fairlead.engine.orders.held import NotNow
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.journal_reads import Position
from fairlead.engine.orders.model import Intent, Refused
from fairlead.engine.recording.session import Recording
from fairlead.engine.risk.state import RiskStateError
from fairlead.engine.risk.view import instrument_facts
from fairlead.engine.run import build
from fairlead.engine.run.clocks import RunClocks
from fairlead.engine.run.connection import VenueConnection
from fairlead.engine.run.counting import counted_account
from fairlead.engine.run.kernel import MarketActor, node_config
from fairlead.engine.run.latency import latency_of
from fairlead.engine.run.modes import MODES, NodeMode
from fairlead.engine.run.native.account import NativeAccount, cancels
from fairlead.engine.run.native.adapter import NATIVE, NativeAdapter
from fairlead.engine.run.native.feed import NativeFeed
from fairlead.engine.run.native.steward import Steward
from fairlead.engine.run.reach import markets_of
from fairlead.engine.run.remains import is_flat
from fairlead.engine.run.simulated import simulated_account
from fairlead.engine.run.takeover import (
    Claiming,
    claims,
    count_again,
    count_in,
    held_beyond,
    unlisted,
)
from fairlead.engine.run.trading import TradingAccount
from fairlead.engine.status import RunStatus

logger = logging.getLogger(__name__)

# Tops of the book that are kept for the run's record: of an order, of each fill, of its end; about
# 0.5 kB each. Of a run of weeks the newest.
MARKETS_MAX = 200_000


class Assembly:
    """The parts of a run that has connected its venues; a node is made of them by `build`.

    `trading` fills with the real accounts, `held` with the instruments that a journal holds and
    the config does not name. `on_known` is called once what the accounts hold is counted,
    `on_moved` with a venue and one of its orders that ended since its account was looked at.
    """

    def __init__(
        self,
        resolved: Resolved,
        mode: NodeMode,
        connections: Mapping[str, VenueConnection],
        trading: list[TradingAccount],
        switch: KillSwitch,
        status: RunStatus,
        on_known: Callable[[], None],
        on_moved: Callable[[str, str], None],
    ) -> None:
        self._on_moved = on_moved
        self._loaded = loaded = resolved.loaded
        self._mode = mode
        self._traits = traits = MODES[mode]
        self._connections = connections
        self._trading = trading
        self._status = status
        self._on_known = on_known
        self._known_count = 0
        self.held: list[str] = []
        self.papers: list[SimulatedExecutionClient] = []
        self.node: Any = None
        self.handle: Any = None  # of the node, which can't be asked for it while it runs
        self.parts = parts = self._parts(resolved, switch)
        self.halts: RunHalts | None = None
        self.kills: KillWatch | None = None
        if traits.trades:
            self._prepare(parts.run_state)
            self.halts = RunHalts(
                loaded, parts.gate, status, trading, time.time_ns, paper=not traits.is_real
            )
            self.kills = KillWatch(
                loaded,
                switch,
                self.halts,
                status,
                trading,
                lambda: parts.strategies,
                self._markets,
                time.time_ns,
            )
        self.clocks = RunClocks(
            [one.runtime for one in connections.values()],
            parts.gate,
            trading,
            time.time_ns,
            time.monotonic_ns,
        )

    def _parts(self, resolved: Resolved, switch: KillSwitch) -> build.Parts:
        """Gate and strategies; without execution no strategies, whatever the config names."""
        if not self._traits.trades:
            gate = build.build_gate(self._loaded)
            return build.Parts(gate=gate, run_state=RunState(), strategies=())
        try:
            is_paper = not self._traits.is_real
            states = build.risk_states(self._loaded, paper=is_paper)
            return build.build_parts(
                self._loaded, resolved.strategies, states, switch, is_simulated=is_paper
            )
        except RiskStateError as error:
            raise FairleadError("RISK-STATE", str(error), Exit.FAILED) from error

    def _prepare(self, state: RunState) -> None:
        """What strategies are offered, and what is kept of their orders. Raises ConfigError."""
        if any(one.native is not None for one in self._connections.values()):
            require_priced(
                self._loaded, {instrument_facts(one).currency for one in self._instruments()}
            )
        state.offer = build.venue_offer(self._loaded)
        state.markets = Newest(MARKETS_MAX)
        state.clocks_differ = True
        build.tell_shut_out(self._loaded, state, self._instruments())
        if self._traits.is_real:
            state.ticks = {}
        else:
            build.tell_idle_balances(self._loaded, state, self._instruments())

    def let_go(self) -> None:
        """Drop the node that has ended: a process has one at a time, and whoever holds it keeps it.

        What NautilusTrader keeps of an ended node (a strategy, and by it this run) is never
        collected, so no other reference than ours may be left.
        """
        self.node = self.handle = None

    def build(
        self,
        recording: Recording | None,
        kept: Callable[[str], None],
        stack: ExitStack,
    ) -> None:
        """Make the node; what is opened for it is closed with `stack`. Raises FairleadError.

        `kept` is called with the venue key of each account once its journal is there.
        """
        executions = {
            key: self._execution(key, connection, kept, stack)
            for key, connection in self._connections.items()
        }
        # Only now it is known what the journals hold beside the config: it is recorded, too
        streaming = None if recording is None else recording.streaming(self._instruments())
        config = node_config(self._loaded, self._mode, streaming)
        builder = LiveNodeBuilder.from_config(self._loaded.config.name, config)
        for key, connection in self._connections.items():
            builder = connection.add_to(builder, executions[key])
        if self._traits.is_real:
            self._quotes()
        self.node = builder.build()
        self._relay(self._loaded.config.prices_from)
        self.handle = self.node.handle()
        journals = {trading.venue: trading.journal for trading in self._trading}
        for strategy in self.parts.strategies:
            strategy.keep_brackets_in(journals)
            self.node.add_strategy(strategy)
        self._claim(journals.values())
        self._steward()
        watched = tuple(self.held)
        if recording is not None or self._traits.watches_all:
            watched = (*self._loaded.config.instruments, *watched)
        for connection in self._connections.values():
            if connection.native is not None:
                feed = NativeFeed(connection.runtime)
                feed.on_up = self._native_up
                self.node.add_actor(feed)
                watched = tuple(n for n in watched if n not in connection.runtime.instruments)
        if watched:
            sources = build.venue_offer(self._loaded, more=self.held).sources
            self.node.add_actor(MarketActor({name: sources[name].kinds for name in watched}))

    def _execution(
        self,
        key: str,
        connection: VenueConnection,
        kept: Callable[[str], None],
        stack: ExitStack,
    ) -> Any:
        """Who executes the venue's orders; None: nobody."""
        if key not in self._loaded.traded:
            return None
        if self._traits.is_real and connection.native is not None:
            self._native_account(key, connection, connection.native, kept, stack)
            return NATIVE
        if self._traits.is_real:
            return make_execution_factory(self._account(key, connection, kept, stack))
        if not self._traits.is_simulated:
            return None
        return simulated_account(
            self._loaded.config,
            key,
            connection.runtime,
            self.parts.gate.approvals,
            latency_of(self._loaded),
            self.papers.append,
            partial(arrived, self._status),
        )

    def _claim(self, journals: Iterable[Journal]) -> None:
        """Each instrument is one strategy's, as NautilusTrader sees it."""
        claimed = claims(self._loaded, journals, self._is_flat)
        claiming = Claiming(self.parts.strategies, claimed)
        for account in self._trading:
            if isinstance(account, Account):
                account.apart.claims = claiming

    def _is_flat(self, position: Position) -> bool:
        connection = self._connections.get(position.instrument.rpartition(".")[2].lower())
        known = {} if connection is None else connection.runtime.adapter.instruments
        return is_flat(position, known.get(position.instrument))

    def _steward(self) -> None:
        """Accounts that NautilusTrader's own clients trade have one, beside the strategies."""
        natives = [one for one in self._trading if isinstance(one, NativeAccount)]
        if natives:
            self.node.add_strategy(steward := Steward())
            for account in natives:
                account.steward = steward

    def _relay(self, prices_from: Mapping[str, str]) -> None:
        """Instruments whose market data are another's get them from an actor of the node."""
        if not prices_from:
            return
        relay = Relay(prices_from)
        for key in {name.rpartition(".")[2].lower() for name in prices_from}:
            runtime = self._connections[key].runtime
            runtime.relay = relay
            relay.on_defect = partial(runtime.fatal, "DATA-DEFECT")
        self.node.add_actor(relay)

    def _quotes(self) -> None:
        """A live run asks the venues that quote."""
        for connection in self._connections.values():
            asks = getattr(connection.runtime.adapter, "request_quote", None)
            if asks is not None:
                self.parts.run_state.quotes[connection.runtime.adapter.venue] = asks

    def _instruments(self) -> Iterator[Any]:
        """NautilusTrader's own, of the connected venues."""
        for connection in self._connections.values():
            yield from connection.instruments()

    def _markets(self, venue: str) -> Markets:
        key = venue.lower()
        adapter = self._connections[key].runtime.adapter
        return markets_of(adapter, self._loaded.config.venues[key].account_type)

    # -- real accounts -------------------------------------------------------------------------

    def _account(
        self,
        key: str,
        connection: VenueConnection,
        kept: Callable[[str], None],
        stack: ExitStack,
    ) -> Account:
        config, gate = self._loaded.config, self.parts.gate
        journal = self._journal(key, kept, stack)
        self._keep_held(key, connection.runtime, journal)
        claimed = claims(self._loaded, [journal], self._is_flat)
        trading = counted_account(
            gate,
            key,
            runtime=connection.runtime,
            journal=journal,
            config=config,
            claimed=frozenset(str(name) for names in claimed.values() for name in names),
            on_known=self._known,
            on_sent=self._sent,
            on_apart=self._apart,
        )
        trading.regate = self._regate
        if self.kills is not None:
            killed = self.kills.killed
            trading.killed = lambda intent: killed(intent) or gate.recalled(intent)
        if self.halts is not None:
            self.halts.opened(trading)
        self._trading.append(trading)
        return trading

    def _apart(self, name: str, strategy: str) -> None:
        """An order of which the gate has from its desk what is executed; by NautilusTrader's id."""
        heard = (one for one in self.parts.strategies if str(one.strategy_id) == strategy)
        self.parts.run_state.apart[name] = next(heard, None)

    def _journal(self, key: str, kept: Callable[[str], None], stack: ExitStack) -> Journal:
        journal = Journal(
            account_files(self._loaded, key).journal,
            fsync=self._loaded.config.execution.journal_fsync == "always",
            now_ns=time.time_ns,
        )
        journal.took = self._status.latency("journal").record
        stack.callback(journal.close)
        kept(key)
        return journal

    def _native_account(
        self,
        key: str,
        connection: VenueConnection,
        native: NativeAdapter,
        kept: Callable[[str], None],
        stack: ExitStack,
    ) -> None:
        """One that NautilusTrader's own client trades. Raises FairleadError."""
        journal = self._journal(key, kept, stack)
        self._keep_held(key, connection.runtime, journal)
        gate = self.parts.gate
        account = NativeAccount(
            runtime=connection.runtime,
            config=self._loaded.config,
            journal=journal,
            on_sent=self._sent,
            on_unknown=lambda count: gate.unknown_outcomes(key, count),
            on_halt=lambda name, why: gate.halt(f"{name}: {why}", time.time_ns(), name),
        )
        account.recover(native.seen)
        account.desk.cancels = cancels(lambda: self.parts.strategies)
        self.parts.run_state.keepers[account.venue] = account.desk
        count_in(gate, account, account.desk)
        if self.halts is not None:
            self.halts.opened(account)
        self._trading.append(account)

    def _native_up(self, venue: str, cache: Any) -> None:
        """NautilusTrader has taken over what the venue has, and no strategy has started yet."""
        for account in self._trading:
            if isinstance(account, NativeAccount) and account.venue == venue:
                if (moved := account.taken_over(cache)) is not None:
                    self._on_moved(venue, moved)
                    return
                count_again(self.parts.gate, account, account.desk)
                self._known(account)

    def _regate(self, held: Intent, sent: Intent) -> Approved | Refused | NotNow:
        """The gate on what is released of a held order: as its strategy sees the market now."""
        for strategy in self.parts.strategies:
            if str(strategy.strategy_id) == held.strategy:
                answer: Approved | Refused | NotNow = strategy._guard_bound().sending.release(
                    held, sent
                )
                return answer
        return NotNow("HELD-NO-STRATEGY", f"{held.strategy} is not in this run")

    def _keep_held(self, key: str, runtime: VenueRuntime, journal: Journal) -> None:
        """Load also what the journal holds and the config names no more. Raises FairleadError."""
        held = held_beyond(journal, self._loaded.config.venues[key].instruments)
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
        self.held += [one.instrument for one in held]

    def _known(self, trading: TradingAccount) -> None:
        """The account is known: what it holds counts against the limits from the first order."""
        if self.kills is not None:
            self.kills.recovered(trading)
        self._known_count += 1
        if self._known_count == len(self._trading):
            self._on_known()

    def _sent(self, intent: Intent) -> None:
        """Tick to order: from the receipt of what the strategy answered to, until the send."""
        ticks = self.parts.run_state.ticks
        received = ticks.pop(intent.client_order_id, 0) if ticks else 0
        if received:
            self._status.tick_to_order.record(time.time_ns() - received)
