"""What an account's journal holds, how large it is, and what lies beside it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec

from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.journal_archived import ArchiveRow
from fairlead.engine.orders.journal_file import SQLITES_OWN


class ArchiveLook(msgspec.Struct, frozen=True, kw_only=True):
    """An archive: detail of `orders` that ended from `first_ts` to `last_ts` (UNIX ns)."""

    name: str
    orders: int
    records: int
    first_ts: int
    last_ts: int
    bytes: int | None  # None: the file is not there


class JournalLook(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in bytes, times UNIX ns; `copies` are files that a person may remove or put back."""

    journal: str
    schema: int
    bytes: int
    records: int
    orders: int
    open_orders: int
    executions: int
    first_ts: int | None
    last_ts: int | None
    archives: list[ArchiveLook]
    copies: list[str]


def look(path: Path) -> JournalLook:
    """Also while a run writes to it. Raises JournalError."""
    with closing(Journal.reading(path)) as journal, journal.one_moment():
        counts = journal.counts()
        archives = [_archive(path, one) for one in journal.archives()]
    return JournalLook(
        journal=str(path),
        bytes=sum(_size(Path(f"{path}{end}")) or 0 for end in ("", SQLITES_OWN[0])),
        archives=archives,
        copies=sorted(
            one.name
            for one in path.parent.glob(f"{path.name}.*-*")
            if not one.name.endswith(SQLITES_OWN)
        ),
        **counts,
    )


def _archive(path: Path, row: ArchiveRow) -> ArchiveLook:
    return ArchiveLook(
        name=row.name,
        orders=row.orders,
        records=row.records,
        first_ts=row.first_ts,
        last_ts=row.last_ts,
        bytes=_size(path.with_name(row.name)),
    )


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
