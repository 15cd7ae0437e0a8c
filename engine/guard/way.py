"""Own resting orders in an exit's way: they are cancelled, and the exit waits for their end.

An exit that meets an order of its own account closes nothing: a venue ends the one that takes, or
lets the account trade with itself, for two fees. So those of the run that it could reach, of
whatever strategy, go first: for a market order by MARGIN more than the book says, as the touch
moves while it is on its way; a book that changes meanwhile is looked at anew. It waits WAIT_NS at
most: a cancel whose answer is lost keeps no position open. With nothing in its way it goes at once.
What comes into its way meanwhile is refused (`Ledger.waiting`), and it goes as large as what is
held then. A refusal of the moment (`FOR_NOW`) is asked about again for AGAIN_MAX times; then it is
told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.model import OrderSide

from fairlead.engine.guard.callback_names import STOPPING
from fairlead.engine.guard.parked import Parked, Waiting
from fairlead.engine.guard.reducing import resized
from fairlead.engine.guard.rounding import round_quantity
from fairlead.engine.orders.model import Kind, Side, entry_of
from fairlead.engine.risk.checks import Denial
from fairlead.engine.risk.checks_market import none_rests
from fairlead.engine.risk.facts import CountedOrder
from fairlead.engine.risk.ledger import RESTING_KINDS
from fairlead.engine.risk.release import FOR_NOW
from fairlead.engine.risk.view import order_facts

WAIT_NS = 3_000_000_000
AGAIN_NS = 250_000_000
AGAIN_MAX = 80  # 20 s
MARGIN = Decimal("0.001")  # of the price
MOMENTARY = FOR_NOW - {"KILL_SWITCH"}
AT_ONCE = frozenset({"IOC", "FOK"})
WITHDRAWN = "cancelled before it was sent, as it waited for the end of own orders in its way"


def _alert(name: str) -> str:
    return f"guard-way-{name}"


def _again(name: str) -> str:
    return f"guard-way-{name}-again"


def _rests(order: Any) -> bool:
    return order.order_type.name == Kind.LIMIT and order.time_in_force.name not in AT_ONCE


class Way(Parked):
    """Of one strategy's exits."""

    what = "an exit"
    code = "SELF_CROSS"
    withdrawn = WITHDRAWN

    def holds(self, order: Any, send: Callable[[Sequence[Any]], None]) -> bool:
        """Whether an approved order waits; then `send` is called when its way is free."""
        if not self._core.runs() or not self.clear(order):
            return False
        core, name = self._core, str(order.client_order_id)
        if not self._ahead(name):  # over already: a simulated exchange without latency
            return False
        until_ns = core.ready().now_ns() + WAIT_NS
        self._park([order], send)
        core.gate.ledger.waiting[name] = self._reach(core.gate.ledger.live[name])
        for other in core.run.cores.values():  # what is on its way is cancelled once accepted
            for heard in STOPPING - other.strategy._guard_user_callbacks:
                other.stop.put_silent(heard)
        core.clock().set_time_alert_ns(_alert(name), until_ns, callback=self.look)
        return True

    def clear(self, order: Any) -> bool:
        """Cancel what is in an approved order's way; whether anything was."""
        if self.is_left:
            return False
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
        if none_rests(core.ready().capabilities(instrument)):
            return []
        reach = self._reach(exit_)
        is_buy = exit_.side is Side.BUY
        return [
            one
            for one in core.gate.ledger.working(instrument)
            if one.side is other
            and one.kind in RESTING_KINDS
            and one.price is not None
            and (reach is None or (one.price <= reach if is_buy else one.price >= reach))
            and one.client_order_id not in core.parked
        ]

    def _reach(self, exit_: CountedOrder) -> Decimal | None:
        """The last price that it takes, None for any."""
        if exit_.kind != Kind.MARKET:
            return exit_.price
        price = self._core.ready().price_for(exit_.instrument, exit_.side, exit_.remaining)
        if price is None:
            return None
        return price * (1 + MARGIN if exit_.side is Side.BUY else 1 - MARGIN)

    def _heard(self, name: str, waiting: Waiting, event: Any) -> None:
        heard = getattr(event, "name", None)
        waiting.is_due |= heard == _alert(name)
        if heard == _again(name):
            waiting.again, waiting.is_refused = waiting.again + 1, False

    def _next(self, name: str, waiting: Waiting) -> None:
        ahead = self._ahead(name)
        if ahead and not waiting.is_due:
            self._cancel(ahead)
        elif not waiting.is_refused:
            self._send(name, waiting, ahead)

    def _send(self, name: str, waiting: Waiting, ahead: Iterable[CountedOrder]) -> None:
        """Asked of the gate as of a new order: much may have changed."""
        core = self._core
        if name not in core.gate.ledger.live:
            self._take(name)
            return
        order = self._cut(waiting.orders[0])
        facts = msgspec.structs.replace(order_facts(order), is_release=True)
        denial = core.gate.release(facts, core.ready())
        if denial is not None and denial.code in MOMENTARY and waiting.again < AGAIN_MAX:
            self._later(name, waiting, denial)
            return
        self._take(name)
        if denial is not None:
            core.gate.closed(name)
            self._sending.deny(order, name, facts.instrument, denial)
            return
        if names := ", ".join(one.client_order_id for one in ahead):
            core.strategy.log.warning(
                f"the exit {name} waited for the end of {names}, {WAIT_NS // 1_000_000_000} s, and "
                "goes now: the venue may end it there"
            )
        waiting.send([order])

    def _later(self, name: str, waiting: Waiting, denial: Denial) -> None:
        core, waiting.is_refused = self._core, True
        if not waiting.again:
            core.strategy.log.warning(f"the exit {name} waits, asked about again: {denial}")
        at_ns = core.ready().now_ns() + AGAIN_NS
        core.clock().set_time_alert_ns(_again(name), at_ns, callback=self.look)

    def _cut(self, order: Any) -> Any:
        """The order as large as what is held still: a part may have been closed meanwhile."""
        core, name = self._core, str(order.instrument_id)
        held = core.gate.ledger.own(core.id, name)
        left = -held if order.side == OrderSide.BUY else held
        if left <= 0 or left >= order.quantity.as_decimal() or order.is_quote_quantity:
            return order
        quantity = round_quantity(core.strategy.cache, order.instrument_id, left)
        if not quantity.as_decimal():
            return order
        core.strategy.log.warning(
            f"the exit {order.client_order_id} of {order.quantity} goes as {quantity}: "
            "so much is held still"
        )
        return resized(order, quantity)

    def _take(self, name: str) -> Waiting | None:
        self._core.gate.ledger.waiting.pop(name, None)
        return super()._take(name)
