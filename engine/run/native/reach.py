"""A venue of NautilusTrader's own for `fairlead kill`: what cancels is NautilusTrader.

While a run holds the account, its own watch cancels through the client that it has, and the journal
tells what became of the orders: a second client beside it could take its private stream away. Where
no run lives, or one hangs, a short node does it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, closing

from nautilus_trader.live import LiveNodeConfig
from nautilus_trader.model import ClientOrderId

from fairlead.adapters.base.venue import VenueError
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.kill.account import Markets
from fairlead.engine.orders.files import AccountFiles
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.journal_reads import JournaledOrder
from fairlead.engine.orders.live import new_order
from fairlead.engine.orders.lock import AccountLock
from fairlead.engine.orders.model import (
    Absent,
    CancelAccepted,
    CancelOutcome,
    Capabilities,
    FindResult,
    Found,
    Intent,
    Lost,
    OrderRef,
    OrderState,
    Unknown,
    Unsure,
    VenueOrder,
    VenueUnavailable,
)
from fairlead.engine.run.native.adapter import ABLE, NoOrders
from fairlead.engine.run.native.clients import Clients
from fairlead.engine.run.native.look import look, told
from fairlead.engine.run.native.session import Looker, session

RUN_SECS = 4.0  # for a run that lives to cancel by itself
LOOK_SECS = 0.05
NOT_FLAT = (
    "positions at a venue of NautilusTrader's own are not closed by a kill: close them at the venue"
)


class NativeReach:
    """Implements `fairlead.engine.kill.account.Reached`."""

    capabilities: Capabilities = ABLE

    def __init__(
        self,
        clients: Clients,
        config: Callable[[], LiveNodeConfig],
        instruments: Sequence[str],
        files: AccountFiles,
    ) -> None:
        self.orders = NativeOrders(clients, config, instruments, files)

    def markets(self) -> Markets:
        raise FairleadError("NOT-FLAT", NOT_FLAT)

    async def connect(self) -> None:
        """With the first question."""

    async def close(self) -> None:
        await self.orders.close()


class NativeOrders(NoOrders):
    """Looks and cancels: as much of `VenueOrders` as a kill needs."""

    def __init__(
        self,
        clients: Clients,
        config: Callable[[], LiveNodeConfig],
        instruments: Sequence[str],
        files: AccountFiles,
    ) -> None:
        self._clients = clients
        self._config = config
        self._instruments = tuple(instruments)
        self._files = files
        self._stack = AsyncExitStack()
        self._looker: Looker | None = None
        self._lock = asyncio.Lock()
        self._asks_run: bool | None = None  # the run that holds the account does it
        self._waited: set[str] = set()

    async def close(self) -> None:
        await self._stack.aclose()

    async def _node(self) -> Looker:
        """Raises VenueUnavailable."""
        async with self._lock:
            if self._looker is None:
                node = session(self._clients, self._config, self._instruments, trading=True)
                try:
                    self._looker = await self._stack.enter_async_context(node)
                except VenueError as error:
                    raise VenueUnavailable(error.code, error.message) from error
            return self._looker

    async def _by_run(self, wanted: Iterable[str | None] = ()) -> bool:
        """Whether a run that lives does it: the `wanted`, client order ids that it is to end, are
        waited for once. What else is open is no sign that it hangs, and a second client beside a
        run that lives takes the venue's answers from it."""
        if self._asks_run is None:
            self._asks_run = _is_held(self._files)
        new = {name for name in wanted if name is not None} - self._waited
        self._waited |= new
        latest = asyncio.get_running_loop().time() + RUN_SECS
        while new and self._asks_run:
            new &= {order.intent.client_order_id for order in self._open()}
            if new and asyncio.get_running_loop().time() > latest:
                self._asks_run = False  # it hangs
            await asyncio.sleep(LOOK_SECS)
        return self._asks_run

    def _open(self) -> list[JournaledOrder]:
        if not self._files.journal.exists():
            return []
        with closing(Journal.reading(self._files.journal)) as journal:
            return journal.open_orders()

    def _journaled(self, refs: Sequence[OrderRef]) -> Mapping[str, JournaledOrder]:
        names = [ref.client_order_id for ref in refs if ref.client_order_id is not None]
        with closing(Journal.reading(self._files.journal)) as journal:
            found = ((name, journal.order(name)) for name in names)
            return {name: order for name, order in found if order is not None}

    async def cancel(self, refs: Sequence[OrderRef]) -> list[CancelOutcome]:
        if await self._by_run(ref.client_order_id for ref in refs):
            known = self._journaled(refs)
            orders = [known.get(ref.client_order_id or "") for ref in refs]
            return [
                Unknown("the run cancels it") if one is None else CancelAccepted(_state(one))
                for one in orders
            ]
        looker = await self._node()
        for ref in refs:
            name = ClientOrderId(ref.client_order_id or "-")
            order = looker.cache.order(name)
            if order is not None and not order.is_closed:
                looker.cancel_order(name)
        return [CancelAccepted() for _ in refs]

    async def orders(self, refs: Sequence[OrderRef]) -> list[VenueOrder]:
        if await self._by_run():
            return [_state(order) for order in self._journaled(refs).values()]
        looker = await self._node()
        names = [ClientOrderId(ref.client_order_id) for ref in refs if ref.client_order_id]
        found = (looker.cache.order(name) for name in names)
        return [told(order) for order in found if order is not None]

    async def open_orders(self, instruments: Sequence[str]) -> list[VenueOrder]:
        if await self._by_run():
            return [_state(one) for one in self._open() if one.venue_order_id is not None]
        looker = await self._node()
        return [
            told(order)
            for order in looker.cache.orders_open()
            if str(order.instrument_id) in instruments
        ]

    async def find(
        self, intent: Intent, known: frozenset[str], ts_sent: int, slack_ns: int = 0
    ) -> FindResult:
        if await self._by_run([intent.client_order_id]):
            return Unsure("the run that sent it asks for it")
        looker = await self._node()
        if looker.cache.instrument(looker.wanted[0]) is None:
            return Unsure("its instrument is not known yet")
        seen = await look(looker, [_lost(intent, ts_sent)])
        order = seen.orders.get(intent.client_order_id)
        return Absent("NautilusTrader's client does not know it") if order is None else Found(order)

    async def find_all(self, lost: Sequence[Lost]) -> list[FindResult]:
        return [await self.find(one.intent, one.known, one.ts_sent, one.slack_ns) for one in lost]


def _is_held(files: AccountFiles) -> bool:
    """Whether a run has the account."""
    try:
        with AccountLock(files.lock, " (looks)"):
            return False
    except FairleadError as error:
        if error.exit_code == Exit.LOCKED:
            return True
        raise


def _lost(intent: Intent, ts_sent: int) -> JournaledOrder:
    return new_order(intent, ts_sent, OrderState.UNKNOWN)


def _state(order: JournaledOrder) -> VenueOrder:
    """As the run has journaled what it was told."""
    intent = order.intent
    return VenueOrder(
        venue_order_id=order.venue_order_id or "",
        instrument=intent.instrument,
        side=intent.side,
        kind=intent.kind,
        state=order.state,
        quantity=intent.quantity,
        filled=order.filled,
        client_order_id=intent.client_order_id,
        price=intent.price,
        trigger_price=intent.trigger_price,
    )
