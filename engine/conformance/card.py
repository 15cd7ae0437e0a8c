"""What a card is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from fairlead.engine.conformance.stage import Stage
from fairlead.engine.orders.model import Capabilities, Kind, Tif

Need = Callable[[Capabilities], str]  # why an adapter does not offer it; empty: it does


class Card(msgspec.Struct, frozen=True):
    """One thing that every adapter must do, and the play that shows it.

    `play` gives in words what was seen, and raises Broken for what must not be. A card that brings
    its own loop has `alone` in its place: it gets the venue's name, and how many seeds are wanted.
    """

    name: str  # group.subject
    asks: str  # one line: what must hold
    play: Callable[[Stage], Awaitable[str]] | None
    need: Need = lambda can: ""
    alone: Callable[[str, int], str] | None = None

    @property
    def group(self) -> str:
        return self.name.partition(".")[0]


def books(can: Capabilities) -> str:
    """Of cards that hear a book of the venue's."""
    return "the venue has no stream: its ticker is polled (`ticker`)" if can.ticker else ""


def side_by_side(can: Capabilities) -> str:
    """Of cards with more than one order at a time."""
    if not can.clears:
        return ""
    return "a new order ends what is there before it: two never stand side by side (`clears`)"


def cancels(can: Capabilities) -> str:
    return "" if can.cancels else "the venue cancels no order (`cancels`)"


def all_of(*needs: Need) -> Need:
    """What the first of them says that is not offered."""
    return lambda can: next((lack for need in needs if (lack := need(can))), "")


def rests(can: Capabilities) -> str:
    """Of cards with an order that stays open."""
    if Kind.LIMIT in can.kinds and Tif.GTC in can.time_in_force:
        return ""
    return "no order stays open: there are no LIMIT orders that are GTC"
