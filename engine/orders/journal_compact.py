"""Make a journal of years small again: the detail of orders that ended long ago is moved away.

What moves is the story of such an order: intent, answers, cancels. Its row, venue ids and
executions stay, so that positions, results, the search for late orders and what is booked once are
the same as before; and nothing of the newest records, which a start looks through, is touched.

Whatever dies in the middle, nothing is lost: the archive is whole, on the disk and read back before
one transaction takes its records out of the journal.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import groupby
from pathlib import Path

import msgspec

from fairlead.engine.errors import Exit
from fairlead.engine.files import make_private, sync
from fairlead.engine.orders import journal_check
from fairlead.engine.orders.files import AccountFiles
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.journal_archived import (
    ARCHIVE_SCHEMA,
    ARCHIVED,
    ArchiveRow,
    archive_records,
    archives_of,
    digest_of,
)
from fairlead.engine.orders.journal_check import all_problems, moved_of
from fairlead.engine.orders.journal_reads import REPAIR, JournalError, repair_of
from fairlead.engine.orders.journal_schema import (
    ARCHIVES,
    COMPACTED_VERSION,
    RECORD,
    Record,
    record_crc,
)
from fairlead.engine.orders.lock import AccountLock

logger = logging.getLogger(__name__)

DAY_NS = 86_400 * 1_000_000_000
DAYS_MIN = 7  # orders that were given up are looked for in the last day
BUSY_SECS = 10.0
_encode = msgspec.json.Encoder().encode

# Ended before, told by no record of the newest, and whole here: one that came late after it was
# archived stays as it is.
_ENDED = """
CREATE TEMP TABLE ended AS
SELECT client_order_id FROM main.orders AS o
WHERE state IN ('FILLED', 'CANCELED', 'EXPIRED', 'REFUSED')
AND NOT EXISTS (
    SELECT 1 FROM main.records AS r WHERE r.client_order_id = o.client_order_id
    AND (r.seq > :keep OR r.ts >= :before OR r.kind = 'ARCHIVED')
)
AND 1 = (
    SELECT count(*) FROM main.records AS r
    WHERE r.client_order_id = o.client_order_id AND r.kind = 'INTENT'
)
"""
_THEIRS = (  # nothing of it comes from outside
    f"{RECORD} WHERE kind <> 'FILL' "  # noqa: S608
    "AND client_order_id IN (SELECT client_order_id FROM temp.ended) ORDER BY seq"
)
_SAME = """
SELECT count(*) FROM archive.records AS a JOIN main.records AS r
ON r.seq = a.seq AND r.ts = a.ts AND r.kind = a.kind AND r.client_order_id = a.client_order_id
AND r.body = a.body AND r.crc = a.crc
"""
_ALL_OF_THEM = """
SELECT count(*) FROM main.records WHERE kind <> 'FILL'
AND client_order_id IN (SELECT client_order_id FROM archive.records)
"""


class Compacted(msgspec.Struct, frozen=True, kw_only=True):
    """What one compaction did; sizes in bytes. `archive` is None where nothing was old enough."""

    journal: str
    archive: str | None
    orders: int
    records: int
    bytes_before: int
    bytes_after: int
    removed: tuple[str, ...]  # archives of a compaction that died, all of which is in the journal


def compact(files: AccountFiles, *, days: int, now_ns: Callable[[], int]) -> Compacted:
    """Move the detail of orders that ended more than `days` ago to an archive beside the journal.

    Raises FairleadError `STATE-LOCKED` while a run or a flattening kill has the account,
    `JRN-COMPACT` for what prevents it, JournalError for a damaged journal. Then nothing changed.
    """
    if days < DAYS_MIN:
        raise JournalError(
            "JRN-COMPACT", f"expected at least {DAYS_MIN} days, received {days}", Exit.USAGE
        )
    path = files.journal
    with AccountLock(files.lock, " (compacts)"), AccountLock(files.flatten_lock, " (compacts)"):
        Journal(path, fsync=True, now_ns=now_ns).close()  # what a start checks; upgrades nothing
        before = path.stat().st_size
        try:
            with closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECS)) as db:
                removed, found = _compact(db, path, days, now_ns())
        except sqlite3.Error as error:
            raise JournalError(
                "JRN-COMPACT",
                f"{path} can't be compacted: {error}. Nothing was moved. {repair_of(error, path)}",
            ) from error
        except OSError as error:
            raise JournalError(
                "JRN-COMPACT",
                f"{path} can't be compacted: {error.strerror}: {error.filename}. Nothing was "
                f"moved. {repair_of(error, path)}",
            ) from error
        return Compacted(
            journal=str(path),
            archive=None if found is None else str(path.with_name(found.name)),
            orders=0 if found is None else found.orders,
            records=0 if found is None else found.gone,
            bytes_before=before,
            bytes_after=path.stat().st_size,
            removed=removed,
        )


def _compact(
    db: sqlite3.Connection, path: Path, days: int, now_ns: int
) -> tuple[tuple[str, ...], ArchiveRow | None]:
    """Raises sqlite3.Error, OSError, JournalError."""
    db.execute("PRAGMA synchronous=FULL")
    problems = all_problems(db, path)
    if problems:
        raise JournalError("JRN-CORRUPT", f"{path}: {problems[0]}. Nothing was moved. {REPAIR}")
    removed = tuple(_remove_leftovers(db, path))
    keep = _newest(db) - journal_check.NEWEST_RECORDS
    db.execute(_ENDED, {"keep": keep, "before": now_ns - days * DAY_NS})
    orders = int(db.execute("SELECT count(*) FROM temp.ended").fetchone()[0])
    if not orders:
        return removed, None
    archive = path.with_name(f"{_account(path)}.archive-{now_ns}.sqlite")
    found = _write_archive(db, archive, orders, now_ns)
    with _attached(db, archive):
        _take_out(db, path, found)
    _shrink(db, path)
    return removed, found


def _account(path: Path) -> str:
    return path.name.removesuffix(".journal.sqlite")


def _newest(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(max(seq), 0) FROM main.records").fetchone()[0])


def _write_archive(db: sqlite3.Connection, archive: Path, orders: int, now_ns: int) -> ArchiveRow:
    """Written beside, synced, renamed, and read back: it is there, whole, or not at all."""
    new = archive.with_name(f".{archive.name}.new")
    make_private(new)
    rows = db.execute(_THEIRS)
    first_ts = last_ts = 0
    with closing(sqlite3.connect(new, isolation_level=None)) as made:
        made.executescript(f"BEGIN;{ARCHIVE_SCHEMA}")
        made.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", rows)
        made.execute("COMMIT")
        first_ts, last_ts = made.execute("SELECT min(ts), max(ts) FROM records").fetchone()
    sync(new)
    os.replace(new, archive)
    sync(archive.parent)
    with archive_records(archive) as records:
        count, sha256 = digest_of(records())
    return ArchiveRow(
        name=archive.name,
        ts=now_ns,
        orders=orders,
        records=count,
        gone=count - orders,
        first_ts=first_ts,
        last_ts=last_ts,
        sha256=sha256,
    )


@contextmanager
def _attached(db: sqlite3.Connection, archive: Path) -> Iterator[None]:
    db.execute("ATTACH ? AS archive", (str(archive),))
    try:
        yield
    finally:
        db.execute("DETACH archive")


def _take_out(db: sqlite3.Connection, path: Path, archive: ArchiveRow) -> None:
    """In one transaction, once each record is seen to be in the archive as it is in the journal."""
    db.execute("BEGIN IMMEDIATE")
    try:
        counts = [int(db.execute(sql).fetchone()[0]) for sql in (_SAME, _ALL_OF_THEM)]
        if counts != [archive.records, archive.records]:
            raise JournalError(
                "JRN-COMPACT",
                f"{path} was written meanwhile: {counts} records of {archive.records} are as they "
                "were archived. Nothing was moved; again",
            )
        _leave_marks(db, archive.name)
        db.execute(
            "DELETE FROM main.records WHERE seq IN "
            "(SELECT seq FROM archive.records WHERE kind <> 'INTENT')"
        )
        db.execute(ARCHIVES)
        db.execute(
            "INSERT INTO main.archives VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            msgspec.structs.astuple(archive),
        )
        db.execute("UPDATE main.meta SET value = ? WHERE key = 'schema'", (str(COMPACTED_VERSION),))
        problems = all_problems(db, path)
        if problems:  # a defect of ours: the journal stays as it was
            raise JournalError(
                "JRN-COMPACT", f"{path}: {problems[0]}, once compacted. Nothing was moved"
            )
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _leave_marks(db: sqlite3.Connection, archive: str) -> None:
    """Of each order its INTENT becomes ARCHIVED: what its records add up to, and where they are."""
    rows = db.execute(
        "SELECT seq, ts, kind, client_order_id, body, crc FROM archive.records "
        "ORDER BY client_order_id, seq"
    )
    marks = [_mark(name, list(told), archive) for name, told in groupby(rows, lambda row: row[3])]
    db.executemany("UPDATE main.records SET kind = ?, body = ?, crc = ? WHERE seq = ?", marks)


def _mark(name: str, told: list[Record], archive: str) -> tuple[str, bytes, int, int]:
    seq, ts = next((record[0], record[1]) for record in told if record[2] == "INTENT")
    body = _encode(moved_of(told, archive))
    return ARCHIVED, body, record_crc(ts, ARCHIVED, name, body), seq


def _remove_leftovers(db: sqlite3.Connection, path: Path) -> Iterator[str]:
    """Archives of a compaction that died before it took anything out: all is in the journal."""
    for new in path.parent.glob(f".{_account(path)}.archive-*.new*"):
        new.unlink()
    known = {one.name for one in archives_of(db)}
    for archive in sorted(path.parent.glob(f"{_account(path)}.archive-*.sqlite")):
        if archive.name in known:
            continue
        with _attached(db, archive):
            records = int(db.execute("SELECT count(*) FROM archive.records").fetchone()[0])
            is_here = int(db.execute(_SAME).fetchone()[0]) == records
        if not is_here:
            logger.warning(
                "%s is no archive of %s, which lacks what is in it: left alone", archive, path
            )
            continue
        archive.unlink()
        yield archive.name


def _shrink(db: sqlite3.Connection, path: Path) -> None:
    """Give the space back to the disk; where there is no room for that, it is used again later."""
    try:
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        logger.warning("%s is compacted, and stays as large as it was: %s", path, error)
