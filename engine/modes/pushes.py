"""What a private stream tells, in an order that is safe after a reconnect.

`Ready` says that the stream is (again) authenticated and subscribed. What happened before it was
not pushed, so the orders are read by REST first; pushes that come meanwhile wait, and follow.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from adapters.base.venue import BalancePush, OrderPush, Ready, StreamFault, StreamItem
from engine.orders.desk import OrderDesk

logger = logging.getLogger(__name__)

MAX_WAITING = 10_000  # pushes; at the limit they are told as they come
MAX_CATCH_UP_SECS = 10.0  # a venue that doesn't answer must not hold executions back


class PrivateItems:
    """Hands the items of one private stream to the desk. Call it with each item."""

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
                self._tell(item)
                return
            self._waiting.append(item)
            if len(self._waiting) >= MAX_WAITING:
                logger.warning("%d pushes wait for a read; told now", len(self._waiting))
                self.close()
                self._tell_waiting()

    def close(self) -> None:
        """End a read under way."""
        task, self._catching_up = self._catching_up, None
        if task is not None:
            task.cancel()

    def _begin(self) -> None:
        self.close()  # of a connection before this one; what it pushed stays in line
        task = asyncio.get_running_loop().create_task(self._catch_up())
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
        except Exception as error:  # of the journal: nobody awaits a callback
            self._on_error(error)
            return
        self._desk.refresh_soon()  # balances, and what changed since the read

    def _tell_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for item in waiting:
            self._tell(item)

    def _tell(self, item: OrderPush | BalancePush) -> None:
        if isinstance(item, OrderPush):
            self._desk.pushed_order(item.order, item.fill)
        else:
            self._desk.pushed_balances(item.balances)
