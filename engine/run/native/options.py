"""The options of NautilusTrader's own adapters: checked as the config classes declare them.

A class's arguments become a struct, which `fairlead check` holds a config's table against like that
of any adapter of ours; what passed is turned into the class's own types. Enumerations are written
by the names of their members, identifiers and money as NautilusTrader writes them.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from importlib import import_module
from typing import Any, Literal

import msgspec

from fairlead.engine.run.native.found import (
    PACKAGE,
    Argument,
    Builtin,
    arguments_of,
    is_enum,
    members_of,
    stub_of,
)

# Set by the run: the account's id by the config's `account`, and who trades.
ACCOUNT_ID = "account_id"
OF_RUN = frozenset({ACCOUNT_ID, "trader_id", "client_id"})
PROVIDER = "instrument_provider"  # of it, what is loaded is set by the config's `instruments`
LOADED, LOADS_ALL = "load_ids", "load_all"
_PLAIN: Mapping[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
_PATHS = ("str | os.PathLike | pathlib.Path",)
_MANY = frozenset({"typing.Sequence", "list", "set"})

# Makes a value of the class's own type of one that the config has.
Make = Callable[[Any], Any]


class Taken(msgspec.Struct, frozen=True):
    """How an argument is written in a config (`kind`, a type of msgspec), and made of that."""

    kind: Any
    make: Make


def is_of_run(one: Argument) -> bool:
    """A number of this name is another thing: which of a gateway's clients this one is."""
    return one.name in OF_RUN and "int" not in ast.unparse(one.kind)


def _given(one: Argument, value: Any) -> Any:
    """An account's id as text, where the class wants that."""
    is_text = ast.unparse(one.kind).removesuffix(" | None") == "str"
    return str(value) if one.name == ACCOUNT_ID and is_text else value


def options_of(builtin: Builtin) -> type:
    """A frozen struct: every option of either config class, all of them optional but those that
    a class demands."""
    return _struct(f"{builtin.name}_options", builtin.module, list(_options(builtin).values()))


def unset(builtin: Builtin) -> tuple[str, ...]:
    """Arguments that a config can't write, since their type is none of a config."""
    return tuple(
        one.name
        for one in _all(builtin).values()
        if not one.is_secret
        and not is_of_run(one)
        and (not one.is_readable or taken(builtin.module, one.kind) is None)
    )


def secrets_of(builtin: Builtin) -> tuple[Argument, ...]:
    """Arguments that come by reference only, each once."""
    return tuple(one for one in _all(builtin).values() if one.is_secret)


def made(
    builtin: Builtin,
    config: str,
    options: Any,
    given: Mapping[str, Any],
    instruments: Sequence[str],
) -> Any:
    """A config class's object: `options` is of the struct, `given` is what else is known by name.

    What the class does not take of either is left out. Raises what the class raises.
    """
    half = next(
        h for h in (builtin.data, builtin.execution) if h is not None and h.config == config
    )
    values: dict[str, Any] = {}
    for one in half.arguments:
        if one.name in given:
            values[one.name] = _given(one, given[one.name])
        elif one.name == PROVIDER and (how := taken(builtin.module, one.kind)) is not None:
            values[one.name] = how.make(_loading(how.kind, options, instruments))
        elif (value := getattr(options, one.name, None)) is not None:
            how = taken(builtin.module, one.kind)
            assert how is not None, "an option is of a type that a config can write"
            values[one.name] = how.make(value)
    return getattr(import_module(builtin.module), config)(**values)


def _loading(struct: type, options: Any, instruments: Sequence[str]) -> Any:
    """What is loaded: the config's instruments, unless its own table says what."""
    fields = struct.__struct_fields__  # type: ignore[attr-defined]
    table = getattr(options, PROVIDER, None) or struct()
    wanted: dict[str, Any] = {}
    if LOADED in fields and getattr(table, LOADED) is None and not getattr(table, LOADS_ALL, None):
        wanted[LOADED] = list(instruments)
        if LOADS_ALL in fields and getattr(table, LOADS_ALL) is None:
            wanted[LOADS_ALL] = False
    return msgspec.structs.replace(table, **wanted)


def _all(builtin: Builtin) -> dict[str, Argument]:
    found: dict[str, Argument] = {}
    for half in (builtin.data, builtin.execution):
        for one in half.arguments if half is not None else ():
            found.setdefault(one.name, one)
    return found


def _options(builtin: Builtin) -> dict[str, Argument]:
    """What only the execution demands is not demanded of a run that records."""
    data = {one.name for one in builtin.data.arguments} if builtin.data is not None else set()
    return {
        name: one if name in data else msgspec.structs.replace(one, is_required=False)
        for name, one in _all(builtin).items()
        if one.is_readable and not is_of_run(one)
    }


def taken(module: str, kind: ast.expr) -> Taken | None:
    """How an argument of this type is written; None where a config can't."""
    return _taken(module, ast.unparse(kind))


@cache
def _taken(module: str, text: str) -> Taken | None:
    text = text.removesuffix(" | None")
    if text in _PATHS:
        return Taken(str, str)
    if text in _PLAIN:
        return Taken(_PLAIN[text], _same)
    if text == "decimal.Decimal":
        return Taken(Decimal, _same)
    node = ast.parse(text, mode="eval").body
    if isinstance(node, ast.Subscript):
        return _container(module, node)
    return _named(module, text)


def _container(module: str, node: ast.Subscript) -> Taken | None:
    what = ast.unparse(node.value)
    if what in _MANY:
        inner = taken(module, node.slice)
        if inner is None:
            return None
        many = set if what == "set" else list
        return Taken(list[inner.kind], lambda v: many(map(inner.make, v)))  # type: ignore[name-defined]
    if what == "typing.Mapping" and isinstance(node.slice, ast.Tuple):
        key, value = (taken(module, one) for one in node.slice.elts)
        if key is None or value is None or key.kind is not str:
            return None
        return Taken(
            dict[str, value.kind],  # type: ignore[name-defined]
            lambda v: {key.make(k): value.make(one) for k, one in v.items()},
        )
    return None


def _named(module: str, text: str) -> Taken | None:
    """A class: of the adapter's own module, or of one beside it (`model.AccountId`)."""
    where, _, name = text.rpartition(".")
    home = f"{PACKAGE}.{where}" if where else module
    declared = stub_of(home).get(name)
    if declared is None:
        return None
    if is_enum(declared):
        return Taken(Literal[members_of(declared)], lambda v: getattr(_class(home, name), v))
    methods = {one.name for one in declared.body if isinstance(one, ast.FunctionDef)}
    if "from_str" in methods:
        return Taken(str, lambda v: _class(home, name).from_str(v))
    arguments = arguments_of(declared)
    if arguments is None:
        return None
    struct = _struct(name, home, arguments)

    def make(value: Any) -> Any:
        table = msgspec.convert(value, struct) if isinstance(value, dict) else value
        inner = {
            one.name: how.make(given)
            for one in arguments
            if one.is_readable
            and (how := taken(home, one.kind)) is not None
            and (given := getattr(table, one.name)) is not None
        }
        return _class(home, name)(**inner)

    return Taken(struct, make)


def _struct(name: str, module: str, arguments: Sequence[Argument]) -> type:
    fields: list[Any] = []
    for one in arguments:
        how = taken(module, one.kind)
        if how is None or not one.is_readable:  # a secret never stands in a table
            continue
        if one.is_required and not is_of_run(one):
            fields.append((one.name, how.kind))
        else:
            fields.append((one.name, how.kind | None, None))
    return msgspec.defstruct(name, fields, frozen=True, kw_only=True, forbid_unknown_fields=True)


def _class(module: str, name: str) -> Any:
    return getattr(import_module(module), name)


def _same(value: Any) -> Any:
    return value
