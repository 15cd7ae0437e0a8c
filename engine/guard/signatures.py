"""Callbacks and handlers that can't be called with what they are told.

Python raises that where the call is, which is a line of ours: so the place is the function's own.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType
from typing import Any

from fairlead.engine.errors import PlacedError
from fairlead.engine.guard.assigned import place_of_value
from fairlead.engine.guard.callback_names import CALLBACKS, LIFECYCLE
from fairlead.engine.guard.hooks import Hooks

_OURS = ("declared", "flat_on_stop", "on_gate_denied", "on_recovered")
_LOOKED_AT = CALLBACKS - LIFECYCLE | {"on_stop"}  # the others may be called by the author, too


class SignatureError(PlacedError, TypeError):
    """A handler that was called as it is documented, and takes something else; at its `place`."""

    def __init__(self, message: str, place: str) -> None:
        super().__init__(message)
        self.place = place


def unfit(cls: type[Any], *, is_plain: bool) -> Iterator[tuple[str, str, str]]:
    """Each callback of a strategy that can't be called: how it has to be written, how it is, with
    its place, and why that is no good. `is_plain`: it knows no callbacks of ours."""
    for name in sorted(CALLBACKS | (set() if is_plain else set(_OURS))):
        native, own = getattr(Hooks, name), getattr(cls, name)
        if own is native:
            continue
        wanted = [*inspect.signature(native).parameters]
        if not _is_method(own):
            kind = "a classmethod" if inspect.ismethod(own) else f"of type {type(own).__name__}"
            why = "where a method of the strategy is wanted"
            yield f"def {name}({', '.join(wanted)})", f"{name}, {kind}, in {_where(cls, name)}", why
            continue
        if not inspect.isfunction(own) or not (name in _LOOKED_AT or name in _OURS):
            continue
        signature = _signature(own)
        try:
            signature.bind(*wanted)
        except TypeError as error:
            came = f"def {name}{signature} in {_place(own)}"
            yield f"def {name}({', '.join(wanted)})", came, str(error)


def misfit(error: BaseException, called: Callable[..., Any], name: str = "") -> BaseException:
    """`error`, or where the call of `called` alone has raised it, one that says where that is.

    `name` is the callback's; without one it is a handler, which is told of an event.
    """
    trace = error.__traceback__
    if not isinstance(error, TypeError) or trace is None or trace.tb_next is not None:
        return error
    while (inner := getattr(called, "func", None)) is not None:  # a partial
        called = inner
    function = called.__func__ if isinstance(called, MethodType) else called
    if not isinstance(function, FunctionType):
        return error
    wanted = [*inspect.signature(getattr(Hooks, name)).parameters][1:] if name else ["event"]
    written = f"{function.__name__}{_signature(function)}"
    text = f"{error}; it is {written}, called with ({', '.join(wanted)})"
    told = SignatureError(text, _place(function))
    told.__cause__ = error
    return told


def _is_method(own: Any) -> bool:
    """Whether it is called with the strategy, as a plain def is: no value, nor bound to a class."""
    return callable(own) and inspect.isroutine(own) and not inspect.ismethod(own)


def _where(cls: type[Any], name: str) -> str:
    """Where a callback is defined that is no function: the function in it, else its class."""
    base = next(base for base in cls.__mro__ if name in vars(base))
    value = vars(base)[name]
    inner = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
    if place := place_of_value(inner):
        return place
    source = getattr(sys.modules.get(base.__module__), "__file__", None) or base.__module__
    return f"{source}, class {base.__qualname__}"


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    """Names alone: what types there are is no part of it."""
    whole = inspect.signature(function, follow_wrapped=False)
    plain = [one.replace(annotation=one.empty) for one in whole.parameters.values()]
    return inspect.Signature(plain)


def _place(function: Any) -> str:
    code = function.__code__
    return f"{code.co_filename}:{code.co_firstlineno}"
