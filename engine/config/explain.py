"""The config's documentation, made from its types: JSON Schema, and one key explained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import inspect

from fairlead.engine.config import model
from fairlead.engine.config.loaded import Adapters, parse_key_path
from fairlead.engine.config.problems import did_you_mean, key_text
from fairlead.engine.config.walk import DECIMAL_LIMITS, bare
from fairlead.engine.errors import Exit, FairleadError

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(adapters: Adapters) -> dict[str, Any]:
    """JSON Schema (2020-12) of a config file, the adapters' own options included.

    Every option has its description and default; `x-unit` is its unit.
    """
    options = dict(_options(adapters))
    types = [model.Config, *options.values()]
    (root, *refs), components = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    by_title = {kind.__name__: kind for kind in _struct_types(types)}
    for title, component in components.items():
        if kind := by_title.get(title):
            _add_defaults(component, kind)
    _drop_null(components)
    venue = components["Venue"]
    venue["properties"]["adapter"]["enum"] = [*adapters.names(), "recorded"]
    if refs:
        venue["allOf"] = [
            {
                "if": {"properties": {"adapter": {"const": name}}},
                "then": {"properties": {"options": ref}},
            }
            for name, ref in zip(options, refs, strict=True)
        ]
    return {"$schema": _DIALECT, "title": "fairlead config", **root, "$defs": components}


def _options(adapters: Adapters) -> Iterator[tuple[str, type]]:
    """Of each adapter. One of another package that does not load is told when a config names it."""
    for name in adapters.names():
        with suppress(FairleadError):
            yield name, adapters.spec(name).options


def explain(key: str, adapters: Adapters) -> str:
    """Meaning, type, unit, default and limits of one key, or the keys of a section.

    `key` is written as in TOML: `risk.max_open_orders`, `venues.NAME.account`,
    `strategies.id`; empty for the whole file. Raises FairleadError for a key that is not there.
    """
    parts = [part for part in parse_key_path(key) if isinstance(part, str)]
    kind: inspect.Type = inspect.type_info(model.Config)
    field: inspect.Field | None = None
    adapter = ""
    for depth, part in enumerate(parts):
        section = key_text(tuple(parts[:depth]))
        if field is not None and field.name == "options" and adapter in adapters.names():
            options = inspect.type_info(adapters.spec(adapter).options)
            assert isinstance(options, inspect.StructType)
            field = _field(options, part, section)
        elif isinstance(kind, inspect.DictType):  # a name of the user's own, e.g. a venue's
            adapter = part
            kind = _struct_in(kind.value_type) or bare(kind.value_type)
            continue
        elif isinstance(kind, inspect.StructType):
            field = _field(kind, part, section)
        else:
            raise _no_key(part, section, [])
        kind = _struct_in(field.type) or bare(field.type)
    shown = key_text(tuple(parts))
    if isinstance(kind, inspect.StructType):
        return _section(shown, kind, field)
    return _option(shown, field)


def overview(adapters: Adapters) -> str:
    """Every section with its keys, in the order of the model; options of adapters left out."""
    sections = ["", *_sections(inspect.type_info(model.Config), "")]
    return "\n\n".join(explain(section, adapters) for section in sections)


def _sections(kind: inspect.Type, prefix: str) -> Iterator[str]:
    """Key paths of the tables below a struct; NAME stands for a name of the user's own."""
    assert isinstance(kind, inspect.StructType)
    for field in kind.fields:
        inner = _struct_in(field.type)
        path = f"{prefix}.{field.encode_name}" if prefix else field.encode_name
        if isinstance(inner, inspect.DictType):
            inner, path = _struct_in(inner.value_type), f"{path}.NAME"
        if inner is not None:
            yield path
            yield from _sections(inner, path)


def _section(shown: str, kind: inspect.StructType, field: inspect.Field | None) -> str:
    doc = (kind.cls.__doc__ or "").strip().partition("\n")[0]
    lines = [f"[{shown}]" if shown else "the file", f"  meaning: {doc}", "  keys:"]
    width = max((len(inner.encode_name) for inner in kind.fields), default=0)
    for inner in kind.fields:
        about = str(_schema_of(inner.type).get("description", ""))
        lines.append(f"    {inner.encode_name:<{width}}  {about}")
    return "\n".join(lines)


def _option(shown: str, field: inspect.Field | None) -> str:
    assert field is not None
    facts = _schema_of(field.type)
    rows = [
        ("meaning", str(facts.get("description", ""))),
        ("type", _type_text(bare(field.type))),
        ("unit", str(facts.get("x-unit", "none"))),
        ("default", _default_text(field)),
        ("limits", ", ".join(_limits(field.type)) or "none"),
    ]
    examples = facts.get("examples")
    if examples:
        rows.append(("example", f'"{examples[0]}"'))
    return "\n".join([shown, *(f"  {name}: {text}" for name, text in rows)])


def _field(kind: inspect.StructType, name: str, section: str) -> inspect.Field:
    for field in kind.fields:
        if field.encode_name == name:
            return field
    raise _no_key(name, section, [field.encode_name for field in kind.fields])


def _no_key(name: str, section: str, choices: list[str]) -> FairleadError:
    where = f" of {section}" if section else ""
    hint = did_you_mean(name, choices) or "it has no keys of its own"
    return FairleadError("E-CFG-014", f"{name} is not a key{where}; {hint}", int(Exit.CONFIG))


def _struct_in(kind: inspect.Type) -> inspect.Type | None:
    """The struct or table behind lists and options, or None."""
    kind = bare(kind)
    if isinstance(kind, inspect.UnionType):
        return next((found for option in kind.types if (found := _struct_in(option))), None)
    if isinstance(kind, inspect.ListType):
        return _struct_in(kind.item_type)
    if isinstance(kind, inspect.StructType):
        return kind
    if isinstance(kind, inspect.DictType) and _struct_in(kind.value_type):
        return kind
    return None


def _schema_of(kind: inspect.Type) -> dict[str, Any]:
    """Everything that the layers of metadata say; the outer ones win."""
    facts: dict[str, Any] = {}
    while isinstance(kind, inspect.Metadata | inspect.UnionType):
        if isinstance(kind, inspect.UnionType):
            kind = kind.types[0]
            continue
        facts = {**(kind.extra_json_schema or {}), **facts}
        kind = kind.type
    return facts


def _limits(kind: inspect.Type) -> Iterator[str]:
    """The limits of every layer, in words."""
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    form = ""  # a pattern in words
    while isinstance(kind, inspect.Metadata):
        for name, limit in (kind.extra or {}).items():
            yield f"{DECIMAL_LIMITS[name]} {limit}"
        form = form or (kind.extra_json_schema or {}).get("x-form", "")
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        yield from _limits(kind.types[0])
    for name, word in words.items():
        if (limit := getattr(kind, name, None)) is not None:
            yield f"{word} {limit}"
    if pattern := getattr(kind, "pattern", None):
        yield form or f"of the form {pattern}"
    if least := getattr(kind, "min_length", None):
        yield f"at least {least} long"
    if isinstance(kind, inspect.ListType):
        yield from (f"each {limit}" for limit in _limits(kind.item_type))


def _type_text(kind: inspect.Type) -> str:
    kind = bare(kind)
    names: dict[type, str] = {
        inspect.StrType: "text",
        inspect.IntType: "whole number",
        inspect.FloatType: "number",
        inspect.BoolType: "true or false",
        inspect.DecimalType: 'exact decimal, as a string ("0.5") or a whole number',
        inspect.DateTimeType: "UTC date-time",
        inspect.AnyType: "any",
    }
    if isinstance(kind, inspect.LiteralType):
        return "one of " + ", ".join(
            f'"{v}"' if isinstance(v, str) else str(v) for v in kind.values
        )
    if isinstance(kind, inspect.UnionType):
        options = [option for option in kind.types if not isinstance(option, inspect.NoneType)]
        return " or ".join(_type_text(option) for option in options)
    if isinstance(kind, inspect.DictType):
        return f"table of {_type_text(kind.value_type)}"
    item = getattr(kind, "item_type", None)
    if item is not None:
        return f"list of {_type_text(item)}"
    return names.get(type(kind), type(kind).__name__.removesuffix("Type").lower())


def _default(field: inspect.Field) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def _default_text(field: inspect.Field) -> str:
    if field.required:
        return "none, it is required"
    default = _default(field)
    if default is None:
        return "absent"
    return msgspec.json.encode(default).decode()


def _struct_types(kinds: list[Any]) -> Iterator[type]:
    """The struct classes of these types, those of their fields included."""
    for info in inspect.multi_type_info(kinds):
        yield from _walk_structs(info)


def _walk_structs(kind: inspect.Type) -> Iterator[type]:
    kind = bare(kind)
    if isinstance(kind, inspect.StructType):
        yield kind.cls
        for field in kind.fields:
            yield from _walk_structs(field.type)
    elif isinstance(kind, inspect.UnionType):
        for option in kind.types:
            yield from _walk_structs(option)
    elif isinstance(kind, inspect.DictType):
        yield from _walk_structs(kind.value_type)
    elif (item := getattr(kind, "item_type", None)) is not None:
        yield from _walk_structs(item)


def _add_defaults(component: dict[str, Any], kind: type) -> None:
    """msgspec leaves out the defaults that a factory makes."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    for field in info.fields:
        entry = component["properties"][field.encode_name]
        if not field.required and "default" not in entry:
            entry["default"] = msgspec.to_builtins(_default(field))


def _drop_null(value: Any) -> None:
    """TOML has no null: an absent key is the only None."""
    if isinstance(value, dict):
        options = value.get("anyOf")
        if isinstance(options, list):
            options[:] = [option for option in options if option != {"type": "null"}]
        if value.get("format") == "decimal":
            value["type"] = ["string", "integer"]
        for inner in value.values():
            _drop_null(inner)
    elif isinstance(value, list):
        for inner in value:
            _drop_null(inner)
