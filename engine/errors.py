"""The base of every error that fairlead explains to a person."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

_NOT_OWN = (str(Path(__file__).parent), sysconfig.get_path("stdlib"), "<frozen")


class FairleadError(Exception):
    """One clear line: a greppable `code`, what was expected, what came, and what to do.

    `exit_code` is the process's exit code (the table is in `engine/cli/exits.py`).
    """

    exit_code = 1

    def __init__(self, code: str, message: str, exit_code: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        if exit_code is not None:
            self.exit_code = exit_code


def place_of(error: BaseException) -> str:
    """FILE:LINE of the innermost frame that is not the engine's, Python's or a package's.

    The innermost of all where there is none such; empty without a traceback.
    """
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
