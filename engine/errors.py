"""The base of every error that fairlead explains to a person."""

from __future__ import annotations


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
