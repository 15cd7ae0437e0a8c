"""Cancel what a kill covers at one venue account, from a process that sent none of it.

What to cancel comes from the journal (read only: the run that holds it may hang) and from the
venue's own list of open orders. An order is done when the venue says that it is over, or leaves it
out of several complete looks. Nothing is created and nothing is journaled: the run, or its next
start, finds out by polling.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

import msgspec

from fairlead.engine.orders.journal import Journal, JournaledOrder
from fairlead.engine.orders.live import KILL_STRATEGY, could_be
from fairlead.engine.orders.model import (
    Absent,
    CancelOutcome,
    CancelRefused,
    Found,
    Intent,
    OrderRef,
    OrderState,
    Unknown,
    VenueOrder,
    VenueOrders,
    VenueUnavailable,
    ref_of,
)
from fairlead.engine.orders.search import KNOWN_IDS_WINDOW_NS, Absence
from fairlead.engine.orders.sent import Stand, sent_since, stand_now

POLL_SECS = 0.2
CANCEL_AGAIN_SECS = 1.0  # a cancel is safe to repeat
SETTLE_SECS = 1.0  # orders that were on the wire when the kill came turn up within it
GONE_LOOKS = 3  # complete looks that leave an order out before it counts as gone
EXTERNAL = "EXTERNAL"
UNPROVEN = "nothing proves it gone"


class SweptOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One order, and what became of it. `state` is UNKNOWN for one that was never proven."""

    instrument: str
    venue_order_id: str
    client_order_id: str
    strategy: str
    state: OrderState
    is_left: bool
    detail: str = ""


class Target:
    """An order to be gone."""

    def __init__(self, ref: OrderRef, strategy: str, filled: Decimal = Decimal(0)) -> None:
        self.ref = ref
        self.strategy = strategy
        self.filled = filled
        self.state = OrderState.OPEN
        self.detail = ""
        self.asked_at: float | None = None
        self.missed = 0
        self.is_gone = False

    def seen(self, state: VenueOrder) -> None:
        self.missed = 0
        self.state = state.state
        self.filled = max(self.filled, state.filled)
        self.is_gone = state.state.is_terminal
        if self.is_gone:
            self.detail = ""  # why no cancel was taken is not how it ended

    def report(self) -> SweptOrder:
        detail = self.detail if self.is_gone else self.detail or UNPROVEN
        return SweptOrder(
            instrument=self.ref.instrument,
            venue_order_id=self.ref.venue_order_id or "",
            client_order_id=self.ref.client_order_id or "",
            strategy=self.strategy,
            state=self.state,
            is_left=not self.is_gone,
            detail=detail,
        )


class Lost:
    """An order of unknown outcome: the run had no answer when it was last able to write."""

    def __init__(self, order: JournaledOrder, quarantine_secs: float) -> None:
        self.order = order
        self.target: Target | None = None
        self.absence = Absence(quarantine_secs)
        self.is_absent = False

    @property
    def is_settled(self) -> bool:
        return self.is_absent or (self.target is not None and self.target.is_gone)


class Sweep:
    """One venue account. `covers` tells by strategy id what is killed, `whole_account` whether
    orders that no run of ours sent are, too. `quarantine_secs` of absence prove that an order of
    unknown outcome was never accepted.
    """

    def __init__(
        self,
        *,
        venue: VenueOrders,
        journal: Journal | None,
        instruments: Sequence[str],
        covers: Callable[[str], bool],
        whole_account: bool,
        batch_max: int,
        quarantine_secs: float,
        on_done: Callable[[SweptOrder], None],
        stand: Callable[[], Stand] = stand_now,
    ) -> None:
        self._stand = stand
        self._venue = venue
        self._journal = journal
        self._instruments = instruments
        self._covers = covers
        self._whole_account = whole_account
        self._batch_max = max(1, batch_max)
        self._quarantine_secs = quarantine_secs
        self._on_done = on_done
        self._targets: dict[tuple[str, str], Target] = {}
        self._lost: dict[str, Lost] = {}
        self.problem = ""  # why the last look failed, or empty
        self.is_reached = False  # the last look that was over was answered whole
        self._is_looking = False
        self.is_heeded = False  # a cancel was sent that the venue did not refuse,
        self.heeded: set[str] = set()  # of these client order ids

    # -- what is there -------------------------------------------------------------------------

    def read_journal(self) -> None:
        """Take what the journal knows now; again and again, as a run that lives goes on writing.

        Raises JournalError or sqlite3.Error.
        """
        if self._journal is None:
            return
        for order in self._journal.open_orders():
            intent = order.intent
            if not self._covers(intent.strategy) or intent.strategy == KILL_STRATEGY:
                continue
            if order.state is OrderState.HELD:
                continue  # not at the venue: `held` ends it, or its run releases it and it is lost
            if order.venue_order_id is None:
                self._lost.setdefault(intent.client_order_id, Lost(order, self._quarantine_secs))
                continue
            if self._journal.is_displaced(order):
                continue  # the id names another order now, which may not be covered
            target = self._target(intent, order.venue_order_id)
            lost = self._lost.get(intent.client_order_id)
            if lost is not None:
                lost.target = target

    def filled(self) -> dict[str, Decimal]:
        """Executed quantities that the venue told, by client order id, base units."""
        return {
            target.ref.client_order_id: target.filled
            for target in self._targets.values()
            if target.ref.client_order_id
        }

    def reports(self) -> list[SweptOrder]:
        """Every order met, those that are left included."""
        unproven = [
            SweptOrder(
                instrument=lost.order.intent.instrument,
                venue_order_id="",
                client_order_id=client_order_id,
                strategy=lost.order.intent.strategy,
                state=OrderState.REFUSED if lost.is_absent else OrderState.UNKNOWN,
                is_left=not lost.is_absent,
                detail="" if lost.is_absent else "its answer was lost and nothing proves it absent",
            )
            for client_order_id, lost in self._lost.items()
            if lost.target is None
        ]
        return [target.report() for target in self._targets.values()] + unproven

    def _target(self, intent: Intent, venue_order_id: str) -> Target:
        key = (intent.instrument, venue_order_id)
        if key not in self._targets:
            ref = OrderRef(
                instrument=intent.instrument,
                client_order_id=intent.client_order_id,
                venue_order_id=venue_order_id,
            )
            self._targets[key] = Target(ref, intent.strategy)
        return self._targets[key]

    def _pending(self) -> list[Target]:
        return [target for target in self._targets.values() if not target.is_gone]

    # -- doing ---------------------------------------------------------------------------------

    async def cancel(self) -> int:
        """Ask for the cancel of all that is pending and was not asked lately, in batches; how
        many these are.
        """
        now = asyncio.get_running_loop().time()
        due = [
            target
            for target in self._pending()
            if target.asked_at is None or now - target.asked_at >= CANCEL_AGAIN_SECS
        ]
        for target in due:
            target.asked_at = now
        parts = [due[i : i + self._batch_max] for i in range(0, len(due), self._batch_max)]
        await asyncio.gather(*(self._cancel_batch(part) for part in parts))
        return len(due)

    async def _cancel_batch(self, targets: Sequence[Target]) -> None:
        outcomes = await self._venue.cancel([target.ref for target in targets])
        for target, outcome in zip(targets, outcomes, strict=True):
            self._cancelled(target, outcome)

    def _cancelled(self, target: Target, outcome: CancelOutcome) -> None:
        if not isinstance(outcome, CancelRefused):
            self.is_heeded = True
            self.heeded.add(target.ref.client_order_id or "")
        if isinstance(outcome, CancelRefused):
            target.detail = f"{outcome.code}: {outcome.message}"
        elif isinstance(outcome, Unknown):
            target.detail = outcome.reason
        order = getattr(outcome, "order", None)
        if isinstance(order, VenueOrder):
            self._saw(target, order)

    async def finish(self, deadline: float) -> bool:
        """Cancel and look until nothing is left, or the loop's clock reaches `deadline`: what a
        venue does not answer until then is cut off.
        """
        try:
            async with asyncio.timeout_at(deadline) as limit:
                return await self._finish()
        except TimeoutError:
            if not limit.expired():
                raise
        if self._is_looking:
            self.problem = "KILL-TIMEOUT: the last look was not answered in time"
        elif not any(order.is_left for order in self.reports()):
            self.problem = "KILL-TIMEOUT: no time to see what is still on the wire"
        return False

    async def _finish(self) -> bool:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            looked_at = loop.time()
            is_whole = await self.look()
            pending = self._pending()
            is_over = not pending and all(lost.is_settled for lost in self._lost.values())
            if is_over and is_whole and looked_at - began >= SETTLE_SECS:
                return True
            if pending:
                await self.cancel()
            await asyncio.sleep(POLL_SECS)

    async def look(self) -> bool:
        """One look at everything; False when the venue could not be read whole."""
        self._is_looking = True
        self.read_journal()
        try:
            listed = await self._venue.open_orders(self._instruments)
            for state in listed:
                self._meet(state)
            pending = self._pending()
            told = await self._venue.orders([target.ref for target in pending])
            self._compare(pending, {(s.instrument, s.venue_order_id) for s in listed}, told)
            await asyncio.gather(*(self._find(lost) for lost in self._lost.values()))
        except VenueUnavailable as error:
            self.problem = str(error)
            self.is_reached = self._is_looking = False
            return False
        self.problem, self.is_reached, self._is_looking = "", True, False
        return True

    def _meet(self, state: VenueOrder) -> None:
        """An order that the venue lists as open: is it one to be gone?"""
        key = (state.instrument, state.venue_order_id)
        if key in self._targets:
            self._saw(self._targets[key], state)
            return
        owner = self._owner(state)
        if owner is None:
            if not self._whole_account:
                return
            self._targets[key] = Target(ref_of(state), EXTERNAL)
        elif owner.strategy == KILL_STRATEGY or not self._covers(owner.strategy):
            return
        else:
            self._target(owner, state.venue_order_id)
        self._saw(self._targets[key], state)

    def _owner(self, state: VenueOrder) -> Intent | None:
        """Whose order it is: by the journal's ids, else a lost order with the same fields."""
        if self._journal is not None:
            owner = self._journal.order_by_venue_id(state.instrument, state.venue_order_id)
            found = self._journal.order(owner or state.client_order_id or "")
            if found is not None:
                return found.intent
        for lost in self._lost.values():
            if lost.target is None and could_be(lost.order.intent, state):
                return lost.order.intent
        return None

    def _saw(self, target: Target, state: VenueOrder) -> None:
        was_gone = target.is_gone
        target.seen(state)
        if target.is_gone and not was_gone:
            self._on_done(target.report())

    def _compare(
        self,
        pending: Iterable[Target],
        listed: set[tuple[str, str]],
        told: Sequence[VenueOrder],
    ) -> None:
        by_id = {(state.instrument, state.venue_order_id): state for state in told}
        for target in pending:
            key = (target.ref.instrument, target.ref.venue_order_id or "")
            if (state := by_id.get(key)) is not None:
                self._saw(target, state)
            elif key not in listed:
                target.missed += 1
                if target.missed >= GONE_LOOKS:
                    target.is_gone, target.state = True, OrderState.CANCELED
                    target.detail = f"not listed in {target.missed} complete looks"
                    self._on_done(target.report())

    async def _find(self, lost: Lost) -> None:
        """Look for an order whose answer was lost; absence counts when it lasts."""
        if lost.target is not None or lost.is_absent:
            return
        intent = lost.order.intent
        assert self._journal is not None, "lost orders come from a journal"
        ts_sent, slack_ns = sent_since(self._journal, lost.order, self._stand())
        known = self._journal.known_venue_ids(intent.instrument, ts_sent - KNOWN_IDS_WINDOW_NS)
        began = asyncio.get_running_loop().time()  # a look can last longer than the lag
        result = await self._venue.find(intent, known, ts_sent, slack_ns)
        if isinstance(result, Found):
            lost.target = self._target(intent, result.order.venue_order_id)
            self._saw(lost.target, result.order)
        elif isinstance(result, Absent):
            lost.is_absent = lost.absence.count(began, result) is not None
        else:
            lost.absence.over()
