"""Where each key of a TOML document stands: key path -> (line, column), both from 1.

`tomllib` gives values but no places. This scanner reads a document that tomllib has accepted,
so it checks nothing; it only follows the grammar (TOML 1.0) closely enough never to lose its way.
"""

from __future__ import annotations

import tomllib

from engine.config.problems import KeyPath

_BARE_END = frozenset(" \t=.]\n")
_VALUE_END = frozenset(",]}#\n")


class TomlLines:
    """Places of the keys, tables, list elements and values of one valid TOML document.

    List elements and arrays of tables are addressed by position: `("strategies", 0, "id")`.
    """

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._line_starts = [0]
        self._line_starts += [i + 1 for i, char in enumerate(self._text) if char == "\n"]
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
        low, high = 0, len(self._line_starts)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._line_starts[middle] <= offset else (low, middle)
        return low + 1, offset - self._line_starts[low] + 1

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
        path = table
        for part, offset in self._dotted_key():
            path = (*path, part)
            self._keys.setdefault(path, offset)
        self._at += 1  # the equals sign
        self._skip_spaces()
        self._value(path)

    def _dotted_key(self) -> list[tuple[str, int]]:
        parts = []
        while True:
            self._skip_spaces()
            start = self._at
            if self._text[start] in "\"'":
                self._string()
                # tomllib itself undoes the escapes, so they cannot differ
                part = str(tomllib.loads("key = " + self._text[start : self._at])["key"])
            else:
                while self._text[self._at] not in _BARE_END:
                    self._at += 1
                part = self._text[start : self._at]
            parts.append((part, start))
            self._skip_spaces()
            if self._text[self._at] != ".":
                return parts
            self._at += 1

    def _value(self, path: KeyPath) -> None:
        self._values[path] = self._at
        char = self._text[self._at]
        if char in "\"'":
            self._string()
        elif char == "[":
            self._array(path)
        elif char == "{":
            self._inline_table(path)
        else:
            while self._at < len(self._text) and self._text[self._at] not in _VALUE_END:
                self._at += 1

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

    def _string(self) -> None:
        quote = self._text[self._at]
        if self._text.startswith(quote * 3, self._at):
            self._multi_line_string(quote)
            return
        self._at += 1
        while self._text[self._at] != quote:
            self._at += 2 if quote == '"' and self._text[self._at] == "\\" else 1
        self._at += 1

    def _multi_line_string(self, quote: str) -> None:
        self._at += 3
        while not self._text.startswith(quote * 3, self._at):
            self._at += 2 if quote == '"' and self._text[self._at] == "\\" else 1
        self._at += 3
        # one or two quotes may stand directly before the closing three
        while self._at < len(self._text) and self._text[self._at] == quote:
            self._at += 1

    def _skip_spaces(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in " \t":
            self._at += 1

    def _skip_blank(self) -> bool:
        """Skip spaces, line ends and comments; whether anything is left."""
        while self._at < len(self._text):
            char = self._text[self._at]
            if char in " \t\n":
                self._at += 1
            elif char == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            else:
                return True
        return False
