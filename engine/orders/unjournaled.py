"""The end of a run whose journal is dead: what is open is cancelled all the same.

A cancel is safe without a record: the next start reads what became of the orders.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterator, Sequence

from fairlead.engine.orders.live import STOP_KINDS, LiveOrder, could_be, fired
from fairlead.engine.orders.model import (
    CancelAccepted,
    Capabilities,
    Intent,
    OrderRef,
    VenueOrder,
    VenueOrders,
    VenueUnavailable,
    ref_of,
)

logger = logging.getLogger(__name__)

LOOK_SECS = 0.5
LOOKS_MIN = 3  # for orders without an answer: what was on the wire turns up


class UnjournaledCancels:
    """Cancels of one account's orders, repeated until the venue has ended them."""

    def __init__(
        self, venue: VenueOrders, capabilities: Capabilities, instruments: Sequence[str]
    ) -> None:
        self._venue = venue
        self._can = capabilities
        self._instruments = instruments
        self._open: set[OrderRef] = set()  # at the venue, as far as is known
        self._asked: set[OrderRef] = set()  # whose cancel the venue has accepted
        self._seen: set[tuple[str, str | None]] = set()  # instrument, venue order id

    async def end(self, orders: Sequence[LiveOrder], timeout_secs: float) -> frozenset[str]:
        """Cancel the orders; those without an answer, and what replaces one, where they turn up.

        Gives the client order ids of those that the venue has ended. Returns when that is all that
        is known to be open, or when the time is over.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_secs
        self._add(order.ref() for order in orders if _is_at_venue(order))
        unproven = [order.intent for order in orders if not order.is_proven and not order.is_held]
        unproven += [order.replacing for order in orders if order.replacing is not None]
        looks = 0
        while self._open or (unproven and looks < LOOKS_MIN):
            await self._cancel()
            if loop.time() >= until:
                break
            await asyncio.sleep(LOOK_SECS)
            looks += 1
            await self._read()
            await self._find(unproven)
        still = {ref.client_order_id for ref in self._open}
        proven = {order.intent.client_order_id for order in orders if _is_at_venue(order)}
        return frozenset(proven - still)

    def _add(self, refs: Iterator[OrderRef]) -> None:
        for ref in refs:
            key = (ref.instrument, ref.venue_order_id)
            if key not in self._seen:
                self._seen.add(key)
                self._open.add(ref)

    async def _cancel(self) -> None:
        for part in _parts(self._open - self._asked, self._can.batch_cancel_max):
            outcomes = await self._venue.cancel(part)
            for ref, outcome in zip(part, outcomes, strict=True):
                if isinstance(outcome, CancelAccepted):
                    self._asked.add(ref)

    async def _read(self) -> None:
        for part in _parts(self._open, self._can.batch_query_max):
            try:
                rows = await self._venue.orders(part)
            except VenueUnavailable as error:
                logger.error("orders that are cancelled can't be read: %s", error)
                return
            over = {(r.instrument, r.venue_order_id) for r in rows if r.state.is_terminal}
            self._open -= {ref for ref in part if (ref.instrument, ref.venue_order_id) in over}

    async def _find(self, unproven: Sequence[Intent]) -> None:
        if not unproven:
            return
        try:
            listed = await self._venue.open_orders(self._instruments)
        except VenueUnavailable as error:
            logger.error("open orders can't be read: %s", error)
            return
        self._add(ref_of(one) for one in listed if any(_is_of(i, one) for i in unproven))


def _is_at_venue(order: LiveOrder) -> bool:
    """Its id names it there, and not another order."""
    return order.is_proven and not order.is_forgotten and not order.is_displaced


def _is_of(intent: Intent, state: VenueOrder) -> bool:
    """By the id where the venue tells one, else by the fields, as a stop that has fired too."""
    if state.client_order_id:
        return state.client_order_id == intent.client_order_id
    if could_be(intent, state):
        return True
    return intent.kind in STOP_KINDS and could_be(fired(intent), state)


def _parts(refs: Collection[OrderRef], size: int) -> Iterator[list[OrderRef]]:
    listed = sorted(refs, key=lambda ref: (ref.instrument, ref.venue_order_id or ""))
    step = max(1, size)
    for start in range(0, len(listed), step):
        yield listed[start : start + step]
