"""A strategy that sends seeded orders of every kind: what shipped strategies never think of."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from nautilus_trader.model import (
    BookType,
    InstrumentId,
    OrderSide,
    Price,
    Quantity,
    TimeInForce,
    TriggerType,
)
from nautilus_trader.trading import StrategyConfig

from fairlead.engine.guard import GuardedStrategy
from fairlead.engine.risk.view import order_facts

SIZES = (1, 2, 5, 10, 20, 60)  # units
SIDES = (OrderSide.BUY, OrderSide.SELL)


class RandomOrdersConfig(StrategyConfig):
    """`instrument_ids` is one text, separated by spaces.

    `share` is orders an event, roughly; `unit` the size of which orders are 1 to 60, base units.
    """

    def __init__(
        self,
        *,
        instrument_ids: str,
        seed: int,
        share: Decimal = Decimal("0.15"),
        unit: Decimal = Decimal("0.1"),
        **native: Any,
    ) -> None:
        self.instrument_ids = [InstrumentId.from_str(one) for one in instrument_ids.split()]
        self.seed = seed
        self.share = share
        self.unit = unit


class RandomOrders(GuardedStrategy):
    """Draws what to do at each event from its seed and from nothing else."""

    config_class = RandomOrdersConfig

    def __init__(self, config: RandomOrdersConfig) -> None:
        super().__init__(config)
        self._rng = random.Random(f"orders {config.seed}")
        self._ids = config.instrument_ids
        self._share = float(config.share)
        self._unit = config.unit
        self._verbs = (
            *((self._market, 2), (self._limit, 4), (self._stop, 4), (self._touched, 3)),
            *((self._bracket, 2), (self._modify, 3), (self._cancel, 2), (self._leave, 2)),
        )

    def on_start(self) -> None:
        for name in self._ids:
            self.subscribe_book_deltas(name, BookType.L2_MBP, managed=True)
            self.subscribe_trades(name)

    def on_book_deltas(self, deltas: Any) -> None:
        self._act(deltas.instrument_id)

    def on_trade(self, trade: Any) -> None:
        self._act(trade.instrument_id)

    def _act(self, name: InstrumentId) -> None:
        if self._rng.random() > self._share:
            return
        top = self.cache.top_of_book(name)
        if top is None:
            return
        self._tick = self.cache.instrument(name).price_increment.as_decimal()
        verbs, weights = zip(*self._verbs, strict=True)
        verb = self._rng.choices(verbs, weights)[0]
        verb(name, top[0].as_decimal(), top[2].as_decimal())

    # -- what it does ------------------------------------------------------------------------

    def _quantity(self, least: int = 0) -> Quantity:
        return Quantity.from_str(str(self._rng.choice(SIZES[least:]) * self._unit))

    def _near(self, price: Decimal, low: int, high: int) -> Price:
        """`low` to `high` ticks above the price."""
        return Price.from_str(str(price + self._tick * self._rng.randint(low, high)))

    def _market(self, name: InstrumentId, bid: Decimal, ask: Decimal) -> None:
        side = self._rng.choice(SIDES)
        self.submit_order(self.order_factory.market(name, side, self._quantity()))

    def _limit(self, name: InstrumentId, bid: Decimal, ask: Decimal) -> None:
        side = self._rng.choice(SIDES)
        price = self._near(bid, -3, 3) if side == OrderSide.BUY else self._near(ask, -3, 3)
        tif = self._rng.choice((*[TimeInForce.GTC] * 4, TimeInForce.IOC, TimeInForce.FOK))
        post = tif == TimeInForce.GTC and self._rng.random() < 0.3
        order = self.order_factory.limit(
            name, side, self._quantity(), price, time_in_force=tif, post_only=post
        )
        self.submit_order(order)

    def _trigger_type(self) -> TriggerType:
        return self._rng.choice((TriggerType.LAST_PRICE, TriggerType.BID_ASK))

    def _stop(self, name: InstrumentId, bid: Decimal, ask: Decimal) -> None:
        side = self._rng.choice(SIDES)
        if side == OrderSide.BUY:
            trigger = self._near(ask, 1, 4)
            limit = self._near(trigger.as_decimal(), -1, 30)
        else:
            trigger = self._near(bid, -4, -1)
            limit = self._near(trigger.as_decimal(), -30, 1)
        order = self.order_factory.stop_limit(
            name, side, self._quantity(), limit, trigger, trigger_type=self._trigger_type()
        )
        self.submit_order(order)

    def _touched(self, name: InstrumentId, bid: Decimal, ask: Decimal) -> None:
        side = self._rng.choice(SIDES)
        if side == OrderSide.BUY:
            trigger = self._near(bid, -4, -1)
            limit = self._near(trigger.as_decimal(), 0, 30)
        else:
            trigger = self._near(ask, 1, 4)
            limit = self._near(trigger.as_decimal(), -30, 0)
        order = self.order_factory.limit_if_touched(
            name, side, self._quantity(), limit, trigger, trigger_type=self._trigger_type()
        )
        self.submit_order(order)

    def _bracket(self, name: InstrumentId, bid: Decimal, ask: Decimal) -> None:
        rng = self._rng
        if rng.random() < 0.7:
            side, entry = OrderSide.BUY, self._near(bid, -1, 1)
            stop, target = self._near(bid, -8, -3), self._near(ask, 3, 8)
            limit = self._near(stop.as_decimal(), -30, 0)
        else:
            side, entry = OrderSide.SELL, self._near(ask, -1, 1)
            stop, target = self._near(ask, 3, 8), self._near(bid, -8, -3)
            limit = self._near(stop.as_decimal(), 0, 30)
        at = entry if rng.random() < 0.5 else None
        quantity = self._quantity(2)  # one unit less a fee is no exit
        self.bracket(name, side, quantity, stop=stop, target=target, entry=at, stop_limit=limit)

    def _modify(self, name: InstrumentId, bid: Decimal, ask: Decimal) -> None:
        order = self._own(name)
        if order is None:
            return
        change: dict[str, Any] = {}
        if self._rng.random() < 0.4:
            change["quantity"] = self._quantity()
        if self._rng.random() < 0.7:
            change["price"] = self._near(order.price.as_decimal(), -2, 2)
        if change.get("price") == order.price:
            del change["price"]
        if change.get("quantity") == order.quantity:
            del change["quantity"]
        if change:
            self.modify_order(order.client_order_id, **change)

    def _cancel(self, name: InstrumentId, bid: Decimal, ask: Decimal) -> None:
        order = self._own(name)
        if order is not None:
            self.cancel_order(order.client_order_id)

    def _own(self, name: InstrumentId) -> Any:
        """An open order with a price; a bracket's exits are the bracket's."""
        found = self.cache.orders_open(instrument_id=name, strategy_id=self.strategy_id)
        plain = [
            o
            for o in found
            if not order_facts(o).reduce_only and not o.is_pending_cancel and hasattr(o, "price")
        ]
        plain.sort(key=lambda order: (order.ts_init, str(order.client_order_id)))
        return self._rng.choice(plain) if plain else None

    def _leave(self, name: InstrumentId, bid: Decimal, ask: Decimal) -> None:
        """A part of the position out, by a market order or a resting one, reduce-only."""
        held = self.cache.positions_open(instrument_id=name, strategy_id=self.strategy_id)
        if not held:
            return
        most = held[0].quantity.as_decimal()
        quantity = min(self._rng.choice(SIZES) * self._unit, most)
        side = OrderSide.SELL if held[0].is_long else OrderSide.BUY
        plain = (name, side, Quantity.from_str(str(quantity)))
        if self._rng.random() < 0.5:
            order = self.order_factory.market(*plain, reduce_only=True)
        else:
            price = self._near(bid, -1, 2) if side == OrderSide.BUY else self._near(ask, -2, 1)
            order = self.order_factory.limit(*plain, price, reduce_only=True)
        self.submit_order(order)
