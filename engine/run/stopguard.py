"""A stop that the event loop does not hear: told, and cut off in time, from outside the loop.

A strategy that blocks its callback blocks the loop, and with it everything that ends a run. A
thread of its own sees that. It says so once, and when the time of the stop is over it ends the
process, with the names of what blocks and of what stays open. A backtest has no loop: there one and
the same callback of a strategy is at work, look after look.
"""

from __future__ import annotations

import inspect
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import msgspec

from fairlead.engine.errors import Exit
from fairlead.engine.guard.callbacks import __file__ as _WRAPPERS
from fairlead.engine.processes import end_at_once, say

WAIT_SECS = 2.0  # a loop that has not come back for this long is blocked
LOOK_SECS = 0.2
READ_TRIES = 20
NAMES_MAX = 10  # orders named in the last line; beyond, they are counted


class Stays(msgspec.Struct, frozen=True):
    """What a run leaves that is cut off: client order ids of live orders, and its exit code.

    `told` is what is said where there are none.
    """

    orders: list[str]
    exit: Exit
    told: str = "no order is known to be open"


Ask = Callable[[Callable[[], None]], object]  # has what is given called, once the run goes on


class StopGuard:
    """In a with block on the run's thread, around its loop.

    `ask` and `stays` are called from the guard's thread: the first at every look (a loop's
    `call_soon_threadsafe`), the second when the run is cut off. `blocks` is what is said to stand
    still where a callback does not come back.
    """

    def __init__(
        self,
        ask: Ask,
        limit_secs: float,
        stays: Callable[[], Stays],
        blocks: str = "the event loop",
    ) -> None:
        self._ask = ask
        self._blocks = blocks
        self._limit = limit_secs
        self._stays = stays
        self._owner = threading.get_ident()
        self._asked: queue.SimpleQueue[tuple[float, str] | None] = queue.SimpleQueue()
        self._beat = time.monotonic()
        self._thread = threading.Thread(target=self._watch, name="stop", daemon=True)

    def __enter__(self) -> StopGuard:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._asked.put(None)
        self._thread.join()

    def asked(self, reason: str, in_secs: float = 0.0) -> None:
        """A stop is due in so many seconds. May be called in a signal handler, and again."""
        self._asked.put((time.monotonic() + in_secs, reason))

    # -- the thread -------------------------------------------------------------------------------

    def _watch(self) -> None:
        due: tuple[float, str] | None = None
        is_told = False
        while True:
            try:
                came = self._asked.get(timeout=None if due is None else LOOK_SECS)
                if came is None:
                    return
                due = came if due is None else min(due, came)
            except queue.Empty:
                pass
            assert due is not None
            now = time.monotonic()
            if now < due[0]:
                self._beat = now
                continue
            self._ask(self._heard)
            if now - max(self._beat, due[0]) < WAIT_SECS:
                continue
            if now - due[0] >= self._limit:
                self._cut_off(due[1])
            if not is_told:
                is_told = True
                self._tell(due, now)

    def _heard(self) -> None:
        self._beat = time.monotonic()

    def _tell(self, due: tuple[float, str], now: float) -> None:
        say(
            f"warning STOP-WAITS: the stop ({due[1]}) waits: {self._blocker()}; the run is cut "
            f"off in {max(0.0, due[0] + self._limit - now):.0f} s, and a second signal ends it at "
            "once"
        )

    def _cut_off(self, reason: str) -> None:
        stays = self._left()
        names = stays.orders
        more = f" and {len(names) - NAMES_MAX} more" if len(names) > NAMES_MAX else ""
        what = stays.told
        if names:
            what = (
                f"these orders stay open at the venue: {', '.join(names[:NAMES_MAX])}{more}; "
                "`fairlead kill all` cancels them, and the next start takes them over"
            )
        end_at_once(
            "STOP-TIMEOUT",
            f"the run did not stop within {self._limit:g} s ({reason}) and was cut off: "
            f"{self._blocker()}; {what}",
            int(stays.exit),
            left_open=names,
        )

    def _left(self) -> Stays:
        for _ in range(READ_TRIES):
            try:
                return self._stays()
            except RuntimeError:  # the strategy changes what is read, in its endless callback
                continue
            except Exception:
                break
        return Stays(["(unknown: they change while they are read)"], Exit.UNRESOLVED)

    def _blocker(self) -> str:
        frame = sys._current_frames().get(self._owner)
        unknown = f"{self._blocks} is blocked"
        try:
            return unknown if frame is None else blocker(frame, self._blocks)
        except Exception:  # of a strategy's own attribute; the run is cut off all the same
            return unknown


def blocker(frame: FrameType, blocks: str) -> str:
    """Which strategy's callback is at work in the stack of `frame`, and where; what it `blocks`."""
    found = at_work(frame)
    if found is None:
        return f"{blocks} is blocked ({_place(frame.f_code, frame.f_lineno)})"
    return f"strategy {found[0]} blocks {blocks} in {found[1]} ({found[2]})"


def at_work(frame: FrameType | None) -> tuple[str, str, str] | None:
    """The strategy, its callback, and the place, where one is in the stack of `frame`."""
    stack = list(_outwards(frame))
    if (found := _callback(stack)) is None:
        return None
    outer, name = found
    own = next(one for one in stack if one.f_code.co_filename == outer.f_code.co_filename)
    return name, outer.f_code.co_name, _place(own.f_code, own.f_lineno)


class SameCallback:
    """The `ask` of a run without a loop: it goes on as long as no strategy's callback is at work
    that was so at the last look.

    A call is known by its code and by what it was told, and not by its frame: who keeps a frame may
    be the last who does, and NautilusTrader's objects among its locals belong to one thread.
    """

    def __init__(self) -> None:
        self.owner = threading.get_ident()
        self._last: tuple[CodeType, Any] | None = None

    def __call__(self, goes_on: Callable[[], None]) -> None:
        found = _callback(list(_outwards(sys._current_frames().get(self.owner))))
        call = None if found is None else _call(found[0])
        last, self._last = self._last, call
        if call is None or last is None or call[0] is not last[0] or call[1] is not last[1]:
            goes_on()


def _call(frame: FrameType) -> tuple[CodeType, Any]:
    """The code that is called, and the event that it is told; None where it is told nothing."""
    code = frame.f_code
    at = 1 if code.co_argcount > 1 else code.co_argcount + code.co_kwonlyargcount
    has = code.co_argcount > 1 or code.co_flags & inspect.CO_VARARGS
    return code, frame.f_locals.get(code.co_varnames[at]) if has else None


def _callback(stack: Sequence[FrameType]) -> tuple[FrameType, str] | None:
    """A strategy's own callback that is at work, the outermost, and the strategy's id."""
    for outer in reversed(stack):
        if outer.f_code.co_filename == _WRAPPERS:
            continue
        name = getattr(getattr(outer.f_locals.get("self"), "_guard", None), "id", None)
        if name is not None:
            return outer, name
    return None


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _place(code: CodeType, line: int | None) -> str:
    return f"{Path(code.co_filename).name}:{line}, in {code.co_name}"
