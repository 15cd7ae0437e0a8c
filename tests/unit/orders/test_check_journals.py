"""`fairlead check --journals`: the order journals of the state folder, whole."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fairlead.engine.cli.app import app
from fairlead.engine.errors import Exit
from fairlead.engine.orders.journal import Journal
from tests.unit.orders.conftest import intent

CONFIG = """
name = "looked-at"

[venues.sim]
adapter = "recorded"
instruments = ["BTC_USDT.SIM"]
fees = { maker = "0.0002", taker = "0.0005" }

[[strategies]]
id = "Breakout-001"
path = "fairlead.strategies.breakout:Breakout"
params = { instrument_id = "BTC_USDT.SIM", order_quantity = "0.002" }

[risk]
max_order_notional = "1000 USDT"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(CONFIG)
    return path


def check(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["check", str(config), "--journals", *arguments])


def journal(config: Path, name: str) -> Path:
    path = config.parent / "state" / f"{name}.journal.sqlite"
    made = Journal(path, fsync=False, now_ns=lambda: 1)
    made.intend([intent("A")])
    made.close()
    return path


def test_whole_journals_are_ok(config: Path) -> None:
    paths = [journal(config, "one-main"), journal(config, "two-main")]
    done = check(config)
    assert done.exit_code == Exit.OK, done.output
    assert done.output.splitlines()[1:] == [f"{path}: ok" for path in paths]


def test_damage_is_named_and_has_its_exit_code(config: Path) -> None:
    whole, damaged = journal(config, "a-main"), journal(config, "b-main")
    with sqlite3.connect(damaged) as db:
        db.execute("UPDATE records SET ts = 7")
    db.close()
    lost = config.parent / "state" / "c-main.journal.sqlite"
    lost.write_bytes(b"no journal at all" * 100)
    done = check(config, "--json")
    assert done.exit_code == Exit.BAD_DATA
    answer = json.loads(done.output)
    assert not answer["ok"]
    told = answer["journals"]
    assert told[str(whole)] == []
    assert told[str(damaged)] == ["record #1 (INTENT of A): its checksum is wrong"]
    assert "can't be read" in told[str(lost)][0]
    plain = check(config)
    assert plain.exit_code == Exit.BAD_DATA
    assert f"{damaged}: record #1" in plain.output
