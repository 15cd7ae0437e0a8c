"""One instrument's open orders against its market: which of them trade, when, and at what.

Pure: no I/O, no clock, no account. What an order trades is carried out by a `House`, which may
allow less, end the order, or end others by it.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from itertools import islice
from typing import Protocol

import msgspec

from fairlead.engine.matching.makers import by_priority, from_book, from_trade
from fairlead.engine.matching.market import LEVELS, Market, opposite
from fairlead.engine.matching.orders import ZERO, Order, Release, State, Trigger, Watched
from fairlead.engine.matching.reach import Reach, reach_of
from fairlead.engine.matching.taking import Offer, Print, walk
from fairlead.engine.orders.model import Side, TriggerSource
from fairlead.engine.orders.trigger import watched_price

NOT_WHOLE = "fill or kill: the market did not hold its quantity"
NOT_AT_ONCE = "immediate or cancel: the rest found no market"
POST_ONLY = "a post-only order would have traded"


class House(Protocol):
    """Who carries out what the market does to orders; called from inside, which it must not call
    but for `Working.add` and `Working.remove`."""

    def fill(self, order: Order, price: Decimal, quantity: Decimal, *, is_maker: bool) -> Decimal:
        """Execute up to `quantity`; how much of it was. What may not be more ends the order."""
        ...

    def end(self, order: Order, reason: str) -> None:
        """It is over, for `reason`; nothing where it is already."""
        ...

    def triggered(self, order: Order) -> None: ...


class Working:
    """Orders that were accepted and are not over, by id.

    `queues`: one that rests stands behind what was displayed at its price when it came. `consumes`:
    what the run took of a level is gone until the market data tells of it again. `judges`: a
    post-only order that would trade ends; else that was judged before it came here.
    """

    def __init__(
        self, market: Market, house: House, *, queues: bool, consumes: bool, judges: bool
    ) -> None:
        self.market = market
        self.orders: dict[str, Order] = {}
        self._house = house
        self._queues, self._consumes, self._judges = queues, consumes, judges
        self._numbers = 0
        self._ranked: list[Order] | None = None  # those that rest; None: they have changed
        self._reach: tuple[Reach | None] | None = None  # the same

    def add(self, order: Order) -> None:
        """It comes last, and waits for its trigger or for `enter`."""
        self.orders[order.id] = order
        self.last(order)

    def last(self, order: Order) -> None:
        """It stands behind all others from now on."""
        self._numbers += 1
        order.number = self._numbers
        self.changed()

    def remove(self, order: Order) -> None:
        self.orders.pop(order.id, None)
        order.state = State.OVER
        self.changed()

    def changed(self) -> None:
        """An order is in another state, or of another price or trigger."""
        self._ranked = self._reach = None

    @property
    def reach(self) -> Reach | None:
        """What of the market the orders hear of; None: of all that comes."""
        if self._reach is None:
            self._reach = (reach_of(self.orders.values()),)
        return self._reach[0]

    def _by_priority(self) -> list[Order]:
        if self._ranked is None:
            self._ranked = by_priority(self.orders.values())
        return self._ranked

    # -- the market ----------------------------------------------------------------------------

    def book_told(self) -> None:
        """The book has changed."""
        if not self.orders:
            return
        market = self.market
        if market.is_known:
            self._take_on()
            for fill in from_book(market, self._by_priority()):
                done = self._house.fill(fill.order, fill.price, fill.quantity, is_maker=True)
                market.take(fill.order.side, walk(fill.met, done))
        self._fire_held(by_trade=False)
        if waiting := self._waiting():
            prices = {side: market.touch(side) for side in Side}
            self._fire(waiting, prices, Watched.TOUCH)

    def traded(self, seen: Print) -> None:
        """A trade of the market: it fills resting orders, and is then what takers meet."""
        market = self.market
        hit, fresh = market.trade(seen)
        if not self.orders:
            return
        for fill in from_trade(seen, hit, fresh, self._by_priority(), market.now_ns):
            done = self._house.fill(fill.order, fill.price, fill.quantity, is_maker=True)
            market.take(fill.order.side, walk(fill.met, done), is_traded=True)
        self._take_on()
        self._fire_held(by_trade=True)
        self._fire(self._waiting(), dict.fromkeys(Side, seen.price), Watched.LAST)

    def _take_on(self) -> None:
        for order in [one for one in self.orders.values() if one.state is State.TAKING]:
            if order.state is State.TAKING:  # still
                self.enter(order)

    def _waiting(self) -> list[Order]:
        found = [one for one in self.orders.values() if one.state is State.WAITING]
        return sorted(found, key=lambda one: one.number)

    def _fire(
        self, waiting: Iterable[Order], prices: dict[Side, Decimal | None], seen: Watched
    ) -> None:
        for order in waiting:
            trigger = order.trigger
            assert trigger is not None
            if order.new.release is not None:
                continue
            if order.is_over or trigger.watched not in (seen, Watched.EITHER):
                continue
            if trigger.is_met(prices[order.side]):
                self.fire(order)

    def _fire_held(self, *, by_trade: bool) -> None:
        """Those that the engine would hold, by the price that it would look at."""
        for order in self._waiting():
            self._look(order, by_trade=by_trade)

    def hold_passed(self, order: Order) -> None:
        """It comes: where its trigger is passed, and the venue would not take it so, it is held."""
        release, trigger = order.new.if_passed, order.trigger
        if release is None or trigger is None:
            return
        market, is_last = self.market, release.source is TriggerSource.LAST
        watched = market.last_price if is_last else self._watched(order, release)
        if trigger.is_met(watched) or passed_by(trigger, order.side, market) is not None:
            order.new = msgspec.structs.replace(order.new, release=release)

    def look(self, order: Order) -> None:
        """It has come, or was changed: the book that stands may fire it."""
        self._look(order, by_trade=False)

    def _look(self, order: Order, *, by_trade: bool) -> None:
        market = self.market
        release, trigger = order.new.release, order.trigger
        if release is None or trigger is None or order.is_over:
            return
        is_by_trade = release.source is TriggerSource.LAST
        if is_by_trade is not by_trade or market.now_ns < order.not_before_ns:
            return
        if trigger.is_met(market.last_price if by_trade else self._watched(order, release)):
            self.fire(order)

    def _watched(self, order: Order, release: Release) -> Decimal | None:
        sides = self.market.sides
        bids, asks = (tuple(islice(sides[side], LEVELS)) for side in (Side.BUY, Side.SELL))
        return watched_price(
            release.source, order.side, order.remaining, bids, asks, release.tier_price
        )

    # -- an order's course ---------------------------------------------------------------------

    def fire(self, order: Order) -> None:
        """Its trigger went off."""
        was_fired, order.is_fired = order.is_fired, True
        order.releases += 1
        if not was_fired:  # once, of one that is armed again too
            self._house.triggered(order)
        self.enter(order)

    def _in_vain(self, order: Order, reason: str) -> None:
        """Not filled at once: over, or held again."""
        release = order.new.release
        is_armed = release is not None and release.rearms and order.releases < release.most
        if release is None or not is_armed or order.filled:
            self._house.end(order, reason)
            return
        order.state = State.WAITING
        self.changed()
        order.not_before_ns = self.market.now_ns + release.rearm_ns

    def enter(self, order: Order) -> None:
        """It may trade from now on: at once, or by its post-only flag never as a taker."""
        order.state = State.TAKING
        self.changed()
        if not order.new.post_only:
            self._take(order)
        elif not self._judges:
            self._rest(order)
        elif not self.market.is_known:
            return  # nothing to judge it by yet
        elif self.would_take(order):
            self._house.end(order, POST_ONLY)
        else:
            self._rest(order)

    def would_take(self, order: Order) -> bool:
        return bool(self.market.offers(order.side, order.price, whole=True))

    def offers(self, order: Order) -> list[Offer]:
        """What it meets now, best first: without consumption the whole, but that once."""
        whole = not self._consumes and not order.filled
        return self.market.offers(order.side, order.price, whole=whole, enough=order.remaining)

    def _take(self, order: Order) -> None:
        """Take what the order meets now; what remains waits for the next market, rests, or ends."""
        market = self.market
        offers = self.offers(order)
        tif = order.new.taking_tif if order.is_fired else order.new.time_in_force
        if tif == "FOK" and _total(offers) < order.remaining:
            self._in_vain(order, NOT_WHOLE)
            return
        for price, quantity in walk(offers, order.remaining):
            done = self._house.fill(order, price, quantity, is_maker=False)
            market.take(order.side, [(price, done)])
            if order.is_over:
                return
        if tif in ("IOC", "FOK"):
            self._in_vain(order, NOT_AT_ONCE)
        elif self._is_hidden(order):
            return
        elif order.price is None:
            self._house.end(order, "the book held no more")
        else:
            self._rest(order)

    def _is_hidden(self, order: Order) -> bool:
        """Whether a stop that the market's move has fired may go on taking at the next market.

        Behind a newer trade within its limit, or beyond what the book shows when it took all of
        that, it has not met its market's end: it would be wrong to rest it, and fill it at its own
        limit when the book moves on. A trade beyond the limit proves that nothing stands there.
        """
        market, limit = self.market, order.price
        if not order.is_fired:
            return False
        if limit is None or not market.is_known:
            return True
        if market.newer:
            price = market.newer[-1].price
            return price <= limit if order.side is Side.BUY else price >= limit
        levels = market.sides[opposite(order.side)]
        return levels.best() is not None and levels.size(limit) is None

    def _rest(self, order: Order) -> None:
        assert order.price is not None
        order.state = State.RESTING
        self.changed()
        order.ahead = self._ahead(order, order.price) if self._queues else ZERO
        order.left = ZERO

    def _ahead(self, order: Order, price: Decimal) -> Decimal | None:
        """What stands before it; None: the book does not show that.

        Where the other side's levels reach so far nobody stands, unless trades have run through
        them since: who stands there then, the next book tells.
        """
        market = self.market
        other = market.touch(order.side)
        if other is not None and (other <= price if order.side is Side.BUY else other >= price):
            return ZERO if market.offers(order.side, price, whole=True) else None
        return market.sides[order.side].size(price)


def passed_by(trigger: Trigger, side: Side, market: Market) -> Decimal | None:
    """The price, of those that the trigger watches, which has passed it."""
    last = market.last_price if trigger.watched is not Watched.TOUCH else None
    touch = market.touch(side) if trigger.watched is not Watched.LAST else None
    return next((price for price in (last, touch) if trigger.is_met(price)), None)


def _total(offers: Iterable[Offer]) -> Decimal:
    return sum((size for _, size in offers), ZERO)
