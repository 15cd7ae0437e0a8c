"""A backtest that waits for a callback of a strategy: told once, from a thread that sees it.

A run with an event loop has its own watch (`loopwatch`), a stop that waits too (`stopguard`).
"""

from __future__ import annotations

import sys
import threading
import time

from fairlead.engine.processes import say
from fairlead.engine.run.stopguard import SameCallback, at_work

STUCK_SECS = 10.0
LOOK_SECS = 1.0  # a look takes some microseconds


class CallbackWatch:
    """In a with block around a run, on its thread. Each callback is told once."""

    def __init__(self) -> None:
        self._same = SameCallback()
        self._looks = 0  # at one and the same call, one after another
        self._over = threading.Event()
        self._told: set[tuple[str, str]] = set()
        self._thread = threading.Thread(target=self._watch, name="callbacks", daemon=True)

    def __enter__(self) -> CallbackWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        """By looks, not by the clock: a process that was stopped has not worked meanwhile."""
        while not self._over.wait(LOOK_SECS):
            self._looks += 1
            self._same(self._goes_on)
            if self._looks * LOOK_SECS >= STUCK_SECS:
                self._tell(self._looks * LOOK_SECS)

    def _goes_on(self) -> None:
        self._looks = 0

    def _tell(self, secs: float) -> None:
        found = at_work(sys._current_frames().get(self._same.owner))
        if found is None or found[:2] in self._told:
            return
        name, callback, place = found
        self._told.add((name, callback))
        since = time.strftime("%H:%M:%S", time.gmtime(time.time() - secs))
        say(
            f"warning CALLBACK-STUCK: strategy {name} has been in {callback} since {since} UTC "
            f"({secs:.0f} s), now at {place}, and the backtest waits for it; Ctrl-C ends the run"
        )
