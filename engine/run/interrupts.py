"""SIGINT, SIGTERM and SIGHUP of a backtest: once ends it in order, twice at once. One whose
strategy does not come back from a callback is told, and cut off in time, as in a live run.

Nothing is raised where Python happens to be: mostly that is a callback from NautilusTrader, which
would drop the exception, and with it the rest of what the callback had to do.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from fairlead.engine.errors import Exit
from fairlead.engine.processes import Echoes, end_at_once, stop_signals
from fairlead.engine.run.stopguard import SameCallback, Stays, StopGuard

AGAIN_SECS = 0.01
_CUT = Stays([], Exit.TIMED_OUT, told="nothing was summed up")


class Interrupts:
    """In a with block around the run; in another thread than the main one it hears nothing.

    `name` is the first signal's. `shut_down(reason)` ends a run at its next event; it may raise
    RuntimeError where NautilusTrader is in the midst of something, and is asked again.
    """

    def __init__(self) -> None:
        self.name = ""
        self.limit_secs = 10.0  # `run.stop_timeout_secs`
        self._guard: StopGuard | None = None
        self.shut_down: Callable[[str], object] | None = None
        self._before: dict[int, Any] = {}
        self._echoes = Echoes()

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            guard = StopGuard(SameCallback(), self.limit_secs, lambda: _CUT, "the backtest")
            self._guard = guard.__enter__()
            for number in stop_signals():
                self._before[number] = signal.signal(number, self._came)
            self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._again)
        return self

    def __exit__(self, *_: object) -> None:
        alarm = self._before.pop(signal.SIGALRM, None)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._before:  # the alarm last: until then a signal may set it
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, alarm)
        self._before = {}
        if self._guard is not None:
            self._guard.__exit__()
            self._guard = None

    def __bool__(self) -> bool:
        return bool(self.name)

    def _came(self, number: int, frame: FrameType | None) -> None:
        is_echo = self._echoes.is_one(number)
        if self.name and (is_echo or number == signal.SIGHUP):
            return  # a closed terminal, too, tells more than once
        if self.name:
            end_at_once(
                "STOP-AT-ONCE",
                "ended at once by a second signal; nothing was summed up",
                int(Exit.INTERRUPTED),
            )
        self.name = signal.Signals(number).name
        if self._guard is not None:
            self._guard.asked(f"signal {self.name}")
        self._again(number, frame)

    def _again(self, number: int, frame: FrameType | None) -> None:
        if self.shut_down is None:
            return
        try:
            self.shut_down(f"ended by {self.name}")
        except RuntimeError:
            signal.setitimer(signal.ITIMER_REAL, AGAIN_SECS)
