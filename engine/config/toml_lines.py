"""Where each key of a TOML document stands: key path -> (line, column), both from 1.

`tomllib` gives values but no places. This scanner reads a document that tomllib has accepted,
so it checks nothing; it only follows the grammar (TOML 1.0) closely enough never to lose its way.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from itertools import accumulate

from engine.config.problems import KeyPath

# Possessive throughout: a valid document never needs a step back, and its size is not bounded here.
_BLANK = re.compile(r"(?:[ \t\n]++|#[^\n]*+)*+")
_SPACES = re.compile(r"[ \t]*+")
_KEY_PART = re.compile(
    r"""[ \t]*+ ( "(?:[^"\\]++|\\.)*+" | '[^']*+' | [^ \t=.\]\n]*+ ) [ \t]*+""", re.VERBOSE
)
_VALUE = re.compile(  # one or two quotes may stand directly before the closing three
    r"""
    \"{3} (?: [^"\\]++ | \\. | ""?(?!") )*+ "{3,5}
    | '{3} (?: [^']++ | ''?(?!') )*+ '{3,5}
    | " (?: [^"\\]++ | \\. )*+ "
    | ' [^']*+ '
    | [^,\]}\#\n]*+
    """,
    re.VERBOSE | re.DOTALL,
)

_PLAIN_PAIR = re.compile(  # most lines are one bare key and one plain value
    r"""
    ([A-Za-z0-9_-]++) [ \t]*+ = [ \t]*+
    ( "[^"\\\n]*+"(?!") | [A-Za-z0-9+-][^,\]}\#\n]*+ )
    (?: [ \t\n]++ | \#[^\n]*+ )*+
    """,
    re.VERBOSE,
)


class TomlLines:
    """Places of the keys, tables, list elements and values of one valid TOML document.

    List elements and arrays of tables are addressed by position: `("strategies", 0, "id")`.
    """

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        rows = self._text.split("\n")
        self._line_starts = [0, *accumulate(len(row) + 1 for row in rows[:-1])]
        self._keys: dict[KeyPath, int] = {}
        self._values: dict[KeyPath, int] = {}
        self._tables: dict[KeyPath, int] = {}  # arrays of tables: how many so far
        self._document()

    @property
    def paths(self) -> frozenset[KeyPath]:
        return frozenset(self._keys)

    def key(self, path: KeyPath) -> tuple[int, int] | None:
        """Place of the key (of the element, for a list position)."""
        return self._place(self._keys.get(path))

    def value(self, path: KeyPath) -> tuple[int, int] | None:
        """Place of the value; of the header, for a table."""
        return self._place(self._values.get(path, self._keys.get(path)))

    def nearest(self, path: KeyPath) -> tuple[int, int]:
        """Place of the longest part of `path` that is in the document; (1, 1) for none."""
        for length in range(len(path), 0, -1):
            if place := self.key(path[:length]):
                return place
        return 1, 1

    def _place(self, offset: int | None) -> tuple[int, int] | None:
        if offset is None:
            return None
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def _document(self) -> None:
        table: KeyPath = ()
        while self._skip_blank():
            if self._text.startswith("[[", self._at):
                self._at += 2
                table = self._header(array=True)
            elif self._text[self._at] == "[":
                self._at += 1
                table = self._header(array=False)
            else:
                self._pair(table)

    def _header(self, *, array: bool) -> KeyPath:
        """Read a header after its opening bracket; the path its keys go under."""
        path: KeyPath = ()
        parts = self._dotted_key()
        for position, (part, offset) in enumerate(parts):
            path = (*path, part)
            self._keys.setdefault(path, offset)
            last = position == len(parts) - 1
            if last and array:
                count = self._tables.get(path, 0)
                self._tables[path] = count + 1
                path = (*path, count)
                self._keys[path] = offset
            elif path in self._tables:
                path = (*path, self._tables[path] - 1)
        if not array:
            self._keys[path] = parts[-1][1]
        self._at += 2 if array else 1
        return path

    def _pair(self, table: KeyPath) -> None:
        if plain := _PLAIN_PAIR.match(self._text, self._at):
            path = (*table, plain[1])
            self._keys.setdefault(path, plain.start(1))
            self._values[path] = plain.start(2)
            self._at = plain.end()
            return
        path = table
        for part, offset in self._dotted_key():
            path = (*path, part)
            self._keys.setdefault(path, offset)
        self._at += 1  # the equals sign
        self._skip(_SPACES)
        self._value(path)

    def _dotted_key(self) -> list[tuple[str, int]]:
        parts = []
        while True:
            match = _KEY_PART.match(self._text, self._at)
            assert match is not None  # it matches nothing, too
            part, start = match[1], match.start(1)
            if "\\" in part and part[0] == '"':
                # tomllib itself undoes the escapes, so they cannot differ
                part = str(tomllib.loads(f"key = {part}")["key"])
            elif part[0] in "\"'":
                part = part[1:-1]
            parts.append((part, start))
            self._at = match.end()
            if self._text[self._at] != ".":
                return parts
            self._at += 1

    def _value(self, path: KeyPath) -> None:
        self._values[path] = self._at
        char = self._text[self._at]
        if char == "[":
            self._array(path)
        elif char == "{":
            self._inline_table(path)
        else:
            self._skip(_VALUE)

    def _array(self, path: KeyPath) -> None:
        self._at += 1
        position = 0
        while self._skip_blank() and self._text[self._at] != "]":
            if self._text[self._at] == ",":
                self._at += 1
                continue
            element = (*path, position)
            self._keys[element] = self._at
            self._value(element)
            position += 1
        self._at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        while self._skip_blank() and self._text[self._at] != "}":
            if self._text[self._at] == ",":
                self._at += 1
                continue
            self._pair(path)
        self._at += 1

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        assert match is not None  # each pattern matches nothing, too
        self._at = match.end()

    def _skip_blank(self) -> bool:
        """Skip spaces, line ends and comments; whether anything is left."""
        self._skip(_BLANK)
        return self._at < len(self._text)
