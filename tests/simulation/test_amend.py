"""An order that is amended keeps its number, loses its place, and holds what it needs now."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fairlead.adapters.simulation.exchange import Exchange
from fairlead.adapters.simulation.orders import Refusal, RefusalCode, SimOrder, Status
from fairlead.engine.orders.model import Side, TriggerCondition
from tests.simulation.test_exchange import M, accepted, make_exchange, order, refused

D = Decimal
BUY, SELL = Side.BUY, Side.SELL


def amended(
    exchange: Exchange, of: SimOrder, price: str, quantity: str, account: str = "alice"
) -> SimOrder | Refusal:
    return exchange.amend(account, of.id, D(price), D(quantity), 5)


@pytest.mark.parametrize(("side", "currency"), [(BUY, "USDT"), (SELL, "BTC")])
def test_it_keeps_its_number_and_holds_what_it_needs(side: Side, currency: str) -> None:
    exchange = make_exchange()
    resting = accepted(exchange.submit("alice", order(side, "1", "100"), 2))
    made = accepted(amended(exchange, resting, "90", "2"))
    assert made is resting
    assert (made.price, made.quantity) == (D(90), D(2))
    held = exchange.ledger.balance("alice", currency)
    assert held.locked == made.hold == (D(180) if side is BUY else D(2))
    accepted(amended(exchange, resting, "90", "0.5"))
    assert exchange.ledger.balance("alice", currency).locked == made.hold
    exchange.cancel("alice", resting.id, 6)
    assert exchange.ledger.balance("alice", currency).locked == 0


def test_it_goes_to_the_end_of_its_queue() -> None:
    exchange = make_exchange()
    first = accepted(exchange.submit("alice", order(BUY, "1", "100"), 2))
    second = accepted(exchange.submit("bob", order(BUY, "1", "100"), 3))
    accepted(amended(exchange, first, "100", "1.5"))
    exchange.sweep(M, SELL, D(1), 6)
    assert (second.status, first.executed) == (Status.FILLED, D(0))
    assert exchange.markets[M].book.bids.levels(5) == [(D(100), D("1.5"))]


def test_it_trades_where_its_price_lets_it() -> None:
    exchange = make_exchange()
    exchange.set_level(M, SELL, D(110), D(1), 2)
    resting = accepted(exchange.submit("alice", order(BUY, "1", "100"), 3))
    made = accepted(amended(exchange, resting, "120", "1"))
    assert (made.status, made.avg_price) == (Status.FILLED, D(110))
    assert exchange.ledger.balance("alice", "USDT").locked == 0


def test_a_quantity_that_is_executed_already_ends_it() -> None:
    exchange = make_exchange()
    resting = accepted(exchange.submit("alice", order(BUY, "1", "100"), 2))
    exchange.sweep(M, SELL, D("0.4"), 3)
    made = accepted(amended(exchange, resting, "100", "0.4"))
    assert (made.status, made.executed) == (Status.CANCELED, D("0.4"))
    assert exchange.ledger.balance("alice", "USDT").locked == 0


def test_what_is_refused_changes_nothing() -> None:
    exchange = make_exchange()
    exchange.set_level(M, SELL, D(110), D(1), 2)
    resting = accepted(exchange.submit("alice", order(BUY, "1", "100", post_only=True), 3))
    stop = order(SELL, "1", "80", trigger_price=D(90), trigger_condition=TriggerCondition.LTE)
    waiting = accepted(exchange.submit("alice", stop, 3))
    entries = len(exchange.ledger.entries)
    assert refused(amended(exchange, resting, "110", "1")) is RefusalCode.WOULD_TAKE
    poor = amended(exchange, resting, "100", "2000")
    assert refused(poor) is RefusalCode.INSUFFICIENT_FUNDS
    assert refused(amended(exchange, waiting, "80", "2")) is RefusalCode.NOT_OPEN
    other = amended(exchange, resting, "90", "1", account="bob")
    assert refused(other) is RefusalCode.UNKNOWN_ORDER
    assert len(exchange.ledger.entries) == entries
    assert exchange.markets[M].book.bids.levels(5) == [(D(100), D(1))]
    exchange.cancel("alice", resting.id, 6)
    assert refused(amended(exchange, resting, "90", "1")) is RefusalCode.NOT_OPEN
