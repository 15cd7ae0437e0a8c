"""What a run recorded, in numbers: events by instrument, raw frames by venue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from fairlead.engine.status import RunStatus, trades_counter

if TYPE_CHECKING:
    from fairlead.engine.recording.session import Recording

KIB = 1024


class RecordedEvents(msgspec.Struct, frozen=True, kw_only=True):
    """Of one instrument, what came and was recorded as events."""

    instrument: str
    book_updates: int
    trades: int


class RecordedRaw(msgspec.Struct, frozen=True, kw_only=True):
    """Of one venue, what was kept as it came: frames, requests and answers; compressed bytes."""

    venue: str
    records: int
    files: int
    bytes: int
    lost: int  # dropped by a full queue, or after recording stopped


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """`events` is empty where `record.normalized` is off, `raw` where `record.raw` is."""

    events: list[RecordedEvents] = []
    raw: list[RecordedRaw] = []
    frameless: list[str] = []  # venues whose raw frames are not to be had


def recorded(recording: Recording, status: RunStatus, instruments: Iterable[str]) -> Recorded:
    """Of a run that has ended."""
    events = [
        RecordedEvents(
            instrument=name,
            book_updates=status.books[name].updates if name in status.books else 0,
            trades=status.counters.get(trades_counter(name), 0),
        )
        for name in (instruments if recording.settings.normalized else ())
    ]
    raw = [
        RecordedRaw(
            venue=venue,
            records=one.records,
            files=one.files,
            bytes=one.bytes_written,
            lost=one.dropped + one.lost,
        )
        for venue, one in recording.raw_status.items()
    ]
    return Recorded(events=events, raw=raw, frameless=list(recording.frameless))


def rows(found: Recorded) -> Iterator[tuple[str, str]]:
    """Label and text for the table of a run that only records."""
    venues = {one.instrument.rpartition(".")[2] for one in found.events}
    for event in found.events:
        name = event.instrument if len(venues) > 1 else event.instrument.rpartition(".")[0]
        yield name, f"{event.book_updates:,} book updates, {event.trades:,} trades"
    if not found.events:
        yield "catalog", "not recorded: normalized = false"
    for one in found.raw:
        label = "raw frames" if len(found.raw) == 1 else f"raw {one.venue}"
        lost = f"; {one.lost:,} LOST" if one.lost else ""
        files = f"{one.files:,} file{'' if one.files == 1 else 's'}"
        yield label, f"{one.records:,} in {files}, {one.bytes / KIB:,.1f} KiB{lost}"
    for venue in found.frameless:
        label = "raw frames" if not found.raw and len(found.frameless) == 1 else f"raw {venue}"
        yield label, "not to be had: NautilusTrader's own client shows none"
    if not found.raw and not found.frameless:
        yield "raw frames", "not recorded: raw = false"
