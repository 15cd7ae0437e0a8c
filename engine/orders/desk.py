"""The order desk: the one path from an approved order to its terminal state.

An intent is journaled, sent once, and its answer journaled before anyone is told. An answer that
proves nothing leaves the order UNKNOWN: it is looked for until the venue shows it, or until it was
absent from every complete look for longer than the venue can lag. Nothing is ever sent twice.

The desk conducts its parts: `Table` (live orders, and how the venue's words move them), `Search`
(the look until proven or absent), `Submission`, `Unproven`, `Missing`, `Cancels`, `Replacement`,
`Late`, `Held` (what the venue lacks and the engine holds for it). Free of sockets and of
NautilusTrader; the only clock is the event loop's, and `now_ns` for stamps.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from fairlead.engine.orders import permit
from fairlead.engine.orders.approved import Approved, intents_of
from fairlead.engine.orders.away import Away
from fairlead.engine.orders.cancels import Cancels
from fairlead.engine.orders.held import Held, HeldSettings
from fairlead.engine.orders.journal import Journal, JournaledOrder, JournalError
from fairlead.engine.orders.late import GivenUp, Late, LateLook
from fairlead.engine.orders.live import DeskSettings, LiveOrder
from fairlead.engine.orders.missing import Missing
from fairlead.engine.orders.model import (
    Capabilities,
    EventSink,
    Intent,
    OrderState,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenueOrders,
    VenueUnavailable,
    own_id,
)
from fairlead.engine.orders.replacement import Replacement
from fairlead.engine.orders.search import Search
from fairlead.engine.orders.sent import Sent
from fairlead.engine.orders.shared import Shared
from fairlead.engine.orders.submission import Submission
from fairlead.engine.orders.table import Table
from fairlead.engine.orders.unproven import Unproven

logger = logging.getLogger(__name__)

SOONEST_SHARE = 0.25  # of the polling interval, after something has happened


class OrderDesk:
    """Owns every order of one venue account. One per account and process.

    `killed` is the kill switch: why an order may not leave, asked last. `on_unknown` is told the
    number of orders whose outcome nothing proves.
    """

    def __init__(
        self,
        *,
        venue: VenueOrders,
        journal: Journal,
        sink: EventSink,
        capabilities: Capabilities,
        settings: DeskSettings,
        base_currency: Callable[[str], str],
        now_ns: Callable[[], int],
        boot: str = "",
        killed: Callable[[Intent], str | None] | None = None,
        on_unknown: Callable[[int], None] | None = None,
        held: HeldSettings | None = None,
    ) -> None:
        self.journal = journal
        self.failure: BaseException | None = None  # a bug or a dead journal: the run must stop
        self.on_failure: Callable[[BaseException], None] | None = None
        self._venue = venue
        self._settings = settings
        self._shared = shared = Shared(
            venue=venue,
            journal=journal,
            sink=sink,
            capabilities=capabilities,
            settings=settings,
            base_currency=base_currency,
            now_ns=now_ns,
            boot=boot,
            killed=killed,
            on_failure=self.fail,
        )
        self._table = table = Table(shared, on_unknown)
        times = Sent(shared)
        self._search = search = Search(shared, times)
        self._given_up = GivenUp(journal, now_ns)
        self._missing = missing = Missing(shared, table, search, self._told_again)
        self._cancels = cancels = Cancels(shared, table, missing)
        self._unproven = Unproven(shared, table, search, cancels, self._given_up)
        self._submission = Submission(shared, table, cancels, self._unproven, times)
        self._replacement = Replacement(shared, table, search, missing, cancels)
        self._late = Late(shared, table, search, cancels, self._given_up)
        self.held = Held(shared, table, self._submission, times, held or HeldSettings())
        cancels.end_held, self._replacement.change_held = self.held.cancel, self.held.change

    # -- what the engine asks ------------------------------------------------------------------

    @property
    def away(self) -> Away:
        """Which questions the venue does not answer now."""
        return self._shared.away

    def live_orders(self) -> list[LiveOrder]:
        """Every order that is not terminal, UNKNOWN ones too."""
        return list(self._table.live.values())

    def unresolved(self) -> list[LiveOrder]:
        """Orders whose outcome nothing proves yet."""
        return self._table.unresolved()

    def unbooked(self) -> list[LiveOrder]:
        """Orders that may have moved the account by more than is booked: what it holds proves
        nothing meanwhile.
        """
        return [o for o in self._table.live.values() if self._table.may_be_unbooked(o)]

    def missing(self) -> list[LiveOrder]:
        """Orders that the venue accepted and tells nothing of; forgotten ones too."""
        return [order for order in self._table.live.values() if order.is_missing]

    def given_up(self) -> list[LiveOrder]:
        """Orders that were proven absent lately: one that the venue shows after all is ours."""
        return self._given_up.orders()

    def may_turn_up_unnamed(self) -> list[LiveOrder]:
        """Of those that were given up the ones that the venue could show without our id."""
        return self._given_up.unnamed(self._shared.can)

    def get(self, client_order_id: str) -> LiveOrder | None:
        return self._table.live.get(client_order_id)

    def tell_answers(self, answered: Callable[[float], None]) -> None:
        """Of each submission, seconds from its turn to be sent to its answers."""
        self._submission.answered = answered

    def takes(self, kind: str) -> bool:
        """Whether an order of this kind can be given, to the venue or to the engine for it."""
        return self._shared.can.takes(kind)

    async def submit(self, approved: Sequence[Approved]) -> None:
        """Journal, send once, and report. Returns when every answer is known or UNKNOWN."""
        await self._submission.submit(intents_of(approved))

    def withdraw(self, client_order_ids: Iterable[str], why: str) -> None:
        """What of these is not sent yet never is: it is refused as soon as it comes."""
        self._submission.withdraw(client_order_ids, why)

    async def cancel(self, client_order_ids: Sequence[str]) -> None:
        """Ask the venue to cancel; an order not proven yet is cancelled once it is."""
        await self._cancels.ask(client_order_ids)

    async def replace(self, changed: Approved) -> None:
        """Cancel-replace at the venue; the order keeps its client order id here."""
        (intent,) = intents_of([changed])
        await self._replacement.replace(intent)

    async def query(self, client_order_id: str) -> None:
        """Ask the venue for one order now."""
        order = self._table.live.get(client_order_id)
        if order is None or order.is_held:
            return
        if not order.is_proven:
            self._unproven.look_for(order)
            return
        await self._missing.refresh([order])

    async def look_for_late(self, *, at_drift: bool = False) -> LateLook:
        """Look once more for the orders given up lately; see `Late.look`."""
        return await self._late.look(at_drift=at_drift)

    # -- pushes from a private stream ----------------------------------------------------------

    def pushed_order(self, state: VenueOrder, fill: VenueFill | None) -> None:
        """A state or an execution that the venue sent by itself."""
        order = self._find_pushed(state)
        if order is None:
            return  # external, or already terminal: the periodic comparison reports it
        if self._is_of_former_release(order, state):
            return
        if order.venue_order_id is None:
            self._table.adopt(order, state.venue_order_id)
        is_of_another = self._replacement.is_of_another(order, state)
        if fill is not None:
            self._table.fill(order, fill)
        if not is_of_another:
            self._table.apply(order, state, from_push=True)
            if self._shared.can.order_fees and order.told_filled > order.filled:
                self._read_fee(order)

    def _read_fee(self, order: LiveOrder) -> None:
        """What was pushed tells no fee, and a poll may be seconds away: ask for this order now.

        One read at a time; what comes meanwhile is left to the poll.
        """
        if order.reading is None and not order.state.is_terminal:
            order.reading = self._shared.spawn(self._fee_read(order), "read a fee")

    async def _fee_read(self, order: LiveOrder) -> None:
        try:
            await self._missing.refresh([order])
        finally:
            order.reading = None

    def _is_of_former_release(self, order: LiveOrder, state: VenueOrder) -> bool:
        """Of an order that was released, is over at the venue, and is held or released anew."""
        sent_id = order.intent.sent_id
        is_other = state.client_order_id is not None and state.client_order_id != sent_id
        is_now = order.venue_order_id is not None and state.venue_order_id == order.venue_order_id
        if not order.is_held and (is_now or not is_other or order.held is None):
            return False
        if state.filled or not (state.state.is_terminal or self._was_over(order, state)):
            self._late.came(order, state)  # it was given up, and came after all
        return True

    def _was_over(self, order: LiveOrder, state: VenueOrder) -> bool:
        """Whether the venue has told before that this release ended: what came now is older."""
        owner = self.journal.order_by_venue_id(state.instrument, state.venue_order_id)
        return owner == order.intent.client_order_id

    async def refresh(self, *, must_read: bool = False) -> None:
        """Read every proven order now; what can't be read is left to the polls.

        With `must_read` it raises VenueUnavailable instead, and waits for the executions that
        are being read.
        """
        proven = [order for order in self._table.live.values() if order.is_proven]
        await self._missing.refresh(proven, must_read=must_read)
        reads = [order.reading for order in proven if order.reading is not None]
        if must_read and reads:
            await asyncio.wait(reads)

    def refresh_soon(self) -> None:
        """Something may have been missed (a stream came back): read orders and balances."""
        self._shared.poll_now.set()
        self._shared.balances_now.set()

    def pushed_balances(self, balances: Sequence[VenueBalance]) -> None:
        self._shared.sink.balances(balances, self._shared.now_ns())

    def _find_pushed(self, state: VenueOrder) -> LiveOrder | None:
        named = self._table.live.get(own_id(state.client_order_id or ""))
        if named is not None:  # its own word comes first: a venue that was reset counts anew
            return named
        cid = self._table.by_venue_id.get((state.instrument, state.venue_order_id))
        return self._table.live.get(cid) if cid is not None else None

    async def _told_again(self, order: LiveOrder) -> None:
        """Its cancel may be sent now."""
        await self._cancels.batch([order], is_again=True)

    # -- life ----------------------------------------------------------------------------------

    def adopt_journal(self) -> list[LiveOrder]:
        """Take over every open order of the journal (after a restart), before anything is sent."""
        for journaled in self.journal.open_orders():
            self._adopt(journaled)
        self._given_up.recall()
        self._table.count_unknown()
        return self.live_orders()

    def _adopt(self, journaled: JournaledOrder) -> LiveOrder:
        order = LiveOrder(journaled)
        self._table.live[journaled.intent.client_order_id] = order
        if order.venue_order_id is not None:
            order.is_displaced = self.journal.is_displaced(journaled)
            if not order.is_displaced:
                self._table.by_venue_id[order.intent.instrument, order.venue_order_id] = (
                    order.intent.client_order_id
                )
            order.replacing, order.replace_ts, order.old_ids = self.journal.replacements(
                order.intent.client_order_id
            )
            order.owes_read = bool(order.old_ids) and self._shared.can.reports_fills
        self.held.adopt(order)
        return order

    def lacks(self, strategy: str) -> list[JournaledOrder]:
        """Open orders of the strategy that another process has sent, by the journal."""
        return [
            one
            for one in self.journal.open_orders(strategy)
            if one.intent.client_order_id not in self._table.live
        ]

    def take_up(self, strategy: str) -> list[LiveOrder]:
        """Prove what it `lacks` from now on. Only once no other desk has these orders any more:
        two would book an execution twice."""
        taken = [self._adopt(one) for one in self.lacks(strategy)]
        for order in taken:
            self._shared.sink.order_submitted(order.intent)
        self._begin(taken, "the process that sent it ended before its answer was journaled")
        self._table.count_unknown()
        return taken

    async def recover(self, timeout_secs: float) -> None:
        """Bring every adopted order up to date; looks for unproven ones until the timeout."""
        proven = [o for o in self._table.live.values() if o.is_proven]
        await self._missing.refresh(proven, must_read=True)
        unproven = self.unresolved()
        self._begin([*proven, *unproven], "the process ended before the answer was journaled")
        waiting = [asyncio.ensure_future(order.settled.wait()) for order in unproven]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=timeout_secs)
            for task in late:
                task.cancel()
        # Executions being read, and what is missing: all is told from the journal next.
        if self._shared.tasks:
            await asyncio.wait(set(self._shared.tasks), timeout=timeout_secs)

    def _begin(self, orders: Sequence[LiveOrder], why: str) -> None:
        """Look for those that were adopted and that no poll will tell of."""
        for order in orders:
            if order.is_displaced:
                self._table.displaced(order)
            elif not (order.is_proven or order.is_held or order.state.is_terminal):
                self._unproven.begin(order, why)
            elif order.replacing is not None and not order.state.is_terminal:
                self._replacement.look_for(order)
            elif order.misses:
                self._missing.look_for(order)

    def start(self) -> None:
        """Begin polling."""
        self._shared.spawn(self._poll_orders(), "poll orders")
        self._shared.spawn(self._poll_balances(), "poll balances")

    async def stop(self, *, cancel_open: bool, most_secs: float | None = None) -> list[LiveOrder]:
        """Cancel or keep open orders, settle, and end. Gives the orders still unproven.

        It takes as long as the settings say, and not more than `most_secs`.
        """
        self._shared.halt("the engine is stopping")
        limit_secs = self._settings.settle_timeout_secs
        if most_secs is not None:
            limit_secs = min(limit_secs, most_secs)
        deadline = asyncio.get_running_loop().time() + limit_secs
        try:
            with permit.apart():
                async with asyncio.timeout_at(deadline):
                    await self._settle_all(cancel_open=cancel_open)
                    if self.failure is None:
                        await self._read_balances()
        except TimeoutError:
            logger.warning("the stop was not settled in %g s", limit_secs)
        finally:
            await self.abandon()
        return self.unresolved()

    async def _settle_all(self, *, cancel_open: bool) -> None:
        await self._submission.wait_for_unsent()
        for order in self.unresolved():
            if order.state is OrderState.INTENDED:  # its answer may never be read: look for it
                self._unproven.begin(order, "the run stopped before the answer came")
        if cancel_open:
            await self.cancel(list(self._table.live))
        elif self.failure is None:  # what is kept is booked as far as the venue has filled it
            await self._missing.refresh([o for o in self.live_orders() if o.is_proven])
        while waiting := self._unsettled(cancel_open=cancel_open):
            try:
                await self._missing.refresh([o for o in waiting if o.is_proven])
            except Exception as error:
                if self.failure is None or isinstance(error, JournalError):
                    raise
                logger.exception("what ended the run ends its stop: cancels are not waited for")
                return
            await asyncio.sleep(0.05)

    def _unsettled(self, *, cancel_open: bool) -> list[LiveOrder]:
        """What a stop waits for, after a failure too: an order is over when the venue says so."""
        waiting = self.live_orders() if cancel_open else [*self.unresolved(), *self.missing()]
        return [order for order in waiting if not order.is_forgotten]

    async def abandon(self) -> None:
        """End every task now; what is not proven stays in the journal for the next start."""
        tasks = [*self._shared.tasks, *self._unproven.tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._shared.warn.tell_rest()

    # -- polling -------------------------------------------------------------------------------

    async def _poll_orders(self) -> None:
        period = self._settings.poll_secs * (5 if self._shared.can.private_stream else 1)
        while True:
            await _wait(self._shared.poll_now, period, at_least=period * SOONEST_SHARE)
            await self._missing.refresh([o for o in self._table.live.values() if o.is_proven])
            self._cancels.again()

    async def _read_balances(self) -> None:
        asked_ns = self._shared.now_ns()  # what is filled from now on may be in it, or not
        try:
            balances = await self._venue.balances()
            self.away.answered("balances")
            self._shared.sink.balances(balances, asked_ns)
        except VenueUnavailable as error:
            self.away.failed("balances", error)

    async def _poll_balances(self) -> None:
        while True:
            await self._read_balances()
            period = self._settings.balance_poll_secs
            await _wait(self._shared.balances_now, period, at_least=period * SOONEST_SHARE)

    def fail(self, error: BaseException) -> None:
        """Nothing more is created; the run is asked to stop."""
        is_bug = not isinstance(error, JournalError)
        logger.error("the order desk failed: %s", error, exc_info=error if is_bug else None)
        self._shared.halt(f"the order desk failed: {error}")
        if self.failure is None:
            self.failure = error
            if self.on_failure is not None:
                self.on_failure(error)


async def _wait(event: asyncio.Event, secs: float, *, at_least: float) -> None:
    """Until the event is set (and clear it), or the time is over; never sooner than `at_least`.

    Polls that follow events are joined, so that a burst of orders can't eat the rate budget.
    """
    await asyncio.sleep(at_least)
    try:
        async with asyncio.timeout(secs - at_least):
            await event.wait()
    except TimeoutError:
        pass
    event.clear()
