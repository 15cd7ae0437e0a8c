"""SIGKILL at each line of some files, or all through what SQLite does."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

KILLS_MAX = 2_000


def killed_at_every_line(
    base: Path,
    files: Collection[str],
    begin: Callable[[Path], Callable[[], object]],
    look: Callable[[Path], None],
) -> int:
    """`begin` prepares a new folder and gives the work; `look` is called once that was killed,
    which it is at each line when that is come to for the first time.

    Gives how many kills there were: of the last one the work was through.
    """
    return _killed(base / "line", begin, look, lambda number: _at_line(files, number))


def killed_within_sqlite(
    base: Path,
    every: int,
    begin: Callable[[Path], Callable[[], object]],
    look: Callable[[Path], None],
) -> int:
    """The same after each `every` steps of SQLite's virtual machine, over all connections."""
    return _killed(base / "step", begin, look, lambda number: _at_step(every, number))


def _killed(
    base: Path,
    begin: Callable[[Path], Callable[[], object]],
    look: Callable[[Path], None],
    arm: Callable[[int], None],
) -> int:
    for number in range(1, KILLS_MAX):
        folder = base / str(number)
        folder.mkdir(parents=True)
        work = begin(folder)
        child = os.fork()
        if child == 0:
            _work(work, lambda at=number: arm(at))
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, f"the work failed: {status}"
            look(folder)
            return number - 1
        assert os.WTERMSIG(status) == signal.SIGKILL
        look(folder)
    raise AssertionError(f"expected an end within {KILLS_MAX} kills")


def _work(work: Callable[[], object], arm: Callable[[], None]) -> NoReturn:
    code = 1
    try:
        arm()
        work()
        code = 0
    finally:
        os._exit(code)


def _at_line(files: Collection[str], at: int) -> None:
    seen: set[tuple[str, int]] = set()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        if event == "line":
            seen.add((frame.f_code.co_filename, frame.f_lineno))
            if len(seen) == at:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def _at_step(every: int, at: int) -> None:
    seen = 0
    connect = sqlite3.connect

    def step() -> int:
        nonlocal seen
        seen += 1
        if seen == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    def connected(*args: Any, **more: Any) -> sqlite3.Connection:
        made = connect(*args, **more)
        made.set_progress_handler(step, every)
        return made

    sqlite3.connect = connected
