"""Cancel-replace at the venue: one order here, a chain of orders there.

A replacement whose answer is lost is neither done nor refused: the order goes on as it was, its end
is not believed, and the replacement is looked for until it is found, or absent for longer than the
venue can lag.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from fairlead.engine.orders.cancels import Cancels
from fairlead.engine.orders.live import LiveOrder, could_be
from fairlead.engine.orders.missing import Missing
from fairlead.engine.orders.model import (
    Absent,
    Accepted,
    FindResult,
    Found,
    Intent,
    Outcome,
    Refused,
    Unknown,
    Unsure,
    VenueOrder,
)
from fairlead.engine.orders.permit import asking
from fairlead.engine.orders.search import Gone, Search
from fairlead.engine.orders.shared import Part, Shared
from fairlead.engine.orders.table import Table
from fairlead.engine.orders.trigger import released

logger = logging.getLogger(__name__)


class Replacement(Part):
    """The part of a desk that replaces orders."""

    def __init__(
        self, shared: Shared, table: Table, search: Search, missing: Missing, cancels: Cancels
    ) -> None:
        super().__init__(shared)
        self._table = table
        self._search = search
        self._missing = missing
        self._cancels = cancels
        self.change_held: Callable[[LiveOrder, Intent], None] = lambda *_: None

    async def replace(self, changed: Intent) -> None:
        """Cancel-replace at the venue; the order keeps its client order id here."""
        client_order_id = changed.client_order_id
        order = self._table.live.get(client_order_id)
        stopped = self._shared.stopped([changed])
        if order is not None and order.is_held and not stopped:
            self.change_held(order, changed)
            return
        if order is not None and order.held is not None:
            changed = released(changed, self._can, order.intent.release)
        can = order is not None and order.is_proven and order.replacing is None
        if order is None or not can or not self._can.replace or stopped:
            reason = stopped or "the venue can't replace this order now"
            intent = order.intent if order else changed
            self._sink.replace_refused(intent, "DESK-NO-REPLACE", reason, self._now_ns())
            return
        self._journal.replacing(client_order_id, changed)
        order.replacing = changed
        order.replace_ts = self._now_ns()
        with asking(lambda: self._shared.stopped([changed]), self._shared.withdrawn):
            outcome = await self._guarded_outcome(self._venue.replace(order.ref(), changed))
        self._settle_replace(order, changed, outcome)

    async def _guarded_outcome(self, sending: Awaitable[Outcome]) -> Outcome:
        try:
            return await sending
        except Exception as error:
            logger.exception("replace raised")
            return Unknown(f"the adapter raised {type(error).__name__}")

    def _settle_replace(self, order: LiveOrder, changed: Intent, outcome: Outcome) -> None:
        cid = order.intent.client_order_id
        if order.replacing is not changed or order.state.is_terminal:
            # A push was faster than the answer, or the order was filled before it was replaced.
            self._journal.note("REPLACE_" + type(outcome).__name__.upper(), cid, outcome)
            return
        if isinstance(outcome, Accepted):
            self.taken_over(order, outcome.venue_order_id)
            return
        self._journal.note("REPLACE_" + type(outcome).__name__.upper(), cid, outcome)
        if isinstance(outcome, Refused):
            order.replacing = None
            self._sink.replace_refused(order.intent, outcome.code, outcome.message, self._now_ns())
            self._shared.poll_now.set()
        else:
            logger.warning("the replacement of %s is UNKNOWN: %s", cid, outcome.reason)
            self.look_for(order)

    def taken_over(self, order: LiveOrder, venue_order_id: str) -> None:
        """A new order has taken over."""
        changed = order.replacing
        assert changed is not None, "a replacement that nobody asked for"
        state = order.first_state()
        former = self._journal.replaced(changed.client_order_id, changed, venue_order_id, state)
        if order.venue_order_id is not None:
            order.old_ids.append(order.venue_order_id)
        order.replacing = None
        order.end_reads = None
        order.intent = changed
        order.state = state
        self._table.own(order, venue_order_id, former)
        self._sink.order_replaced(changed, venue_order_id, self._now_ns())
        order.owes_read = self._can.reports_fills  # one under way is of what was replaced only
        self._table.fetch_fills(order)
        self._shared.poll_now.set()
        if order.filled > changed.quantity:
            self._overtaken(order)
        if order.cancel_requested:
            self._shared.spawn(self._cancels.batch([order]), "cancel what was replaced")

    def _overtaken(self, order: LiveOrder) -> None:
        """More was filled while it was replaced than is wanted now: nothing more is."""
        intent = order.intent
        order.cancel_requested = True
        self._shared.tell(
            "OVERFILL",
            intent.instrument,
            intent.client_order_id,
            f"replaced by one of {intent.quantity}",
            f"filled {order.filled} before the venue replaced it",
            "booked, the rest is cancelled, and the instrument is halted",
        )

    def look_for(self, order: LiveOrder) -> None:
        self._shared.spawn(self._look_for_replacement(order), "look for a replacement")

    async def _look_for_replacement(self, order: LiveOrder) -> None:
        changed = order.replacing
        if changed is None:
            return
        others: set[str] = set()  # found, and not the replacement

        async def look() -> FindResult:
            # Since the order's own first send: what it replaced before bears its client order id.
            known = self._search.known_to(order) | others
            result = await self._venue.find(changed, known, order.replace_ts)
            if isinstance(result, Found) and self._has_owner(result.order):
                others.add(result.order.venue_order_id)
                return Unsure("an order of before was found")
            return result

        def is_wanted() -> bool:
            return order.replacing is changed and not order.state.is_terminal

        async def settle(result: Found | Unsure | Gone) -> None:
            if isinstance(result, Found):
                self._journal.note("FOUND", changed.client_order_id, result.order)
                self.taken_over(order, result.order.venue_order_id)
                self._table.apply(order, result.order)
            elif isinstance(result, Gone):
                await self._not_replaced(order, result.last)

        await self._search.until_settled(look, is_wanted, settle)

    def _has_owner(self, state: VenueOrder) -> bool:
        """Whether it was an order's already, however long ago: then it is no answer."""
        owner = self._journal.order_by_venue_id(state.instrument, state.venue_order_id)
        return owner is not None

    async def _not_replaced(self, order: LiveOrder, evidence: Absent) -> None:
        """Proven: there is no new order. The old one is what the venue says of it now."""
        self._journal.note("REPLACE_ABSENT", order.intent.client_order_id, evidence)
        order.replacing = None
        self._sink.replace_refused(
            order.intent, "REPLACE-ABSENT", evidence.evidence, self._now_ns()
        )
        await self._missing.refresh([order])
        await self._cancels.due(order)

    def is_of_another(self, order: LiveOrder, state: VenueOrder) -> bool:
        """A push of a replaced order, whose end says nothing; or of the one that takes over."""
        if state.venue_order_id in order.old_ids:
            return True
        is_new = state.venue_order_id != order.venue_order_id
        if is_new and order.replacing is not None and could_be(order.replacing, state):
            self.taken_over(order, state.venue_order_id)
        return False
