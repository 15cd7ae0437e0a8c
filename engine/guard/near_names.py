"""Callbacks that nobody calls: names that begin as NautilusTrader's do, and are none of them.

A misspelled callback is no error to Python: the strategy runs, and hears nothing. So are the names
of NautilusTrader 1.x. Told are only names that are near one there is, and that the strategy's own
code does not use itself: a method `on_fast_cross` that it calls is its own.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from types import CodeType, FunctionType
from typing import Any

from fairlead.engine.guard.callback_names import CALLBACKS
from fairlead.engine.guard.overrides import own_classes
from fairlead.engine.guard.strategy import GuardedStrategy

OURS = frozenset({"on_gate_denied", "on_recovered"})
LIKE_MIN = 0.8  # of difflib's ratio
CALLS = ("subscribe_", "unsubscribe_", "request_")  # of data, which 1.x has by other names
_PUT_OFF = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
# Of NautilusTrader 1.x (nautilus_trader/common/actor.pyx and trading/strategy.pyx of 1.221)
WAS = {
    "on_quote_tick": "on_quote",
    "on_trade_tick": "on_trade",
    "on_order_book": "on_book",
    "on_order_book_deltas": "on_book_deltas",
    "on_order_book_depth": "on_book_depth",
    "on_event": "on_order_event",
    "subscribe_quote_ticks": "subscribe_quotes",
    "unsubscribe_quote_ticks": "unsubscribe_quotes",
    "request_quote_ticks": "request_quotes",
    "subscribe_trade_ticks": "subscribe_trades",
    "unsubscribe_trade_ticks": "unsubscribe_trades",
    "request_trade_ticks": "request_trades",
    "subscribe_order_book_deltas": "subscribe_book_deltas",
    "unsubscribe_order_book_deltas": "unsubscribe_book_deltas",
    "subscribe_order_book_depth": "subscribe_book_depth",
    "unsubscribe_order_book_depth": "unsubscribe_book_depth",
    "subscribe_order_book_at_interval": "subscribe_book_at_interval",
    "unsubscribe_order_book_at_interval": "unsubscribe_book_at_interval",
    "request_order_book_snapshot": "request_book_snapshot",
}


def misnamed(cls: type[Any]) -> list[str]:
    """A line for each callback of a strategy that is never called, or never runs, and each call of
    1.x."""
    own = own_classes(cls, GuardedStrategy)
    calls = {name for base in own for code in _codes(vars(base).values()) for name in code.co_names}
    beside = {name for code in _codes(_beside(own)) for name in code.co_names}
    uses = calls | beside
    known = CALLBACKS | OURS
    lines = []
    for name, place, is_put_off in _methods(own):
        if name in known and is_put_off:
            text = f"{cls.__name__}.{name} never runs ({place}): it is async, or has a yield"
            lines.append(f"{text}; nobody awaits a callback: write a plain def")
        if name in known or name in uses or not (near := _near(name, known)):
            continue
        lines.append(f"{cls.__name__}.{name} is never called ({place}); did you mean {near}?")
    lines += [
        f"{cls.__name__} calls {name}, which is no method here; it is {WAS[name]}"
        for name in sorted(calls & WAS.keys())
        if name.startswith(CALLS) and not hasattr(cls, name)
    ]
    return lines


def _near(name: str, known: Iterable[str]) -> str:
    if (was := WAS.get(name)) is not None:
        return was
    found = get_close_matches(name.lower(), sorted(known), n=1, cutoff=LIKE_MIN)
    return found[0] if found else ""


def _methods(own: Iterable[type]) -> Iterator[tuple[str, str, bool]]:
    """Functions whose names begin with on_, where each stands, and whether a call of it runs
    nothing."""
    for base in own:
        for name, value in vars(base).items():
            if name.lower().startswith("on_") and isinstance(value, FunctionType):
                code = value.__code__
                place = f"{code.co_filename}:{code.co_firstlineno}"
                yield name, place, bool(code.co_flags & _PUT_OFF)


def _beside(own: Iterable[type]) -> Iterator[Any]:
    """Functions and methods of the modules: a helper may call what is its strategy's."""
    for name in {base.__module__ for base in own}:
        for one in list(vars(sys.modules.get(name, sys)).values()):
            if isinstance(one, type | FunctionType) and one.__module__ == name:
                yield from vars(one).values() if isinstance(one, type) else (one,)


def _codes(values: Iterable[Any]) -> Iterator[CodeType]:
    """Of functions and methods, and of what is defined in them."""
    functions = (getattr(one, "__func__", one) for one in values)
    waiting = [one.__code__ for one in functions if isinstance(one, FunctionType)]
    while waiting:
        code = waiting.pop()
        yield code
        waiting += [one for one in code.co_consts if isinstance(one, CodeType)]
