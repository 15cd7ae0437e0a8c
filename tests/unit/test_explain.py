"""`fairlead explain` on a journal: by every id, with damage, and without what it does not need."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from engine.cli.exits import Exit
from engine.errors import FairleadError
from engine.observe.explain import explain
from engine.orders.journal import Journal, JournalError
from engine.orders.model import OrderState
from tests.unit.orders.conftest import INSTRUMENT, intent, venue_order

CONFIG = """
name = "told"

[run]
state_dir = "kept"

[venues.oceanex]
adapter = "no such adapter"
"""
RUN = """
import sys
from engine.cli.main import main
sys.argv = ["fairlead", "explain", "V-2", "--config", "run.toml", "--json"]
try:
    main()
finally:
    loaded = {name.partition(".")[0] for name in sys.modules}
    assert not loaded & {"nautilus_trader", "aiohttp", "cryptography"}, loaded
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "kept" / "oceanex-main.journal.sqlite"
    journal = Journal(made, fsync=False, now_ns=lambda: 5_000)
    journal.intend([intent("A", ts_init=4_000)])
    journal.accepted("A", "V-1", instrument=INSTRUMENT)
    changed = intent("A", price=Decimal(99))
    journal.replacing("A", changed)
    journal.replaced("A", changed, "V-2")
    journal.renamed("A", venue_order("V-3"))
    journal.state("A", OrderState.CANCELED, venue_order("V-3"))
    journal.close()
    return made


@pytest.mark.parametrize("order_id", ["A", "V-1", "V-2", "V-3"])
def test_an_order_is_found_by_each_id_that_it_ever_had(path: Path, order_id: str) -> None:
    story = explain(order_id, [path], None)
    assert story.client_order_id == "A"
    assert story.venue_order_ids == ("V-1", "V-2", "V-3")
    assert story.state == "CANCELED"
    kinds = [line.text.split()[1] for line in story.lines if line.source == "journal"]
    assert kinds == ["INTENT", "ACCEPTED", "REPLACE", "REPLACED", "RENAMED", "CANCELED"]


def test_an_order_that_no_journal_has(path: Path) -> None:
    with pytest.raises(FairleadError, match="kept/oceanex-main") as raised:
        explain("V-9", [path], None)
    assert raised.value.exit_code == Exit.NO_DATA


def test_a_damaged_record_is_told_as_such(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute(
            "UPDATE records SET body = ? WHERE kind = 'ACCEPTED'", (b'{"venue_order_id":9}',)
        )
    db.close()
    story = explain("A", [path], None)
    damaged = [line.text for line in story.lines if "DAMAGED" in line.text]
    assert [text.split()[1] for text in damaged] == ["ACCEPTED"]
    assert story.venue_order_ids == ("V-2", "V-3")


def test_a_file_that_is_no_journal(tmp_path: Path) -> None:
    path = tmp_path / "x.journal.sqlite"
    path.write_bytes(b"notes of somebody" * 1000)
    with pytest.raises(JournalError, match="can't be read"):
        explain("A", [path], None)


def test_the_command_imports_no_adapter_and_reads_a_config_that_is_wrong_elsewhere(
    path: Path, tmp_path: Path
) -> None:
    (tmp_path / "run.toml").write_text(CONFIG)
    done = subprocess.run(
        [sys.executable, "-c", RUN], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    story = json.loads(done.stdout)
    assert (story["client_order_id"], story["journal"]) == ("A", str(path))


def test_a_config_that_names_no_folder_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("[run]\nstate_dir = 5\n")
    done = subprocess.run(
        [sys.executable, "-c", RUN], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert "error E-CFG" in done.stderr, done.stderr
    assert "run.toml:2" in done.stderr
