"""What a venue must be told again and again while a run trades: supervised, never silently dead."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from fairlead.adapters.base.venue import Renewal, VenueError

logger = logging.getLogger(__name__)

RENEWAL_FAILED = "RENEWAL-FAILED"
RENEWAL_DEAD = "RENEWAL-DEAD"


class Renewals:
    """Runs each of them until stopped.

    One that the venue refuses is told by `on_problem(code, message)`, and comes again in its turn.
    One that ends in any other way can't go on: `on_fatal(code, message)` ends the run.
    """

    def __init__(
        self, on_problem: Callable[[str, str], None], on_fatal: Callable[[str, str], None]
    ) -> None:
        self._on_problem = on_problem
        self._on_fatal = on_fatal
        self._tasks: dict[asyncio.Task[None], str] = {}

    def start(self, renewals: Iterable[Renewal]) -> None:
        for one in renewals:
            task = asyncio.get_running_loop().create_task(self._renew(one), name=one.name)
            self._tasks[task] = one.name
            task.add_done_callback(self._ended)

    async def stop(self) -> None:
        tasks, self._tasks = self._tasks, {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _renew(self, one: Renewal) -> None:
        while True:
            await asyncio.sleep(one.every_secs)
            try:
                await one.renew()
            except VenueError as error:
                text = f"{one.name} was not renewed: {error}"
                logger.warning(text)
                self._on_problem(RENEWAL_FAILED, text)

    def _ended(self, task: asyncio.Task[None]) -> None:
        name = self._tasks.pop(task, None)
        if name is None:
            return  # stopped
        why = "cancelled" if task.cancelled() else repr(task.exception())
        self._on_fatal(RENEWAL_DEAD, f"{name} is renewed no more: {why}")
