"""The journal file itself: durability, damage, and positions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.engine.orders.journal import Journal, JournalError, move_position
from fairlead.engine.orders.model import Absent, Finding, OrderState, Refused, VenueFill
from tests.unit.orders.conftest import intent


def opened(path: Path) -> Journal:
    return Journal(path, fsync=True, now_ns=lambda: 1)


def test_an_uncommitted_write_is_gone_and_everything_before_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    first = opened(path)
    first.intend([intent("A")])
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("BEGIN IMMEDIATE")
    raw.execute("UPDATE orders SET state = 'FILLED'")
    raw.close()  # as a killed process leaves it
    again = opened(path)
    assert [o.state for o in again.open_orders()] == [OrderState.INTENDED]


def test_a_torn_wal_tail_loses_only_the_torn_record(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    journal = opened(path)
    for name in "ABC":
        journal.intend([intent(name)])
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "j.sqlite").write_bytes(path.read_bytes())
    wal = (tmp_path / "j.sqlite-wal").read_bytes()
    (copy / "j.sqlite-wal").write_bytes(wal[:-100])
    again = opened(copy / "j.sqlite")
    assert [o.intent.client_order_id for o in again.open_orders()] == ["A", "B"]


def test_a_corrupt_middle_refuses_to_open_and_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    journal = opened(path)
    for number in range(200):
        journal.intend([intent(f"O-{number}")])
    journal.close()
    data = bytearray(path.read_bytes())
    for at in range(4096, len(data), 4096):
        data[at : at + 64] = b"\xff" * 64
    path.write_bytes(data)
    with pytest.raises(JournalError, match="Restore it from a copy"):
        opened(path)


def test_a_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    path.write_text("not a database, but somebody's notes\n" * 100)
    with pytest.raises(JournalError, match="can't be opened"):
        opened(path)


def test_the_average_price_of_an_inverse_position_is_the_harmonic_mean() -> None:
    """10 contracts at 40000 and 10 at 60000 are worth what 20 at 48000 are."""
    for sign in (1, -1):
        quantity = cost = Decimal(0)
        for price in (40000, 60000):
            quantity, cost = move_position(
                quantity, cost, Decimal(10 * sign), Decimal(price), is_inverse=True
            )
        assert round(cost / quantity, 12) == 48000
        rest, left = move_position(quantity, cost, Decimal(-5 * sign), Decimal(1), is_inverse=True)
        assert (rest, round(left / rest, 12)) == (15 * sign, 48000), "the rest keeps its price"


def test_a_journal_of_another_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    journal = opened(path)
    journal._db.execute("UPDATE meta SET value = '99'")
    journal.close()
    with pytest.raises(JournalError, match="schema 99"):
        opened(path)


AMOUNTS = st.decimals(min_value="0.0001", max_value="1000", places=4)


@given(st.lists(st.tuples(st.booleans(), AMOUNTS, AMOUNTS), max_size=30))
def test_position_cost_is_the_average_price_of_what_is_open(
    trades: list[tuple[bool, Decimal, Decimal]],
) -> None:
    quantity = cost = Decimal(0)
    for buying, size, price in trades:
        signed = size if buying else -size
        before = cost / quantity if quantity else None
        was = quantity
        quantity, cost = move_position(quantity, cost, signed, price)
        assert quantity == was + signed
        if not quantity:
            assert cost == 0
        elif was and (was > 0) == (quantity > 0) and abs(quantity) < abs(was):
            assert before is not None
            assert abs(cost / quantity - before) < Decimal("1e-9"), "reducing keeps the average"
        elif not was or (was > 0) != (quantity > 0):
            assert cost == quantity * price, "what was opened now was opened at this price"


def test_orders_that_were_proven_absent_are_known_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    first = opened(path)
    first.intend([intent("A"), intent("B")])
    first.state("A", OrderState.REFUSED, Absent(evidence="three looks"))
    first.state("B", OrderState.REFUSED, Refused(code="X", message="not enough money"))
    first.close()
    again = opened(path)
    assert [o.intent.client_order_id for o, _ in again.given_up_since(0, 9)] == ["A"]
    assert again.given_up_since(2, 9) == []  # too long ago
    again.close()


def test_a_release_that_was_proven_absent_is_known_whatever_became_of_its_order(
    tmp_path: Path,
) -> None:
    path = tmp_path / "j.sqlite"
    first = opened(path)
    held = intent("A")
    first.hold([held], None)
    for number in (1, 2):
        first.release(msgspec.structs.replace(held, release=number), None)
        if number == 1:
            first.armed_again(held, "RELEASE_ABSENT", Absent(evidence="three looks"))
    first.state("A", OrderState.CANCELED, None)
    first.close()
    again = opened(path)
    ((gone, ts_sent, _),) = again.releases_given_up_since(0, 9)
    assert (gone.sent_id, gone.release) == ("A", 1)
    assert ts_sent > 0
    assert again.releases_given_up_since(10**18, 9) == []  # too long ago
    again.close()


def test_what_the_venue_had_told_before_an_order_was_sent_is_known_by_the_records(
    tmp_path: Path,
) -> None:
    """Whatever the clock says: each of these was written at the same moment."""
    with closing(opened(tmp_path / "j.sqlite")) as journal:
        name = intent("A").instrument
        journal.intend([intent("A"), intent("B")])
        journal.accepted("A", "V-A", instrument=name)
        journal.intend([intent("C"), intent("D")])
        journal.accepted("B", "V-B", instrument=name)
        journal.replaced("A", intent("A"), "V-A2", OrderState.OPEN)
        journal.accepted("D", "V-D", instrument=name)
        assert journal.venue_ids_before("C", name, 0) == {"V-A"}
        assert journal.venue_ids_before("A", name, 0) == set()
        assert journal.venue_ids_before("C", "another", 0) == set()
        assert journal.venue_ids_before("never sent", name, 0) == set()
        assert {"V-A", "V-B", "V-D"} <= journal.known_venue_ids(name, 0)


def test_an_execution_and_what_is_to_tell_of_it_are_recorded_together(tmp_path: Path) -> None:
    """A process that dies between the two would never tell: the execution is known by then."""

    def dies(booked: VenueFill) -> list[Finding]:
        raise KeyboardInterrupt

    order = intent("A")
    fill = VenueFill(
        venue_order_id="1",
        trade_id="T",
        instrument=order.instrument,
        side=order.side,
        quantity=Decimal("0.5"),
        price=Decimal(100),
        fee=Decimal(0),
        fee_currency="USDT",
    )
    with closing(Journal(tmp_path / "j.sqlite", fsync=False, now_ns=lambda: 1)) as journal:
        journal.intend([order])
        with pytest.raises(KeyboardInterrupt):
            journal.fill(order, fill, Decimal(0), dies)
        assert journal.fills_of("A") == []
        assert journal.fill(order, fill, Decimal(0)) == fill


def test_a_journal_that_another_process_holds_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(Journal(path, fsync=False, now_ns=lambda: 1)) as journal:
        journal.intend([intent("o-1")])
        with closing(sqlite3.connect(path, isolation_level=None)) as frozen:
            frozen.execute("BEGIN IMMEDIATE")
            with pytest.raises(JournalError, match=r"is locked.*kill -9 PID") as written:
                journal.intend([intent("o-2")])
            with pytest.raises(JournalError, match=r"is locked.*kill -9 PID") as opened:
                Journal(path, fsync=False, now_ns=lambda: 1)
    assert "disk" not in str(written.value)
    assert "move it away" not in str(opened.value)


@pytest.mark.parametrize(
    "look",
    [
        lambda journal: journal.over_since(10**18),
        lambda journal: journal.cancels_taken_since(journal.newest()),
        lambda journal: journal.held_cancelled_since(10**18),
        lambda journal: journal.given_up_since(10**18, 9),
        lambda journal: journal.releases_given_up_since(10**18, 9),
        lambda journal: journal.intended_since(journal.newest(), "S-1"),
        lambda journal: journal.booked_since(journal.newest()),
        lambda journal: journal.known_venue_ids("BTC_USDT.STUBEX", 10**18),
    ],
)
def test_what_is_new_is_looked_for_among_what_is_new(
    tmp_path: Path, look: Callable[[Journal], object]
) -> None:
    """A run's loop asks for it: of 100,000 orders it waited 55 ms each time."""
    with closing(opened(tmp_path / "j.sqlite")) as journal:
        journal.intend([intent("A")])
        asked: list[str] = []
        journal._db.set_trace_callback(asked.append)
        look(journal)
        journal._db.set_trace_callback(None)
        plans = [
            row[3] for sql in asked for row in journal._db.execute(f"EXPLAIN QUERY PLAN {sql}")
        ]
    assert plans
    assert not [plan for plan in plans if plan.startswith("SCAN")]
