"""A simulated exchange in memory, for paper: it sees the venue's market, and fills against it.

Pure: no I/O, no clock of its own. Every call takes its time, which does not go back (an earlier one
counts as the latest seen) unless the machine's clock was set back. Orders never change the market
that they meet: what the run takes is remembered until the data tells of it again.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from fairlead.engine.matching import linked
from fairlead.engine.matching.accounts import Account
from fairlead.engine.matching.market import Level, LevelMarket, Market
from fairlead.engine.matching.orders import (
    Events,
    Fees,
    Fill,
    NewOrder,
    Order,
    State,
    Trigger,
)
from fairlead.engine.matching.taking import Print, walk
from fairlead.engine.matching.working import POST_ONLY, Working, passed_by
from fairlead.engine.orders.model import Side, TierPrice

SET_BACK_NS = 1_000_000_000  # what comes out of order is far nearer
NO_MARKET = "NO-MARKET"
NO_FUNDS = "INSUFFICIENT-FUNDS"
PASSED = "TRIGGER-PASSED"
NOT_OPEN = "NOT-OPEN"


class Exchange:
    """Orders by id, one account. What becomes of orders is told to `events`."""

    def __init__(
        self,
        account: Account,
        fees: Fees,
        events: Events,
        *,
        name: str = "SIM",
        queue_position: bool = True,
        liquidity_consumption: bool = True,
        tier_price: TierPrice | None = None,
    ) -> None:
        self.account = account
        self.markets = {name: LevelMarket(tier_price) for name in account.listings}
        self.now_ns = 0
        self._fees = fees
        self._events = events
        self._name = name
        self.queue_position, self.liquidity_consumption = queue_position, liquidity_consumption
        self._working = {
            name: Working(
                market, self, queues=queue_position, consumes=liquidity_consumption, judges=True
            )
            for name, market in self.markets.items()
        }
        self._orders: dict[str, Order] = {}  # that are not over
        self._children: list[Order] = []  # of orders that were just filled
        self._expiries: list[tuple[int, str]] = []
        self._created_count = 0
        self._trades = 0

    # -- commands ------------------------------------------------------------------------------

    def submit(self, news: Sequence[NewOrder], now_ns: int) -> None:
        """Take orders that came together."""
        self.advance(now_ns)
        arrived = []
        for new in news:
            order = self._created(new)
            self._orders[new.id] = order
            if linked.is_held(new, self._orders):
                order.state = State.HELD
            else:
                arrived.append(order)
        for order in arrived:
            self._arrive(order)
        self._finish()

    def cancel(self, order_id: str, now_ns: int) -> None:
        self.advance(now_ns)
        order = self._orders.get(order_id)
        if order is None:
            reason = f"{NOT_OPEN}: the order is not open"
            self._events.cancel_rejected(order_id, reason, self.now_ns)
            return
        self.end(order, "")
        self._finish()

    def modify(
        self,
        order_id: str,
        now_ns: int,
        *,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        trigger_price: Decimal | None = None,
    ) -> None:
        """Change what is not None. A new price, or more quantity, goes to the end of the queue."""
        self.advance(now_ns)
        order = self._orders.get(order_id)
        if order is None:
            reason: str | None = f"{NOT_OPEN}: the order is not open"
        else:
            reason = self._changed(order, quantity, price, trigger_price)
        if reason is not None:
            self._events.modify_rejected(order_id, reason, self.now_ns)
        self._finish()

    def advance(self, now_ns: int) -> None:
        """What is due by time alone: orders expire."""
        while self._expiries and self._expiries[0][0] <= now_ns:
            due_ns, order_id = heapq.heappop(self._expiries)
            order = self._orders.get(order_id)
            if order is not None:
                self._clock(due_ns)
                self._over(order)
                self._events.expired(order, self.now_ns)
                self._unlink(order)
                self._finish()
        self._clock(now_ns)

    def _clock(self, now_ns: int) -> None:
        if now_ns > self.now_ns or self.now_ns - now_ns > SET_BACK_NS:
            self.now_ns = now_ns

    def next_expiry_ns(self) -> int | None:
        while self._expiries and self._expiries[0][1] not in self._orders:
            heapq.heappop(self._expiries)
        return self._expiries[0][0] if self._expiries else None

    def open_orders(self) -> list[Order]:
        """What is not over, oldest first; live objects."""
        return list(self._orders.values())

    def order(self, order_id: str) -> Order | None:
        return self._orders.get(order_id)

    # -- the market ----------------------------------------------------------------------------

    def book(
        self, instrument: str, levels: Iterable[Level], now_ns: int, *, is_whole: bool = False
    ) -> None:
        """One batch of the book: sizes that stand now. `is_whole`: nothing else does."""
        self.advance(now_ns)
        market = self.markets[instrument]
        market.now_ns = self.now_ns
        market.update(levels, is_whole=is_whole)
        self._working[instrument].book_told()
        self._finish()

    def trade(self, instrument: str, seen: Print, now_ns: int) -> None:
        """A trade of the market."""
        self.advance(now_ns)
        self.markets[instrument].now_ns = self.now_ns
        self._working[instrument].traded(seen)
        self._finish()

    # -- an order's course ---------------------------------------------------------------------

    def _created(self, new: NewOrder) -> Order:
        self._created_count += 1
        return Order(
            new=new,
            venue_id=f"{self._name}-{self._created_count}",
            quantity=new.quantity,
            price=new.price,
            trigger=new.trigger,
            state=State.WAITING if new.trigger is not None else State.TAKING,
        )

    def _arrive(self, order: Order) -> None:
        """Refuse the order, or accept it and let it trade."""
        working = self._working[order.new.instrument]
        working.hold_passed(order)
        new = order.new
        order.state = State.WAITING if new.trigger is not None else State.TAKING
        reason = self._refusal(order, working)
        due_post_only = False
        if reason is None and new.trigger is None and new.post_only and working.would_take(order):
            reason, due_post_only = f"POST-ONLY: {POST_ONLY}", True
        if reason is None and not self.account.reserve(order):
            reason = f"{NO_FUNDS}: the balance that is free does not cover the order"
        if reason is not None:
            self._orders.pop(order.id, None)
            order.state = State.OVER
            self._events.rejected(order, reason, self.now_ns, due_post_only=due_post_only)
            self._unlink(order)
            return
        working.add(order)
        if new.time_in_force == "GTD":
            heapq.heappush(self._expiries, (new.expire_ns, order.id))
        self._events.accepted(order, self.now_ns)
        if order.state is State.TAKING:
            working.enter(order)
        elif new.release is not None:
            working.look(order)

    def _refusal(self, order: Order, working: Working) -> str | None:
        market = working.market
        if order.new.release is not None:
            return None  # the engine holds it: it has come to no venue that could refuse it
        if order.trigger is not None:
            return _passed(order.trigger, order.side, market)
        if order.price is not None:
            return None
        if not market.is_known:
            return f"{NO_MARKET}: no market for {order.new.instrument}: it has no book now"
        offers = working.offers(order)
        if not offers:
            return f"{NO_MARKET}: no market: nothing stands that the run has not taken"
        if not self.account.covers(order, walk(offers, order.quantity)):
            return f"{NO_FUNDS}: the balance that is free does not cover the order at this market"
        return None

    def _changed(
        self,
        order: Order,
        quantity: Decimal | None,
        price: Decimal | None,
        trigger_price: Decimal | None,
    ) -> str | None:
        """Apply a modify; a text says why not."""
        reason = self._unchangeable(order, quantity, price, trigger_price)
        if reason is not None:
            return reason
        before = (order.quantity, order.price, order.trigger)
        order.quantity = order.quantity if quantity is None else quantity
        order.price = order.price if price is None else price
        release = order.new.release
        if release is not None and release.waits_at_limit:
            trigger_price = price
        if order.trigger is not None and trigger_price is not None:
            order.trigger = msgspec.structs.replace(order.trigger, price=trigger_price)
        reason = self._unfit(order, is_repriced=order.price != before[1])
        if reason is not None:
            order.quantity, order.price, order.trigger = before
            return reason
        self._events.updated(order, self.now_ns)
        is_working = order.state in (State.RESTING, State.TAKING)
        if is_working and (order.price != before[1] or order.quantity > before[0]):
            working = self._working[order.new.instrument]
            working.last(order)
            working.enter(order)
        elif order.state is State.WAITING and release is not None:
            self._working[order.new.instrument].look(order)
        return None

    def _unchangeable(
        self,
        order: Order,
        quantity: Decimal | None,
        price: Decimal | None,
        trigger_price: Decimal | None,
    ) -> str | None:
        if quantity is not None and quantity <= order.filled:
            return f"QUANTITY: {order.filled} is filled already"
        if price is not None and order.price is None:
            return "UNSUPPORTED: the order has no limit price"
        if trigger_price is not None and (order.trigger is None or order.is_fired):
            return "UNSUPPORTED: the order waits for no trigger"
        return None

    def _unfit(self, order: Order, *, is_repriced: bool) -> str | None:
        """Why the order as it is now can't stand; its hold is what it needs then."""
        working = self._working[order.new.instrument]
        if order.state is State.WAITING and order.new.release is None:
            assert order.trigger is not None
            passed = _passed(order.trigger, order.side, working.market)
            if passed is not None:
                return passed
        is_working = order.state in (State.RESTING, State.TAKING)
        if is_working and is_repriced and order.new.post_only and working.would_take(order):
            return f"POST-ONLY: {POST_ONLY}"
        if order.state is not State.HELD and not self.account.reserve(order):
            return f"{NO_FUNDS}: the balance that is free does not cover the change"
        return None

    # -- executions and ends -------------------------------------------------------------------

    def fill(self, order: Order, price: Decimal, quantity: Decimal, *, is_maker: bool) -> Decimal:
        new = order.new
        part, why = quantity, ""
        if new.reduce_only:
            part = min(part, self.account.positions.reducible(new))
            why = "reduce-only: its position is closed"
        if part > 0:
            paid = self.account.affordable(order, part, price)
            part, why = (part, why) if paid == part else (paid, f"{NO_FUNDS} for the rest")
        if part > 0:
            self._book(order, price, part, is_maker=is_maker)
        if order.remaining <= 0:
            self._over(order)
        elif part < quantity and not order.is_over:
            self.end(order, why)
        if part > 0:
            self._filled(order)
        return part

    def _book(self, order: Order, price: Decimal, quantity: Decimal, *, is_maker: bool) -> None:
        new = order.new
        self._trades += 1
        fee = self._fees(
            new.instrument, new.side, is_maker=is_maker, quantity=quantity, price=price
        )
        fill = Fill(
            trade_id=f"{self._name}-{self._trades}",
            order_id=new.id,
            quantity=quantity,
            price=price,
            is_maker=is_maker,
            fee=fee.amount,
            fee_currency=fee.currency,
        )
        order.filled += quantity
        self.account.book(order, fill)
        self.account.reserve(order, must=True)
        self._tell_balances()  # first: who hears of the fill may use at once what it brought
        self._events.filled(order, fill, self.now_ns)

    def _filled(self, order: Order) -> None:
        """Children come, siblings go or shrink."""
        self._children += linked.released_by(order, self._orders)
        for sibling, quantity in linked.resized_by(order, self._orders):
            if quantity <= sibling.filled:
                self._over(sibling)
                self._events.canceled(sibling, "", self.now_ns)
            elif quantity != sibling.quantity:
                sibling.quantity = quantity
                self.account.reserve(sibling, must=True)
                self._events.updated(sibling, self.now_ns)

    def triggered(self, order: Order) -> None:
        self._events.triggered(order, self.now_ns)

    def end(self, order: Order, reason: str) -> None:
        if order.is_over:
            return
        self._over(order)
        self._events.canceled(order, reason, self.now_ns)
        self._unlink(order)

    def _over(self, order: Order) -> None:
        self._orders.pop(order.id, None)
        self._working[order.new.instrument].remove(order)
        self.account.release(order)

    def _unlink(self, order: Order) -> None:
        """An order that ended without being filled takes its children and siblings with it."""
        for other in linked.ended_with(order, self._orders):
            self.end(other, "")

    def _finish(self) -> None:
        while self._children:
            child = self._children.pop(0)
            if child.state is State.HELD:
                self._arrive(child)
        self._tell_balances()

    def _tell_balances(self) -> None:
        if self.account.is_changed:
            self.account.is_changed = False
            self._events.balances_changed(self.now_ns)


def _passed(trigger: Trigger, side: Side, market: Market) -> str | None:
    """Why a stop can't be taken: the market is where it would fire at once."""
    price = passed_by(trigger, side, market)
    if price is None:
        return None
    return f"{PASSED}: the trigger price {trigger.price} was passed, the market is {price}"
