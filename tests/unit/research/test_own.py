"""Which of the recorded trades a live run made itself, and where it met itself."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fairlead.engine.research.events import Event
from fairlead.engine.research.own import Met, Print, Prints, meetings, own_prints

NAME, SECOND_NS, BEGIN_NS = "BTC_USDT.VENUE", 1_000_000_000, 1_700_000_000_000_000_000


def at(secs: float) -> int:
    return BEGIN_NS + int(secs * SECOND_NS)


def fill(quantity: str, price: str, secs: float, **more: Any) -> dict[str, Any]:
    usual = {"trade_id": "X", "liquidity": "TAKER", "synthetic": False, "fee": None}
    return {"quantity": quantity, "price": price, "ts_event": at(secs), **usual, **more}


def told_as_sum(quantity: str, price: str, secs: float) -> dict[str, Any]:
    return fill(quantity, price, secs, liquidity="NOT TOLD", synthetic=True)


def order(name: str, side: str, *fills: Any, secs: float = 1.0, **more: Any) -> dict[str, Any]:
    usual = {
        "instrument": NAME,
        "kind": "MARKET",
        "price": None,
        "quantity": "1",
        "status": "FILLED",
        "ts_init": at(secs),
        "ts_sent": at(secs),
        "ts_accepted": at(secs + 0.01),
        "ts_last": at(secs + 0.1),
        "changes": [],
        "asked": [],
    }
    return {"client_order_id": name, "side": side, "fills": list(fills), **usual, **more}


def sold(id_: str, size: str, price: str, secs: float, side: str = "SELL") -> Print:
    return Print(ts=at(secs), id=id_, side=side, price=Decimal(price), size=Decimal(size))


def found(orders: list[dict[str, Any]], *prints: Print) -> dict[str, list[str]]:
    told = own_prints(orders, {NAME: prints}, SECOND_NS)
    return {name: [one.id for one in made] for name, made in told.of.items()}


def unfound(orders: list[dict[str, Any]], *prints: Print) -> list[str]:
    return list(own_prints(orders, {NAME: prints}, SECOND_NS).unfound)


def test_a_trade_is_known_by_the_venues_id() -> None:
    mine = order("A", "SELL", fill("0.5", "100", 1.1, trade_id="BTC_USDT-12"))
    prints = [sold("11", "0.5", "100", 1.02), sold("12", "0.5", "100", 1.04)]
    assert found([mine], *prints) == {"A": ["12"]}


def test_else_by_price_size_side_and_time() -> None:
    mine = order("A", "SELL", fill("0.5", "100", 1.1))
    prints = [
        sold("before", "0.5", "100", 0.9),
        sold("side", "0.5", "100", 1.01, side="BUY"),
        sold("price", "0.5", "100.1", 1.01),
        sold("size", "0.4", "100", 1.01),
        sold("it", "0.5", "100", 1.02),
        sold("later", "0.5", "100", 2.5),
    ]
    assert found([mine], *prints) == {"A": ["it"]}
    assert unfound([mine], *prints[:4], prints[5]) == ["A"]


def test_one_to_one() -> None:
    two = [
        order("A", "SELL", told_as_sum("0.5", "100", 1.2)),
        order("B", "SELL", told_as_sum("0.5", "100", 1.2), secs=1.02),
    ]
    prints = [sold("1", "0.5", "100", 1.03), sold("2", "0.5", "100", 1.04)]
    assert found(two, *prints) == {"A": ["1"], "B": ["2"]}
    assert unfound(two, prints[0]) == ["B"]


def test_who_met_an_order_at_rest_is_another() -> None:
    made = order("A", "BUY", fill("0.5", "100", 1.1, liquidity="MAKER"), price="100")
    untold = order("B", "BUY", told_as_sum("0.5", "100", 1.1), price="100", kind="LIMIT")
    for one in (made, untold):
        assert found([one], sold("1", "0.5", "100", 1.1)) == {}
        assert unfound([one], sold("1", "0.5", "100", 1.1)) == []


def test_several_levels_are_told_by_their_average() -> None:
    mine = order("A", "BUY", told_as_sum("0.4", "100.25", 1.2))
    prints = [
        sold("other", "0.3", "100", 1.01, side="BUY"),
        sold("1", "0.3", "100", 1.02, side="BUY"),
        sold("2", "0.1", "101", 1.02, side="BUY"),
    ]
    assert found([mine], *prints) == {"A": ["1", "2"]}


def test_a_rest_at_its_limit_is_another_trade() -> None:
    mine = order("A", "BUY", told_as_sum("1", "99.7", 1.9), kind="LIMIT", price="100")
    prints = [sold("took", "0.3", "99", 1.02, side="BUY"), sold("met it", "0.7", "100", 1.5)]
    assert found([mine], *prints) == {"A": ["took"]}


def test_what_met_several_at_one_price_is_one_trade() -> None:
    mine = order("A", "SELL", fill("0.2", "100", 1.1), fill("0.3", "100", 1.1))
    assert found([mine], sold("1", "0.5", "100", 1.02)) == {"A": ["1"]}


def test_anothers_trade_of_one_parts_size_is_not_taken_for_that_part() -> None:
    """Where one print is of several executions: else it counted as another's, and was taken twice
    in a replay."""
    mine = order("A", "SELL", fill("0.2", "100", 1.1), fill("0.3", "100", 1.1))
    other = sold("other", "0.2", "100", 1.01)
    whole = sold("1", "0.5", "100", 1.02)
    assert found([mine], other, whole) == {"A": ["1"]}
    assert unfound([mine], other, whole) == []
    each = [sold("2", "0.2", "100", 1.02), sold("3", "0.3", "100", 1.02)]
    assert found([mine], sold("other", "0.5", "100", 1.01), *each) == {"A": ["2", "3"]}
    assert unfound([mine], other) == ["A"]


def test_where_no_trades_are_recorded_none_is_missing() -> None:
    assert unfound([order("A", "SELL", fill("0.5", "100", 1.1))]) == []


def resting(name: str, side: str, price: str, **more: Any) -> dict[str, Any]:
    usual = {"kind": "LIMIT", "price": price, "status": "CANCELED", "ts_last": at(9)}
    return order(name, side, secs=0.5, **{**usual, **more})


def met(taker: dict[str, Any], *others: dict[str, Any]) -> Met | None:
    return meetings(["A"], [taker, *others], Prints(of={}, unfound=()), SECOND_NS).get("A")


def test_an_order_that_the_venue_ended_against_another_of_the_run() -> None:
    ended = order("A", "BUY", status="CANCELED", ts_last=at(1.02))
    one = met(ended, resting("far", "SELL", "103"), resting("near", "SELL", "102"))
    assert one is not None
    assert one.price == Decimal(102)
    assert "near" in one.words
    behind, before = (Event("fill", at(1), ("1", price)) for price in ("102.5", "101"))
    assert one.explains(behind)
    assert not one.explains(before)  # that it would have had first


@pytest.mark.parametrize(
    ("mine", "other"),
    [
        ({}, {"side": "BUY"}),
        ({}, {"ts_last": at(0.9)}),  # it was over
        ({}, {"ts_accepted": at(1.5)}),  # it was not there yet
        ({}, {"kind": "STOP_LIMIT"}),
        ({"kind": "LIMIT", "price": "101"}, {}),  # not within its limit
        ({"asked": [{"what": "cancel", "ts": at(1.01)}]}, {}),  # by its strategy
        ({"status": "FILLED"}, {}),
    ],
)
def test_an_order_that_met_no_other(mine: dict[str, Any], other: dict[str, Any]) -> None:
    ended = {**order("A", "BUY", status="CANCELED", ts_last=at(1.02)), **mine}
    assert met(ended, {**resting("B", "SELL", "102"), **other}) is None


def test_two_of_a_run_that_traded_with_each_other() -> None:
    taker = order("A", "BUY", told_as_sum("1", "102", 1.1))
    maker = resting("B", "SELL", "102", status="FILLED") | {"fills": [told_as_sum("1", "102", 1.3)]}
    prints = own_prints([taker], {NAME: [sold("1", "1", "102", 1.02, side="BUY")]}, SECOND_NS)
    both = meetings(["A", "B"], [taker, maker], prints, SECOND_NS)
    assert "it traded with B" in both["A"].words
    assert "A of the same run" in both["B"].words


def test_a_bid_at_rest_took_no_trade_above_its_limit() -> None:
    """A maker's execution, told as a sum much later: a small trade of another, above its limit."""
    mine = order("A", "BUY", told_as_sum("1", "57163.88", 30), kind="LIMIT", price="57163.88")
    above = sold("other", "0.01", "57164.30", 1.5, side="BUY")
    assert found([mine], above, sold("met it", "1", "57163.88", 29.9)) == {}


def test_nor_did_a_small_rest_of_it() -> None:
    fills = [told_as_sum("0.999", "57163.88", 20), told_as_sum("0.001", "57163.88", 30)]
    mine = order("A", "BUY", *fills, kind="LIMIT", price="57163.88")
    prints = [
        sold("1", "0.999", "57163.88", 19.9),
        sold("other", "0.001", "57167.00", 25, side="BUY"),
        sold("2", "0.001", "57163.88", 29.9),
    ]
    assert found([mine], *prints) == {}
