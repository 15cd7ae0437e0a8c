"""The order journal: what was intended and what is known, durable before anything is sent.

One SQLite file per account, in WAL mode. `records` is the append-only story of every order;
`orders`, `fills` and `positions` are what that story adds up to, updated in the same transaction,
so that a restart reads only what is still open. A record is durable when the method that writes it
returns (`journal_fsync = "always"`), or when the operating system writes it (`"never"`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import msgspec

from engine.errors import FairleadError
from engine.orders.model import (
    Finding,
    Intent,
    OrderState,
    Side,
    VenueFill,
    VenueOrder,
)

SCHEMA_VERSION = 1
BUSY_TIMEOUT_MS = 2_000
GIVEN_UP_RECORDS = 20_000  # of the newest, that a restart looks through for orders given up

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    ts INTEGER NOT NULL,
    kind TEXT NOT NULL,
    client_order_id TEXT NOT NULL,
    body BLOB NOT NULL
);
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
CREATE INDEX IF NOT EXISTS orders_by_venue_id ON orders (venue_order_id);
CREATE TABLE IF NOT EXISTS venue_ids (
    instrument TEXT NOT NULL,
    venue_order_id TEXT NOT NULL,
    ts INTEGER NOT NULL,
    client_order_id TEXT NOT NULL,
    PRIMARY KEY (instrument, venue_order_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fills (
    instrument TEXT NOT NULL,
    trade_id TEXT NOT NULL,
    client_order_id TEXT NOT NULL,
    strategy TEXT NOT NULL,
    ts INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (instrument, trade_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS fills_of_order ON fills (client_order_id);
CREATE TABLE IF NOT EXISTS positions (
    strategy TEXT NOT NULL,
    instrument TEXT NOT NULL,
    quantity TEXT NOT NULL,
    cost TEXT NOT NULL,
    PRIMARY KEY (strategy, instrument)
) WITHOUT ROWID;
"""


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


_encode = msgspec.json.Encoder().encode
_decode_intent = msgspec.json.Decoder(Intent).decode
_decode_fill = msgspec.json.Decoder(VenueFill).decode


class Journal:
    """The only writer of one account's journal file. Not thread-safe; use from the event loop."""

    def __init__(self, path: Path, *, fsync: bool, now_ns: Callable[[], int]) -> None:
        self.path = path
        self._now_ns = now_ns
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(f"PRAGMA synchronous={'FULL' if fsync else 'OFF'}")
            self._check(path)
            self._db.executescript(_SCHEMA)
            self._db.execute(
                "INSERT OR IGNORE INTO meta VALUES ('schema', ?)", (str(SCHEMA_VERSION),)
            )
        except sqlite3.Error as error:
            raise JournalError(
                "JRN-OPEN",
                f"the order journal {path} can't be opened: {error}. Nothing was sent. "
                "Restore it from a copy, or move it away and start with --accept-drift",
            ) from error

    @classmethod
    def reading(cls, path: Path) -> Journal:
        """A journal that another process may hold and write: through this one nothing is written.

        Raises JournalError.
        """
        journal = cls.__new__(cls)
        journal.path = path
        journal._now_ns = lambda: 0
        try:
            name = quote(str(path.absolute()))
            journal._db = sqlite3.connect(f"file:{name}?mode=ro", uri=True, isolation_level=None)
            journal._db.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
            journal._db.execute("SELECT count(*) FROM meta")
        except sqlite3.Error as error:
            raise JournalError("JRN-READ", f"{path} can't be read: {error}") from error
        return journal

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Every read within it sees the same moment, whatever another process writes meanwhile."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("ROLLBACK")

    def _check(self, path: Path) -> None:
        tables = {row[0] for row in self._db.execute("SELECT name FROM sqlite_master")}
        if not tables:
            return
        problem = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise sqlite3.DatabaseError(f"quick_check says: {problem}")
        row = self._db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        if row is not None and row[0] != str(SCHEMA_VERSION):
            raise JournalError(
                "JRN-SCHEMA",
                f"the order journal {path} has schema {row[0]}; expected {SCHEMA_VERSION}",
            )

    def close(self) -> None:
        self._db.close()

    # -- writing -------------------------------------------------------------------------------

    def intend(self, intents: Sequence[Intent]) -> int:
        """Record orders that are about to be sent; gives the time written. Durable on return."""
        now = self._now_ns()
        with self._transaction():
            for intent in intents:
                body = _encode(intent)
                self._record(now, "INTENT", intent.client_order_id, body)
                self._db.execute(
                    "INSERT INTO orders VALUES (?, 'INTENDED', NULL, ?, ?, '0', '0', 0, ?, ?)",
                    (intent.client_order_id, intent.instrument, intent.strategy, now, body),
                )
        return now

    def accepted(
        self,
        client_order_id: str,
        venue_order_id: str,
        *,
        instrument: str,
        state: OrderState = OrderState.OPEN,
    ) -> None:
        """The venue has the order; `state` is WAITING for a stop, until more is told."""
        with self._transaction():
            now = self._event("ACCEPTED", client_order_id, {"venue_order_id": venue_order_id})
            self._db.execute(
                "UPDATE orders SET state = CASE WHEN state IN ('INTENDED', 'UNKNOWN') "
                "THEN ? ELSE state END, venue_order_id = ? WHERE client_order_id = ?",
                (state.value, venue_order_id, client_order_id),
            )
            self._db.execute(
                "INSERT OR IGNORE INTO venue_ids VALUES (?, ?, ?, ?)",
                (instrument, venue_order_id, now, client_order_id),
            )

    def state(self, client_order_id: str, state: OrderState, detail: object = None) -> None:
        """Record a new state, with what proves it."""
        with self._transaction():
            self._event(state.value, client_order_id, detail)
            self._db.execute(
                "UPDATE orders SET state = ? WHERE client_order_id = ?",
                (state.value, client_order_id),
            )

    def revived(self, intent: Intent, state: VenueOrder, as_state: OrderState) -> None:
        """An order that was refused as absent is at the venue after all."""
        with self._transaction():
            now = self._event("LATE", intent.client_order_id, state)
            self._db.execute(
                "UPDATE orders SET state = ?, venue_order_id = ?, cancel_requested = 1 "
                "WHERE client_order_id = ?",
                (as_state.value, state.venue_order_id, intent.client_order_id),
            )
            self._db.execute(
                "INSERT OR IGNORE INTO venue_ids VALUES (?, ?, ?, ?)",
                (intent.instrument, state.venue_order_id, now, intent.client_order_id),
            )

    def replacing(self, client_order_id: str, intent: Intent) -> None:
        """Record that the order is about to be replaced; durable before the send."""
        self.note("REPLACE", client_order_id, intent)

    def replaced(
        self,
        client_order_id: str,
        intent: Intent,
        venue_order_id: str,
        state: OrderState = OrderState.OPEN,
    ) -> None:
        """A new order, in `state`, has taken over."""
        with self._transaction():
            now = self._event("REPLACED", client_order_id, {"venue_order_id": venue_order_id})
            self._db.execute(
                "UPDATE orders SET state = ?, venue_order_id = ?, intent = ? "
                "WHERE client_order_id = ?",
                (state.value, venue_order_id, _encode(intent), client_order_id),
            )
            self._db.execute(
                "INSERT OR IGNORE INTO venue_ids VALUES (?, ?, ?, ?)",
                (intent.instrument, venue_order_id, now, client_order_id),
            )

    def renamed(self, client_order_id: str, state: VenueOrder) -> None:
        """The venue's id of the order is another than was known: both are its own."""
        with self._transaction():
            now = self._event("RENAMED", client_order_id, state)
            self._db.execute(
                "UPDATE orders SET venue_order_id = ? WHERE client_order_id = ?",
                (state.venue_order_id, client_order_id),
            )
            self._db.execute(
                "INSERT OR IGNORE INTO venue_ids VALUES (?, ?, ?, ?)",
                (state.instrument, state.venue_order_id, now, client_order_id),
            )

    def cancel_requested(self, client_order_ids: Iterable[str]) -> None:
        with self._transaction():
            for client_order_id in client_order_ids:
                self._event("CANCEL", client_order_id, None)
                self._db.execute(
                    "UPDATE orders SET cancel_requested = 1 WHERE client_order_id = ?",
                    (client_order_id,),
                )

    def fill(self, intent: Intent, fill: VenueFill, base_fee: Decimal) -> bool:
        """Record one execution and move the position. False: this trade was recorded before.

        `base_fee` is the part of the fee paid in base currency, which the position does not hold.
        """
        with self._transaction():
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
            if not added:
                return False
            self._event("FILL", intent.client_order_id, fill)
            self._add_to_order(intent.client_order_id, fill)
            signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
            self._move_position(intent.strategy, fill.instrument, signed - base_fee, fill.price)
        return True

    def hand_over(self, giver: str, taker: str, instrument: str, price: Decimal) -> Decimal:
        """Book a strategy's whole position in an instrument to another; gives the quantity."""
        with self._transaction():
            row = self._db.execute(
                "SELECT quantity FROM positions WHERE strategy = ? AND instrument = ?",
                (giver, instrument),
            ).fetchone()
            quantity = Decimal(row[0]) if row else Decimal(0)
            if quantity:
                body = {"from": giver, "to": taker, "quantity": quantity, "price": price}
                self._event("HAND-OVER", instrument, body)
                self._move_position(giver, instrument, -quantity, price)
                self._move_position(taker, instrument, quantity, price)
        return quantity

    def note(self, kind: str, client_order_id: str, body: object) -> None:
        """Append a record that changes no state (a query's answer, a cancel's refusal)."""
        with self._transaction():
            self._event(kind, client_order_id, body)

    def finding(self, finding: Finding) -> None:
        self.note("FINDING", finding.subject, finding)

    def own_venue_id(self, instrument: str, venue_order_id: str, client_order_id: str) -> None:
        """Remember whose a venue order id is, though it was never ours to send."""
        with self._transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO venue_ids VALUES (?, ?, ?, ?)",
                (instrument, venue_order_id, self._now_ns(), client_order_id),
            )

    # -- reading -------------------------------------------------------------------------------

    def open_orders(self) -> list[JournaledOrder]:
        """Every order that is not terminal, oldest first."""
        rows = self._db.execute(
            "SELECT intent, state, venue_order_id, filled, cost, cancel_requested, ts_sent "
            "FROM orders WHERE state NOT IN ('FILLED', 'CANCELED', 'EXPIRED', 'REFUSED') "
            "ORDER BY ts_sent, client_order_id"
        )
        return [_order(row) for row in rows]

    def order(self, client_order_id: str) -> JournaledOrder | None:
        row = self._db.execute(
            "SELECT intent, state, venue_order_id, filled, cost, cancel_requested, ts_sent "
            "FROM orders WHERE client_order_id = ?",
            (client_order_id,),
        ).fetchone()
        return None if row is None else _order(row)

    def replacements(self, client_order_id: str) -> tuple[Intent | None, int, list[str]]:
        """The replacement without an outcome (None if there is none), its time, replaced ids."""
        pending, ts_sent, ids = None, 0, []
        with _readable():
            for _, ts, kind, body in self.story(client_order_id):
                if kind == "REPLACE":
                    pending, ts_sent = _decode_intent(body), ts
                elif kind in ("REPLACED", "REPLACE_REFUSED", "REPLACE_ABSENT"):
                    pending = None
                if kind in ("ACCEPTED", "REPLACED"):
                    ids.append(msgspec.json.decode(body)["venue_order_id"])
        return pending, ts_sent, ids[:-1]

    def given_up_since(self, ts_ns: int, most: int) -> list[tuple[JournaledOrder, int]]:
        """Orders refused since then because they were absent, with the time; oldest first."""
        rows = self._db.execute(
            "SELECT client_order_id, ts FROM records "
            "WHERE seq > (SELECT coalesce(max(seq), 0) FROM records) - ? "
            "AND kind = 'REFUSED' AND ts >= ? AND body LIKE '{\"type\":\"Absent\"%' ORDER BY seq",
            (GIVEN_UP_RECORDS, ts_ns),
        ).fetchall()
        found = []
        for client_order_id, ts in rows[-most:]:
            order = self.order(client_order_id)
            if order is not None and order.state is OrderState.REFUSED:
                found.append((order, ts))
        return found

    def order_by_venue_id(self, instrument: str, venue_order_id: str) -> str | None:
        """The client order id that a venue order id belongs to."""
        row = self._db.execute(
            "SELECT client_order_id FROM venue_ids WHERE instrument = ? AND venue_order_id = ?",
            (instrument, venue_order_id),
        ).fetchone()
        return None if row is None else str(row[0])

    def known_venue_ids(self, instrument: str, since_ns: int) -> frozenset[str]:
        """Venue order ids that became an order's since then; never the answer to a lost submit."""
        rows = self._db.execute(
            "SELECT venue_order_id FROM venue_ids WHERE instrument = ? AND ts >= ?",
            (instrument, since_ns),
        )
        return frozenset(str(row[0]) for row in rows)

    def fills_of(self, client_order_id: str) -> list[VenueFill]:
        rows = self._db.execute(
            "SELECT body FROM fills WHERE client_order_id = ? ORDER BY ts, trade_id",
            (client_order_id,),
        )
        with _readable():
            return [_decode_fill(row[0]) for row in rows]

    def positions(self) -> list[Position]:
        rows = self._db.execute("SELECT strategy, instrument, quantity, cost FROM positions")
        with _readable():
            return [Position(s, i, _number(q), _number(c)) for s, i, q, c in rows]

    def story(self, client_order_id: str) -> list[tuple[int, int, str, bytes]]:
        """Every record of one order: (seq, ts ns, kind, JSON body), oldest first."""
        return list(
            self._db.execute(
                "SELECT seq, ts, kind, body FROM records WHERE client_order_id = ? ORDER BY seq",
                (client_order_id,),
            )
        )

    def count(self, kind: str) -> int:
        row = self._db.execute("SELECT count(*) FROM records WHERE kind = ?", (kind,)).fetchone()
        return int(row[0])

    # -- inside --------------------------------------------------------------------------------

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db, self.path)

    def _record(self, ts: int, kind: str, client_order_id: str, body: bytes) -> None:
        self._db.execute(
            "INSERT INTO records (ts, kind, client_order_id, body) VALUES (?, ?, ?, ?)",
            (ts, kind, client_order_id, body),
        )

    def _event(self, kind: str, client_order_id: str, body: object) -> int:
        now = self._now_ns()
        self._record(now, kind, client_order_id, _encode(body))
        return now

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
        quantity, cost = move_position(quantity, cost, by, price)
        self._db.execute(
            "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?)",
            (strategy, instrument, str(quantity), str(cost)),
        )


class _Transaction:
    """BEGIN IMMEDIATE ... COMMIT; a failure rolls back and becomes a JournalError."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._path = path

    def __enter__(self) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def __exit__(self, kind: type | None, error: BaseException | None, _: object) -> None:
        if error is None:
            try:
                self._db.execute("COMMIT")
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
            f"the order journal {self._path} can't be written: {error}. "
            "No order is sent without it; free or repair the disk, then start again",
        )


def move_position(
    quantity: Decimal, cost: Decimal, by: Decimal, price: Decimal
) -> tuple[Decimal, Decimal]:
    """A netted position after one more execution: (quantity, cost at average price)."""
    if not quantity or (quantity > 0) == (by > 0):
        return quantity + by, cost + by * price
    after = quantity + by
    if not after:
        return Decimal(0), Decimal(0)
    if (after > 0) == (quantity > 0):  # reduced: the rest keeps its average price
        return after, cost * after / quantity
    return after, after * price  # turned round: the rest was opened at this price


def _order(row: tuple[bytes, str, str | None, str, str, int, int]) -> JournaledOrder:
    intent, state, venue_order_id, filled, cost, cancel_requested, ts_sent = row
    with _readable():
        return JournaledOrder(
            intent=_decode_intent(intent),
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
def _readable() -> Iterator[None]:
    """A stored value that can't be what was written becomes a JournalError."""
    try:
        yield
    except _UNREADABLE as error:
        raise JournalError(
            "JRN-CORRUPT",
            f"the order journal holds a value that it never wrote: {str(error)[:200]}. Nothing was "
            "sent. Restore it from a copy, or move it away and start with --accept-drift",
        ) from error
