"""Orders that the venue has accepted and tells nothing of any more.

That is no proof of anything: a venue may lag, or have lost the order, executions included. Such an
order is looked for, with growing waits, by its id, among the open orders and in what was; no cancel
is sent for it meanwhile, and one that was asked for is sent once the order is told again. What was
absent from complete looks for longer than the venue can lag is *forgotten*: said once, loudly, and
kept as open until the venue tells of it again or a person says what became of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from engine.orders.live import MIN_ABSENT_LOOKS, STOP_KINDS, LiveOrder
from engine.orders.model import Absent, Found, Kind, VenueOrder, VenueUnavailable
from engine.orders.replacement import Replacements
from engine.orders.states import ID_REUSED

MISSES_BEFORE_LOOK = 3  # polls that leave out an order before it is looked for
FORGOTTEN = "ORDER-FORGOTTEN"


class MissingOrders(Replacements):
    """The part of the desk that reads orders' states, and looks for what is left out."""

    def missing(self) -> list[LiveOrder]:
        """Orders that the venue accepted and tells nothing of; forgotten ones too."""
        return [order for order in self._live.values() if order.is_missing]

    # -- whose an id is ------------------------------------------------------------------------

    def _own(self, order: LiveOrder, venue_order_id: str, former: str | None = None) -> None:
        """The id is this order's; `former` is the client order id of another that had it."""
        cid = order.intent.client_order_id
        if order.venue_order_id is not None:
            before = (order.intent.instrument, order.venue_order_id)
            if self._by_venue_id.get(before) == cid:
                del self._by_venue_id[before]
        order.venue_order_id = venue_order_id
        self._by_venue_id[order.intent.instrument, venue_order_id] = cid
        order.seen()
        if former is not None:
            self._reused(order, former)

    def _reused(self, order: LiveOrder, former: str) -> None:
        order.is_reuse_told = True
        known = self.journal.order(former)
        self._tell(
            ID_REUSED,
            order.intent.instrument,
            order.venue_order_id or "",
            f"of {former}, {'unknown' if known is None else known.state}",
            f"given to {order.intent.client_order_id}",
            "the venue counts anew (was it reset?); the new order and its executions are booked as "
            "its own",
        )
        old = self._live.get(former)
        if old is not None and old.venue_order_id == order.venue_order_id:
            self._displaced(old)

    def _displaced(self, order: LiveOrder) -> None:
        """Its id names another order at the venue: nothing is asked or cancelled by it any more."""
        order.is_displaced = order.is_missing = True
        self._forget(order, f"{order.venue_order_id} is the id of another order there")

    # -- reading -------------------------------------------------------------------------------

    async def _refresh(self, orders: Sequence[LiveOrder], *, must_read: bool = False) -> None:
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
            try:
                states = await self._venue.orders([o.ref() for o in batch])
            except VenueUnavailable as error:
                self.away.failed("order states", error)
                if must_read:
                    raise
                return
            self.away.answered("order states")
            self._apply_page(batch, states)

    def _apply_page(self, batch: Sequence[LiveOrder], states: Sequence[VenueOrder]) -> None:
        for order in batch:
            if order.state.is_terminal:
                continue
            state = self._told_of(order, states)
            if state is not None:
                order.misses = 0
                self._apply(order, state)
                continue
            order.misses += 1
            if order.misses == MISSES_BEFORE_LOOK:
                self._tell(
                    "ORDER-NOT-LISTED",
                    order.intent.instrument,
                    order.intent.client_order_id,
                    str(order.state),
                    f"left out of {order.misses} answers",
                    "kept as open, as absence from a list is no proof; it is looked for",
                )
                self._miss(order)

    def _told_of(self, order: LiveOrder, states: Sequence[VenueOrder]) -> VenueOrder | None:
        """What the venue says of this order, perhaps under another id than was known."""
        for state in states:
            if state.venue_order_id == order.venue_order_id and not self._is_not(order, state):
                return state
        return self._renamed(order, states)

    def _is_not(self, order: LiveOrder, state: VenueOrder) -> bool:
        """Whether what has the order's id is another order: a venue that was reset counts anew."""
        cid, named = order.intent.client_order_id, state.client_order_id
        if named is not None and named != cid and self.journal.order(named) is not None:
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
        """The order under another venue id: a stop's child, seen before its parent was known."""
        cid = order.intent.client_order_id
        for state in states:
            is_new = (state.instrument, state.venue_order_id) not in self._by_venue_id
            is_old = state.venue_order_id in order.old_ids
            if state.client_order_id == cid and is_new and not is_old and order.replacing is None:
                self._own(order, state.venue_order_id, self.journal.renamed(cid, state))
                return state
        return None

    # -- looking -------------------------------------------------------------------------------

    def _miss(self, order: LiveOrder) -> None:
        """An answer that should tell of it left it out: look for it, once."""
        if order.is_missing or order.state.is_terminal:
            return
        order.is_missing = True
        order.absent_since = None
        self._spawn(self._look_until_told(order), "look for a missing order")

    async def _look_until_told(self, order: LiveOrder) -> None:
        looks = 0
        delays = self._settings.unknown_query_secs
        while order.is_missing and not order.is_forgotten and not order.state.is_terminal:
            await asyncio.sleep(delays[min(looks, len(delays) - 1)])
            looks += 1
            await self._look_for_missing(order)
        if order.cancel_requested and not order.is_missing and not order.state.is_terminal:
            await self._cancel_batch([order], is_again=True)

    async def _look_for_missing(self, order: LiveOrder) -> None:
        """One look; what could not be read whole proves nothing, and the count begins again."""
        began = asyncio.get_running_loop().time()
        try:
            state, is_whole = await self._search(order)
        except VenueUnavailable as error:
            self.away.failed("order states", error)
            order.absent_since = None
            return
        self.away.answered("order states")
        if not order.is_missing or order.state.is_terminal:
            return  # a poll or a push was faster
        if state is not None:
            self._apply(order, state)
        elif not is_whole or order.replacing is not None:
            order.absent_since = None
        elif (secs := self._absent_secs(order, began)) is not None:
            self._forget(
                order, f"absent from {order.absent_looks} complete looks over {secs:.1f} s"
            )

    async def _search(self, order: LiveOrder) -> tuple[VenueOrder | None, bool]:
        """What the venue tells of the order, and whether it was asked everywhere.

        Raises VenueUnavailable.
        """
        told = list(await self._venue.orders([order.ref()]))
        told += await self._venue.open_orders([order.intent.instrument])
        state = self._told_of(order, told)
        if state is not None or not self._can.client_order_ids:
            return state, True
        known = self._known_to(order) - {order.venue_order_id or ""}
        result = await self._venue.find(order.intent, known, self._sent(order))
        if isinstance(result, Found):
            return self._told_of(order, [result.order]), True
        return None, isinstance(result, Absent)

    def _absent_secs(self, order: LiveOrder, began: float) -> float | None:
        """Count a complete look without the order; for how long, once it is beyond any lag.

        From the beginning of the first look to that of the last, loop time: a look can last longer
        than the lag (limits, lost answers), and what comes after its first page is in none.
        """
        if order.absent_since is None:
            order.absent_since, order.absent_looks = began, 0
        order.absent_looks += 1
        needed = max(self._settings.absent_quarantine_secs, self._can.max_order_lag_secs)
        absent_secs = began - order.absent_since
        if order.absent_looks >= MIN_ABSENT_LOOKS and absent_secs >= needed:
            return absent_secs
        return None

    def _forget(self, order: LiveOrder, how: str) -> None:
        """Said once. It stays open: that it was cancelled, or filled, is not known."""
        order.is_forgotten = True
        intent = order.intent
        cid = intent.client_order_id
        self._tell(
            FORGOTTEN,
            intent.instrument,
            cid,
            f"{order.state}, {order.filled} of {intent.quantity} executed",
            how,
            "kept as open, no cancel is sent; end this run, look at the venue what became of it, "
            f"then: fairlead resolve {cid} --gone (or --filled QUANTITY@PRICE) --reason WHY "
            "--config CONFIG",
        )
        if order.cancel_requested:
            message = "the venue tells nothing of the order; it stays open until a person decides"
            self._sink.cancel_refused(intent, FORGOTTEN, message, self._now_ns())

    def _sent(self, order: LiveOrder) -> int:
        raise NotImplementedError
