"""Reduce-only exits of a strategy of its own, order lists, and orders with an end."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.engine.run.backtest import run_backtest
from fairlead.engine.run.config import load
from tests.kernel.bench import BEGIN
from tests.kernel.bench import IID as BENCH_IID
from tests.support.order_lines import order_lines
from tests.unit import backtest_kit as kit
from tests.unit.matching.exits import (
    FREE,
    GUARDED,
    LATENCY_MS,
    MS,
    PLAIN,
    RISK,
    SIDES,
    Told,
    calm,
    changes,
    exits_of,
    mirrored,
    one,
    other,
    outcome,
    require_own,
    sold,
    three,
)

# -- a strategy's own reduce-only orders -----------------------------------------------------------


def rising(side: str) -> Told:
    told = Told(side)
    calm(told)
    for at in range(10):
        told.book(1000 + at * 100, {105.1: 50}, {105.3: 50})
        told.trade(1050 + at * 100, 105.2, 50.0, against=False)
    return told


@SIDES
def test_own_reduce_only_exit_sells_what_it_says_beside_a_bracket(
    tmp_path: Path, side: str
) -> None:
    steps = [
        [110, "bracket", "kept", side, "1.000", mirrored(side, "95.00"), mirrored(side, "120.00")],
        [130, "market", "own", side, "1.500"],
        [150, "limit", "out", other(side), "1.500", mirrored(side, "105.00"), True],
    ]
    strategy, rows = outcome(tmp_path, rising(side).write(tmp_path), steps)
    assert one(rows, strategy, "out")["filled"] == "1.500"
    (stop,) = exits_of(rows, strategy, "kept")
    assert (stop["status"], stop["quantity"], stop["changes"]) == ("ACCEPTED", "1.000", [])
    assert abs(strategy.held[-1][1]) == 1.0


@SIDES
@pytest.mark.parametrize("path", [GUARDED, PLAIN])
def test_second_exit_of_a_whole_position_is_refused(tmp_path: Path, side: str, path: str) -> None:
    steps = [
        [110, "market", "own", side, "1.000"],
        [150, "limit", "out", other(side), "1.000", mirrored(side, "105.00"), True],
        [160, "limit", "more", other(side), "1.000", mirrored(side, "104.50"), True],
    ]
    strategy, rows = outcome(tmp_path, rising(side).write(tmp_path), steps, path=path)
    assert [one(rows, strategy, name)["filled"] for name in ("own", "out")] == ["1.000"] * 2
    assert [row["client_order_id"] for row in rows].count(str(strategy.ids["more"])) == 0
    assert strategy.held[-1][1] == 0


@SIDES
def test_where_nothing_holds_exits_together_the_exchange_does(tmp_path: Path, side: str) -> None:
    """Both are touched by the same print; the position never turns over."""
    steps = [
        [110, "market", "own", side, "1.000"],
        [150, "limit", "out", other(side), "1.000", mirrored(side, "105.00"), True],
        [160, "limit", "more", other(side), "1.000", mirrored(side, "104.50"), True],
    ]
    off = 'off = ["EXIT_EXCEEDS", "SELF_CROSS"]'
    catalog = rising(side).write(tmp_path)
    strategy, rows = outcome(tmp_path, catalog, steps, path=PLAIN, risk=off)
    signed = [held if side == "BUY" else -held for _, held in strategy.held]
    assert min(signed) == 0
    taken = [one(rows, strategy, name) for name in ("out", "more")]
    assert sold(taken) == 1
    assert "CANCELED" in {row["status"] for row in taken}


@SIDES
@pytest.mark.parametrize("latency_ms", [0, 5])
def test_exit_is_cut_to_what_other_orders_have_left(
    tmp_path: Path, side: str, latency_ms: int
) -> None:
    steps = [
        [110, "market", "own", side, "1.000"],
        [150, "limit", "out", other(side), "1.000", mirrored(side, "105.00"), True],
        [300, "market", "some", other(side), "0.300"],
        [302, "market", "more", other(side), "0.200"],  # before the first cut has arrived
    ]
    catalog = rising(side).write(tmp_path)
    strategy, rows = outcome(tmp_path, catalog, steps, latency_ms=latency_ms)
    cut = one(rows, strategy, "out")
    assert (cut["filled"], cut["status"]) == ("0.500", "FILLED")
    assert changes(cut) == [
        (300 + 2 * latency_ms, "0.700"),
        (302 + 2 * latency_ms, "0.500"),
    ]
    assert strategy.held[-1][1] == 0


@SIDES
def test_an_exit_told_in_few_digits_is_cut_on_the_grid(tmp_path: Path, side: str) -> None:
    """A size of no decimals can be cut to one of three all the same."""
    steps = [
        [110, "market", "own", side, "1.000"],
        [150, "limit", "out", other(side), "1", mirrored(side, "105.00"), True],
        [300, "market", "some", other(side), "0.300"],
    ]
    strategy, rows = outcome(tmp_path, rising(side).write(tmp_path), steps)
    cut = one(rows, strategy, "out")
    assert (Decimal(cut["filled"]), cut["status"]) == (Decimal("0.7"), "FILLED")
    assert strategy.held[-1][1] == 0


@SIDES
def test_exit_is_cancelled_when_the_position_is_closed_or_turned(tmp_path: Path, side: str) -> None:
    steps = [
        [110, "market", "own", side, "1.000"],
        [150, "limit", "out", other(side), "1.000", mirrored(side, "105.00"), True],
        [300, "market", "turn", other(side), "1.500"],
    ]
    strategy, rows = outcome(tmp_path, rising(side).write(tmp_path), steps)
    gone = one(rows, strategy, "out")
    assert (gone["status"], gone["filled"]) == ("CANCELED", "0.000")
    assert (gone["ts_last"] - BEGIN) / MS == 300 + 2 * LATENCY_MS
    assert abs(strategy.held[-1][1]) == 0.5


@SIDES
def test_cut_that_is_smaller_than_two_exits_takes_the_newest(tmp_path: Path, side: str) -> None:
    steps = [
        [110, "market", "own", side, "1.000"],
        [150, "limit", "first", other(side), "0.600", mirrored(side, "105.00"), True],
        [160, "limit", "second", other(side), "0.400", mirrored(side, "104.00"), True],
        [300, "market", "some", other(side), "0.500"],
    ]
    strategy, rows = outcome(tmp_path, rising(side).write(tmp_path), steps)
    first, second = (one(rows, strategy, name) for name in ("first", "second"))
    assert (first["filled"], second["filled"], second["status"]) == ("0.500", "0.000", "CANCELED")
    assert strategy.held[-1][1] == 0


@SIDES
def test_change_of_an_order_that_is_being_changed_arrives_when_it_is_due(
    tmp_path: Path, side: str
) -> None:
    steps = [
        [110, "limit", "out", side, "1.000", mirrored(side, "95.00")],
        [301, "resize", "out", "0.700"],
        [303, "resize", "out", "0.500"],
    ]
    strategy, rows = outcome(tmp_path, rising(side).write(tmp_path), steps)
    assert changes(one(rows, strategy, "out")) == [(306, "0.700"), (308, "0.500")]


@SIDES
def test_resized_exit_is_held_to_the_position_still(tmp_path: Path, side: str) -> None:
    steps = [
        [110, "market", "own", side, "1.000"],
        [150, "limit", "out", other(side), "0.400", mirrored(side, "105.00"), True],
        [300, "resize", "out", "0.900"],
        [400, "resize", "out", "1.100"],
    ]
    strategy, rows = outcome(tmp_path, rising(side).write(tmp_path), steps)
    assert one(rows, strategy, "out")["filled"] == "0.900"
    assert len(strategy.refused) == 1


@SIDES
def test_exits_that_never_rest_are_cut_when_they_arrive(tmp_path: Path, side: str) -> None:
    """A plain order that was on its way first has left less than the exit asks for."""
    steps = [
        [110, "market", "own", side, "1.000"],
        [300, "market", "plain", other(side), "0.700"],
        [302, "market", "out", other(side), "1.000", True],
    ]
    strategy, rows = outcome(tmp_path, rising(side).write(tmp_path), steps)
    assert one(rows, strategy, "out")["filled"] == "0.300"
    assert strategy.held[-1][1] == 0


@SIDES
@pytest.mark.parametrize("leave", ["close", "leave"])
@pytest.mark.parametrize("latency_ms", [0, 5])
def test_everything_is_left_once(tmp_path: Path, side: str, leave: str, latency_ms: int) -> None:
    steps = [
        *three(side),
        [400, "market", "own", side, "1.500"],
        [450, "stop", "out", other(side), "1.500", mirrored(side, "97.00"), mirrored(side, "96")],
        [600, leave],
    ]
    strategy, rows = outcome(tmp_path, rising(side).write(tmp_path), steps, latency_ms=latency_ms)
    assert strategy.held[-1][1] == 0
    taken = sum(Decimal(r["filled"]) for r in rows if r["side"] == other(side))
    assert taken == 5
    assert {row["status"] for row in rows} <= {"FILLED", "CANCELED"}


# -- order lists of NautilusTrader's ---------------------------------------------------------------


@SIDES
@pytest.mark.parametrize("latency_ms", [0, 5])
def test_exits_of_order_lists_sell_their_own_beside_others(
    tmp_path: Path, side: str, latency_ms: int
) -> None:
    """NautilusTrader sizes them after their entries, so that they are left to it."""
    far = mirrored(side, "120.00")
    steps = [
        [110, "list", "a", side, "1.000", mirrored(side, "95.00"), mirrored(side, "105.00")],
        [210, "list", "b", side, "2.000", mirrored(side, "90.00"), far],
        [310, "bracket", "c", side, "0.500", mirrored(side, "91.00"), far],
        [410, "market", "own", side, "0.700"],
        [510, "limit", "out", other(side), "0.700", mirrored(side, "105.00"), True],
    ]
    catalog = rising(side).write(tmp_path)
    strategy, rows = outcome(tmp_path, catalog, steps, latency_ms=latency_ms)
    taken = [(row["kind"], row["filled"]) for row in rows if row["side"] != side and sold([row])]
    assert sorted(taken) == [("LIMIT", "0.700"), ("LIMIT", "1.000")]
    standing = [(row["kind"], row["quantity"]) for row in rows if row["status"] == "ACCEPTED"]
    assert sorted(standing) == [
        ("LIMIT", "2.000"),
        ("STOP_LIMIT", "0.500"),
        ("STOP_MARKET", "2.000"),
    ]
    assert abs(strategy.held[-1][1]) == 2.5


@SIDES
def test_exits_of_an_order_list_end_with_the_position(tmp_path: Path, side: str) -> None:
    steps = [
        [110, "list", "a", side, "1.000", mirrored(side, "95.00"), mirrored(side, "105.00")],
        [410, "market", "out", other(side), "1.000"],
    ]
    strategy, rows = outcome(tmp_path, rising(side).write(tmp_path), steps, path=PLAIN)
    assert sorted(row["status"] for row in rows) == ["CANCELED", "CANCELED", "FILLED", "FILLED"]
    assert strategy.held[-1][1] == 0


@SIDES
def test_another_strategy_has_its_own(tmp_path: Path, side: str) -> None:
    """Both hold the same instrument; one of them the other way round."""
    told = Told(side)
    calm(told)
    for at in range(5):
        told.book(1000 + at * 100, {98.4: 50, 98.3: 50}, {98.6: 50})
        told.trade(1050 + at * 100, 98.4, 0.01)
    against = [
        [
            150,
            "bracket",
            "d",
            other(side),
            "0.300",
            mirrored(side, "104.00"),
            mirrored(side, "98.70"),
        ],
        [250, "market", "own", other(side), "0.200"],
        [270, "limit", "out", side, "0.200", mirrored(side, "97.00"), True],
    ]
    catalog = told.write(tmp_path)
    params = {
        "instrument_id": str(BENCH_IID),
        "steps": json.dumps(three(side)).replace('"', '\\"'),
        "begin_ns": BEGIN,
    }
    more = {"instrument": str(BENCH_IID), "fees": FREE, "balances": ("10000000 USDT",)}
    risk = f'{RISK}\noff = ["SELF_CROSS"]'
    file = kit.config(tmp_path, catalog, GUARDED, params, latency_ms="5", risk=risk, **more)
    steps = json.dumps(against).replace('"', '\\"')
    second = f"""
[[strategies]]
id = "Test-002"
path = "{GUARDED}"
[strategies.params]
instrument_id = "{BENCH_IID}"
steps = "{steps}"
begin_ns = {BEGIN}
"""
    file.write_text(file.read_text() + second)
    result = run_backtest(load(file))
    assert result.exit_code == 0, result.summary.outcome
    rows = [json.loads(line) for line in order_lines(result.cache).splitlines()]
    require_own(rows)
    first, last = result.parts.strategies
    assert [sold(exits_of(rows, first, name)) for name in "abc"] == [Decimal("0.5"), 1, 0]
    assert sold(exits_of(rows, last, "d")) == Decimal("0.3")
    assert (one(rows, last, "out")["quantity"], one(rows, last, "out")["status"]) == (
        "0.200",
        "ACCEPTED",
    )
    assert (first.refused, last.refused) == ([], [])
    result.dispose()


# -- orders with an end ----------------------------------------------------------------------------


@SIDES
@pytest.mark.parametrize("latency_ms", [0, 5, 60])
@pytest.mark.parametrize(
    ("kind", "prices"),
    [("limit", ["99.00"]), ("stop_market", ["101.50"]), ("stop_limit", ["102.00", "101.50"])],
)
def test_order_is_over_at_its_end(
    tmp_path: Path, side: str, kind: str, prices: list[str], latency_ms: int
) -> None:
    """The first data after it would fill it."""
    told = Told(side)
    calm(told)
    for ms in (3000, 4000):
        told.book(
            ms, {98.0 if kind == "limit" else 101.6: 50}, {98.3 if kind == "limit" else 101.8: 50}
        )
        told.trade(ms + 1, 98.3 if kind == "limit" else 101.8, 50.0, against=kind == "limit")
    given = [mirrored(side, price) for price in prices]
    steps = [
        [110, "until", "late", kind, side, 2000, *given],
        [120, "until", "in time", kind, side, 5000, *given],
    ]
    catalog = told.write(tmp_path)
    more = {"risk": "max_cancels_per_second = 1\nstale_after_ms = 60000", "latency_ms": latency_ms}
    strategy, rows = outcome(tmp_path, catalog, steps, **more)
    late, in_time = (one(rows, strategy, name) for name in ("late", "in time"))
    assert (late["status"], late["fills"]) == ("CANCELED", [])
    assert (late["ts_last"] - BEGIN) / MS == 2000
    assert (in_time["status"], in_time["filled"]) == ("FILLED", "1.000")
