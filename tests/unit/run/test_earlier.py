"""What a replay begins with is whose the run's own tables say."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from fairlead.engine.run.earlier import notes, sent
from tests.unit.backtest_kit import spot
from tests.unit.research.test_own import at, fill, order

NAME = "BTCUSDT.TEST"
EARLY: dict[str, Any] = {"instrument": NAME, "secs": -70.0, "filled": "1"}


def run_of(orders: list[dict[str, Any]], parts: list[dict[str, Any]]) -> Any:
    fills = [
        {**one, "client_order_id": row["client_order_id"]} for row in orders for one in row["fills"]
    ]
    tables = {"orders": orders, "fills": fills, "parts": parts}
    held = {"instrument": NAME, "opening_position": "-0.4"}
    summary = {"start_ns": at(0), "strategies": [{**held, "strategy": "A"}], "instruments": []}
    manifest = SimpleNamespace(files={"parts.jsonl": ""})
    return SimpleNamespace(rows=tables.__getitem__, summary=summary, manifest=manifest)


def part(strategy: str, quantity: str, fee: str, **more: Any) -> dict[str, Any]:
    told = {"fee": fee, "fee_currency": "BTC", "is_fill": True, "instrument": NAME}
    return {"ts_event": at(0.1), "strategy": strategy, "quantity": quantity, **told, **more}


def test_what_a_kill_closed_while_nothing_ran_is_of_those_who_had_it() -> None:
    bought = {**fill("1", "100", 0.1, fee="0.004 BTC"), "trade_id": "7", "at_start": True}
    rows = [order("K", "BUY", bought, strategy="KILL", **EARLY)]
    given = part("B", "0.2", "", is_fill=False, moved="0.2", ts_event=at(0.2))
    run = run_of(rows, [part("A", "0.4", "0.0016"), given, part("B", "0.6", "0.0024")])
    left, found = sent(run, {NAME}, frozenset())
    assert left == []
    booked = [(one["strategy"], one["fills"][0]["quantity"]) for one in found.booked]
    assert booked == [("A", "0.4"), ("B", "0.6")]
    assert found.opening == {("A", NAME): Decimal("-0.4")}
    assert found.handed == [(at(0.2), ("B", NAME), Decimal("0.2"))]
    assert found.balance(NAME, "BTC") == Decimal("0.996")


def test_an_execution_that_no_replay_plays_is_in_no_net() -> None:
    """One that the start booked, and two of which the run heard later."""
    away = {**fill("1", "100", -60, fee="0.01 BTC"), "at_start": True}
    late, then = ({**fill("1", "90", secs, fee="2 USDT"), "at_start": False} for secs in (5, 6))
    given_up = order("late", "SELL", late, **EARLY)
    del given_up["changes"]
    given_up |= {"ts_cancelled": None, "trigger_price": None}
    rows = [
        order("away", "BUY", away, **EARLY),
        given_up,
        order("unknown", "SELL", then, unknown_at_start=True, **{**EARLY, "ts_last": at(6)}),
        order("mine", "BUY", fill("1", "100", 7), instrument=NAME),
    ]
    run = run_of([{"strategy": "A", **row} for row in rows], [])
    left, found = sent(run, {NAME}, frozenset())
    assert [row["client_order_id"] for row in left] == ["mine"]
    held = {row["client_order_id"]: row["fills"] for row in found.over}
    assert held == {"away": [], "late": [late], "unknown": [then]}
    cache = SimpleNamespace(instrument=lambda _: spot(NAME))
    nets = found.nets({NAME: Decimal(110)}, cache)
    assert nets == {NAME: ("USDT", Decimal("8.9") - 2 * 22, 3)}
    told = list(notes(run, found, nets, {NAME}))
    assert told[0] == "2 orders had ended when the run began: they are not compared"
    assert told[1].startswith("1 orders were of unknown outcome")
    assert "of 3 executions of orders of earlier runs" in told[2]
