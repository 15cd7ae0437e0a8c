"""Cancels: asked for until the order has ended, through rate storms, lost answers and restarts."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence

from fairlead.engine.orders import permit
from fairlead.engine.orders.journal import JournalError
from fairlead.engine.orders.live import LiveOrder
from fairlead.engine.orders.missing import Missing
from fairlead.engine.orders.model import (
    CancelAccepted,
    CancelOutcome,
    CancelRefused,
    OrderState,
    Unknown,
)
from fairlead.engine.orders.shared import Part, Shared
from fairlead.engine.orders.table import Table

logger = logging.getLogger(__name__)

MAX_CANCEL_TRIES = 8
CANCEL_AGAIN_SECS = 5.0  # after tries that did not end the order


class Cancels(Part):
    """The part of a desk that cancels orders."""

    def __init__(self, shared: Shared, table: Table, missing: Missing) -> None:
        super().__init__(shared)
        self._table = table
        self._missing = missing
        self.end_held: Callable[[LiveOrder], None] = lambda _: None

    async def ask(self, client_order_ids: Sequence[str]) -> None:
        """Cancel these orders; one not proven yet is cancelled once it is."""
        targets: list[LiveOrder] = []
        for client_order_id in client_order_ids:
            order = self._table.live.get(client_order_id)
            if order is None:
                self._of_dead(client_order_id)
                continue
            if order.is_held:
                self.end_held(order)
                continue
            targets.append(order)
        if not targets:
            return
        if not self._can.cancels:
            await self._in_vain(targets)
            return
        new = [o.intent.client_order_id for o in targets if not o.cancel_requested]
        for order in targets:
            order.cancel_requested = True
        proven = [o for o in targets if o.is_proven]
        try:
            if new:  # what was asked for stays so: a second record would say nothing
                self._journal.cancel_requested(new)
        except JournalError:  # safe without a record, and the last that can be done
            await self._venue.cancel([order.ref() for order in proven])
            raise
        for start in range(0, len(proven), self._can.batch_cancel_max):
            await self.batch(proven[start : start + self._can.batch_cancel_max])

    async def _in_vain(self, orders: Sequence[LiveOrder]) -> None:
        """The venue cancels no single order: what it says is told, and nothing is read for it or
        asked again, since an exit, its own call, may wait behind this."""
        outcomes = await self._send_cancels(orders)
        for order, outcome in zip(orders, outcomes, strict=True):
            if isinstance(outcome, CancelRefused) and not order.state.is_terminal:
                self._refused(order, outcome)

    def _refused(self, order: LiveOrder, outcome: CancelRefused) -> None:
        cid = order.intent.client_order_id
        self._journal.note("CANCEL_CANCELREFUSED", cid, outcome)
        order.cancel_refusal = f"{outcome.code}: {outcome.message}"
        self._sink.cancel_refused(order.intent, outcome.code, outcome.message, self._now_ns())

    async def due(self, order: LiveOrder) -> None:
        """The order is known at the venue now: send the cancel that waited for that."""
        if order.cancel_requested and not order.state.is_terminal:
            await self.batch([order])

    def _of_dead(self, client_order_id: str) -> None:
        journaled = self._journal.order(client_order_id)
        if journaled is None:
            logger.debug("cancel of %s, which was never journaled", client_order_id)  # nor sent
            return
        self._sink.cancel_refused(
            journaled.intent,
            "DESK-CLOSED",
            f"the order is already {journaled.state}",
            self._now_ns(),
        )

    async def batch(self, orders: Sequence[LiveOrder], *, is_again: bool = False) -> None:
        """Try now. What stays open is tried again by the poll; `is_again`: nobody waits to hear."""
        pending = [o for o in orders if not o.state.is_terminal and not o.is_missing]
        self._not_before(pending, math.inf)
        try:
            with permit.apart():
                await self._try_cancels(pending, is_told=not is_again)
        finally:
            self._not_before(pending, asyncio.get_running_loop().time() + CANCEL_AGAIN_SECS)

    def again(self) -> None:
        """A cancel that was asked for is asked for until the order has ended."""
        if not self._can.cancels:
            return
        now = asyncio.get_running_loop().time()
        due = [
            order
            for order in self._table.live.values()
            if order.cancel_requested
            and order.is_proven
            and not order.is_missing
            and order.state is not OrderState.CANCELLING
            and now >= order.cancel_after
        ]
        for start in range(0, len(due), self._can.batch_cancel_max):
            batch = due[start : start + self._can.batch_cancel_max]
            self._shared.spawn(self.batch(batch, is_again=True), "cancel again")

    def _not_before(self, orders: Sequence[LiveOrder], loop_time: float) -> None:
        for order in orders:
            order.cancel_after = loop_time

    async def _try_cancels(self, pending: Sequence[LiveOrder], *, is_told: bool) -> None:
        for attempt in range(MAX_CANCEL_TRIES):
            if not pending:
                return
            outcomes = await self._send_cancels(pending)
            again = []
            for order, outcome in zip(pending, outcomes, strict=True):
                if await self._settle_cancel(order, outcome, is_told=is_told):
                    again.append(order)
            pending = again
            if pending:  # a cancel is safe to repeat
                await asyncio.sleep(min(0.1 * 2**attempt, 2.0))
        for order in pending if is_told else ():
            self._sink.cancel_refused(
                order.intent,
                "CANCEL-UNKNOWN",
                f"no answer in {MAX_CANCEL_TRIES} tries; it is tried again until the order ends",
                self._now_ns(),
            )

    async def _send_cancels(self, orders: Sequence[LiveOrder]) -> list[CancelOutcome]:
        try:
            return await self._venue.cancel([o.ref() for o in orders])
        except Exception as error:
            logger.exception("cancel raised")
            return [Unknown(f"the adapter raised {type(error).__name__}") for _ in orders]

    async def _settle_cancel(
        self, order: LiveOrder, outcome: CancelOutcome, *, is_told: bool
    ) -> bool:
        """True: try again."""
        if order.state.is_terminal:
            return False
        self._journal.note(
            "CANCEL_" + type(outcome).__name__.upper(), order.intent.client_order_id, outcome
        )
        order.cancel_refusal = ""
        if isinstance(outcome, CancelRefused):
            order.cancel_refusal = f"{outcome.code}: {outcome.message}"
        if isinstance(outcome, CancelAccepted):
            if outcome.order is not None:
                self._table.apply(order, outcome.order)
            self._shared.poll_now.set()
            return False
        await self._missing.refresh([order])
        if order.state.is_terminal or order.state is OrderState.CANCELLING:
            return False
        if not isinstance(outcome, CancelRefused):
            return True
        if order.misses and order.replacing is None:
            self._missing.look_for(order)  # its cancel is sent when it is told again
            return False
        if is_told and order.replacing is None:  # else what takes over is cancelled
            now = self._now_ns()
            self._sink.cancel_refused(order.intent, outcome.code, outcome.message, now)
        return False
