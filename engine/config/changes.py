"""Values in place of those of the file: `--set KEY=VALUE`, and what a notebook or a search sets.

A key is a path as `fairlead config --explain` has it: `risk.max_drawdown`,
`strategies[0].params.fast`, `strategies.Maker-001.params.fast` (by its id),
`risk.max_position."BTC_USDT.VENUE"`. A value is one of TOML; what is none is text.
"""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from fairlead.engine.config.problems import ConfigProblem, KeyPath
from fairlead.engine.errors import Exit, FairleadError

Changes = Mapping[str, Any]
_PART = re.compile(r'"((?:[^"\\]|\\.)*)"|\[([0-9]{1,9})\]|([^.\[\]"]+)')
_VALUES = (str, bool, int, datetime.datetime)


class Number(str):
    """A decimal number as it was written: exact where a decimal is wanted, else a float."""

    __slots__ = ()


def key_path(text: str) -> KeyPath:
    """`strategies[0].id` as a tuple; a quoted part may hold dots."""
    parts: list[str | int] = []
    for match in _PART.finditer(text):
        quoted, position, plain = match.groups()
        if position is not None:
            parts.append(int(position))
        else:
            parts.append(quoted.replace('\\"', '"') if quoted is not None else plain)
    return tuple(parts)


def parsed(settings: Iterable[str]) -> dict[str, Any]:
    """`KEY=VALUE` texts; the last one of a key counts. Raises FairleadError SET-FORM."""
    found = {}
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals or not key_path(key.strip()):
            raise FairleadError(
                "SET-FORM", f"expected --set KEY=VALUE, came --set {text}", int(Exit.USAGE)
            )
        found[key.strip()] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    try:
        table = tomllib.loads(f"value = {text}", parse_float=Number)
    except (tomllib.TOMLDecodeError, ValueError, RecursionError):
        return text
    return table["value"] if len(table) == 1 else text


def written(value: Any) -> str:
    """As `--set` takes it again."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(_quoted(one) for one in value)}]"
    if isinstance(value, Mapping):
        pairs = (f"{_quoted(str(key))} = {_quoted(one)}" for key, one in value.items())
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, str) and not isinstance(value, Number) and _value(value.strip()) != value:
        return _quoted(value)
    return str(value)


def _quoted(value: Any) -> str:
    if isinstance(value, str) and not isinstance(value, Number):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    return written(value)


def plain(changes: Changes) -> dict[str, Any]:
    """As a config file would have them: exact numbers and floats as text."""
    return {key: _plain(value) for key, value in changes.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return Number(format(value, "f"))
    if isinstance(value, float):
        return Number(format(Decimal(repr(value)), "f"))
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def change(raw: dict[str, Any], changes: Changes) -> tuple[list[KeyPath], list[ConfigProblem]]:
    """Set each value in the document `raw`; the paths, and what can't be set where it says.

    Whether a key exists, and its value fits, is found when the document is checked.
    """
    paths, problems = [], []
    for key, value in changes.items():
        try:
            paths.append(_set(raw, key_path(key), value))
        except LookupError as error:
            problems.append(problem(key, str(error.args[0])))
    return paths, problems


def problem(key: str, expected: str) -> ConfigProblem:
    return ConfigProblem(
        file=f"--set {key}", line=0, col=0, code="E-CFG-014", key=key, hint=f"expected {expected}"
    )


def _set(raw: Any, path: KeyPath, value: Any) -> KeyPath:
    """The path with positions in place of ids. Raises LookupError, saying what was expected."""
    at, found = raw, []
    for number, part in enumerate(path):
        step = _step(at, part)
        found.append(step)
        if number == len(path) - 1:
            at[step] = value
        else:
            at = at.setdefault(step, {}) if isinstance(at, dict) else at[step]
    return tuple(found)


def _step(at: Any, part: str | int) -> str | int:
    if isinstance(at, dict):
        return str(part)
    if not isinstance(at, list):
        raise LookupError(f"a table before {part}")
    if isinstance(part, int) and part < len(at):
        return part
    ids = [one.get("id") if isinstance(one, dict) else None for one in at]
    if part in ids:
        return ids.index(part)
    there = ", ".join(str(one) for one in ids if one is not None)
    places = f"[0] to [{len(at) - 1}], in brackets" if at else "no position: nothing is there"
    raise LookupError(places + (f", or one of {there}" if there else ""))
