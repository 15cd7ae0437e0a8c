"""The gate of a replay is asked with what the run's strategies held, and not the backtest's."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType, SimpleNamespace
from typing import Any

from fairlead.engine.run.as_held import AsHeld
from fairlead.engine.run.earlier import Earlier
from tests.unit.backtest_kit import spot
from tests.unit.research.test_own import SECOND_NS, at, fill, order

NAME = "BTCUSDT.TEST"
EARLIER = ("away", "booked")  # orders whose executions a start has booked


class Gate:
    """Its positions by strategy."""

    def __init__(self, held: Mapping[str, Decimal]) -> None:
        self.held = dict(held)
        self.ledger = SimpleNamespace(by_strategy={(name, NAME): held[name] for name in held})

    def seed_positions(self, positions: Mapping[str, Decimal], strategy: str) -> None:
        self.ledger.by_strategy[strategy, NAME] = positions[NAME]

    def settle(self, strategy: str, instrument: str, quantity: Decimal, price: Decimal) -> None:
        assert (instrument, price) == (NAME, 0)
        self.held[strategy] = quantity


def held_at(
    rows: list[dict[str, Any]],
    *secs: float,
    here: Mapping[str, Decimal] = MappingProxyType({}),
    given: Mapping[str, Any] = MappingProxyType({"reduce_only": False}),
    **opening: str,
) -> list[dict[str, Decimal]]:
    begin = {(strategy, NAME): Decimal(quantity) for strategy, quantity in opening.items()}
    here_too = [{**row, "instrument": NAME} for row in rows]
    before = [row for row in here_too if row["client_order_id"] in EARLIER]
    earlier = Earlier(opening=begin, booked=before)
    held = AsHeld([row for row in here_too if row not in before], earlier, SECOND_NS // 2)
    cache = SimpleNamespace(instrument=lambda _: spot(NAME))
    found = []
    for one in secs:
        gate: Any = Gate(here)
        held.settle(gate, cache, at(one), dict(given))
        found.append({name: size.normalize() for name, size in gate.held.items()})
    return found


def test_by_its_executions_fees_in_base_taken_off() -> None:
    rows = [
        order("1", "BUY", fill("0.5", "100", 2, fee="0.001 BTC"), strategy="A"),
        order("2", "SELL", fill("0.2", "100", 3, fee="0.01 USDT"), strategy="A"),
        order("3", "SELL", fill("0.1", "100", 2.5), strategy="B"),
    ]
    assert held_at(rows, 1, 2.51, 9) == [
        {"A": 0, "B": 0},
        {"A": Decimal("0.499"), "B": 0},
        {"A": Decimal("0.299"), "B": Decimal("-0.1")},
    ]


def test_from_what_was_taken_over_on() -> None:
    rows = [
        order("new", "SELL", fill("0.5", "100", 2), strategy="A"),
    ]
    assert held_at(rows, 1, 2.6, A="0.7") == [{"A": Decimal("0.7")}, {"A": Decimal("0.2")}]
    assert held_at(rows, 1.9, A="0.5") == [{"A": Decimal("0.5")}]  # and not what is left at once


def test_from_what_the_start_booked_on_whenever_that_is_told() -> None:
    """By a venue that lists executions, long before; by one that tells a sum, as it was booked."""
    rows = [
        order("away", "BUY", fill("0.4", "100", -70, fee="0.001 BTC"), strategy="A"),
        order("booked", "BUY", fill("0.3", "100", 1.5), strategy="B"),
        order("new", "SELL", fill("0.5", "100", 2), strategy="A"),
    ]
    held = [
        {"A": Decimal("0.599"), "B": Decimal("0.3")},
        {"A": Decimal("0.099"), "B": Decimal("0.3")},
    ]
    assert held_at(rows, 1, 2.6, A="0.2") == held


def test_once_a_kill_has_closed_something_nobody_knows_whose() -> None:
    rows = [
        order("1", "BUY", fill("0.5", "100", 1), strategy="A"),
        order("2", "SELL", fill("0.5", "100", 3), strategy="KILL"),
    ]
    assert held_at(rows, 2, 3) == [{"A": Decimal("0.5")}, {}]


def test_where_the_backtest_holds_what_the_run_held_within_the_venues_clock_it_is_that() -> None:
    """Else an exit right behind its entry would come before it."""
    rows = [order("1", "BUY", fill("0.5", "100", 2, fee="0.0010000012 BTC"), strategy="A")]
    has_it, half = {"A": Decimal("0.499")}, {"A": Decimal("0.3")}
    assert held_at(rows, 1.6, here=has_it) == [{"A": Decimal("0.4989999988")}]  # to its last digit
    assert held_at(rows, 1.4, here=has_it) == [{"A": 0}]
    assert held_at(rows, 1.6, here=half) == [{"A": 0}]
    assert held_at(rows, 2.0, here=half) == [{"A": Decimal("0.4989999988")}]


def test_an_exit_reduced_the_most_that_was_held_within_the_venues_clock() -> None:
    rows = [
        order("1", "BUY", fill("0.5", "100", 2), strategy="A"),
        order("2", "SELL", fill("0.5", "100", 2.2), strategy="A"),
    ]
    leaves = {"reduce_only": True, "side": "SELL", "strategy": "A", "instrument": NAME}
    assert held_at(rows, 1.9, 2.3, given=leaves) == [{"A": Decimal("0.5")}] * 2
    assert held_at(rows, 2.3, given={**leaves, "side": "BUY"}) == [{"A": 0}]
    by_role = {**leaves, "reduce_only": False, "role": "exit"}  # no venue is told that it is one
    assert held_at(rows, 2.3, given=by_role) == [{"A": Decimal("0.5")}]
    assert held_at(rows, 2.3, given={**by_role, "role": "entry"}) == [{"A": 0}]
