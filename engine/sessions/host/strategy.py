"""A guarded strategy whose NautilusTrader is the session's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from nautilus_trader.common import Clock, OrderFactory
from nautilus_trader.model import Bar, BarType, ClientOrderId, InstrumentId, TraderId

from fairlead.engine.guard.strategy import guard
from fairlead.engine.sessions.host.base import TRADER, Host
from fairlead.engine.sessions.host.clock import HostClock

if TYPE_CHECKING:
    from random import Random

    from fairlead.engine.sessions.host.cache import HostCache


class _Native:
    """The calls of NautilusTrader's `Strategy` that the guard stands before."""

    clock = property(lambda self: self._host_borrowed("clock", self._host_clock))

    @staticmethod
    def submit_order(
        strategy: Any,
        order: Any,
        position_id: Any = None,
        client_id: Any = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        strategy._host_node.submit(strategy, [order])

    @staticmethod
    def submit_order_list(
        strategy: Any,
        orders: Sequence[Any],
        position_id: Any = None,
        client_id: Any = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        strategy._host_node.submit(strategy, orders)

    @staticmethod
    def cancel_order(strategy: Any, client_order_id: ClientOrderId) -> None:
        strategy._host_node.cancel(strategy, [client_order_id])

    @staticmethod
    def cancel_all_orders(strategy: Any, instrument_id: InstrumentId) -> None:
        mine = {"instrument_id": instrument_id, "strategy_id": strategy.strategy_id}
        cache = strategy._host_cache
        found = {
            order.client_order_id: None
            for order in (*cache.orders_open(**mine), *cache.orders_inflight(**mine))
        }
        strategy._host_node.cancel(strategy, list(found))

    @staticmethod
    def subscribe_book_deltas(strategy: Any, instrument_id: InstrumentId, *args: Any, **kw: Any):  # type: ignore[no-untyped-def]
        strategy._host_subscribed.add("book")

    @staticmethod
    def subscribe_trades(strategy: Any, instrument_id: InstrumentId, *args: Any, **kw: Any) -> None:
        strategy._host_subscribed.add("trades")

    @staticmethod
    def is_running(strategy: Any) -> bool:
        return bool(strategy._host_runs)


class _Log:
    """A strategy's log is part of the session's story."""

    def __init__(self, node: Host, name: str) -> None:
        self._node = node
        self._name = name

    def _line(self, text: str) -> None:
        self._node.process.world.trace.line("strategy", f"{self._name}: {text}")

    debug = info = warning = error = _line


class _Factory:
    """NautilusTrader's order factory, with ids that the seed determines."""

    def __init__(self, strategy: Any, rng: Random) -> None:
        self._clock = Clock.new_test()
        self._strategy = strategy
        self._rng = rng
        self._inner = OrderFactory(TRADER, strategy.strategy_id, self._clock)

    def generate_client_order_id(self) -> ClientOrderId:
        return ClientOrderId(UUID(int=self._rng.getrandbits(128), version=4).hex)

    def __getattr__(self, kind: str) -> Any:
        build = getattr(self._inner, kind)

        def built(*args: Any, client_order_id: ClientOrderId | None = None, **named: Any) -> Any:
            self._clock.set_time(self._strategy._host_clock.timestamp_ns())
            known = client_order_id or self.generate_client_order_id()
            return build(*args, client_order_id=known, **named)

        return built


class HostMixin:
    """What a strategy inherits from NautilusTrader, where it reads or changes something."""

    _guard_native: ClassVar[Any] = _Native
    _host_node: Host
    _host_clock: HostClock
    _host_cache: HostCache
    _host_is_lent = False  # inside a native call: NautilusTrader lends the strategy to nobody
    _host_runs = False

    def host(self: Any, node: Host, rng: Random) -> None:
        """Put the strategy into a session. Call once, before `on_start`."""
        self._host_node = node
        self._host_cache = node.cache
        self._host_clock = HostClock(
            node.process.now_ns, lambda: node.process.is_dead or not self._host_is_open
        )
        self._host_is_open = True
        self._host_factory = _Factory(self, rng)
        self._host_log = _Log(node, str(self.strategy_id))
        self._host_subscribed: set[str] = set()

    def _host_borrowed(self, name: str, value: Any) -> Any:
        if self._host_is_lent:
            raise RuntimeError(f"Already mutably borrowed: {name}")
        return value

    @property
    def cache(self) -> Any:
        return self._host_borrowed("cache", self._host_cache)

    @property
    def log(self: Any) -> Any:
        return self._host_borrowed("log", self._host_log)

    @property
    def order_factory(self: Any) -> Any:
        return self._host_borrowed("order_factory", self._host_factory)

    @property
    def trader_id(self) -> TraderId:
        return TRADER

    def is_running(self) -> bool:
        return self._host_runs

    def subscribe_bars(self: Any, bar_type: BarType, *args: Any, **named: Any) -> None:
        self._host_subscribed.add("trades")
        self._host_node.subscribe_bars(bar_type, self._host_bar)

    def _host_bar(self: Any, bar: Bar) -> None:
        if self._host_runs:
            self.on_bar(bar)

    def cancel_order(self: Any, client_order_id: ClientOrderId, *args: Any) -> None:
        _Native.cancel_order(self, client_order_id)

    def cancel_orders(self: Any, client_order_ids: Sequence[ClientOrderId], *args: Any) -> None:
        self._host_node.cancel(self, client_order_ids)

    def cancel_all_orders(self: Any, instrument_id: InstrumentId, *args: Any) -> None:
        _Native.cancel_all_orders(self, instrument_id)


def hosted(cls: type) -> type:
    """The guarded class of a strategy, for a session."""
    guarded: type = guard(cls)
    namespace = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "_guard_final": True,
    }
    return type(cls.__name__, (HostMixin, guarded), namespace)
