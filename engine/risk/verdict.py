"""What a check answers, and an entry of the registry of checks."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import final

import msgspec

from engine.risk.facts import Limits, OrderFacts
from engine.risk.look import Look


@final
class Denial(msgspec.Struct, frozen=True):
    """Why an order is not created. `message` says what was expected, what came, what to do."""

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


Verdict = Denial | float | Decimal | None


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the registry. `key` is the option of `[risk]` that sets it, if any.

    `also` are further options that it reads. `active` tells from the limits whether there is
    anything to check; a check that is not active costs nothing. `switchable` checks can be named
    in `[risk].off`. Without `on_plain` it has nothing to look at in a new order that is neither
    reduce-only, nor has a trigger price, an execution algorithm or an emulation.
    """

    code: str
    key: str
    unit: str
    default: str
    doc: str
    run: Callable[[OrderFacts, Look], Verdict]
    on_modify: bool = True
    on_plain: bool = True
    also: tuple[str, ...] = ()
    active: Callable[[Limits], bool] | None = None
    switchable: bool = True
