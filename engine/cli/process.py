"""What holds for the process of every verb: its outputs, and signals before there is a run.

A result that can't be printed (a full disk, a reader that went away) is no reason to end otherwise
than the run did: the exit code stays the one that was earned, what was meant for stdout goes to
stderr, and the files that hold the rest are named there.

With `--json` stdout gets one document, however the process ends: where its verb had no time to
print one, it is what was told last on stderr, with the exit code.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import signal
import sys
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING, Any

from fairlead.engine.processes import answer_by, stop_signals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# A signal is how these end; before they have begun it is nothing but that.
ENDED_BY_SIGNAL = frozenset({"live", "paper", "record", "venue"})
# These print what can be printed again: a reader that has enough is no loss (`| head`).
REPEATABLE = frozenset({"check", "config", "explain", "--help", "--version"})
TAIL_MAX = 8192  # bytes of an output that are kept: more than a line of ours has
THREADS_SECS = 2.0  # for threads that a strategy has left to end by themselves
_STDOUT, _STDERR = 1, 2
_FAILED = 1
_INTERRUPTED = 130  # the command line library's own, which is not of our table


class Output(io.RawIOBase):
    """A descriptor whose writes never raise: once one fails, the rest goes to `instead`."""

    def __init__(self, fd: int, instead: int | None = None) -> None:
        super().__init__()
        self._fd = fd
        self._instead = instead
        self.lost: OSError | None = None
        self.count = 0  # bytes that came
        self.tail = b""  # the last of them

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def write(self, data: Any) -> int | None:
        self.count += len(data)
        self.tail = (self.tail + bytes(data))[-TAIL_MAX:]
        if self.lost is None:
            try:
                return os.write(self._fd, data)
            except BlockingIOError:
                return None
            except OSError as error:
                self.lost = error
                self._tell(error)
        return self._write_instead(data)

    def move(self, fd: int) -> None:
        """From now on stderr is `fd`."""
        if self._fd == _STDERR:
            self._fd = fd
        elif self._instead is not None:
            self._instead = fd

    def _tell(self, error: OSError) -> None:
        if self._instead is None:
            return
        if error.errno == errno.EPIPE and _verb() in REPEATABLE:
            self._instead = None
            return
        text = f"error OUTPUT-LOST: stdout: {error.strerror}; what was meant for it follows\n"
        self._write_instead(text.encode())

    def _write_instead(self, data: Any) -> int:
        try:
            if self._instead is not None:
                os.write(self._instead, data)
        except OSError:
            self._instead = None  # nothing is left to say it on
        return len(data)


class _Process:
    """The outputs of this process, and what to name when stdout is lost."""

    def __init__(self) -> None:
        self.is_begun = False
        self.is_whole = False  # all that is to be said was said
        self.stderr = _STDERR
        self.outputs: list[Output] = []
        self.files: dict[str, str] = {}

    def result(self) -> Output | None:
        """What stdout is now."""
        found = [one for one in self.outputs if one.fileno() != self.stderr]
        return found[-1] if found else None

    def answer(self, code: str, message: str, exit_code: int, known: Mapping[str, Any]) -> None:
        """The one document of `--json`, unless there is one."""
        result = self.result()
        if result is None or result.count or "--json" not in sys.argv:
            return
        import json

        told = {**answer_of(code, message, exit_code), **known}
        result.write(json.dumps(told).encode() + b"\n")


_process = _Process()


def answer_of(code: str, message: str, exit_code: int) -> dict[str, Any]:
    """What `--json` tells of an end that has no result."""
    error = {"code": code, "message": message, "exit_code": exit_code}
    return {"outcome": f"{code}: {message}", "exit_code": exit_code, "error": error}


def _verb() -> str:
    return sys.argv[1] if len(sys.argv) > 1 else ""


def begin() -> None:
    """Once, before anything else is imported: outputs that never raise, and early signals."""
    _process.is_begun = True
    _open_standard_descriptors()
    sys.stdout = guarded(_STDOUT, sys.stdout)
    sys.stderr = guarded(_STDERR, sys.stderr)
    answer_by(_process.answer)
    if _verb() in ENDED_BY_SIGNAL:
        for number in stop_signals():
            signal.signal(number, _stopped_early)


def guarded(fd: int, like: Any = None) -> io.TextIOWrapper:
    """Text for the descriptor, which is stdout's unless it is stderr's own."""
    raw = Output(fd, None if fd == _STDERR else _STDERR)
    _process.outputs.append(raw)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(like, "encoding", None) or "utf-8",
        errors=getattr(like, "errors", None) or "strict",
        line_buffering=fd == _STDERR or raw.isatty(),
        write_through=fd == _STDERR,
    )


def _open_standard_descriptors() -> None:
    """A journal must not become stdout because that was closed when the process began."""
    for fd in (0, _STDOUT, _STDERR):
        try:
            os.fstat(fd)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != fd:
                os.dup2(opened, fd)
                os.close(opened)
            os.set_inheritable(fd, True)


def name_files(files: Mapping[str, str]) -> None:
    """What the run has written, by what it is, to be told if stdout is lost."""
    _process.files.update(files)


def finish(code: int = 0) -> None:
    """Write what is buffered; where stdout was lost, say what is in which file.

    Then the process ends with `code`, whatever threads a strategy has left.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if code:
        _process.answer(*_told_last(), code, {})
    if any(one.lost is not None for one in _process.outputs if one.fileno() != _process.stderr):
        for what, path in _process.files.items():
            sys.stderr.write(f"{what}: {path}\n")
    _process.is_whole = True
    threading.Thread(target=_leave, args=(code,), name="leave", daemon=True).start()


def _told_last() -> tuple[str, str]:
    """Code and message of the last error on stderr; those of the command line library have none."""
    tails = [one.tail for one in _process.outputs if one.fileno() == _process.stderr]
    text = tails[-1].decode(errors="replace").strip() if tails else ""
    found = re.findall(r"^(?:error ([A-Z][A-Z0-9-]*): |Error: )(.*)$", text, re.MULTILINE)
    if not found:
        return "ENDED", text.rpartition("\n")[2]
    code, message = found[-1]
    return code or "USAGE", message


def _leave(code: int) -> None:
    """The interpreter waits for every thread that is no daemon: name those that don't end."""
    time.sleep(THREADS_SECS)
    left = [
        one.name
        for one in threading.enumerate()
        if not one.daemon and one is not threading.main_thread()
    ]
    if left:
        text = (
            f"warning THREADS-LEFT: still at work and ended with the process: {', '.join(left)}; "
            "a strategy ends its threads in on_stop, or makes them daemons\n"
        )
        os.write(_process.stderr, text.encode())
        os._exit(code)


def _stopped_early(number: int, _frame: FrameType | None) -> None:
    """Nothing is open and nothing was sent; unwinding half an import would only raise in it."""
    name = signal.Signals(number).name
    text = f"stopped by {name} before it began; nothing was sent"
    os.write(_STDERR, f"{text}\n".encode())
    _process.answer("STOPPED", text, 0, {})
    os._exit(0)


@contextlib.contextmanager
def logs_on_stderr() -> Iterator[None]:
    """NautilusTrader logs to file descriptor 1; the result must be alone there, to be parsed.

    The descriptor is stderr's from now on: its thread may write a last line at any time. In a
    process of ours so is `sys.stdout` the result's, for what is told of an error, too.
    """
    sys.stdout.flush()
    kept, before = os.dup(_STDOUT), sys.stdout
    os.dup2(_process.stderr, _STDOUT)
    sys.stdout = guarded(kept, before)
    try:
        yield
    finally:
        sys.stdout.flush()
        if not _process.is_begun:
            sys.stdout.close()
            os.close(kept)
            sys.stdout = before


def ended(code: int) -> None:
    """The run is over: a signal from now on ends the process with the run's own code.

    NautilusTrader's logger may still say on stderr that it can't write its file. That is no longer
    heard, so that the last line is the run's.
    """
    if not _process.is_begun:
        return
    _process.stderr = os.dup(_STDERR)
    for output in _process.outputs:
        output.move(_process.stderr)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, _STDERR)
    os.close(silent)

    def end_now(number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if _process.is_whole:
            os._exit(code)
        text = f"ended by {name} before the summary was whole"
        os.write(_process.stderr, f"error: {text}\n".encode())
        _process.answer("CUT-SHORT", text, code, {})
        os._exit(code)

    for number in stop_signals():
        signal.signal(number, end_now)


def interrupted() -> int:
    """The exit code of a process that SIGINT ended, after a line."""
    sys.stderr.write("error INTERRUPTED: ended by SIGINT\n")
    return _FAILED


def is_interrupt(code: object) -> bool:
    return code == _INTERRUPTED
