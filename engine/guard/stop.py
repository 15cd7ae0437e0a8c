"""How a strategy ends that raised, or whose order passed no gate: silenced, cancelled, the run
asked to stop.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nautilus_trader.common import Clock
from nautilus_trader.model import ClientOrderId, InstrumentId

from fairlead.engine.guard.assigned import undo
from fairlead.engine.guard.callback_names import DATA_CALLBACKS, STOPPING
from fairlead.engine.guard.core import Core, Handler, is_unsent
from fairlead.engine.guard.signatures import misfit

# How long the end of the run waits for an order that is on its way into the engine.
STOP_GRACE_NS = 2_000_000_000


class Stop:
    """Of one strategy."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.pending: str | None = None  # why the run must stop as soon as it is possible
        self.is_silent = False  # the strategy's code sees no more events
        self.silent_ns = math.inf  # since when, for a fault
        self._is_asked = False  # the end of the run was asked for
        self.on_stop: Callable[[str], None] = lambda why: None  # told why no entry is sent any more
        self.on_silent: list[Callable[[str], None]] = []  # each is told why

    def safe(self, name: str, handler: Callable[[Any], object]) -> Handler:
        """`handler` with its exceptions ending the run, for callbacks given to NautilusTrader."""

        def safe(event: Any) -> None:
            try:
                if self.pending is None:
                    handler(event)
                else:
                    self.act()
            except BaseException as error:
                self.fault(name, misfit(error, handler))

        return safe

    def fault(self, callback: str, error: BaseException) -> None:
        """An exception escaped `callback`: stop the strategy and then the run.

        KeyboardInterrupt (NautilusTrader would log it and go on) is an ordered stop, no fault.
        """
        core = self._core
        callback = core.raised_in(callback, error)
        if isinstance(error, KeyboardInterrupt):
            core.run.interrupted = True
            reason = "interrupted"
        else:
            fault = core.run.add_fault(core.id, callback, error)
            reason = f"{core.id} raised {fault.error} in {callback}: {fault.message[:200]}"
            core.gate.fault(core.id, reason)
        self.pending = self.pending or reason
        self._divert()
        self.act()

    def look(self) -> None:
        """Undo what the strategy's code has put in the place of a method: that is its fault."""
        if self.pending is None and (error := undo(self._core.strategy, self._core.puts)):
            self.fault(error.name, error)

    def breach(self, order_id: str, what: str) -> None:
        """Note an order that passed no gate. Called where only plain attributes may be touched."""
        core = self._core
        core.run.add_breach(core.id, order_id, what)
        reason = f"{core.id}: {what} {order_id} was not approved by the gate"
        core.gate.fault(core.id, reason)
        self.pending = self.pending or reason
        self._divert()

    def _divert(self) -> None:
        """Let the next event of any kind end the run, at no cost to the callbacks before."""
        if self.is_silent:
            return
        core = self._core
        core.run.turns.leave_all(core)

        def stop_now(event: Any) -> None:
            self.act()

        for name in DATA_CALLBACKS:
            core.put(name, stop_now)
        for name in STOPPING - core.strategy._guard_user_callbacks:
            self.put_silent(name)

    def act(self) -> None:
        """Silence the strategy, cancel its orders and ask the run to stop; once.

        Inside a native call the strategy is borrowed and nothing can be done: `pending` stays set,
        and the next callback or the end of that call comes here again.
        """
        if self.is_silent or self.pending is None:
            return
        core = self._core
        core.run.stop_reason = core.run.stop_reason or self.pending
        try:
            instruments = core.instruments_with_orders()
        except RuntimeError as error:
            if "borrowed" in str(error):
                return
            raise
        self.is_silent = True
        if not core.run.interrupted:
            self.silent_ns = core.clock().timestamp_ns()
        for name in core.strategy._guard_user_callbacks:
            self.put_silent(name)
        core.strategy.log.warning(f"the run stops: {self.pending}")
        for fault in core.run.faults[:1]:
            core.strategy.log.warning(fault.traceback)  # to the log's file; the screen has it
        for give_up in self.on_silent:
            give_up(self.pending)
        try:
            self._end(instruments)
        finally:
            self.wind_down()

    def put_silent(self, name: str) -> None:
        """Let the event reach the bookkeeping, and the strategy's code no more."""
        strategy = self._core.strategy
        silent = strategy._guard_silent.get(name)
        if silent is not None:
            self._core.put(name, silent.__get__(strategy))

    def _end(self, instruments: set[InstrumentId]) -> None:
        for instrument_id in sorted(instruments, key=str):
            self._core.cancel_all_orders(instrument_id)
        self._give_up_at(self._core.clock())

    def _give_up_at(self, clock: Clock) -> None:
        """Ask for the end of the run at the latest after STOP_GRACE_NS."""
        if self._has_unsent():
            at_ns = clock.timestamp_ns() + STOP_GRACE_NS
            shut_down, reason = self._core.end_run, self.pending
            clock.set_time_alert_ns(
                f"guard-stop-{self._core.id}", at_ns, lambda _: shut_down(reason)
            )

    def wind_down(self, order_id: ClientOrderId | None = None) -> None:
        """Ask for the end of the run when every order of the strategy can be cancelled.

        An order created just before the fault is INITIALIZED and can't be cancelled yet: its next
        event (`order_id`) brings the cancel, and the end.
        """
        if self._is_asked:
            return
        strategy = self._core.strategy
        if order_id is not None:
            self._core.cancel(strategy.cache.order(order_id))
        if not self._has_unsent():
            self._is_asked = True
            self._core.end_run(self.pending)

    def _has_unsent(self) -> bool:
        """Whether some order of this strategy was handed over and has had no event yet."""
        core = self._core
        live = core.gate.ledger.live.values()
        for order_id in [one.client_order_id for one in live if one.strategy == core.id]:
            order = core.strategy.cache.order(ClientOrderId(order_id))
            if order is not None and is_unsent(order):
                return True
        return False
