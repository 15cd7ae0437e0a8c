"""A venue of the registry without its stops, in this process: the engine holds them for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from fairlead.adapters import registry
from fairlead.engine.orders.model import (
    Capabilities,
    FindResult,
    Intent,
    Kind,
    Lost,
    Outcome,
    Tif,
    TriggerSource,
)

HELD = frozenset({Kind.STOP_LIMIT, Kind.LIMIT_IF_TOUCHED, Kind.STOP_MARKET, Kind.MARKET_IF_TOUCHED})


def bared(able: Capabilities) -> Capabilities:
    """Plain orders alone, fill-or-kill where the venue knows that."""
    only = Tif.FOK if Tif.FOK in able.time_in_force else Tif.GTC
    return msgspec.structs.replace(
        able,
        kinds=frozenset({Kind.LIMIT, Kind.MARKET}),
        time_in_force=frozenset({only}),
        held=HELD,
        trigger_sources=(TriggerSource.LAST, TriggerSource.TOUCH, TriggerSource.MID),
    )


class SentIds:
    """Gives the venue the client order id of each release, as an adapter must that is to hold."""

    def __init__(self, orders: Any) -> None:
        self._orders = orders

    def __getattr__(self, name: str) -> Any:
        return getattr(self._orders, name)

    async def submit(self, intents: Sequence[Intent]) -> list[Outcome]:
        outcomes: list[Outcome] = await self._orders.submit([_sent(one) for one in intents])
        return outcomes

    async def find(self, intent: Intent, *args: Any) -> FindResult:
        found: FindResult = await self._orders.find(_sent(intent), *args)
        return found

    async def find_all(self, lost: Sequence[Lost]) -> list[FindResult]:
        named = [msgspec.structs.replace(one, intent=_sent(one.intent)) for one in lost]
        found: list[FindResult] = await self._orders.find_all(named)
        return found


def _sent(intent: Intent) -> Intent:
    return msgspec.structs.replace(intent, client_order_id=intent.sent_id, release=0)


def lay_bare(key: str) -> None:
    """From now on `registry.spec(key)` is of a venue without stops."""
    spec = registry.spec(key)
    able = bared(spec.capabilities)

    def create(context: Any) -> Any:
        adapter = spec.create(context)
        adapter.capabilities = able
        if able.client_order_ids:
            adapter.orders = SentIds(adapter.orders)
        return adapter

    registry._extra[key] = msgspec.structs.replace(spec, capabilities=able, create=create)


@contextmanager
def laid_bare(key: str) -> Iterator[None]:
    """For the length of a with block."""
    lay_bare(key)
    try:
        yield
    finally:
        del registry._extra[key]
