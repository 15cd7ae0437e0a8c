"""What ends this process, in order or at once, and how one of our own is started beside it."""

from __future__ import annotations

import _thread
import contextlib
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from fairlead.engine.errors import FairleadError

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SAY_SECS = 0.2  # for a screen that takes nothing
ECHO_SECS = 0.1  # nobody asks twice so soon
BUSY_SECS = 5.0  # for one that would, in a process that gets no time on its processor

FILES_LEAST = 128
FILES_MOST = 4096

Answer = Callable[[str, str, int, Mapping[str, Any]], None]
_answers: list[Answer] = []
_STDERR = 2


def make_room_for_files() -> int:
    """Let this process open as many files as it may, up to FILES_MOST; how many that is.

    What a shell gives first is often less than what a recording of many instruments has open.
    """
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MOST if most == resource.RLIM_INFINITY else min(FILES_MOST, most)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return FILES_MOST if soft == resource.RLIM_INFINITY else soft
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
        return wanted
    return soft


def require_room_for_files() -> None:
    """Raises FairleadError where a run could not open its files and connections."""
    most = make_room_for_files()
    if most < FILES_LEAST:
        raise FairleadError(
            "FILES-LIMIT",
            f"expected room for {FILES_LEAST} open files or more, this process may have {most}; "
            f"raise its limit (ulimit -n {FILES_MOST}, or LimitNOFILE= of its service)",
        )


class Speech:
    """How a line gets to stderr: `write` may block or raise, `fd` is what it writes to."""

    def __init__(self) -> None:
        self.fd = _STDERR
        self.write: Callable[[bytes], object] = partial(os.write, _STDERR)
        self.is_hurried = False  # a second signal came
        self.is_quiet = False  # nothing but errors, and what a program asked for
        self.has_begun = False  # a run that trades or records has heard of signals itself


speech = Speech()


def answer_by(answer: Answer) -> None:
    """Who tells a process's reader of an end at once: code, message, exit code, what is known."""
    _answers[:] = [answer]


def answer_also(answer: Answer) -> None:
    """Who else is told of an end at once; it takes no lock that the process may hold."""
    _answers.append(answer)


def answer_no_more(answer: Answer) -> None:
    """The process ends in order."""
    if answer in _answers:
        _answers.remove(answer)


def say(text: str) -> None:
    """A line on stderr, past the loggers, whose locks a blocked thread may hold.

    For signal handlers and the threads that guard a run: it never raises, and it gives up where
    stderr takes nothing.
    """
    write_within(partial(speech.write, f"{text}\n".encode(errors="replace")), speech.fd)


def write_within(write: Callable[[], object], fd: int) -> None:
    """`write` to `fd` in a thread, left behind where `fd` takes nothing for SAY_SECS."""
    done = _thread.allocate_lock()
    done.acquire()

    def work() -> None:
        with contextlib.suppress(BaseException):  # a thread has nobody to tell
            write()
        done.release()

    try:
        # Not `threading`: the handler may have come within its locks
        _thread.start_new_thread(work, ())
    except RuntimeError:
        return
    until = time.monotonic() + BUSY_SECS
    while not done.acquire(timeout=SAY_SECS):
        if not _takes(fd) or time.monotonic() > until:
            return


def _takes(fd: int) -> bool:
    """Whether a write would not block, or would fail at once."""
    try:
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        return bool(poll.poll(0))
    except OSError:
        return False


def end_at_once(code: str, message: str, exit_code: int, **known: Any) -> NoReturn:
    """Say why, and leave: within a second, whatever the outputs take."""
    say(f"error {code}: {message}")
    tell_end(code, message, exit_code, **known)
    os._exit(exit_code)


def tell_end(code: str, message: str, exit_code: int, **known: Any) -> None:
    """To all who asked for it, of an end at once that is next."""
    for answer in _answers:
        with contextlib.suppress(Exception):
            answer(code, message, exit_code, known)


def boot_id() -> str:
    """The machine's last start, to which its monotonic clock belongs; empty if unknown."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


def module_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs one of our modules with this interpreter.

    `-P`: a `fairlead.py` or a `types.py` in the folder that the run was started from is not ours.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


class Echoes:
    """Signals that were sent once and came twice: `timeout` and others that run a command hand
    theirs to it and then to its whole group, itself included."""

    def __init__(self) -> None:
        self._last: tuple[int, float] | None = None

    def is_one(self, number: int) -> bool:
        """Whether the same signal came a moment before; called once for each that comes."""
        last, now = self._last, time.monotonic()
        self._last = (number, now)
        return last is not None and last[0] == number and now - last[1] < ECHO_SECS


def stop_signals() -> tuple[signal.Signals, ...]:
    """What ends a run in order. A terminal that closes is one, but for a process under nohup."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return (signal.SIGINT, signal.SIGTERM)
    return (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
