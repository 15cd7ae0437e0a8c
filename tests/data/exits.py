"""Strategies whose exits a test looks at: each does its steps, [[ms, verb, ...], ...] as JSON."""

from __future__ import annotations

import json
from typing import Any

from nautilus_trader.model import BookType, InstrumentId, OrderSide, Price, Quantity, TimeInForce
from nautilus_trader.trading import Strategy, StrategyConfig

from fairlead.engine.guard import GuardedStrategy

MS_NS = 1_000_000


class StepsConfig(StrategyConfig):
    """`begin_ns` is what the steps' milliseconds count from."""

    def __init__(
        self, *, instrument_id: InstrumentId, steps: str, begin_ns: int, **native: Any
    ) -> None:
        self.instrument_id = instrument_id
        self.steps = steps
        self.begin_ns = begin_ns


class Steps:
    """The doing half: orders of NautilusTrader's own factory."""

    def __init__(self, config: StepsConfig) -> None:
        super().__init__(config)
        self.iid, self.settings = config.instrument_id, config
        self.ids: dict[str, Any] = {}
        self.refused: list[str] = []
        self.held: list[tuple[int, float]] = []

    def on_start(self: Any) -> None:
        self.subscribe_book_deltas(self.iid, BookType.L2_MBP, managed=True)
        self.subscribe_trades(self.iid)
        for number, (ms, verb, *given) in enumerate(json.loads(self.settings.steps)):
            at_ns = self.settings.begin_ns + round(ms * MS_NS)
            self.clock.set_time_alert_ns(f"{number}", at_ns, self.does(verb, given))

    def does(self, verb: str, given: list[Any]) -> Any:
        return lambda event: getattr(self, f"do_{verb}")(*given)

    def on_gate_denied(self, order: Any, denial: Any) -> None:
        self.refused.append(denial.code)

    def on_position_event(self: Any, event: Any) -> None:
        """The signed position, at each change."""
        self.held.append((event.ts_event, float(self.portfolio.net_position(self.iid))))

    def kept(self, name: str, order: Any) -> Any:
        self.ids[name] = order.client_order_id
        return order

    def do_market(self: Any, name: str, side: str, size: str, reduce: bool = False) -> None:
        order = self.order_factory.market(
            self.iid, getattr(OrderSide, side), Quantity.from_str(size), reduce_only=reduce
        )
        self.submit_order(self.kept(name, order))

    def do_limit(
        self: Any,
        name: str,
        side: str,
        size: str,
        price: str,
        reduce: bool = False,
        tif: str = "GTC",
    ) -> None:
        order = self.order_factory.limit(
            self.iid,
            getattr(OrderSide, side),
            Quantity.from_str(size),
            Price.from_str(price),
            reduce_only=reduce,
            time_in_force=getattr(TimeInForce, tif),
        )
        self.submit_order(self.kept(name, order))

    def do_until(self: Any, name: str, kind: str, side: str, until_ms: float, *prices: str) -> None:
        """An order of 1 with an end."""
        build = getattr(self.order_factory, kind)
        where = (self.iid, getattr(OrderSide, side), Quantity.from_str("1.000"))
        order = build(
            *where,
            *(Price.from_str(price) for price in prices),
            time_in_force=TimeInForce.GTD,
            expire_time=self.settings.begin_ns + round(until_ms * MS_NS),
        )
        self.submit_order(self.kept(name, order))

    def do_list(self: Any, name: str, side: str, size: str, stop: str, target: str) -> None:
        """An entry at the market with its children, of NautilusTrader's own making."""
        orders = self.order_factory.bracket(
            self.iid,
            getattr(OrderSide, side),
            Quantity.from_str(size),
            sl_trigger_price=Price.from_str(stop),
            tp_price=Price.from_str(target),
        )
        self.kept(name, next(iter(orders)))
        self.submit_order_list(orders)

    def do_resize(self: Any, name: str, size: str) -> None:
        self.modify_order(self.ids[name], Quantity.from_str(size))

    def do_close(self: Any) -> None:
        self.close_all_positions(self.iid)

    def do_leave(self: Any) -> None:
        self.market_exit()


class PlainSteps(Steps, Strategy):
    """As it would be written elsewhere: of NautilusTrader alone."""


class BracketSteps(Steps, GuardedStrategy):
    def do_bracket(
        self: Any, name: str, side: str, size: str, stop: str, target: str, entry: str | None = None
    ) -> None:
        order = self.bracket(
            self.iid,
            getattr(OrderSide, side),
            Quantity.from_str(size),
            stop=Price.from_str(stop),
            target=Price.from_str(target),
            entry=None if entry is None else Price.from_str(entry),
        )
        self.kept(name, order)

    def do_stop(self: Any, name: str, side: str, size: str, at: str, limit: str) -> None:
        where = (self.iid, getattr(OrderSide, side), Quantity.from_str(size))
        order = self.stop_limit(*where, Price.from_str(at), Price.from_str(limit), reduce_only=True)
        if order is not None:
            self.kept(name, order)
