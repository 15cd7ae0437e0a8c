"""What holds for the process of every verb: its outputs, and signals before there is a run.

What was meant for a stdout that takes nothing (a full disk, a reader that went away) goes to
stderr, and the files that hold the rest are named there. A code that says what became of money
stays the one that was earned: what starts a run again where it failed would trade anew. Of every
other verb the output is what it was asked for: without it, it has failed.

With `--json` stdout gets one document, however the process ends: where its verb had no time to
print one, it is what was told last on stderr, with the exit code.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import io
import os
import re
import select
import signal
import stat
import sys
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING, Any

from fairlead.engine.errors import Exit
from fairlead.engine.processes import (
    answer_by,
    end_at_once,
    say,
    speech,
    stop_signals,
    tell_end,
    write_within,
)
from fairlead.engine.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# A signal is how these end; before they have begun it is nothing but that.
ENDED_BY_SIGNAL = frozenset({"live", "paper", "record", "venue"})
# So do these, and those that settle or stop orders: their code tells of the orders, nothing else.
EARNED = ENDED_BY_SIGNAL | {"kill", "resolve"}
# These print what can be printed again: a reader that has enough is no loss (`| head`).
REPEATABLE = frozenset(
    {
        *("check", "config", "explain", "--help", "--version", "venues"),
        *("status", "orders", "positions", "fills", "logs", "reconcile", "doctor"),
    }
)
REPEATED = frozenset({"ls", "show"})  # and these of the verbs that have more words
TAIL_MAX = 8192  # bytes of an output that are kept: more than a line of ours has
THREADS_SECS = 2.0  # for threads that a strategy has left to end by themselves
RESULT_SECS = 10.0  # for a stdout that takes nothing of the result, before it is given up
FIRST_SECS = 1.0  # for a stdout that takes nothing, before an error is told
LAST_SECS = 5.0  # for a stderr that takes nothing, after a run that did not wait for it
HURRY_SECS = 0.5  # to print what a second signal has left of a run
UNSHOWN_FILE = "unshown.txt"  # in the state folder: a result that nobody took
QUIET = ("--quiet", "-q")  # every verb has it
_STDOUT, _STDERR = 1, 2
_INTERRUPTED = int(Exit.INTERRUPTED)  # the command line library's own, too


class Output(io.RawIOBase):
    """A descriptor whose writes never raise: once one fails, the rest goes to `instead`.

    With a `screen` they never wait either.
    """

    def __init__(self, fd: int, instead: Output | None = None) -> None:
        super().__init__()
        self._fd = fd
        self._instead = instead
        self.screen: Screen | None = None
        self.is_muted = False  # what comes is for people, who asked for none of it
        self.lost: OSError | None = None
        self.is_told = False  # that it is lost: somebody misses it
        self.count = 0  # bytes that came
        self.tail = b""  # the last of them
        self.shown = b""  # of a stdout that is a screen: all of it, for who can't see it

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def write(self, data: Any) -> int | None:
        if self.is_muted:
            return len(data)
        self.count += len(data)
        self.tail = (self.tail + bytes(data))[-TAIL_MAX:]
        if self.screen is not None:
            if self._instead is not None:
                self.shown += bytes(data)
            self.screen.put(bytes(data))
            return len(data)
        return self._write(data)

    def begin_screen(self) -> None:
        self.screen = Screen(self._write_all)

    def write_through(self, data: bytes) -> None:
        """Until it is written: also what waits before it."""
        self.write(data)
        if self.screen is not None:
            self.screen.wait()

    def _write_all(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            count = self._write(left)
            if count is None:  # who started this process has made it one that never waits
                select.select([], [self._fd], [])
            else:
                left = left[count:]

    def _write(self, data: Any) -> int | None:
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
        """It is the descriptor `fd` from now on."""
        self._fd = fd

    def _tell(self, error: OSError) -> None:
        if self._instead is None:
            return
        if error.errno == errno.EPIPE and _is_repeatable():
            self._instead = None
            return
        self.is_told = True
        text = f"error OUTPUT-LOST: stdout: {error.strerror}; what was meant for it follows\n"
        self._write_instead(text.encode())

    def _write_instead(self, data: Any) -> int:
        if self._instead is not None:
            self._instead.write(data)
        return len(data)


class _Process:
    """The outputs of this process, and what to name when stdout is lost."""

    def __init__(self) -> None:
        self.is_begun = False
        self.is_late = False  # a signal came after the run, before its code was known
        self.is_whole = False  # all that is to be said was said
        self.signal = ""  # that is about to end the process
        self.stderr = Output(_STDERR)
        self.results: list[Output] = []  # what stdout is, and was
        self.files: dict[str, str] = {}

    def answer(self, code: str, message: str, exit_code: int, known: Mapping[str, Any]) -> None:
        """The one document of `--json`, unless there is one; given up where nobody takes it."""
        if text := self.document(code, message, exit_code, known):
            result = self.results[-1]
            write_within(lambda: result.write_through(text), result.fileno())

    def document(self, code: str, message: str, exit_code: int, known: Mapping[str, Any]) -> bytes:
        """Empty where there was one, or nobody asked for it."""
        if not self.results or self.results[-1].count or "--json" not in sys.argv:
            return b""
        import json

        told = {**answer_of(code, message, exit_code), **known}
        return json.dumps(told).encode() + b"\n"


_process = _Process()


def answer_of(code: str, message: str, exit_code: int) -> dict[str, Any]:
    """What `--json` tells of an end that has no result."""
    error = {"code": code, "message": message, "exit_code": exit_code}
    return {"outcome": f"{code}: {message}", "exit_code": exit_code, "error": error}


def _verb() -> str:
    return sys.argv[1] if len(sys.argv) > 1 else ""


def _is_repeatable() -> bool:
    return _verb() in REPEATABLE or not REPEATED.isdisjoint(sys.argv[2:3])


def begin() -> None:
    """Once, before anything else is imported: outputs that never raise, and early signals."""
    _process.is_begun = True
    _open_standard_descriptors()
    sys.stdout = guarded(_STDOUT, sys.stdout)
    sys.stderr = _text(_process.stderr, sys.stderr)
    speech.write = _process.stderr.write_through
    answer_by(_process.answer)
    for number in stop_signals():
        signal.signal(number, _stopped_early if _verb() in ENDED_BY_SIGNAL else _interrupt)
    atexit.register(_deaf)


def guarded(fd: int, like: Any = None) -> io.TextIOWrapper:
    """Text for a descriptor that is stdout's; what it does not take goes to stderr."""
    result = Output(fd, _process.stderr)
    result.is_muted = _is_mute()
    _process.results.append(result)
    return _text(result, like)


def quiet() -> None:
    """From now on nothing but errors, and what `--json` gives."""
    speech.is_quiet = True
    for one in _process.results:
        one.is_muted = _is_mute()


def _is_mute() -> bool:
    return speech.is_quiet and "--json" not in sys.argv


def _text(raw: Output, like: Any) -> io.TextIOWrapper:
    is_stderr = raw is _process.stderr
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(like, "encoding", None) or "utf-8",
        errors=getattr(like, "errors", None) or "strict",
        line_buffering=is_stderr or raw.isatty(),
        write_through=is_stderr,
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


def result_first() -> None:
    """An error is the last that a person reads: what stdout was given is written, if it can be."""
    for one in _process.results:
        if one.screen is not None:
            one.screen.wait(FIRST_SECS)


def finish(code: int = 0) -> int:
    """Write what is buffered; where stdout was lost, say what is in which file.

    Then the process ends, whatever threads a strategy has left, with the exit code that is given
    back: `code`, but for a verb whose stdout is what it was asked for, and is lost.
    """
    if _verb() not in ENDED_BY_SIGNAL:
        end_by_signals(_INTERRUPTED)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if code and (document := _process.document(*_told_last(), code, {})):
        _process.results[-1].write(document)
    for one in _process.results:
        if one.screen is not None and not one.screen.wait(RESULT_SECS):
            _give_up(one)
    if not code and _verb() not in EARNED and any(one.is_told for one in _process.results):
        code = int(Exit.FAILED)
    if any(one.lost is not None for one in _process.results):
        for what, path in _process.files.items():
            sys.stderr.write(f"{what}: {path}\n")
    _process.is_whole = True
    end_by_signals(code)
    if _process.stderr.screen is not None:
        _process.stderr.screen.wait(LAST_SECS)
    threading.Thread(target=_leave, args=(code,), name="leave", daemon=True).start()
    return code


def _give_up(result: Output) -> None:
    """Nobody takes the result: it is a file of the run, and the process ends all the same."""
    kept = ""
    if (folder := _process.files.get("state")) is not None:
        path = os.path.join(folder, UNSHOWN_FILE)
        with contextlib.suppress(OSError):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(fd, "wb") as file:
                file.write(result.shown)
            kept = f"; it is in {path}"
    say(f"error OUTPUT-LOST: stdout took nothing of the result for {RESULT_SECS:g} s{kept}")


def _deaf() -> None:
    """The interpreter goes, and its handlers before it: no signal, and no alarm that was set for
    the result, is to end as a death what has ended with a code.
    """
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in (*stop_signals(), signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


def _told_last() -> tuple[str, str]:
    """Code and message of the last error on stderr; those of the command line library have none."""
    text = _process.stderr.tail.decode(errors="replace").strip()
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
        say(
            f"warning THREADS-LEFT: still at work and ended with the process: {', '.join(left)}; "
            "a strategy ends its threads in on_stop, or makes them daemons"
        )
    if left or _process.stderr.screen is not None:  # NautilusTrader's log may hang on stderr, too
        os._exit(code)


def _stopped_early(number: int, _frame: FrameType | None) -> None:
    """Nothing is open and nothing was sent; unwinding half an import would only raise in it."""
    name = signal.Signals(number).name
    if speech.has_begun:  # and is over; its code is not known yet
        if _process.is_late and number != signal.SIGHUP:
            end_at_once("STOP-AT-ONCE", f"ended at once by {name}; the run was over", _INTERRUPTED)
        _process.is_late = True
        return
    text = f"stopped by {name} before it began; nothing was sent"
    say(text)
    tell_end("STOPPED", text, 0)
    os._exit(0)


@contextlib.contextmanager
def logs_on_stderr(*, waits: bool = True) -> Iterator[None]:
    """NautilusTrader logs to file descriptor 1; the result must be alone there, to be parsed.

    The descriptor is stderr's from now on: its thread may write a last line at any time. In a
    process of ours so is `sys.stdout` the result's, for what is told of an error, too. Where the
    run `waits` for neither, they are written by threads (see engine/screen.py) to the end of the
    process, which waits for who reads the result, and not for ever.
    """
    sys.stdout.flush()
    kept, before = os.dup(_STDOUT), sys.stdout
    if not waits and _process.is_begun:
        _move_stderr()
        _process.stderr.begin_screen()
        _never_waits(_STDERR)
    os.dup2(_STDERR, _STDOUT)
    sys.stdout = guarded(kept, before)
    result = _process.results[-1]
    if _process.stderr.screen is not None:
        result.begin_screen()
    try:
        yield
    except BaseException:
        if not waits:
            end_by_signals(int(Exit.FAILED))
        raise
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
    _move_stderr()
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, _STDERR)
    os.close(silent)
    end_by_signals(code)
    sys.stdout.flush()


def end_by_signals(code: int) -> None:
    """What is left is to print: a signal ends the process with `code`, and says so."""
    if not _process.is_begun:
        return

    def end_now(number: int, _frame: FrameType | None) -> None:
        if _process.is_whole:
            os._exit(code)
        name = signal.Signals(number).name
        by = "a second signal" if number == signal.SIGALRM else name
        text = f"ended by {by} before the summary was whole"
        say(f"error: {text}")
        tell_end("CUT-SHORT", text, code)
        os._exit(code)

    for number in (*stop_signals(), signal.SIGALRM):
        signal.signal(number, end_now)


def hurry() -> None:
    """After a second signal: print what there is, and don't wait for who takes none of it."""
    if _process.is_begun and speech.is_hurried:
        signal.setitimer(signal.ITIMER_REAL, HURRY_SECS)


def _move_stderr() -> None:
    """To a descriptor of its own, once: number 2 is what others write to."""
    if speech.fd == _STDERR:
        speech.fd = os.dup(_STDERR)
        _process.stderr.move(speech.fd)


def _never_waits(fd: int) -> None:
    """What NautilusTrader writes to a terminal or a pipe is lost where that takes nothing.

    The file is opened anew for it: the flag is of an open file, which a terminal's processes share.
    A socket can't be: its thread waits there, and the run goes on.
    """
    if not (os.isatty(fd) or stat.S_ISFIFO(os.fstat(fd).st_mode)):
        return
    with contextlib.suppress(OSError):
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
        anew = os.open(f"/proc/self/fd/{fd}", flags)
        os.dup2(anew, fd)
        os.close(anew)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    """Of a verb that has something to finish: it is cut short, once in order, twice at once."""
    name = signal.Signals(number).name
    if _process.signal and number == signal.SIGHUP:
        return  # one closed terminal tells of it more than once
    if _process.signal:
        end_at_once("INTERRUPTED", f"ended at once by {name}", _INTERRUPTED)
    _process.signal = name
    raise KeyboardInterrupt


def interrupted() -> int:
    """The exit code of a process that a signal has ended, after a line."""
    name = _process.signal or signal.SIGINT.name
    sys.stderr.write(f"error INTERRUPTED: ended by {name} before it was done\n")
    return _INTERRUPTED


def is_interrupt(code: object) -> bool:
    """Whether the command line library ends for KeyboardInterrupt: not a run's own exit code."""
    return code == _INTERRUPTED and bool(_process.signal)
