"""docs/grafana.json is a dashboard as Grafana's own types describe it, and so can be imported."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from tests.support.processes import ROOT

Dashboard = dict[str, Any]
SCHEMA = json.loads((ROOT / "tests/data/grafana/dashboard.schema.json").read_text())
CHECK = jsonschema.Draft7Validator(SCHEMA)


@pytest.fixture
def dashboard() -> Dashboard:
    found: Dashboard = json.loads((ROOT / "docs" / "grafana.json").read_text())
    return found


def faults(dashboard: Dashboard) -> list[str]:
    return [f"{one.json_path}: {one.message}" for one in CHECK.iter_errors(dashboard)]


def test_it_is_one(dashboard: Dashboard) -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert faults(dashboard) == []
    assert "id" not in dashboard, "an import would take the place of another one"


def test_what_no_schema_tells(dashboard: Dashboard) -> None:
    """Ids are unique, nothing covers anything, and every variable that is used is there."""
    panels = dashboard["panels"]
    assert len({one["id"] for one in panels}) == len(panels)
    cells = [
        (x, y)
        for one in panels
        for at in [one["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells)), "two panels share a cell"
    assert max(x for x, _ in cells) < 24, "a row of Grafana's has 24 columns"
    named = {one["name"] for one in dashboard["templating"]["list"]}
    for one in panels:
        assert one["datasource"]["uid"].strip("${}") in named
        refs = [target["refId"] for target in one["targets"]]
        assert refs
        assert len(refs) == len(set(refs))
        assert all("$job" in target["expr"] for target in one["targets"])


def _panel(kind: str, dashboard: Dashboard) -> Dashboard:
    found: Dashboard = next(one for one in dashboard["panels"] if one["type"] == kind)
    return found


STAT, LINES = "stat", "timeseries"
PLANTED: dict[str, Callable[[Dashboard], object]] = {
    "a field that no panel has": lambda d: _panel(STAT, d).update(tittle="x"),
    "a type that no panel has": lambda d: _panel(LINES, d).update(type="time-series"),
    "a type of another panel": lambda d: _panel(LINES, d).update(type=STAT),
    "no type": lambda d: _panel(STAT, d).pop("type"),
    "no version of the schema": lambda d: d.pop("schemaVersion"),
    "no title": lambda d: d.pop("title"),
    "a query without its letter": lambda d: _panel(STAT, d)["targets"][0].pop("refId"),
    "a query without an expression": lambda d: _panel(STAT, d)["targets"][0].pop("expr"),
    "a misspelt field of a query": lambda d: _panel(LINES, d)["targets"][0].update(legend="x"),
    "a place in words": lambda d: _panel(STAT, d)["gridPos"].update(w="4"),
    "an option of another panel": lambda d: _panel(LINES, d)["options"].update(graphMode="area"),
    "a legend that there is not": lambda d: _panel(LINES, d)["options"]["legend"].update(
        displayMode="lists"
    ),
    "no calculations": lambda d: _panel(STAT, d)["options"]["reduceOptions"].pop("calcs"),
    "thresholds of no kind": lambda d: _panel(STAT, d)["fieldConfig"]["defaults"][
        "thresholds"
    ].update(mode="relative"),
    "a variable of no kind": lambda d: d["templating"]["list"][0].update(type="data-source"),
    "a variable without a name": lambda d: d["templating"]["list"][0].pop("name"),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_fault_is_found(dashboard: Dashboard, what: str) -> None:
    planted = copy.deepcopy(dashboard)
    PLANTED[what](planted)
    assert planted != dashboard
    assert faults(planted) != []
