"""What a strategy answers when the engine asks it, looked at before anything is done with it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any

from nautilus_trader.model import InstrumentId

from fairlead.engine.errors import PlacedError
from fairlead.engine.guard.hooks import Hooks
from fairlead.engine.risk.facts import Declared


class BadAnswerError(PlacedError, TypeError):
    """The answer is none; `place` is FILE:LINE of the method that gave it."""

    def __init__(self, method: Callable[..., Any], expected: str, came: object) -> None:
        text = f"{method.__name__}: expected {expected}, {came!r:.200} came"
        super().__init__(text)
        code = getattr(method, "__code__", None)
        self.place = "" if code is None else f"{code.co_filename}:{code.co_firstlineno}"


def flat_instruments(strategy: Hooks) -> frozenset[InstrumentId]:
    """What `flat_on_stop` names. Raises BadAnswerError, and what the method raises."""
    came, method = strategy.flat_on_stop(), type(strategy).flat_on_stop
    is_many = isinstance(came, Collection) and not isinstance(came, str | bytes)
    if not is_many or not all(isinstance(one, InstrumentId) for one in came):
        raise BadAnswerError(method, "a collection of InstrumentId", came)
    for one in came:
        if strategy.cache.instrument(one) is None:
            raise BadAnswerError(method, "instruments of this run", str(one))
    return frozenset(came)


def declared(strategy: Hooks) -> Mapping[InstrumentId, Declared]:
    """What `declared` says. Raises BadAnswerError, and what the method raises."""
    came, method = strategy.declared(), type(strategy).declared
    if not isinstance(came, Mapping):
        raise BadAnswerError(method, "a mapping of InstrumentId to Declared", came)
    for one in came.values():
        if not isinstance(one, Declared):
            raise BadAnswerError(method, "a Declared for each instrument", one)
        if not isinstance(one.inventory, Decimal | int):
            raise BadAnswerError(method, "inventory to be a Decimal", one.inventory)
    return came
