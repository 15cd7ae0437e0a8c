"""What every part of a strategy's guard knows: the strategy, its gate, its run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from decimal import Decimal
from threading import get_ident
from typing import Any

from nautilus_trader.common import Clock
from nautilus_trader.model import ClientOrderId, InstrumentId, OrderStatus
from nautilus_trader.trading import Strategy

from fairlead.engine.guard.hooks import Hooks
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.orders.journal import Journal
from fairlead.engine.risk.facts import CountedOrder
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.view import NautilusView

Handler = Callable[[Any], None]
NO_REASON = "a strategy asked for it"


class Core:
    """Plain attributes only: they may be touched where a native call has borrowed the strategy."""

    def __init__(self, strategy: Hooks, gate: RiskGate, run: RunState) -> None:
        self.strategy = strategy
        self.gate = gate
        self.run = run
        self.id = str(strategy.strategy_id)
        self.native: type[Strategy] = strategy._guard_native
        self.place = run.turns.place()
        self.thread = get_ident()  # whose callbacks run in
        self.view: NautilusView | None = None  # from on_start on
        self.journals: Mapping[str, Journal] = {}  # the accounts', by venue; none in a simulation
        self.event: Any = None  # of the callback that runs: what an order sent from it answers
        # Client order ids of the native call that runs: what is created, and what is changed by it
        self.creating: frozenset[str] = frozenset()
        self.changing: frozenset[str] = frozenset()
        self.parked: dict[str, Any] = {}  # approved orders that wait, not sent yet
        self.factory: Any = None  # of orders, where their ids are the run's
        self.puts: dict[str, Any] = {}  # what the engine has put in the place of a callback
        self.shares = False  # some topic of the strategy has other subscribers
        self._inner: tuple[str, BaseException] | None = (
            None  # what a callback within another raised
        )

    def put(self, name: str, callback: Any) -> None:
        """Have the strategy's `name` be `callback`, which is the engine's, from now on."""
        self.puts[name] = callback
        setattr(self.strategy, name, callback)

    @contextmanager
    def within(self, callback: str) -> Iterator[None]:
        """Around the strategy's `callback`, where it runs within another: what it raises is its
        own, whoever hears of it (`raised_in`)."""
        try:
            yield
        except BaseException as error:
            self._inner = self.raised_in(callback, error), error
            raise

    def raised_in(self, callback: str, error: BaseException) -> str:
        """Which callback raised what has escaped this one."""
        inner = self._inner
        return callback if inner is None or inner[1] is not error else inner[0]

    def ready(self) -> NautilusView:
        """Raises RuntimeError before on_start."""
        if self.view is None:
            raise RuntimeError(
                "an order was created before on_start, or the strategy is not bound to a gate; "
                "create orders from on_start on"
            )
        return self.view

    def is_flat(self, instrument: str, quantity: Decimal, price: Decimal | None = None) -> bool:
        """See `InstrumentFacts.is_flat`; of an instrument that the cache has not, nothing is."""
        facts = self.ready().instrument(instrument)
        return facts is not None and facts.is_flat(quantity, price)

    def clock(self) -> Clock:
        """NautilusTrader's own, for the guard's timers."""
        own: Clock = self.native.clock.__get__(self.strategy)
        return own

    def own_position(self, instrument: str) -> Decimal:
        """Signed base units, fees in base currency taken off."""
        return self.gate.ledger.by_strategy.get((self.id, instrument), Decimal(0))

    def own_positions(self) -> dict[str, Decimal]:
        """Those that are not flat, by instrument id."""
        of = self.gate.ledger.by_strategy
        return {name: held for (owner, name), held in of.items() if owner == self.id and held}

    def can_cancel(self, instrument: str) -> bool:
        """Whether the venue can cancel one order; else a market exit ends the others with it."""
        able = self.gate.capabilities.get(instrument.rpartition(".")[2])
        return able is None or able.cancels

    def ends_with_exit(self, instrument: str) -> bool:
        """Whether closing what the strategy holds there ends its orders at the venue; a simulated
        one ends them by cancels alone."""
        if self.can_cancel(instrument) or self.gate.is_simulated:
            return False
        return bool(self.own_position(instrument))

    def waits_to_enter(self, order: CountedOrder) -> bool:
        """Whether it is an entry that is not sent yet: it fills nothing before its room is made."""
        return order.client_order_id in self.parked and not order.is_exit

    def runs(self) -> bool:
        return bool(self.native.is_running(self.strategy))

    def working(self) -> list[Any]:
        """NautilusTrader's orders of the strategy that are not over."""
        cache, mine = self.strategy.cache, self.strategy.strategy_id
        return [*cache.orders_open(strategy_id=mine), *cache.orders_inflight(strategy_id=mine)]

    def cancellable(self) -> list[Any]:
        """Those of them whose venue can cancel one order."""
        return [order for order in self.working() if self.can_cancel(str(order.instrument_id))]

    def cancel(self, order: Any, *, sent_only: bool = False) -> None:
        """Cancel one of NautilusTrader's orders, where that is of use.

        `sent_only`: not one that has had no event yet, which NautilusTrader can't cancel.
        """
        if order is None or order.is_closed or order.is_pending_cancel:
            return
        if not (sent_only and is_unsent(order)):
            self.cancel_order(order.client_order_id)

    # The engine's own calls are NautilusTrader's: what a strategy has made of the methods of these
    # names is for its own use, and stops neither a kill nor the end of the run.

    def cancel_order(self, client_order_id: ClientOrderId) -> None:
        with self.cancelling(client_order_id):
            self.native.cancel_order(self.strategy, client_order_id)

    def cancel_all_orders(self, instrument_id: InstrumentId) -> None:
        with self.cancelling(instrument_id):
            self.native.cancel_all_orders(self.strategy, instrument_id)

    def cancelling(self, target: Any) -> AbstractContextManager[None]:
        """Around every cancel: in a backtest it may have a latency of its own."""
        arrivals = self.run.arrivals
        if arrivals is None or not arrivals.draws:
            return nullcontext()
        travel: AbstractContextManager[None] = arrivals.travel(self, target, "cancel")
        return travel

    def end_run(self, reason: str | None) -> None:
        """Ask for the end of the run: an ordered stop, where the run has one."""
        if self.run.end is None:
            self.run.stop_reason = self.run.stop_reason or reason or NO_REASON
            self.native.shutdown_system(self.strategy, reason)
        else:
            self.run.end(reason or NO_REASON)

    def instruments_with_orders(self) -> set[InstrumentId]:
        return {order.instrument_id for order in self.working()}


def is_unsent(order: Any) -> bool:
    """Whether it was handed over and has had no event yet."""
    return bool(order.status == OrderStatus.INITIALIZED)
