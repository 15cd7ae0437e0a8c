"""Which adapters the installed NautilusTrader ships, and what their config classes take.

They are found by looking through `nautilus_trader.adapters`, as its own stubs describe them:
compiled classes tell neither the types of their arguments nor which of them are secret. Nothing of
an adapter is imported to look.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import msgspec

PREFIX = "nautilus:"
PACKAGE = "nautilus_trader"
STUB = "__init__.pyi"
# It has an execution factory, and is no venue: it simulates one, as a paper run does.
SIMULATES = frozenset({"sandbox"})
DATA, EXECUTION = "Data", "Execution"


class Argument(msgspec.Struct, frozen=True):
    """One of a config class: its type as the stub writes it, and whether it can be read back.

    What can be set and not read again is a secret: NautilusTrader gives those no getter.
    """

    name: str
    kind: ast.expr
    is_required: bool
    is_readable: bool

    @property
    def is_secret(self) -> bool:
        return not self.is_readable and "str" in _names(self.kind)


class Half(msgspec.Struct, frozen=True):
    """The market data or the execution of an adapter: class names in its module."""

    factory: str
    config: str
    arguments: tuple[Argument, ...]


class Builtin(msgspec.Struct, frozen=True):
    """An adapter of NautilusTrader; `module` is where its classes are imported from."""

    name: str
    module: str
    data: Half | None
    execution: Half | None


@cache
def names() -> tuple[str, ...]:
    """As a config writes them (`nautilus:NAME`), sorted: those with a client of either kind."""
    return tuple(sorted(PREFIX + name for name in _folders()))


@cache
def find(name: str) -> Builtin:
    """Of one of `names`. Raises KeyError for any other."""
    folder = name.removeprefix(PREFIX)
    if not name.startswith(PREFIX) or folder not in _folders():
        raise KeyError(name)
    module = f"{PACKAGE}.adapters.{folder}"
    classes = stub_of(module)
    return Builtin(folder, module, _half(classes, DATA), _half(classes, EXECUTION))


@cache
def _folders() -> Mapping[str, Path]:
    spec = find_spec(PACKAGE)  # imports nothing
    roots = [] if spec is None else list(spec.submodule_search_locations or ())
    stubs = (path for root in roots for path in Path(root, "adapters").glob(f"*/{STUB}"))
    return {
        path.parent.name: path
        for path in stubs
        if path.parent.name not in SIMULATES and "ClientFactory:" in path.read_text()
    }


@cache
def stub_of(module: str) -> Mapping[str, ast.ClassDef]:
    """The classes that a module of NautilusTrader declares; empty where it has no stub."""
    spec = find_spec(PACKAGE)
    below = module.split(".")[1:]
    for root in [] if spec is None else spec.submodule_search_locations or ():
        path = Path(root, *below, STUB)
        if path.exists():
            tree = ast.parse(path.read_text())
            return {one.name: one for one in tree.body if isinstance(one, ast.ClassDef)}
    return {}


def arguments_of(declared: ast.ClassDef) -> tuple[Argument, ...] | None:
    """What its constructor takes, in its order; None where the stub declares none."""
    functions = [one for one in declared.body if isinstance(one, ast.FunctionDef)]
    made = next((one for one in functions if one.name in ("__init__", "__new__")), None)
    if made is None:
        return None
    readable = {one.name for one in functions if one is not made}
    taken = made.args.args[1:]
    defaults = len(taken) - len(made.args.defaults)
    found = [
        Argument(one.arg, one.annotation, position < defaults, one.arg in readable)
        for position, one in enumerate(taken)
        if one.annotation is not None
    ]
    return tuple(found)


def is_enum(declared: ast.ClassDef) -> bool:
    return any(ast.unparse(base) == "enum.Enum" for base in declared.bases)


def members_of(declared: ast.ClassDef) -> tuple[str, ...]:
    """Of an enumeration, in its order."""
    assigned = (one.targets[0] for one in declared.body if isinstance(one, ast.Assign))
    return tuple(one.id for one in assigned if isinstance(one, ast.Name))


def _half(classes: Mapping[str, ast.ClassDef], what: str) -> Half | None:
    end = f"{what}ClientFactory"
    for factory in classes:
        if not factory.endswith(end):
            continue
        config = f"{factory.removesuffix('Factory')}Config"
        declared = classes.get(config)
        arguments = None if declared is None else arguments_of(declared)
        if arguments is not None:
            return Half(factory, config, arguments)
    return None


def _names(kind: ast.expr) -> Iterator[str]:
    return (one.id for one in ast.walk(kind) if isinstance(one, ast.Name))
