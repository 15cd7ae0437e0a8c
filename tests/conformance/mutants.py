"""Adapters with one planted fault each, made of a sound one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from fairlead.adapters import registry
from fairlead.adapters.base.venue import AdapterContext, AdapterSpec
from fairlead.engine.orders.model import Intent, Outcome, Refused, Unknown

Plant = Callable[[Any], None]  # a fault into an adapter
SOUND = "poloniex"  # the adapter that states most


def mutant(plant: Plant, sound: str = SOUND) -> AdapterSpec:
    """The sound adapter's, under the name `mutant`."""
    spec = registry.spec(sound)

    def create(context: AdapterContext) -> Any:
        adapter = spec.create(context)
        plant(adapter)
        return adapter

    return msgspec.structs.replace(spec, name="mutant", create=create)


class Orders:
    """A sound adapter's orders, of which a mutant changes a method."""

    def __init__(self, orders: Any) -> None:
        self.sound = orders

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sound, name)


class LostIsRejected(Orders):
    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        found: list[Outcome] = await self.sound.submit(intents)
        return [Refused("LOST", "no answer") if isinstance(o, Unknown) else o for o in found]


class LostIsSentAgain(Orders):
    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        found: list[Outcome] = await self.sound.submit(intents)
        if any(isinstance(one, Unknown) for one in found):
            found = await self.sound.submit(intents)
        return found


def orders(kind: type[Orders]) -> Plant:
    def plant(adapter: Any) -> None:
        adapter.orders = kind(adapter.orders)

    return plant


MUTANTS: dict[str, tuple[str, Plant]] = {  # the fault -> the card that must fail, and it alone
    "a lost answer is a rejection": ("orders.lost-answer", orders(LostIsRejected)),
    "a lost create is sent again": ("orders.lost-answer", orders(LostIsSentAgain)),
}
