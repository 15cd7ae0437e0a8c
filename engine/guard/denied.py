"""New orders that the gate denied: they never came into being, so that nobody can take one back.

A strategy that writes for NautilusTrader alone can't know: there an order that was denied is one
of the cache, and its cancel is a warning. What it asks of one here is nothing, and said.
"""

from __future__ import annotations

from typing import Any

import msgspec
from nautilus_trader.model import ClientOrderId

from fairlead.engine.guard.core import Core
from fairlead.engine.risk.checks import Denial

DENIED_MAX = 10_000  # the newest are known; an older one is an id that nobody ever made


class NoOrder(msgspec.Struct, frozen=True):
    """What stands in `on_gate_denied` for an order that is not there: an id that this run never
    made, or of an order that is over and has left NautilusTrader's cache."""

    client_order_id: ClientOrderId
    is_open: bool = False
    is_closed: bool = True


class _One(msgspec.Struct):
    why: str
    is_told: bool = False


class DeniedOrders:
    """Of one strategy, by client order id."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._found: dict[str, _One] = {}
        self._told = 0

    def add(self, order: Any, denial: Denial) -> None:
        """`order` is None of a change of what is no order. A twin of one that is live is not it."""
        if order is None:
            return
        name = str(order.client_order_id)
        if name in self._core.gate.approvals or self._is_there(order.client_order_id):
            return
        self._found[name] = _One(str(denial))
        if len(self._found) > DENIED_MAX:
            del self._found[next(iter(self._found))]

    def approved(self, client_order_id: str) -> None:
        """The same order, sent again."""
        self._found.pop(client_order_id, None)

    def has(self, client_order_id: Any, what: str) -> bool:
        """Whether there is nothing to `what` (a verb), since the gate denied that order; told in
        the strategy's log.
        """
        found = self._found.get(str(client_order_id)) if self._found else None
        if found is None or self._is_there(client_order_id):
            return False
        if not found.is_told:
            found.is_told = True
            self._told += 1
            if self._told & (self._told - 1) == 0:  # as denials are told: no flood of lines
                self._tell(
                    f"nothing to {what}: {client_order_id} was never sent, the gate denied it: "
                    f"{found.why}"
                )
        return True

    def _is_there(self, client_order_id: Any) -> bool:
        return self._core.strategy.cache.order(client_order_id) is not None

    def _tell(self, text: str) -> None:
        self._core.strategy.log.warning(text)
