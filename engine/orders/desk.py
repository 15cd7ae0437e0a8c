"""The order desk: the one path from an approved order to its terminal state.

An intent is journaled, sent once, and its answer journaled before anyone is told. An answer that
proves nothing leaves the order UNKNOWN: it is looked for until the venue shows it, or until it was
absent from every complete look for longer than the venue can lag. Nothing is ever sent twice.

Free of sockets and of NautilusTrader; the only clock is the event loop's, and `now_ns` for stamps.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal

from engine.orders.journal import Journal, JournaledOrder, JournalError
from engine.orders.late import GivenUp, LateOrders
from engine.orders.live import DeskSettings, LiveOrder, fingerprint
from engine.orders.model import (
    Absent,
    Accepted,
    Capabilities,
    EventSink,
    Found,
    Intent,
    OrderState,
    Outcome,
    Refused,
    Unknown,
    Unsure,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenueOrders,
    VenueUnavailable,
)
from engine.orders.permit import Permit, asking

logger = logging.getLogger(__name__)

SOONEST_SHARE = 0.25  # of the polling interval, after something has happened
KNOWN_IDS_WINDOW_NS = 3_600 * 1_000_000_000


class OrderDesk(LateOrders):
    """Owns every order of one venue account. One per account and process."""

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
    ) -> None:
        super().__init__(
            venue=venue,
            journal=journal,
            sink=sink,
            capabilities=capabilities,
            base_currency=base_currency,
            now_ns=now_ns,
        )
        self._settings = settings
        self._resolvers: dict[str, asyncio.Task[None]] = {}
        self._given_up = GivenUp(journal, now_ns)
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending: dict[Permit, asyncio.Event] = {}  # set when the submission has ended
        self.failure: BaseException | None = None  # a bug or a dead journal: the run must stop
        self.on_failure: Callable[[BaseException], None] | None = None

    # -- what the engine asks ------------------------------------------------------------------

    def live_orders(self) -> list[LiveOrder]:
        """Every order that is not terminal, UNKNOWN ones too."""
        return list(self._live.values())

    def unresolved(self) -> list[LiveOrder]:
        """Orders whose outcome nothing proves yet."""
        return [o for o in self._live.values() if not o.is_proven]

    def unbooked(self) -> list[LiveOrder]:
        """Orders that may have moved the account by more than is booked: what it holds proves
        nothing meanwhile.
        """
        return [o for o in self._live.values() if self._may_be_unbooked(o)]

    def get(self, client_order_id: str) -> LiveOrder | None:
        return self._live.get(client_order_id)

    async def submit(self, intents: Sequence[Intent]) -> None:
        """Journal, send once, and report. Returns when every answer is known or UNKNOWN."""
        if self.halted:
            self._refuse_unsent(intents, "DESK-HALTED", self.halted)
            return
        sendable = self._without_twins(intents)
        if not sendable:
            return
        ts_sent = self.journal.intend(sendable)  # durable before anything leaves this machine
        orders = []
        for intent in sendable:
            order = LiveOrder(
                JournaledOrder(
                    intent=intent,
                    state=OrderState.INTENDED,
                    venue_order_id=None,
                    filled=Decimal(0),
                    cost=Decimal(0),
                    cancel_requested=False,
                    ts_sent=ts_sent,
                )
            )
            order.loop_sent = asyncio.get_running_loop().time()
            self._live[intent.client_order_id] = order
            self._sink.order_submitted(intent)
            orders.append(order)
        size = self._can.batch_submit_max
        for start in range(0, len(orders), size):
            try:
                await self._send(orders[start : start + size])
            except asyncio.CancelledError:
                self._interrupted(orders[start + size :], is_unsent=True)
                raise

    async def cancel(self, client_order_ids: Sequence[str]) -> None:
        """Ask the venue to cancel; an order not proven yet is cancelled once it is."""
        targets: list[LiveOrder] = []
        for client_order_id in client_order_ids:
            order = self._live.get(client_order_id)
            if order is None:
                self._cancel_of_dead(client_order_id)
                continue
            targets.append(order)
        if not targets:
            return
        for order in targets:
            order.cancel_requested = True
        proven = [o for o in targets if o.is_proven]
        try:
            self.journal.cancel_requested([o.intent.client_order_id for o in targets])
        except JournalError:  # safe without a record, and the last that can be done
            await self._venue.cancel([order.ref() for order in proven])
            raise
        for start in range(0, len(proven), self._can.batch_cancel_max):
            await self._cancel_batch(proven[start : start + self._can.batch_cancel_max])

    async def query(self, client_order_id: str) -> None:
        """Ask the venue for one order now."""
        order = self._live.get(client_order_id)
        if order is None:
            return
        if not order.is_proven:
            self._resolve(order)
            return
        await self._refresh([order])

    # -- pushes from a private stream ----------------------------------------------------------

    def pushed_order(self, state: VenueOrder, fill: VenueFill | None) -> None:
        """A state or an execution that the venue sent by itself."""
        order = self._find_pushed(state)
        if order is None:
            return  # external, or already terminal: the periodic comparison reports it
        if order.venue_order_id is None:
            self._adopt(order, state.venue_order_id)
        is_of_another = self._is_of_another(order, state)
        if fill is not None:
            self._fill(order, fill)
        if not is_of_another:
            self._apply(order, state, from_push=True)

    async def refresh(self, *, must_read: bool = False) -> None:
        """Read every proven order now; what can't be read is left to the polls.

        With `must_read` it raises VenueUnavailable instead, and waits for the executions that
        are being read.
        """
        proven = [order for order in self._live.values() if order.is_proven]
        await self._refresh(proven, must_read=must_read)
        reads = [order.reading for order in proven if order.reading is not None]
        if must_read and reads:
            await asyncio.wait(reads)

    def refresh_soon(self) -> None:
        """Something may have been missed (a stream came back): read orders and balances."""
        self._poll_now.set()
        self._balances_now.set()

    def pushed_balances(self, balances: Sequence[VenueBalance]) -> None:
        self._sink.balances(balances, self._now_ns())

    def _find_pushed(self, state: VenueOrder) -> LiveOrder | None:
        named = self._live.get(state.client_order_id or "")
        if named is not None:  # its own word comes first: a venue that was reset counts anew
            return named
        cid = self._by_venue_id.get((state.instrument, state.venue_order_id))
        return self._live.get(cid) if cid is not None else None

    # -- life ----------------------------------------------------------------------------------

    def adopt_journal(self) -> list[LiveOrder]:
        """Take over every open order of the journal (after a restart), before anything is sent."""
        for journaled in self.journal.open_orders():
            order = LiveOrder(journaled)
            self._live[journaled.intent.client_order_id] = order
            if order.venue_order_id is not None:
                order.is_displaced = self.journal.is_displaced(journaled)
                if not order.is_displaced:
                    self._by_venue_id[order.intent.instrument, order.venue_order_id] = (
                        order.intent.client_order_id
                    )
                order.replacing, order.replace_ts, order.old_ids = self.journal.replacements(
                    order.intent.client_order_id
                )
                order.owes_read = bool(order.old_ids) and self._can.reports_fills
        self._given_up.recall()
        return self.live_orders()

    async def recover(self, timeout_secs: float) -> None:
        """Bring every adopted order up to date; looks for unproven ones until the timeout."""
        proven = [o for o in self._live.values() if o.is_proven]
        await self._refresh(proven, must_read=True)
        for order in proven:
            if order.is_displaced:
                self._displaced(order)
            elif order.replacing is not None and not order.state.is_terminal:
                self._resolve_replacement(order)
            elif order.misses:
                self._miss(order)
        waiting = []
        for order in self.unresolved():
            self._become_unknown(order, "the process ended before the answer was journaled")
            waiting.append(asyncio.ensure_future(order.settled.wait()))
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=timeout_secs)
            for task in late:
                task.cancel()
        # Executions being read, and what is missing: all is told from the journal next.
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=timeout_secs)

    def start(self) -> None:
        """Begin polling."""
        self._spawn(self._poll_orders(), "poll orders")
        self._spawn(self._poll_balances(), "poll balances")

    async def stop(self, *, cancel_open: bool) -> list[LiveOrder]:
        """Cancel or keep open orders, settle, and end. Gives the orders still unproven."""
        self._halt("the engine is stopping")
        deadline = asyncio.get_running_loop().time() + self._settings.settle_timeout_secs
        try:
            async with asyncio.timeout_at(deadline):
                await self._settle_all(cancel_open=cancel_open)
        except TimeoutError:
            logger.warning("the stop was not settled in %g s", self._settings.settle_timeout_secs)
        finally:
            await self.abandon()
        return self.unresolved()

    async def _settle_all(self, *, cancel_open: bool) -> None:
        for permit, ended in list(self._sending.items()):
            if permit.is_held:
                await ended.wait()  # the rate limiter gives it back at once, unsent
        for order in self.unresolved():
            if order.state is OrderState.INTENDED:  # its answer may never be read: look for it
                self._become_unknown(order, "the run stopped before the answer came")
        if cancel_open:
            await self.cancel(list(self._live))
        while waiting := self._unsettled(cancel_open=cancel_open):
            try:
                await self._refresh([o for o in waiting if o.is_proven])
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
        tasks = [*self._tasks, *self._resolvers.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._warn.tell_rest()

    # -- sending -------------------------------------------------------------------------------

    def _refuse_unsent(self, intents: Sequence[Intent], code: str, message: str) -> None:
        for intent in intents:
            self._sink.order_refused(intent, code, f"{message}; not sent", self._now_ns())

    def _without_twins(self, intents: Sequence[Intent]) -> list[Intent]:
        """Drop orders that a venue without client ids couldn't tell from an unproven one."""
        ids = [i.client_order_id for i in intents]
        assert len(set(ids)) == len(ids), f"client order ids repeat in one submission: {ids}"
        fresh = []
        for intent in intents:
            if intent.client_order_id in self._live or self.journal.order(intent.client_order_id):
                self._refuse_unsent([intent], "DESK-DUPLICATE-ID", "this id was used before")
            else:
                fresh.append(intent)
        if self._can.client_order_ids:
            return fresh
        unproven = {order.fingerprint() for order in self.unresolved()}
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

    async def _send(self, orders: Sequence[LiveOrder]) -> None:
        orders = self._without_killed(orders)
        if not orders:
            return
        intents = [order.intent for order in orders]
        with asking(lambda: self._stopped(intents), self._withdrawn) as permit:
            ended = self._sending[permit] = asyncio.Event()
            try:
                outcomes = await self._outcomes(intents)
            except asyncio.CancelledError:
                self._interrupted(orders, is_unsent=permit.is_held)
                raise
            finally:
                del self._sending[permit]
                ended.set()
        for order, outcome in zip(orders, outcomes, strict=True):
            await self._settle_submit(order, outcome)

    def _interrupted(self, orders: Sequence[LiveOrder], *, is_unsent: bool) -> None:
        """The task that sent them was cancelled: what waited for its turn never left."""
        for order in orders:
            if is_unsent and not order.state.is_terminal:
                why = self.halted or "the run ended"
                text = f"{why} while it waited to be sent; not sent"
                self._refuse(order, "DESK-UNSENT", text, {"reason": text})
            else:
                self.journal.note("INTERRUPTED", order.intent.client_order_id, None)

    async def _outcomes(self, intents: Sequence[Intent]) -> list[Outcome]:
        try:
            outcomes = await self._venue.submit(intents)
            assert len(outcomes) == len(intents), "one outcome per intent"
            return outcomes
        except Exception as error:  # a bug in the adapter: the order may be out there
            logger.exception("submit raised; its orders are UNKNOWN")
            return [Unknown(f"the adapter raised {type(error).__name__}") for _ in intents]

    async def _settle_submit(self, order: LiveOrder, outcome: Outcome) -> None:
        if isinstance(outcome, Accepted):
            self._adopt(order, outcome.venue_order_id)
            if outcome.order is not None:
                self._apply(order, outcome.order)
            if order.cancel_requested and not order.state.is_terminal:
                await self._cancel_batch([order])
        elif order.is_proven or order.state.is_terminal:  # a push was faster than the answer
            kind = "SUBMIT_" + type(outcome).__name__.upper()
            self.journal.note(kind, order.intent.client_order_id, outcome)
        elif isinstance(outcome, Refused):
            self._refuse(order, outcome.code, outcome.message, outcome)
        else:
            self._become_unknown(order, outcome.reason)

    def _adopt(self, order: LiveOrder, venue_order_id: str) -> None:
        """The venue has the order: journal it, then tell."""
        if order.venue_order_id is not None:
            return
        intent = order.intent
        state = order.first_state()
        former = self.journal.accepted(
            intent.client_order_id, venue_order_id, instrument=intent.instrument, state=state
        )
        self._own(order, venue_order_id, former)
        order.state = state
        order.absent_since = None
        self._sink.order_accepted(intent, venue_order_id, self._now_ns())
        self._poll_now.set()
        self._count_unknown()
        order.settled.set()

    # -- unknown outcomes ----------------------------------------------------------------------

    def _become_unknown(self, order: LiveOrder, reason: str) -> None:
        if order.state is not OrderState.UNKNOWN:
            self.journal.state(order.intent.client_order_id, OrderState.UNKNOWN, {"reason": reason})
            order.state = OrderState.UNKNOWN
            self._count_unknown()
        logger.warning("%s is UNKNOWN: %s", order.intent.client_order_id, reason)
        self._resolve(order)

    def _resolve(self, order: LiveOrder) -> None:
        cid = order.intent.client_order_id
        if cid in self._resolvers:
            return
        task = asyncio.ensure_future(self._look_until_proven(order))
        self._resolvers[cid] = task
        task.add_done_callback(lambda done: self._resolver_ended(cid, done))

    def _resolver_ended(self, cid: str, task: asyncio.Task[None]) -> None:
        self._resolvers.pop(cid, None)
        self._supervise(task)

    async def _look_until_proven(self, order: LiveOrder) -> None:
        """Query with growing waits until the order is found, or proven absent."""
        looks = 0
        delays = self._settings.unknown_query_secs
        while not order.is_proven and not order.state.is_terminal:
            await asyncio.sleep(delays[min(looks, len(delays) - 1)])
            looks += 1
            await self._look(order)

    async def _look(self, order: LiveOrder) -> None:
        intent = order.intent
        began = asyncio.get_running_loop().time()
        result = await self._venue.find(intent, self._known_to(order), self._sent(order))
        if order.is_proven or order.state.is_terminal:
            return  # a push proved it meanwhile
        if isinstance(result, Found):
            self.journal.note("FOUND", intent.client_order_id, result.order)
            self._adopt(order, result.order.venue_order_id)
            self._apply(order, result.order)
            if order.cancel_requested and not order.state.is_terminal:
                await self._cancel_batch([order])
        elif isinstance(result, Absent):
            self._absent(order, result, began)
        else:
            self._unsure(order, result)

    def _known_to(self, order: LiveOrder) -> frozenset[str]:
        """Venue order ids that are other orders', as far back as it matters."""
        since_ns = self._sent(order) - KNOWN_IDS_WINDOW_NS
        return self.journal.known_venue_ids(order.intent.instrument, since_ns)

    def _sent(self, order: LiveOrder) -> int:
        """When the order was sent: the earlier of what the clock said then and says of it now.

        A clock that was set in between would else make the order look newer than it is, and the
        venue's own time of it too old to be the answer.
        """
        if order.loop_sent is None:
            return order.ts_sent
        age_ns = int((asyncio.get_running_loop().time() - order.loop_sent) * 1e9)
        return min(order.ts_sent, self._now_ns() - age_ns)

    def _absent(self, order: LiveOrder, result: Absent, began: float) -> None:
        """Absence is proof only when consistent for longer than the venue can lag."""
        absent_secs = self._absent_secs(order, began)
        if absent_secs is None:
            return
        message = (
            f"absent from {order.absent_looks} complete looks over {absent_secs:.1f} s "
            f"({result.evidence})"
        )
        self._refuse(order, "ABSENT-PROVEN", message, result)
        self._given_up.add(order)

    def _unsure(self, order: LiveOrder, result: Unsure) -> None:
        order.absent_since = None
        intent = order.intent
        self.journal.note("UNSURE", intent.client_order_id, result)
        if result.ambiguous:
            self._tell(
                "ORDER-AMBIGUOUS",
                intent.instrument,
                intent.client_order_id,
                "sent, answer lost",
                result.reason,
                "nothing adopted; the instrument is halted until a person decides",
            )

    # -- polling -------------------------------------------------------------------------------

    async def _poll_orders(self) -> None:
        period = self._settings.poll_secs * (5 if self._can.private_stream else 1)
        while True:
            await _wait(self._poll_now, period, at_least=period * SOONEST_SHARE)
            await self._refresh([o for o in self._live.values() if o.is_proven])
            self._cancel_again()

    async def _poll_balances(self) -> None:
        while True:
            try:
                balances = await self._venue.balances()
                self.away.answered("balances")
                self._sink.balances(balances, self._now_ns())
            except VenueUnavailable as error:
                self.away.failed("balances", error)
            period = self._settings.balance_poll_secs
            await _wait(self._balances_now, period, at_least=period * SOONEST_SHARE)

    # -- inside --------------------------------------------------------------------------------

    def _spawn(self, coroutine: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        task.set_name(f"desk: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)
        return task

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._supervise(task)

    def _supervise(self, task: asyncio.Task[None]) -> None:
        """A desk task that dies of an exception is a bug or a dead journal: stop the run."""
        if task.cancelled() or task.exception() is None:
            return
        error = task.exception()
        assert error is not None
        self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Nothing more is created; the run is asked to stop."""
        is_bug = not isinstance(error, JournalError)
        logger.error("the order desk failed: %s", error, exc_info=error if is_bug else None)
        self._halt(f"the order desk failed: {error}")
        if self.failure is None:
            self.failure = error
            if self.on_failure is not None:
                self.on_failure(error)

    def _halt(self, why: str) -> None:
        """Nothing is created from now on; what still waits to be sent is refused."""
        self.halted = self.halted or why
        self._withdrawn.set()


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
