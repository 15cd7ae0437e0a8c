"""What a start finds wrong with a journal, what it need not read, and what the full check finds."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.engine import processes
from fairlead.engine.orders import journal_check
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.journal_schema import OPEN_ORDERS
from fairlead.engine.orders.model import Absent, OrderState, Side, Unknown, VenueFill
from tests.unit.orders.conftest import INSTRUMENT, intent, venue_order

NEWEST = 50  # records that a start looks through here


class Clock:
    def __init__(self) -> None:
        self.now = 1_000

    def __call__(self) -> int:
        self.now += 1
        return self.now


def opened(path: Path) -> Journal:
    return Journal(path, fsync=False, now_ns=Clock())


def execution(void: str, number: int) -> VenueFill:
    return VenueFill(
        venue_order_id=void,
        trade_id=f"T-{void}-{number}",
        instrument=INSTRUMENT,
        side=Side.BUY,
        quantity=Decimal("0.1"),
        price=Decimal("100.5"),
        fee=Decimal("0.01"),
        fee_currency="USDT",
    )


def finished(journal: Journal, number: int) -> None:
    """One order from intent to its end."""
    order, void = intent(f"OLD-{number}"), f"V-{number}"
    journal.intend([order])
    journal.accepted(order.client_order_id, void, instrument=INSTRUMENT)
    journal.fill(order, execution(void, 1), Decimal(0))
    journal.cancel_requested([order.client_order_id])
    journal.state(order.client_order_id, OrderState.CANCELED, venue_order(void))


def many(path: Path, old: int) -> None:
    """A journal with one open order, older than all others, and a number of finished ones."""
    journal = opened(path)
    journal.intend([intent("LIVE")])
    journal.accepted("LIVE", "V-LIVE", instrument=INSTRUMENT)
    journal.fill(intent("LIVE"), execution("V-LIVE", 1), Decimal(0))
    for number in range(old):
        finished(journal, number)
    journal.close()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(journal_check, "NEWEST_RECORDS", NEWEST)
    return tmp_path / "j.sqlite"


def execute(path: Path, *statements: str) -> None:
    with sqlite3.connect(path, isolation_level=None) as db:
        for statement in statements:
            db.execute(statement)
    db.close()


def other_boot(path: Path) -> None:
    execute(path, "UPDATE meta SET value = 'another' WHERE key = 'boot'")


def spoil_page(path: Path, table: str, number: int) -> None:
    """Overwrite the start of a table's leaf, from the oldest one on."""
    db = sqlite3.connect(path)
    rows = db.execute(
        "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path", (table,)
    ).fetchall()
    db.close()
    data = bytearray(path.read_bytes())
    at = (rows[number][0] - 1) * 4096
    data[at : at + 256] = b"\xff" * 256
    path.write_bytes(data)


# -- what is whole ---------------------------------------------------------------------------------


def test_every_kind_of_change_adds_up(path: Path) -> None:
    journal = opened(path)
    finished(journal, 1)
    journal.intend([intent("A"), intent("B"), intent("C"), intent("D")])
    journal.accepted("A", "V-A", instrument=INSTRUMENT, state=OrderState.WAITING)
    journal.state("A", OrderState.OPEN, None)
    changed = intent("A", price=Decimal(99))
    journal.replacing("A", changed)
    journal.replaced("A", changed, "V-A2")
    journal.fill(changed, execution("V-A2", 1), Decimal("0.001"))
    assert not journal.fill(changed, execution("V-A2", 1), Decimal("0.001"))
    journal.renamed("A", venue_order("V-A3"))
    journal.state("B", OrderState.UNKNOWN, Unknown("timeout"))
    journal.accepted("B", "V-B", instrument=INSTRUMENT)
    journal.cancel_requested(["B"])
    journal.note("CANCEL_UNKNOWN", "B", Unknown("timeout"))
    journal.state("C", OrderState.REFUSED, Absent("three looks"))
    journal.revived(intent("C"), venue_order("V-C"), OrderState.OPEN)
    journal.hand_over("S-1", "S-2", INSTRUMENT, Decimal(100))
    assert journal.problems() == []
    journal.close()
    again = opened(path)
    assert {o.intent.client_order_id for o in again.open_orders()} == {"A", "B", "C", "D"}
    assert again.problems() == []


def test_the_first_start_of_the_machine_opens_what_is_whole_and_looks_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(path, 3)
    other_boot(path)
    looks: list[str] = []

    def look(db: sqlite3.Connection) -> str | None:
        looks.append("all")
        return journal_check.structure_problem(db)

    monkeypatch.setattr("fairlead.engine.orders.journal.structure_problem", look)
    monkeypatch.setattr("fairlead.engine.orders.journal.boot_id", lambda: "this one")
    for _ in range(3):
        opened(path).close()
    assert looks == ["all"]


def test_a_system_that_does_not_tell_its_starts_has_the_file_looked_at_each_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "BOOT_ID", path.parent / "nothing")
    many(path, 40)
    spoil_page(path, "records", 3)
    with pytest.raises(JournalError, match="quick_check says"):
        opened(path)


# -- what a start reads ----------------------------------------------------------------------------


def steps(path: Path) -> int:
    """Of SQLite's machine, in tens: what a start does with the file."""
    counted = [0]

    def count() -> int:
        counted[0] += 1
        return 0

    db = sqlite3.connect(path, isolation_level=None)
    db.set_progress_handler(count, 10)
    assert journal_check.start_problem(db) is None
    assert len(db.execute(OPEN_ORDERS).fetchall()) == 1
    db.close()
    return counted[0]


def test_a_start_does_not_read_what_has_ended(path: Path) -> None:
    few, more = path.with_name("few.sqlite"), path.with_name("more.sqlite")
    many(few, 100)
    many(more, 1_000)
    assert steps(more) <= steps(few) * 1.1


def test_open_orders_and_records_of_an_order_are_found_by_index(path: Path) -> None:
    many(path, 1)
    db = sqlite3.connect(path)
    plans = {
        OPEN_ORDERS: "USING INDEX orders_open",
        "SELECT body FROM records WHERE client_order_id = 'A'": "USING INDEX records_of_order",
        "SELECT * FROM venue_ids WHERE venue_order_id = 'V'": "USING PRIMARY KEY",
        "SELECT * FROM venue_ids WHERE instrument = 'I' AND ts > 5": "INDEX venue_ids_since",
    }
    for statement, expected in plans.items():
        plan = " ".join(row[3] for row in db.execute("EXPLAIN QUERY PLAN " + statement))
        assert expected in plan, plan
    db.close()


# -- damage that a start must see ------------------------------------------------------------------

LIVE = "WHERE client_order_id = 'LIVE'"
SEEN = {
    "a record's body": (
        f"UPDATE records SET body = CAST(replace(body, 'V-', 'W-') AS BLOB) {LIVE}",
        "checksum",
    ),
    "a record's order": (
        f"UPDATE records SET client_order_id = 'OLD-1' {LIVE} AND kind = 'FILL'",
        "LIVE: its filled",
    ),
    "a record is gone": (f"DELETE FROM records {LIVE} AND kind = 'ACCEPTED'", "LIVE"),
    "state": (f"UPDATE orders SET state = 'INTENDED' {LIVE}", "LIVE: its state"),
    "executed": (f"UPDATE orders SET filled = '0.3' {LIVE}", "LIVE: its filled and cost"),
    "no number": (f"UPDATE orders SET cost = 'x' {LIVE}", "never written"),
    "venue id": (f"UPDATE orders SET venue_order_id = 'V-1' {LIVE}", "LIVE: its venue_order_id"),
    "intent": (
        f"UPDATE orders SET intent = CAST(replace(intent, '0.5', '5.0') AS BLOB) {LIVE}",
        "LIVE: its intent",
    ),
    "an execution": (f"DELETE FROM fills {LIVE}", "LIVE: its fills"),
    "a position": ("UPDATE positions SET quantity = '7'", "position of S-1"),
    "the newest record": (
        "DELETE FROM records WHERE seq = (SELECT max(seq) - 1 FROM records)",
        "is missing",
    ),
}


@pytest.mark.parametrize("what", SEEN)
def test_damage_to_what_a_start_reads_refuses_to_open(path: Path, what: str) -> None:
    many(path, 40)
    statement, expected = SEEN[what]
    execute(path, statement)
    with pytest.raises(JournalError, match=expected) as raised:
        opened(path)
    assert raised.value.code == "JRN-OPEN"
    assert "Restore it from a copy" in raised.value.message
    reading = Journal.reading(path)
    assert reading.problems()
    reading.close()


def test_an_open_order_that_is_no_longer_listed_is_missed(path: Path) -> None:
    many(path, 40)
    execute(path, "DROP TRIGGER orders_moved", f"UPDATE orders SET state = 'FILLED' {LIVE}")
    with pytest.raises(JournalError, match="open orders: 1 were written, 0 are found"):
        opened(path)


@pytest.mark.parametrize("table", ["records", "orders", "orders_open", "records_of_order"])
def test_a_broken_page_under_an_open_order_refuses_to_open(path: Path, table: str) -> None:
    journal = opened(path)
    for number in range(60):
        journal.intend([intent(f"LIVE-{number}")])
    journal.close()
    spoil_page(path, table, 0)
    with pytest.raises(JournalError, match="Restore it from a copy"):
        opened(path)


def test_a_file_that_was_cut_off_is_refused(path: Path) -> None:
    many(path, 200)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(JournalError, match="Restore it from a copy"):
        opened(path)


# -- damage to what has ended ----------------------------------------------------------------------


def test_an_old_record_that_is_damaged_stops_no_start_and_the_full_check_names_it(
    path: Path,
) -> None:
    many(path, 40)
    execute(path, "UPDATE records SET body = 'x' WHERE client_order_id = 'OLD-1' AND kind = 'FILL'")
    journal = opened(path)
    (problem,) = journal.problems()
    assert "(FILL of OLD-1): its checksum is wrong" in problem
    finished(journal, 100)  # trading goes on
    journal.close()


@pytest.mark.parametrize("large", [False, True])
def test_a_full_check_leaves_the_journal_its_locks(
    path: Path, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    """Without them another process takes the log away under a writer that goes on."""
    monkeypatch.setattr(journal_check, "_AHEAD_BYTES", 0 if large else 1 << 30)
    many(path, 40)
    journal = opened(path)
    with closing(Journal.reading(path)) as reading:
        assert reading.problems() == []
    taking = (
        "import sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)\n"
        "print(db.execute('PRAGMA journal_mode=DELETE').fetchone()[0])"
    )
    taken = subprocess.run(
        [sys.executable, "-c", taking, str(path)], capture_output=True, text=True, check=False
    )
    assert "database is locked" in taken.stderr, taken.stdout
    finished(journal, 100)
    journal.close()


def stories(journal: Journal) -> None:
    for number in range(200):
        journal.story(f"OLD-{number}")


def test_an_old_page_that_is_broken(path: Path) -> None:
    """Not read, not seen; read, an error; and the first start of the machine refuses it."""
    many(path, 200)
    spoil_page(path, "records", 2)
    journal = opened(path)
    assert [o.intent.client_order_id for o in journal.open_orders()] == ["LIVE"]
    assert journal.problems()
    with pytest.raises(JournalError, match=r"malformed.*docs/journal.md"):
        stories(journal)
    journal.close()
    other_boot(path)
    with pytest.raises(JournalError, match="quick_check says"):
        opened(path)


def test_the_full_check_counts_what_is_missing(path: Path) -> None:
    many(path, 60)
    execute(path, "DELETE FROM records WHERE client_order_id = 'OLD-3' AND kind = 'CANCEL'")
    execute(path, "DELETE FROM orders WHERE client_order_id = 'OLD-5'")
    execute(path, "DELETE FROM fills WHERE client_order_id IN ('OLD-7', 'OLD-9')")
    execute(path, "DELETE FROM records WHERE client_order_id = 'OLD-9'")
    reading = Journal.reading(path)
    told = "\n".join(reading.problems())
    reading.close()
    for expected in (
        "records: 6 are missing",
        "order OLD-3: its cancel_requested",
        "order OLD-5: it was intended, and its row is missing",
        "order OLD-7: its fills",
        "orders: 1 have no record",
        "fills: 60 were written, 59 are found",
    ):
        assert expected in told


def test_a_journal_of_another_schema_is_not_read_either(path: Path) -> None:
    many(path, 1)
    execute(path, "UPDATE meta SET value = '1' WHERE key = 'schema'")
    for use in (opened, Journal.reading):
        with pytest.raises(JournalError, match="has schema 1, an earlier") as raised:
            use(path)
        assert raised.value.code == "JRN-SCHEMA"
