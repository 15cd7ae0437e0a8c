"""Hold a raw TOML table against a struct type and tell everything that does not fit.

msgspec itself stops at the first error; a person wants all of them. The walk returns the table
with exact decimals made, or `BAD` in the place of what was reported.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple, Protocol

import msgspec
from msgspec import inspect

from fairlead.engine.config.addresses import shown as address_shown
from fairlead.engine.config.addresses import wrong_part
from fairlead.engine.config.changes import Number
from fairlead.engine.config.problems import KeyPath, came_text, key_text, nearest

BAD: Final = object()

_EXACT = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")
EXACT_HINT = "no exponent, separator, unit or blank; the point is ."
_DECIMAL_DOC = 'an exact decimal as a string, e.g. "{}"'
DECIMAL_LIMITS: Final = {"least": "at least", "above": "more than", "most": "at most"}
_BREAKS: Final = {"least": operator.lt, "above": operator.le, "most": operator.gt}
_FRACTION_HINT = "it is a fraction: 0.001 is 0.1 %, or 10 bps"
_ROOT_DOC = "at the top of the file, above the first [table]"


class Report(Protocol):
    """Takes one finding; `at_value` puts it at the value instead of the key."""

    def __call__(
        self,
        path: KeyPath,
        code: str,
        expected: str = "",
        came: str = "",
        hint: str = "",
        *,
        at_value: bool = True,
    ) -> None: ...


class Homes:
    """Which sections have a key of a given name, for keys that stand in the wrong one."""

    def __init__(self, root: type) -> None:
        self._homes: dict[str, list[str]] = {}
        self._collect(inspect.type_info(root), "", repeated=False)

    def of(self, name: str) -> list[str]:
        return self._homes.get(name, [])

    def and_more(self, more: Iterable[tuple[str, str]]) -> Homes:
        """These, and other keys: each with its place in words, `in [SECTION]`."""
        made = copy(self)
        made._homes = {name: list(places) for name, places in self._homes.items()}
        for name, place in more:
            made._homes.setdefault(name, []).append(place)
        return made

    def nearest(self, name: str) -> str | None:
        return nearest(name, list(self._homes))

    def _collect(self, kind: inspect.Type, section: str, *, repeated: bool) -> None:
        kind = bare(kind)
        if isinstance(kind, inspect.UnionType):
            for option in kind.types:
                self._collect(option, section, repeated=repeated)
        elif isinstance(kind, inspect.ListType):
            self._collect(kind.item_type, section, repeated=True)
        elif isinstance(kind, inspect.DictType):
            self._collect(kind.value_type, f"{section}.NAME", repeated=repeated)
        elif isinstance(kind, inspect.StructType):
            header = f"in [[{section}]]" if repeated else f"in [{section}]"
            for field in kind.fields:
                place = header if section else _ROOT_DOC
                self._homes.setdefault(field.encode_name, []).append(place)
                inner = f"{section}.{field.encode_name}" if section else field.encode_name
                self._collect(field.type, inner, repeated=repeated)


def bare(kind: inspect.Type) -> inspect.Type:
    """The type without its metadata."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return kind


class Walker:
    """One walk over one table; findings go to `report`."""

    def __init__(self, report: Report, homes: Homes) -> None:
        self._report = report
        self._homes = homes

    def table(self, kind: type, value: Any, path: KeyPath) -> Any:
        """Walk a table against a struct type; the cleaned table, or `BAD`."""
        return self._struct(_type_info(kind), value, path, None)

    def _walk(
        self, kind: inspect.Type, value: Any, path: KeyPath, meta: inspect.Metadata | None
    ) -> Any:
        handler, bare_kind, meta = _reader(kind, meta)
        return handler(self, bare_kind, value, path, meta)

    def _wrong(self, path: KeyPath, expected: str, value: Any, hint: str = "") -> Any:
        self._report(path, "E-CFG-020", expected, came_text(value), hint)
        return BAD

    def _struct(self, kind: inspect.StructType, value: Any, path: KeyPath, meta: Any) -> Any:
        if not isinstance(value, dict):
            return self._wrong(path, f"a table, [{key_text(path)}]", value)
        readers, required = _fields(kind.cls)
        clean: dict[str, Any] = {}
        bad = False
        for name, inner in value.items():
            if reader := readers.get(name):
                handler, bare_kind, inner_meta = reader
                clean[name] = handler(self, bare_kind, inner, (*path, name), inner_meta)
                bad = bad or clean[name] is BAD
            else:
                self._unknown(name, path, kind.cls, readers)
                bad = True
        for name, field in required.items():
            if name not in value:
                self._missing(field, (*path, name))
                bad = True
        return BAD if bad else clean

    def _missing(self, field: inspect.Field, path: KeyPath) -> None:
        meta = field.type if isinstance(field.type, inspect.Metadata) else None
        schema = (meta.extra_json_schema if meta else None) or {}
        self._report(
            path, "E-CFG-010", str(schema.get("description", "a value")), "nothing", at_value=False
        )

    def _unknown(self, name: str, path: KeyPath, kind: type, fields: Mapping[str, Any]) -> None:
        here = (*path, name)
        if new := _renamed(kind).get(name):
            hint = f"{name} is now {new}: write {new}"
            self._report(here, "E-CFG-014", new, name, hint, at_value=False)
            return
        if homes := self._homes.of(name):
            hint = f"{name} belongs {' or '.join(homes)}"
            self._report(here, "E-CFG-015", "a key of this section", name, hint, at_value=False)
            return
        hint = _like(name, {**{each: each for each in fields}, **_renamed(kind)})
        if not hint and (near := self._homes.nearest(name)):
            hint = f"did you mean {near}, {' or '.join(self._homes.of(near))}?"
        self._report(
            here,
            "E-CFG-014",
            f"one of {', '.join(sorted(fields))}",
            name,
            hint or f"valid: {', '.join(sorted(fields))}",
            at_value=False,
        )

    def _list(self, kind: Any, value: Any, path: KeyPath, meta: Any) -> Any:
        if not isinstance(value, list):
            item = bare(kind.item_type)
            if isinstance(item, inspect.StructType) and isinstance(value, dict):
                hint = f"write [[{key_text(path)}]] with two brackets"
                return self._wrong(path, "a list of tables", value, hint)
            return self._wrong(path, "a list", value, "put it in brackets: [ ... ]")
        if kind.min_length and len(value) < kind.min_length:
            self._report(path, "E-CFG-024", f"at least {kind.min_length} in the list", "none")
            return BAD
        handler, item_kind, meta = _reader(kind.item_type, meta)
        items = [
            handler(self, item_kind, item, (*path, position), meta)
            for position, item in enumerate(value)
        ]
        return BAD if BAD in items else items

    def _dict(self, kind: inspect.DictType, value: Any, path: KeyPath, meta: Any) -> Any:
        if not isinstance(value, dict):
            return self._wrong(path, f"a table, [{key_text(path)}]", value)
        if kind.min_length and len(value) < kind.min_length:
            self._report(path, "E-CFG-024", f"at least {kind.min_length} in the table", "none")
            return BAD
        handler, value_kind, meta = _reader(kind.value_type, meta)
        clean = {
            name: handler(self, value_kind, inner, (*path, name), meta)
            for name, inner in value.items()
        }
        return BAD if BAD in clean.values() else clean

    def _union(self, kind: inspect.UnionType, value: Any, path: KeyPath, meta: Any) -> Any:
        options = _options(kind)
        silent = Walker(lambda *_args, **_more: None, self._homes)
        for option in options:
            clean = silent._walk(option, value, path, meta)
            if clean is not BAD:
                return clean
        return self._walk(options[0], value, path, meta)

    def _literal(self, kind: inspect.LiteralType, value: Any, path: KeyPath, meta: Any) -> Any:
        return self._one_of(kind.values, value, path)

    def _enum(self, kind: inspect.EnumType, value: Any, path: KeyPath, meta: Any) -> Any:
        return self._one_of(tuple(member.value for member in kind.cls), value, path)

    def _one_of(self, values: tuple[Any, ...], value: Any, path: KeyPath) -> Any:
        if any(type(value) is type(choice) and value == choice for choice in values):
            return value
        shown = [f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in values]
        expected = shown[0] if len(shown) == 1 else f"one of {', '.join(shown)}"
        near = nearest(value, [c for c in values if isinstance(c, str)]) if _text(value) else None
        hint = f'did you mean "{near}"?' if near else ""
        self._report(path, "E-CFG-023", expected, came_text(value), hint)
        return BAD

    def _str(
        self, kind: inspect.StrType, value: Any, path: KeyPath, meta: inspect.Metadata | None
    ) -> Any:
        if not isinstance(value, str):
            return self._wrong(path, f"a text in quotes{_such(meta)}", value)
        if kind.pattern and (not re.search(kind.pattern, value) or value != value.strip()):
            expected = _form(meta) or f"a text{_such(meta) or f' of the form {kind.pattern}'}"
            came, hint = value, _form_hint(value, kind)
            if expected.startswith("a URL"):
                came, hint = address_shown(value), hint or wrong_part(value)
            self._report(path, "E-CFG-025", expected, came_text(came), hint)
            return BAD
        if "\0" in value:  # no path, name or address has one
            self._report(path, "E-CFG-025", "a text without the character NUL", came_text(value))
            return BAD
        least, most = kind.min_length or 0, kind.max_length
        if len(value) < least or (most is not None and len(value) > most):
            expected = f"{least} to {'any number of' if most is None else most} characters"
            self._report(path, "E-CFG-024", expected, f"{len(value)} characters")
            return BAD
        return value

    def _bool(self, kind: inspect.BoolType, value: Any, path: KeyPath, meta: Any) -> Any:
        if isinstance(value, bool):
            return value
        word = value.lower() if isinstance(value, str) else ""
        hint = f"write {word}, without quotes" if word in ("true", "false") else ""
        return self._wrong(path, "true or false", value, hint)

    def _number(self, kind: Any, value: Any, path: KeyPath, meta: Any) -> Any:
        whole = isinstance(kind, inspect.IntType)
        fits = int if whole else (int, float)
        if isinstance(value, Number):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, fits) or not _is_sane(value):
            doc = "a whole number" if whole else "a number"
            hint = f"write {value}, without quotes" if _text(value) and _number_text(value) else ""
            return self._wrong(path, doc, value, hint)
        limits = (
            (kind.ge, kind.ge is not None and value < kind.ge, "at least"),
            (kind.gt, kind.gt is not None and value <= kind.gt, "more than"),
            (kind.le, kind.le is not None and value > kind.le, "at most"),
            (kind.lt, kind.lt is not None and value >= kind.lt, "less than"),
        )
        broken = [f"{word} {limit}" for limit, is_broken, word in limits if is_broken]
        if broken:
            self._report(path, "E-CFG-024", " and ".join(broken), came_text(value))
            return BAD
        return value

    def _decimal(self, kind: Any, value: Any, path: KeyPath, meta: inspect.Metadata | None) -> Any:
        if isinstance(value, float):
            shown = f"{value:.15g}" if math.isfinite(value) else "150"
            expected = _DECIMAL_DOC.format(shown if _EXACT.fullmatch(shown) else "150")
            self._report(path, "E-CFG-021", expected, came_text(value))
            return BAD
        if isinstance(value, bool) or not isinstance(value, int | str):
            return self._wrong(path, _DECIMAL_DOC.format("150"), value)
        if isinstance(value, str) and not _EXACT.fullmatch(value):
            hint = EXACT_HINT
            expected = _DECIMAL_DOC.format("150")
            self._report(path, "E-CFG-022", expected, came_text(value), hint)
            return BAD
        number = Decimal(value)
        limits = (meta.extra if meta else None) or {}
        for name, limit in limits.items():
            if _BREAKS[name](number, Decimal(limit)):
                unit = (meta.extra_json_schema if meta else None) or {}
                hint = _FRACTION_HINT if unit.get("x-unit") == "fraction" else ""
                expected = f"{DECIMAL_LIMITS[name]} {limit}"
                self._report(path, "E-CFG-024", expected, came_text(value), hint)
                return BAD
        return number

    def _datetime(self, kind: Any, value: Any, path: KeyPath, meta: Any) -> Any:
        expected = "a UTC date-time, e.g. 2026-11-01T00:00:00Z"
        if not isinstance(value, datetime):
            return self._wrong(path, expected, value, _date_hint(value))
        if value.tzinfo is None:
            hint = f"write {value.isoformat()}Z"
            self._report(path, "E-CFG-026", expected, came_text(value), hint)
            return BAD
        return value

    def _any(self, kind: Any, value: Any, path: KeyPath, meta: Any) -> Any:
        return value

    def _no_type(self, kind: Any, value: Any, path: KeyPath, meta: Any) -> Any:
        raise TypeError(f"{key_text(path)}: {type(kind).__name__} is no type of a config")


# Functions and not bound methods, which would tie each walker to itself: only the collector could
# then free it, with the document and the findings.
_Handler = Callable[[Walker, Any, Any, KeyPath, Any], Any]
_HANDLERS: Final[dict[type, _Handler]] = {
    inspect.StructType: Walker._struct,
    inspect.ListType: Walker._list,
    inspect.VarTupleType: Walker._list,
    inspect.SetType: Walker._list,
    inspect.FrozenSetType: Walker._list,
    inspect.DictType: Walker._dict,
    inspect.UnionType: Walker._union,
    inspect.LiteralType: Walker._literal,
    inspect.EnumType: Walker._enum,
    inspect.StrType: Walker._str,
    inspect.BoolType: Walker._bool,
    inspect.IntType: Walker._number,
    inspect.FloatType: Walker._number,
    inspect.DecimalType: Walker._decimal,
    inspect.DateTimeType: Walker._datetime,
    inspect.AnyType: Walker._any,
}


def is_exact_decimal(text: str) -> bool:
    """Whether a text is a decimal number in full: no exponent, no NaN, no blanks."""
    return _EXACT.fullmatch(text) is not None


@cache
def _type_info(kind: type) -> inspect.StructType:
    # Evaluating the annotations costs ten times as much as the rest of a load.
    described = inspect.type_info(kind)
    assert isinstance(described, inspect.StructType)
    return described


class _Reader(NamedTuple):
    """What reads the values of a type, and what it needs to know of it."""

    handler: _Handler
    kind: inspect.Type
    meta: inspect.Metadata | None


def _reader(kind: inspect.Type, meta: inspect.Metadata | None) -> _Reader:
    """Of a type; `meta` is the metadata of what is around it."""
    while True:
        if isinstance(kind, inspect.Metadata):
            # the inner one may have no example or limit of its own
            meta = kind if meta is None or kind.extra or _examples(kind) else meta
            kind = kind.type
        elif isinstance(kind, inspect.UnionType) and len(options := _options(kind)) == 1:
            kind = options[0]  # TOML has no null: absence is the only None
        else:
            return _Reader(_HANDLERS.get(type(kind), Walker._no_type), kind, meta)


def _options(kind: inspect.UnionType) -> list[inspect.Type]:
    return [option for option in kind.types if not isinstance(option, inspect.NoneType)]


class _Fields(NamedTuple):
    """Fields of a struct type, by name in the file."""

    readers: Mapping[str, _Reader]
    required: Mapping[str, inspect.Field]


@cache
def _fields(kind: type) -> _Fields:
    fields = {field.encode_name: field for field in _type_info(kind).fields}
    return _Fields(
        {name: _reader(field.type, None) for name, field in fields.items()},
        {name: field for name, field in fields.items() if field.required},
    )


def _is_sane(value: int | float) -> bool:
    """Finite, and within 64 bits where whole: TOML sets integers no bound."""
    return math.isfinite(value) if isinstance(value, float) else -(1 << 63) <= value < 1 << 63


def _like(name: str, known: Mapping[str, str]) -> str:
    """A hint: the key of the same words in another order, else the one most like it.

    `known` are names that keys have or had, each with the name of today.
    """
    words = sorted(name.lower().split("_"))
    same = [each for each in known if sorted(each.split("_")) == words]
    near = same[0] if same else nearest(name, list(known))
    return f"did you mean {known[near]}?" if near else ""


@cache
def _renamed(kind: type) -> dict[str, str]:
    """Names that fields had before (`formerly` in their schema), each with the name of today."""
    found: dict[str, str] = {}
    for field in _type_info(kind).fields:
        if isinstance(field.type, inspect.Metadata):
            schema = field.type.extra_json_schema or {}
            found |= dict.fromkeys(schema.get("formerly", ()), field.encode_name)
    return found


def _examples(meta: inspect.Metadata | None) -> list[str]:
    schema = (meta.extra_json_schema if meta else None) or {}
    examples: list[str] = schema.get("examples", [])
    return examples


def _such(meta: inspect.Metadata | None) -> str:
    examples = " or ".join(f'"{one}"' for one in _examples(meta))
    return f" such as {examples}" if examples else ""


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number_text(value: str) -> bool:
    return re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value) is not None


def _date_hint(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    try:
        datetime.fromisoformat(value)
    except ValueError as e:  # which says what is wrong with it: a month 13, no date at all
        return f"without quotes; and {value[:40]!r} is no date-time ({e})"
    return "without quotes"


def _form(meta: inspect.Metadata | None) -> str:
    """What a text is to be, in words, for a pattern that no one would want to read."""
    schema = (meta.extra_json_schema if meta else None) or {}
    words = schema.get("x-form")
    return f"{words},{_such(meta)}" if words else ""


def _form_hint(value: str, kind: inspect.StrType) -> str:
    """The same text in the right form, where upper case, a blank, a dash or a scheme lacks."""
    pattern = kind.pattern or ""
    spaced = re.sub(r"^([0-9]+(?:\.[0-9]+)?)([A-Za-z])", r"\1 \2", value.strip())
    dashed = re.sub(r"[^A-Za-z0-9_.-]+", "-", value.strip())
    address = re.sub(r"^[A-Za-z]{0,6}:?//", "", value.strip())
    secure = "" if re.match(r"(127\.|localhost\b|\[::1\])", address) else "s"
    urls = [f"{scheme}{secure}://{address}" for scheme in ("http", "ws")]
    texts = (value.strip(), value.upper(), spaced, spaced.upper(), dashed, f"{value}-1", *urls)
    for repaired in texts:
        if re.search(pattern, repaired):
            return f'write "{repaired}"'
    return ""


def convert(kind: type, clean: Any) -> Any:
    """Build the struct from a table that a walk has cleaned."""
    return msgspec.convert(clean, kind, strict=True)
