"""An event loop whose clock moves only when nothing else can run.

Hours of timeouts and backoff pass in milliseconds, in an order that depends on nothing but the
program: the same program gives the same run.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any

START_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
MAX_STEP_SECS = 3_600.0


class DeadlockError(Exception):
    """Nothing is scheduled, so no time can pass, and the program still waits."""


class _VirtualSelector(selectors.SelectSelector):
    """Jumps the loop's clock to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise DeadlockError("nothing is scheduled; virtual time stands still")
        self.now += min(timeout, MAX_STEP_SECS)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`loop.time()` starts at 0; `now_ns()` is the wall clock that goes with it."""

    def __init__(self, start_ns: int = START_NS) -> None:
        self._virtual = _VirtualSelector()
        self._start_ns = start_ns
        super().__init__(self._virtual)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._virtual.now

    def now_ns(self) -> int:
        return self._start_ns + round(self._virtual.now * 1e9)


def run_virtual[T](main: Coroutine[Any, Any, T], loop: VirtualLoop | None = None) -> T:
    """Run to the end in virtual time."""
    loop = loop or VirtualLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)
