"""Orders of a strategy on their way to NautilusTrader: the gate approves each one, or none goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import msgspec
from nautilus_trader.model import (
    ClientOrderId,
    OrderBookDeltas,
    OrderBookDepth,
    Price,
    Quantity,
    QuoteTick,
    TradeTick,
)

from fairlead.engine.guard.core import Core
from fairlead.engine.guard.denied import DeniedOrders, NoOrder
from fairlead.engine.guard.handed import require, require_given, require_order
from fairlead.engine.guard.run_state import DenialRecord
from fairlead.engine.guard.stop import Stop
from fairlead.engine.orders.approved import Approved
from fairlead.engine.orders.held import NotNow
from fairlead.engine.orders.journal_reads import JournalError
from fairlead.engine.orders.model import Intent, Refused, Role
from fairlead.engine.risk.approval import Change
from fairlead.engine.risk.checks import Denial
from fairlead.engine.risk.facts import counted_order
from fairlead.engine.risk.release import refused, regate
from fairlead.engine.risk.view import heard_ns, order_facts

ROLES = frozenset(role.value for role in Role if role is not Role.NONE)
# Events whose receipt begins the time from tick to order
TICKS = (OrderBookDeltas, OrderBookDepth, QuoteTick, TradeTick)
UNKNOWN = "unknown: nobody made it here, or it was over for long"
# An order's id with its new quantity, price, trigger price; None leaves a field as it is.
Update = tuple[ClientOrderId, Quantity | None, Price | None, Price | None]


class Sending:
    """Asks the gate, and calls NautilusTrader."""

    def __init__(self, core: Core, stop: Stop) -> None:
        self._core = core
        self._stop = stop
        self.denied = DeniedOrders(core)

    def call(
        self,
        orders: Iterable[Any],
        native: Callable[..., None],
        *args: Any,
        changes: Iterable[ClientOrderId] = (),
    ) -> None:
        """Call NautilusTrader; take the approvals of `orders` back if it refuses by raising.

        While the call runs these orders may come into being, and these `changes` be asked for:
        what does outside of such a call passed no gate, whatever was approved before.
        """
        core = self._core
        orders, changes = list(orders), list(changes)
        if core.run.keepers and not self._keep(orders):
            return
        before = core.creating, core.changing
        core.creating = frozenset(str(order.client_order_id) for order in orders)
        core.changing = frozenset(map(str, changes))
        try:
            with self._travelling(orders, changes):
                native(core.strategy, *args)
        except BaseException as error:
            for order in orders:
                core.gate.withdraw(str(order.client_order_id))
                if (keeper := core.run.keeper_of(order.instrument_id)) is not None:
                    keeper.refused((order,), type(error).__name__)
            raise
        finally:
            core.creating, core.changing = before
        if self._stop.pending is not None:
            self._stop.act()

    def _travelling(
        self, orders: Sequence[Any], changes: Sequence[ClientOrderId]
    ) -> AbstractContextManager[None]:
        """Around a command, which in a backtest may have a latency of its own."""
        core = self._core
        if (arrivals := core.run.arrivals) is not None:
            if arrivals.draws:
                target = orders[0].instrument_id if orders else next(iter(changes), None)
                kind = "submit" if orders else "modify"
                travel: AbstractContextManager[None] = arrivals.travel(core, target, kind)
                return travel
            arrivals.command()
        return nullcontext()

    def _keep(self, orders: Sequence[Any]) -> bool:
        """Journal approved orders that no desk of ours will send; False: none of them may go."""
        core = self._core
        for order in orders:
            if (keeper := core.run.keeper_of(order.instrument_id)) is None:
                continue
            try:
                keeper.intend((order,))
            except JournalError as error:  # it has ended the run
                for one in orders:
                    core.gate.withdraw(str(one.client_order_id))
                    name = str(one.instrument_id)
                    denial = core.gate.refuse("JOURNAL", error.message, name)
                    self.deny(one, str(one.client_order_id), name, denial)
                return False
        return True

    def approve(
        self, order: Any, as_if: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> bool:
        """Whether the gate lets a new order through; what it refuses is told. It is asked within
        `as_if`, and nothing else is done there."""
        core, view = self._core, self._core.ready()
        self._stop.look()
        facts = order_facts(require_order(order))
        with as_if():
            denial = core.gate.check(facts, view)
        if denial is not None:
            self.deny(order, facts.client_order_id, facts.instrument, denial)
            return False
        core.gate.approve(facts, view.now_ns())
        if facts.role is Role.NONE and (tags := order.tags):
            self._look_at(tags)
        self.denied.approved(facts.client_order_id)
        core.run.note_market(facts.client_order_id, core.strategy.cache, order.instrument_id)
        ticks = core.run.ticks
        if ticks is not None and isinstance(core.event, TICKS):
            event = core.event
            is_quote = isinstance(event, QuoteTick)
            received_ns = heard_ns(core.gate.heard, event) if is_quote else event.ts_init
            ticks[facts.client_order_id] = received_ns
        return True

    def _look_at(self, tags: Iterable[str]) -> None:
        """`Role.STOP` among the tags, where `Role.STOP.tag` is meant, would say nothing."""
        for role in ROLES.intersection(tags):
            text = f"{self._core.id}: the tag {role!r} of an order is no role to the gate; "
            name = f"Role.{Role(role).name}.tag"
            self._core.run.warn("ROLE-TAG", f"{text}write tags=[{name}], if that is what it is for")

    def release(self, held: Intent, sent: Intent) -> Approved | Refused | NotNow:
        """The gate's word on what the desk releases of an order that it held."""
        core = self._core
        if (view := core.view) is None:
            return NotNow("HELD-NOT-STARTED", f"{core.id} has not started yet")
        answer = regate(core.gate, view, sent)
        if not isinstance(answer, Denial):
            return answer
        order = core.strategy.cache.order(ClientOrderId(held.client_order_id))
        try:
            self.deny(order, held.client_order_id, held.instrument, answer)
        except BaseException as error:  # it is the order desk that calls here
            self._stop.fault("on_gate_denied", error)
        return refused(answer)

    def approve_all(
        self,
        orders: Sequence[Any],
        as_if: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> bool:
        """Every order of a list, else none."""
        approved: list[Any] = []
        for order in orders:
            if not self.approve(order, as_if):
                self.refuse_rest(orders, approved, order)
                return False
            approved.append(order)
        return True

    def refuse_rest(self, orders: Sequence[Any], approved: Sequence[Any], bad: Any) -> None:
        """One order of a list was refused: the others are not created either."""
        gate = self._core.gate
        for order in approved:
            gate.withdraw(str(order.client_order_id))
        for order in orders:
            if order is not bad:
                denial = gate.refuse(
                    "LIST_DENIED",
                    f"order {bad.client_order_id} of the same list was refused",
                    str(order.instrument_id),
                )
                self.deny(order, str(order.client_order_id), str(order.instrument_id), denial)

    def approve_modify(
        self,
        client_order_id: ClientOrderId,
        quantity: Quantity | None = None,
        price: Price | None = None,
        trigger_price: Price | None = None,
    ) -> bool:
        """Whether the gate lets an order become this; what it refuses is told."""
        core, view = self._core, self._core.ready()
        self._stop.look()
        require(client_order_id=client_order_id)
        require_given(quantity=quantity, price=price, trigger_price=trigger_price)
        if self.denied.has(client_order_id, "modify"):
            return False
        order = core.strategy.cache.order(client_order_id)
        if order is None or order.is_closed:
            state = UNKNOWN if order is None else order.status.name
            instrument = "" if order is None else str(order.instrument_id)
            denial = core.gate.refuse(
                "ORDER_NOT_OPEN",
                f"expected an open order, {client_order_id} is {state}",
                instrument,
            )
            self.deny(order, str(client_order_id), instrument, denial)
            return False
        before = order_facts(order)
        existing = view.pending(before.client_order_id) or counted_order(
            before, order.filled_qty.as_decimal()
        )
        change: Change = (
            None if quantity is None else quantity.as_decimal(),
            None if price is None else price.as_decimal(),
            None if trigger_price is None else trigger_price.as_decimal(),
        )
        after = msgspec.structs.replace(
            before,
            quantity=before.quantity if change[0] is None else change[0],
            price=before.price if change[1] is None else change[1],
            trigger_price=before.trigger_price if change[2] is None else change[2],
            existing=existing,
            role=existing.role,  # an order that outlived a restart has lost its tags
        )
        found = core.gate.check(after, view)
        if found is not None:
            self.deny(order, after.client_order_id, after.instrument, found)
            return False
        core.gate.approve_modify(after, change, view.now_ns())
        return True

    def deny(self, order: Any, order_id: str, instrument: str, denial: Denial) -> None:
        core = self._core
        self.denied.add(order, denial)
        record = DenialRecord(
            strategy=core.id,
            client_order_id=order_id,
            instrument=instrument,
            denial=denial,
            ts_ns=core.ready().now_ns(),
            order=order,
            market=core.run.market_of(core.strategy.cache, order),
        )
        count = core.run.add_denial(record)
        if count & (count - 1) == 0:  # the 1st, 2nd, 4th, 8th ... of a code: no flood of lines
            core.strategy.log.warning(f"gate refused {order_id} ({count} of this code): {denial}")
        told = NoOrder(ClientOrderId(order_id)) if order is None else order
        with core.within("on_gate_denied"):
            core.strategy.on_gate_denied(told, denial)
