"""What may be sent: the desk takes nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import msgspec

from fairlead.engine.orders.model import Intent


@final
class Approved(msgspec.Struct, frozen=True):
    """An order, or what an order changes to, as it was let through. `fairlead.engine.risk.approval`
    alone makes it."""

    intent: Intent


def intents_of(approved: Sequence[Approved]) -> list[Intent]:
    """Raises TypeError for what nobody let through: all of them are left alone then."""
    for one in approved:
        if not isinstance(one, Approved):
            raise TypeError(f"expected an Approved, {type(one).__name__} came; nothing was sent")
    return [one.intent for one in approved]
