"""An exit in parts is one end of one trip: to the pause after losses, and in a run's report."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fairlead.engine.config.model import Risk
from fairlead.engine.orders.model import Side
from fairlead.engine.research.numbers import trades
from tests.unit.risk.test_flat import Trader
from tests.unit.risk.test_gate import BTC, D

LEAST = D("0.3")  # base units
Part = tuple[Side, str, str]  # quantity and price


def trip(way_out: str, *parts: str) -> list[Part]:
    return [(Side.BUY, "1", "100"), *((Side.SELL, part, way_out) for part in parts)]


def of_gate(parts: list[Part], losses: int) -> bool:
    """Whether so many losses pause the strategy; a fee of a hundredth with each part."""
    trader = Trader(Risk(cooldown_losses=losses), min_quantity=LEAST)
    for side, quantity, price in parts:
        trader.at += 1
        fee = (D(quantity) / 100, "USDT")
        trader.gate.filled("", "S-001", BTC, side, D(quantity), D(price), fee, trader.at)
    return trader.pauses


def of_report(parts: list[Part]) -> list[tuple[str, bool]]:
    """Side of each trade, and whether it lost."""
    found = trades([row(*part) for part in parts])
    return [(one["side"], one["pnl"] < 0) for one in found]


def row(side: Side, quantity: str, price: str) -> dict[str, Any]:
    value, sign = D(quantity) * D(price), 1 if side is Side.BUY else -1
    fee = D(quantity) / 100
    return {
        "strategy": "S-001",
        "instrument": BTC,
        "side": side.value,
        "quantity": quantity,
        "value": str(value),
        "quote": "USDT",
        "moved": str(sign * D(quantity)),
        "cash": str(-sign * value - fee),
        "fee": str(fee),
        "fee_currency": "USDT",
        "least": str(LEAST),
        "ts_event": 1,
    }


WAYS = [("0.75", "0.25"), ("0.75", "0.125", "0.125"), ("0.5", "0.25", "0.25"), ("0.8", "0.2")]


@pytest.mark.parametrize("parts", WAYS)
def test_the_last_small_part_of_an_exit_is_no_losing_trip(parts: tuple[str, ...]) -> None:
    """What is left after the part before is less than the venue's least."""
    assert of_report(trip("110", *parts) * 2) == [("long", False)] * 2
    assert not of_gate(trip("110", *parts) * 2, losses=1)


@pytest.mark.parametrize("parts", WAYS)
def test_a_losing_exit_in_parts_is_one_loss(parts: tuple[str, ...]) -> None:
    assert of_report(trip("90", *parts)) == [("long", True)]
    assert not of_gate(trip("90", *parts), losses=2)
    assert of_report(trip("90", *parts) * 2) == [("long", True)] * 2
    assert of_gate(trip("90", *parts) * 2, losses=2)


def test_what_goes_beyond_the_rest_begins_the_next() -> None:
    turned: list[Part] = [(Side.SELL, "1.25", "110"), (Side.BUY, "1", "120")]
    parts = [*trip("110", "0.75"), *turned]  # closes a quarter, goes short by one
    assert of_report(parts) == [("long", False), ("short", True)]
    assert of_gate(parts, losses=1)


def test_a_first_execution_that_goes_back_ends_no_trip() -> None:
    parts: list[Part] = [(Side.BUY, "0.2", "100"), (Side.SELL, "0.2", "90")]
    assert not of_gate(parts, losses=1)


def test_a_rest_that_is_closed_is_forgotten() -> None:
    trader = Trader(Risk(cooldown_losses=1), min_quantity=LEAST)
    for side, quantity, price in trip("110", "0.75", "0.25"):
        trader.gate.filled("", "S-001", BTC, side, D(quantity), D(price), None, trader.at)
    (account,) = trader.gate._states.all
    assert account.state.trips == {"S-001": {}}
    assert trader.own == Decimal(0)
