"""Small Parquet files of a catalog become one an hour, then one a day.

A catalog that is written for months holds a few files a day and instrument. A row is written at
most twice more, so that the cost of a minute does not grow with the age of the folder; a file
that is large already is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from engine.recording.attempts import ATTEMPTS_MAX, Attempts
from engine.recording.commit import commit, new_stage
from engine.recording.parquet_rows import ParquetFault, parquet_rows
from engine.recording.rows import (
    KINDS,
    Kind,
    Span,
    UnreadableRows,
    read_parquet,
    spans_in,
    write_rows,
)

WINDOWS_SECS = (3_600, 86_400)
MERGED_BYTES_MAX = 8 << 20  # of one file, by the sizes of its parts; bounds memory
MERGED_FILES_MAX = 500  # joined at once
PASS_SECS = 20.0  # no further join is begun after this long
SECOND_NS = 1_000_000_000


class Group(msgspec.Struct, frozen=True):
    """Neighbouring files that become one."""

    kind: Kind
    spans: list[Span]


def compact(
    root: Path,
    now_ns: int,
    problems: list[str],
    *,
    windows_secs: tuple[float, ...] = WINDOWS_SECS,
    pass_secs: float = PASS_SECS,
    is_over: Callable[[], bool] = lambda: False,
) -> int:
    """Join files of hours and days that are over; gives how many files were joined.

    The caller holds the catalog's exclusive lock; no further join is begun when `is_over`. What
    can't be joined stays, and is told in `problems`. Raises OSError.
    """
    began = time.monotonic()
    attempts = Attempts(root)
    joined = 0
    for window_secs in windows_secs:
        for group in list(groups(root, now_ns, int(window_secs * SECOND_NS))):
            if time.monotonic() - began > pass_secs or is_over():
                return joined
            name = f"{group.spans[0].path} and {len(group.spans) - 1} more"
            if attempts.failed(name) >= ATTEMPTS_MAX:
                problems.append(f"{name}: one is damaged, they are not joined")
                continue
            attempts.begin(name)
            try:
                _join(root, group)
                attempts.end(name)
            except (UnreadableRows, ParquetFault) as error:
                attempts.end(name)
                problems.append(f"{group.spans[0].path.parent}: files were not joined: {error}")
                continue
            joined += len(group.spans)
    return joined


def groups(root: Path, now_ns: int, window_ns: int) -> Iterator[Group]:
    """What is to be joined, by the names and sizes of files alone."""
    for name, kind in KINDS.items():
        for folder in sorted((root / "data" / name).glob("*/")):
            windows: dict[int, list[Span]] = {}
            for span in spans_in(folder):
                window = span.start_ns // window_ns
                is_over = (window + 1) * window_ns <= now_ns
                if is_over and span.end_ns // window_ns == window:
                    windows.setdefault(window, []).append(span)
            for spans in windows.values():
                if len(spans) > 1:
                    yield from _bounded(kind, spans)


def _bounded(kind: Kind, spans: list[Span]) -> Iterator[Group]:
    part: list[Span] = []
    size = 0
    for span in spans:
        more = span.path.stat().st_size
        overlaps = bool(part) and span.start_ns < part[-1].end_ns  # nobody could order the rows
        if part and (overlaps or size + more > MERGED_BYTES_MAX or len(part) >= MERGED_FILES_MAX):
            if len(part) > 1:
                yield Group(kind, part)
            part, size = [], 0
        part.append(span)
        size += more
    if len(part) > 1:
        yield Group(kind, part)


def _join(root: Path, group: Group) -> None:
    stage = new_stage(root)
    before = sum(parquet_rows(span.path) for span in group.spans)
    rows = read_parquet(group.spans, group.kind, stage / "in")
    if len(rows) != before:
        raise UnreadableRows(f"{before} rows expected, {len(rows)} received")
    written = write_rows(rows, group.kind, stage / "out")
    if (after := parquet_rows(written)) != before:
        raise UnreadableRows(f"{before} rows expected, {after} written")
    commit(root, stage / "out", [span.path for span in group.spans])
