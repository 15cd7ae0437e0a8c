"""A node that builds the shipped strategies, starts them with what outlived a restart, and ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random
from typing import Any, cast

from nautilus_trader.config import ExecutionClientConfig
from nautilus_trader.model import Bar, BarType, ClientOrderId

from fairlead.adapters.base.execution_client import VenueExecutionClient
from fairlead.engine.config.model import Execution
from fairlead.engine.orders.model import Side
from fairlead.engine.research.marks import Marks
from fairlead.engine.run.closed import ClosedOrders
from fairlead.engine.sessions.host.base import TRADER, Host, Life
from fairlead.engine.sessions.host.clock import HostClock
from fairlead.engine.sessions.host.events import Outbox, from_report, synthetic
from fairlead.engine.sessions.host.market import HostMarket
from fairlead.engine.sessions.host.strategy import hosted
from fairlead.engine.sessions.shipped import Shipped

DUST = Decimal(5)  # quote units
# As soon as it is of use here: what a strategy may lose of its orders, it loses
CLOSED = Execution(closed_orders_secs=1.0, closed_orders=0)
BLIND = ("INVALID_BOOK", "STALE_REFERENCE")  # refusals for want of a book


class _Trading:
    """The account's trading half, whose desk exists already."""

    def __init__(self, process: Life) -> None:
        self._process = process

    def make_desk(self, sink: Any) -> Any:
        return self._process.desk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._process.trading, name)


class HostNode(Host):
    """The stand-in for a node: one per life of the process, shared by its strategies."""

    def __init__(self, process: Life, shipped: Sequence[Shipped]) -> None:
        super().__init__(process)
        self.market = HostMarket(self)
        self.shipped = {one.id: one for one in shipped}
        for one in shipped:
            self.strategies[one.id] = self._build(one)
        self.client = VenueExecutionClient(
            trading=cast(Any, _Trading(process)),
            name=process.world.venue_name,
            config=ExecutionClientConfig(),
            cache=self.cache,
            clock=HostClock(process.now_ns, lambda: process.is_dead),
            trader_id=TRADER,
        )
        self.client._output = Outbox(self)
        self._closed = ClosedOrders(
            self.cache,
            [process.trading],
            list(self.strategies.values()),
            self.run_state,
            Marks(),
            lambda one: process.world.trace.count("orders let go"),
            CLOSED,
        )

    def _build(self, one: Shipped) -> Any:
        process = self.process
        strategy = hosted(one.strategy_class())(one.config())
        seed = f"host/{process.world.plan.seed}/{one.id}/{process.life}"
        strategy.host(self, Random(seed))  # noqa: S311 - simulation
        strategy.bind(process.gate, self.run_state)
        strategy.keep_brackets_in({process.world.venue_name: process.journal})
        return strategy

    # -- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """As a node: orders and positions that outlived the restart first, then `on_start`."""
        self._reconcile()
        self.process.spawn(self.market.run(), "market data")
        self.process.spawn(self._closed.run(), "orders that are over")
        for strategy in self.strategies.values():
            strategy.on_start()
            strategy._host_runs = True
        self.check_owned("after a start")

    def stop(self) -> None:
        """Strategies get no more events from here on."""
        for strategy in self.strategies.values():
            if strategy._host_runs:
                strategy.on_stop()
                strategy._host_runs = strategy._host_is_open = False
                strategy._host_clock.cancel_timers()

    def _reconcile(self) -> None:
        """The mass status: what the execution client reports is in the cache before `on_start`."""
        process, client = self.process, self.client
        for report in client._order_reports(None):
            owner = self.owner_of(report)
            if owner is not None:
                order, _ = from_report(self, report, [], owner, is_start=True)
                self.cache.add_order(order)
        for position in process.journal.positions():
            if position.strategy in self.strategies:
                found = synthetic(self, position)
                if found is not None:
                    self.cache.add_position(found)
        client._is_told = True
        process.trading.told()

    def check_flat(self) -> None:
        """What a strategy promised to close at the stop is closed, where the gate lets it.

        Each close may leave a fee in base currency, which the next one closes. Where the venue
        shows one side only, or none, the gate lets nothing be closed at the market; nor where what
        it shows is not known here to the end of the stop, nor where the account would then be
        beyond its limit by what the other strategies hold. What an exit has executed there counts,
        though the venue has not told it yet.
        """
        gate = self.process.gate
        world = self.process.world
        bid, ask = world.touch()
        if bid is None or ask is None:
            return
        spec = world.venue.exchange.markets[world.market].spec
        # The venue takes no order below, nor of less worth
        least = max(spec.size_step, spec.min_quantity)
        for name, strategy in self.strategies.items():
            down = strategy._guard.winddown
            for instrument in down.promised():
                held = self._held(name, str(instrument))
                is_dust = abs(held) < least or abs(held) * bid < max(DUST, spec.min_notional)
                is_let = not down.refusal.startswith(BLIND) and not self._is_crowded(
                    down.refusal, str(instrument), held
                )
                if is_let and not (is_dust or gate.is_stopped(name, str(instrument))):
                    text = f"holds {held} of what it was to close: {down.refusal}"
                    world.broken("NOT-FLAT", name, text)

    def _is_crowded(self, refusal: str, instrument: str, held: Decimal) -> bool:
        """Whether others alone hold more than the account may, by the journal."""
        positions = self.process.journal.positions()
        total = sum((one.quantity for one in positions if one.instrument == instrument), Decimal(0))
        most = Decimal(self.process.world.plan.max_position)
        return refusal.startswith("MAX_POSITION") and abs(total - held) > most

    def _held(self, strategy: str, instrument: str) -> Decimal:
        """By the journal, and what the venue has executed of live orders, and not told; signed base
        units, fees off. A fill of the stop's last moment is heard by no strategy any more."""
        world, total = self.process.world, Decimal(0)
        for one in self.process.journal.positions():
            if (one.strategy, one.instrument) == (strategy, instrument):
                total += one.quantity
        executed = {one.id: one.executed for one in world.venue.exchange.orders(world.account)}
        for order in self.process.desk.live_orders():
            intent = order.intent
            is_its = (intent.strategy, intent.instrument) == (strategy, instrument)
            if not is_its or order.venue_order_id is None:
                continue
            now = executed.get(world.venue.ledger_id(order.venue_order_id), order.filled)
            more = max(now - order.filled, Decimal(0))
            total += more if intent.side is Side.BUY else -more
        return total

    def subscribe_bars(self, bar_type: BarType, hear: Callable[[Bar], None]) -> None:
        self.market.subscribe_bars(bar_type, hear)

    def check_owned(self, when: str) -> None:
        """No order that outlived a restart, or is left, is one that its strategy doesn't know."""
        process = self.process
        for name, strategy in self.strategies.items():
            # One that was stopped, as by a disk that is full, gets what is left at the next start
            if process.gate.faulted(name) or not strategy._host_runs:
                continue
            owned = self.shipped[name].owned(strategy)
            for order in process.desk.live_orders():
                cid = order.intent.client_order_id
                is_left = order.is_proven and not order.cancel_requested
                if order.intent.strategy != name or not is_left or cid in owned:
                    continue
                cached = self.cache.order(ClientOrderId(cid))
                if cached is None or not cached.is_pending_cancel:
                    text = f"{order.intent.role} {order.intent.side} {order.state}, {when}"
                    process.world.broken("ORDER-UNOWNED", cid, text)
