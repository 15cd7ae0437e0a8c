"""Times in which an instrument without a book had no price: its data has a gap there.

Where there is a book it is looked at itself, see `fairlead.engine.research.marks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fairlead.engine.recording.gaps import GapKind, GapRow
from fairlead.engine.research.marks import Top

Span = tuple[int, int]  # UNIX nanoseconds
Holes = Mapping[str, Sequence[Span]]  # by instrument
LOST = frozenset({GapKind.GAP, GapKind.MISSING})
# Of what is read from a recording; a run that records it knew what the recording lacks
UNREAD = LOST | {GapKind.BETWEEN_RUNS, GapKind.OVERFLOW, GapKind.STOPPED}


def holes(gaps: Iterable[GapRow], instruments: Iterable[str], *, is_read: bool) -> Holes:
    """Of these instruments; `is_read`: the run read its data from a recording."""
    kinds = UNREAD if is_read else LOST
    names = list(instruments)
    found: dict[str, list[Span]] = {name: [] for name in names}
    for row in gaps:
        if row.kind in kinds:
            for name in names if not row.instrument else {row.instrument} & found.keys():
                found[name].append((row.from_ns, row.to_ns))
    return found


def within(spans: Iterable[Span], ts: int) -> bool:
    """Whether what was known before a gap stands for this moment in it."""
    return any(begin < ts < end for begin, end in spans)


def cut(tops: Iterable[Top], spans: Sequence[Span]) -> list[Top]:
    """Without what lies in them, and where they begin."""
    found: list[Top] = []
    for top in tops:
        if not within(spans, top.ts):
            found.append(top)
        elif found and not found[-1].is_hole:
            found.append(Top(top.ts))
    return found
