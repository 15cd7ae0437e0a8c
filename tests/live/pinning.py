"""A strategy of `Sharing`'s kind whose SELL always is the best ask."""

from __future__ import annotations

from tests.live.sharing import Sharing, SharingConfig


class Pinned(Sharing):
    config_class = SharingConfig

    def _offer(self, size: str) -> None:
        if self.cache.orders_inflight(strategy_id=self.strategy_id):
            return
        bid, ask = (self.cache.top_of_book(self.name)[i].as_decimal() for i in (0, 2))
        tick = self.cache.instrument(self.name).price_increment.as_decimal()
        for order in self.cache.orders_open(strategy_id=self.strategy_id):
            if order.price.as_decimal() > ask and not order.is_pending_cancel:
                self.cancel_order(order.client_order_id)
            return
        self._quote(size, max(ask - tick, bid + tick))
