"""The exchange of a backtest as it would decide: this project's own, of one instrument.

NautilusTrader's simulated exchange accepts, keeps and ends the orders, and books their fills. This
one follows it, knows the market that each of them meets, and decides on the fills.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from nautilus_trader.model import OrderBook, OrderBookDeltas, TradeTick

from fairlead.engine.matching.kernel_book import KernelMarket
from fairlead.engine.matching.native import print_of
from fairlead.engine.matching.orders import ZERO, NewOrder, Order, State, Watched
from fairlead.engine.matching.taking import Offer, Print
from fairlead.engine.matching.working import NOT_AT_ONCE, NOT_WHOLE, Working
from fairlead.engine.orders.model import TierPrice

HEARD_MAX = 512  # events that are looked at together
Decided = tuple[str, int, Decimal, Decimal]  # order, when, price, quantity
Reducible = Callable[[NewOrder], Decimal]


class Shadow:
    """Orders that NautilusTrader's exchange has accepted; what they are due is read by `take`.

    They end by `drop`, and once they are due all that they asked for. `reducible`: base units by
    which an order may reduce its strategy's position.
    """

    def __init__(
        self,
        instrument: Any,
        reducible: Reducible,
        *,
        consumes: bool,
        queues: bool,
        tier_price: TierPrice | None = None,
        decided: list[Decided] | None = None,
    ) -> None:
        """`decided` is to have each fill, when it was: the other exchange may book it later, or not
        at all."""
        self.market = KernelMarket(instrument, tier_price)
        self._working = Working(self.market, self, queues=queues, consumes=consumes, judges=False)
        self._reducible = reducible
        self._due: dict[str, tuple[NewOrder, list[Offer]]] = {}
        self.in_vain: set[str] = set()  # released and not filled at once: to be ended
        self.commanded_ns = 0  # when what is carried out now came
        self._decided = decided

    # -- what the other exchange did -----------------------------------------------------------

    def accept(self, new: NewOrder, ts_ns: int) -> None:
        """It came at `ts_ns`."""
        state = State.TAKING if new.trigger is None else State.WAITING
        order = Order(
            new=new,
            venue_id="",
            quantity=new.quantity,
            price=new.price,
            trigger=new.trigger,
            state=state,
        )
        self._working.hold_passed(order)
        self._working.add(order)
        if state is State.TAKING:
            self._working.enter(order)
        elif order.new.release is not None:
            self.market.now_ns = max(self.market.now_ns, ts_ns)  # it is armed again from here
            self._working.look(order)
        elif self._is_fired(order):
            self._working.fire(order)

    def _is_fired(self, order: Order) -> bool:
        """Whether a book of the moment in which it came, that was told before, fires it: when it
        was accepted its trigger had not been passed."""
        trigger = order.trigger
        if trigger is None or trigger.watched is Watched.LAST:
            return False
        return trigger.is_met(self.market.touch(order.side))

    def change(
        self, order_id: str, quantity: Decimal, price: Decimal | None, trigger: Decimal | None
    ) -> None:
        """It was changed to these; None: it has none."""
        order = self._order(order_id)
        if order is None or quantity <= order.filled:
            return
        before = order.quantity, order.price
        order.quantity = quantity
        order.price = order.price if price is None or order.price is None else price
        if order.new.release is not None and order.new.release.waits_at_limit:
            trigger = price
        if order.state is State.WAITING and order.trigger is not None and trigger is not None:
            order.trigger = msgspec.structs.replace(order.trigger, price=trigger)
        self._working.changed()
        is_working = order.state in (State.RESTING, State.TAKING)
        if is_working and (order.price != before[1] or order.quantity > before[0]):
            self._working.last(order)
            self._working.enter(order)

    def fire(self, order_id: str) -> None:
        """The other one's trigger went off."""
        order = self._order(order_id)
        if order is not None and order.state is State.WAITING:
            self._working.fire(order)

    def drop(self, order_id: str) -> None:
        self._due.pop(order_id, None)
        self.in_vain.discard(order_id)
        order = self._order(order_id)
        if order is not None:
            self._working.remove(order)

    # -- the market ----------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether there is no order that hears of the market."""
        return not self._working.orders

    def pass_over(self, events: Iterable[Any], lasts: Collection[int]) -> None:
        """While it is idle: as `KernelMarket.pass_over`."""
        self.market.pass_over(events, lasts)

    def jump(self, book: OrderBook, events: Sequence[Any], lasts: Collection[int]) -> None:
        """While it is idle: as `KernelMarket.jump`."""
        self.market.jump(book, events, lasts)

    def hear(self, events: Sequence[Any], begin: int, end: int, lasts: Collection[int]) -> int:
        """Events from `begin` on, up to the first that an order hears of, or to some before `end`;
        the number of the next. `lasts`: as in `KernelMarket.pass_over`."""
        reach, market = self._working.reach, self.market
        if reach is None:
            self.tell(events[begin], lasts)
            return begin + 1
        some = events[begin : min(end, begin + HEARD_MAX)]
        count = market.pass_over(some, lasts, reach)
        if count == len(some):
            return begin + count
        event = some[count]
        if type(event) is TradeTick:
            self.tell(event, lasts)
        else:  # the market has been told
            self._working.book_told()
            if id(event) in lasts:
                market.lost()
        return begin + count + 1

    def tell(self, event: Any, lasts: Collection[int]) -> None:
        """One event, of which every order hears."""
        self.market.now_ns = event.ts_init
        if type(event) is TradeTick:
            self.traded(print_of(event))
            return
        if type(event) is OrderBookDeltas:
            self.told(event)
        else:
            self.told_whole(event)
        if id(event) in lasts:
            self.market.lost()

    def told(self, deltas: Any) -> None:
        """A batch of the book."""
        self.market.told(deltas)
        self._working.book_told()

    def told_whole(self, depth: Any) -> None:
        self.market.told_whole(depth)
        self._working.book_told()

    def traded(self, seen: Print) -> None:
        self._working.traded(seen)

    # -- what comes of it ----------------------------------------------------------------------

    def fill(self, order: Order, price: Decimal, quantity: Decimal, *, is_maker: bool) -> Decimal:
        part = min(quantity, self._left_of(order.new)) if order.new.reduce_only else quantity
        if part > 0:
            order.filled += part
            self._due.setdefault(order.id, (order.new, []))[1].append((price, part))
            if self._decided is not None:
                now = max(self.market.now_ns, self.commanded_ns)
                self._decided.append((order.id, now, price, part))
        if order.remaining <= 0 or part < quantity:
            self.end(order, "")
        return max(part, ZERO)

    def _left_of(self, new: NewOrder) -> Decimal:
        """What it may reduce after all that is due: the position knows what is booked only."""
        left = self._reducible(new)
        for other, fills in self._due.values():
            if other.strategy == new.strategy:
                size = sum((part for _, part in fills), ZERO)
                left += -size if other.side is new.side else size
        return left

    def end(self, order: Order, reason: str) -> None:
        if order.new.release is not None and reason in (NOT_WHOLE, NOT_AT_ONCE):
            self.in_vain.add(order.id)
        self._working.remove(order)

    def triggered(self, order: Order) -> None: ...

    def take(self, order_id: str) -> list[Offer]:
        """What the order is due since the last time, in the order of its fills."""
        return self._due.pop(order_id, (None, []))[1]

    def has(self, order_id: str) -> bool:
        """Whether it may come to more than it is due."""
        return self._order(order_id) is not None

    def has_due(self, order_id: str) -> bool:
        return order_id in self._due

    def is_waiting(self, order_id: str) -> bool:
        order = self._order(order_id)
        return order is not None and order.state is State.WAITING

    def is_touched(self, order_id: str) -> bool:
        """Whether the touch has passed its trigger, whatever fires it here."""
        order = self._order(order_id)
        trigger = None if order is None else order.trigger
        if order is None or trigger is None:
            return False
        return trigger.is_met(self.market.touch(order.side))

    def fires_itself(self, order_id: str) -> bool:
        """Whether it fires here by what it watches, whatever fires it there."""
        order = self._order(order_id)
        trigger = None if order is None else order.trigger
        if order is None or trigger is None:
            return False
        return trigger.watched is not Watched.LAST or order.new.release is not None

    def _order(self, order_id: str) -> Order | None:
        return self._working.orders.get(order_id)
