"""What is wrong with a config: values to print, and the exception that holds them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

import msgspec

from fairlead.engine.codes.config import CODES
from fairlead.engine.errors import Exit, FairleadError

KeyPath = tuple[str | int, ...]

_CAME_CHARS_MAX = 60
_WORD_CHARS_MAX = 100  # longer ones are like nothing
_SHOWN_MAX = 10  # of a list of names
_LIKE_MIN = 0.6  # of difflib's ratio
_INTEGER_BITS_MAX = 128
_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
# Not the config: the code that it names. A run ends with the exit code of a strategy's fault.
STRATEGY_RAISED = frozenset({"E-CFG-058"})
_NOT_KEYS = frozenset({"E-CFG-014", "E-CFG-015"})
_KINDS: tuple[tuple[type, str], ...] = (
    (float, "float"),
    (Decimal, "decimal"),
    (datetime, "date-time"),  # before its base class
    (date, "date"),
    (time, "time"),
)


class ConfigProblem(msgspec.Struct, frozen=True, kw_only=True):
    """One finding: where, a stable code, what was expected, what came, and what to do.

    `line` and `col` count from 1; 0 means that no place in the file fits. `came` never holds a
    credential.
    """

    file: str
    line: int
    col: int
    code: str
    key: str
    expected: str = ""
    came: str = ""
    hint: str = ""
    traceback: str = ""  # of the strategy's own code

    @property
    def text(self) -> str:
        """The finding without its place and code."""
        if self.code in _NOT_KEYS:
            what = f"{self.key} is not a key"
        else:
            parts = [f"expected {self.expected}"] if self.expected else []
            parts += [f"came {self.came}"] if self.came else []
            what = (f"{self.key}: " if self.key else "") + "; ".join(parts)
        return f"{what}; {self.hint}" if self.hint else what

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.col}" if self.line else self.file
        return f"{place} {self.code} {self.text}"


class ConfigError(FairleadError):
    """A config that can't be run. `problems` are all that could be found in one go."""

    exit_code = int(Exit.CONFIG)

    def __init__(self, problems: Sequence[ConfigProblem]) -> None:
        if not problems:
            raise ValueError("a ConfigError needs a problem")
        if unlisted := {problem.code for problem in problems} - CODES.keys():
            raise ValueError(f"codes without a meaning: {sorted(unlisted)}")
        self.problems = tuple(problems)
        count = len(self.problems)
        head = "the config is wrong" if count == 1 else f"the config is wrong in {count} places"
        code = Exit.CONFIG
        if all(problem.code in STRATEGY_RAISED for problem in self.problems):
            head, code = "a strategy can't be built", Exit.FAULTED
        traces = "".join(f"\n{one.traceback.rstrip()}" for one in self.problems if one.traceback)
        text = "\n  ".join([head, *map(str, self.problems)])
        super().__init__("E-CFG", text + traces, int(code))


def told_once(problems: Sequence[ConfigProblem]) -> list[ConfigProblem]:
    """One fault of a strategy's code stops each strategy of it, and is one mistake: told at the
    first, which names the others."""
    first: dict[tuple[str, str], int] = {}
    told: list[ConfigProblem] = []
    for problem in problems:
        if problem.code not in STRATEGY_RAISED:
            told.append(problem)
            continue
        at = first.setdefault((problem.code, problem.traceback), len(told))
        if at == len(told):
            told.append(problem)
            continue
        hint = told[at].hint or "the same stops"
        hint += f"{', ' if told[at].hint else ' '}{problem.key}"
        told[at] = msgspec.structs.replace(told[at], hint=hint)
    return told


def key_text(path: KeyPath) -> str:
    """A key path as it is written in TOML, list positions in brackets: `strategies[0].id`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        shown = part if part and _BARE.issuperset(part) else '"' + part.replace('"', '\\"') + '"'
        text += f".{shown}" if text else shown
    return text


def nearest(word: str, choices: Sequence[str]) -> str | None:
    """The choice most like `word`, or None when none is like it."""
    if len(word) > _WORD_CHARS_MAX:
        return None
    lowered = {choice.lower(): choice for choice in choices}
    found = get_close_matches(word.lower(), lowered, n=1, cutoff=_LIKE_MIN)
    return lowered[found[0]] if found else None


def near_market(instrument_id: str, listed: Iterable[str]) -> str:
    """One that it is a slip of; empty for one that is only like: two markets of a venue are."""
    told = _letters(instrument_id)
    return next((one for one in listed if _is_slip(told, _letters(one))), "")


def _letters(text: str) -> str:
    return "".join(one for one in text.lower() if one.isalnum())


def _is_slip(one: str, other: str) -> bool:
    """Whether they are the same but for one character, more, less or other, or two swapped."""
    begin = _alike(one, other)
    end = _alike(one[begin:][::-1], other[begin:][::-1])
    left, right = one[begin : len(one) - end], other[begin : len(other) - end]
    return (len(left) <= 1 and len(right) <= 1) or (len(left) == 2 and left == right[::-1])


def _alike(one: str, other: str) -> int:
    """How many characters they begin with are the same."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def some(names: Sequence[str]) -> str:
    """As many as a line takes."""
    rest = len(names) - _SHOWN_MAX
    return ", ".join(names[:_SHOWN_MAX]) + (f", and {rest} more" if rest > 0 else "")


def did_you_mean(word: str, choices: Sequence[str], *, among: bool = True) -> str:
    """A hint: the nearest choice, or (when `among`) the choices there are, or nothing."""
    if match := nearest(word, choices):
        return f"did you mean {match}?"
    return f"valid: {', '.join(sorted(choices))}" if among and choices else ""


def _integer(value: int) -> str:
    # Python refuses to write integers of more than 4300 digits.
    if value.bit_length() > _INTEGER_BITS_MAX:
        return f"an integer of {value.bit_length()} bits"
    return f"the integer {value}"


def _quoted(value: str) -> str:
    if "-----BEGIN" in value:
        return "a text (withheld)"
    cut = value if len(value) <= _CAME_CHARS_MAX else value[:_CAME_CHARS_MAX] + "..."
    return f'"{cut}"' if cut.isprintable() else repr(cut)


def came_text(value: Any) -> str:
    """What came, by type and value, short; a text that may be key material is withheld."""
    match value:
        case str():
            return _quoted(value)
        case bool():
            return f"the boolean {str(value).lower()}"
        case int():
            return _integer(value)
        case dict():
            return "a table"
        case list():
            return f"a list of {len(value)}"
    for kind, name in _KINDS:
        if isinstance(value, kind):
            return f"the {name} {value}"
    return f"a {type(value).__name__}"
