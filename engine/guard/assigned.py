"""What a strategy puts in the place of one of its methods, where it hides what the guard put there.

    self.on_order_filled = self.mine  # the gate would never hear of the fill
    self.stop = None                  # nor could the strategy be stopped by `self.stop()`

A callback, or another method, is defined in the class, where `guard` wraps it. An assignment is
refused before a run, by the strategy's own line; one that can't be seen before is undone as soon as
it is found, and is the strategy's fault. Nobody looks in a callback: that would cost each of them.
"""

from __future__ import annotations

import dis
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from types import CodeType, FunctionType
from typing import Any

from fairlead.engine.errors import PlacedError
from fairlead.engine.guard.callback_names import CALLBACKS


class AssignedError(PlacedError, TypeError):
    """A method of a strategy was replaced by an assignment; `place` is that of its value."""

    def __init__(self, name: str, value: Any) -> None:
        super().__init__(f"{text_of(name)}; it was {_written(value)}")
        self.name, self.place = name, place_of_value(value)


def assignments(own: Iterable[type], hides: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Each `self.NAME = ...` in the functions of `own` with NAME in `hides`: NAME, FILE:LINE."""
    for base in own:
        for value in vars(base).values():
            if isinstance(value, FunctionType) and value.__code__.co_argcount:
                yield from _stores(value.__code__, value.__code__.co_varnames[0], hides)


def _stores(code: CodeType, me: str, hides: frozenset[str]) -> Iterator[tuple[str, str]]:
    steps = (one for one in dis.get_instructions(code) if one.opname != "EXTENDED_ARG")
    for before, one in pairwise(steps):
        if one.opname == "STORE_ATTR" and one.argval in hides and _last(before.argval) == me:
            line = one.positions.lineno if one.positions else code.co_firstlineno
            yield str(one.argval), f"{code.co_filename}:{line}"
    for inner in code.co_consts:  # what is defined in it, and means the same by `self`
        if isinstance(inner, CodeType) and me in inner.co_freevars:
            yield from _stores(inner, me, hides)


def _last(loaded: Any) -> Any:
    """Of what an instruction loads, which may be two names at once, the one on top."""
    return loaded[-1] if isinstance(loaded, tuple) else loaded


def replaced(strategy: Any, engines: Mapping[str, Any]) -> dict[str, Any]:
    """Methods of `strategy` that are hidden by a value of its own; `engines` are the engine's."""
    mine = vars(strategy)
    hidden = strategy._guard_methods.intersection(mine)
    return {name: mine[name] for name in sorted(hidden) if mine[name] is not engines.get(name)}


def undo(strategy: Any, engines: Mapping[str, Any]) -> AssignedError | None:
    """Put back what `replaced` finds; the first of it as an error, None where there is none."""
    if not (found := replaced(strategy, engines)):
        return None
    mine = vars(strategy)
    for name in found:
        del mine[name]
        if name in engines:
            mine[name] = engines[name]
    return AssignedError(*next(iter(found.items())))


def text_of(name: str) -> str:
    """What is wrong with an assignment."""
    why = "the risk gate would not hear of it" if name in CALLBACKS else "it hides the method"
    return f"self.{name} was assigned: {why}; {advice(name)}"


def advice(name: str) -> str:
    if name in CALLBACKS:
        return f"define {name} in the class, and let it call what is wanted"
    return f"give the attribute another name than {name}"


def place_of_value(value: Any) -> str:
    """FILE:LINE of a function or what calls one, empty of anything else."""
    while (inner := getattr(value, "func", None)) is not None:  # a partial
        value = inner
    code = getattr(getattr(value, "__func__", value), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if isinstance(code, CodeType) else ""


def _written(value: Any) -> str:
    name = getattr(value, "__qualname__", None)
    return str(name) if name is not None else f"of type {type(value).__name__}"


def sealed(metaclass: type[type]) -> type[type]:
    """A metaclass whose classes take no other method once `_guard_is_sealed`."""

    class Sealed(metaclass):  # type: ignore[valid-type, misc]
        def __setattr__(cls, name: str, value: Any) -> None:
            if cls._guard_is_sealed and name in cls._guard_methods:
                raise TypeError(f"{cls.__name__}.{name} was assigned: {advice(name)}")
            super().__setattr__(name, value)

    return Sealed
