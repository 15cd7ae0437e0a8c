"""Ends what NautilusTrader's exchange would keep, and keeps what a fill model fails with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from nautilus_trader.model import ClientOrderId, StrategyId
from nautilus_trader.trading import Strategy, StrategyConfig

STRATEGY_ID = "FAIRLEAD-CLOSING"
Anew = Callable[[Any], AbstractContextManager[Any]]


class Closing(Strategy):
    """Stands in a backtest for its fill model, which is no part of the run. It never trades."""

    _latency_ns = 0
    _anew: Anew
    error: Exception | None = None  # the first that answering an order ended in

    def prepare(self, latency_ns: int, anew: Anew) -> None:
        """`latency_ns`: of every command. Strategy's constructor takes its config only."""
        self._latency_ns, self._anew = latency_ns, anew

    def failed(self, error: Exception) -> None:
        if self.error is None:
            self.error = error
            self.shutdown_system(f"no fill could be found: {error!r}")

    def end(self, order_id: ClientOrderId) -> None:
        """Cancel a market order that took all there was: NautilusTrader would keep it for ever.

        Its OrderPendingCancel bears the time of the stamp, before the fill.
        """
        self.clock.set_time_alert_ns(
            f"end-{order_id}", self.clock.timestamp_ns(), lambda _: self._end(order_id)
        )

    def _end(self, order_id: ClientOrderId) -> None:
        order = self.cache.order(order_id)
        if order is not None and not order.is_closed:
            with self._at_once():
                self.cancel_order(order_id)

    def call_at(self, name: str, ts_ns: int, callback: Callable[[], None]) -> None:
        self.clock.set_time_alert_ns(name, ts_ns, lambda _: callback())

    def submit_anew(self, order: Any) -> None:
        """Of an order that was never accepted: the exchange has nothing of it."""
        with self._anew(order), self._at_once():
            self.submit_order(type(order).create(order.init_event))

    @contextmanager
    def _at_once(self) -> Iterator[None]:
        """What is commanded now arrives now."""
        now = self.clock.timestamp_ns()
        self.clock.set_time(now - self._latency_ns)
        try:
            yield
        finally:
            self.clock.set_time(now)


def closing(latency_ns: int, anew: Anew = nullcontext) -> Closing:
    """One for a run, of all venues. An order is sent anew within its `anew`, so that the guard of
    its strategy lets it come into being."""
    made = Closing(StrategyConfig(strategy_id=StrategyId(STRATEGY_ID)))
    made.prepare(latency_ns, anew)
    return made
