"""What ends this process in order, and how one of our own is started beside it."""

from __future__ import annotations

import signal
import sys


def module_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs one of our modules with this interpreter.

    `-P`: an `engine.py` or a `types.py` in the folder that the run was started from is not ours.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def stop_signals() -> tuple[signal.Signals, ...]:
    """What ends a run in order. A terminal that closes is one, but for a process under nohup."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return (signal.SIGINT, signal.SIGTERM)
    return (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
