"""Levels, one a line, put together to the messages of a book."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any

from fairlead.engine.recording.importers.binance_wire import Malformed, Other
from fairlead.engine.recording.importers.diffbook import Level
from fairlead.engine.recording.importers.events import Event, Refused, Told

# Number of the line; what its message is known by, None where the line does not tell; whether it is
# a bid; the level, or what is wrong
Row = tuple[int, Hashable, bool, Level | Malformed]
SPOILT = Other("message with a malformed line")
CUT = Other("last message of a damaged file")
LEVELS_MAX = 1_000_000  # of one message: whole books of venues have a tenth of it


def require_room(number: int, levels: int) -> None:
    """Raises Refused: lines that all have one time are one message, which memory need not hold."""
    if levels > LEVELS_MAX:
        raise Refused(
            f"line {number}: more than {LEVELS_MAX:,} levels of one message; expected that those "
            "of another moment have another time of receipt"
        )


def messages(
    rows: Iterable[Row],
    make: Callable[[Any, Sequence[Level], Sequence[Level]], Event],
    damage: Callable[[], str],
) -> Iterator[Told]:
    """Events of lines that follow one another with one key. `make` may raise Malformed.

    A message with a line that can't be read is left out. Where the line does not tell which one is
    its, that may be the one before it or the one after it: neither is known to be whole. Nor is the
    last one of a file that is damaged.
    """
    key: Hashable = None
    sides: tuple[list[Level], list[Level]] = ([], [])
    is_spoilt = is_next_spoilt = False
    last = 0

    def told() -> Iterator[Told]:
        if key is None:
            return
        if is_spoilt:
            yield last, SPOILT
            return
        try:
            yield last, make(key, *sides)
        except Malformed as error:
            yield last, error

    for number, known, is_bid, level in rows:
        if known is not None:
            if known != key:
                yield from told()
                key, sides, is_spoilt = known, ([], []), is_next_spoilt
            is_next_spoilt = False
            last = number
        if isinstance(level, Malformed):
            is_spoilt = True
            is_next_spoilt = known is None
            yield number, level
            continue
        side = sides[0 if is_bid else 1]
        side.append(level)
        require_room(number, len(side))
    if damage() and key is not None:
        yield last, CUT
    else:
        yield from told()
