"""Trades that are missing from a file by their ids: Binance counts each market's trades."""

from __future__ import annotations

import msgspec

HOLES_MAX = 10_000  # kept; later ones make the last longer
LATE_HOLES = 64  # newest holes that a late trade may still fill


class Hole(msgspec.Struct):
    """Ids after `last`, before `first`: `missing` of them never came."""

    last: int
    first: int
    from_ns: int
    to_ns: int
    missing: int


class TradeIds:
    """Ids in the order in which they come, each once."""

    def __init__(self) -> None:
        self._newest: int | None = None
        self._newest_ns = 0
        self._holes: list[Hole] = []

    def add(self, number: int, ts: int) -> None:
        newest = self._newest
        if newest is not None and number < newest:
            for hole in self._holes[-LATE_HOLES:]:
                hole.missing -= hole.last < number < hole.first
            return
        if newest is not None and number > newest + 1:
            self._add_hole(Hole(newest, number, self._newest_ns, ts, number - newest - 1))
        self._newest, self._newest_ns = number, ts

    def holes(self) -> list[Hole]:
        return [hole for hole in self._holes if hole.missing > 0]

    def _add_hole(self, hole: Hole) -> None:
        if len(self._holes) < HOLES_MAX:
            self._holes.append(hole)
            return
        last = self._holes[-1]
        last.first, last.to_ns = hole.first, hole.to_ns
        last.missing += hole.missing
