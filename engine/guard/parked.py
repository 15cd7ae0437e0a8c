"""Approved orders of one strategy that wait, not sent yet: for their way, or for their room.

They are live to the gate from their approval on, and counted by its rates as they go. Each is known
by its client order id, an entry with its exits by that of the entry. Every event of an order of the
run is a look at what waits; a strategy that is silenced has nothing sent any more.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import msgspec
from nautilus_trader.model import ClientOrderId

from fairlead.engine.guard.core import Core
from fairlead.engine.guard.sending import Sending
from fairlead.engine.guard.stop import Stop
from fairlead.engine.risk.facts import CountedOrder


class Waiting(msgspec.Struct):
    """`is_due`: its time is over, by its alert: a machine's clock may step back meanwhile. `again`:
    how often it was asked about since. `why`: the last refusal that was heard in its instrument."""

    orders: Sequence[Any]
    send: Callable[[Sequence[Any]], None]
    is_due: bool = False
    again: int = 0
    is_refused: bool = False
    why: str = ""

    @property
    def names(self) -> list[str]:
        return [str(order.client_order_id) for order in self.orders]


class Parked(ABC):
    """`code` and `withdrawn` are what a strategy is told that cancels one of them."""

    what: ClassVar[str]
    code: ClassVar[str]
    withdrawn: ClassVar[str]

    def __init__(self, core: Core, stop: Stop, sending: Sending) -> None:
        self._core = core
        self._sending = sending
        self._waiting: dict[str, Waiting] = {}
        self._is_busy = False  # within a native call of its own
        self.is_left = False  # of commands that a run gave: what they waited for is among them
        self.look = stop.safe(f"{self.what} that waits", self._look)
        stop.on_silent.append(
            lambda why: self.give_up("STRATEGY_FAULTED", f"not sent, as it waited: {why}")
        )

    def drop(self, client_order_id: Any) -> bool:
        """Whether it was one that waits: its strategy has cancelled it."""
        wanted = str(client_order_id)
        for name, waiting in list(self._waiting.items()):
            if wanted in waiting.names:
                self._refuse(name, self.code, self.withdrawn)
                return True
        return False

    def drop_all(self, instrument_id: Any, side: Any = None) -> None:
        """`side`: of NautilusTrader; None is both."""
        for name, waiting in list(self._waiting.items()):
            order = waiting.orders[0]
            if order.instrument_id == instrument_id and _names(side, order.side):
                self.drop(name)

    def give_up(self, code: str, why: str) -> None:
        for name in list(self._waiting):
            self._refuse(name, code, why)

    def _park(self, orders: Sequence[Any], send: Callable[[Sequence[Any]], None]) -> Waiting:
        core = self._core
        waiting = self._waiting[str(orders[0].client_order_id)] = Waiting(orders, send)
        for order in orders:
            name = str(order.client_order_id)
            core.parked[name] = order
            core.gate.books.unsent(name)  # it is counted as it goes
        core.run.ways[core.id, self.what] = self.look
        return waiting

    def _take(self, name: str) -> Waiting | None:
        core, found = self._core, self._waiting.pop(name, None)
        for one in [] if found is None else found.names:
            core.parked.pop(one, None)
        if not self._waiting:
            core.run.ways.pop((core.id, self.what), None)
        return found

    def _refuse(self, name: str, code: str, why: str) -> None:
        waiting, gate = self._take(name), self._core.gate
        if waiting is None:
            return
        for one in waiting.names:
            gate.closed(one)
        first = waiting.orders[0]
        instrument = str(first.instrument_id)
        self._sending.deny(first, name, instrument, gate.refuse(code, why, instrument))
        if len(waiting.orders) > 1:
            self._sending.refuse_rest(waiting.orders, (), first)

    def _cancel(self, orders: Iterable[CountedOrder]) -> None:
        """By their own strategies; one that can't be just now is cancelled at a later look."""
        core = self._core
        self._is_busy, before = True, self._is_busy
        try:
            for one in orders:
                owner = core.run.cores.get(one.strategy, core)
                order = core.strategy.cache.order(ClientOrderId(one.client_order_id))
                owner.cancel(order, sent_only=True)
        except RuntimeError as error:
            if "borrowed" not in str(error):
                raise
        finally:
            self._is_busy = before

    def _look(self, event: Any) -> None:
        """An order has moved, or an alert rings: go on with those that may."""
        for name, waiting in self._waiting.items():
            self._heard(name, waiting, event)
        if self._is_busy:
            return
        try:
            self._core.ready().now_ns()
        except RuntimeError as error:
            if "borrowed" in str(error):
                return  # the strategy is within a call: the next event comes
            raise
        for name, waiting in list(self._waiting.items()):
            if self._waiting.get(name) is waiting:
                self._next(name, waiting)

    @abstractmethod
    def _heard(self, name: str, waiting: Waiting, event: Any) -> None:
        """Note what an event says of one that waits; nothing is done yet."""

    @abstractmethod
    def _next(self, name: str, waiting: Waiting) -> None:
        """Do what is next for it."""


def _names(side: Any, of: Any) -> bool:
    return getattr(side, "name", "NO_ORDER_SIDE") in ("NO_ORDER_SIDE", of.name)
