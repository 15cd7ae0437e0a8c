"""SIGINT, SIGTERM and SIGHUP of a run: once stops in order, twice cuts off, in a blocked loop too.

The handlers are Python's own, not the event loop's: they run even while a strategy's callback
blocks the loop (`time.sleep`, an endless `while`), so that a second signal always ends the process.
Code in C that never gives the interpreter back can be ended by SIGKILL only. Whichever way the
process ends, the journal is whole: every record in it is a committed transaction.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextvars import copy_context
from types import FrameType
from typing import Any

from fairlead.engine.errors import Exit
from fairlead.engine.processes import Echoes, end_at_once, speech, stop_signals

CUT_OFF_SECS = 0.5  # for a run that was cut off to close its files


class StopSignals:
    """Tells `on_stop(name)` of the first signal and `on_cut_off()` of the second, on the loop.

    `asked(reason)` hears of the first in the handler itself; `leaves` is what a run that ends at
    once leaves behind, told in its last line.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_stop: Callable[[str], None],
        on_cut_off: Callable[[], None],
        asked: Callable[[str], None],
        leaves: str,
    ) -> None:
        self._leaves = leaves
        self._loop = loop
        self._on_stop = on_stop
        self._on_cut_off = on_cut_off
        self._asked = asked
        self._context = copy_context()
        self._count = 0
        self._echoes = Echoes()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        for number in (*stop_signals(), signal.SIGALRM):
            handler = self._end_at_once if number == signal.SIGALRM else self._came
            self._before[number] = signal.signal(number, handler)
        speech.has_begun = True
        return self

    def __exit__(self, *_: object) -> None:
        """The alarm last: until then a signal may set it."""
        alarm = self._before.pop(signal.SIGALRM)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, alarm)

    def _came(self, number: int, frame: FrameType | None) -> None:
        is_echo = self._echoes.is_one(number)
        if self._count and (is_echo or number == signal.SIGHUP):
            return  # a closed terminal, too, tells more than once: that is nobody's impatience
        self._count += 1
        name = signal.Signals(number).name
        if self._count == 1:
            self._asked(f"signal {name}")
            self._call(self._on_stop, name)
        elif self._count == 2:
            speech.is_hurried = True
            signal.setitimer(signal.ITIMER_REAL, CUT_OFF_SECS)
            self._call(self._on_cut_off)
        else:
            self._end_at_once(number, frame)

    def _call(self, callback: Callable[..., None], *arguments: Any) -> None:
        """In our own context: what a signal interrupts may be a submission, which has its own."""
        self._loop.call_soon_threadsafe(callback, *arguments, context=self._context)

    def _end_at_once(self, number: int, frame: FrameType | None) -> None:
        text = f"ended at once by a second signal; {self._leaves}"
        end_at_once("STOP-AT-ONCE", text, int(Exit.INTERRUPTED))
