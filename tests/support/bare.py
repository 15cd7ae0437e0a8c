"""A venue of the registry without its stops, in this process: the engine holds them for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from fairlead.adapters import registry
from fairlead.engine.orders.model import Capabilities, Kind, Tif, TriggerSource

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


def lay_bare(key: str) -> None:
    """From now on `registry.spec(key)` is of a venue without stops."""
    spec = registry.spec(key)
    able = bared(spec.capabilities)

    def create(context: Any) -> Any:
        adapter = spec.create(context)
        adapter.capabilities = able
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
