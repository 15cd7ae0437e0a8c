"""The exit codes of `fairlead`, in one table."""

from __future__ import annotations

from enum import IntEnum


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
    TIMED_OUT = 124


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
    Exit.TIMED_OUT: "timed out",
}


def table() -> str:
    """The codes and their meanings, one per line."""
    return "\n".join(f"{code.value:>4}  {MEANING[code]}" for code in Exit)
