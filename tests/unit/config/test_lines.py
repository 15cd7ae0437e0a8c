"""The line index of a TOML document, held against tomllib and against documents whose places
are known because the test wrote them."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.engine.config.loaded import parse_key_path
from fairlead.engine.config.problems import KeyPath, key_text
from fairlead.engine.config.toml_lines import TomlLines

DOCUMENT = '''\
# a comment with [a.table] = 1 in it
top = "a # in a string ]"
a.b.c = 1
a.b."d.e" = 'lit\\'
"quo\\u0074ed \\"key\\"" = { x = 1, "y.z" = { w = [1, 2] } }
numbers = [ # comment ]
  1,
  [2,
   3], # another
  """
  text = 9 """,
  { inner = true },
]
basic = """
[not.a.table]
no = 1 \\""" still
end""""
literal = \'\'\'
it's = 2
\'\'\'
when = 2026-11-01 00:00:00Z # note

[ table . sub ]
key = 1
[table]
other.part = 2
[[rows]]
id = "one"
[rows.params]
n = 1
[[rows]]
id = "two"
params = { n = 2 }
[[rows.cells]]
v = 1
[[rows.cells]]
v = 2
[rows.cells.deep]
w = 3
'''

PLACES: list[tuple[KeyPath, tuple[int, int]]] = [
    (("top",), (2, 1)),
    (("a",), (3, 1)),
    (("a", "b"), (3, 3)),
    (("a", "b", "c"), (3, 5)),
    (("a", "b", "d.e"), (4, 5)),
    (('quoted "key"',), (5, 1)),
    (('quoted "key"', "y.z"), (5, 34)),
    (('quoted "key"', "y.z", "w", 1), (5, 52)),
    (("numbers",), (6, 1)),
    (("numbers", 0), (7, 3)),
    (("numbers", 1, 0), (8, 4)),
    (("numbers", 1, 1), (9, 4)),
    (("numbers", 2), (10, 3)),
    (("numbers", 3, "inner"), (12, 5)),
    (("basic",), (14, 1)),
    (("literal",), (18, 1)),
    (("when",), (21, 1)),
    (("table", "sub"), (23, 11)),
    (("table", "sub", "key"), (24, 1)),
    (("table",), (25, 2)),
    (("table", "other", "part"), (26, 7)),
    (("rows",), (27, 3)),
    (("rows", 0), (27, 3)),
    (("rows", 0, "params"), (29, 7)),
    (("rows", 0, "params", "n"), (30, 1)),
    (("rows", 1), (31, 3)),
    (("rows", 1, "id"), (32, 1)),
    (("rows", 1, "params", "n"), (33, 12)),
    (("rows", 1, "cells", 0, "v"), (35, 1)),
    (("rows", 1, "cells", 1), (36, 8)),
    (("rows", 1, "cells", 1, "deep", "w"), (39, 1)),
]


def paths_of(value: Any, path: KeyPath = ()) -> set[KeyPath]:
    """Every key path that tomllib found, tables and list elements included."""
    found: set[KeyPath] = {path} if path else set()
    if isinstance(value, dict):
        for name, inner in value.items():
            found |= paths_of(inner, (*path, name))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            found |= paths_of(inner, (*path, position))
    return found


@pytest.mark.parametrize(("path", "place"), PLACES, ids=lambda item: str(item))
def test_places_of_a_document_with_every_construct(path: KeyPath, place: tuple[int, int]) -> None:
    assert TomlLines(DOCUMENT).key(path) == place


@pytest.mark.parametrize("text", [DOCUMENT, DOCUMENT.replace("\n", "\r\n")])
def test_the_index_has_exactly_the_keys_of_tomllib(text: str) -> None:
    assert TomlLines(text).paths == paths_of(tomllib.loads(text))


@pytest.mark.parametrize(
    "text",
    [
        "a.x = 1\n[a.b]\nc = 2\n",  # a table named by a dotted key, then by a header
        "[t.a.b]\nc = 1\n[t]\na.x = 2\n",  # and the other way round
        "q = 0\n[t] # not = a pair\nx = [[1, [2]], 3]\ny = { z = [{ w = 1 }] }\n",
        DOCUMENT,
    ],
)
def test_places_do_not_depend_on_what_was_asked_before(text: str) -> None:
    paths = sorted(paths_of(tomllib.loads(text)), key=lambda path: (len(path), str(path)))
    lines, backwards = TomlLines(text), TomlLines(text)
    places = {path: lines.key(path) for path in paths}
    assert None not in places.values()
    assert {path: backwards.key(path) for path in reversed(paths)} == places
    assert {path: TomlLines(text).key(path) for path in paths} == places
    assert TomlLines(text).paths == set(paths)


def test_places_within_a_table_that_two_lines_name() -> None:
    lines = TomlLines("[t.a.b]\nc = 1\n[t]\na.x = 2\n")
    assert lines.key(("t", "a", "x")) == (4, 3)
    assert lines.key(("t", "a")) == (1, 4)  # the first of them
    assert lines.key(("t",)) == (3, 2)  # its own header, though a later line
    assert TomlLines("a.x = 1\n[a.b]\n").key(("a",)) == (1, 1)


def test_brackets_as_deep_as_tomllib_takes_need_no_stack() -> None:
    depth = 300
    lines = TomlLines(f"x = {'[' * depth}{']' * depth}\ny = 1\n")
    assert lines.key(("y",)) == (2, 1)
    assert lines.key(("x", *[0] * 200)) == (1, 205)


def test_places_of_values_and_of_what_is_missing() -> None:
    lines = TomlLines(DOCUMENT)
    assert lines.value(("a", "b", "c")) == (3, 9)
    assert lines.value(("rows", 0)) == (27, 3)
    assert lines.key(("rows", 2)) is None
    assert lines.nearest(("rows", 1, "nothing", "here")) == (31, 3)
    assert lines.nearest(("nothing",)) == (1, 1)


@pytest.mark.parametrize("path", [path for path, _ in PLACES])
def test_a_key_path_reads_back_as_it_was_written(path: KeyPath) -> None:
    assert parse_key_path(key_text(path)) == path


# documents whose places are known because they are written here
NAMES = st.one_of(
    st.text("abcXYZ019_-", min_size=1, max_size=4),
    st.text(st.sampled_from("a.b #[]='\"\\=,{}\n\té€𝄞"), max_size=4),
)
TEXTS = st.text(st.sampled_from("ab.#[]{}='\"\\,\n\t é𝄞"), max_size=12)
SCALARS = st.one_of(
    st.integers(-(2**31), 2**31),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.datetimes(),
    TEXTS,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)
TABLES = st.dictionaries(NAMES, VALUES, max_size=4)
DOCUMENTS = st.fixed_dictionaries(
    {
        "top": TABLES,
        "tables": st.dictionaries(NAMES, TABLES, max_size=3),
        "rows": st.dictionaries(NAMES, st.lists(TABLES, min_size=1, max_size=3), max_size=2),
    }
)


class Writer:
    """Writes TOML in styles drawn by hypothesis, and notes the line of each key."""

    def __init__(self, draw: Any) -> None:
        self.text = ""
        self.lines: dict[KeyPath, int] = {}
        self._draw = draw

    def _pick(self, *choices: Any) -> Any:
        return self._draw(st.sampled_from(choices))

    def note(self, path: KeyPath) -> None:
        self.lines.setdefault(path, self.text.count("\n") + 1)

    def key(self, name: str) -> str:
        bare = name and all(c.isascii() and (c.isalnum() or c in "_-") for c in name)
        literal = "'" not in name and "\n" not in name
        styles = ["basic"] + (["bare"] if bare else []) + (["literal"] if literal else [])
        style = self._pick(*styles)
        return {"basic": basic(name), "bare": name, "literal": f"'{name}'"}[style]

    def string(self, value: str) -> str:
        styles = ["basic", "long"]
        if "'" not in value and "\n" not in value:
            styles.append("literal")
        if "'''" not in value and not value.endswith("'"):
            styles.append("long literal")
        style = self._pick(*styles)
        if style == "literal":
            return f"'{value}'"
        if style == "long literal":
            return f"'''\n{value}'''"
        if style == "long":
            escaped = value.replace("\\", "\\\\").replace('""', '"\\"')
            tail = escaped[:-1] + '\\"' if escaped.endswith('"') else escaped
            return f'"""\n{tail}"""' if not tail.endswith('\\\\"') else basic(value)
        return basic(value)

    def value(self, value: Any, path: KeyPath) -> None:
        if isinstance(value, dict):
            self.text += "{ "
            for position, (name, inner) in enumerate(value.items()):
                self.text += ", " if position else ""
                self.pair(name, inner, path)
            self.text += " }"
        elif isinstance(value, list):
            self.text += "["
            for position, inner in enumerate(value):
                self.text += self._pick("", " ", "\n", " # x ] ,\n\t")
                self.note((*path, position))
                self.value(inner, (*path, position))
                self.text += self._pick(",", ",\n", " , # ]\n")
            self.text += "]"
        elif isinstance(value, bool):
            self.text += str(value).lower()
        elif isinstance(value, str):
            self.text += self.string(value)
        else:
            self.text += str(value)

    def pair(self, name: str, value: Any, path: KeyPath) -> None:
        here = (*path, name)
        self.note(here)
        self.text += self.key(name)
        if isinstance(value, dict) and value and self._pick(True, False):
            # one dotted key for a table that has a single key
            inner, rest = next(iter(value.items()))
            if len(value) == 1:
                self.text += self._pick(".", " . ")
                self.pair(inner, rest, here)
                return
        self.text += self._pick("=", " = ", "\t= ")
        self.value(value, here)

    def table(self, table: dict[str, Any], path: KeyPath) -> None:
        for name, value in table.items():
            self.text += self._pick("", "  ", "\n", "# note = 1\n")
            self.pair(name, value, path)
            self.text += self._pick("\n", " # [x]\n", "\r\n")


def basic(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


@st.composite
def written(draw: Any) -> tuple[str, dict[KeyPath, int], dict[str, Any]]:
    parts = draw(DOCUMENTS)
    writer = Writer(draw)
    comment = draw(st.sampled_from(["", " # a = 1"]))
    expected: dict[str, Any] = dict(parts["top"])
    writer.table(parts["top"], ())
    for name, table in parts["tables"].items():
        if name in expected:
            continue
        expected[name] = table
        writer.note((name,))
        writer.text += f"[ {writer.key(name)} ]{comment}\n"
        writer.table(table, (name,))
    for name, rows in parts["rows"].items():
        if name in expected:
            continue
        expected[name] = rows
        for position, row in enumerate(rows):
            writer.note((name,))
            writer.note((name, position))
            writer.text += f"[[{writer.key(name)}]]{comment}\n"
            writer.table(row, (name, position))
    return writer.text, writer.lines, expected


@settings(max_examples=300, deadline=None)
@given(written())
def test_every_key_is_found_on_the_line_it_was_written_on(
    document: tuple[str, dict[KeyPath, int], dict[str, Any]],
) -> None:
    text, expected, values = document
    parsed = tomllib.loads(text)
    assert parsed == values
    lines = TomlLines(text)
    assert lines.paths == paths_of(parsed)
    places = {path: lines.key(path) for path in expected}
    asked = TomlLines(text)  # one whose tables are read as questions lead there
    assert {path: asked.key(path) for path in reversed(expected)} == places
    assert {path: place[0] for path, place in places.items() if place} == expected
    rows = text.replace("\r\n", "\n").split("\n")
    for path, place in places.items():
        key = path[-1]
        if isinstance(key, str) and place:
            rest = rows[place[0] - 1][place[1] - 1 :]
            assert rest.startswith((key, basic(key), f"'{key}'")), (path, rest)
