"""What the run's own thread has cancelled of a kill, for the command, whose cancels came second.

The thread writes it beside the journal. A word that no disk takes is one that nobody hears.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

from fairlead.engine.files import decoded, write_whole

WORDS_MAX = 8  # the newest are kept: kills come one after the other
BYTES_MAX = 4 << 20


class FirstCancels(msgspec.Struct, frozen=True):
    """When the first of them was sent, UNIX ns, and the client order ids of those that the venue
    did not refuse."""

    ts_ns: int
    orders: frozenset[str]


class FirstWords:
    """Of one account, written by one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._words: list[FirstCancels] = []

    def add(self, word: FirstCancels) -> None:
        """Raises nothing."""
        self._words = [*self._words, word][-WORDS_MAX:]
        with contextlib.suppress(OSError):
            write_whole(self._path, msgspec.json.encode(self._words), durable=False)


def first_of(
    path: Path, orders: Collection[str], since_ns: int
) -> tuple[int | None, frozenset[str]]:
    """When a run sent the first cancel of any of `orders` since then, UNIX ns, and which it asked
    for; None where it sent none, or no word of it can be read."""
    try:
        with path.open("rb") as file:
            words: Iterable[FirstCancels] = decoded(file.read(BYTES_MAX), list[FirstCancels]) or ()
    except OSError:
        words = ()
    found = [one for one in words if one.ts_ns >= since_ns and not one.orders.isdisjoint(orders)]
    asked = frozenset().union(*(one.orders for one in found)) & frozenset(orders)
    return min((one.ts_ns for one in found), default=None), asked
