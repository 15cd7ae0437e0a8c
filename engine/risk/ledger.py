"""The gate's own account of positions and live orders, fed by what it approves and by events.

It holds the same in live, paper and backtest, and counts an order from its approval to the proof
that it is over: an order of unknown outcome stays in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal

from engine.orders.model import Side
from engine.risk.facts import LiveOrder

_ZERO = Decimal(0)


class Ledger:
    """Positions by instrument, and the orders that may still fill."""

    def __init__(self) -> None:
        self.positions: defaultdict[str, Decimal] = defaultdict(Decimal)
        self.by_strategy: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self.live: dict[str, LiveOrder] = {}
        self._working: defaultdict[tuple[str, Side], Decimal] = defaultdict(Decimal)

    def seed_positions(self, positions: Mapping[str, Decimal], strategy: str = "") -> None:
        """Set the positions that exist at the start, by instrument, signed base units."""
        for instrument, quantity in positions.items():
            self.positions[instrument] += quantity - self.by_strategy[strategy, instrument]
            self.by_strategy[strategy, instrument] = quantity

    def working_quantity(self, instrument: str, side: Side) -> Decimal:
        return self._working.get((instrument, side), _ZERO)

    def working(self, instrument: str) -> Iterable[LiveOrder]:
        return [order for order in self.live.values() if order.instrument == instrument]

    def opened(self, order: LiveOrder) -> None:
        """An order was approved, or found at the start. A known one is left as it is."""
        if order.client_order_id in self.live:
            return
        self.live[order.client_order_id] = order
        self._count(order, order.remaining)

    def closed(self, client_order_id: str) -> None:
        """The order is proven to be over."""
        order = self.live.pop(client_order_id, None)
        if order is not None:
            self._count(order, -order.remaining)

    def resized(self, client_order_id: str, quantity: Decimal) -> None:
        """The order's total quantity is now, or may become, `quantity`."""
        order = self.live.get(client_order_id)
        if order is None:
            return
        before = order.remaining
        order.quantity = quantity
        self._count(order, order.remaining - before)
        if order.filled >= quantity:
            self.closed(client_order_id)

    def filled(
        self, client_order_id: str, strategy: str, instrument: str, side: Side, quantity: Decimal
    ) -> None:
        """A fill of `quantity` base units; the order is dropped when nothing remains."""
        signed = quantity if side is Side.BUY else -quantity
        self.positions[instrument] += signed
        self.by_strategy[strategy, instrument] += signed
        order = self.live.get(client_order_id)
        if order is None:
            return
        before = order.remaining
        order.filled += quantity
        self._count(order, order.remaining - before)
        if order.filled >= order.quantity:
            self.closed(client_order_id)

    def _count(self, order: LiveOrder, change: Decimal) -> None:
        if not order.contingent:
            self._working[order.instrument, order.side] += change
