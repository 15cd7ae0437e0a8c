"""The base of every error that fairlead explains to a person, and the exit codes of a process."""

from __future__ import annotations

import sysconfig
import traceback
from enum import IntEnum
from pathlib import Path

_NOT_OWN = (str(Path(__file__).parent), sysconfig.get_path("stdlib"), "<frozen")


class Exit(IntEnum):
    """What a process's exit code means."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CONFIG = 3
    NO_DATA = 4
    VENUE = 5
    DRIFT = 6
    BREACH = 7
    KILLED = 8
    BAD_DATA = 9
    FAULTED = 10
    UNRESOLVED = 11
    LOCKED = 12
    NOT_STORED = 13
    NOT_FLAT = 14
    NOT_CONFORMING = 15
    NOT_LIKE = 16
    TIMED_OUT = 124
    INTERRUPTED = 130


MEANING: dict[Exit, str] = {
    Exit.OK: "ok",
    Exit.FAILED: "failed (unexpected)",
    Exit.USAGE: "wrong usage of the command line",
    Exit.CONFIG: "the config is wrong",
    Exit.NO_DATA: "not found, or no data",
    Exit.VENUE: "venue unreachable, or credentials missing or refused",
    Exit.DRIFT: "journal and venue differ",
    Exit.BREACH: "an order went round the risk gate",
    Exit.KILLED: "killed by a risk limit or the kill switch",
    Exit.BAD_DATA: "data invalid",
    Exit.FAULTED: "a strategy faulted",
    Exit.UNRESOLVED: "orders unresolved at the stop",
    Exit.LOCKED: "the state folder is locked by another process",
    Exit.NOT_STORED: "the kill is not stored: what was open is cancelled, nothing stays stopped",
    Exit.NOT_FLAT: "a position stays that was to be closed at the stop, or whose stop is gone",
    Exit.NOT_CONFORMING: "an adapter fails a card of the conformance kit",
    Exit.NOT_LIKE: "a backtest is not what the run had, beyond the tolerance",
    Exit.TIMED_OUT: "timed out",
    Exit.INTERRUPTED: "cut short by a signal; what runs until it is told to stop: by a second one",
}


def exit_table() -> str:
    """The exit codes and their meanings, one per line."""
    return "\n".join(f"{code.value:>4}  {MEANING[code]}" for code in Exit)


class FairleadError(Exception):
    """One clear line: a greppable `code`, what was expected, what came, and what to do.

    `exit_code` is the process's exit code (see `Exit`).
    """

    exit_code = 1

    def __init__(self, code: str, message: str, exit_code: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        if exit_code is not None:
            self.exit_code = exit_code


class PlacedError(Exception):
    """One that is raised elsewhere than where the mistake is: at `place`, FILE:LINE."""

    place = ""


def place_of(error: BaseException) -> str:
    """FILE:LINE of the innermost frame that is not the engine's, Python's or a package's.

    The innermost of all where there is none such; empty without a traceback.
    """
    if isinstance(error, PlacedError):
        return error.place
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if not frame.filename.startswith(_NOT_OWN) and "site-packages" not in frame.filename
    ]
    found = own or list(frames)
    return f"{found[-1].filename}:{found[-1].lineno}" if found else ""


def clear_command(scope: object, config: Path | str | None) -> str:
    """What a person runs to end kills and halts of a scope; without the file where it is unknown.

    `scope` is a `fairlead.engine.kill.state.Scope`, or its text.
    """
    import shlex  # not on the way of a kill

    where = "" if config is None else f" --config {shlex.quote(str(config))}"
    return f"fairlead kill {scope} --clear --reason TEXT{where}"
