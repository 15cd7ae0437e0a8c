"""The page of a search: one file with its pictures, whatever the parameters are."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from fairlead.engine.research.luck import Luck
from fairlead.engine.research.numbers import shuffled
from fairlead.engine.research.pool import Outcome
from fairlead.engine.research.search import Plan
from fairlead.engine.research.space import param_of
from fairlead.engine.research.sweep import Trial
from fairlead.engine.research.sweep_page import sweep_page

pytest.importorskip("plotly")
TOLD = {
    "name": "n",
    "study": "s",
    "study_trials": 9,
    "held_out": {"start_ns": 1, "end_ns": 10**9, "is_spent": False},
    "registry": {"entries": 11, "chain": "c" * 64},
    "data": "d" * 64,
    "config": "f" * 64,
    "code": {"A-1": "e" * 64},
    "versions": {"python": "3"},
    "command": "fairlead sweep <a>",
}


def _trials(plan: Plan, values: list[tuple[str, ...]]) -> list[Trial]:
    found = []
    for number, given in enumerate(values):
        keyed = {one.key: text for one, text in zip(plan.params, given, strict=True)}
        pnl = {"USDT": [0.5 * number * at for at in range(8)]}
        told = Outcome(figures={"fills": number, "orders": 3}, pnl=pnl, span_ns=(0, 10**9))
        value = None if number == 1 else float(number)
        if number == 1:
            told = Outcome(error="BAD: <b>", exit_code=1)
        found.append(Trial(number=number, values=keyed, given=keyed, value=value, outcome=told))
    return found


def _figures(page: str) -> list[dict[str, Any]]:
    return [
        json.loads(text)
        for text in re.findall(r'<script type="application/json" id="[^"]+">(.*?)</script>', page)
    ]


def test_a_grid_has_every_picture() -> None:
    plan = Plan(params=(param_of("x.a=1..2:1", ()), param_of("x.b=u,v", ())))
    trials = _trials(plan, [("1", "u"), ("1", "v"), ("2", "u"), ("2", "v")])
    page = sweep_page(TOLD, plan, trials, Luck(tried=4, effective=3, deflated=0.5, pbo=0.25))
    figures = _figures(page)
    kinds = [figure["data"][0]["type"] for figure in figures]
    assert kinds == ["scatter", "scatter", "heatmap", "parcoords", "scatter", "scatter"]
    assert figures[2]["data"][0]["z"] == [[0, 2], [None, 3]]
    assert figures[3]["data"][0]["dimensions"][1]["ticktext"] == ["u", "v"]
    assert figures[4]["data"][1]["x"] == [4.5], "the best, in the first half"
    assert figures[4]["data"][1]["y"] == [6.0]
    for text in (
        "Neighbours",
        "BAD: &lt;b&gt;",
        "fairlead sweep &lt;a&gt;",
        "closed until",
        "0.25",
    ):
        assert text in page
    assert not re.search(r'<(?:script|link)[^>]+(?:src|href)="http', page)


def test_trials_at_random_and_those_of_one_value_have_theirs() -> None:
    plan = Plan(params=(param_of("x.a=1..2", ()), param_of("x.b=1..2", ())), kind="random")
    values = [(f"1.{at}", f"1.{at * 7 % 10}") for at in range(9)]
    kinds = [
        figure["data"][0]["type"]
        for figure in _figures(sweep_page(TOLD, plan, _trials(plan, values), None))
    ]
    assert kinds == ["scatter", "scatter", "scatter", "parcoords", "scatter", "scatter"]
    one = Plan(params=(param_of("x.a=1", ()),))
    assert len(_figures(sweep_page(TOLD, one, _trials(one, [("1",)]), None))) == 1
    assert _figures(sweep_page(TOLD, one, [], None)) == []


def test_the_same_trades_in_other_orders() -> None:
    found = shuffled([1.0, 1.0, -1.0, -1.0])
    assert found == shuffled([1.0, 1.0, -1.0, -1.0])
    assert found is not None
    assert (found["times"], found["fall"], found["fall_p95"]) == (1000, 2.0, 2.0)
    assert found["fall_median"] in (1.0, 2.0)
    assert 0.2 < found["loses"] < 0.5, "it is 93 of 256"
    alike = shuffled([0.5] * 9)
    assert alike is not None
    assert (alike["fall"], alike["fall_p95"], alike["loses"]) == (0, 0, 0)
    assert shuffled([1.0]) is None


def test_a_walk_forward_has_its_bars() -> None:
    plan = Plan(params=(param_of("x.a=1..2:1", ()),))
    step = {"train": ["a", "b"], "test": ["c", "d"], "values": {"x.a": "2"}}
    steps = [{**step, "in_sample": 2.0, "out_of_sample": -1.0}]
    steps.append({**step, "values": None, "in_sample": None, "out_of_sample": None})
    page = sweep_page(TOLD, plan, [], None, steps)
    (figure,) = _figures(page)
    assert [trace["y"] for trace in figure["data"]] == [[2.0, None], [-1.0, None]]
    assert "0 of 2" in page
