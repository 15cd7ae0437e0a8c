"""What is wrong with a config: values to print, and the exception that holds them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any

import msgspec

from engine.cli.exits import Exit
from engine.config.codes import CODES
from engine.errors import FairleadError

KeyPath = tuple[str | int, ...]

_CAME_CHARS_MAX = 60
_WORD_CHARS_MAX = 100  # longer ones are like nothing
_LIKE_MIN = 0.6  # of difflib's ratio
_INTEGER_BITS_MAX = 128
_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_NOT_KEYS = frozenset({"E-CFG-014", "E-CFG-015"})


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
        super().__init__("E-CFG", "\n  ".join([head, *map(str, self.problems)]))


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
    """The choice most like `word`, or None when none is like it.

    The same choice as `difflib.get_close_matches`, at a tenth of its price: a choice is compared
    in full only where the letters that one has and the other lacks leave it a chance.
    """
    lowered = word.lower()
    length = len(lowered)
    if length > _WORD_CHARS_MAX:
        return None
    letters = _letters(lowered)
    best: tuple[float, str] = (_LIKE_MIN, "")
    found = None
    matcher: SequenceMatcher[str] | None = None
    for choice, size, has, original in _prepared(tuple(choices)):
        same_max = min(length - (letters & ~has).bit_count(), size - (has & ~letters).bit_count())
        if 2 * same_max < best[0] * (length + size):
            continue
        matcher = matcher or SequenceMatcher(None, "", lowered)
        matcher.set_seq1(choice)
        if (likeness := (matcher.ratio(), choice)) >= best:
            best, found = likeness, original
    return found


def _letters(word: str) -> int:
    """The letters of a word as bits, one each of the first three times that it has one.

    Letters 64 apart share theirs.
    """
    bits = 0
    for char in word:
        bit = 1 << (ord(char) & 63)
        if bits & bit:
            bit <<= 128 if bits & bit << 64 else 64
        bits |= bit
    return bits


@lru_cache(maxsize=64)
def _prepared(choices: tuple[str, ...]) -> list[tuple[str, int, int, str]]:
    lowered = {choice.lower(): choice for choice in choices}
    return [(low, len(low), _letters(low), choice) for low, choice in lowered.items()]


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


def came_text(value: Any) -> str:
    """What came, by type and value, short; a text that may be key material is withheld."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _integer(value)
    kinds: tuple[tuple[Any, str], ...] = (
        (bool, f"the boolean {str(value).lower()}"),
        (float, f"the float {value}"),
        (Decimal, f"the decimal {value}"),
        (dict, "a table"),
        (list, f"a list of {len(value) if isinstance(value, list) else 0}"),
        (datetime, f"the date-time {value}"),
        (date, f"the date {value}"),
        (time, f"the time {value}"),
    )
    if isinstance(value, str):
        if "-----BEGIN" in value:
            return "a text (withheld)"
        cut = value if len(value) <= _CAME_CHARS_MAX else value[:_CAME_CHARS_MAX] + "..."
        return f'"{cut}"' if cut.isprintable() else repr(cut)
    for kind, text in kinds:
        if isinstance(value, kind):
            return text
    return f"a {type(value).__name__}"
