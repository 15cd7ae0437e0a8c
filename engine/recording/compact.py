"""Small Parquet files of a catalog become one an hour, then one a day.

A catalog that is written for months holds a few files a day and instrument. A row is written at
most twice more, so that the cost of a minute does not grow with the age of the folder; a file
that is large already is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path

import msgspec

from fairlead.engine.recording.attempts import ATTEMPTS_MAX, Attempts
from fairlead.engine.recording.commit import commit, new_stage
from fairlead.engine.recording.parquet_rows import ParquetFault, parquet_rows
from fairlead.engine.recording.rows import (
    KINDS,
    Kind,
    Span,
    UnreadableRows,
    read_parquet,
    spans_in,
    write_rows,
)

WINDOWS_SECS = (3_600, 86_400)
RECENT_WINDOWS = 3
MERGED_ROWS_MAX = 1_000_000  # of one file; bounds memory
MERGED_FILES_MAX = 500  # joined at once
PASS_SECS = 20.0  # no further join is begun after this long
SECOND_NS = 1_000_000_000


class Joins(StrEnum):
    """How much of a catalog is looked at."""

    ALL = "all"
    RECENT = "recent"  # the last windows: what a pass costs does not grow with the folder's age
    NONE = "none"


class Group(msgspec.Struct, frozen=True):
    """Neighbouring files that become one."""

    kind: Kind
    spans: list[Span]
    rows: int


def compact(
    root: Path,
    now_ns: int,
    problems: list[str],
    joins: Joins = Joins.ALL,
    *,
    is_over: Callable[[], bool] = lambda: False,
) -> int:
    """Join files of hours and days that are over; gives how many files were joined.

    The caller holds the catalog's exclusive lock; no further join is begun when `is_over`. What
    can't be joined stays, and is told in `problems`. Raises OSError.
    """
    if joins is Joins.NONE:
        return 0
    began = time.monotonic()
    attempts = Attempts(root)
    joined = 0
    for window_secs in WINDOWS_SECS:
        window_ns = window_secs * SECOND_NS
        since_ns = now_ns - RECENT_WINDOWS * window_ns if joins is Joins.RECENT else 0
        for group in list(groups(root, since_ns, now_ns, window_ns, problems)):
            if time.monotonic() - began > PASS_SECS or is_over():
                return joined
            name = f"{group.spans[0].path} and {len(group.spans) - 1} more"
            if attempts.failed(name) >= ATTEMPTS_MAX:
                problems.append(f"{name}: one is damaged, they are not joined")
                continue
            attempts.begin(name)
            try:
                _join(root, group)
                joined += len(group.spans)
            except UnreadableRows as error:
                problems.append(f"{name}: files were not joined: {error}")
            attempts.end(name)
    return joined


def groups(
    root: Path, since_ns: int, now_ns: int, window_ns: int, problems: list[str]
) -> Iterator[Group]:
    """What is to be joined, of windows that began after `since_ns`."""
    for name, kind in KINDS.items():
        for folder in sorted((root / "data" / name).glob("*/")):
            windows: dict[int, list[Span]] = {}
            for span in spans_in(folder):
                window = span.start_ns // window_ns
                is_due = since_ns <= window * window_ns and (window + 1) * window_ns <= now_ns
                if is_due and span.end_ns // window_ns == window:
                    windows.setdefault(window, []).append(span)
            for spans in windows.values():
                if len(spans) > 1:
                    yield from _bounded(kind, spans, problems)


def _bounded(kind: Kind, spans: list[Span], problems: list[str]) -> Iterator[Group]:
    """Neighbours of not too many rows together; nobody could order the rows of overlapping ones."""
    part: list[Span] = []
    rows = 0
    for span in spans:
        try:
            more = parquet_rows(span.path)
        except ParquetFault as error:
            problems.append(f"{error}; it is not joined with its neighbours")
            if len(part) > 1:
                yield Group(kind, part, rows)
            part, rows = [], 0
            continue
        overlaps = bool(part) and span.start_ns < part[-1].end_ns
        if overlaps or rows + more > MERGED_ROWS_MAX or len(part) >= MERGED_FILES_MAX:
            if len(part) > 1:
                yield Group(kind, part, rows)
            part, rows = [], 0
        part.append(span)
        rows += more
    if len(part) > 1:
        yield Group(kind, part, rows)


def _join(root: Path, group: Group) -> None:
    stage = new_stage(root)
    rows = read_parquet(group.spans, group.kind, stage / "in")
    if len(rows) != group.rows:
        raise UnreadableRows(f"{group.rows} rows expected, {len(rows)} received")
    written = write_rows(rows, group.kind, stage / "out")
    if (after := parquet_rows(written)) != group.rows:
        raise UnreadableRows(f"{group.rows} rows expected, {after} written")
    commit(root, stage / "out", [span.path for span in group.spans])
