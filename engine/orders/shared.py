"""What the parts of a desk share: the account's connection and journal, who is told, the brake."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence

from fairlead.engine.orders import permit
from fairlead.engine.orders.away import Away
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.live import DeskSettings
from fairlead.engine.orders.model import Capabilities, EventSink, Finding, Intent, VenueOrders
from fairlead.engine.warner import Warner

logger = logging.getLogger(__name__)

WITHDRAWN = "DESK-WITHDRAWN"  # the run stops, and the order was not sent yet


class Shared:
    """Of one desk. `on_failure` is told when a task dies of an exception."""

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
        boot: str,
        killed: Callable[[Intent], str | None] | None,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self.venue = venue
        self.journal = journal
        self.sink = sink
        self.can = capabilities
        self.settings = settings
        self.base_currency = base_currency
        self.now_ns = now_ns
        self.boot = boot
        self.warn = Warner(logger)
        self.away = Away(now_ns, self.warn)
        self.poll_now = asyncio.Event()
        self.balances_now = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()
        self.killed = killed  # the kill switch, asked last
        self.halted = ""  # why nothing may be created, or empty
        self.withdrawn = asyncio.Event()  # set with it: what waits to be sent is refused
        self.withdrawals: dict[str, str] = {}  # client order id -> why nothing of it is sent
        self._on_failure = on_failure

    # -- what may leave ------------------------------------------------------------------------

    def halt(self, why: str) -> None:
        """Nothing is created from now on; what still waits to be sent is refused."""
        self.halted = self.halted or why
        self.withdrawn.set()

    def withdraw(self, client_order_ids: Iterable[str], why: str) -> None:
        """Nothing more is sent of these; what of them waits to be sent is refused."""
        fresh = [name for name in client_order_ids if name not in self.withdrawals]
        if fresh:
            self.withdrawals.update(dict.fromkeys(fresh, why))
            if not self.halted:  # those that wait are woken, and the others wait on
                woken, self.withdrawn = self.withdrawn, asyncio.Event()
                woken.set()

    def stopped(self, intents: Sequence[Intent]) -> str | None:
        """Why none of these may leave any more, or None: the desk is halted or stops, what is not
        sent was withdrawn, or a kill.
        """
        if self.halted:
            return self.halted
        for one in intents:
            if (why := self.withdrawals.get(one.client_order_id)) is not None:
                return why
            if self.killed is not None and (why := self.killed(one)) is not None:
                return why
        return None

    def stop_code(self, intent: Intent) -> str:
        """Of what `stopped` says."""
        if self.halted:
            return "DESK-HALTED"
        return WITHDRAWN if intent.client_order_id in self.withdrawals else "DESK-KILLED"

    # -- who is told ---------------------------------------------------------------------------

    def tell(
        self,
        code: str,
        instrument: str,
        subject: str,
        journal: str,
        venue: str,
        action: str,
        *,
        is_known: bool = False,
    ) -> None:
        """`is_known`: the journal has it already, of an earlier look."""
        finding = self.finding(code, instrument, subject, journal, venue, action)
        if not is_known:
            self.journal.finding(finding)
        self.sink.finding(finding)

    def finding(
        self, code: str, instrument: str, subject: str, journal: str, venue: str, action: str
    ) -> Finding:
        return Finding(
            code=code,
            instrument=instrument,
            subject=subject,
            journal=journal,
            venue=venue,
            action=action,
            ts_event=self.now_ns(),
        )

    # -- tasks ---------------------------------------------------------------------------------

    def spawn(self, coroutine: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
        """Run in the background, supervised."""
        task = permit.begun(coroutine, f"desk: {name}")
        self.tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self.supervise(task)

    def supervise(self, task: asyncio.Task[None]) -> None:
        """A desk task that dies of an exception is a bug or a dead journal: stop the run."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Nothing more is created; the run is asked to stop."""
        self._on_failure(error)


class Part:
    """One part of a desk."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._venue = shared.venue
        self._journal = shared.journal
        self._sink = shared.sink
        self._can = shared.can
        self._now_ns = shared.now_ns
