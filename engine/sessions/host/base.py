"""Between the hosted strategies and the order path: commands out, events back, in NautilusTrader's
order.

A command leaves on the next turn of the loop, through the real execution client; what that client
tells is queued, applied to the order and the position, and then handed to the strategy.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from nautilus_trader.core import UUID4
from nautilus_trader.model import (
    Bar,
    BarType,
    CashAccount,
    OrderDenied,
    OrderFilled,
    OrderPendingCancel,
    OrderStatus,
    Position,
    StrategyId,
    TraderId,
)

from fairlead.adapters.base.account import Account
from fairlead.adapters.base.execution_client import VenueExecutionClient
from fairlead.adapters.base.venue import VenueInstrument
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.orders.desk import OrderDesk
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import Intent
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.sessions.faults import SimulatedDeath
from fairlead.engine.sessions.feed import BookFeed
from fairlead.engine.sessions.host.cache import HostCache
from fairlead.engine.sessions.scene import Scene

TRADER = TraderId("FAIRLEAD-001")
# What a fault of a strategy's callback may be: the disk is full, or the process is dying.
EXPECTED = frozenset({"JournalError", "SimulatedDeath"})


class Life(Protocol):
    """What is asked of the process whose strategies are hosted."""

    @property
    def world(self) -> Scene: ...
    @property
    def life(self) -> int: ...
    @property
    def is_dead(self) -> bool: ...
    @property
    def is_up(self) -> bool: ...
    @property
    def gate(self) -> RiskGate: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def trading(self) -> Account: ...
    @property
    def desk(self) -> OrderDesk: ...
    @property
    def book(self) -> BookFeed | None: ...
    @property
    def instruments(self) -> Mapping[str, VenueInstrument]: ...

    def known_instrument(self, name: str) -> Any | None: ...
    def now_ns(self) -> int: ...
    def spawn(self, doing: Any, name: str) -> None: ...
    def ask_stop(self, why: str) -> None: ...


class Host:
    """What strategies, market data and the execution client's events meet in."""

    client: VenueExecutionClient

    def __init__(self, process: Life) -> None:
        self.process = process
        self.cache = HostCache(process.known_instrument)
        self.run_state = RunState((process.world.instrument,))
        self.run_state.end = self.strategy_ends
        self.strategies: dict[str, Any] = {}
        self._queue: deque[tuple[Any, bool]] = deque()
        self._is_due = False

    def owner_of(self, report: Any) -> str | None:
        """The hosted strategy that a reported order belongs to."""
        journal = self.process.journal
        name = str(report.client_order_id)
        journaled = journal.order(name)
        if journaled is None:
            instrument, venue_id = str(report.instrument_id), str(report.venue_order_id)
            journaled = journal.order(journal.order_by_venue_id(instrument, venue_id) or "")
        if journaled is None or journaled.intent.strategy not in self.strategies:
            return None
        return journaled.intent.strategy

    def subscribe_bars(self, bar_type: BarType, hear: Callable[[Bar], None]) -> None:
        raise NotImplementedError

    def has(self, intent: Intent) -> bool:
        return intent.strategy in self.strategies

    def subscribed(self, what: str) -> Iterator[Any]:
        for strategy in self.strategies.values():
            if strategy._host_runs and what in strategy._host_subscribed:
                yield strategy

    def strategy_ends(self, reason: str) -> None:
        """A fault or a breach of a strategy ends the run; shipped ones have none."""
        world, state = self.process.world, self.run_state
        if self.process.is_dead:
            return
        for fault in state.faults:
            if fault.error not in EXPECTED:
                world.broken("STRATEGY-FAULT", fault.strategy, fault.traceback[-900:])
        if state.breach is not None:
            world.broken("STRATEGY-BREACH", state.breach.client_order_id, state.breach.what)
        self.process.ask_stop(reason)

    # -- commands ------------------------------------------------------------------------------

    def submit(self, strategy: Any, orders: Sequence[Any]) -> None:
        for order in orders:
            self.cache.add_order(order)
            self._lend(strategy, "on_order_initialized", order.init_event)
        self.process.world.trace.count("orders", len(orders))
        ids = [order.client_order_id for order in orders]
        if self.process.world.trace.is_on:
            for order in orders:
                self.process.world.trace.line("agent", f"{strategy.strategy_id} submits {order}")
        self.process.spawn(self._submit(ids), "submit")

    async def _submit(self, ids: Sequence[Any]) -> None:
        await self.client._watched(partial(self.client._submit, ids))

    def cancel(self, strategy: Any, ids: Sequence[Any]) -> None:
        wanted = []
        for client_order_id in ids:
            order = self.cache.order(client_order_id)
            if order is None or order.is_closed or order.is_pending_cancel:
                continue
            if order.status == OrderStatus.INITIALIZED:
                continue  # NautilusTrader says so in its log, and does nothing
            now = self.process.now_ns()
            event = OrderPendingCancel(
                TRADER,
                order.strategy_id,
                order.instrument_id,
                order.client_order_id,
                self.client.account_id,
                UUID4(),
                now,
                now,
                False,
                order.venue_order_id,
            )
            order.apply(event)
            self._lend(strategy, "on_order_pending_cancel", event)
            wanted.append(str(client_order_id))
        if not wanted:
            return
        self.process.world.trace.count("cancels", len(wanted))
        self.process.world.trace.line(
            "agent", f"{strategy.strategy_id} cancels {', '.join(wanted)}"
        )
        self.process.spawn(self._cancel(wanted), "cancel")

    async def _cancel(self, ids: list[str]) -> None:
        for one in ids:  # strategy_only: one command each
            await self.client._watched(partial(self.client._desk.cancel, [one]))

    def _lend(self, strategy: Any, callback: str, event: Any) -> None:
        """A hook that runs inside the native call: the strategy may touch plain attributes only."""
        strategy._host_is_lent = True
        try:
            getattr(strategy, callback)(event)
        finally:
            strategy._host_is_lent = False

    # -- events --------------------------------------------------------------------------------

    def put(self, event: Any) -> None:
        """Queue what the client told; it is handled on a later turn of the loop."""
        self._queue.append(event)
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._drain)

    def _drain(self) -> None:
        self._is_due = False
        while self._queue and not self.process.is_dead:
            event = self._queue.popleft()
            try:
                event() if callable(event) else self.handle(event)
            except SimulatedDeath:
                return
            except Exception as error:
                self.process.world.defect("a hosted strategy's event", error)

    def handle(self, event: Any) -> None:
        """Apply to order and position, and tell the strategy."""
        order = self.cache.order(event.client_order_id)
        if order is None:
            return
        is_fill = isinstance(event, OrderFilled)
        if is_fill and event.trade_id in order.trade_ids:
            return
        try:
            order.apply(event)
        except RuntimeError as error:  # NautilusTrader warns, and drops the event
            self.process.world.trace.line("strategy", f"{event}: {error}")
            return
        self.cache.order_moved(order)
        if is_fill:
            self._apply_fill(event)
        self.tell(event)

    def tell(self, event: Any) -> None:
        strategy = self.strategies.get(str(event.strategy_id))
        if strategy is not None and strategy._host_runs:
            getattr(strategy, CALLBACKS[type(event).__name__])(event)

    def _apply_fill(self, fill: OrderFilled) -> None:
        """One position for each strategy and instrument; one that is over is followed by a new."""
        assert fill.position_id is not None, "every fill names its position"
        position = self.cache.position(fill.position_id)
        instrument = self.cache.instrument(fill.instrument_id)
        if position is None or position.is_closed:
            self.cache.add_position(Position(instrument, fill))
        else:
            position.apply(fill)

    def position_id(self, strategy: str) -> str:
        return f"{self.process.world.instrument}-{strategy}"

    def account_told(self, state: Any) -> None:
        self.cache.account = CashAccount(state, False)

    def id_of(self, strategy: str) -> StrategyId:
        return StrategyId(strategy)


CALLBACKS = {
    OrderDenied.__name__: "on_order_denied",
    "OrderInitialized": "on_order_initialized",
    "OrderSubmitted": "on_order_submitted",
    "OrderAccepted": "on_order_accepted",
    "OrderRejected": "on_order_rejected",
    "OrderTriggered": "on_order_triggered",
    "OrderFilled": "on_order_filled",
    "OrderCanceled": "on_order_canceled",
    "OrderExpired": "on_order_expired",
    "OrderUpdated": "on_order_updated",
    "OrderModifyRejected": "on_order_modify_rejected",
    "OrderCancelRejected": "on_order_cancel_rejected",
}
