"""A strategy belongs to the thread of its callbacks.

NautilusTrader's objects are bound to one thread, and one that is touched from another aborts the
process: no `on_stop`, no cancel, no word. So whose thread it is, is asked in Python before a native
object is touched, and the caller gets an error that it can read.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Collection
from typing import Any

from nautilus_trader.trading import Strategy

from fairlead.engine.guard.callback_names import CALLBACKS
from fairlead.engine.guard.core import Core

_get_ident = threading.get_ident
# What NautilusTrader calls or reads before there is an owner, or what is plain Python.
_FREE = frozenset({"config"})
MEMBERS = tuple(
    name
    for name in dir(Strategy)
    if not name.startswith("_") and name not in CALLBACKS and name not in _FREE
)


class WrongThreadError(RuntimeError):
    """A strategy's method or attribute was used from a thread that is not its own."""


def bind_to_thread[C: type](cls: C, own: Collection[type], added: Collection[str] = ()) -> C:
    """Have what `cls` takes from NautilusTrader, and `added`, refuse every thread but its own.

    `own` are the classes of the strategy's author: what they define is theirs. The owner is who
    bound it to its gate. A check adds about 0.1 us.
    """
    for name in (*MEMBERS, *added):
        owner = next(base for base in cls.__mro__ if name in vars(base))
        if owner is not cls and owner not in own:
            setattr(cls, name, _checked(name, vars(owner)[name]))
    return cls


def _checked(name: str, inner: Any) -> Any:
    if isinstance(inner, property):
        return property(_method(name, inner.fget), doc=inner.__doc__)
    if callable(inner):
        return _method(name, inner)
    read = inner.__get__

    def attribute(self: Any) -> Any:
        bound = self._guard
        if bound is not None and bound.thread != _get_ident():
            _refuse(bound, name)
        return read(self)

    return property(attribute, doc=inner.__doc__)


def _method(name: str, inner: Any) -> Any:
    @functools.wraps(inner)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        bound = self._guard
        if bound is not None and bound.thread != _get_ident():
            _refuse(bound, name)
        return inner(self, *args, **kwargs)

    return method


def _refuse(bound: Core, name: str) -> None:
    """Only plain Python attributes may be touched here."""
    came = threading.current_thread().name
    text = (
        f"{bound.id}: {name} was used from thread {came}; expected the thread of the "
        "strategy's callbacks, so nothing was done; put what another thread finds into a "
        "queue.SimpleQueue, and take it out in a callback or a timer"
    )
    bound.run.warn("WRONG-THREAD", text)
    raise WrongThreadError(text)
