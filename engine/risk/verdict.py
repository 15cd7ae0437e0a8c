"""What a check answers, and an entry of the registry of checks."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import final

import msgspec

from fairlead.engine.config.model import Risk
from fairlead.engine.risk.facts import OrderFacts
from fairlead.engine.risk.look import Look


@final
class Denial(msgspec.Struct, frozen=True):
    """Why an order is not created. `message` says what was expected, what came, what to do."""

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


Verdict = Denial | float | Decimal | None


class Check(msgspec.Struct, frozen=True):
    """One entry of the registry: a code, and the function that looks.

    `key` is the option of `[risk]` that sets it, whose description says what is held; a check
    without one says it in `text`. `also` are further options that it reads. `always`: it has
    something to look at where its option is not set, too. `switchable` checks can be named in
    `[risk].off`. Without `on_plain` it has nothing to look at in a new order that is neither
    reduce-only, nor has a trigger price, an execution algorithm or an emulation.
    """

    code: str
    run: Callable[[OrderFacts, Look], Verdict]
    key: str = ""
    text: str = ""
    also: tuple[str, ...] = ()
    always: bool = False
    on_modify: bool = True
    on_plain: bool = True
    switchable: bool = True

    def is_set(self, config: Risk) -> bool:
        """Whether there is anything to compare with; what is not set costs nothing."""
        return not self.key or self.always or getattr(config, self.key) not in (None, [], {})
