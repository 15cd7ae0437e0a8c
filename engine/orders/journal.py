"""The order journal: what was intended and what is known, durable before anything is sent.

One SQLite file per account, in WAL mode. `records` is the append-only story of every order;
`orders`, `fills` and `positions` are what that story adds up to, updated in the same transaction,
so that a restart reads only what is still open, and checks it against its records. A record is
durable when the method that writes it returns (`journal_fsync = "always"`), or when the operating
system writes it (`"never"`).
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from decimal import Decimal
from itertools import count
from pathlib import Path
from urllib.parse import quote

import msgspec

from fairlead.engine.files import make_folder, make_private
from fairlead.engine.orders.journal_check import all_problems, start_problem, structure_problem
from fairlead.engine.orders.journal_file import JournalFile, is_closed, is_empty, make_journal
from fairlead.engine.orders.journal_held import HeldRecords
from fairlead.engine.orders.journal_reads import (
    CHANGED,
    REPAIR,
    JournaledOrder,
    JournalError,
    Position,
    repair_of,
)
from fairlead.engine.orders.journal_schema import (
    KNOWN_VERSIONS,
    SCHEMA,
    position_crc,
    record_crc,
    unknown_schema,
)
from fairlead.engine.orders.model import Finding, Intent, OrderState, Side, VenueFill, VenueOrder
from fairlead.engine.processes import boot_id

__all__ = ["Journal", "JournalError", "JournaledOrder", "Position", "move_position"]

BUSY_TIMEOUT_MS = 2_000
CHECKPOINT_EVERY = 200  # transactions; SQLite's own would write the file behind the look at it
CACHE_KIB = 16_384  # of pages: the ids of a large journal are looked up all over it
EMPTY = (
    "it is empty (0 bytes), which a journal never is: it was cut. Where this account has never had "
    "an order, remove the file and start again"
)

logger = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class Journal(HeldRecords):
    """The only writer of one account's journal file. Not thread-safe; use from the event loop."""

    took: Callable[[int], None] | None = None  # told how long each transaction took, ns
    is_inverse: Callable[[str], bool] | None = None  # whether an instrument is; none is, without

    def __init__(self, path: Path, *, fsync: bool, now_ns: Callable[[], int]) -> None:
        self.path = path
        self._now_ns = now_ns
        self._written = 0
        try:
            make_folder(path.parent)
            make_journal(path)
            if is_empty(path):
                raise _not_opened(path, EMPTY)
            self._file: JournalFile | None = JournalFile(path)
        except OSError as error:
            why = error.strerror or str(error)
            raise _not_opened(path, why, repair_of(error, path)) from error
        except sqlite3.Error as error:
            raise _not_opened(path, str(error), repair_of(error, path)) from error
        db = None
        try:
            self._db = db = sqlite3.connect(path, isolation_level=None)
            self._open(fsync=fsync)
            self._file.settle(self._db)
        except (sqlite3.Error, JournalError) as error:
            if db is not None:
                db.close()
            self._file.close()
            if isinstance(error, JournalError):
                raise
            raise _not_opened(path, str(error), repair_of(error, path)) from error

    def _open(self, *, fsync: bool) -> None:
        """Raises sqlite3.Error, JournalError."""
        self._db.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(f"PRAGMA synchronous={'FULL' if fsync else 'OFF'}")
        self._db.execute("PRAGMA wal_autocheckpoint=0")
        self._db.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        self._db.execute("PRAGMA temp_store=MEMORY")  # else a trigger writes a file
        is_new = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        boot = boot_id()
        if not is_new:
            self._check(boot)
        self._db.executescript(SCHEMA)
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('boot', ?)", (boot,))

    @classmethod
    def reading(cls, path: Path, *, at_rest: bool = False) -> Journal:
        """A journal that another process may hold and write: through this one nothing is written.

        One `at_rest` is held by nobody: SQLite then leaves no file beside it. Raises JournalError.
        """
        journal = cls.__new__(cls)
        journal.path = path
        journal._now_ns = lambda: 0
        journal._file = None
        if is_empty(path):
            raise JournalError("JRN-READ", f"{path} can't be read: {EMPTY}. {REPAIR}")
        try:
            try:
                journal._read(path, alone=False if at_rest and is_closed(path) else None)
            except sqlite3.OperationalError:
                # Reading needs a small file beside it, which a full disk does not take. Without: as
                # the file is, where all is in it; else alone, which a run that lives refuses.
                journal._read(path, alone=not is_closed(path))
        except sqlite3.Error as error:
            raise JournalError(
                "JRN-READ", f"{path} can't be read: {error}. {repair_of(error, path)}"
            ) from error
        return journal

    def _read(self, path: Path, *, alone: bool | None) -> None:
        """`alone` needs no file beside it: True for a journal with a log, False for one without.

        Raises sqlite3.Error, JournalError for another schema.
        """
        name = quote(str(path.absolute()))
        options = {None: "mode=ro", True: "mode=rw", False: "mode=ro&immutable=1"}[alone]
        self._db = sqlite3.connect(f"file:{name}?{options}", uri=True, isolation_level=None)
        try:
            self._db.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
            if alone:
                self._db.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE)
                self._db.execute("PRAGMA query_only=1")
                self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._check_schema()
        except (sqlite3.Error, JournalError):
            self._db.close()
            raise

    def _check(self, boot: str) -> None:
        """Raises sqlite3.DatabaseError for damage, JournalError for another schema."""
        self._check_schema()
        with self.one_moment():
            problem = None
            if not boot or self._meta("boot") != boot:  # pages may not have reached the disk
                assert self._file is not None, "only a writer checks at its start"
                self._file.read_ahead()
                problem = structure_problem(self._db)
            problem = problem or start_problem(self._db)
        if problem is not None:
            raise sqlite3.DatabaseError(problem)

    def _check_schema(self) -> None:
        schema = self._meta("schema")
        if schema not in KNOWN_VERSIONS:
            why = unknown_schema(schema)
            raise JournalError("JRN-SCHEMA", f"the order journal {self.path} has {why}")

    def _meta(self, key: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def problems(self) -> list[str]:
        """Look at all of the file, each page and each checksum; it can take a while."""
        with self.one_moment():
            return all_problems(self._db, self.path)

    def close(self) -> None:
        """Close the file; one that was taken away is saved under another name first."""
        if self._file is not None and self.file_problem() is not None and self._file.is_intact:
            self._save()
        self._db.close()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _save(self) -> None:
        saved = self.path.with_name(f"{self.path.name}.saved-{self._now_ns()}")
        try:
            self._copy(saved)
        except (OSError, sqlite3.Error) as error:
            logger.error("the journal that was taken away can't be saved: %s: %s", saved, error)
            return
        logger.critical(
            "the journal that was taken away is saved as %s: put it back as %s (and no -wal or "
            "-shm of that name beside it), then start again",
            saved,
            self.path,
        )

    def copy_to(self, path: Path) -> None:
        """All that it holds now, in another file. Raises JournalError `JRN-WRITE`."""
        try:
            self._copy(path)
        except (OSError, sqlite3.Error) as error:
            path.unlink(missing_ok=True)
            raise JournalError(
                "JRN-WRITE", f"the journal can't be copied to {path}: {error}. Nothing was changed"
            ) from error

    def _copy(self, path: Path) -> None:
        """Raises OSError, sqlite3.Error."""
        make_private(path)
        with closing(sqlite3.connect(path)) as copy:
            self._db.backup(copy)

    # -- the file itself -----------------------------------------------------------------------

    def file_problem(self) -> str | None:
        """What became of the file since it was opened; None while it is the same and whole."""
        if self._file is None:
            return None
        try:
            return self._file.problem(self._db, self._is_whole)
        except sqlite3.Error as error:
            return f"can't be read: {error}"

    def require_file(self) -> None:
        """Raises JournalError `JRN-CHANGED` when the file is not the one that was opened."""
        problem = self.file_problem()
        if problem is not None:
            raise JournalError(
                "JRN-CHANGED",
                f"the order journal {self.path} {problem} while this run was up. Nothing new is "
                "sent; cancels are. Don't start again before the journal is back: what was sent "
                f"would not be known. {CHANGED}",
            )

    def _is_whole(self) -> bool:
        """Read by a connection that has nothing in its memory."""
        try:
            with closing(Journal.reading(self.path)) as fresh:
                newest = "SELECT coalesce(max(seq), 0) FROM records"
                return start_problem(fresh._db) is None and fresh._rows(newest) == self._rows(
                    newest
                )
        except (JournalError, sqlite3.Error):
            return False

    def committed(self) -> None:
        """A transaction is through: now and then bring what it wrote into the file."""
        self._written += 1
        if self._file is None or self._written % CHECKPOINT_EVERY:
            return
        try:
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._file.settle(self._db)
        except sqlite3.Error as error:
            logger.warning("the journal's -wal grows: %s", error)

    # -- writing -------------------------------------------------------------------------------

    def intend(self, intents: Sequence[Intent]) -> int:
        """Record orders that are about to be sent; gives the time written. Durable on return."""
        now = self._now_ns()
        with self._transaction():
            self._add_intents(intents, now)
        self.require_file()  # what was written is where the next start looks for it
        return now

    def accepted(
        self,
        client_order_id: str,
        venue_order_id: str,
        *,
        instrument: str,
        state: OrderState = OrderState.OPEN,
    ) -> str | None:
        """The venue has the order; `state` is WAITING for a stop, until more is told.

        Gives the order that had the venue's id before: a venue that starts empty may count anew.
        """
        with self._transaction():
            now = self._event("ACCEPTED", client_order_id, {"venue_order_id": venue_order_id})
            self._db.execute(
                "UPDATE orders SET state = CASE WHEN state IN ('INTENDED', 'UNKNOWN') "
                "THEN ? ELSE state END, venue_order_id = ? WHERE client_order_id = ?",
                (state.value, venue_order_id, client_order_id),
            )
            return self._link(instrument, venue_order_id, now, client_order_id)

    def state(self, client_order_id: str, state: OrderState, detail: object = None) -> None:
        """Record a new state, with what proves it."""
        with self._transaction():
            self._set_state(client_order_id, state, detail)

    def revived(self, intent: Intent, state: VenueOrder, as_state: OrderState) -> str | None:
        """An order that was refused as absent is at the venue after all; gives as `accepted`."""
        with self._transaction():
            now = self._event("LATE", intent.client_order_id, state)
            self._db.execute(
                "UPDATE orders SET state = ?, venue_order_id = ?, cancel_requested = 1 "
                "WHERE client_order_id = ?",
                (as_state.value, state.venue_order_id, intent.client_order_id),
            )
            return self._link(intent.instrument, state.venue_order_id, now, intent.client_order_id)

    def replacing(self, client_order_id: str, intent: Intent) -> None:
        """Record that the order is about to be replaced; durable before the send."""
        self.note("REPLACE", client_order_id, intent)
        self.require_file()

    def replaced(
        self,
        client_order_id: str,
        intent: Intent,
        venue_order_id: str,
        state: OrderState = OrderState.OPEN,
    ) -> str | None:
        """A new order, in `state`, has taken over; gives as `accepted`."""
        with self._transaction():
            now = self._event("REPLACED", client_order_id, {"venue_order_id": venue_order_id})
            self._db.execute(
                "UPDATE orders SET state = ?, venue_order_id = ?, intent = ? "
                "WHERE client_order_id = ?",
                (state.value, venue_order_id, _encode(intent), client_order_id),
            )
            return self._link(intent.instrument, venue_order_id, now, client_order_id)

    def renamed(self, client_order_id: str, state: VenueOrder) -> str | None:
        """The venue's id of the order is another than was known: both are its own.

        Gives as `accepted`.
        """
        with self._transaction():
            now = self._event("RENAMED", client_order_id, state)
            self._db.execute(
                "UPDATE orders SET venue_order_id = ? WHERE client_order_id = ?",
                (state.venue_order_id, client_order_id),
            )
            return self._link(state.instrument, state.venue_order_id, now, client_order_id)

    def cancel_requested(self, client_order_ids: Iterable[str]) -> None:
        with self._transaction():
            for client_order_id in client_order_ids:
                self._event("CANCEL", client_order_id, None)
                self._db.execute(
                    "UPDATE orders SET cancel_requested = 1 WHERE client_order_id = ?",
                    (client_order_id,),
                )

    def fill(
        self,
        intent: Intent,
        fill: VenueFill,
        base_fee: Decimal,
        findings: Callable[[VenueFill], Sequence[Finding]] = lambda booked: (),
    ) -> VenueFill | None:
        """Record one execution and move the position. None: this trade was recorded before.

        `base_fee` is the part of the fee paid in base currency, which the position does not hold.
        Gives the execution as it is booked: where the venue has told the same trade id of another
        order, it is an execution of its own, under that id with a number (`ID~2`). What there is
        to tell of it (`findings`) is recorded with it, or neither is.
        """
        with self._transaction():
            booked = self._book(intent, fill, base_fee)
            for finding in () if booked is None else findings(booked):
                self._event("FINDING", finding.subject, finding)
            return booked

    def resolved(
        self,
        intent: Intent,
        fills: Sequence[tuple[VenueFill, Decimal]],
        state: OrderState,
        word: object,
        *,
        is_new: bool = False,
    ) -> None:
        """A person's word: executions with their fees in base currency, and the order's end;
        `is_new` is an order that the word alone tells of."""
        with self._transaction():
            self._add_intents([intent] if is_new else [], self._now_ns())
            self._event("RESOLVED", intent.client_order_id, word)
            for fill, base_fee in fills:
                self._book(intent, fill, base_fee)
            self._set_state(intent.client_order_id, state, word)

    def _set_state(self, client_order_id: str, state: OrderState, detail: object) -> None:
        """Within a transaction."""
        self._event(state.value, client_order_id, detail)
        self._db.execute(
            "UPDATE orders SET state = ? WHERE client_order_id = ?",
            (state.value, client_order_id),
        )

    def _book(self, intent: Intent, fill: VenueFill, base_fee: Decimal) -> VenueFill | None:
        """Within a transaction."""
        told = fill.trade_id
        for number in count(2):  # ends at the first id that no other order has
            added = self._db.execute(
                "INSERT OR IGNORE INTO fills VALUES (?, ?, ?, ?, ?, ?)",
                (
                    fill.instrument,
                    fill.trade_id,
                    intent.client_order_id,
                    intent.strategy,
                    fill.ts_event,
                    _encode(fill),
                ),
            ).rowcount
            if added:
                break
            (owner,) = self._db.execute(
                "SELECT client_order_id FROM fills WHERE instrument = ? AND trade_id = ?",
                (fill.instrument, fill.trade_id),
            ).fetchone()
            if owner == intent.client_order_id:
                return None
            fill = msgspec.structs.replace(fill, trade_id=f"{told}~{number}")
        self._event("FILL", intent.client_order_id, fill)
        self._add_to_order(intent.client_order_id, fill)
        signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
        self._move_position(intent.strategy, fill.instrument, signed - base_fee, fill.price)
        return fill

    def hand_over(
        self, giver: str, taker: str, instrument: str, price: Decimal, most: Decimal | None = None
    ) -> Decimal:
        """Book a strategy's position in an instrument to another, all or `most`; gives how much."""
        with self._transaction():
            row = self._db.execute(
                "SELECT quantity FROM positions WHERE strategy = ? AND instrument = ?",
                (giver, instrument),
            ).fetchone()
            quantity = most if most is not None else Decimal(row[0]) if row else Decimal(0)
            if quantity:
                body = {"from": giver, "to": taker, "quantity": quantity, "price": price}
                self._event("HAND-OVER", instrument, body)
                self._move_position(giver, instrument, -quantity, price)
                self._move_position(taker, instrument, quantity, price)
        return quantity

    def note(self, kind: str, client_order_id: str, body: object) -> int:
        """Append a record that changes no state (a query's answer, a cancel's refusal).

        Returns its number (seq).
        """
        with self._transaction():
            self._event(kind, client_order_id, body)
            return int(self._db.execute("SELECT last_insert_rowid()").fetchone()[0])

    def finding(self, finding: Finding) -> None:
        self.note("FINDING", finding.subject, finding)

    # -- inside --------------------------------------------------------------------------------

    def _transaction(self) -> _Transaction:
        return _Transaction(self, self._db, self.path)

    def _record(self, ts: int, kind: str, client_order_id: str, body: bytes) -> None:
        self._db.execute(
            "INSERT INTO records (ts, kind, client_order_id, body, crc) VALUES (?, ?, ?, ?, ?)",
            (ts, kind, client_order_id, body, record_crc(ts, kind, client_order_id, body)),
        )

    def _add_intents(self, intents: Sequence[Intent], now: int) -> None:
        for intent in intents:
            body = _encode(intent)
            self._record(now, "INTENT", intent.client_order_id, body)
            self._db.execute(
                "INSERT INTO orders VALUES (?, 'INTENDED', NULL, ?, ?, '0', '0', 0, ?, ?)",
                (intent.client_order_id, intent.instrument, intent.strategy, now, body),
            )

    def _event(self, kind: str, client_order_id: str, body: object) -> int:
        now = self._now_ns()
        self._record(now, kind, client_order_id, _encode(body))
        return now

    def _link(
        self, instrument: str, venue_order_id: str, ts: int, client_order_id: str
    ) -> str | None:
        """The venue's id is this order's now; gives the other order that had it before, or None."""
        row = self._db.execute(
            "SELECT client_order_id FROM venue_ids WHERE instrument = ? AND venue_order_id = ?",
            (instrument, venue_order_id),
        ).fetchone()
        if row is not None and row[0] == client_order_id:
            return None
        self._db.execute(
            "INSERT OR REPLACE INTO venue_ids VALUES (?, ?, ?, ?)",
            (instrument, venue_order_id, ts, client_order_id),
        )
        return None if row is None else str(row[0])

    def _add_to_order(self, client_order_id: str, fill: VenueFill) -> None:
        row = self._db.execute(
            "SELECT filled, cost FROM orders WHERE client_order_id = ?", (client_order_id,)
        ).fetchone()
        assert row is not None, f"a fill for {client_order_id}, which was never intended"
        filled = Decimal(row[0]) + fill.quantity
        cost = Decimal(row[1]) + fill.quantity * fill.price
        self._db.execute(
            "UPDATE orders SET filled = ?, cost = ? WHERE client_order_id = ?",
            (str(filled), str(cost), client_order_id),
        )

    def _move_position(self, strategy: str, instrument: str, by: Decimal, price: Decimal) -> None:
        row = self._db.execute(
            "SELECT quantity, cost FROM positions WHERE strategy = ? AND instrument = ?",
            (strategy, instrument),
        ).fetchone()
        quantity, cost = (Decimal(row[0]), Decimal(row[1])) if row else (Decimal(0), Decimal(0))
        is_inverse = self.is_inverse is not None and self.is_inverse(instrument)
        quantity, cost = move_position(quantity, cost, by, price, is_inverse=is_inverse)
        held = (strategy, instrument, str(quantity), str(cost))
        self._db.execute(
            "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?, ?)", (*held, position_crc(*held))
        )


class _Transaction:
    """BEGIN IMMEDIATE ... COMMIT; a failure rolls back and becomes a JournalError."""

    def __init__(self, journal: Journal, db: sqlite3.Connection, path: Path) -> None:
        self._journal = journal
        self._db = db
        self._path = path
        self._began = time.perf_counter_ns()

    def __enter__(self) -> None:
        self._journal.require_file()
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def __exit__(self, kind: type | None, error: BaseException | None, _: object) -> None:
        if error is None:
            try:
                self._db.execute("COMMIT")
                if self._journal.took is not None:
                    self._journal.took(time.perf_counter_ns() - self._began)
                self._journal.committed()
                return
            except sqlite3.Error as failed:
                self._rollback()
                raise self._failure(failed) from failed
        self._rollback()
        if isinstance(error, sqlite3.Error):
            raise self._failure(error) from error

    def _rollback(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _failure(self, error: sqlite3.Error) -> JournalError:
        return JournalError(
            "JRN-WRITE",
            f"the order journal {self._path} can't be written: {error}. No order is sent without "
            f"it. {repair_of(error, self._path, 'Repair the disk, then start again')}",
        )


def _not_opened(path: Path, why: str, repair: str = REPAIR) -> JournalError:
    return JournalError(
        "JRN-OPEN",
        f"the order journal {path} can't be opened: {why}. No order is sent without it. {repair}",
    )


def move_position(
    quantity: Decimal, cost: Decimal, by: Decimal, price: Decimal, *, is_inverse: bool = False
) -> tuple[Decimal, Decimal]:
    """A netted position after one more execution: (quantity, cost at average price).

    The average of several prices is the one at which the position is worth what its parts are: of
    an inverse contract, worth quantity / price, the harmonic mean.
    """
    after = quantity + by
    if not quantity or (quantity > 0) == (by > 0):
        if not is_inverse or not quantity or not cost or not price:
            return after, cost + by * price
        worth = quantity * quantity / cost + by / price
        return after, after * after / worth
    if not after:
        return Decimal(0), Decimal(0)
    if (after > 0) == (quantity > 0):  # reduced: the rest keeps its average price
        return after, cost * after / quantity
    return after, after * price  # turned round: the rest was opened at this price
