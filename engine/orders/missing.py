"""Orders that the venue has accepted and tells nothing of any more.

That is no proof of anything: a venue may lag, or have lost the order, executions included. Such an
order is looked for, with growing waits, by its id, among the open orders and in what was; no cancel
is sent for it meanwhile, and one that was asked for is sent once the order is told again. What was
absent from complete looks for longer than the venue can lag is *forgotten*: said once, loudly, and
kept as open until the venue tells of it again or a person says what became of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from fairlead.engine.orders.live import STOP_KINDS, LiveOrder
from fairlead.engine.orders.model import (
    Absent,
    FindResult,
    Found,
    Kind,
    Unsure,
    VenueOrder,
    VenueUnavailable,
)
from fairlead.engine.orders.search import Gone, Search
from fairlead.engine.orders.shared import Part, Shared
from fairlead.engine.orders.table import Table

MISSES_BEFORE_LOOK = 3  # polls that leave out an order before it is looked for


class Missing(Part):
    """The part of a desk that reads orders' states, and looks for what is left out.

    `on_told` is called with an order that is told again.
    """

    def __init__(
        self,
        shared: Shared,
        table: Table,
        search: Search,
        on_told: Callable[[LiveOrder], Awaitable[None]],
    ) -> None:
        super().__init__(shared)
        self._table = table
        self._search = search
        self._on_told = on_told

    # -- reading -------------------------------------------------------------------------------

    async def refresh(self, orders: Sequence[LiveOrder], *, must_read: bool = False) -> None:
        """Read the current states of these orders, in batches, and apply them."""
        size = max(1, self._can.batch_query_max)
        for start in range(0, len(orders), size):
            batch = [
                order
                for order in orders[start : start + size]
                if not order.state.is_terminal and not order.is_displaced
            ]
            if not batch:
                continue
            asked = [order.venue_order_id for order in batch]
            try:
                states = await self._venue.orders([o.ref() for o in batch])
            except VenueUnavailable as error:
                self._shared.away.failed("order states", error)
                if must_read:
                    raise
                return
            self._shared.away.answered("order states")
            # One that was held again, or replaced, meanwhile is told of as what it was
            still = [o for o, name in zip(batch, asked, strict=True) if o.venue_order_id == name]
            self._apply_page(still, states)

    def _apply_page(self, batch: Sequence[LiveOrder], states: Sequence[VenueOrder]) -> None:
        for order in batch:
            if order.state.is_terminal:
                continue
            state = self._told_of(order, states)
            if state is not None:
                order.misses = 0
                self._table.apply(order, state)
                continue
            order.misses += 1
            if order.misses == MISSES_BEFORE_LOOK:
                self._shared.tell(
                    "ORDER-NOT-LISTED",
                    order.intent.instrument,
                    order.intent.client_order_id,
                    str(order.state),
                    f"left out of {order.misses} answers",
                    "kept as open, as absence from a list is no proof; it is looked for",
                )
                self.look_for(order)

    def _told_of(self, order: LiveOrder, states: Sequence[VenueOrder]) -> VenueOrder | None:
        """What the venue says of this order, perhaps under another id than was known."""
        for state in states:
            if state.venue_order_id == order.venue_order_id and not self._is_not(order, state):
                return state
        return self._renamed(order, states)

    def _is_not(self, order: LiveOrder, state: VenueOrder) -> bool:
        """Whether what has the order's id is another order: a venue that was reset counts anew."""
        cid, named = order.intent.client_order_id, state.client_order_id
        if named is not None and named != cid and self._journal.order(named) is not None:
            return True
        if self._can.client_order_ids or order.intent.kind is Kind.MARKET:
            return False
        is_stop = order.intent.kind in STOP_KINDS
        return (
            state.side is not order.intent.side
            or state.quantity != order.intent.quantity
            or (not is_stop and state.price is not None and state.price != order.intent.price)
        )

    def _renamed(self, order: LiveOrder, states: Sequence[VenueOrder]) -> VenueOrder | None:
        """The order under another venue id: a stop's child, seen before its parent was known. One
        that it had before is of a release that is over.
        """
        cid = order.intent.client_order_id
        for state in states:
            is_new = (state.instrument, state.venue_order_id) not in self._table.by_venue_id
            is_old = state.venue_order_id in order.old_ids
            if state.client_order_id != cid or not is_new or is_old or order.replacing is not None:
                continue
            if self._journal.order_by_venue_id(state.instrument, state.venue_order_id) != cid:
                self._table.own(order, state.venue_order_id, self._journal.renamed(cid, state))
                return state
        return None

    # -- looking -------------------------------------------------------------------------------

    def look_for(self, order: LiveOrder) -> None:
        """An answer that should tell of it left it out: look for it, once."""
        if order.is_missing or order.state.is_terminal:
            return
        order.is_missing = True
        self._shared.spawn(self._until_told(order), "look for a missing order")

    async def _until_told(self, order: LiveOrder) -> None:
        def is_wanted() -> bool:
            return order.is_missing and not order.is_forgotten and not order.state.is_terminal

        async def settle(result: Found | Unsure | Gone) -> None:
            if isinstance(result, Found):
                self._table.apply(order, result.order)
            elif isinstance(result, Gone):
                self._table.forget(order, str(result))

        await self._search.until_settled(lambda: self._look(order), is_wanted, settle)
        if order.cancel_requested and not order.is_missing and not order.state.is_terminal:
            await self._on_told(order)

    async def _look(self, order: LiveOrder) -> FindResult:
        """One look; what could not be read whole proves nothing."""
        try:
            result = await self._everywhere(order)
        except VenueUnavailable as error:
            self._shared.away.failed("order states", error)
            return Unsure(str(error))
        self._shared.away.answered("order states")
        if isinstance(result, Absent) and order.replacing is not None:
            return Unsure("it may be another by now")
        return result

    async def _everywhere(self, order: LiveOrder) -> FindResult:
        """By its id, among the open orders, and in what was. Raises VenueUnavailable."""
        asked = order.venue_order_id
        told = list(await self._venue.orders([order.ref()]))
        told += await self._venue.open_orders([order.intent.instrument])
        if order.venue_order_id != asked:
            return Unsure("it is another by now")
        state = self._told_of(order, told)
        if state is not None:
            return Found(state)
        if not self._can.client_order_ids:
            return Absent("neither told by its id nor open")
        known = self._search.known_to(order) - {order.venue_order_id or ""}
        result = await self._venue.find(
            order.intent, known, self._search.times.at(order), self._search.times.slack(order)
        )
        if isinstance(result, Found):
            state = self._told_of(order, [result.order])
            return Absent("what was found is another") if state is None else Found(state)
        return result
