"""The guard of one strategy: everything that stands between it and its orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from decimal import Decimal
from functools import partial
from typing import Any

from nautilus_trader.model import InstrumentId, OrderSide, Price

from fairlead.engine.brackets.strategy import StrategyBrackets
from fairlead.engine.guard.callback_names import STOPPING
from fairlead.engine.guard.core import Core, Handler
from fairlead.engine.guard.exits import Exits
from fairlead.engine.guard.feeds import FeedKind, Feeds
from fairlead.engine.guard.handover import HandOver
from fairlead.engine.guard.hooks import Hooks
from fairlead.engine.guard.quotes import Quotes
from fairlead.engine.guard.room import Room
from fairlead.engine.guard.rounding import round_price
from fairlead.engine.guard.run_state import RunState
from fairlead.engine.guard.sending import Sending
from fairlead.engine.guard.simulated import Cuts, Ends
from fairlead.engine.guard.stop import Stop
from fairlead.engine.guard.ticks import Ticks
from fairlead.engine.guard.way import Way
from fairlead.engine.guard.winddown import WindDown
from fairlead.engine.risk.facts import counted_order
from fairlead.engine.risk.gate import RiskGate
from fairlead.engine.risk.view import NautilusView, order_facts


class Guard(Core):
    """Made when the strategy is bound, and alive from its on_start on."""

    def __init__(self, strategy: Hooks, gate: RiskGate, run: RunState, feeds: FeedKind) -> None:
        super().__init__(strategy, gate, run)
        self.stop = Stop(self)
        self.feeds = Feeds(self, self.stop, feeds)
        self.sending = Sending(self, self.stop)
        self.way = Way(self, self.stop, self.sending)
        self.exits = Exits(self, self.stop)
        self.handover = HandOver(self)
        self.brackets = StrategyBrackets(self)
        self.room = Room(self, self.stop, self.sending, self.exits, self.brackets)
        self.ends = Ends(self, self.stop)
        self.cuts = Cuts(self, self.sending, self._bracketed)
        self._ticks = Ticks(self, self.stop, self.feeds, self.exits, self.handover)
        self._cache: Any = None  # held apart: the strategy's own can't be had while it is lent
        self.quotes = Quotes(self, self.stop)
        self.winddown = WindDown(self, self.stop, self._ticks, self.exits, self.handover)

    def start(self) -> None:
        """First part of on_start: the view, and the orders that exist already."""
        self.id = str(self.strategy.strategy_id)
        self.view = NautilusView(self.strategy, self.gate)
        self.run.cores[self.id] = self
        self._ticks.start()
        self.winddown.started()
        if self.run.keepers:  # who journal what is told at once
            self._cache = self.strategy.cache
            for name in STOPPING - self.strategy._guard_user_callbacks:
                self.stop.put_silent(name)
        for order in self.working():
            self.gate.adopt(counted_order(order_facts(order), order.filled_qty.as_decimal()))
        self.brackets.start()
        self.room.start()
        for own in self.handover.own_orders():
            self.feeds.need_held(own.instrument_id, own.kind)
        self.handover.take_back()
        self.handover.hand_over()

    def veto(self, event: Any) -> None:
        """An order that no gate approved and no desk of ours would deny: it never was.

        NautilusTrader tells of an order that it makes before it sends it, and sends none that its
        cache does not have.
        """
        if self._cache is not None and self.run.keeper_of(event.instrument_id) is not None:
            self._cache.purge_order(event.client_order_id)

    def veto_change(self, event: Any) -> None:
        """A modify that no gate approved and no desk of ours would refuse.

        NautilusTrader tells of it before it sends it, and sends none of an order that is being
        cancelled: so it is, by another strategy, since this one is lent just now.
        """
        keeper = self.run.keeper_of(event.instrument_id)
        if keeper is not None:
            keeper.stop_change(event.client_order_id)

    def submit(
        self,
        order: Any,
        position_id: Any = None,
        client_id: Any = None,
        params: dict[str, Any] | None = None,
    ) -> bool:
        """Send one order, an exit when its way is free; False where the gate refused it."""
        send = partial(self._send, (position_id, client_id, params))
        room = self.room.wanted([order])
        if not self.sending.approve(order, self._as_if([order], room)):
            return False
        self.feeds.need_held(order.instrument_id, order.order_type.name)
        if room is not None:
            self.room.make([order], send)
        elif not self.way.holds(order, send):
            send([order])
        return True

    def _as_if(self, orders: Sequence[Any], room: Sequence[str] | None) -> Callable[[], Any]:
        """How the gate is asked about orders: as if their room were made already."""
        if room is None:
            return nullcontext
        return partial(self.gate.ledger.cleared, self.id, str(orders[0].instrument_id), room)

    def _send(self, given: tuple[Any, ...], orders: Sequence[Any]) -> None:
        (sent,) = self.ends.watched(orders)
        self.sending.call(orders, self.native.submit_order, sent, *given)

    def submit_list(
        self,
        orders: Sequence[Any],
        position_id: Any = None,
        client_id: Any = None,
        params: dict[str, Any] | None = None,
    ) -> bool:
        """Send orders together; False, and none is sent, where the gate refused one."""
        send = partial(self._send_list, (position_id, client_id, params))
        room = self.room.wanted(orders) if orders else None
        if not self.sending.approve_all(orders, self._as_if(orders, room)):
            return False
        for order in orders:
            self.feeds.need_held(order.instrument_id, order.order_type.name)
        if room is not None:
            self.room.make(orders, send)
            return True
        for order in orders:
            self.way.clear(order)
        send(orders)
        return True

    def _send_list(self, given: tuple[Any, ...], orders: Sequence[Any]) -> None:
        submit = self.native.submit_order_list
        self.sending.call(orders, submit, self.ends.watched(orders), *given)

    def drop(self, client_order_id: Any) -> bool:
        """Whether it was an order that waits, not sent yet: its strategy has cancelled it."""
        return self.way.drop(client_order_id) or self.room.drop(client_order_id)

    def needs(self, client_order_id: str) -> bool:
        """Whether what is decided next may hang on what NautilusTrader has of an order that is
        over."""
        if self.handover.waits_for(client_order_id):
            return True
        return any(
            client_order_id == one.entry or client_order_id in one.exits
            for one in self.brackets.open()
        )

    # What its brackets need

    @property
    def is_silent(self) -> bool:
        return self.stop.is_silent

    def safe(self, name: str, handler: Callable[[Any], object]) -> Handler:
        return self.stop.safe(name, handler)

    def need_trigger(self, instrument_id: InstrumentId, kind: str) -> Any:
        return self.feeds.need_trigger(instrument_id, kind)

    def is_leaving(self, instrument_id: InstrumentId) -> bool:
        return instrument_id in self.exits.leaving

    def round_price(self, instrument_id: InstrumentId, side: OrderSide, price: Decimal) -> Price:
        return round_price(self.strategy.cache, instrument_id, side, price)

    def _bracketed(self) -> Iterator[str]:
        return (name for bracket in self.brackets.open() for name in bracket.exits)
