"""Expected balances: what was agreed on, and the journal's fills since."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.engine.orders.balances import Balances, Drift
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import Side, VenueBalance, VenueFill
from tests.unit.orders.conftest import intent

D = Decimal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "j.sqlite", fsync=False, now_ns=lambda: 1)
    yield opened
    opened.close()


def held(journal: Journal) -> Balances:
    return Balances(journal, {"BTC", "USDT"}, lambda instrument: ("BTC", "USDT"))


def account(btc: str, usdt: str, locked: str = "0") -> list[VenueBalance]:
    return [
        VenueBalance(currency="BTC", free=D(btc), locked=D(0)),
        VenueBalance(currency="USDT", free=D(usdt) - D(locked), locked=D(locked)),
        VenueBalance(currency="DOGE", free=D(7), locked=D(0)),
    ]


def fill(journal: Journal, name: str, side: Side, fee: str, currency: str) -> None:
    """One BTC at 100 USDT."""
    order = intent(name)
    journal.intend([order])
    one = VenueFill(
        venue_order_id=name,
        trade_id=name,
        instrument=order.instrument,
        side=side,
        quantity=D(1),
        price=D(100),
        fee=D(fee),
        fee_currency=currency,
    )
    assert journal.fill(order, one, D(0))


def test_fills_with_their_fees_explain_the_balance(journal: Journal) -> None:
    known = held(journal)
    assert not known.is_based
    known.base_on(account("1", "1000"))
    fill(journal, "A", Side.BUY, "0.001", "BTC")
    fill(journal, "B", Side.SELL, "0.2", "USDT")
    assert known.drifts(account("0.999", "999.8", locked="500")) == ()
    (drift,) = known.drifts(account("0.999", "900"))
    assert drift == Drift("USDT", D("999.8"), D(900))
    assert drift.difference == D("-99.8")


def test_what_happened_between_two_runs_is_seen(journal: Journal) -> None:
    held(journal).base_on(account("1", "1000"))
    fill(journal, "A", Side.BUY, "0", "USDT")  # found by the next run's recovery
    again = held(journal)
    assert again.is_based
    assert again.drifts(account("2", "900")) == ()
    assert [d.currency for d in again.drifts(account("2", "1000"))] == ["USDT"]


def test_a_difference_that_was_taken_counts_from_then_on(journal: Journal) -> None:
    known = held(journal)
    known.base_on(account("1", "1000"))
    deposited = account("1", "1500")
    known.take(known.drifts(deposited))
    assert known.drifts(deposited) == ()
    assert held(journal).drifts(deposited) == ()


def test_agreement_is_recorded_only_when_something_changed(journal: Journal) -> None:
    known = held(journal)
    known.base_on(account("1", "1000"))
    first = journal.last_note("BALANCES", dict)
    known.take()
    assert journal.last_note("BALANCES", dict) == first
    fill(journal, "A", Side.BUY, "0", "USDT")
    assert known.drifts(account("2", "900")) == ()
    known.take()
    assert journal.last_note("BALANCES", dict) != first
    assert held(journal).drifts(account("2", "900")) == ()


def test_rounding_is_no_difference_and_a_currency_that_is_gone_is(journal: Journal) -> None:
    known = held(journal)
    known.base_on(account("1", "1000"))
    fill(journal, "A", Side.BUY, "0", "USDT")
    assert known.drifts(account("2", "900.0001")) == ()
    assert known.drifts(account("2", "900.001")) != ()
    assert known.drifts([]) == (Drift("BTC", D(2), D(0)), Drift("USDT", D(900), D(0)))


def test_roundings_of_many_agreements_do_not_add_up(journal: Journal) -> None:
    known = held(journal)
    known.base_on(account("1", "100000"))
    usdt, btc, per_agreement = D(100_000), D(1), D("0.0001")  # 100 USDT turned over: just within
    for i in range(60):
        fill(journal, f"{i}", Side.BUY, "0", "USDT")
        btc, usdt = btc + 1, usdt - 100 - per_agreement
        assert known.drifts(account(str(btc), str(usdt))) == ()
        known.take()
        if i % 20 == 7:
            known = held(journal)  # what was agreed on is the venue's total, in the journal too
    assert known.drifts(account(str(btc), str(usdt))) == ()
    (drift,) = known.drifts(account(str(btc), str(usdt - D("0.001"))))
    assert drift == Drift("USDT", usdt, usdt - D("0.001"))
    known.take([drift])
    assert known.drifts(account(str(btc), str(usdt))) == (Drift("USDT", drift.actual, usdt),)


def test_rounding_is_taken_over_beside_a_difference_of_another_currency(journal: Journal) -> None:
    known = held(journal)
    known.base_on(account("1", "1000"))
    fill(journal, "A", Side.BUY, "0", "USDT")
    (drift,) = known.drifts(account("3", "899.9999"))
    assert drift.currency == "BTC"
    known.take([drift])
    fill(journal, "B", Side.BUY, "0", "USDT")
    assert known.drifts(account("4", "799.9998")) == ()


def test_a_slow_leak_without_turnover_adds_up_until_it_is_found(journal: Journal) -> None:
    known = held(journal)
    known.base_on(account("1", "1000"))
    assert known.drifts(account("1", "999.99999994")) == ()
    known.take()
    (deposit,) = known.drifts(account("2", "999.99999994"))  # another currency's agreement
    known.take([deposit])
    assert known.drifts(account("2", "999.99999988")) == (
        Drift("USDT", D(1000), D("999.99999988")),
    )
