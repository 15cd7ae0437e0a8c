"""Orders that were sent and whose answer proves nothing: looked for until something does."""

from __future__ import annotations

import asyncio
import logging
import re

import msgspec

from fairlead.engine.orders import permit
from fairlead.engine.orders.cancels import Cancels
from fairlead.engine.orders.late import GivenUp
from fairlead.engine.orders.live import LiveOrder, new_order
from fairlead.engine.orders.model import FindResult, Found, OrderState, Unsure
from fairlead.engine.orders.search import Gone, Search
from fairlead.engine.orders.shared import Part, Shared
from fairlead.engine.orders.table import ABSENT, Table

logger = logging.getLogger(__name__)

AGAIN_SECS = 30.0  # until what stays the same is journaled again, at first; doubled each time
AGAIN_SECS_MAX = 3_600.0


class Unproven(Part):
    """The part of a desk that finds out what became of them."""

    def __init__(
        self, shared: Shared, table: Table, search: Search, cancels: Cancels, given_up: GivenUp
    ) -> None:
        super().__init__(shared)
        self._table = table
        self._search = search
        self._cancels = cancels
        self._given_up = given_up
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._told: dict[str, _Told] = {}  # by client order id, while it is looked for

    def begin(self, order: LiveOrder, reason: str) -> None:
        if order.state is not OrderState.UNKNOWN:
            self._journal.state(
                order.intent.client_order_id, OrderState.UNKNOWN, {"reason": reason}
            )
            order.state = OrderState.UNKNOWN
            self._table.count_unknown()
        logger.warning("%s is UNKNOWN: %s", order.intent.client_order_id, reason)
        self.look_for(order)

    def look_for(self, order: LiveOrder) -> None:
        cid = order.intent.client_order_id
        if cid in self.tasks:
            return
        task = permit.begun(self._until_proven(order))
        self.tasks[cid] = task
        task.add_done_callback(lambda done: self._ended(cid, done))

    def _ended(self, cid: str, task: asyncio.Task[None]) -> None:
        self.tasks.pop(cid, None)
        self._told.pop(cid, None)
        self._shared.supervise(task)

    async def _until_proven(self, order: LiveOrder) -> None:
        """Query with growing waits until the order is found, or proven absent."""

        async def look() -> FindResult:
            [found] = await self._venue.find_all([self._search.lost(order)])
            return found

        def is_wanted() -> bool:
            return not order.is_proven and not order.is_held and not order.state.is_terminal

        async def settle(result: Found | Unsure | Gone) -> None:
            if isinstance(result, Found):
                self._journal.note("FOUND", order.intent.client_order_id, result.order)
                self._table.adopt(order, result.order.venue_order_id)
                self._table.apply(order, result.order)
                await self._cancels.due(order)
            elif isinstance(result, Gone):
                self._absent(order, result)
            else:
                self._unsure(order, result)

        await self._search.until_settled(look, is_wanted, settle)

    def _absent(self, order: LiveOrder, gone: Gone) -> None:
        message = f"{gone} ({gone.last.evidence})"
        sent = order.intent
        self._table.refuse(order, ABSENT, message, gone.last)
        if order.is_held:  # what it was is watched apart from what it is now
            sent_order = LiveOrder(new_order(sent, order.ts_sent))
            sent_order.loop_sent, sent_order.held = order.loop_sent, order.held
            self._given_up.add(sent_order)
        else:
            self._given_up.add(order)

    def _unsure(self, order: LiveOrder, result: Unsure) -> None:
        intent = order.intent
        is_known = self._is_known(intent.client_order_id, result)
        if not is_known:
            self._journal.note("UNSURE", intent.client_order_id, result)
        if result.ambiguous:
            self._shared.tell(
                "ORDER-AMBIGUOUS",
                intent.instrument,
                intent.client_order_id,
                "sent, answer lost",
                result.reason,
                "nothing adopted; the instrument is halted until a person decides",
                is_known=is_known,
            )

    def _is_known(self, cid: str, result: Unsure) -> bool:
        """Whether the journal has just this of the order, and lately enough.

        A person may take days to decide, and each look comes to the same.
        """
        now, told, said = asyncio.get_running_loop().time(), self._told.get(cid), _said(result)
        if told is not None and told.said == said:
            if now < told.again_at:
                return True
            secs = min(told.secs * 2, AGAIN_SECS_MAX)
        else:
            secs = AGAIN_SECS
        self._told[cid] = _Told(said, now + secs, secs)
        return False


class _Told(msgspec.Struct, frozen=True):
    """What was journaled last, and when it is journaled again; loop time."""

    said: tuple[object, ...]
    again_at: float
    secs: float


def _said(result: Unsure) -> tuple[object, ...]:
    """What a look comes to: figures in its words (times, counts) are no news, candidates are."""
    candidates = sorted((one.venue_order_id, one.state, one.filled) for one in result.candidates)
    return result.ambiguous, re.sub(r"\d+", "", result.reason), *candidates
