"""Orders that were proven absent, and could still turn up: a venue may lag longer than it says."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from fairlead.engine.orders.cancels import Cancels
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.live import LiveOrder, new_order
from fairlead.engine.orders.model import (
    STOP_KINDS,
    Capabilities,
    FindResult,
    Found,
    OrderState,
    Unsure,
    VenueOrder,
    ref_of,
)
from fairlead.engine.orders.search import Search
from fairlead.engine.orders.shared import Part, Shared
from fairlead.engine.orders.table import Table
from fairlead.engine.orders.trigger import released

WATCH_NS = 180 * 1_000_000_000  # how long after it was given up an order is looked for
# A difference of the balances may tell of one that came at any time since, or while nothing ran.
DRIFT_WATCH_NS = 24 * 3_600 * 1_000_000_000
AGAIN_NS = 60 * 1_000_000_000  # how long one that is only looked for because of it stays watched
WATCHED_MAX = 200  # the oldest are forgotten first


class LateLook(msgspec.Struct, frozen=True):
    """How many orders were found, and of how many the venue did not tell."""

    found: int
    unread: int


class GivenUp:
    """Orders given up in the last WATCH_NS, over restarts too; by the id that was sent, as each
    release of a held order is one."""

    def __init__(self, journal: Journal, now_ns: Callable[[], int]) -> None:
        self._journal = journal
        self._now_ns = now_ns
        self._watched: OrderedDict[str, tuple[LiveOrder, int]] = OrderedDict()  # until when

    def add(self, order: LiveOrder) -> None:
        """`order` has just been refused as absent."""
        self._watched[order.intent.sent_id] = (order, self._now_ns() + WATCH_NS)
        if len(self._watched) > WATCHED_MAX:
            self._watched.popitem(last=False)

    def recall(self) -> None:
        """After a restart: those that the journal gave up lately."""
        self.reconsider(WATCH_NS)

    def reconsider(self, back_ns: int) -> None:
        """Look again for those given up in the last `back_ns`."""
        now_ns = self._now_ns()
        found = self._journal.given_up_since(now_ns - back_ns, WATCHED_MAX)
        found += [
            (new_order(intent, ts_sent, OrderState.REFUSED), ts_ns)
            for intent, ts_sent, ts_ns in self._journal.releases_given_up_since(
                now_ns - back_ns, WATCHED_MAX
            )
        ]
        found.sort(key=lambda one: one[1])
        for journaled, ts_ns in reversed(found[-WATCHED_MAX:]):
            intent = journaled.intent
            _, watched_until_ns = self._watched.get(intent.sent_id, (None, 0))
            if now_ns > watched_until_ns:
                until_ns = max(ts_ns + WATCH_NS, now_ns + AGAIN_NS)
                order = LiveOrder(journaled)
                if intent.release:
                    order.held, _ = self._journal.held_story(intent.client_order_id)
                self._watched[intent.sent_id] = (order, until_ns)
                self._watched.move_to_end(intent.sent_id, last=False)  # the oldest of them

    def orders(self) -> list[LiveOrder]:
        now_ns = self._now_ns()
        for sent_id, (_, until_ns) in list(self._watched.items()):
            if now_ns > until_ns:
                del self._watched[sent_id]
        return [order for order, _ in self._watched.values()]

    def unnamed(self, can: Capabilities) -> list[LiveOrder]:
        """Of those the ones that the venue could show without our id.

        Where it keeps the id only a stop, which stands under an id of its own once it has fired.
        """
        orders = self.orders()
        if can.client_order_ids:
            return [order for order in orders if order.intent.kind in STOP_KINDS]
        return orders

    def has(self, order: LiveOrder) -> bool:
        return order.intent.sent_id in self._watched

    def remove(self, order: LiveOrder) -> None:
        self._watched.pop(order.intent.sent_id, None)


class Late(Part):
    """The part of a desk that takes back orders which came after they were given up."""

    def __init__(
        self, shared: Shared, table: Table, search: Search, cancels: Cancels, given_up: GivenUp
    ) -> None:
        super().__init__(shared)
        self._table = table
        self._search = search
        self._cancels = cancels
        self._given_up = given_up

    async def look(self, *, at_drift: bool = False) -> LateLook:
        """Look once more for the orders given up lately; one that is found is booked and cancelled.

        Those that are over already are found too. `at_drift`: also for those that could not come
        any more, since something has moved the balances. Raises nothing of the venue's: what can't
        be read is looked for the next time.
        """
        if at_drift:
            self._given_up.reconsider(DRIFT_WATCH_NS)
        orders = self._given_up.orders()
        if not orders:
            return LateLook(0, 0)
        results = await self._venue.find_all([self._search.lost(order) for order in orders])
        found = 0
        for order, state in _pairs(orders, results):
            if self._given_up.has(order) and not self._is_anothers(order, state.venue_order_id):
                found += 1
                self._revive(order, state)
        unread = sum(isinstance(one, Unsure) and not one.ambiguous for one in results)
        return LateLook(found, unread)

    def _is_anothers(self, order: LiveOrder, venue_order_id: str) -> bool:
        """Whether what was found is, or may be, an order that was sent since.

        A strategy may send the same again once it is told that there is none, and where the venue
        keeps no client order id nothing tells the two apart until that one's answer has come.
        """
        if self._journal.order_by_venue_id(order.intent.instrument, venue_order_id) is not None:
            return True
        if order.intent.release and self._was_told(venue_order_id):  # by an earlier run
            return True
        if self._can.client_order_ids:
            return False
        fields = order.fingerprint()
        return any(one.fingerprint() == fields for one in self._table.unresolved())

    def _was_told(self, venue_order_id: str) -> bool:
        """Whether a finding of it as late is in the journal."""
        return any(kind == "FINDING" for _, _, kind, _ in self._journal.story(venue_order_id))

    def _revive(self, order: LiveOrder, state: VenueOrder) -> None:
        """Its executions count, and what rests of it is cancelled."""
        live = self._table.live.get(order.intent.client_order_id)
        self._given_up.remove(order)
        if self._is_spent(order, live, state):
            self._journal.late_release(state, order.intent.client_order_id)
            return
        if live is not None:
            self.came(live, state)
        elif self._went_on(order):
            self._beside(order, state)
        else:
            self._take_back(order, state)

    def _is_spent(self, order: LiveOrder, live: LiveOrder | None, state: VenueOrder) -> bool:
        """Whether it is a release that came to nothing, of an order that was held, and went on."""
        if state.filled or not state.state.is_terminal:
            return False
        return live.held is not None if live is not None else self._went_on(order)

    def _went_on(self, order: LiveOrder) -> bool:
        """Whether it ended in a way of its own, after a release of it was given up."""
        known = self._journal.order(order.intent.client_order_id)
        return known is not None and known.state is not OrderState.REFUSED

    def came(self, order: LiveOrder, state: VenueOrder) -> None:
        """What was released of a held order and given up is there after all: the order is that."""
        if order.is_held and order.held is not None:
            order.intent = msgspec.structs.replace(released(order.held, self._can, 1))
            self._take_back(order, state)
            return
        self._beside(order, state)

    def _beside(self, order: LiveOrder, state: VenueOrder) -> None:
        """A release that was given up is there, beside the one that the order has become."""
        self._shared.tell(
            "ORDER-LATE",
            order.intent.instrument,
            state.venue_order_id,
            f"{order.intent.client_order_id} was released again since",
            f"{state.side} {state.quantity} @ {state.price}, {state.state}, {state.filled} filled",
            "cancelled; what it has executed is in the balances, and in no strategy's position",
        )
        if not state.state.is_terminal:
            self._shared.spawn(self._cancel(state), "cancel a late release")

    async def _cancel(self, state: VenueOrder) -> None:
        await self._venue.cancel([ref_of(state)])

    def _take_back(self, order: LiveOrder, state: VenueOrder) -> None:
        intent = order.intent
        former = self._journal.revived(intent, state, order.first_state())
        order.state = order.first_state()
        order.cancel_requested = True
        self._table.live[intent.client_order_id] = order
        self._table.own(order, state.venue_order_id, former)
        self._shared.tell(
            "ORDER-LATE",
            intent.instrument,
            state.venue_order_id,
            f"{intent.client_order_id} {OrderState.REFUSED}",
            f"{state.side} {state.quantity} @ {state.price}, {state.state}",
            "its executions are booked, the rest is cancelled",
        )
        self._table.apply(order, state)
        if not order.state.is_terminal:
            self._shared.spawn(self._cancels.batch([order]), "cancel a late order")


def _pairs(
    orders: Sequence[LiveOrder], results: Sequence[FindResult]
) -> Iterator[tuple[LiveOrder, VenueOrder]]:
    """Each order with what the venue has of it.

    A strategy sends the same again when it is told that there is none, so that two of equal fields
    may come late: which is which makes no difference, so long as there are no more than were sent.
    """
    twins: defaultdict[Any, list[LiveOrder]] = defaultdict(list)
    seen: defaultdict[Any, dict[str, VenueOrder]] = defaultdict(dict)
    for order, result in zip(orders, results, strict=True):
        if isinstance(result, Found):
            yield order, result.order
        elif isinstance(result, Unsure) and result.candidates:
            twins[order.fingerprint()].append(order)
            seen[order.fingerprint()] |= {one.venue_order_id: one for one in result.candidates}
    for fields, group in twins.items():
        came = sorted(seen[fields].values(), key=lambda one: (one.ts_created, one.venue_order_id))
        if len(came) <= len(group):
            yield from zip(sorted(group, key=lambda one: one.ts_sent), came, strict=False)
