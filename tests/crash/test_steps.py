"""A selection of the deaths of `python -m tests.crash.steps`, which tries every step."""

from __future__ import annotations

import copy
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from fairlead.engine.orders.model import Kind, Side
from tests.crash import steps
from tests.crash.judge import judge
from tests.crash.lives import Forked, Spawned
from tests.crash.script import End, Scenario, scenarios
from tests.support.processes import venue
from tests.support.venues import playable, rests

ROUTES = {route.name: route for route in steps.routes()}
BARE = [route.name for route in steps.routes() if route.is_bare]
# One venue without stops of its own stands for all in the short suite
NAMES = [pytest.param(one, marks=[pytest.mark.long] * (one in BARE[1:])) for one in ROUTES]
EVERY = [16, pytest.param(8, marks=pytest.mark.long)]  # of the steps; all: tests.crash.steps
DAMAGES = (
    "DELETE FROM orders",
    "DELETE FROM fills",
    "UPDATE orders SET state = 'CANCELED'",
    "UPDATE orders SET filled = '0'",
    "UPDATE positions SET quantity = '1'",
    """UPDATE fills SET body = replace(body, '"price":"', '"price":"1')""",
)


def test_every_venue_and_every_order_type_is_in_the_matrix() -> None:
    units = steps.units()
    assert {unit.route.key for unit in units} == set(playable())
    for route in ROUTES.values():
        mine = [unit.scenario for unit in units if unit.route == route]
        filled = {(one.kind, one.side) for one in mine if one.end == "fill"}
        able = route.able
        kinds = able.held if route.is_bare else able.kinds | able.held
        assert filled == {(kind, side) for kind in kinds for side in Side}
        changes = able.replace or bool(able.held)  # the engine changes what it holds itself
        assert any(one.end == "replace" for one in mine) == changes
        ends = {"cancel", "part", "stop", "pair"} if rests(able) else {"kill"}
        ends = {"cancel", "replace", "stop"} if route.is_bare else ends
        assert ends <= {one.end for one in mine}
        assert mine == scenarios(route.able, is_bare=route.is_bare)


def test_reads_are_numbered_once_and_writes_each_time() -> None:
    trail = ["commit INTENT\t1", "ask GET /o\t1", "ask GET /o\t2", "commit FILL\t1"]
    trail += ["commit FILL\t2", "done", "ask GET /balances\t1", "died"]
    found = steps._steps(trail, Scenario(Kind.LIMIT, Side.BUY, "fill"))
    assert [str(one) for one in found] == [
        "commit INTENT",
        "ask GET /o",
        "commit FILL",
        "commit FILL #2",
    ]


HELD = [
    ("oceanex/held", Kind.STOP_LIMIT, Side.SELL),
    pytest.param("zerocap/A", Kind.STOP_LIMIT, Side.BUY, marks=pytest.mark.long),
    pytest.param("zerocap/C", Kind.MARKET_IF_TOUCHED, Side.SELL, marks=pytest.mark.long),
    pytest.param("piexgo", Kind.LIMIT_IF_TOUCHED, Side.SELL, marks=pytest.mark.long),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind", "side"), HELD)
def test_a_held_order_survives_a_death_at_some_steps(
    name: str, kind: Kind, side: Side, tmp_path: Path
) -> None:
    unit = steps.Unit(ROUTES[name], Scenario(kind, side, "fill"))
    results = steps.run_unit(unit, tmp_path, Forked(), every=6, first=2)
    assert not steps.failures(results), steps.table(results)
    assert any(result.found and result.found.fills for result in results)


@pytest.mark.slow
@pytest.mark.parametrize("most", EVERY)
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_lost_or_doubled_by_a_death_at_some_steps(
    name: str, most: int, tmp_path: Path
) -> None:
    can_rest = rests(ROUTES[name].able)
    end: End = "part" if can_rest else "fill"
    unit = steps.Unit(ROUTES[name], Scenario(Kind.LIMIT, Side.BUY, end))
    every = most if can_rest else most // 2  # an order that ends at once has fewer
    offset = list(ROUTES).index(name) % every  # other steps on each route
    results = steps.run_unit(unit, tmp_path, Forked(), every=every, first=offset, claimed=set())
    assert not steps.failures(results), steps.table(results)
    assert len(results) >= 40 // most, results
    assert any(" > " in result.step for result in results), "no death while restarting"
    assert any(result.found and result.found.fills for result in results)


@pytest.mark.slow
def test_a_command_of_its_own_dies_with_the_order_sent_and_the_judge_sees_what_is_wrong(
    tmp_path: Path,
) -> None:
    route = next(iter(ROUTES.values()))
    unit = steps.Unit(route, Scenario(Kind.LIMIT, Side.BUY, "fill"))
    with venue(route.key, tmp_path / "venue", "--seed", "5") as served:
        bench = steps.Bench(unit, served, tmp_path, Spawned())
        sent = next(step for step in bench.dry_run() if step.is_send)
        since = served.ledger_size()
        result = bench.kill_at(sent)
        ledger, balances = served.ledger(since), served.balances()
    assert not result.problem, result
    assert result.found is not None
    assert (result.found.accepted, result.found.fills) == (1, 1)
    (journal,) = (tmp_path / "002" / "state").glob("*.journal.sqlite")
    assert judge(journal, route.key, ledger, balances, frozenset()) == result.found
    for damage in DAMAGES:
        damaged = Path(shutil.copy(journal, tmp_path / "damaged.sqlite"))
        with sqlite3.connect(damaged) as db:
            db.execute(damage)
        db.close()
        with pytest.raises(AssertionError):
            judge(damaged, route.key, ledger, balances, frozenset())
    with pytest.raises(AssertionError, match="does not know"):
        judge(journal, route.key, _doubled(ledger), balances, frozenset())


def _doubled(ledger: dict[str, Any]) -> dict[str, Any]:
    """The ledger of a venue that took the order twice."""
    again = copy.deepcopy(next(e for e in ledger["entries"] if e["type"] == "order"))
    again["order"]["id"] += 1_000_000
    return {**ledger, "entries": [*ledger["entries"], again]}
