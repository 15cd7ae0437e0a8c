"""What `fairlead kill` does at the venues, from a process of its own: cancel, and flatten.

Built for speed and for a run that hangs: the first cancels go out from the journal alone, before
markets are read; nothing waits for the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from uuid import uuid4

import msgspec

from adapters import registry
from adapters.base.plain_transport import PlainTransport
from adapters.base.venue import Adapter, AdapterContext, VenueError
from engine.config.loader import LoadedConfig
from engine.errors import FairleadError
from engine.modes.desks import market_of, settings_of, touch_of, traits_of
from engine.modes.lock import AccountLock
from engine.orders.desk import OrderDesk
from engine.orders.flatten import Closed, Flattener, FlattenLock, KillJournal
from engine.orders.journal import Journal, JournalError
from engine.orders.model import Finding, Intent, VenueFill
from engine.orders.sweep import Sweep, SweptOrder
from engine.risk.killswitch import Action, Kill
from engine.secrets import read_credentials

FLATTEN_SECS = 20.0
LOCK_SECS = 10.0  # for another process that flattens to end
LOCK_LOOK_SECS = 0.1


class VenueReport(msgspec.Struct, kw_only=True):
    """One venue account. `first_cancel_ms` is from the kill in force to the first cancel sent."""

    venue: str
    account: str
    orders: list[SweptOrder] = []
    closed: list[Closed] = []
    problem: str = ""
    is_unreachable: bool = False
    first_cancel_ms: float | None = None

    @property
    def left(self) -> list[SweptOrder]:
        return [order for order in self.orders if order.is_left]

    @property
    def is_clean(self) -> bool:
        return not self.problem and not self.left and all(one.is_flat for one in self.closed)


def covered(loaded: LoadedConfig, kill: Kill) -> list[str]:
    """Keys of the config's venues that the kill's scope touches."""
    scope = kill.scope
    return [
        key
        for key, venue in loaded.config.venues.items()
        if venue.adapter in registry.names()
        and (
            scope.kind in ("all", "strategy")
            or (scope.kind == "venue" and scope.key == key)
            or (scope.kind == "account" and scope.key == venue.account)
        )
    ]


async def kill_venues(
    loaded: LoadedConfig,
    kill: Kill,
    *,
    since_ns: int,
    timeout_secs: float,
    tell: Callable[[str], None],
) -> list[VenueReport]:
    """Cancel (and flatten) at every venue that the kill covers, all at once.

    `since_ns` is when the kill was durable, UNIX nanoseconds.
    """
    keys = covered(loaded, kill)
    works = [VenueKill(loaded, key, kill, since_ns, timeout_secs, tell) for key in keys]
    return list(await asyncio.gather(*(work.run() for work in works)))


class VenueKill:
    """One venue account of the config."""

    def __init__(
        self,
        loaded: LoadedConfig,
        key: str,
        kill: Kill,
        since_ns: int,
        timeout_secs: float,
        tell: Callable[[str], None],
    ) -> None:
        self._loaded = loaded
        self._key = key
        self._kill = kill
        self._since_ns = since_ns
        self._timeout_secs = timeout_secs
        self._tell = tell
        self._venue = loaded.config.venues[key]
        self._name = f"{key}-{self._venue.account}"
        self._path = loaded.state_dir / f"{self._name}.journal.sqlite"
        self.report = VenueReport(venue=key, account=self._venue.account)

    async def run(self) -> VenueReport:
        """Never raises: what went wrong is in the report."""
        transport = PlainTransport()
        try:
            await self._run(transport)
        except (FairleadError, VenueError) as error:
            self._fail(f"{error.code}: {error.message}")
            self.report.is_unreachable = isinstance(error, VenueError)
        except Exception as error:
            self._fail(f"{type(error).__name__}: {error}")
        finally:
            await transport.close()
        return self.report

    def _fail(self, problem: str) -> None:
        self.report.problem = problem
        self._tell(f"{self._key}: {problem}")

    async def _run(self, transport: PlainTransport) -> None:
        adapter = self._adapter(transport)
        if adapter is None:
            return
        journal = self._journal()
        sweep = Sweep(
            venue=adapter.orders,
            journal=journal,
            instruments=self._venue.instruments,
            covers=self._covers,
            whole_account=self._kill.scope.kind != "strategy",
            batch_max=adapter.capabilities.batch_cancel_max,
            quarantine_secs=max(
                self._loaded.config.execution.absent_quarantine_secs,
                adapter.capabilities.max_order_lag_secs,
            ),
            on_done=self._told,
        )
        deadline = asyncio.get_running_loop().time() + self._timeout_secs
        try:
            sweep.read_journal()
            self.report.first_cancel_ms = (time.time_ns() - self._since_ns) / 1e6
            await sweep.cancel()  # by the journal's ids: nothing needs to be read before
            await adapter.connect(trading=False)
            await sweep.finish(deadline)
        finally:
            self.report.orders = sweep.reports()
            if journal is not None:
                journal.close()
        if sweep.problem:
            self._fail(sweep.problem)
            self.report.is_unreachable = True
        for order in self.report.left:
            self._told(order)
        if self._kill.action is Action.FLATTEN and self._path.exists():
            self.report.closed = await self._flatten(adapter, sweep.filled())

    def _covers(self, strategy: str) -> bool:
        scope = self._kill.scope
        return scope.covers(strategy=strategy, venue=self._key, account=self._venue.account)

    def _adapter(self, transport: PlainTransport) -> Adapter | None:
        """The venue's own connection; None where there is no key and never was a live run."""
        spec = registry.spec(self._venue.adapter)
        secrets, failed = read_credentials(
            self._venue.credentials, spec.credentials, self._loaded.path.parent
        )
        for error in failed.values():
            if not self._path.exists():
                self._tell(f"{self._key}: no live run was ever here, and no key: nothing to cancel")
                return None
            raise error
        return spec.create(
            AdapterContext(
                venue=self._key.upper(),
                options=self._loaded.options[self._key],
                secrets=secrets,
                http=transport,
                now_ns=time.time_ns,
                instruments=tuple(self._venue.instruments),
            )
        )

    def _journal(self) -> Journal | None:
        """None when there is none, or when it can't be read: the venue's own list has to do."""
        if not self._path.exists():
            return None
        try:
            return Journal.reading(self._path)
        except JournalError as error:
            self._tell(f"{self._key}: {error.message}; cancelling what the venue lists as open")
            return None

    def _told(self, order: SweptOrder) -> None:
        who = f"{order.strategy} {order.client_order_id}".strip()
        what = f"LEFT {order.state}" if order.is_left else order.state.value
        line = f"{order.instrument} {order.venue_order_id or '(no venue id)'} ({who}): {what}"
        self._tell(f"{line}; {order.detail}" if order.detail else line)

    # -- flatten -------------------------------------------------------------------------------

    async def _flatten(self, adapter: Adapter, unbooked: Mapping[str, Decimal]) -> list[Closed]:
        lock = FlattenLock(self._loaded.state_dir / f"{self._name}.flatten.lock")
        if not await self._taken(lock):
            self._fail("KILL-FLATTEN: another process has been flattening this account; look again")
            return []
        try:
            with contextlib.ExitStack() as held:
                is_alone = self._holds_account(held)
                return await self._flatten_locked(adapter, unbooked, is_alone)
        finally:
            lock.free()

    async def _taken(self, lock: FlattenLock) -> bool:
        deadline = asyncio.get_running_loop().time() + LOCK_SECS
        while not lock.take():
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(LOCK_LOOK_SECS)
        return True

    def _holds_account(self, held: contextlib.ExitStack) -> bool:
        """Keep a run from starting meanwhile; False when one is running."""
        try:
            held.enter_context(AccountLock(self._loaded.state_dir / f"{self._name}.lock"))
        except FairleadError:
            return False
        return True

    async def _flatten_locked(
        self, adapter: Adapter, unbooked: Mapping[str, Decimal], is_alone: bool
    ) -> list[Closed]:
        journal = KillJournal(self._path, fsync=True, now_ns=time.time_ns)
        desk = OrderDesk(
            venue=adapter.orders,
            journal=journal,
            sink=KillSink(self._tell),
            traits=msgspec.structs.replace(traits_of(adapter.capabilities), private_stream=False),
            settings=msgspec.structs.replace(
                settings_of(self._loaded.config.execution), poll_secs=0.2, balance_poll_secs=60.0
            ),
            base_currency=lambda name: adapter.instruments[name].base,
            now_ns=time.time_ns,
        )
        flattener = Flattener(
            venue=adapter.orders,
            journal=journal,
            desk=desk,
            markets={
                name: market_of(one, adapter.capabilities, self._venue.account_type)
                for name, one in adapter.instruments.items()
            },
            covers=self._covers,
            touch=touch_of(adapter),
            collar=self._loaded.config.risk.price_collar_bps / 10_000,
            new_id=lambda: str(uuid4()),
            now_ns=time.time_ns,
            unbooked=unbooked,
        )
        try:
            if is_alone:  # a flatten that died before: its orders are ours to prove
                desk.adopt_journal()
                await desk.recover(FLATTEN_SECS)
            desk.start()
            if not await flattener.settle_old(FLATTEN_SECS):
                self._fail("KILL-FLATTEN: an earlier closing order is of unknown outcome")
                return []
            closed = await flattener.run()
        finally:
            await desk.abandon()
            journal.close()
        for one in closed:
            what = "flat" if one.is_flat else f"LEFT {one.left:f}"
            self._tell(f"{one.instrument} position {one.before:f}: {what} {one.detail}".rstrip())
        return closed


class KillSink:
    """Tells a person what became of the closing orders; NautilusTrader is not there."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def order_submitted(self, intent: Intent) -> None:
        self._tell(f"{intent.instrument} {intent.side} {intent.quantity:f} sent to close")

    def order_accepted(self, intent: Intent, venue_order_id: str, ts_event: int) -> None: ...

    def order_refused(self, intent: Intent, code: str, message: str, ts_event: int) -> None:
        self._tell(f"{intent.instrument} close refused: {code}: {message}")

    def order_triggered(self, intent: Intent, venue_order_id: str, ts_event: int) -> None: ...

    def order_filled(self, intent: Intent, fill: VenueFill) -> None:
        self._tell(f"{intent.instrument} {intent.side} {fill.quantity:f} at {fill.price:f}")

    def order_canceled(self, intent: Intent, venue_order_id: str, ts_event: int) -> None: ...
    def order_expired(self, intent: Intent, venue_order_id: str, ts_event: int) -> None: ...
    def order_replaced(self, intent: Intent, venue_order_id: str, ts_event: int) -> None: ...
    def replace_refused(self, intent: Intent, code: str, message: str, ts_event: int) -> None: ...
    def cancel_refused(self, intent: Intent, code: str, message: str, ts_event: int) -> None: ...
    def balances(self, balances: Any, ts_event: int) -> None: ...

    def finding(self, finding: Finding) -> None:
        self._tell(f"{finding.code} {finding.subject}: {finding.journal}, {finding.venue}")
