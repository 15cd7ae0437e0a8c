"""How long a test waits for what must come."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Self

# Reached only when what a test waits for never comes: also on a machine whose cores are all busy
# with other work, where everything takes many times as long.
PATIENCE_SECS = 300.0


class Lateness:
    """How long this machine let a process wait for its core, at most, while it was held.

    What a run did at a moment of its own is judged within that: a busy machine is no fault of it.
    One that sleeps is woken soon even where one that works, as a run does, waits its turn again and
    again; so both are tried.
    """

    LOOK_SECS = 0.005
    LOOKS_A_BURST = 40  # of them one in so many works
    BURST_SECS = 0.02  # of the processor

    def __init__(self) -> None:
        self.most_ns = 0
        self._is_over = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        due = time.monotonic_ns()
        looks = 0
        while not self._is_over.is_set():
            looks += 1
            if looks % self.LOOKS_A_BURST == 0:
                self.most_ns = max(self.most_ns, _waited_ns(self.BURST_SECS))
                due = time.monotonic_ns()
            due += round(self.LOOK_SECS * 1e9)
            self._is_over.wait(max(due - time.monotonic_ns(), 0) / 1e9)
            now = time.monotonic_ns()
            self.most_ns, due = max(self.most_ns, now - due), now

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._watch.join()


def _waited_ns(burst_secs: float) -> int:
    """How much longer than the work itself so much work took."""
    began, worked = time.monotonic_ns(), time.thread_time_ns()
    while (done := time.thread_time_ns() - worked) < burst_secs * 1e9:
        pass
    return time.monotonic_ns() - began - done


async def over[T](running: asyncio.Future[T], what: str = "a node that was stopped") -> T:
    """What it gives, once it has ended; one that never does fails its test, and hangs none."""
    done, _ = await asyncio.wait({running}, timeout=PATIENCE_SECS)
    assert done, f"{what} has not ended in {PATIENCE_SECS:g} s"
    return running.result()
