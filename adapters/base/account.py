"""One account at a venue that trades: its desk, recovery, comparison, and what is pushed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from decimal import Decimal
from functools import partial
from typing import Literal

from nautilus_trader.model import AccountType

from fairlead.adapters.base.apart import Apart
from fairlead.adapters.base.commands import Commands
from fairlead.adapters.base.connection import StreamSupervisor
from fairlead.adapters.base.journaled_account import JournaledAccount
from fairlead.adapters.base.runtime import VenueRuntime
from fairlead.adapters.base.trigger_feed import TriggerFeed
from fairlead.adapters.base.venue import (
    BalancePush,
    OrderPush,
    Ready,
    StreamFault,
    StreamItem,
    VenueError,
)
from fairlead.engine.config import model
from fairlead.engine.config.execution import able_with, drift_limits_of, held_of, settings_of
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.orders import permit
from fairlead.engine.orders.away import KEY_REFUSALS_MAX
from fairlead.engine.orders.balance_check import BALANCE_DRIFT, BalanceCheck
from fairlead.engine.orders.desk import OrderDesk
from fairlead.engine.orders.files import files_of
from fairlead.engine.orders.held import Regate
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.live import LiveOrder
from fairlead.engine.orders.lock import FlattenLock
from fairlead.engine.orders.model import (
    Capabilities,
    EventSink,
    Finding,
    Intent,
    VenueOrder,
    VenueUnavailable,
    ref_of,
)
from fairlead.engine.orders.reconcile import ORDER_OF_ANOTHER, compare, is_of_an_engine
from fairlead.engine.orders.taken_over import give_all_back
from fairlead.engine.orders.unjournaled import UnjournaledCancels
from fairlead.engine.risk.approval import Approvals
from fairlead.engine.risk.continuity import JOURNAL_EMPTY

logger = logging.getLogger(__name__)

COMPARE_EVERY_SECS = 30.0
ALONE_SECS = 30.0  # that a start waits for a flatten of another process
RECOVER_EXTRA_SECS = 10.0  # on top of the quarantine, for the looks themselves
CLOSED_FINDINGS = frozenset({"OVERFILL", "ORDER-AMBIGUOUS"})  # halt the instrument
JOURNAL_LOOK_SECS = 0.25  # a send looks, too
MAX_WAITING = 10_000  # pushes; at the limit they are told as they come
MAX_CATCH_UP_SECS = 10.0  # a venue that doesn't answer must not hold executions back
STOPPED = "STOPPED"
DRIFT_FINDINGS = frozenset({"ORDER-EXTERNAL", ORDER_OF_ANOTHER, "ORDER-LATE", BALANCE_DRIFT})


class Account(JournaledAccount):
    """What the execution client trades through, for as long as a run lasts."""

    def __init__(
        self,
        *,
        runtime: VenueRuntime,
        account: str,
        account_type: Literal["cash", "margin"] = "cash",
        journal: Journal,
        approvals: Approvals,
        config: model.Config,
        claimed: frozenset[str] = frozenset(),
        on_recovered: Callable[[Account], None],
        on_told: Callable[[Account], None] | None = None,
        on_halt: Callable[[str, str], None],
        on_sent: Callable[[Intent], None],
        on_over: Callable[[str], None],
        on_unknown: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__(runtime, journal, config)
        self.account = account
        self.account_type = AccountType.from_str(account_type.upper())
        self.approvals = approvals
        self._claimed = claimed
        self._externals: tuple[VenueOrder, ...] = ()
        self._on_recovered = on_recovered
        self._on_told = on_told
        self._on_halt = on_halt
        self._on_sent = on_sent
        self._on_over = on_over
        self._on_unknown = on_unknown
        self._private: StreamSupervisor | None = None
        self._pushes: PrivateItems | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connecting: asyncio.Task[None] | None = None
        self._is_given_up = False
        self._is_open = False  # recovered, and streaming
        self._is_settled = False  # the orders are, at the stop
        self.commands = Commands()
        self.desk: OrderDesk | None = None
        self.killed: Callable[[Intent], str | None] | None = None  # the kill switch, by order
        self.on_held: Callable[[str, str], None] | None = None  # by id, the kind that it waits as
        self.apart = Apart(journal)
        self._alone = FlattenLock(files_of(journal.path).flatten_lock)
        self.look_at_kills: Callable[[], None] = lambda: None  # what they closed, told at once
        self.regate: Regate | None = None  # the gate, on what is released of held orders

    # -- what the execution client reads -------------------------------------------------------

    @property
    def can_flatten(self) -> bool:
        """A kill closes its positions."""
        return True

    def externals(self) -> Sequence[VenueOrder]:
        """Orders of others, where no strategy claims the instrument.

        NautilusTrader gives every order of a claimed instrument to the claiming strategy, which
        would then manage what is not its own; there they stay findings.
        """
        return [order for order in self._externals if order.instrument not in self._claimed]

    def told(self) -> None:
        """The engine was told what the journal holds now; what comes after comes as events."""
        if self._on_told is not None:
            desk = self.desk
            self.apart.start(
                partial(self._on_told, self),
                lambda name: desk is not None and desk.get(name) is not None,
            )

    def order_sent(self, intent: Intent) -> None:
        """An order's request is about to go out: for the tick-to-order figure."""
        self._on_sent(intent)

    def order_over(self, client_order_id: str) -> None:
        """The order is proven to be over: it counts against no limit any more."""
        self._on_over(client_order_id)

    def order_held(self, intent: Intent) -> None:
        """The engine holds the order, or holds it again."""
        if self.on_held is not None:
            self.on_held(intent.client_order_id, intent.kind)

    def fatal(self, code: str, message: str) -> None:
        """The run can't go on; stops the node."""
        if code != STOPPED:
            self.runtime.fatal(code, message)

    def unresolved(self) -> list[str]:
        """Client order ids of orders whose outcome nothing proves, or that the venue forgot."""
        if self.desk is None:
            return []
        return [_id(order) for order in (*self.desk.unresolved(), *self.desk.missing())]

    def live(self) -> list[str]:
        """Client order ids of all orders that are not over, as far as is known."""
        live = [] if self.desk is None else map(_id, self.desk.live_orders())
        return [one for one in live if one not in self.ended_unjournaled]

    def held(self) -> list[str]:
        """Those of them that the engine holds: the venue knows nothing of them."""
        live = () if self.desk is None else self.desk.live_orders()
        return [_id(order) for order in live if order.is_held]

    def left_open(self) -> list[str]:
        """Those of orders that an ordered stop had to cancel and that are not proven cancelled."""
        if self.desk is None or not self._cancels_open():
            return []
        return [
            _id(order)
            for order in self.desk.live_orders()
            if order.is_proven and not order.is_missing and _id(order) not in self.ended_unjournaled
        ]

    def cancel_refusals(self) -> dict[str, str]:
        orders = () if self.desk is None else self.desk.live_orders()
        return {_id(one): one.cancel_refusal for one in orders if one.cancel_refusal}

    def found(self, finding: Finding) -> None:
        """Keep and print a finding; one that can't be true stops new orders in its instrument."""
        super().found(finding)
        if finding.code in CLOSED_FINDINGS:
            self._on_halt(finding.instrument, f"{finding.code} of {finding.subject}")

    # -- life ----------------------------------------------------------------------------------

    def position_tolerance(self) -> Decimal:
        """Two increments of the coarsest instrument; the tolerance holds for the whole account."""
        known = self.runtime.adapter.instruments
        coarsest = min(
            (known[n].size_precision for n in self.runtime.instruments if n in known), default=0
        )
        return Decimal(2).scaleb(-coarsest)

    def make_desk(self, sink: EventSink) -> OrderDesk:
        self.desk = OrderDesk(
            venue=self.orders,
            journal=self.journal,
            sink=sink,
            capabilities=self._able(),
            settings=settings_of(self._config.execution),
            base_currency=self._base_currency,
            now_ns=self.runtime.now_ns,
            boot=self.runtime.boot,
            killed=self.killed,
            on_unknown=self._on_unknown,
            held=held_of(self._held()),
        )
        self.desk.held.on_asked = self._on_halt
        self.desk.held.regate = self.regate
        if self._able().holds:
            self.runtime.on_market = TriggerFeed(self.desk.held, self.runtime.instruments).show
        self.desk.away.on_key_refused = self._key_refused
        answers = self.runtime.status.latency("answer")
        self.desk.tell_answers(lambda secs: answers.record(round(secs * 1e9)))
        return self.desk

    def _held(self) -> model.Held:
        named = self._config.venues.get(self.venue.lower())
        return model.Held() if named is None else named.held

    def _able(self) -> Capabilities:
        return able_with(self.runtime.adapter.capabilities, self._held())

    def _key_refused(self, error: VenueUnavailable) -> None:
        self.runtime.fatal(
            "KEY-REFUSED",
            f"{self.venue} refused the key {KEY_REFUSALS_MAX} times in a row ({error}); orders may "
            "be open there: look, give the key its rights back or name another, then start again",
        )

    def _base_currency(self, instrument: str) -> str:
        return self.runtime.adapter.instruments[instrument].base

    async def connect(self, desk: OrderDesk) -> None:
        """Connect, bring the journal up to date, compare with the venue, and open the stream.

        Raises FairleadError; `STOPPED` when the run is stopped meanwhile.
        """
        self._connecting = asyncio.ensure_future(self._connect(desk))
        try:
            await self._connecting
        except asyncio.CancelledError:
            if not self._is_given_up:
                raise
            raise FairleadError(STOPPED, "stopped while it connected", Exit.OK) from None
        finally:
            self._connecting = None

    def give_up_connecting(self) -> None:
        """The run is stopped: what the recovery has not proven stays in the journal."""
        if self._connecting is not None:
            self._is_given_up = True
            self._connecting.cancel()

    async def _connect(self, desk: OrderDesk) -> None:
        try:
            await self.runtime.ensure_connected()
        except VenueError as error:
            raise FairleadError(error.code, error.message, Exit.VENUE) from error
        balances = self._balance_check(desk)
        self._spawn(self._watch_journal(desk), "journal")
        try:
            await self._recover(desk, balances)
        except VenueUnavailable as error:
            raise FairleadError(error.code, error.message, Exit.VENUE) from error
        except VenueError as error:
            raise FairleadError(error.code, error.message, Exit.VENUE) from error
        self._on_recovered(self)
        await self._open_private_stream(desk)
        self._spawn(self._compare_for_ever(desk, balances), "compare")
        self._is_open = True

    async def _recover(self, desk: OrderDesk, balances: BalanceCheck) -> None:
        async with self._alone.held(ALONE_SECS):
            adopted = desk.adopt_journal()
        if not self.journal.has_orders():
            await self._meet_account()
        await desk.recover(self._config.execution.absent_quarantine_secs + RECOVER_EXTRA_SECS)
        async with self._alone.held(ALONE_SECS):
            for line in give_all_back(self.journal, self._least):
                logger.warning("%s: %s", self.venue, line)
        await self._compare(desk)
        await balances.compare(starting=True)
        self.compared_ns = self.now_ns()
        drift = [f for f in self.findings if f.code in DRIFT_FINDINGS]
        if adopted or drift:
            logger.warning(
                "%s: %d order%s taken over from the journal, %d difference%s",
                self.venue,
                *(len(adopted), "s" * (len(adopted) != 1)),
                *(len(drift), "s" * (len(drift) != 1)),
            )

    def _least(self, instrument: str) -> Decimal | None:
        """The smallest order; None of an instrument that the venue lists no more."""
        known = self.runtime.adapter.instruments.get(instrument)
        if known is None:
            return None
        return max(Decimal(1).scaleb(-known.size_precision), known.min_quantity)

    async def _meet_account(self) -> None:
        """The journal knows no order: is the account as new as that?

        Raises FairleadError `JOURNAL-EMPTY`, VenueUnavailable.
        """
        listed = await self.orders.open_orders(self.runtime.instruments)
        if not listed:
            return
        ours = [order for order in listed if is_of_an_engine(order.client_order_id)]
        found = Finding(
            code=JOURNAL_EMPTY,
            instrument=listed[0].instrument,
            subject=self.account,
            journal=f"{self.journal.path} is new and knows no order",
            venue=f"{len(listed)} open orders, {len(ours)} with ids as an engine gives them",
            action="none of them is managed, positions start from zero; was the journal taken "
            "away, or is another state_dir meant?",
            ts_event=self.now_ns(),
        )
        self.journal.finding(found)
        self.found(found)
        if ours and not self._config.execution.accept_unjournaled:
            raise FairleadError(
                JOURNAL_EMPTY,
                f"{found.journal}, {self.venue} has {found.venue} (the first: "
                f"{ours[0].client_order_id}). Put the journal back, or stop the engine that sent "
                "them; to leave them alone and start from zero all the same, cancel them at the "
                "venue, or set execution.accept_unjournaled = true for one start",
                Exit.DRIFT,
            )

    async def _compare(self, desk: OrderDesk) -> None:
        await desk.look_for_late()
        seen = await compare(self.orders, desk, self.runtime.instruments, self.runtime.now_ns)
        known = {f.subject for f in self.findings if f.code in DRIFT_FINDINGS}
        for finding in seen.findings:
            if finding.subject not in known:
                desk.journal.finding(finding)
                self.found(finding)
        self._externals = seen.externals
        if seen.late:
            await self.orders.cancel([ref_of(state) for state in seen.late])

    def _balance_check(self, desk: OrderDesk) -> BalanceCheck:
        return BalanceCheck(
            venue=self.venue,
            orders=self.orders,
            desk=desk,
            instruments=self.runtime.instruments,
            currencies_of=self._currencies_of,
            limits=drift_limits_of(self._config.execution),
            now_ns=self.now_ns,
            on_found=self.found,
            on_halt=self._on_halt,
        )

    def _currencies_of(self, instrument: str) -> tuple[str, str]:
        """Base and quote; of an instrument that the venue lists no more, none."""
        known = self.runtime.adapter.instruments.get(instrument)
        return ("", "") if known is None else (known.base, known.quote)

    async def _watch_journal(self, desk: OrderDesk) -> None:
        """A journal that is not the file it was ends the run: its orders would be forgotten."""
        while True:
            try:
                self.journal.require_file()
            except JournalError as error:
                desk.fail(error)
                return
            await asyncio.sleep(JOURNAL_LOOK_SECS)

    async def _compare_for_ever(self, desk: OrderDesk, balances: BalanceCheck) -> None:
        while True:
            await asyncio.sleep(COMPARE_EVERY_SECS)
            try:
                await self._compare(desk)
                await balances.compare()
            except VenueUnavailable as error:
                desk.away.failed("comparison", error)
            else:
                desk.away.answered("comparison")
                self.compared_ns = self.now_ns()

    def withdraw(self, client_order_ids: Iterable[str]) -> None:
        """The run stops: what of these is not sent never is, and no command waits for another."""
        self.commands.unblock()
        if self.desk is not None:
            self.desk.withdraw(client_order_ids, "the run stops")

    async def settle(self, most_secs: float) -> None:
        """Cancel or keep what is open and settle what is unproven, in so much time; once.

        For a stop whose run still hears what becomes of its orders, and of commands under way.
        """
        if self.desk is None or not self._is_open or self._is_settled:
            return
        deadline = asyncio.get_running_loop().time() + most_secs
        await self._settle(self.desk, most_secs)
        try:
            async with asyncio.timeout_at(deadline):
                await self.commands.idle.wait()
        except TimeoutError:
            logger.warning("%s: commands wait for their answers still", self.venue)

    async def _settle(self, desk: OrderDesk, most_secs: float | None = None) -> None:
        self._is_settled = True
        await self._end_tasks()
        cancels_open = self._cancels_open()
        if cancels_open:
            self.takes_ns = self.now_ns()
        try:
            await desk.stop(cancel_open=cancels_open, most_secs=most_secs)
        except JournalError as error:
            logger.error("the journal is dead at the stop: %s", error)
            if cancels_open:
                cancels = UnjournaledCancels(
                    self.orders,
                    self.runtime.adapter.capabilities,
                    self.runtime.instruments,
                )
                settle_secs = self._config.execution.settle_timeout_secs
                self.ended_unjournaled = await cancels.end(desk.live_orders(), settle_secs)

    def _cancels_open(self) -> bool:
        """Whether a stop takes orders away: by the config, where the venue can at all."""
        return self._config.run.on_stop == "cancel" and self._able().cancels

    async def disconnect(self, desk: OrderDesk) -> None:
        """Settle, where that was not done before, and close."""
        try:
            if not self._is_settled:
                await self._settle(desk)
        finally:
            await self.commands.end()
            await self._end_private_stream()
            await self.runtime.release()

    async def close(self) -> None:
        """End what a run that was cut off left running; the venue is asked nothing."""
        await self._end_tasks()
        await self.commands.end()
        await self._end_private_stream()
        if self.desk is not None:
            await self.desk.abandon()

    async def _end_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _end_private_stream(self) -> None:
        if self._private is not None:
            await self._private.stop()
            self._private = None
        if self._pushes is not None:
            self._pushes.close()

    # -- private stream ------------------------------------------------------------------------

    async def _open_private_stream(self, desk: OrderDesk) -> None:
        protocol = self.runtime.adapter.private_stream()
        if protocol is None:
            return

        def on_fault(item: StreamFault) -> None:
            """The stream's supervisor has logged it."""
            self.runtime.status.problem(self.now_ns(), item.code, item.message)

        self._pushes = PrivateItems(desk, on_fault=on_fault, on_error=desk.fail)
        self._private = self.runtime.stream("private", protocol, self._pushes)
        protocol.attach(self._private.send)
        self._private.start()

    def _spawn(self, coroutine: Coroutine[object, object, None], name: str) -> None:
        task = permit.begun(coroutine, f"{self.venue}: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            if isinstance(error, JournalError) and self.desk is not None:
                self.desk.fail(error)  # no defect: it is told what to do about it
                return
            logger.error("%s", task.get_name(), exc_info=error)
            self.fatal("TRADING-DEFECT", f"{type(error).__name__}: {error}")


def _id(order: LiveOrder) -> str:
    return order.intent.client_order_id


class PrivateItems:
    """Hands the items of one private stream to the desk. Call it with each item.

    `Ready` says that the stream is (again) authenticated and subscribed. What happened before it
    was not pushed, so the orders are read by REST first; pushes that come meanwhile wait, and
    follow.
    """

    def __init__(
        self,
        desk: OrderDesk,
        *,
        on_fault: Callable[[StreamFault], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._desk = desk
        self._on_fault = on_fault
        self._on_error = on_error
        self._catching_up: asyncio.Task[None] | None = None
        self._waiting: list[OrderPush | BalancePush] = []

    def __call__(self, item: StreamItem) -> None:
        if isinstance(item, Ready):
            self._begin()
        elif isinstance(item, StreamFault):
            self._on_fault(item)
        elif isinstance(item, (OrderPush, BalancePush)):
            if self._catching_up is None:
                self._tell_or_fail([item])
                return
            self._waiting.append(item)
            if len(self._waiting) >= MAX_WAITING:
                logger.warning("%d pushes wait for a read; told now", len(self._waiting))
                self.close()
                self._tell_waiting()

    def _tell_or_fail(self, items: Sequence[OrderPush | BalancePush]) -> None:
        """What the journal does not take ends the run, and is no defect of the stream."""
        try:
            for item in items:
                self._tell(item)
        except JournalError as error:
            self._on_error(error)

    def close(self) -> None:
        """End a read under way."""
        task, self._catching_up = self._catching_up, None
        if task is not None:
            task.cancel()

    def _begin(self) -> None:
        self.close()  # of a connection before this one; what it pushed stays in line
        task = permit.begun(self._catch_up())
        self._catching_up = task
        task.add_done_callback(self._caught_up)

    async def _catch_up(self) -> None:
        try:
            async with asyncio.timeout(MAX_CATCH_UP_SECS):
                await self._desk.refresh()
        except TimeoutError:
            logger.warning("the orders were not read in %g s; polls go on", MAX_CATCH_UP_SECS)

    def _caught_up(self, task: asyncio.Task[None]) -> None:
        if task is not self._catching_up:
            return  # cancelled, or followed by another
        self._catching_up = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_error(error)
            return
        try:
            self._tell_waiting()
        except Exception as error:  # nobody awaits a callback
            self._on_error(error)
            return
        self._desk.refresh_soon()  # balances, and what changed since the read

    def _tell_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._tell_or_fail(waiting)

    def _tell(self, item: OrderPush | BalancePush) -> None:
        if isinstance(item, OrderPush):
            self._desk.pushed_order(item.order, item.fill)
        else:
            self._desk.pushed_balances(item.balances)
