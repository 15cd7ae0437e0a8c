"""What the strategies here do with the orders that a restart hands to them."""

from typing import Any

from nautilus_trader.model import ClientOrderId, OrderSide

from fairlead import OwnOrder

CANCEL_RETRY_NS = 5_000_000_000


class Spares:
    """Orders of an earlier run that the strategy has no use for: cancelled until they are over."""

    def __init__(self, strategy: Any) -> None:
        self._strategy = strategy
        self._sides: dict[ClientOrderId, OrderSide] = {}
        self._asked_ns: dict[ClientOrderId, int] = {}

    def __len__(self) -> int:
        return len(self._sides)

    def add(self, order: OwnOrder) -> None:
        self._sides[order.client_order_id] = order.side

    def has(self, side: OrderSide) -> bool:
        return side in self._sides.values()

    def closed(self, client_order_id: ClientOrderId) -> None:
        self._sides.pop(client_order_id, None)
        self._asked_ns.pop(client_order_id, None)

    def cancel(self, now_ns: int) -> None:
        """Ask for the cancel of each that can be cancelled now, and again after a while."""
        for client_order_id in list(self._sides):
            asked_ns = self._asked_ns.get(client_order_id, -CANCEL_RETRY_NS)
            order = self._strategy.cache.order(client_order_id)
            if now_ns - asked_ns < CANCEL_RETRY_NS or order is None or not order.is_open:
                continue  # not acknowledged, or of unknown outcome: a later look asks
            self._asked_ns[client_order_id] = now_ns
            if not order.is_pending_cancel:
                self._strategy.cancel_order(client_order_id)
