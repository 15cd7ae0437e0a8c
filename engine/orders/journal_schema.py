"""The order journal's tables, and the checksum that each record and position carries."""

from __future__ import annotations

import zlib

SCHEMA_VERSION = 2  # as written into `meta` below
# Of one that was compacted: `archives`, and records ARCHIVED, are unknown to what knows 2 only
COMPACTED_VERSION = 3
OLD_VERSION = 1  # upgraded by `journal_upgrade`
KNOWN_VERSIONS = frozenset({str(SCHEMA_VERSION), str(COMPACTED_VERSION)})
_OPEN = (
    "SELECT intent, state, venue_order_id, filled, cost, cancel_requested, ts_sent, "
    "client_order_id FROM orders WHERE state NOT IN ('FILLED', 'CANCELED', 'EXPIRED', 'REFUSED') "
)
OPEN_ORDERS = f"{_OPEN} ORDER BY ts_sent, client_order_id"
OPEN_ORDERS_OF = f"{_OPEN} AND strategy = ? ORDER BY ts_sent, client_order_id"

# `meta`: `schema`; `live`, the number of open orders, kept by triggers so that an open order can't
# be missed; `boot`, in which run of the machine the whole file was last checked.
RECORD_COLUMNS = """(
    seq INTEGER PRIMARY KEY,
    ts INTEGER NOT NULL,
    kind TEXT NOT NULL,
    client_order_id TEXT NOT NULL,
    body BLOB NOT NULL,
    crc INTEGER NOT NULL
)"""
TABLES = f"""
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records {RECORD_COLUMNS};
CREATE INDEX IF NOT EXISTS records_of_order ON records (client_order_id);
CREATE TABLE IF NOT EXISTS orders (
    client_order_id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    venue_order_id TEXT,
    instrument TEXT NOT NULL,
    strategy TEXT NOT NULL,
    filled TEXT NOT NULL,
    cost TEXT NOT NULL,
    cancel_requested INTEGER NOT NULL,
    ts_sent INTEGER NOT NULL,
    intent BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS orders_open ON orders (state)
    WHERE state NOT IN ('FILLED', 'CANCELED', 'EXPIRED', 'REFUSED');
CREATE TABLE IF NOT EXISTS venue_ids (
    instrument TEXT NOT NULL,
    venue_order_id TEXT NOT NULL,
    ts INTEGER NOT NULL,
    client_order_id TEXT NOT NULL,
    PRIMARY KEY (venue_order_id, instrument)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS venue_ids_since ON venue_ids (instrument, ts);
CREATE TABLE IF NOT EXISTS fills (
    instrument TEXT NOT NULL,
    trade_id TEXT NOT NULL,
    client_order_id TEXT NOT NULL,
    strategy TEXT NOT NULL,
    ts INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (instrument, trade_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS positions (
    strategy TEXT NOT NULL,
    instrument TEXT NOT NULL,
    quantity TEXT NOT NULL,
    cost TEXT NOT NULL,
    crc INTEGER NOT NULL,
    PRIMARY KEY (strategy, instrument)
) WITHOUT ROWID;
INSERT OR IGNORE INTO meta VALUES ('schema', '2'), ('live', '0');
CREATE TRIGGER IF NOT EXISTS orders_added AFTER INSERT ON orders
WHEN new.state NOT IN ('FILLED', 'CANCELED', 'EXPIRED', 'REFUSED')
BEGIN
    UPDATE meta SET value = value + 1 WHERE key = 'live';
END;
CREATE TRIGGER IF NOT EXISTS orders_moved AFTER UPDATE OF state ON orders
WHEN (new.state IN ('FILLED', 'CANCELED', 'EXPIRED', 'REFUSED'))
    <> (old.state IN ('FILLED', 'CANCELED', 'EXPIRED', 'REFUSED'))
BEGIN
    UPDATE meta SET value = value +
        CASE WHEN new.state IN ('FILLED', 'CANCELED', 'EXPIRED', 'REFUSED') THEN -1 ELSE 1 END
    WHERE key = 'live';
END;
"""  # noqa: S608 - of a constant
SCHEMA = f"BEGIN IMMEDIATE;{TABLES}COMMIT;"

# Of each file that detail was moved to: the records in it, and how many the journal lacks since
# (of each order one stays, its INTENT's, which is ARCHIVED now); SHA-256 of all that is in it.
ARCHIVES = """
CREATE TABLE IF NOT EXISTS archives (
    name TEXT PRIMARY KEY,
    ts INTEGER NOT NULL,
    orders INTEGER NOT NULL,
    records INTEGER NOT NULL,
    gone INTEGER NOT NULL,
    first_ts INTEGER NOT NULL,
    last_ts INTEGER NOT NULL,
    sha256 TEXT NOT NULL
) WITHOUT ROWID
"""


Record = tuple[int, int, str, str, bytes, int]  # seq, ts, kind, client order id, body, crc
RECORD = "SELECT seq, ts, kind, client_order_id, body, crc FROM records "


def is_whole(record: Record) -> bool:
    """Whether the record is what was written."""
    _, ts, kind, client_order_id, body, crc = record
    return isinstance(body, bytes) and record_crc(ts, kind, client_order_id, body) == crc


def record_crc(ts: int, kind: str, client_order_id: str, body: bytes) -> int:
    """CRC-32 of what a record says."""
    return zlib.crc32(body, zlib.crc32(f"{ts} {kind} {client_order_id} ".encode()))


def position_crc(strategy: str, instrument: str, quantity: str, cost: str) -> int:
    """CRC-32 of what a position says."""
    return zlib.crc32(f"{strategy} {instrument} {quantity} {cost}".encode())


def unknown_schema(schema: str | None) -> str:
    """What is wrong with a journal of this schema, and what to do, for a person."""
    if schema == str(OLD_VERSION):
        return (
            f"schema {OLD_VERSION}, an earlier version's: `fairlead journal upgrade CONFIG` makes "
            "it one of today, as does the next start of a live run; a copy stays beside it"
        )
    newest = COMPACTED_VERSION
    newer = schema is not None and schema.isdecimal() and int(schema[:9]) > newest
    who = "A newer" if newer else "Another"
    return (
        f"schema {schema}; expected at most {newest}. {who} version of fairlead wrote it: use that "
        "one, or move the journal away"
    )
