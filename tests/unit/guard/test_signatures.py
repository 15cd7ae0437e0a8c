"""A callback, or a handler, that can't be called: told with its own place and how it is written."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from nautilus_trader.trading import Strategy

from fairlead.engine.errors import place_of
from fairlead.engine.guard import GuardedStrategy
from fairlead.engine.guard.signatures import SignatureError, misfit, unfit


class Fits(GuardedStrategy):
    """Each is called as documented, however its arguments are named."""

    def on_start(self, *rest: Any) -> None: ...

    def on_trade(self, anything: Any, more: int = 1) -> None: ...

    def on_quote(self, *events: Any, **named: Any) -> None: ...

    def on_fault(self, by_its_author: str) -> None: ...

    def on_gate_denied(self, order: Any, why: Any) -> None: ...


class Plain(Strategy):
    def on_gate_denied(self, order: Any) -> None:
        """A method of its author's: nothing here calls it."""

    def on_order_filled(self) -> None: ...

    def on_bar(self, *, bar: Any) -> None: ...


def test_what_can_be_called_is_left_alone() -> None:
    assert list(unfit(Fits, is_plain=False)) == []
    assert list(unfit(GuardedStrategy, is_plain=False)) == []


def test_every_callback_that_can_not_be_called_is_found() -> None:
    found = {wanted: (came, why) for wanted, came, why in unfit(Plain, is_plain=True)}
    assert list(found) == ["def on_bar(self, bar)", "def on_order_filled(self, event)"]
    came, why = found["def on_order_filled(self, event)"]
    line = Plain.on_order_filled.__code__.co_firstlineno
    assert came.endswith(f"{__file__}:{line}")
    assert why == "too many positional arguments"


def call(handler: Any, *args: Any) -> BaseException:
    try:
        handler(*args)
    except TypeError as error:
        return error
    raise AssertionError("it could be called")


def of_nothing() -> None: ...


def raises_within(event: Any) -> None:
    len(event)


class Holder:
    def method(self) -> None: ...


@pytest.mark.parametrize(
    ("handler", "is_written"),
    [
        (of_nothing, "of_nothing(), called with (event)"),
        (lambda: None, "<lambda>(), called with (event)"),
        (Holder().method, "method(self), called with (event)"),
        (partial(of_nothing), "of_nothing(), called with (event)"),
    ],
)
def test_a_handler_that_takes_no_event_is_told_at_its_own_place(
    handler: Any, is_written: str
) -> None:
    told = misfit(call(handler, 1), handler)
    assert isinstance(told, SignatureError)
    assert "positional argument" in str(told)
    assert str(told).endswith(is_written)
    assert place_of(told).rpartition(":")[0] == __file__


def test_a_lifecycle_callback_is_told_with_what_it_is_called_with() -> None:
    told = misfit(call(of_nothing, {}), of_nothing, "on_load")
    assert str(told).endswith("of_nothing(), called with (state)")


def test_what_a_handler_raises_itself_is_left_as_it_is() -> None:
    within = call(raises_within, 1)
    assert misfit(within, raises_within) is within
    other = ValueError("other")
    assert misfit(other, of_nothing) is other
    of_c = call(len, 1, 2)
    assert misfit(of_c, len) is of_c
