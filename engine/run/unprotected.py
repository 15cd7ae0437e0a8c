"""What a kept run's notes tell of positions that it has left without a stop."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

UNPROTECTED = ", unprotected: "
STOP_GONE = ": its stop is not at the venue"


def unprotected(notes: Iterable[str], held: Collection[str] | None) -> Iterator[str]:
    """Those of what is `held` yet, as `INSTRUMENT (STRATEGY)`; None: nobody knows what is."""
    for note in notes:
        what = note.partition(" ")[2]
        if UNPROTECTED not in what and STOP_GONE not in what:
            continue
        if held is None or any(f" {one}{end}" in what for one in held for end in (",", ":")):
            yield what
