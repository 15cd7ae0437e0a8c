"""Own resting orders in an exit's way: they are cancelled, and the exit waits for their end.

An exit that meets an order of its own account closes nothing: a venue ends the one that takes, or
lets the account trade with itself, for two fees. So those of the run that it could reach, of
whatever strategy, go first; a book that changes meanwhile is looked at anew. It waits WAIT_NS at
most: a cancel whose answer is lost keeps no position open. With nothing in its way it goes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from nautilus_trader.model import ClientOrderId

from fairlead.engine.guard.core import Core
from fairlead.engine.guard.sending import Sending
from fairlead.engine.guard.stop import Stop
from fairlead.engine.orders.model import Kind, Side, entry_of
from fairlead.engine.risk.checks_market import none_rests
from fairlead.engine.risk.facts import CountedOrder
from fairlead.engine.risk.ledger import RESTING_KINDS
from fairlead.engine.risk.view import order_facts

WAIT_NS = 3_000_000_000
AT_ONCE = frozenset({"IOC", "FOK"})
WITHDRAWN = "cancelled before it was sent, as it waited for the end of own orders in its way"


class _Waiting(msgspec.Struct):
    """`is_due`: its time is over, by its alert: a machine's clock may step back meanwhile."""

    order: Any
    send: Callable[[], None]
    is_due: bool = False


def _alert(name: str) -> str:
    return f"guard-way-{name}"


def _rests(order: Any) -> bool:
    return order.order_type.name == Kind.LIMIT and order.time_in_force.name not in AT_ONCE


class Way:
    """Of one strategy's exits."""

    def __init__(self, core: Core, stop: Stop, sending: Sending) -> None:
        self._core = core
        self._sending = sending
        self._waiting: dict[str, _Waiting] = {}
        self._is_busy = False  # within a native call of its own
        self.look = stop.safe("an exit that waits", self._look)

    def holds(self, order: Any, send: Callable[[], None]) -> bool:
        """Whether an approved order waits; then `send` is called when its way is free."""
        if not self._core.runs() or not self.clear(order):
            return False
        core, name = self._core, str(order.client_order_id)
        if not self._ahead(name):  # over already: a simulated exchange without latency
            return False
        until_ns = core.ready().now_ns() + WAIT_NS
        self._waiting[name] = _Waiting(order, send)
        core.parked[name] = order
        core.run.ways[core.id] = self.look
        core.clock().set_time_alert_ns(_alert(name), until_ns, callback=self.look)
        return True

    def clear(self, order: Any) -> bool:
        """Cancel what is in an approved order's way; whether anything was."""
        name = str(order.client_order_id)
        live = self._core.gate.ledger.live.get(name)
        if live is None or not live.is_exit or live.contingent:
            return False
        if _rests(order) and (order.is_post_only or entry_of(order.tags) is not None):
            return False  # it never takes; a bracket changes its own exits
        ahead = self._ahead(name)
        if not ahead:
            return False
        for one in ahead:
            self._core.strategy.log.warning(
                f"{one.strategy}'s {one.client_order_id} ({one.side} {one.remaining:f} at "
                f"{one.price}) is in the way of the exit {name}: cancelled first"
            )
        self._cancel(ahead)
        return True

    def drop(self, client_order_id: Any) -> bool:
        """Whether it was an exit that waits: its strategy has cancelled it."""
        waiting = self._take(str(client_order_id))
        if waiting is None:
            return False
        name, instrument = str(client_order_id), str(waiting.order.instrument_id)
        self._core.gate.closed(name)
        denial = self._core.gate.refuse("SELF_CROSS", WITHDRAWN, instrument)
        self._sending.deny(waiting.order, name, instrument, denial)
        return True

    def drop_all(self, instrument_id: Any) -> None:
        for name, waiting in list(self._waiting.items()):
            if waiting.order.instrument_id == instrument_id:
                self.drop(name)

    def _ahead(self, client_order_id: str) -> list[CountedOrder]:
        """Resting orders of the run that it would meet."""
        core = self._core
        exit_ = core.gate.ledger.live.get(client_order_id)
        if exit_ is None or exit_.kind not in (Kind.MARKET, Kind.LIMIT):
            return []
        instrument, other = exit_.instrument, Side.SELL if exit_.side is Side.BUY else Side.BUY
        if core.gate.ledger.best_price(instrument, other) is None:
            return []
        if not core.can_cancel(instrument):
            return []
        view = core.ready()
        if none_rests(view.capabilities(instrument)):
            return []
        reach = exit_.price
        if exit_.kind == Kind.MARKET:
            reach = view.price_for(instrument, exit_.side, exit_.remaining)
        is_buy = exit_.side is Side.BUY
        return [
            one
            for one in core.gate.ledger.working(instrument)
            if one.side is other
            and one.kind in RESTING_KINDS
            and one.price is not None
            and (reach is None or (one.price <= reach if is_buy else one.price >= reach))
        ]

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
        """An order is over, or the time is: go on with those whose way is free."""
        for name, waiting in self._waiting.items():
            waiting.is_due |= getattr(event, "name", None) == _alert(name)
        if self._is_busy:
            return
        try:
            self._core.ready().now_ns()
        except RuntimeError as error:
            if "borrowed" in str(error):
                return  # the strategy is within a call: the next event comes
            raise
        for name, waiting in list(self._waiting.items()):
            ahead = self._ahead(name)
            if ahead and not waiting.is_due:
                self._cancel(ahead)
            elif self._take(name) is not None:
                self._send(name, waiting, ahead)

    def _send(self, name: str, waiting: _Waiting, ahead: Iterable[CountedOrder]) -> None:
        """Asked of the gate as of a new order: much may have changed."""
        core, order = self._core, waiting.order
        if name not in core.gate.ledger.live:
            return
        facts = msgspec.structs.replace(order_facts(order), is_release=True)
        denial = core.gate.release(facts, core.ready())
        if denial is not None:
            core.gate.closed(name)
            self._sending.deny(order, name, facts.instrument, denial)
            return
        if names := ", ".join(one.client_order_id for one in ahead):
            core.strategy.log.warning(
                f"the exit {name} waited for the end of {names}, {WAIT_NS // 1_000_000_000} s, and "
                "goes now: the venue may end it there"
            )
        waiting.send()

    def _take(self, name: str) -> _Waiting | None:
        self._core.parked.pop(name, None)
        found = self._waiting.pop(name, None)
        if not self._waiting:
            self._core.run.ways.pop(self._core.id, None)
        return found
