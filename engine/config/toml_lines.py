"""Where each key of a TOML document stands: key path -> (line, column), both from 1.

`tomllib` gives values but no places. This scanner reads a document that tomllib has accepted,
so it checks nothing; it only follows the grammar (TOML 1.0) closely enough never to lose its way.
It reads no more than is asked for: headers with the first question, and of a table, an array or
an inline table what stands within with the first question that leads there. A sound config is
never asked for a place.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from functools import cached_property
from itertools import accumulate

from fairlead.engine.config.problems import KeyPath

# Possessive throughout: a valid document never needs a step back, and its size is not bounded here.
_BLANKS = r"(?: [ \t\n]++ | \#[^\n]*+ )*+"
_STRING = r"""(?:
    \"{3} (?: [^"\\]++ | \\. | ""?(?!") )*+ "{3,5}  # up to two quotes before the closing three
    | '{3} (?: [^']++ | ''?(?!') )*+ '{3,5}
    | " (?: [^"\\]++ | \\. )*+ "
    | ' [^']*+ '
)"""
_TO_EQUALS = rf"""(?: [A-Za-z0-9_. \t-]++ | {_STRING} )++ = [ \t]*+"""
_SCALAR = rf"(?: {_STRING} | [^,\[\]{{}}\#\n]++ )"
_WITHIN = rf"""(?: [^\[\]{{}}"'\#]++ | {_STRING} | \#[^\n]*+ )*+"""  # up to the next bracket


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.VERBOSE | re.DOTALL)


_BLANK = _compiled(_BLANKS)
_BARE_KEYS = _compiled(r"([A-Za-z0-9_.-]++) [ \t]*+ (?= [=\]] )")
_KEY_PART = _compiled(r"""[ \t]*+ ( "(?:[^"\\]++|\\.)*+" | '[^']*+' | [^ \t=.\]\n]*+ ) [ \t]*+""")
_KEY = _compiled(_TO_EQUALS)
_EQUALS = _compiled(r"= [ \t]*+")
_VALUE = _compiled(_SCALAR + _BLANKS)
_BARE_PAIR = _compiled(rf"([A-Za-z0-9_-]++) [ \t]*+ = [ \t]*+ ( [\[{{] | {_SCALAR} ) {_BLANKS}")
_PAIRS = _compiled(  # as many as there are, but for those with brackets in brackets
    rf"(?: {_TO_EQUALS} (?: {_SCALAR} | [\[{{] {_WITHIN} [\]}}] ) {_BLANKS} )*+"
)
_TO_BRACKETS = _compiled(rf"{_WITHIN} (?: ([\[{{]++) | ([\]}}]++) )")


class TomlLines:
    """Places of the keys, tables, list elements and values of one valid TOML document.

    List elements and arrays of tables are addressed by position: `("strategies", 0, "id")`.
    """

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._is_read = False
        self._keys: dict[KeyPath, int] = {}
        self._values: dict[KeyPath, int] = {}
        self._tables: dict[KeyPath, int] = {}  # arrays of tables: how many so far
        self._unread: dict[KeyPath, int] = {}  # where those begin that were passed over

    @property
    def paths(self) -> frozenset[KeyPath]:
        self._read(())
        while self._unread:
            self._within(*self._unread.popitem())
        return frozenset(self._keys)

    def key(self, path: KeyPath) -> tuple[int, int] | None:
        """Place of the key (of the element, for a list position)."""
        self._read(path)
        return self._place(self._keys.get(path))

    def value(self, path: KeyPath) -> tuple[int, int] | None:
        """Place of the value; of the header, for a table."""
        self._read(path)
        return self._place(self._values.get(path, self._keys.get(path)))

    def nearest(self, path: KeyPath) -> tuple[int, int]:
        """Place of the longest part of `path` that is in the document; (1, 1) for none."""
        for length in range(len(path), 0, -1):
            if place := self.key(path[:length]):
                return place
        return 1, 1

    @cached_property
    def _line_starts(self) -> list[int]:
        return list(accumulate([len(row) + 1 for row in self._text.split("\n")], initial=0))

    def _place(self, offset: int | None) -> tuple[int, int] | None:
        if offset is None:
            return None
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def _read(self, path: KeyPath) -> None:
        """Read the headers, and what is within those that `path` goes through."""
        if not self._is_read:
            self._is_read = True
            self._headers()
        for length in range(len(path)):
            start = self._unread.pop(path[:length], None)
            if start is not None:
                self._within(path[:length], start)

    def _add(self, path: KeyPath, at: int) -> None:
        """A table may be named in many places, and these are not read in their order."""
        if self._keys.setdefault(path, at) > at:
            self._keys[path] = at

    # Each of these reads what stands at an offset, and tells the offset of what comes next.

    def _headers(self) -> None:
        table: KeyPath = ()
        at = self._after(_BLANK, 0)
        while at < len(self._text):
            if self._text[at] == "[":
                table, at = self._header(at)
            else:
                self._unread[table] = at
                at = self._pairs(at)

    def _header(self, at: int) -> tuple[KeyPath, int]:
        """Also the path that the keys below the header go under."""
        brackets = 2 if self._text.startswith("[[", at) else 1
        parts, at = self._dotted_key(at + brackets)
        path: KeyPath = ()
        for part, offset in parts:
            if path in self._tables:
                path = (*path, self._tables[path] - 1)
            path = (*path, part)
            self._add(path, offset)
        last = parts[-1][1]
        if brackets == 2:
            count = self._tables.get(path, 0)
            self._tables[path] = count + 1
            path = (*path, count)
        self._keys[path] = last
        return path, self._after(_BLANK, at + brackets)

    def _pairs(self, at: int) -> int:
        """Pass over all up to the next header."""
        while True:
            at = self._after(_PAIRS, at)
            if at == len(self._text) or self._text[at] == "[":
                return at
            at = self._brackets(self._after(_KEY, at))

    def _pair(self, table: KeyPath, at: int) -> int:
        if bare := _BARE_PAIR.match(self._text, at):
            path = (*table, bare[1])
            start = bare.start(2)
            self._keys[path] = at
            self._values[path] = start
            if self._text[start] not in "[{":
                return bare.end()
            self._unread[path] = start
            return self._brackets(start)
        path = table
        parts, at = self._dotted_key(at)
        for part, offset in parts:
            path = (*path, part)
            self._add(path, offset)
        return self._value(path, self._after(_EQUALS, at))

    def _dotted_key(self, at: int) -> tuple[list[tuple[str, int]], int]:
        parts: list[tuple[str, int]] = []
        if bare := _BARE_KEYS.match(self._text, at):
            for part in bare[1].split("."):
                parts.append((part, at))
                at += len(part) + 1
            return parts, bare.end()
        while True:
            match = _KEY_PART.match(self._text, at)
            assert match is not None  # it matches nothing, too
            part, start = match[1], match.start(1)
            if "\\" in part and part[0] == '"':
                # tomllib itself undoes the escapes, so they cannot differ
                part = str(tomllib.loads(f"key = {part}")["key"])
            elif part[0] in "\"'":
                part = part[1:-1]
            parts.append((part, start))
            at = match.end()
            if self._text[at] != ".":
                return parts, at
            at += 1

    def _value(self, path: KeyPath, at: int) -> int:
        self._values[path] = at
        if self._text[at] not in "[{":
            return self._after(_VALUE, at)
        self._unread[path] = at
        return self._brackets(at)

    def _brackets(self, at: int) -> int:
        """Pass over an array or an inline table, without a frame for each one within."""
        depth = 0
        while True:
            match = _TO_BRACKETS.match(self._text, at)
            assert match is not None  # a valid document closes what it opens
            opened, closed = match.groups(default="")
            at = match.end()
            if closed and len(closed) >= depth:  # the rest of them close what is around this
                return self._after(_BLANK, at - len(closed) + depth)
            depth += len(opened) - len(closed)

    def _within(self, path: KeyPath, at: int) -> None:
        """Read an array, an inline table, or the pairs of a table, passing over those within."""
        opening = self._text[at]
        if opening == "[":
            self._elements(path, self._after(_BLANK, at + 1))
        elif opening == "{":
            self._inline_pairs(path, self._after(_BLANK, at + 1))
        else:
            while at < len(self._text) and self._text[at] != "[":
                at = self._pair(path, at)

    def _elements(self, path: KeyPath, at: int) -> None:
        position = 0
        while (char := self._text[at]) != "]":
            if char == ",":
                at = self._after(_BLANK, at + 1)
                continue
            element = (*path, position)
            self._keys[element] = at
            at = self._value(element, at)
            position += 1

    def _inline_pairs(self, path: KeyPath, at: int) -> None:
        while (char := self._text[at]) != "}":
            at = self._after(_BLANK, at + 1) if char == "," else self._pair(path, at)

    def _after(self, pattern: re.Pattern[str], at: int) -> int:
        match = pattern.match(self._text, at)
        assert match is not None  # each matches nothing, or what has to be there
        return match.end()
