"""An event loop that stands still: told by a thread that sees it, with what the loop is at.

A strategy that computes for ever, a disk or a name server that does not answer: nothing of the run
goes on then, no order, no cancel, no page. Where the config says so the process ends, so that what
started it starts it again; the next start takes over what is open. A stop that is not heard is not
this watch's: see `stopguard`.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable

from fairlead.engine.config.model import Run
from fairlead.engine.errors import Exit
from fairlead.engine.processes import end_at_once, say
from fairlead.engine.run.notify import ALIVE, alive_secs, notify
from fairlead.engine.status import LOOP_STUCK as CODE

logger = logging.getLogger(__name__)

LOOK_SECS = 0.2
CANCEL_SECS = 15.0
LOG_SECS = 1.0  # for the loggers, whose locks the loop's thread may hold


class LoopWatch:
    """In a with block on the thread of the loop.

    `cancels` is called from the watch's thread before it ends the process, and gives what it did;
    `on_stuck` when it is told, with the text for who hears it once the loop turns again. Until
    `is_up()` nothing is told, and while `is_stopping()` nothing is ended.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: Run,
        *,
        cancels: Callable[[str], str],
        on_stuck: Callable[[str], None],
        is_up: Callable[[], bool],
        is_stopping: Callable[[], bool],
    ) -> None:
        self._loop = loop
        self._stuck_secs = float(settings.stuck_secs)
        self._exit_secs = settings.stuck_exit_secs
        self._cancels = cancels
        self._on_stuck = on_stuck
        self._is_up = is_up
        self._is_stopping = is_stopping
        self._owner = threading.get_ident()
        self._over = threading.Event()
        self._has_turned = True
        self._thread = threading.Thread(target=self._watch, name="loop", daemon=True)

    def __enter__(self) -> LoopWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _turned(self) -> None:
        self._has_turned = True

    # -- the thread -------------------------------------------------------------------------------

    def _watch(self) -> None:
        still = since_alive = 0.0
        is_told = False
        alive = alive_secs()
        looked = time.monotonic()
        while not self._over.wait(LOOK_SECS):
            now = time.monotonic()
            # A process that was stopped (SIGSTOP, a machine that sleeps) is not stuck
            passed, looked = min(now - looked, 2 * LOOK_SECS), now
            since_alive += passed
            if not self._is_up():  # a start imports and reads for as long as it takes
                continue
            if not self._has_turned:
                still += passed
            else:
                if is_told:
                    self._log(f"{CODE}: the event loop turns again, after {still:.1f} s")
                still, is_told, self._has_turned = 0.0, False, False
                if alive is not None and since_alive >= alive:
                    notify(ALIVE)
                    since_alive = 0.0
                self._loop.call_soon_threadsafe(self._turned)
            if still >= self._stuck_secs and not is_told:
                is_told = True
                self._tell(still)
            if self._exit_secs is not None and still >= self._exit_secs:
                self._end(still)

    def _tell(self, still: float) -> None:
        secs = f"{still:.0f} s"
        what = (
            f"the event loop has not turned for {secs}: no order, no cancel and no page goes on "
            "(`fairlead kill` works all the same)"
        )
        if self._exit_secs is not None:
            what += f"; the process ends after {self._exit_secs} s"
        self._on_stuck(
            f"the event loop stood still for {secs} or longer: no order, no cancel and no page "
            "went on meanwhile; the log says at what, and when it turned again"
        )
        self._log(f"{CODE}: {what}. The loop is at:\n{self._stack()}")

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._owner)
        return "".join(traceback.format_stack(frame)).rstrip() if frame else "(no frame)"

    def _log(self, text: str) -> None:
        """By the loggers, or past them where one is held by what is stuck."""
        done = threading.Event()

        def work() -> None:
            logger.critical("%s", text)
            done.set()

        threading.Thread(target=work, name="loop log", daemon=True).start()
        if not done.wait(LOG_SECS):
            say(f"error {text}")

    def _end(self, still: float) -> None:
        if self._is_stopping():
            return  # its own watch cuts it off
        text = f"the event loop has not turned for {still:.0f} s"
        self._log(f"{CODE}: {text}, and the process ends. The loop is at:\n{self._stack()}")
        end_at_once(
            CODE,
            f"{text}; {self._cancelled(text)}; the next start takes over what is open",
            Exit.FAILED,
        )

    def _cancelled(self, text: str) -> str:
        """What became of the cancels; they may wait for what the loop waits for, too."""
        done: queue.SimpleQueue[str] = queue.SimpleQueue()

        def work() -> None:
            try:
                done.put(self._cancels(f"{CODE}: {text}"))
            except Exception as error:  # it ends all the same, and says what is left
                done.put(f"cancels failed: {type(error).__name__}: {error}")

        threading.Thread(target=work, name="loop cancels", daemon=True).start()
        try:
            return done.get(timeout=CANCEL_SECS)
        except queue.Empty:
            return f"cancels were not through within {CANCEL_SECS:g} s"
