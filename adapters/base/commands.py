"""Commands of the engine on their way to the order desk.

NautilusTrader hands an execution client its next command when the one before has ended, so each
waits for the venue's answers to all before it. In a stop none does: the rest of them comes at once,
and the exits that it sends wait behind no quote that is not answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from fairlead.engine.orders import permit


class Commands:
    """Those of one account that run. `idle` is set while there is none."""

    def __init__(self) -> None:
        self.idle = asyncio.Event()
        self.idle.set()
        self._running: set[asyncio.Task[None]] = set()
        self._waiting: set[asyncio.Future[None]] = set()  # NautilusTrader, for the end of each
        self._is_unblocked = False

    async def run(self, doing: Coroutine[Any, Any, None]) -> None:
        """Returns when it has ended, or at once from the stop on. It raises nothing of its own."""
        loop = asyncio.get_running_loop()
        task = permit.begun(doing, "command")
        self._running.add(task)
        self.idle.clear()
        waiting: asyncio.Future[None] = loop.create_future()
        self._waiting.add(waiting)
        task.add_done_callback(lambda _: self._ended(task, waiting))
        if self._is_unblocked:
            self._free(waiting)
        try:
            await waiting
        except asyncio.CancelledError:
            task.cancel()
            raise
        if task.done() and not task.cancelled():
            task.result()

    @property
    def count(self) -> int:
        """How many run: their answers have not come."""
        return len(self._running)

    def unblock(self) -> None:
        """From now on the next command comes at once, whatever becomes of those before it."""
        self._is_unblocked = True
        for waiting in list(self._waiting):
            self._free(waiting)

    async def end(self) -> None:
        """Cancel what runs still."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None], waiting: asyncio.Future[None]) -> None:
        self._running.discard(task)
        if not self._running:
            self.idle.set()
        if not task.cancelled():
            task.exception()  # looked at; who waits still is told
        self._free(waiting)

    def _free(self, waiting: asyncio.Future[None]) -> None:
        self._waiting.discard(waiting)
        if not waiting.done():
            waiting.set_result(None)
