"""What a simulated venue has before it speaks any wire protocol."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import pytest

from fairlead.adapters.simulation.exchange import ExchangeOptions
from fairlead.adapters.simulation.market import SeededFlow
from fairlead.adapters.simulation.orders import MarketSpec, NewOrder, SimOrder
from fairlead.adapters.simulation.shell import QUIET_EVENTS_PER_SEC, SimOptions, SimState
from fairlead.engine.orders.model import Side

T0 = 1_800_000_000_000_000_000


def spec(base: str, quote: str) -> MarketSpec:
    return MarketSpec(
        id=f"{base}{quote}", base=base, quote=quote, price_precision=4, size_precision=4
    )


LISTED = [(spec("BTC", "USDT"), Decimal(60_000)), (spec("ETH", "BTC"), Decimal("0.05"))]
MATCHING = ExchangeOptions(first_order_id=100, first_trade_id=900, stop_hold="trigger")


def state(more: dict[str, Any] | None = None, **start: Any) -> SimState[SimOptions]:
    options = SimOptions(
        balances={"USDT": Decimal(1000)}, active_markets=("BTCUSDT",), settle_ms=20, **(more or {})
    )
    return SimState(options, "mine", LISTED, MATCHING, now_ns=T0, **start)


def test_the_account_is_funded_and_the_ledger_says_so() -> None:
    made = state()
    assert made.exchange.ledger.balance("mine", "USDT").free == 1000
    assert [entry.reason for entry in made.exchange.ledger.entries] == ["deposit"]


def test_ids_begin_where_they_are_told_to_and_the_venue_keeps_its_own_rules() -> None:
    made = state(ids_from=7)
    new = NewOrder(market="BTCUSDT", side=Side.BUY, quantity=Decimal(1), price=Decimal(1))
    order = made.exchange.submit("mine", new, T0)
    assert isinstance(order, SimOrder)
    assert order.id == 107
    options = made.exchange.options
    assert (options.settle_ns, options.stop_hold) == (20_000_000, "trigger")


def test_an_option_that_changes_reaches_the_exchange_which_keeps_the_others() -> None:
    made = state()
    made.change(settle_ms=500)
    assert made.options.settle_ms == 500
    assert made.options.balances == {"USDT": 1000}
    assert made.exchange.options.settle_ns == 500_000_000
    assert made.exchange.options.stop_hold == "trigger"


def test_other_markets_are_quiet_and_sized_in_their_own_quote_currency() -> None:
    active, quiet = (flow._options for flow in state().driver.flows if isinstance(flow, SeededFlow))
    assert active.level_funds == quiet.level_funds * 60_000
    assert active.trade_funds == quiet.trade_funds * 60_000
    assert active.book_events_per_sec > quiet.book_events_per_sec == QUIET_EVENTS_PER_SEC


def test_one_seed_gives_one_market() -> None:
    books = []
    for seed in (3, 3, 4):
        made = state(seed=seed)
        made.driver.advance(T0 + 5_000_000_000)
        books.append(made.exchange.markets["BTCUSDT"].book.asks.levels(5))
    assert books[0] == books[1] != books[2]


def test_a_market_that_is_not_live_does_not_move() -> None:
    made = state({"is_market_live": False})
    before = made.exchange.markets["BTCUSDT"].book.asks.levels(50)
    made.driver.advance(T0 + 60_000_000_000)
    assert made.exchange.markets["BTCUSDT"].book.asks.levels(50) == before


def test_a_recording_needs_a_market_of_the_venue() -> None:
    class Source:
        def items(self) -> Any:
            raise AssertionError("is not read")

    with pytest.raises(ValueError, match="NOSUCH is not a market"):
        state(replay=Source(), replay_market="NOSUCH")


def test_a_venue_without_switches_of_its_own() -> None:
    made = state()
    assert made.vary(Random(1)) == {}
    assert made.ledger_id("107") == 107
    with pytest.raises(ValueError, match="no switches"):
        made.control({})
