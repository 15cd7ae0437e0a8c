"""Does a journal still hold what was written to it?

Each start checks what it reads: the newest records, the positions, and every open order, whose row
and executions must be what its own records add up to. What has ended long ago is not read then; a
look at the whole file comes at the first start after the machine was started, and all of it, each
checksum too, is checked on demand. Problems are told as text, the first words say where.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import groupby
from pathlib import Path

import msgspec

from fairlead.engine.orders.journal_archived import (
    ARCHIVED,
    ArchiveRow,
    Moved,
    archive_records,
    archives_of,
    crc_of,
    digest_of,
)
from fairlead.engine.orders.journal_schema import (
    OPEN_ORDERS,
    RECORD,
    Record,
    is_whole,
    position_crc,
)
from fairlead.engine.orders.model import OrderState

NEWEST_RECORDS = 20_000
PROBLEMS_MAX = 20
_AHEAD_BYTES = 8 << 20  # a smaller file is read in a moment, in any order
_STATES = frozenset(state.value for state in OrderState)
_ROW = OPEN_ORDERS.partition(" WHERE ")[0]
_IMPOSSIBLE = (
    msgspec.MsgspecError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)

OrderRow = tuple[bytes, str, str | None, str, str, int, int, str]


class _Damage(Exception):
    """Something is not what was written."""


class _VenueId(msgspec.Struct):
    venue_order_id: str


class _Fill(msgspec.Struct):
    instrument: str
    trade_id: str
    quantity: Decimal
    price: Decimal


_venue_id = msgspec.json.Decoder(_VenueId).decode
_fill = msgspec.json.Decoder(_Fill).decode
_moved = msgspec.json.Decoder(Moved).decode


class _Told:
    """What the records of one order add up to; WAITING counts as OPEN, the records don't tell."""

    def __init__(self) -> None:
        self.intent: bytes = b""
        self.moved: Moved | None = None  # what stands for records that are in an archive
        self.state = ""
        self.venue_order_id: str | None = None
        self.cancel_requested = 0
        self.ts_sent = 0
        self.fills: list[bytes] = []
        self._replacing: bytes = b""

    def add(self, ts: int, kind: str, body: bytes) -> None:
        if kind in _STATES:
            self.state = _plain(kind)
        elif kind == ARCHIVED:
            self._archived(_moved(body))
        elif kind == "INTENT":
            self.intent, self.state, self.ts_sent = body, "INTENDED", ts
        elif kind in ("RELEASE", "ARMED", "CHANGED"):
            self._held(ts, kind, body)
        elif kind == "ACCEPTED":
            self.venue_order_id = _venue_id(body).venue_order_id
            if self.state in ("INTENDED", "UNKNOWN"):
                self.state = "OPEN"
        elif kind == "FILL":
            self.fills.append(body)
        elif kind == "CANCEL":
            self.cancel_requested = 1
        elif kind == "REPLACE":
            self._replacing = body
        elif kind in ("REPLACED", "LATE", "RENAMED"):
            self._renumbered(kind, body)

    def _archived(self, moved: Moved) -> None:
        self.moved = moved
        self.state, self.ts_sent = _plain(moved.state), moved.ts_sent
        self.venue_order_id = moved.venue_order_id
        self.cancel_requested = int(moved.cancel_requested)

    def is_intent(self, intent: bytes) -> bool:
        """Whether the order is as told; of what is archived by its checksum."""
        if self.intent or self.moved is None:
            return intent == self.intent
        return crc_of(intent) == self.moved.intent_crc

    def _held(self, ts: int, kind: str, body: bytes) -> None:
        """Of an order that the engine holds, or held."""
        self.intent = body
        if kind == "RELEASE":
            self.state, self.ts_sent = "INTENDED", ts
        elif kind == "ARMED":
            self.state, self.venue_order_id = "HELD", None

    def _renumbered(self, kind: str, body: bytes) -> None:
        self.venue_order_id = _venue_id(body).venue_order_id
        if kind == "REPLACED":
            self.intent = self._replacing
        if kind == "LATE":
            self.cancel_requested = 1
        if kind != "RENAMED":
            self.state = "OPEN"

    def as_moved(self, archive: str) -> Moved:
        """What is to stand in the journal for these records, once they are in that archive."""
        return Moved(
            archive=archive,
            state=self.state,
            venue_order_id=self.venue_order_id,
            cancel_requested=bool(self.cancel_requested),
            ts_sent=self.ts_sent,
            intent_crc=crc_of(self.intent),
        )

    def amounts(self) -> tuple[Decimal, Decimal]:
        filled = cost = Decimal(0)
        for body in self.fills:
            one = _fill(body)
            filled += one.quantity
            cost += one.quantity * one.price
        return filled, cost


def structure_problem(db: sqlite3.Connection) -> str | None:
    """Look at every page of the file, as SQLite sees them."""
    found = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
    return None if found == "ok" else f"quick_check says: {found}"


def start_problem(db: sqlite3.Connection) -> str | None:
    """What is wrong with what a start reads: open orders, newest records, positions.

    Raises sqlite3.Error when a page can't be read.
    """
    try:
        _check_newest(db)
        _check_positions(db)
        rows: list[OrderRow] = db.execute(OPEN_ORDERS).fetchall()
        _check_live(db, len(rows))
        for row in rows:
            records = db.execute(RECORD + "WHERE client_order_id = ? ORDER BY seq", (row[-1],))
            _check_order(db, row, records)
    except _Damage as damage:
        return str(damage)
    except _IMPOSSIBLE as error:
        return f"a value that was never written: {str(error)[:200]}"
    return None


def all_problems(db: sqlite3.Connection, path: Path) -> list[str]:
    """Everything that is wrong with the journal and its archives, at most PROBLEMS_MAX findings."""
    problems: list[str] = []
    try:
        _read_ahead(path)
        for problem in _all(db, path.parent):
            problems.append(problem)
            if len(problems) == PROBLEMS_MAX:
                break
    except sqlite3.Error as error:
        problems.append(str(error))
    return problems


def moved_of(records: Iterable[Record], archive: str) -> Moved:
    """What stands for an ended order's records. Raises what a value raises that is damaged."""
    told = _Told()
    for record in records:
        told.add(record[1], record[2], record[4])
    return told.as_moved(archive)


def damaged_records(db: sqlite3.Connection, client_order_id: str) -> frozenset[int]:
    """The records (seq) of one order whose checksum is wrong."""
    records = db.execute(RECORD + "WHERE client_order_id = ?", (client_order_id,))
    return frozenset(record[0] for record in records if not is_whole(record))


def _all(db: sqlite3.Connection, folder: Path) -> Iterator[str]:
    for (found,) in db.execute(f"PRAGMA integrity_check({PROBLEMS_MAX})"):
        if found != "ok":
            yield f"integrity_check says: {found}"
    count, newest = db.execute("SELECT count(*), coalesce(max(seq), 0) FROM records").fetchone()
    archives = archives_of(db)
    count += sum(one.gone for one in archives)
    if count != newest:
        yield f"records: {newest - count} are missing"
    for archive in archives:
        yield from _told(_check_archive, db, folder, archive)
    live = len(db.execute(OPEN_ORDERS).fetchall())
    yield from _told(_check_live, db, live)
    yield from _told(_check_positions, db)
    orders = 0
    every = db.execute(RECORD + "ORDER BY client_order_id, seq")
    for name, records in groupby(every, key=lambda record: record[3]):
        row = db.execute(_ROW + " WHERE client_order_id = ?", (name,)).fetchone()
        orders += row is not None
        yield from _told(_check_order, db, row, records)
    booked = db.execute("SELECT count(*) FROM fills").fetchone()[0]
    told = db.execute("SELECT count(*) FROM records WHERE kind = 'FILL'").fetchone()[0]
    if booked != told:
        yield f"fills: {told} were written, {booked} are found"
    known = db.execute("SELECT count(*) FROM orders").fetchone()[0]
    if known != orders:
        yield f"orders: {known - orders} have no record"


def _check_archive(db: sqlite3.Connection, folder: Path, archive: ArchiveRow) -> None:
    """It is there, as it was written, and of each of its orders tells what the journal says."""
    path = folder / archive.name
    if not path.exists():
        raise _Damage(
            f"archive {archive.name}: it is not in {folder}; the stories of {archive.orders} ended "
            "orders are in it (positions and executions are not): put it back"
        )
    try:
        with archive_records(path) as records:
            if digest_of(records()) != (archive.records, archive.sha256):
                raise _Damage(f"archive {archive.name}: it is not what was written")
            for name, told in groupby(records(by_order=True), key=lambda record: record[3]):
                _check_same_end(db, name, told)
    except sqlite3.Error as error:
        raise _Damage(f"archive {archive.name}: {error}") from error


def _check_same_end(db: sqlite3.Connection, name: str, records: Iterable[Record]) -> None:
    """What stands in the journal for archived records is what they add up to.

    Raises _Damage, and what a value raises that was never written.
    """
    told = _Told()
    for record in records:
        _check_record(record)
        told.add(record[1], record[2], record[4])
    row = db.execute(
        "SELECT body FROM records WHERE client_order_id = ? AND kind = ?", (name, ARCHIVED)
    ).fetchone()
    kept = None if row is None else _moved(row[0])
    if kept is None or kept != told.as_moved(kept.archive):
        raise _Damage(f"order {name}: what is archived of it is not what the journal says")


def _told(check: Callable[..., None], *arguments: object) -> Iterator[str]:
    try:
        check(*arguments)
    except _Damage as damage:
        yield str(damage)
    except _IMPOSSIBLE as error:
        yield f"a value that was never written: {str(error)[:200]}"


def _check_newest(db: sqlite3.Connection) -> None:
    newest = db.execute("SELECT coalesce(max(seq), 0) FROM records").fetchone()[0]
    expected = max(0, newest - NEWEST_RECORDS)
    for record in db.execute(RECORD + "WHERE seq > ? ORDER BY seq", (expected,)):
        expected += 1
        if record[0] != expected:
            raise _Damage(f"record #{expected} is missing")
        _check_record(record)


def _check_positions(db: sqlite3.Connection) -> None:
    rows = db.execute("SELECT strategy, instrument, quantity, cost, crc FROM positions")
    for strategy, instrument, quantity, cost, crc in rows:
        if position_crc(strategy, instrument, quantity, cost) != crc:
            raise _Damage(f"position of {strategy} in {instrument}: its checksum is wrong")


def _check_live(db: sqlite3.Connection, found: int) -> None:
    expected = db.execute("SELECT value FROM meta WHERE key = 'live'").fetchone()
    if expected is None or expected[0] != str(found):
        raise _Damage(f"open orders: {expected and expected[0]} were written, {found} are found")


def _check_record(record: Record) -> None:
    if not is_whole(record):
        seq, _, kind, name, *_ = record
        raise _Damage(f"record #{seq} ({kind} of {name}): its checksum is wrong")


def _check_order(db: sqlite3.Connection, row: OrderRow | None, records: Iterable[Record]) -> None:
    """The row must be what the records add up to, and so must the executions."""
    told = _Told()
    name = ""
    for record in records:
        _check_record(record)
        name = record[3]
        told.add(record[1], record[2], record[4])
    if row is None:
        if told.intent or told.moved is not None:
            raise _Damage(f"order {name}: it was intended, and its row is missing")
        return
    intent, state, venue_order_id, filled, cost, cancel_requested, ts_sent, name = row
    facts = (
        ("intent", told.is_intent(intent), True),
        ("state", _plain(state), told.state),
        ("venue_order_id", venue_order_id, told.venue_order_id),
        ("filled and cost", (Decimal(filled), Decimal(cost)), told.amounts()),
        ("cancel_requested", cancel_requested, told.cancel_requested),
        ("ts_sent", ts_sent, told.ts_sent),
        ("fills", _fills(db, told.fills), told.fills),
    )
    for fact, held, expected in facts:
        if held != expected:
            raise _Damage(f"order {name}: its {fact} is not what its records tell")


def _fills(db: sqlite3.Connection, told: Iterable[bytes]) -> list[bytes]:
    """The executions as they are kept against booking one twice."""
    found = []
    for body in told:
        one = _fill(body)
        row = db.execute(
            "SELECT body FROM fills WHERE instrument = ? AND trade_id = ?",
            (one.instrument, one.trade_id),
        ).fetchone()
        found.append(b"" if row is None else row[0])
    return found


def _plain(state: str) -> str:
    return "OPEN" if state == "WAITING" else state


def _read_ahead(path: Path) -> None:
    """Bring a large file into memory front to back: page by page a cold disk takes much longer.

    By a process of its own: a descriptor that this one closes ends all its SQLite locks on the
    file, and a reader without them is left with a log that the writer has removed.
    """
    if path.stat().st_size >= _AHEAD_BYTES and (tool := shutil.which("cat")) is not None:
        reading = [tool, "--", str(path)]
        subprocess.run(reading, stdout=subprocess.DEVNULL, check=False)  # noqa: S603 - for speed
