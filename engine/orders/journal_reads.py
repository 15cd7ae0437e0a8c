"""What the order journal tells: its queries, and the check that each value is what was written."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from fairlead.engine.errors import FairleadError
from fairlead.engine.orders.journal_archived import (
    ARCHIVED,
    ArchiveRow,
    Moved,
    archived_at,
    archived_records,
    archives_of,
)
from fairlead.engine.orders.journal_check import NEWEST_RECORDS, damaged_records
from fairlead.engine.orders.journal_schema import OPEN_ORDERS, OPEN_ORDERS_OF, Record, is_whole
from fairlead.engine.orders.model import Intent, OrderState, VenueFill

GIVEN_UP_RECORDS = NEWEST_RECORDS  # that a restart looks through for orders given up
CHANGED = (
    "Of a file that was taken away the run leaves a copy (.saved) at its end; one that was written "
    "over comes from a backup; docs/journal.md tells how"
)
HELD = (
    "Another process stands still in the middle of a write, a run that was stopped or hangs. The "
    "file is not damaged: end that process (kill -9 PID), or let it go on (kill -CONT PID), then "
    "again"
)
REPAIR = "Restore it from a copy, or move it away and start anew; docs/journal.md tells how"
WHOLE = "Nothing says that the file is damaged: leave it where it is"
FULL = f"{WHOLE}, free the disk, then again"
MANY = f"{WHOLE}, allow this process more open files (ulimit -n), then again"
CLOSED = f"{WHOLE}, let this user read and write it and its folder, then again"
AWAY = f"{WHOLE}, see to its disk and folder, then again"
MEMORY = f"{WHOLE}, free memory, then again"

FILES = 5  # that an open journal has, and one more
DAMAGE = (
    sqlite3.SQLITE_IOERR_SHORT_READ,
    sqlite3.SQLITE_IOERR_DATA,
    sqlite3.SQLITE_IOERR_CORRUPTFS,
)
_BY_ERRNO = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EMFILE: MANY,
    errno.ENFILE: MANY,
    errno.EACCES: CLOSED,
    errno.EPERM: CLOSED,
    errno.EROFS: CLOSED,
    errno.ENOMEM: MEMORY,
}
_BY_CODE = {
    sqlite3.SQLITE_BUSY: HELD,
    sqlite3.SQLITE_LOCKED: HELD,
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_PERM: CLOSED,
    sqlite3.SQLITE_READONLY: CLOSED,
    sqlite3.SQLITE_NOMEM: MEMORY,
    sqlite3.SQLITE_IOERR: AWAY,
    sqlite3.SQLITE_CANTOPEN: AWAY,
}


def repair_of(error: sqlite3.Error | OSError, path: Path, otherwise: str = REPAIR) -> str:
    """What to do about a journal that can't be opened, read or written, by the cause.

    `otherwise` for what only damage explains. SQLite does not tell why a file can't be opened: that
    is tried again at `path`.
    """
    if isinstance(error, OSError):
        return _BY_ERRNO.get(error.errno or 0, AWAY)
    code = getattr(error, "sqlite_errorcode", None) or 0
    if code in DAMAGE:
        return otherwise
    code &= 0xFF
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR):
        refused = _refused(path)
        if refused is not None:
            return f"{refused.strerror}. {repair_of(refused, path)}"
    return _BY_CODE.get(code, otherwise)


def _refused(path: Path) -> OSError | None:
    """Why its folder takes no file, or the file can't be opened to be written.

    Not the file itself while it is open: closing a second descriptor drops SQLite's locks.
    """
    with contextlib.ExitStack() as opened:
        try:
            for _ in range(FILES):
                opened.callback(os.close, os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
            with tempfile.TemporaryFile(dir=path.parent, buffering=0) as probe:
                probe.write(b"0")
        except OSError as error:
            return error
    return (
        None
        if os.access(path, os.R_OK | os.W_OK)
        else PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    )


class JournalError(FairleadError):
    """The journal can't be opened, read or written; nothing may be sent without it."""


class JournaledOrder(msgspec.Struct, kw_only=True):
    """One order as the journal knows it. `cost` is the sum of price x quantity filled."""

    intent: Intent
    state: OrderState
    venue_order_id: str | None
    filled: Decimal
    cost: Decimal
    cancel_requested: bool
    ts_sent: int


class Position(msgspec.Struct, frozen=True):
    """Net base quantity of one strategy in one instrument, fees in base deducted.

    `cost` is what the open quantity cost (signed, quote currency) at average price.
    """

    strategy: str
    instrument: str
    quantity: Decimal
    cost: Decimal

    @property
    def avg_price(self) -> Decimal | None:
        return self.cost / self.quantity if self.quantity else None


decode_intent = msgspec.json.Decoder(Intent).decode
_decode_fill = msgspec.json.Decoder(VenueFill).decode
_decode_moved = msgspec.json.Decoder(Moved).decode


class Refusal(msgspec.Struct):
    """What a journal has of why an order was refused: the outcome by its name (`Refused`, `Absent`)
    with what it tells, an order as its venue told it, or a person's word, with who gave it."""

    type: str = ""
    code: str = ""
    message: str = ""
    is_sent: bool = True
    evidence: str = ""
    reason: str | None = ""
    by: str = ""


_decode_reason = msgspec.json.Decoder(Refusal).decode


class JournalReads:
    """The reading half of a journal.

    What can't be read, or can't be what was written, is a JournalError.
    """

    path: Path
    _db: sqlite3.Connection

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Every read within it sees the same moment, whatever another process writes meanwhile."""
        self._rows("BEGIN")
        try:
            yield
        finally:
            if self._db.in_transaction:  # an error of the disk has ended it
                self._db.execute("ROLLBACK")

    def has_orders(self) -> bool:
        """Whether it ever held an order, or a position."""
        found = self._rows(
            "SELECT EXISTS (SELECT 1 FROM orders) OR EXISTS (SELECT 1 FROM positions)"
        )
        return bool(found[0][0])

    def open_orders(self, strategy: str | None = None) -> list[JournaledOrder]:
        """Every order that is not terminal, oldest first; or those of one strategy."""
        query = (OPEN_ORDERS,) if strategy is None else (OPEN_ORDERS_OF, (strategy,))
        return [journaled_order(row[:-1]) for row in self._rows(*query)]

    def order(self, client_order_id: str) -> JournaledOrder | None:
        rows = self._rows(
            "SELECT intent, state, venue_order_id, filled, cost, cancel_requested, ts_sent "
            "FROM orders WHERE client_order_id = ?",
            (client_order_id,),
        )
        return journaled_order(rows[0]) if rows else None

    def find(self, order_id: str) -> str | None:
        """The client order id of a client or venue order id, of one that was replaced too."""
        if self.order(order_id) is not None:
            return order_id
        rows = self._rows(
            "SELECT client_order_id FROM venue_ids WHERE venue_order_id = ? ORDER BY ts DESC",
            (order_id,),
        )
        return str(rows[0][0]) if rows else None

    def replacements(self, client_order_id: str) -> tuple[Intent | None, int, list[str]]:
        """The replacement without an outcome (None if there is none), its time, replaced ids."""
        pending, ts_sent, ids = None, 0, []
        with readable():
            for _, ts, kind, body in self.story(client_order_id):
                if kind == "REPLACE":
                    pending, ts_sent = decode_intent(body), ts
                elif kind in ("REPLACED", "REPLACE_REFUSED", "REPLACE_ABSENT"):
                    pending = None
                if kind in ("ACCEPTED", "REPLACED"):
                    ids.append(msgspec.json.decode(body)["venue_order_id"])
        return pending, ts_sent, ids[:-1]

    def given_up_since(self, ts_ns: int, most: int) -> list[tuple[JournaledOrder, int]]:
        """Orders refused since then because they were absent, with the time; oldest first."""
        rows = self._rows(
            "SELECT client_order_id, ts, body FROM records "
            "WHERE seq > (SELECT coalesce(max(seq), 0) FROM records) - ? "
            "AND kind = 'REFUSED' AND ts >= ? ORDER BY seq",
            (GIVEN_UP_RECORDS, ts_ns),
        )
        with readable():
            absent = [
                (name, ts) for name, ts, body in rows if _decode_reason(body).type == "Absent"
            ]
        found = []
        for client_order_id, ts in absent[-most:]:
            order = self.order(client_order_id)
            if order is not None and order.state is OrderState.REFUSED:
                found.append((order, ts))
        return found

    def refusal(self, client_order_id: str, state: OrderState = OrderState.REFUSED) -> Refusal:
        """Of an order that was refused, or ended in this `state`, the last time; empty where
        nothing is told of it."""
        rows = self._rows(
            "SELECT body FROM records WHERE client_order_id = ? AND kind = ? "
            "ORDER BY seq DESC LIMIT 1",
            (client_order_id, state.value),
        )
        with readable():
            # An end that was told in a word of our own has no refusal in it
            found = msgspec.json.decode(rows[0][0], type=Refusal | str | None) if rows else None
        return found if isinstance(found, Refusal) else Refusal()

    def over_since(self, ts_ns: int) -> list[JournaledOrder]:
        """Orders that the venue had and that ended since then."""
        rows = self._rows(
            "SELECT DISTINCT +client_order_id FROM records "  # else all that is there is walked
            "WHERE seq > (SELECT coalesce(max(seq), 0) FROM records) - ? "
            "AND kind IN ('FILLED', 'CANCELED', 'EXPIRED') AND ts >= ?",
            (GIVEN_UP_RECORDS, ts_ns),
        )
        orders = [self.order(client_order_id) for (client_order_id,) in rows]
        return [order for order in orders if order is not None and order.state.is_terminal]

    def order_by_venue_id(self, instrument: str, venue_order_id: str) -> str | None:
        """The client order id that a venue order id belongs to, the newest if it was reused."""
        rows = self._rows(
            "SELECT client_order_id FROM venue_ids WHERE instrument = ? AND venue_order_id = ?",
            (instrument, venue_order_id),
        )
        return str(rows[0][0]) if rows else None

    def is_displaced(self, order: JournaledOrder) -> bool:
        """Whether the venue has given the order's id to another one since."""
        if order.venue_order_id is None:
            return False
        owner = self.order_by_venue_id(order.intent.instrument, order.venue_order_id)
        return owner is not None and owner != order.intent.client_order_id

    def known_venue_ids(self, instrument: str, since_ns: int) -> frozenset[str]:
        """Venue order ids that became an order's since then; never the answer to a lost submit."""
        rows = self._rows(
            "SELECT venue_order_id FROM venue_ids WHERE instrument = ? AND ts >= ?",
            (instrument, since_ns),
        )
        return frozenset(str(row[0]) for row in rows)

    def venue_ids_before(
        self, client_order_id: str, instrument: str, since_ns: int
    ) -> frozenset[str]:
        """Of `known_venue_ids`, those that were told before the order was last intended."""
        seq = self.intended_at(client_order_id)
        rows = self._rows(
            "SELECT v.venue_order_id FROM venue_ids v WHERE v.instrument = ? AND v.ts >= ? AND "
            "EXISTS (SELECT 1 FROM records r WHERE r.client_order_id = v.client_order_id AND "
            "r.kind = 'ACCEPTED' AND r.seq < ? AND "
            "json_extract(CAST(r.body AS TEXT), '$.venue_order_id') = v.venue_order_id)",
            (instrument, since_ns, 0 if seq is None else seq),
        )
        return frozenset(str(row[0]) for row in rows)

    def fills_of(self, client_order_id: str) -> list[VenueFill]:
        """Every execution of the order, oldest first."""
        with readable():
            fills = [
                _decode_fill(body)
                for _, _, kind, body in self.story(client_order_id)
                if kind == "FILL"
            ]
        return sorted(fills, key=lambda fill: (fill.ts_event, fill.trade_id))

    def execution(self, client_order_id: str, instrument: str, trade_id: str) -> VenueFill | None:
        """One of the order's, by its id as NautilusTrader has it, which has no long ones."""
        from fairlead.engine.identifiers import trade_id as told  # a kill begins without it

        rows = self._rows(
            "SELECT body FROM fills WHERE instrument = ? AND trade_id = ? AND client_order_id = ?",
            (instrument, trade_id, client_order_id),
        )
        if rows:
            with readable():
                return _decode_fill(rows[0][0])
        fills = self.fills_of(client_order_id)
        return next((one for one in fills if str(told(one.trade_id)) == trade_id), None)

    def newest_fills(self, most: int) -> list[tuple[str, str, VenueFill]]:
        """The last executions, oldest first, each with its order's client id and strategy."""
        rows = self._rows(
            "SELECT client_order_id, strategy, body FROM fills ORDER BY ts DESC, trade_id LIMIT ?",
            (most,),
        )
        with readable():
            return [(name, strategy, _decode_fill(body)) for name, strategy, body in rows[::-1]]

    def fill_count(self) -> int:
        """Executions in all."""
        return int(self._rows("SELECT count(*) FROM fills")[0][0])

    def positions(self) -> list[Position]:
        rows = self._rows("SELECT strategy, instrument, quantity, cost FROM positions")
        with readable():
            return [Position(s, i, _number(q), _number(c)) for s, i, q, c in rows]

    def story(self, client_order_id: str) -> list[tuple[int, int, str, bytes]]:
        """Every record of one order: (seq, ts ns, kind, JSON body), oldest first.

        What was moved to an archive is read there; where that is gone, ARCHIVED stands for it.
        """
        rows: list[tuple[int, int, str, bytes]] = self._rows(
            "SELECT seq, ts, kind, body FROM records WHERE client_order_id = ? ORDER BY seq",
            (client_order_id,),
        )
        moved = self._moved(rows, client_order_id)
        if moved:
            rows = [row for row in rows if row[2] != ARCHIVED]
            rows = sorted([*rows, *(record[:3] + record[4:5] for record in moved)])
        return rows

    def _moved(
        self, rows: Iterable[tuple[int, int, str, bytes]], client_order_id: str
    ) -> list[Record]:
        """Its records in an archive; none where it has none there, or the file is gone."""
        bodies = [body for _, _, kind, body in rows if kind == ARCHIVED]
        if not bodies:
            return []
        with readable():
            where = self.path.with_name(Path(_decode_moved(bodies[0]).archive).name)
        with self._reads_archives():
            return archived_records(where, client_order_id)

    @contextmanager
    def _reads_archives(self) -> Iterator[None]:
        """One that can't be read becomes a JournalError."""
        try:
            yield
        except sqlite3.Error as error:
            raise JournalError(
                "JRN-CORRUPT", f"an archive of {self.path} can't be read: {error}. {REPAIR}"
            ) from error

    def ended_at(self, client_order_id: str) -> int:
        """When the newest record of an order that the journal still has was written, ns."""
        rows = self._rows(
            "SELECT ts FROM records WHERE client_order_id = ? ORDER BY seq DESC LIMIT 1",
            (client_order_id,),
        )
        return int(rows[0][0])

    def newest_record(self) -> tuple[int, bytes] | None:
        """Its seq and its content, as `record_at` gives it; None of a journal without a record."""
        newest = self._rows("SELECT max(seq) FROM records")[0][0]
        return None if newest is None else self.record_at(newest)

    def record_at(self, seq: int) -> tuple[int, bytes] | None:
        """What tells one journal's record from another's: seq and the content that was written."""
        rows = self._rows(
            "SELECT ts, kind, client_order_id, body FROM records WHERE seq = ?", (seq,)
        )
        if not rows or rows[0][1] == ARCHIVED:
            folder = self.path.parent
            with self._reads_archives():
                moved = (archived_at(folder / one.name, seq) for one in self.archives())
                rows = next((found for found in moved if found), rows)
        return None if not rows else (seq, repr(rows[0]).encode())

    def last_note[T](self, subject: str, kind: type[T]) -> tuple[int, T] | None:
        """The newest record of this subject: (seq, body)."""
        rows = self._rows(
            "SELECT seq, body FROM records WHERE client_order_id = ? ORDER BY seq DESC LIMIT 1",
            (subject,),
        )
        with readable():
            return (rows[0][0], msgspec.json.decode(rows[0][1], type=kind)) if rows else None

    def intended_at(self, client_order_id: str) -> int | None:
        """The number (seq) of the record that an order was last written down with to be sent."""
        rows = self._rows(
            "SELECT MAX(seq) FROM records WHERE client_order_id = ? "
            "AND kind IN ('INTENT', 'RELEASE', 'ARCHIVED')",
            (client_order_id,),
        )
        return None if rows[0][0] is None else int(rows[0][0])

    def note_before[T](self, subject: str, seq: int, kind: type[T]) -> tuple[int, T] | None:
        """The newest record of this subject that is older than `seq`: (seq, body)."""
        rows = self._rows(
            "SELECT seq, body FROM records WHERE client_order_id = ? AND seq < ? "
            "ORDER BY seq DESC LIMIT 1",
            (subject, seq),
        )
        with readable():
            return (rows[0][0], msgspec.json.decode(rows[0][1], type=kind)) if rows else None

    def notes_from[T](self, subject: str, seq: int, most: int, kind: type[T]) -> list[T]:
        """Records of this subject from `seq` on, oldest first."""
        rows = self._rows(
            "SELECT body FROM records WHERE client_order_id = ? AND seq >= ? ORDER BY seq LIMIT ?",
            (subject, seq, most),
        )
        with readable():
            return [msgspec.json.decode(body, type=kind) for (body,) in rows]

    def fills_since(self, seq: int, *, until: int | None = None) -> tuple[int, list[VenueFill]]:
        """The newest record's seq, or `until`, and the executions recorded after `seq` up to it,
        oldest first."""
        newest = until
        if newest is None:
            newest = self._rows("SELECT max(seq) FROM records")[0][0] or 0
        rows = self._rows(
            "SELECT body FROM records WHERE seq > ? AND seq <= ? AND kind = 'FILL' ORDER BY seq",
            (seq, newest),
        )
        with readable():
            return newest, [_decode_fill(body) for (body,) in rows]

    def newest(self) -> int:
        """The newest record's seq; 0 without one."""
        return int(self._rows("SELECT coalesce(max(seq), 0) FROM records")[0][0])

    def booked_since(self, seq: int) -> tuple[set[str], list[tuple[str, VenueFill]]]:
        """What was recorded after `seq`: ids of the orders intended; executions by order id."""
        rows = self._rows(
            "SELECT client_order_id, kind, body FROM records "
            "WHERE seq > ? AND kind IN ('INTENT', 'ARCHIVED', 'FILL') ORDER BY seq",
            (seq,),
        )
        with readable():
            fills = [(name, _decode_fill(body)) for name, kind, body in rows if kind == "FILL"]
        return {name for name, kind, _ in rows if kind != "FILL"}, fills

    def intended_since(self, seq: int, strategy: str) -> list[str]:
        """Ids of a strategy's orders that were intended after `seq`, oldest first."""
        rows = self._rows(
            "SELECT client_order_id FROM records JOIN orders USING (client_order_id) "
            "WHERE seq > ? AND kind = 'INTENT' AND strategy = ? ORDER BY seq",
            (seq, strategy),
        )
        return [str(name) for (name,) in rows]

    def among_fills_since(self, seq: int, kind: str) -> list[tuple[int, int, str, bytes]]:
        """What of a kind was recorded after `seq`: (executions after `seq` and before it, ts ns,
        what it is of, JSON body), oldest first."""
        found, fills = [], 0
        for ts, one, name, body in self._rows(
            "SELECT ts, kind, client_order_id, body FROM records "
            "WHERE seq > ? AND kind IN ('FILL', ?) ORDER BY seq",
            (seq, kind),
        ):
            if one == kind:
                found.append((fills, int(ts), str(name), body))
            else:
                fills += 1
        return found

    def cancels_taken_since(self, seq: int) -> dict[str, int]:
        """When the venue first answered that it takes an order's cancel, UNIX ns, by order id, of
        what was recorded after `seq`."""
        rows = self._rows(
            "SELECT client_order_id, min(ts) FROM records "
            "WHERE seq > ? AND kind = 'CANCEL_CANCELACCEPTED' GROUP BY +client_order_id",
            (seq,),
        )
        return {str(name): int(ts) for name, ts in rows}

    def archives(self) -> list[ArchiveRow]:
        """What was moved away, oldest first."""
        return archives_of(self._db)

    def counts(self) -> dict[str, Any]:
        """Schema, records, orders, those that are open, executions, first and last time (ns)."""
        (schema,) = self._rows("SELECT value FROM meta WHERE key = 'schema'")[0]
        records, first, last = self._rows("SELECT count(*), min(ts), max(ts) FROM records")[0]
        return {
            "schema": int(schema),
            "records": records,
            "first_ts": first,
            "last_ts": last,
            "orders": self._rows("SELECT count(*) FROM orders")[0][0],
            "open_orders": len(self._rows(OPEN_ORDERS)),
            "executions": self._rows("SELECT count(*) FROM fills")[0][0],
        }

    def damaged(self, client_order_id: str) -> frozenset[int]:
        """Those of its records (seq) that are not what was written."""
        rows = self._rows(
            "SELECT seq, ts, kind, body FROM records WHERE client_order_id = ?", (client_order_id,)
        )
        moved = self._moved(rows, client_order_id)
        found = damaged_records(self._db, client_order_id)
        return found | {record[0] for record in moved if not is_whole(record)}

    def _rows(self, sql: str, parameters: tuple[object, ...] = ()) -> list[Any]:
        try:
            return self._db.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise self._unread(error) from error

    def _unread(self, error: sqlite3.Error) -> JournalError:
        repair = repair_of(error, self.path)
        return JournalError(
            "JRN-CORRUPT" if repair is REPAIR else "JRN-READ",
            f"the order journal {self.path} can't be read: {error}. {repair}",
        )


def journaled_order(row: tuple[bytes, str, str | None, str, str, int, int]) -> JournaledOrder:
    intent, state, venue_order_id, filled, cost, cancel_requested, ts_sent = row
    with readable():
        return JournaledOrder(
            intent=decode_intent(intent),
            state=OrderState(state),
            venue_order_id=venue_order_id,
            filled=_number(filled),
            cost=_number(cost),
            cancel_requested=bool(cancel_requested),
            ts_sent=ts_sent,
        )


def _number(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(f"expected a finite number, received {text[:40]}")
    return number


_UNREADABLE = (
    msgspec.MsgspecError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    RecursionError,
)


@contextmanager
def readable() -> Iterator[None]:
    """A stored value that can't be what was written becomes a JournalError."""
    try:
        yield
    except _UNREADABLE as error:
        raise JournalError(
            "JRN-CORRUPT",
            f"the order journal holds a value that it never wrote: {str(error)[:200]}. No order "
            f"is sent without it. {REPAIR}",
        ) from error
