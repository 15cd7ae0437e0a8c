"""How errors reach a person: one clear line on stderr, and the exit code of the table."""

from __future__ import annotations

import os
import sys
import traceback

from engine.cli.exits import Exit
from engine.errors import FairleadError

DEBUG_VARIABLE = "FAIRLEAD_DEBUG"


def report(error: Exception) -> int:
    """Print an error and give the process's exit code; a traceback only with FAIRLEAD_DEBUG=1."""
    if os.environ.get(DEBUG_VARIABLE) == "1":
        print(_redacted("".join(traceback.format_exception(error))), file=sys.stderr)  # noqa: T201
    if isinstance(error, FairleadError):
        print(f"error {_shown(error)}", file=sys.stderr)  # noqa: T201
        return int(error.exit_code)
    first = str(error).partition("\n")[0]
    text = f"error E-UNEXPECTED: {type(error).__name__}: {first} ({DEBUG_VARIABLE}=1 shows where)"
    print(_redacted(text), file=sys.stderr)  # noqa: T201
    return int(Exit.FAILED)


def _shown(error: FairleadError) -> str:
    return _redacted(f"{error.code}: {error.message}")


def _redacted(text: str) -> str:
    from engine.secrets import redact

    return redact(text)
