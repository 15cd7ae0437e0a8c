"""What ends this process, in order or at once, and how one of our own is started beside it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

Answer = Callable[[str, str, int, Mapping[str, Any]], None]
_answers: list[Answer] = []


def answer_by(answer: Answer) -> None:
    """Who tells a process's reader of an end at once: code, message, exit code, what is known."""
    _answers[:] = [answer]


def end_at_once(code: str, message: str, exit_code: int, **known: Any) -> NoReturn:
    """Say why, past the loggers, whose locks a blocked thread may hold, and leave."""
    os.write(2, f"error {code}: {message}\n".encode())
    for answer in _answers:
        answer(code, message, exit_code, known)
    os._exit(exit_code)


def module_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs one of our modules with this interpreter.

    `-P`: a `fairlead.py` or a `types.py` in the folder that the run was started from is not ours.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def stop_signals() -> tuple[signal.Signals, ...]:
    """What ends a run in order. A terminal that closes is one, but for a process under nohup."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return (signal.SIGINT, signal.SIGTERM)
    return (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
