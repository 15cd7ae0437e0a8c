"""Stresses that a study requires: a trial that does not bear them spends no held-out data.

What is required is kept in the study's registry, before the held-out span is spent, and can't be
taken back: it can only become more.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.research.holdout import held_of
from fairlead.engine.research.trials import Registry


class Gate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stress: `latency` and `fees` say how many times as high they are. Under it the net must
    be above 0 in every currency.

    With `draws` the config is run so often with other draws of its latency, and `share` of them
    must be above 0. With `orders` the trades are drawn anew a thousand times, and at most that
    share of the draws may lose.
    """

    latency: Decimal = Decimal(1)
    fees: Decimal = Decimal(1)
    draws: int = 0
    share: Decimal = Decimal("0.95")
    orders: Decimal | None = None

    @property
    def words(self) -> str:
        parts = []
        if self.latency != 1:
            parts.append(f"latency times {self.latency:f}")
        if self.fees != 1:
            parts.append(f"fees times {self.fees:f}")
        if self.draws:
            parts.append(f"{self.share:f} of {self.draws} draws of the latency")
        if self.orders is not None:
            parts.append(f"at most {self.orders:f} of the draws of its trades lose")
        return ", ".join(parts) or "as configured"


def gates_of(registry: Registry) -> list[Gate]:
    """Oldest first."""
    return [msgspec.convert(one.body, Gate, strict=False) for one in registry.entries("gate")]


def require(registry: Registry, gate: Gate) -> None:
    """Add one. Raises FairleadError GATE-LATE once the held-out span is spent."""
    held = held_of(registry)
    if held is not None and held.is_spent:
        raise FairleadError(
            "GATE-LATE",
            f"the study {registry.name} has spent {held.words()}: what it requires must be said "
            "before",
            int(Exit.USAGE),
        )
    body = msgspec.to_builtins(gate, builtin_types=(Decimal,))
    told = {key: str(one) if isinstance(one, Decimal) else one for key, one in body.items()}
    if gate not in gates_of(registry):
        registry.append("gate", gate.words, told)
