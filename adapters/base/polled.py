"""What of a venue's market data is asked for again and again, since the venue tells it nowhere."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from fairlead.adapters.base.runtime import VenueRuntime


class Polled(ABC):
    """A part of the market data client; `problem` hears why something could not be read."""

    name: ClassVar[str]

    def __init__(
        self,
        account: VenueRuntime,
        hand_on: Callable[[Any], None],
        problem: Callable[[str, str], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
    ) -> None:
        self._account = account
        self._hand_on = hand_on
        self._problem = problem
        self._spawn = spawn
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def poll(self) -> None:
        """Until nothing is wanted."""

    def begin(self) -> None:
        """Something is wanted."""
        if self._task is None or self._task.done():
            self._task = self._spawn(self.poll(), f"poll of {self.name}")
