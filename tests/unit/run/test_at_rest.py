"""`fairlead fills` and `positions` of a paper run that is over: its kept run answers."""

from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fairlead.engine.cli.app import app
from fairlead.engine.errors import Exit
from fairlead.engine.research.runs import Run, newest
from tests.unit.backtest_kit import perpetual, write_catalog
from tests.unit.observe.test_same_bytes import PERP, all_strategies


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of every mode are the same: a backtest's, called a paper run's."""
    folder: Path = tmp_path_factory.mktemp("rest")
    catalog = write_catalog(folder / "catalog", perpetual(PERP), seconds=30, seed=5)
    file = all_strategies(folder, catalog)
    done = CliRunner().invoke(app, ["backtest", str(file)])
    assert done.exit_code == 0, done.output
    told = kept(file) / "run.json"
    manifest = json.loads(told.read_bytes())
    told.write_text(json.dumps(manifest | {"mode": "paper"}))
    return file


def kept(config: Path) -> Path:
    return next(newest(config.parent / "state"))


def asked(config: Path, verb: str, *words: str) -> tuple[list[dict[str, Any]], str]:
    done = CliRunner().invoke(app, [verb, str(config), "--mode", "paper", "--json", *words])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout), done.stderr


def test_the_fills_are_the_kept_run_s(config: Path) -> None:
    run = Run.at(kept(config))
    rows = run.rows("fills")
    found, who = asked(config, "fills", "--last", "100000")
    assert len(found) == len(rows) == run.summary["fills"] > 2
    assert run.id in who
    told = [(one["trade_id"], Decimal(one["price"]), Decimal(one["fee"])) for one in found]
    wanted = [(one["trade_id"], Decimal(one["price"]), Decimal(one["fee"])) for one in rows]
    assert told == wanted
    assert {one["is_maker"] for one in found} <= {True, False}
    assert asked(config, "fills", "--last", "2")[0] == found[-2:]


def test_the_positions_are_those_of_its_end(config: Path) -> None:
    held: defaultdict[str, Decimal] = defaultdict(Decimal)
    for one in Run.at(kept(config)).rows("fills"):
        held[one["strategy"]] += Decimal(one["moved"])
    (found,), _ = asked(config, "positions")
    assert Decimal(found["engine"]) == sum(held.values())
    parts = {one["strategy"]: Decimal(one["engine"]) for one in found["strategies"]}
    assert parts == {name: moved for name, moved in held.items() if moved}
    assert found["journal"] is None
    assert found["mark"] is not None


def test_a_table_that_was_changed_is_an_error_in_words(config: Path) -> None:
    file = kept(config) / "fills.jsonl"
    before = file.read_bytes()
    file.write_text('{"ts_event": "then"}\n')
    try:
        done = CliRunner().invoke(app, ["fills", str(config), "--mode", "paper"])
    finally:
        file.write_bytes(before)
    assert getattr(done.exception, "code", "") == "RUN-DAMAGED" or "RUN-DAMAGED" in done.output
    assert Exit.BAD_DATA in (done.exit_code, getattr(done.exception, "exit_code", None))
