"""Seeded mutation of payloads: bytes, tokens, lines, and values inside of JSON."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

Mutation = Callable[["Mutator", bytes], bytes]

STACKS = (0, 1, 1, 1, 2, 4)  # mutations on top of each other; unharmed ones move a stream on
SOUND_SHARE = 0.6  # share of the inputs made by the first mutation alone, which keeps the form
INPUT_BYTES_MAX = 64 * 1024  # what grows beyond is cut: size is tested apart
NEST_DEPTHS = (30, 200, 900, 10_000)
RARE = 0.002  # share of the inputs that are nested that deep

AWKWARD = [
    msgspec.Raw(text.encode())
    for text in (
        *("null", "true", "false", "0", "-0", "-0.0", "1", "-1", "1.5", "1e5", "1E+400", "1e-400"),
        *("NaN", "Infinity", "-Infinity", "nan", "9223372036854775807", "9223372036854775808"),
        *(
            "-9223372036854775809",
            "18446744073709551616",
            "9" * 400,
            "-" + "9" * 60,
            "0.1" + "0" * 60,
        ),
        *('""', '" "', '"0"', '"-0"', '"0.0"', '"-1"', '"+1"', '"1."', '".5"', '"1e5"', '"1E-7"'),
        *('"1e400"', '"1e-400"', '"NaN"', '"sNaN"', '"Infinity"', '"-inf"', '"0x10"', '"1_000"'),
        *(
            '"1,5"',
            '" 1"',
            '"1 "',
            '"\\u0661\\u0662"',
            '"\\u00b2"',
            '"\\u0000"',
            '"\\ud83d\\ude00"',
        ),
        *('"' + "9" * 400 + '"', '"0.' + "0" * 400 + '1"', '"99999999999999999999.99999999"'),
        *("[]", "{}", "[[]]", "[{}]", '{"":""}', "[null]", '[["1","1"]]', '[["1","0"],["1","0"]]'),
        *('{"a":1,"a":2}', '[1,"2",null]', '"{}"', '"[]"', '"null"', '"{\\"a\\":1}"', '"buy"'),
        *("1700000000", "1700000000000", "9000000001", "99999999999999", '"1700000000000"'),
        *('"true"', '"update"', '"snapshot"', '"all"', "200", "-2", '"' + "a" * 3000 + '"'),
    )
]
AWKWARD_TOML = [
    text.encode()
    for text in (
        *("", "0", "-0", "1", "-1", "1.5", "1e400", "nan", "inf", "-inf", "9" * 400, "0x10", "0o7"),
        *('""', '" "', '"NaN"', '"1e400"', '"-1"', '"150"', "true", "[]", "[[]]", "[{}]", "{}"),
        *("{ a = 1 }", '["a", 1]', "2026-01-01", "2026-01-01T00:00:00Z", "07:32:00", "'''\n'''"),
        *('"""a\nb"""', '"\\u0000"', '"\\ud800"', '"' + "a" * 500 + '"', "[" * 90 + "]" * 90),
    )
]
BYTES = [
    *(
        b"",
        b"\x00",
        b"\xff",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b'"',
        b"\\",
        b"\\u",
        b"{",
    ),
    *(
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\n",
        b"\r\n",
        b" ",
        b"null",
        b"NaN",
        b"1e400",
        b"-",
        b"0",
        b"=",
    ),
    *(b"eyJhbGciOiJub25lIn0.eyJh.", b"-----BEGIN PRIVATE KEY-----", b'"signature":"', b"&key="),
]


class Mutator:
    """Makes inputs out of a corpus that grows. The same seed makes the same inputs."""

    def __init__(
        self,
        seed: int,
        corpus: Sequence[bytes],
        mutations: Sequence[Mutation],
        tokens: Sequence[bytes],
    ) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - simulation
        self.uniform = self.rng.random
        self.corpus = list(corpus)
        self.tokens = [*BYTES, *tokens]
        self._mutations = list(mutations)

    def __call__(self) -> bytes:
        data = self.pick(self.corpus)
        sound = self.uniform() < SOUND_SHARE
        for _ in range(self.pick(STACKS)):
            mutation = self._mutations[0] if sound else self.pick(self._mutations)
            data = mutation(self, data)
        return data[:INPUT_BYTES_MAX]

    def below(self, limit: int) -> int:
        return int(self.uniform() * limit)

    def pick[T](self, choices: Sequence[T]) -> T:
        return choices[int(self.uniform() * len(choices))]

    def span(self, data: bytes) -> tuple[int, int]:
        """Start and end of a part that is short more often than not."""
        start = self.below(len(data) + 1)
        return start, start + self.below(1 << self.below(8))


# -- bytes ----------------------------------------------------------------------------------------


def flip(m: Mutator, data: bytes) -> bytes:
    if not data:
        return b"\x00"
    at = m.below(len(data))
    return data[:at] + bytes([data[at] ^ (1 << m.below(8))]) + data[at + 1 :]


def cut(m: Mutator, data: bytes) -> bytes:
    start, end = m.span(data)
    return data[:start] + data[end:]


def truncate(m: Mutator, data: bytes) -> bytes:
    return data[: m.below(len(data) + 1)]


def repeat(m: Mutator, data: bytes) -> bytes:
    start, end = m.span(data)
    return data[:end] + data[start:end] * m.below(4) + data[end:]


def put_token(m: Mutator, data: bytes) -> bytes:
    start, end = m.span(data)
    return data[:start] + m.pick(m.tokens) + data[start if m.uniform() < 0.5 else end :]


def splice(m: Mutator, data: bytes) -> bytes:
    other = m.pick(m.corpus)
    return data[: m.below(len(data) + 1)] + other[m.below(len(other) + 1) :]


# -- lines ----------------------------------------------------------------------------------------


def move_line(m: Mutator, data: bytes) -> bytes:
    """Drop, repeat, swap, or borrow a line."""
    lines = data.split(b"\n")
    at, to, what = m.below(len(lines)), m.below(len(lines)), m.below(4)
    if what == 0:
        del lines[at]
    elif what == 1:
        lines.insert(to, lines[at])
    elif what == 2:
        lines[at], lines[to] = lines[to], lines[at]
    else:
        lines.insert(to, m.pick(m.pick(m.corpus).split(b"\n")))
    return b"\n".join(lines)


def toml_value(m: Mutator, data: bytes) -> bytes:
    """Another value to the right of an equals sign."""
    lines = data.split(b"\n")
    at = m.below(len(lines))
    key, equals, _ = lines[at].partition(b"=")
    if equals:
        lines[at] = key + b"= " + m.pick(AWKWARD_TOML)
    return b"\n".join(lines)


# -- JSON -----------------------------------------------------------------------------------------


def json_value(m: Mutator, data: bytes) -> bytes:
    """Change one value, anywhere in a JSON text, also in one that is a string of another."""
    head, tail = b"", data
    if data[:1].isdigit() and b" " in data[:24]:  # `<time> <json>` of a stream file
        stamp, space, tail = data.partition(b" ")
        head = stamp + space
    try:
        tree: Any = msgspec.json.decode(tail)
        return head + msgspec.json.encode(_changed(m, tree, 0))
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
        return put_token(m, data)


def _changed(m: Mutator, value: Any, depth: int) -> Any:
    """`value` with one change in it; containers are changed in place."""
    if isinstance(value, (dict, list)) and value and (depth < 1 or m.uniform() < 0.85):
        at = m.pick(list(value)) if isinstance(value, dict) else m.below(len(value))
        if m.uniform() < 0.3 and depth:
            _reshape(m, value, at)
        else:
            value[at] = _changed(m, value[at], depth + 1)
        return value
    if isinstance(value, str) and value[:1] in ("{", "["):
        return json_value(m, value.encode()).decode(errors="replace")
    return _other(m, value)


def _reshape(m: Mutator, value: Any, at: Any) -> None:
    what = m.below(4)
    if isinstance(value, dict):
        if what == 0:
            del value[at]
        elif what == 1:
            value[m.pick(["", "x", "data", "id", "ts", "code", "symbol"])] = value[at]
        else:
            value[at] = value[m.pick(list(value))]
    elif what == 0:
        del value[at]
    elif what == 1:
        value.insert(at, value[m.below(len(value))])
    elif what == 2:
        value[at : at + 1] = [value[at]] * (1 + m.below(40))
    else:
        value.reverse()


def _other(m: Mutator, value: Any) -> Any:
    draw = m.uniform()
    if draw < RARE:
        depth = m.pick(NEST_DEPTHS)
        return msgspec.Raw(m.pick([b"[", b'{"a":']) * depth + (b"]" * depth if depth % 7 else b""))
    if draw < 0.25 and isinstance(value, int):
        return value + m.pick([-1000, -2, -1, 1, 2, 1000, 1 << 31, 1 << 53, 1 << 63])
    if draw < 0.25 and isinstance(value, str):
        return m.pick(
            [value + "0", "-" + value, value[:-1], value.upper(), value + ".", "0" + value]
        )
    if draw < 0.35:
        return [value]
    return m.pick(AWKWARD)


JSON = (json_value, json_value, json_value, json_value, json_value, flip, cut, put_token, splice)
TEXT = (put_token, put_token, move_line, flip, cut, repeat, truncate, splice)
BINARY = (flip, flip, cut, truncate, repeat, put_token, splice)
TOML = (toml_value, toml_value, move_line, move_line, put_token, flip, cut)
JSON_LINES = (json_value, json_value, json_value, json_value, put_token, flip, cut, move_line)
