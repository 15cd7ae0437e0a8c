"""Trades that are missing from a file by their ids, where a venue counts each market's trades.

Binance does: the ids of its trades (`t` of the stream, `id` of the archive) and those of its
aggregated trades (`a`), each by itself. What an aggregated one is made of (`f` to `l`) may leave
out some, since the insurance fund's are not aggregated.
"""

from __future__ import annotations

import msgspec

HOLES_MAX = 10_000  # kept; later ones make the last longer
LATE_HOLES = 64  # newest holes that a late trade may still fill
BEGUN_AGAIN = 100  # lower ids in a row that rise and fill no hole: the venue counts anew


class Hole(msgspec.Struct):
    """Ids after `last`, before `first`: `missing` of them never came."""

    last: int
    first: int
    from_ns: int
    to_ns: int
    missing: int

    def __str__(self) -> str:
        return f"trade ids: none after {self.last} before {self.first}"


class TradeIds:
    """Ids in the order in which they come. Late ones, ones told again and a new count are none
    that are missing."""

    def __init__(self) -> None:
        self._newest: int | None = None
        self._newest_ns = 0
        self._top = 0  # the highest, from before the count began again
        self._low = self._lows = 0  # newest of those below, and how many rose in a row
        self._holes: list[Hole] = []

    def add(self, number: int, ts: int) -> None:
        newest = self._newest
        if newest is not None and number != newest + 1:
            if number <= newest:
                self._late(number, ts)
                return
            since = max(newest, self._top) if number > self._top else newest
            if number > since + 1:
                self._add_hole(Hole(since, number, self._newest_ns, ts, number - since - 1))
        self._newest, self._newest_ns, self._lows = number, ts, 0

    def holes(self) -> list[Hole]:
        return [hole for hole in self._holes if hole.missing > 0]

    def _late(self, number: int, ts: int) -> None:
        found = next((h for h in self._holes[-LATE_HOLES:] if h.last < number < h.first), None)
        if found is not None:
            found.missing -= 1
            return
        self._lows = self._lows + 1 if number > self._low else 1
        self._low = number
        if self._lows >= BEGUN_AGAIN:
            self._top = max(self._top, self._newest or 0)
            self._newest, self._newest_ns, self._lows = number, ts, 0

    def _add_hole(self, hole: Hole) -> None:
        if len(self._holes) < HOLES_MAX:
            self._holes.append(hole)
            return
        last = self._holes[-1]
        last.first, last.to_ns = hole.first, hole.to_ns
        last.missing += hole.missing
