"""What the backtest was not given, or what it broke off at, is no likeness."""

from __future__ import annotations

import json
import re
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fairlead.engine.cli.app import app
from fairlead.engine.errors import Exit, FairleadError
from fairlead.engine.guard import run_state
from fairlead.engine.research.runs import Run
from fairlead.engine.run import replayed
from fairlead.engine.run.parity import parity_of
from tests.unit.run.test_parity import edited, rows_of


def test_orders_that_the_backtest_was_never_given_are_unexplained(kept: Path, copied: Path) -> None:
    """The strategies have other ids in the config: none of the run's commands is anybody's."""
    (file,) = kept.glob("*.toml")
    (made := kept / "renamed" / file.name).parent.mkdir()
    made.write_text(
        re.sub(r'^id = "([^"]+)-(\d+)"', r'id = "\1-9\2"', file.read_text(), flags=re.M)
    )
    done = CliRunner().invoke(app, ["parity", str(copied), "--config", str(made), "--json"])
    assert done.exit_code == Exit.NOT_LIKE, done.output
    told = json.loads(done.stdout)
    assert told["classes"] == {"unexplained": told["orders"]}
    assert {one["why"] for one in told["differences"]} == {"the backtest was never given it"}


def test_what_is_given_after_the_data_ends_with_it(copied: Path) -> None:
    end = Run.at(copied).summary["end_ns"] + 2_000_000_000  # a timer of before still rings
    names: list[str] = []

    def late(rows: list[dict[str, Any]]) -> None:
        row = next(one for one in rows if one["status"] == "CANCELED" and not one["fills"])
        names.append(row["client_order_id"])
        row |= {"ts_init": end, "ts_accepted": end + 1, "ts_last": end + 2}
        row |= {"asked": [], "changes": []}

    (found,) = parity_of(edited(copied, late)).differences
    assert (found.order, found.kind) == (names[0], "end")
    assert found.why == "it was given when the data was over"


def test_a_replay_that_breaks_off_is_no_comparison(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, count = replayed._order, len(rows_of(copied)) // 2
    left = iter(range(count))

    def breaks(*given: Any) -> Any:
        if next(left, None) is None:
            raise TypeError("planted")
        return made(*given)

    monkeypatch.setattr(replayed, "_order", breaks)
    with pytest.raises(FairleadError, match=r"PARITY-ENDED: .*as the run measured it.*planted"):
        parity_of(Run.at(copied))


def test_every_denial_of_the_replay_is_told_however_many_there_were(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Few(run_state.RunState):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.denials = deque(maxlen=1)

    monkeypatch.setattr("fairlead.engine.run.build.RunState", Few)
    names: set[str] = set()

    def grow(rows: list[dict[str, Any]]) -> None:
        for row in [one for one in rows if one["kind"] == "LIMIT" and not one["reduce_only"]][:5]:
            row |= {"quantity": "1000000", "changes": []}
            names.add(row["client_order_id"])

    found = parity_of(edited(copied, grow)).differences
    told = {one.order: one.why for one in found if one.kind == "refusal"}
    assert names <= told.keys()
    assert all(told[name].startswith("MARGIN: expected at most") for name in names), told
