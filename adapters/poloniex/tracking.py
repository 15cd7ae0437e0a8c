"""What the venue's answers alone don't tell: whose child an order is, and what was replaced.

Bounded memory of this process. Nothing in it is needed for correctness after a restart: smart
orders are read again by id, and replacements carry their origin in the client order id.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from fairlead.adapters.base.venue import OrderPush
from fairlead.adapters.poloniex.parse import adopted
from fairlead.adapters.poloniex.symbols import SMART, WireId
from fairlead.engine.orders.model import OrderState, VenueBalance, VenueFill, VenueOrder

MAX_TRACKED = 10_000  # smart orders, links and replacements each; the oldest go first
MAX_PRICE_AGE_NS = 2_000_000_000
MAX_EARLY = 1_000  # pushes of one child before its parent is known; REST tells of more


class _Bounded[K, V](OrderedDict[K, V]):
    """A mapping that forgets its oldest entries."""

    def put(self, key: K, value: V) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > MAX_TRACKED:
            self.popitem(last=False)


class Tracker:
    """Smart orders and their children, replacements under way, balances, last prices."""

    def __init__(self) -> None:
        self._parents: _Bounded[str, VenueOrder] = _Bounded()  # by their `smart-` id
        self._parent_of: _Bounded[str, str] = _Bounded()  # child id -> `smart-` id
        self._child_of: _Bounded[str, str] = _Bounded()
        self._early: _Bounded[str, list[OrderPush]] = _Bounded()  # by child id
        self._wires: _Bounded[str, tuple[WireId, ...]] = _Bounded()  # by client order id
        self._replacing: dict[str, list[OrderPush]] = {}
        self._replaced: _Bounded[str, None] = _Bounded()
        self._released: list[OrderPush] = []
        self.swallowed = 0  # `canceled` events of orders that were replaced
        self.balances: dict[str, VenueBalance] = {}
        self._last_prices: dict[str, tuple[str, int]] = {}

    # -- client order ids ----------------------------------------------------------------------

    def used(self, wire: WireId) -> None:
        """This wire id went out for its client order id."""
        known = self._wires.get(wire.client_order_id, ())
        if wire not in known:
            self._wires.put(wire.client_order_id, (*known[-3:], wire))

    def wires(self, client_order_id: str) -> tuple[WireId, ...]:
        """Wire ids that went out for this client order id in this process, latest first."""
        return tuple(reversed(self._wires.get(client_order_id, ())))

    # -- smart orders --------------------------------------------------------------------------

    def smart(self, parent: VenueOrder, child_id: str | None) -> None:
        """A smart order as the venue has it, with its child once triggered."""
        self._parents.put(parent.venue_order_id, parent)
        if child_id is not None:
            self.link(child_id, parent.venue_order_id)
        if self._early:
            self._release_early()

    def link(self, child_id: str, parent_id: str) -> None:
        self._parent_of.put(child_id, parent_id)
        self._child_of.put(parent_id, child_id)

    def child_of(self, parent_id: str) -> str | None:
        return self._child_of.get(parent_id)

    def adopt(self, order: VenueOrder, *, is_smart_source: bool) -> VenueOrder:
        """A regular order in the name of its smart parent, where it has one that is known."""
        if order.venue_order_id.startswith(SMART):
            # The parent itself: the venue may push smart orders that wait.
            if order.venue_order_id not in self._parents and not order.state.is_terminal:
                self.smart(order, None)
            return order
        parent_id = self._parent_of.get(order.venue_order_id)
        if parent_id is None and (is_smart_source or order.triggered):
            parent_id = self._parent_by_fields(order)
            if parent_id is not None:
                self.link(order.venue_order_id, parent_id)
        if parent_id is None:
            return order
        parent = self._parents.get(parent_id)
        if parent is None:
            return msgspec.structs.replace(order, venue_order_id=parent_id, triggered=True)
        return adopted(order, parent)

    def withhold_early(self, push: OrderPush) -> bool:
        """True: a child was pushed before the answer to its stop's create named the parent.

        It is told, under the parent's id, as soon as that is known: an order has one venue id for
        life. The parent is read by client order id if the answer is lost, and with it the child.
        """
        order = push.order
        if not order.triggered or order.venue_order_id.startswith(SMART):
            return False
        held = self._early.get(order.venue_order_id, [])
        self._early.put(order.venue_order_id, [*held[1 - MAX_EARLY :], push])
        return True

    def _release_early(self) -> None:
        for child_id, held in list(self._early.items()):
            named = [self.adopt(push.order, is_smart_source=True) for push in held]
            if not named[0].venue_order_id.startswith(SMART):
                continue  # still of an unknown parent
            del self._early[child_id]
            for push, order in zip(held, named, strict=True):
                fill = None if push.fill is None else renamed(push.fill, order)
                self._released.append(OrderPush(order, fill))

    def _parent_by_fields(self, order: VenueOrder) -> str | None:
        """By client order id; without one, the only untriggered parent with the same terms."""
        terms = (order.instrument, order.side, order.quantity, order.price)
        fitting = []
        for parent_id, parent in self._parents.items():
            if order.client_order_id and parent.client_order_id == order.client_order_id:
                return parent_id
            same = (parent.instrument, parent.side, parent.quantity, parent.price) == terms
            if same and parent_id not in self._child_of and not order.client_order_id:
                fitting.append(parent_id)
        return fitting[0] if len(fitting) == 1 else None

    # -- replacements --------------------------------------------------------------------------

    def replacing(self, venue_order_id: str) -> None:
        """A replace was sent: the end of this order is not the end of ours."""
        self._replacing[venue_order_id] = []

    def replace_ended(self, venue_order_id: str, *, replaced: bool) -> None:
        """Swallow the old order's `canceled`, or let out what was withheld."""
        held = self._replacing.pop(venue_order_id, [])
        if replaced:
            self._replaced.put(venue_order_id, None)
            self.swallowed += len(held)
        else:
            self._released += held

    def passes(self, push: OrderPush) -> bool:
        """False: withheld or swallowed, as a replacement lives on under the same client id."""
        order = push.order
        if not order.state.is_terminal or order.state is OrderState.FILLED:
            return True
        if order.venue_order_id in self._replaced:
            self.swallowed += 1
            return push.fill is not None
        held = self._replacing.get(order.venue_order_id)
        if held is None or push.fill is not None:
            return True
        held.append(push)
        return False

    def released(self) -> list[OrderPush]:
        """What a failed replacement, or a parent that is known now, gave back; told once."""
        pushes, self._released = self._released, []
        return pushes

    # -- prices and balances -------------------------------------------------------------------

    def last_price(self, symbol: str, price: str, ts_init: int) -> None:
        """From the trade stream, as text; the newest wins."""
        self._last_prices[symbol] = (price, ts_init)

    def fresh_price(self, symbol: str, now_ns: int) -> str | None:
        """The last trade's price, unless it is older than MAX_PRICE_AGE_NS."""
        price, ts = self._last_prices.get(symbol, ("", 0))
        return price if price and now_ns - ts <= MAX_PRICE_AGE_NS else None

    def merge(self, balances: list[VenueBalance]) -> tuple[VenueBalance, ...]:
        """Absolute values of some currencies into the whole account's."""
        for balance in balances:
            self.balances[balance.currency] = balance
        return tuple(self.balances.values())


def renamed(fill: VenueFill, order: VenueOrder) -> VenueFill:
    """The execution under the ids that its order is known by."""
    return msgspec.structs.replace(
        fill, venue_order_id=order.venue_order_id, client_order_id=order.client_order_id
    )
