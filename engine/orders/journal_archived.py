"""What was moved out of a journal: a file of its own, written once and never changed.

It holds the records of orders that ended long ago, but for their executions, which stay in the
journal with the orders' rows. In the journal one record of each order, ARCHIVED, stands for them.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import msgspec

from fairlead.engine.orders.journal_schema import RECORD, RECORD_COLUMNS, Record

ARCHIVED = "ARCHIVED"
ARCHIVE_SCHEMA = f"""
CREATE TABLE records {RECORD_COLUMNS};
CREATE INDEX records_of_order ON records (client_order_id);
"""


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """Body of an ARCHIVED record: what the records of the order add up to that are in `archive`."""

    archive: str  # name of the file, in the journal's folder
    state: str
    venue_order_id: str | None
    cancel_requested: bool
    ts_sent: int
    intent_crc: int  # CRC-32 of the intent, which the order's row holds


class ArchiveRow(msgspec.Struct, frozen=True, kw_only=True):
    """An archive as the journal knows it; `gone` records are in it alone. Times are UNIX ns."""

    name: str
    ts: int
    orders: int
    records: int
    gone: int
    first_ts: int
    last_ts: int
    sha256: str


def archives_of(db: sqlite3.Connection) -> list[ArchiveRow]:
    """Oldest first; none of a journal that was never compacted. Raises sqlite3.Error."""
    known = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'archives'").fetchone()
    if known is None:
        return []
    fields = ArchiveRow.__struct_fields__
    rows = db.execute(f"SELECT {', '.join(fields)} FROM archives ORDER BY ts, name")  # noqa: S608
    return [ArchiveRow(**dict(zip(fields, row, strict=True))) for row in rows]


def archived_records(path: Path, client_order_id: str) -> list[Record]:
    """The order's records in the archive; none where the file is gone. Raises sqlite3.Error."""
    if not path.exists():
        return []
    with closing(_opened(path)) as db:
        return db.execute(
            RECORD + "WHERE client_order_id = ? ORDER BY seq", (client_order_id,)
        ).fetchall()


def archived_at(path: Path, seq: int) -> list[tuple[int, str, str, bytes]]:
    """What the record says (ts, kind, order, body), where it is in this archive, and that is there.

    Raises sqlite3.Error.
    """
    if not path.exists():
        return []
    with closing(_opened(path)) as db:
        return db.execute(
            "SELECT ts, kind, client_order_id, body FROM records WHERE seq = ?", (seq,)
        ).fetchall()


@contextmanager
def archive_records(path: Path) -> Iterator[Callable[..., Iterator[Record]]]:
    """All of it, by seq or `by_order`, as often as is asked. Raises sqlite3.Error."""
    with closing(_opened(path)) as db:

        def records(*, by_order: bool = False) -> Iterator[Record]:
            yield from db.execute(
                RECORD + ("ORDER BY client_order_id, seq" if by_order else "ORDER BY seq")
            )

        yield records


def digest_of(records: Iterable[Record]) -> tuple[int, str]:
    """How many there are, and SHA-256 of what they say."""
    digest, count = hashlib.sha256(), 0
    for record in records:
        digest.update(repr(record).encode())
        count += 1
    return count, digest.hexdigest()


def crc_of(intent: bytes) -> int:
    """CRC-32 of an intent's JSON."""
    return zlib.crc32(intent)


def _opened(path: Path) -> sqlite3.Connection:
    """Nothing writes it: SQLite then leaves no file beside it."""
    name = quote(str(path.absolute()))
    return sqlite3.connect(f"file:{name}?mode=ro&immutable=1", uri=True)
