"""What a strategy answers when the engine asks it, looked at before anything is done with it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any

from nautilus_trader.model import InstrumentId

from fairlead.engine.config.problems import near_market
from fairlead.engine.errors import PlacedError
from fairlead.engine.guard.hooks import Hooks
from fairlead.engine.risk.facts import Declared


class BadAnswerError(PlacedError, TypeError):
    """The answer is none; `place` is FILE:LINE of the method that gave it."""

    def __init__(
        self, method: Callable[..., Any], expected: str, came: object, advice: str = ""
    ) -> None:
        text = f"{method.__name__}: expected {expected}, {came!r:.200} came{advice}"
        super().__init__(text)
        code = getattr(method, "__code__", None)
        self.place = "" if code is None else f"{code.co_filename}:{code.co_firstlineno}"


def flat_instruments(strategy: Hooks, known: Iterable[str]) -> frozenset[InstrumentId]:
    """What `flat_on_stop` names; `known` are the run's instruments. Raises BadAnswerError, and what
    the method raises."""
    came, method = strategy.flat_on_stop(), type(strategy).flat_on_stop
    is_many = isinstance(came, Collection) and not isinstance(came, str | bytes)
    if not is_many or not all(isinstance(one, InstrumentId) for one in came):
        raise BadAnswerError(method, "a collection of InstrumentId", came)
    for one in came:
        if strategy.cache.instrument(one) is None:
            raise _none_such(method, known, one)
    return frozenset(came)


def none_of(known: Iterable[str], name: str) -> tuple[str, str]:
    """Of an instrument that the run has not: what was expected, and the nearest that it has."""
    listed = list(known)
    near = near_market(name, listed)
    advice = f"; did you mean {near}?" if near else ""
    return f"an instrument of this run ({', '.join(listed)})", advice


def _none_such(method: Callable[..., Any], known: Iterable[str], came: Any) -> BadAnswerError:
    expected, near = none_of(known, str(came))
    return BadAnswerError(method, expected, str(came), near)


def declared(
    strategy: Hooks, known: Collection[str], is_known: Callable[[Any], bool]
) -> Mapping[InstrumentId, Declared]:
    """What `declared` says. `known` are the run's instruments, `is_known` has those of an earlier
    run too. Raises BadAnswerError, and what the method raises."""
    came, method = strategy.declared(), type(strategy).declared
    if not isinstance(came, Mapping):
        raise BadAnswerError(method, "a mapping of InstrumentId to Declared", came)
    for instrument_id, one in came.items():
        if not is_known(instrument_id):
            raise _none_such(method, known, instrument_id)
        if not isinstance(one, Declared):
            raise BadAnswerError(method, "a Declared for each instrument", one)
        if not isinstance(one.inventory, Decimal | int):
            raise BadAnswerError(method, "inventory to be a Decimal", one.inventory)
        if not Decimal(one.inventory).is_finite() or one.inventory < 0:
            raise BadAnswerError(method, "inventory to be 0 or more base units", one.inventory)
        if not isinstance(one.may_short, bool):
            raise BadAnswerError(method, "may_short to be True or False", one.may_short)
    return came
