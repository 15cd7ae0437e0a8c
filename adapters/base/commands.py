"""Commands of the engine on their way to the order desk.

NautilusTrader hands an execution client its next command when the one before has returned, and at
the stop drops those that wait still, with an error line each. So each is taken at once. Those of
one instrument follow one another, as they were given: an order after the cancel that makes room
for it. Those of two don't wait for each other's answers. In a stop nothing waits: the exits that
it sends wait behind no quote that is not answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fairlead.engine.orders import permit

Command = Callable[[], Coroutine[Any, Any, None]]


class Commands:
    """Those of one account that run. `idle` is set while there is none."""

    def __init__(self) -> None:
        self.idle = asyncio.Event()
        self.idle.set()
        self._running: dict[asyncio.Task[None], asyncio.Future[None]] = {}  # done: its turn is over
        self._last: dict[str, asyncio.Future[None]] = {}  # the newest turn of each subject
        self._is_unblocked = False

    def take(self, subject: str, command: Command) -> None:
        """Begins it when what was taken before it of the subject has ended.

        What it raises is the caller's to catch: nobody waits for it.
        """
        before = None if self._is_unblocked else self._last.get(subject)
        turn = asyncio.get_running_loop().create_future()
        self._last[subject] = turn
        task = permit.begun(_in_turn(before, command), "command")
        self._running[task] = turn
        self.idle.clear()
        task.add_done_callback(lambda _: self._ended(task, subject))

    @property
    def count(self) -> int:
        """How many run: their answers have not come."""
        return len(self._running)

    def unblock(self) -> None:
        """From now on each begins at once, whatever becomes of those before it."""
        self._is_unblocked = True
        for turn in self._running.values():
            _over(turn)

    async def end(self) -> None:
        """Cancel what runs still."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None], subject: str) -> None:
        turn = self._running.pop(task)
        if not self._running:
            self.idle.set()
        _over(turn)
        if self._last.get(subject) is turn:
            del self._last[subject]
        if not task.cancelled() and (error := task.exception()) is not None:
            context = {"message": "a command's error was not caught", "exception": error}
            task.get_loop().call_exception_handler(context)


async def _in_turn(before: asyncio.Future[None] | None, command: Command) -> None:
    if before is not None:
        await asyncio.wait([before])
    await command()


def _over(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
