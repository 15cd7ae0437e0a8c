"""Processes of our own beside the one that runs."""

from __future__ import annotations

import sys


def module_command(module: str, *arguments: str) -> list[str]:
    """The command line that runs one of our modules with this interpreter.

    `-P`: an `engine.py` or a `types.py` in the folder that the run was started from is not ours.
    """
    return [sys.executable, "-P", "-m", module, *arguments]
