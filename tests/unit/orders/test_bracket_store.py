"""Brackets in the journal: kept over a restart, orders read from it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from fairlead.engine.brackets.keeper import JournalLegs, JournalStore
from fairlead.engine.brackets.steps import Bracket, Leg
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import OrderState, Side, VenueFill
from tests.unit.orders.conftest import intent

D = Decimal
ONE = Bracket(
    entry="A",
    strategy="S-001",
    instrument="BTC_USDT.X",
    side=Side.BUY,
    quantity=D(1),
    stop=D(95),
    stop_limit=D(94),
    target=D(105),
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "j.sqlite", fsync=False, now_ns=lambda: 1)
    yield opened
    opened.close()


def test_brackets_outlive_the_process(journal: Journal, tmp_path: Path) -> None:
    grown = msgspec.structs.replace(ONE, exits=("X1", "X2"), tried=2)
    store = JournalStore({"X": journal})
    assert store.load("S-001") == []
    store.save("S-001", [ONE])
    store.save("S-001", [grown])
    again = JournalStore({"X": journal})
    assert again.load("S-001") == [grown]
    assert again.load("S-002") == []
    again.save("S-001", [])
    assert JournalStore({"X": journal}).load("S-001") == []


def test_each_venue_has_its_own(journal: Journal, tmp_path: Path) -> None:
    other = Journal(tmp_path / "other.sqlite", fsync=False, now_ns=lambda: 1)
    elsewhere = msgspec.structs.replace(ONE, entry="B", instrument="BTC_USDT.Y")
    both = {"X": journal, "Y": other}
    JournalStore(both).save("S-001", [ONE, elsewhere])
    assert JournalStore(both).load("S-001") == [ONE, elsewhere]
    assert JournalStore({"Y": other}).load("S-001") == [elsewhere]
    other.close()


def test_nothing_is_written_twice(journal: Journal) -> None:
    store = JournalStore({"X": journal})
    store.save("S-001", [ONE])
    first = journal.last_note("BRACKETS S-001", list)
    store.save("S-001", [ONE])
    assert journal.last_note("BRACKETS S-001", list) == first


def test_orders_as_the_journal_has_them(journal: Journal) -> None:
    legs = JournalLegs(journal)
    assert legs.leg("A", "BTC") is None
    order = intent("A")
    journal.intend([order])
    waiting = Leg(
        client_order_id="A",
        kind=order.kind,
        quantity=order.quantity,
        filled=D(0),
        price=order.price,
    )
    assert legs.leg("A", "BTC") == waiting
    journal.state("A", OrderState.UNKNOWN)
    assert legs.leg("A", "BTC") == waiting  # it may be out there
    journal.accepted("A", "1", instrument=order.instrument)
    assert legs.leg("A", "BTC") == msgspec.structs.replace(waiting, is_standing=True)
    for number, currency in enumerate(("BTC", "USDT", "BTC")):
        fill = VenueFill(
            venue_order_id="1",
            trade_id=str(number),
            instrument=order.instrument,
            side=order.side,
            quantity=D("0.1"),
            price=D(100),
            fee=D("0.001"),
            fee_currency=currency,
        )
        assert journal.fill(order, fill, D(0))
        known = legs.leg("A", "BTC")
        assert known is not None
        assert known.filled == D("0.1") * (number + 1)
    assert known.base_fee == D("0.002")
    journal.state("A", OrderState.CANCELED)
    known = legs.leg("A", "BTC")
    assert known is not None
    assert (known.is_over, known.is_standing, known.remaining) == (True, False, D(0))
