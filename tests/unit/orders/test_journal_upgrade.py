"""Journals of every earlier schema open, or are upgraded whole with a copy beside; newer do not.

`tests/data/journals/schema-N.sql` are dumps of journals that the first version with that schema
wrote, by its own code.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fairlead.engine.cli.app import app
from fairlead.engine.errors import Exit
from fairlead.engine.observe.explain import explain
from fairlead.engine.orders import journal_upgrade
from fairlead.engine.orders.journal import Journal, JournalError
from fairlead.engine.orders.journal_upgrade import schema_of, upgrade
from fairlead.engine.orders.lock import AccountLock
from fairlead.engine.orders.model import OrderState
from tests.support.kills import killed_at_every_line
from tests.support.processes import ROOT
from tests.unit.orders.conftest import INSTRUMENT, intent
from tests.unit.orders.test_check_journals import CONFIG

DUMPS = ROOT / "tests" / "data" / "journals"
SCHEMAS = [1, 2]


def of_schema(schema: int, path: Path) -> Path:
    """A journal as that version left it, with what it had written last still in its -wal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript((DUMPS / f"schema-{schema}.sql").read_text())
    return path


def opened(path: Path) -> Journal:
    return Journal(path, fsync=False, now_ns=lambda: 2_000_000_000_000_000_000)


def copies(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.before-upgrade-*"))


def content(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return [line for line in db.iterdump() if "'boot'" not in line]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_earlier_schema_goes_on_with_all_that_it_held(schema: int, tmp_path: Path) -> None:
    path = of_schema(schema, tmp_path / "sim-main.journal.sqlite")
    assert (upgrade(path, lambda: 7) is not None) == (schema == 1)
    journal = opened(path)
    assert journal.problems() == []
    states = {one.intent.client_order_id: one.state for one in journal.open_orders()}
    assert states == {"A": OrderState.OPEN, "B": OrderState.UNKNOWN, "C": OrderState.OPEN}
    held = {(p.strategy, p.instrument): p.quantity for p in journal.positions()}
    # 3 x 0.1 bought less 0.0001 each, 0.1 less 0.001; all of it handed over, 0.5 sold
    assert held == {("S-1", INSTRUMENT): Decimal(0), ("S-2", INSTRUMENT): Decimal("-0.1013")}
    known = journal.order("A")
    assert known is not None
    assert known.intent.price == Decimal(99)
    assert known.filled == Decimal("0.1")
    assert known.venue_order_id == "V-A3"
    assert journal.replacements("A")[2] == ["V-A"]
    assert journal.order_by_venue_id(INSTRUMENT, "V-A2") == "A"
    assert [fill.trade_id for fill in journal.fills_of("E")] == ["T-V-E-1"]
    assert journal.last_note("BALANCES", dict[str, Decimal]) is not None
    assert len(explain("V-C", [path], None).lines) > 3
    journal.intend([intent("NEW")])
    assert not journal.fill(known.intent, journal.fills_of("A")[0], Decimal(0))  # booked before
    journal.close()
    assert opened(path).problems() == []


def test_what_it_was_stays_beside_it_and_an_upgrade_is_done_once(tmp_path: Path) -> None:
    path = of_schema(1, tmp_path / "sim-main.journal.sqlite")
    before = content(path)
    copy = upgrade(path, lambda: 7)
    assert copy is not None
    assert copies(path) == [copy]
    assert content(copy) == before
    assert copy.stat().st_mode & 0o077 == 0
    assert schema_of(path) == "2"
    assert upgrade(path, lambda: 8) is None
    assert copies(path) == [copy]


def test_a_journal_that_does_not_add_up_is_left_as_it_was(tmp_path: Path) -> None:
    path = of_schema(1, tmp_path / "sim-main.journal.sqlite")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DELETE FROM fills WHERE trade_id = 'T-V-A2-1'")
    before = content(path)
    with pytest.raises(JournalError, match="order A: its fills is not what its records") as raised:
        upgrade(path, lambda: 7)
    assert raised.value.code == "JRN-UPGRADE"
    assert content(path) == before


@pytest.mark.slow
def test_a_kill_at_any_line_leaves_the_old_journal_or_the_new_one(tmp_path: Path) -> None:
    before = content(of_schema(1, tmp_path / "before.sqlite"))
    upgraded = of_schema(1, tmp_path / "upgraded.sqlite")
    upgrade(upgraded, lambda: 7)
    after, seen = content(upgraded), set()

    def begin(folder: Path) -> Callable[[], object]:
        path = of_schema(1, folder / "sim-main.journal.sqlite")
        return lambda: upgrade(path, lambda: 7)

    def look(folder: Path) -> None:
        path = folder / "sim-main.journal.sqlite"
        found = content(path)
        assert found in (before, after)
        if found == after:
            assert copies(path)
        seen.add(found == after)
        for copy in copies(path):
            assert content(copy) == before
        upgrade(path, lambda: 8)
        journal = opened(path)
        assert journal.problems() == []
        journal.close()

    killed_at_every_line(tmp_path, [journal_upgrade.__file__], begin, look)
    assert seen == {True, False}


def test_a_newer_schema_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = of_schema(2, tmp_path / "sim-main.journal.sqlite")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE meta SET value = '4' WHERE key = 'schema'")
    before = content(path)
    assert upgrade(path, lambda: 7) is None
    for way in (opened, Journal.reading):
        with pytest.raises(JournalError, match=r"schema 4; expected at most 3. A newer") as raised:
            way(path)
        assert raised.value.code == "JRN-SCHEMA"
    assert content(path) == before
    assert not copies(path)


@pytest.mark.parametrize("schema", ["", "two", "0", "-1", "9" * 40])
def test_what_is_no_schema_is_refused(schema: str, tmp_path: Path) -> None:
    path = of_schema(2, tmp_path / "sim-main.journal.sqlite")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (schema,))
    upgrade(path, lambda: 7)
    with pytest.raises(JournalError, match=f"has schema {schema}; expected at most 3"):
        opened(path)


def test_what_only_reads_names_the_command(tmp_path: Path) -> None:
    path = of_schema(1, tmp_path / "sim-main.journal.sqlite")
    with pytest.raises(JournalError, match="fairlead journal upgrade CONFIG") as raised:
        Journal.reading(path)
    assert raised.value.code == "JRN-SCHEMA"


def test_the_command_upgrades_and_waits_for_no_run(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text(CONFIG)
    state = tmp_path / "state"
    path = of_schema(1, state / "sim-main.journal.sqlite")

    def call() -> tuple[int, str]:
        done = CliRunner().invoke(app, ["journal", "upgrade", str(config)])
        return done.exit_code, done.output

    with AccountLock(state / "sim-main.lock"):
        assert call()[0] == Exit.LOCKED
    assert schema_of(path) == "1"
    code, told = call()
    assert code == Exit.OK, told
    assert f"{path}: upgraded; as it was: {copies(path)[0]}" in told
    assert "is of today" in call()[1]
