"""`fairlead kill` without the command line library, whose import costs 0.1 s.

It reads the plain forms only. Everything else, and everything that is wrong, is left to the
library, which reads the same arguments anew and explains itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fairlead.engine.cli import killing, process
from fairlead.engine.cli.process import QUIET
from fairlead.engine.kill.state import Action

_VALUES = ("--config", "--action", "--reason", "--timeout")
_FLAGS = ("--json", *QUIET)
_POSITIONS_MAX = 2


def run(arguments: list[str]) -> int | None:
    """Carry the kill out and give the exit code; None where the library has to read."""
    wanted = read(arguments)
    if wanted is None:
        return None
    if set(QUIET) & set(arguments):
        process.quiet()
    try:
        return int(killing.carry_out(wanted))
    except killing.Misspelt:
        return None  # nothing was done; the library says the same in its own words
    except KeyboardInterrupt:
        print("interrupted: the state is kept, cancels may be unfinished", file=sys.stderr)  # noqa: T201
        raise
    except Exception as error:
        from fairlead.engine.cli import errors

        return errors.report(error, as_json=wanted.as_json)


def read(arguments: list[str]) -> killing.Wanted | None:
    """`[SCOPE [KEY]] --config FILE [--action A] [--reason R] [--timeout S] [--json] [--quiet]`, or
    None.
    """
    options: dict[str, str] = {}
    places: list[str] = []
    left = list(reversed(arguments))
    while left:
        name, has_value, value = left.pop().partition("=")
        if not name.startswith("-"):
            places.append(name + has_value + value)
            continue
        if name in options or name not in (*_VALUES, *_FLAGS) or (has_value and name in _FLAGS):
            return None
        if name in _VALUES and not has_value:
            if not left or left[-1].startswith("-"):
                return None
            value = left.pop()
        options[name] = value
    if len(places) > _POSITIONS_MAX or not options.get("--config"):
        return None
    return _wanted(places, options)


def _wanted(places: list[str], options: dict[str, str]) -> killing.Wanted | None:
    try:
        action = Action(options.get("--action", Action.CANCEL))
        timeout_secs = float(options.get("--timeout", killing.TIMEOUT_SECS))
    except ValueError:
        return None
    if not killing.TIMEOUT_SECS_LEAST <= timeout_secs <= killing.TIMEOUT_SECS_MOST:
        return None
    scope, key = [*places, *("all", "")[len(places) :]]
    return killing.Wanted(
        config=Path(options["--config"]),
        scope=scope,
        key=key,
        action=action,
        reason=options.get("--reason", ""),
        timeout_secs=timeout_secs,
        as_json="--json" in options,
    )
