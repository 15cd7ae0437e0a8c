"""Each exit sells the units of its own entry, in a backtest as at a venue."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.unit.matching.exits import (
    LATENCY_MS,
    MS,
    SIDES,
    Told,
    calm,
    exits_of,
    follow,
    mirrored,
    one,
    outcome,
    sold,
    three,
)


@pytest.mark.parametrize("account", ["cash", "margin"])
def test_two_touched_stops_sell_their_own_and_the_third_stays(tmp_path: Path, account: str) -> None:
    steps = [
        [100, "bracket", "a", "BUY", "1.0", "98.60", "120.00"],
        [100, "bracket", "b", "BUY", "1.0", "98.50", "120.00"],
        [100, "bracket", "c", "BUY", "1.0", "95.00", "120.00"],
    ]
    strategy, rows = follow(tmp_path, "min", steps, account=account)
    assert [sold(exits_of(rows, strategy, name)) for name in "abc"] == [1, 1, 0]
    (third,) = exits_of(rows, strategy, "c")
    assert (third["status"], third["quantity"]) == ("ACCEPTED", "1.0")
    assert {row["reduce_only"] for row in rows if row["entry"]} == {True}  # as it was asked for
    assert strategy.refused == []


@pytest.mark.parametrize("latency_ms", [0, 5, 60])
def test_bracket_has_its_stop_at_once_whatever_others_have(tmp_path: Path, latency_ms: int) -> None:
    steps = [
        [100, "bracket", "a", "BUY", "1.0", "98.60", "120.00"],
        [200, "bracket", "b", "BUY", "1.0", "97.60", "120.00"],
        [300, "bracket", "c", "BUY", "1.0", "95.00", "120.00"],
    ]
    strategy, rows = follow(tmp_path, "fall", steps, latency_ms=latency_ms)
    for name, taken in zip("abc", (1, 1, 0), strict=True):
        (stop,) = exits_of(rows, strategy, name)
        (bought,) = one(rows, strategy, name)["fills"]
        assert stop["ts_accepted"] - bought["ts_event"] == latency_ms * MS
        assert (sold([stop]), stop["changes"]) == (taken, [])
    assert strategy.refused == []


def test_each_part_of_an_entry_has_a_stop_of_its_size_at_once(tmp_path: Path) -> None:
    steps = [[100, "bracket", "a", "BUY", "3.0", "98.60", "120.00", "99.95"]]
    strategy, rows = follow(tmp_path, "part", steps, account="cash")
    parts = one(rows, strategy, "a")["fills"]
    stops = exits_of(rows, strategy, "a")
    assert len(parts) == len(stops) == 3
    for part, stop in zip(parts, stops, strict=True):
        assert stop["ts_accepted"] - part["ts_event"] == LATENCY_MS * MS
        assert (stop["quantity"], stop["filled"], stop["changes"]) == (part["quantity"],) * 2 + (
            [],
        )
    assert strategy.refused == []


@SIDES
@pytest.mark.parametrize("latency_ms", [0, 5])
def test_brackets_of_different_sizes_stop_and_reach_their_targets_alone(
    tmp_path: Path, side: str, latency_ms: int
) -> None:
    told = Told(side)
    calm(told)
    for at in range(5):  # the first two stops
        told.book(1000 + at * 100, {98.4: 50, 98.3: 50}, {98.6: 50})
        told.trade(1050 + at * 100, 98.4, 0.01)
    for at in range(10):  # the third's target
        told.book(2000 + at * 100, {102.1: 50}, {102.3: 50})
        told.trade(2050 + at * 100, 102.2, 0.01, against=False)
    steps = three(side)
    strategy, rows = outcome(tmp_path, told.write(tmp_path), steps, latency_ms=latency_ms)
    assert [sold(exits_of(rows, strategy, name)) for name in "abc"] == [
        Decimal("0.5"),
        1,
        2,
    ]
    roles = [{row["role"] for row in exits_of(rows, strategy, n) if sold([row])} for n in "abc"]
    assert roles == [{"stop"}, {"stop"}, {"target"}]
    assert strategy.held[-1][1] == 0
    assert strategy.refused == []


@SIDES
def test_stop_that_fills_in_parts_leaves_the_other_brackets_alone(
    tmp_path: Path, side: str
) -> None:
    told = Told(side)
    calm(told)
    told.trade(1000, 98.55, 0.01)  # fires the first stop, 98.60 with the limit near 97.60
    told.book(1010, {98.5: 0.2}, {98.9: 50})
    for at in range(5):
        told.book(1100 + at * 100, {97.7: 0.1, 97.0: 50}, {98.9: 50})
        told.trade(1150 + at * 100, 98.7, 0.01, against=False)
    strategy, rows = outcome(tmp_path, told.write(tmp_path), three(side))
    (first,) = exits_of(rows, strategy, "a")
    assert 0 < Decimal(first["filled"]) <= Decimal("0.5")
    assert (first["quantity"], first["changes"]) == ("0.500", [])
    for name, size in (("b", "1.000"), ("c", "2.000")):
        (stop,) = exits_of(rows, strategy, name)
        assert (stop["quantity"], stop["filled"], stop["changes"]) == (size, "0.000", [])


@SIDES
def test_entries_filled_in_parts_have_their_stops_beside_another_bracket(
    tmp_path: Path, side: str
) -> None:
    told = Told(side)
    calm(told, 0, 500)
    parts = [(600, 0.3), (650, 0.5), (900, 0.2)]
    for ms, size in parts:
        told.book(ms - 20, {99.0: 50}, {99.8: 50})
        told.trade(ms, 99.5, size)
    for at in range(10):
        told.book(1000 + at * 100, {98.9: 50}, {99.1: 50})
        told.trade(1050 + at * 100, 99.0, 0.01)
    steps = [
        [110, "bracket", "whole", side, "2.000", mirrored(side, "90"), mirrored(side, "120")],
        [
            120,
            "bracket",
            "parts",
            side,
            "1.000",
            mirrored(side, "98.00"),
            mirrored(side, "120"),
            mirrored(side, "99.50"),
        ],
    ]
    strategy, rows = outcome(tmp_path, told.write(tmp_path), steps, risk='off = ["SELF_CROSS"]')
    filled = one(rows, strategy, "parts")["fills"]
    stops = exits_of(rows, strategy, "parts")
    assert [Decimal(f["quantity"]) for f in filled] == [Decimal(str(size)) for _, size in parts]
    for part, stop in zip(filled, stops, strict=True):
        assert stop["ts_accepted"] - part["ts_event"] == LATENCY_MS * MS
        assert (stop["quantity"], stop["status"]) == (part["quantity"], "ACCEPTED")
    (whole,) = exits_of(rows, strategy, "whole")
    assert (whole["quantity"], whole["changes"]) == ("2.000", [])


@SIDES
@pytest.mark.parametrize("latency_ms", [0, 5])
def test_entry_that_takes_many_levels_has_one_stop_at_once(
    tmp_path: Path, side: str, latency_ms: int
) -> None:
    told = Told(side)
    calm(told, 0, 100)
    for ms in range(100, 1000, 100):
        above = {round(100.1 + at / 100, 2): 0.2 for at in range(10)}
        told.book(ms, {99.9: 50, 99.8: 50}, above)
        told.trade(ms + 50, 100.0, 0.01)
    steps = [[110, "bracket", "a", side, "1.300", mirrored(side, "98"), mirrored(side, "120")]]
    catalog = told.write(tmp_path)
    strategy, rows = outcome(tmp_path, catalog, steps, latency_ms=latency_ms)
    parts = one(rows, strategy, "a")["fills"]
    (stop,) = exits_of(rows, strategy, "a")
    assert len(parts) == 7
    assert (stop["quantity"], stop["status"], stop["changes"]) == ("1.300", "ACCEPTED", [])
    assert {stop["ts_accepted"] - part["ts_event"] for part in parts} == {latency_ms * MS}
