"""How errors reach a person: one clear line on stderr, and the exit code of the table."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback

from fairlead.engine.cli.process import answer_of, result_first
from fairlead.engine.errors import Exit, FairleadError

DEBUG_VARIABLE = "FAIRLEAD_DEBUG"


def report(error: Exception, *, as_json: bool = False) -> int:
    """Print an error and give the process's exit code; a traceback only with FAIRLEAD_DEBUG=1.

    With `as_json` stdout gets the same facts as one object: `{"outcome", "exit_code", "error":
    {"code", "message", "exit_code"}}`.
    """
    if os.environ.get(DEBUG_VARIABLE) == "1":
        print(_redacted("".join(traceback.format_exception(error))), file=sys.stderr)  # noqa: T201
    if isinstance(error, FairleadError):
        return _tell(error.code, error.message, int(error.exit_code), as_json)
    first = str(error).partition("\n")[0]
    text = f"{type(error).__name__}: {first} ({DEBUG_VARIABLE}=1 shows where)"
    return _tell("E-UNEXPECTED", text, int(Exit.FAILED), as_json)


def _tell(code: str, message: str, exit_code: int, as_json: bool) -> int:
    text = _redacted(message)
    result_first()
    print(f"error {code}: {text}", file=sys.stderr)  # noqa: T201
    if as_json:
        with contextlib.suppress(OSError):  # stdout may be gone; stderr has it all
            print(json.dumps(answer_of(code, text, exit_code)), flush=True)  # noqa: T201
    return exit_code


def _redacted(text: str) -> str:
    from fairlead.engine.secrets import redact

    return redact(text)
