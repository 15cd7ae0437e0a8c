"""What the account itself has resting where a closing order would meet it, whoever's it is.

A venue ends one of the two, or lets the account trade with itself: then another strategy has what
was closed, and both fees are paid.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from decimal import Decimal

from fairlead.engine.orders.desk import OrderDesk
from fairlead.engine.orders.journal import Journal, JournaledOrder
from fairlead.engine.orders.live import KILL_STRATEGY
from fairlead.engine.orders.model import (
    Intent,
    OrderRef,
    OrderState,
    Side,
    VenueOrders,
    VenueUnavailable,
)

CLEAR_SECS = 3.0  # for what lies in the way to be over; then positions are closed all the same
POLL_SECS = 0.1
CANCEL_AGAIN_SECS = 1.0


class Way:
    """Of one venue account. `tell` gets a line for a person; `worst` is the price through which an
    order of this instrument and side executes nothing, None where it can't be known: all meets it.
    """

    def __init__(
        self,
        venue: VenueOrders,
        journal: Journal,
        desk: OrderDesk,
        worst: Callable[[str, Side], Awaitable[Decimal | None]],
        tell: Callable[[str], None],
    ) -> None:
        self._venue = venue
        self._journal = journal
        self._desk = desk
        self._worst = worst
        self._tell = tell
        self._closing: dict[str, tuple[Side, Decimal | None]] = {}  # by instrument: up to a price

    @contextlib.asynccontextmanager
    async def cleared(self, closing: Iterable[Intent]) -> AsyncIterator[None]:
        """What these would meet is cancelled before, and waited for, a few seconds; meanwhile
        `meets` tells what may not be sent. Raises JournalError."""
        try:
            for one in closing:
                self._closing[one.instrument] = one.side, one.price
                if one.price is None and self._open():
                    worst = await self._worst(one.instrument, one.side)
                    self._closing[one.instrument] = one.side, worst
            await self._clear()
            yield
        finally:
            self._closing = {}

    def meets(self, intent: Intent) -> bool:
        """Whether a closing order that is under way would execute against it."""
        side, worst = self._closing.get(intent.instrument, (intent.side, None))
        if not could_meet(intent, side):
            return False
        if worst is None or intent.price is None:
            return True
        return intent.price <= worst if side is Side.BUY else intent.price >= worst

    async def _clear(self) -> None:
        loop = asyncio.get_running_loop()
        asked, until = loop.time() - CANCEL_AGAIN_SECS, loop.time() + CLEAR_SECS
        told: set[str] = set()
        gone: set[str] = set()
        while met := self._met(gone):
            if loop.time() >= until:
                self._tell(
                    f"{', '.join(map(_named, met))}: not cancelled after {CLEAR_SECS:g} s; what "
                    "closes is sent all the same"
                )
                return
            for order in met:
                if order.intent.client_order_id not in told:
                    told.add(order.intent.client_order_id)
                    self._tell(f"{_named(order)} lies in the way of what closes: it is cancelled")
            if loop.time() - asked >= CANCEL_AGAIN_SECS:
                asked = loop.time()
                await self._cancel(met)
            gone |= await self._gone(met)
            await asyncio.sleep(POLL_SECS)

    def _open(self) -> list[JournaledOrder]:
        """Of all strategies: a process that only flattens has a journal of its own orders. What
        was sent a moment ago is there; of one whose outcome is unknown nobody can tell the end."""
        return [
            order
            for order in Journal.open_orders(self._journal)
            if order.state is OrderState.INTENDED
            or (
                order.venue_order_id is not None
                and order.state not in (OrderState.HELD, OrderState.WAITING)
            )
        ]

    def _met(self, gone: Collection[str]) -> list[JournaledOrder]:
        return [
            order
            for order in self._open()
            if order.intent.client_order_id not in gone and self.meets(order.intent)
        ]

    async def _cancel(self, met: Sequence[JournaledOrder]) -> None:
        names = [order.intent.client_order_id for order in met]
        known = [name for name in names if self._desk.get(name) is not None]
        await self._desk.cancel(known)
        others = [
            _ref(order)
            for order in met
            if order.intent.client_order_id not in known and order.venue_order_id is not None
        ]
        await asyncio.gather(*(self._venue.cancel([one]) for one in others))

    async def _gone(self, met: Sequence[JournaledOrder]) -> set[str]:
        """Those that are over at the venue: who has the account books their ends. One that is being
        cancelled trades still, and is in no list of what is open; one that the venue does not tell
        by its id is over where such a list leaves it out.
        """
        asked = [order for order in met if order.venue_order_id is not None]
        try:
            told = [await self._venue.orders([_ref(order)]) for order in asked]
            listed = await self._venue.open_orders(sorted({o.intent.instrument for o in asked}))
        except VenueUnavailable:
            return set()
        ends: dict[tuple[str, str | None], bool] = {
            (one.instrument, one.venue_order_id): one.state.is_terminal
            for states in told
            for one in states
        }
        there = {(one.instrument, one.venue_order_id) for one in listed}
        return {
            order.intent.client_order_id
            for order in asked
            if ends.get(key := (order.intent.instrument, order.venue_order_id), key not in there)
        }


def could_meet(intent: Intent, side: Side) -> bool:
    """Whether an order that closes, of this side, would meet it at some price: a stop that waits
    for its trigger rests in no book."""
    if intent.strategy == KILL_STRATEGY or side is intent.side or intent.price is None:
        return False
    return not intent.protects and intent.trigger_price is None


def _ref(order: JournaledOrder) -> OrderRef:
    return OrderRef(
        instrument=order.intent.instrument,
        client_order_id=order.intent.client_order_id,
        venue_order_id=order.venue_order_id,
    )


def _named(order: JournaledOrder) -> str:
    one = order.intent
    return f"{one.instrument} {one.side} at {one.price:f} ({one.strategy} {one.client_order_id})"
