"""Which venues a test plays: asked of what each says that it can, never of its name.

A venue that comes is played by every such test from then on. One that is only served, without an
adapter of ours, is no venue to trade on.
"""

from __future__ import annotations

from collections.abc import Callable

from fairlead.adapters import registry
from fairlead.engine.orders.live import STOP_KINDS
from fairlead.engine.orders.model import Capabilities, Kind, Tif

Need = Callable[[Capabilities], bool]


def able(name: str) -> Capabilities:
    return registry.spec(name).capabilities


def playable(*needs: Need) -> list[str]:
    """Every venue that has an adapter and a simulator, and whose capabilities meet all needs."""
    return [name for name in registry.playable() if all(need(able(name)) for need in needs)]


def rests(can: Capabilities) -> bool:
    """An order may wait for its price; where none can, quotes can't be sent."""
    return Tif.GTC in can.time_in_force


def has_stops(can: Capabilities) -> bool:
    return bool(can.kinds & STOP_KINDS)


def unprovable(can: Capabilities) -> frozenset[Kind]:
    """Of these a lost order's absence can't be shown: stops that wait are in no list of a venue
    without our ids."""
    return frozenset() if can.client_order_ids else STOP_KINDS
