"""`fairlead fills` and `positions` of a paper run that is over: its kept run answers."""

from __future__ import annotations

import json
import shutil
import time
from collections import defaultdict
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from fairlead.engine.cli.app import app
from fairlead.engine.config.loaded import account_files
from fairlead.engine.errors import Exit
from fairlead.engine.orders.journal import Journal
from fairlead.engine.orders.model import Side, VenueFill
from fairlead.engine.research.begun import begun_in, marked
from fairlead.engine.research.runs import Run, newest
from fairlead.engine.risk.state import Held, RiskState, RiskStateFile
from fairlead.engine.run.at_rest import AtRest
from fairlead.engine.run.config import load
from fairlead.engine.run.up import Up
from tests.unit.backtest_kit import perpetual, write_catalog
from tests.unit.observe.test_same_bytes import PERP, all_strategies
from tests.unit.orders.conftest import intent


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
    assert found["unit"] == "BTC"
    assert Decimal(found["engine"]) == sum(held.values())
    parts = {one["strategy"]: Decimal(one["engine"]) for one in found["strategies"]}
    assert parts == {name: moved for name, moved in held.items() if moved}
    assert found["journal"] is None
    assert found["mark"] is not None


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_positions_are_marked_as_their_run_was_summed_up(
    config: Path, tmp_path: Path, mode: str
) -> None:
    """What the gate or the samples saw is of before."""
    file = tmp_path / config.name
    shutil.copytree(config.parent, tmp_path, dirs_exist_ok=True)
    for name, change in (
        ("run.json", lambda told: told | {"mode": mode}),
        ("summary.json", lambda told: told["instruments"][0].update(mark="12345.67") or told),
    ):
        path = kept(file) / name
        path.write_text(json.dumps(change(json.loads(path.read_bytes()))))
    loaded = load(file)
    seen = RiskState(held={PERP: Held(quantity=Decimal(1), mark=Decimal(12), currency="USDT")})
    files = account_files(loaded, "test", paper=mode == "paper")
    RiskStateFile(files.risk).write(msgspec.json.encode(seen))
    if mode == "live":
        Journal(files.journal, fsync=False, now_ns=time.time_ns).close()
    (found,) = AtRest(loaded, Up(mode=mode)).positions() or ()
    assert found.mark == "12345.67"
    if mode == "live":
        mark = {"name": loaded.config.name, "mode": mode, "begun_ns": time.time_ns()}
        with marked(loaded.state_dir, **mark, config_path=file):
            (begun,) = begun_in(loaded.state_dir)
            left = begun.path.read_bytes()
        begun.path.write_bytes(left)
        (found,) = AtRest(loaded, Up(mode=mode)).positions() or ()
        assert found.mark == "12", "that run was killed, and summed up nothing"


def executed(journal: Journal, count: int) -> None:
    for at in range(count):
        ordered = intent(f"C{at}", instrument=PERP)
        journal.intend([ordered])
        journal.accepted(f"C{at}", f"V{at}", instrument=PERP)
        execution = VenueFill(
            venue_order_id=f"V{at}",
            trade_id=str(at),
            instrument=PERP,
            side=Side.BUY,
            quantity=ordered.quantity,
            price=Decimal(100),
            fee=Decimal(0),
            fee_currency="USDT",
        )
        assert journal.fill(ordered, execution, Decimal(0))


@pytest.mark.parametrize("is_inverse", [False, True])
def test_a_long_position_is_worth_something_whatever_the_contract(
    config: Path, tmp_path: Path, is_inverse: bool
) -> None:
    """Of an inverse contract what a unit wins falls with 1/price: that is not what it is worth."""
    file = tmp_path / config.name
    shutil.copytree(config.parent, tmp_path, dirs_exist_ok=True)
    loaded = load(file)
    files = account_files(loaded, "test")
    seen = Held(
        quantity=Decimal(1),
        mark=Decimal(50_000),
        currency="BTC",
        multiplier=Decimal(100),
        inverse=is_inverse,
    )
    RiskStateFile(files.risk).write(msgspec.json.encode(RiskState(held={PERP: seen})))
    with closing(Journal(files.journal, fsync=False, now_ns=lambda: 1)) as journal:
        executed(journal, 1)
        (kept_one,) = journal.positions()
    (found,) = AtRest(loaded, Up(mode="live")).positions() or ()
    worth = Decimal(100) / 50_000 if is_inverse else Decimal(100) * 50_000
    assert Decimal(found.worth or 0) == kept_one.quantity * worth


@pytest.mark.parametrize("is_killed", [False, True])
def test_the_fills_of_a_live_run_that_is_over_are_the_journals(
    config: Path, tmp_path: Path, is_killed: bool
) -> None:
    """A run that was killed is kept nowhere: the figures of the one before it are not its own."""
    file = tmp_path / config.name
    shutil.copytree(config.parent, tmp_path, dirs_exist_ok=True)
    run = kept(file) / "run.json"
    before = json.loads(run.read_bytes())
    run.write_text(json.dumps(before | {"mode": "live"}))
    loaded = load(file)
    assert AtRest(loaded, Up(mode="live")).status().fills is None, "there is no journal"
    path = account_files(loaded, "test").journal
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(Journal(path, fsync=False, now_ns=lambda: 1)) as journal:
        executed(journal, 3)
    begun_ns = time.time_ns()
    mark = {"name": before["name"], "mode": "live", "begun_ns": begun_ns, "config_path": file}
    with marked(loaded.state_dir, **mark):
        (found,) = begun_in(loaded.state_dir)
        left = found.path.read_bytes()
    if is_killed:
        found.path.write_bytes(left)
    status = AtRest(loaded, Up(mode="live")).status()
    assert status.fills == len(AtRest(loaded, Up(mode="live")).fills(10)) == 3
    assert (status.denials is None, status.started_ns == begun_ns) == (is_killed, is_killed)
    last = [one for one in status.wrong if one.code == "LAST-RUN"]
    assert [(one.level, found.begun.id in one.text) for one in last] == [("look", True)] * is_killed
    done = CliRunner().invoke(app, ["status", str(file), "--mode", "live"])
    assert all(line.strip() for line in done.stdout.splitlines()), "a header without a name"
    text = "3 in the journal, over all runs" + ("" if is_killed else "; ")
    assert text in done.stdout
    assert ("denials in the last" in done.stdout) == (not is_killed)


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
