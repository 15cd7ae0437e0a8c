"""Text for a screen that may take nothing for long: a terminal that Ctrl-S holds, a full pipe.

A run's event loop must not wait for that: its orders and cancels would wait as well.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable

LIMIT_BYTES = 1 << 20
_LOOK_SECS = 0.01
_screens: list[Screen] = []


class Screen:
    """What `put` is given, written by a thread of its own, in its order.

    `write` writes all of its bytes and may block for ever. At most `limit_bytes` wait: what comes
    beyond is dropped, counted, and told there once it takes something again. `put` never blocks or
    raises; it may be called from any thread, and in a signal handler.
    """

    def __init__(self, write: Callable[[bytes], object], limit_bytes: int = LIMIT_BYTES) -> None:
        self._write = write
        self._limit = limit_bytes
        self._came: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._lock = threading.RLock()  # a signal handler may put within a put
        self._waiting = 0
        self._written = 0
        self._untold = [0, 0]  # of what was dropped: lines, bytes
        self.dropped = [0, 0]
        _screens.append(self)
        threading.Thread(target=self._run, name="screen", daemon=True).start()

    def put(self, data: bytes) -> None:
        with self._lock:
            if self._waiting and self._waiting + len(data) > self._limit:
                for counts in (self._untold, self.dropped):
                    counts[0] += data.count(b"\n")
                    counts[1] += len(data)
                return
            self._tell_dropped()
            self._queue(data)

    def wait(self, secs: float | None = None) -> bool:
        """Until nothing waits; False once `secs` have gone by in which nothing was written."""
        seen, since = self._written, time.monotonic()
        while self._waiting:
            if self._written != seen:
                seen, since = self._written, time.monotonic()
            if secs is not None and time.monotonic() - since >= secs:
                return False
            time.sleep(_LOOK_SECS)
        return True

    def _queue(self, data: bytes) -> None:
        self._waiting += len(data)
        self._came.put(data)

    def _tell_dropped(self) -> None:
        if self._untold[1]:
            text, self._untold = _told(self._untold), [0, 0]
            self._queue(f"warning {text}\n".encode())

    def _run(self) -> None:
        while True:
            data = self._came.get()
            with contextlib.suppress(Exception):  # nowhere to tell it; the thread stays
                self._write(data)
            with self._lock:
                self._waiting -= len(data)
                self._written += 1
                if not self._waiting:
                    self._tell_dropped()


def dropped() -> list[str]:
    """What this process could not show, for its summary."""
    counts = [sum(one.dropped[place] for one in _screens) for place in (0, 1)]
    return [_told(counts)] if counts[1] else []


def _told(counts: list[int]) -> str:
    return (
        f"OUTPUT-DROPPED: {counts[0]:,} lines ({counts[1]:,} bytes) were not shown: the screen or "
        "the pipe took nothing for too long, and the run did not wait for it"
    )
