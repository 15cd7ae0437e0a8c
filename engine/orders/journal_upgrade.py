"""A journal that an earlier version wrote becomes one of today, whole or not at all.

Schema 1 had no checksums and no count of open orders. Schema 2 is today's; 3 is 2 with archives,
which a compaction makes of it. A copy of the file from before stays beside it.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from fairlead.engine.files import make_private, sync
from fairlead.engine.orders.journal_check import all_problems
from fairlead.engine.orders.journal_reads import JournalError, repair_of
from fairlead.engine.orders.journal_schema import (
    OLD_VERSION,
    SCHEMA_VERSION,
    TABLES,
    position_crc,
    record_crc,
)

logger = logging.getLogger(__name__)

BUSY_SECS = 2.0
# `orders` and `fills` are as they were. Indices follow a table that is renamed, with their names.
_FROM_1 = f"""
BEGIN IMMEDIATE;
ALTER TABLE records RENAME TO records_1;
ALTER TABLE venue_ids RENAME TO venue_ids_1;
ALTER TABLE positions RENAME TO positions_1;
DROP INDEX IF EXISTS records_of_order;
DROP INDEX IF EXISTS orders_by_venue_id;
DROP INDEX IF EXISTS fills_of_order;
DELETE FROM meta WHERE key = 'schema';
{TABLES}
INSERT INTO records SELECT seq, ts, kind, client_order_id, body,
    record_crc(ts, kind, client_order_id, body) FROM records_1 ORDER BY seq;
INSERT INTO venue_ids SELECT instrument, venue_order_id, ts, client_order_id FROM venue_ids_1;
INSERT INTO positions SELECT strategy, instrument, quantity, cost,
    position_crc(strategy, instrument, quantity, cost) FROM positions_1;
UPDATE meta SET value = (
    SELECT count(*) FROM orders
    WHERE state NOT IN ('FILLED', 'CANCELED', 'EXPIRED', 'REFUSED')
) WHERE key = 'live';
DROP TABLE records_1;
DROP TABLE venue_ids_1;
DROP TABLE positions_1;
"""  # noqa: S608


def upgrade(path: Path, now_ns: Callable[[], int]) -> Path | None:
    """Bring the journal to today's schema; the account's lock is held.

    Gives the copy of what it was; None where there was nothing to do: no file, today's schema, or
    one that opening it refuses. Raises JournalError `JRN-UPGRADE`; the journal is then as it was.
    """
    try:
        if not path.exists() or schema_of(path) != str(OLD_VERSION):
            return None
        copy = path.with_name(f"{path.name}.before-upgrade-{now_ns()}")
        with closing(sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECS)) as db:
            _copy(db, copy)
            _upgrade(db, path)
    except (sqlite3.Error, OSError) as error:
        raise JournalError(
            "JRN-UPGRADE",
            f"the order journal {path} has schema {OLD_VERSION} and can't be upgraded: {error}. It "
            f"is as it was. {repair_of(error, path)}",
        ) from error
    logger.warning(
        "%s was of schema %d and is of %d now; as it was before: %s",
        path,
        OLD_VERSION,
        SCHEMA_VERSION,
        copy,
    )
    return copy


def schema_of(path: Path) -> str | None:
    """As the file says; None where that can't be read: opening it says what is wrong."""
    name = quote(str(path.absolute()))
    try:
        with closing(sqlite3.connect(f"file:{name}?mode=ro", uri=True, timeout=BUSY_SECS)) as db:
            row = db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    except sqlite3.Error:
        return None
    return None if row is None else str(row[0])


def _copy(db: sqlite3.Connection, copy: Path) -> None:
    """Raises OSError, sqlite3.Error."""
    new = copy.with_name(f".{copy.name}.new")
    make_private(new)
    with closing(sqlite3.connect(new)) as made:
        db.backup(made)
    sync(new)
    new.rename(copy)
    sync(copy.parent)


def _upgrade(db: sqlite3.Connection, path: Path) -> None:
    """Raises sqlite3.Error, JournalError."""
    db.execute("PRAGMA synchronous=FULL")
    db.create_function("record_crc", 4, record_crc, deterministic=True)
    db.create_function("position_crc", 4, position_crc, deterministic=True)
    try:
        db.executescript(_FROM_1)
        problems = all_problems(db, path)
        if problems:
            raise JournalError(
                "JRN-UPGRADE",
                f"the order journal {path} has schema {OLD_VERSION} and is not upgraded: "
                f"{problems[0]}. It is as it was: look at it with sqlite3, and go on with a copy "
                "from before the damage, or move it away (docs/journal.md)",
            )
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
