"""From an approved intent to its answer: journaled, sent once, and what came of it told.

Nothing is ever sent twice: an answer that proves nothing makes the order UNKNOWN.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from fairlead.engine.orders.cancels import Cancels
from fairlead.engine.orders.live import LiveOrder, fingerprint, new_order
from fairlead.engine.orders.model import Accepted, Intent, Outcome, Refused, Unknown
from fairlead.engine.orders.permit import Permit, asking
from fairlead.engine.orders.sent import Sent
from fairlead.engine.orders.shared import WITHDRAWN, Part, Shared
from fairlead.engine.orders.table import Table
from fairlead.engine.orders.unproven import Unproven

logger = logging.getLogger(__name__)


class Submission(Part):
    """The part of a desk that sends orders."""

    def __init__(
        self, shared: Shared, table: Table, cancels: Cancels, unproven: Unproven, times: Sent
    ) -> None:
        super().__init__(shared)
        self._times = times
        self._table = table
        self._cancels = cancels
        self._unproven = unproven
        self._sending: dict[Permit, asyncio.Event] = {}  # set when the submission has ended
        self.takes: Callable[[Intent], bool] = lambda _: False  # who holds what is not sent
        self.hold: Callable[[Sequence[Intent]], None] = lambda _: None
        self.answered: Callable[[float], None] = lambda _: None  # seconds that answers took

    async def wait_for_unsent(self) -> None:
        """After a halt: until what waited for its turn has been given back, unsent."""
        for permit, ended in list(self._sending.items()):
            if permit.is_held:
                await ended.wait()  # the rate limiter gives it back at once

    async def submit(self, intents: Sequence[Intent]) -> None:
        """Journal, send once, and report. Returns when every answer is known or UNKNOWN."""
        if self._shared.halted:
            self._refuse_unsent(intents, "DESK-HALTED", self._shared.halted)
            return
        sendable = self._without_twins(self._without_withdrawn(intents))
        if held := [one for one in sendable if self.takes(one)]:
            self.hold(held)
            sendable = [one for one in sendable if one not in held]
        if not sendable:
            return
        self._times.note()
        ts_sent = self._journal.intend(sendable)  # durable before anything leaves this machine
        orders = []
        for intent in sendable:
            order = LiveOrder(new_order(intent, ts_sent))
            order.loop_sent = asyncio.get_running_loop().time()
            self._table.live[intent.client_order_id] = order
            self._sink.order_submitted(intent)
            orders.append(order)
        size = self._can.batch_submit_max
        for start in range(0, len(orders), size):
            try:
                await self.send(orders[start : start + size])
            except asyncio.CancelledError:
                self._interrupted(orders[start + size :], is_unsent=True)
                raise

    def _refuse_unsent(self, intents: Sequence[Intent], code: str, message: str) -> None:
        for intent in intents:
            self._sink.order_refused(intent, code, f"{message}; not sent", self._now_ns())

    def _without_withdrawn(self, intents: Sequence[Intent]) -> list[Intent]:
        sendable = []
        for intent in intents:
            if (why := self._shared.withdrawals.get(intent.client_order_id)) is None:
                sendable.append(intent)
            else:
                self._refuse_unsent([intent], WITHDRAWN, why)
        return sendable

    def withdraw(self, client_order_ids: Iterable[str], why: str) -> None:
        """Nothing more is sent of these orders; one whose request is out already stays as it is."""
        self._shared.withdraw(client_order_ids, why)
        for permit in self._sending:
            permit.withdrawn = self._shared.withdrawn  # for what may wake it next

    def _without_twins(self, intents: Sequence[Intent]) -> list[Intent]:
        """Drop orders that a venue without client ids couldn't tell from an unproven one."""
        ids = [i.client_order_id for i in intents]
        assert len(set(ids)) == len(ids), f"client order ids repeat in one submission: {ids}"
        fresh = []
        for intent in intents:
            if intent.client_order_id in self._table.live or self._journal.order(
                intent.client_order_id
            ):
                self._refuse_unsent([intent], "DESK-DUPLICATE-ID", "this id was used before")
            else:
                fresh.append(intent)
        if self._can.client_order_ids:
            return fresh
        unproven = {order.fingerprint() for order in self._table.unresolved()}
        sendable = []
        for intent in fresh:
            if fingerprint(intent) in unproven:
                self._refuse_unsent(
                    [intent],
                    "DESK-UNPROVEN-TWIN",
                    "an order with the same fields waits for its outcome, and the venue could not "
                    "tell them apart; change price or size, or wait",
                )
                continue
            unproven.add(fingerprint(intent))
            sendable.append(intent)
        return sendable

    async def send(self, orders: Sequence[LiveOrder]) -> None:
        orders = self._without_killed(orders)
        if not orders:
            return
        intents = [order.intent for order in orders]
        with asking(lambda: self._shared.stopped(intents), self._shared.withdrawn) as permit:
            ended = self._sending[permit] = asyncio.Event()
            try:
                began = asyncio.get_running_loop().time()
                outcomes = await self._outcomes(intents)
                self.answered(asyncio.get_running_loop().time() - began)
            except asyncio.CancelledError:
                self._interrupted(orders, is_unsent=permit.is_held)
                raise
            finally:
                del self._sending[permit]
                ended.set()
        for order, intent, outcome in zip(orders, intents, outcomes, strict=True):
            await self._settle(order, intent, outcome)

    def _interrupted(self, orders: Sequence[LiveOrder], *, is_unsent: bool) -> None:
        """The task that sent them was cancelled: what waited for its turn never left."""
        for order in orders:
            if is_unsent and not order.state.is_terminal:
                why = self._shared.halted or "the run ended"
                text = f"{why} while it waited to be sent; not sent"
                self._table.refuse(order, "DESK-UNSENT", text, {"reason": text})
            else:
                self._journal.note("INTERRUPTED", order.intent.client_order_id, None)

    async def _outcomes(self, intents: Sequence[Intent]) -> list[Outcome]:
        try:
            outcomes = await self._venue.submit(intents)
            assert len(outcomes) == len(intents), "one outcome per intent"
            return outcomes
        except Exception as error:  # a bug in the adapter: the order may be out there
            logger.exception("submit raised; its orders are UNKNOWN")
            return [Unknown(f"the adapter raised {type(error).__name__}") for _ in intents]

    async def _settle(self, order: LiveOrder, sent: Intent, outcome: Outcome) -> None:
        if order.is_held or order.intent.release != sent.release:  # it ended by a push, and is held
            kind = "RELEASE_" + type(outcome).__name__.upper()
            self._journal.note(kind, order.intent.client_order_id, outcome)
        elif isinstance(outcome, Accepted):
            self._table.adopt(order, outcome.venue_order_id)
            if outcome.order is not None:
                self._table.apply(order, outcome.order)
            await self._cancels.due(order)
        elif order.is_proven or order.state.is_terminal:  # a push was faster than the answer
            kind = "SUBMIT_" + type(outcome).__name__.upper()
            self._journal.note(kind, order.intent.client_order_id, outcome)
        elif isinstance(outcome, Refused):
            self._table.refuse(order, outcome.code, outcome.message, outcome)
        else:
            self._unproven.begin(order, outcome.reason)

    def _without_killed(self, orders: Sequence[LiveOrder]) -> list[LiveOrder]:
        """Refuse, unsent, what the kill switch or a stop forbids: the last look before the wire."""
        sendable = []
        for order in orders:
            why = self._shared.stopped([order.intent])
            if why is None:
                sendable.append(order)
            else:
                code = self._shared.stop_code(order.intent)
                self._table.refuse(order, code, f"{why}; not sent", {"reason": why})
        return sendable
