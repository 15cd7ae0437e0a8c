"""The journal's file is the one that was opened, and whole, or nothing is written any more."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from fairlead.engine.orders.journal import CHECKPOINT_EVERY, Journal, JournalError
from fairlead.engine.orders.model import Intent, Kind, Side

OTHER_PROCESS = """
import sys
from pathlib import Path
from fairlead.engine.orders.journal import Journal
journal = Journal(Path(sys.argv[1]), fsync=False, now_ns=lambda: 1)
for _ in range(400):
    journal.note("NOTE", "other", None)
journal.close()
"""


def intent(number: int) -> Intent:
    return Intent(
        client_order_id=f"C-{number}",
        strategy="S-1",
        instrument="BTC_USDT.OCEANEX",
        side=Side.BUY,
        kind=Kind.LIMIT,
        quantity=Decimal(1),
        price=Decimal(100),
    )


def opened(path: Path, orders: int = 3) -> Journal:
    journal = Journal(path, fsync=False, now_ns=lambda: 7)
    for number in range(orders):
        journal.intend([intent(number)])
    return journal


def _removed(path: Path, old: Path) -> None:
    path.unlink()


def _all_removed(path: Path, old: Path) -> None:
    for one in path.parent.glob(path.name + "*"):
        one.unlink()


def _truncated(path: Path, old: Path) -> None:
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size // 2)


def _emptied(path: Path, old: Path) -> None:
    path.write_bytes(b"")


def _overwritten(path: Path, old: Path) -> None:
    size = path.stat().st_size
    with path.open("rb+") as file:
        file.write(b"x" * size)


def _page_overwritten(path: Path, old: Path) -> None:
    with path.open("rb+") as file:
        file.seek(4096)
        file.write(b"x" * (path.stat().st_size - 4096))


def _replaced(path: Path, old: Path) -> None:
    shutil.copy(old, path.with_name("other"))
    path.with_name("other").replace(path)


def _copied_over(path: Path, old: Path) -> None:
    path.write_bytes(old.read_bytes().ljust(path.stat().st_size, b"\0"))


def _wal_removed(path: Path, old: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


def _wal_truncated(path: Path, old: Path) -> None:
    path.with_name(path.name + "-wal").write_bytes(b"")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_removed, "was removed"),
        (_all_removed, "was removed"),
        (_truncated, "was truncated"),
        (_emptied, "was truncated"),
        (_overwritten, "was overwritten"),
        (_page_overwritten, "was overwritten"),
        (_replaced, "was replaced by another file"),
        (_copied_over, "was overwritten"),
        (_wal_removed, "lost its -wal"),
        (_wal_truncated, "has another -wal"),
    ],
)
def test_nothing_is_written_to_a_file_that_is_not_the_one(
    tmp_path: Path, harm: Callable[[Path, Path], None], said: str
) -> None:
    path, old = tmp_path / "j.sqlite", tmp_path / "old.sqlite"
    opened(old, 1).close()
    journal = opened(path, CHECKPOINT_EVERY + 5)
    assert journal.file_problem() is None
    harm(path, old)
    with pytest.raises(JournalError, match=said) as raised:
        journal.intend([intent(-1)])
    assert raised.value.code == "JRN-CHANGED"
    assert journal.order("C--1") is None
    with pytest.raises(JournalError, match=said):
        journal.require_file()
    journal.close()


@pytest.mark.parametrize("harm", [_removed, _all_removed, _replaced])
def test_what_was_taken_away_is_saved_at_the_end(
    tmp_path: Path, harm: Callable[[Path, Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    path, old = tmp_path / "j.sqlite", tmp_path / "old.sqlite"
    opened(old, 1).close()
    journal = opened(path, CHECKPOINT_EVERY + 5)
    harm(path, old)
    journal.close()
    (saved,) = tmp_path.glob("j.sqlite.saved-*")
    assert str(saved) in caplog.text
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    for left in tmp_path.glob("j.sqlite-*"):
        left.unlink()
    saved.replace(path)
    again = Journal(path, fsync=False, now_ns=lambda: 8)
    assert len(again.open_orders()) == CHECKPOINT_EVERY + 5
    assert again.problems() == []
    again.close()


def test_other_writers_and_checkpoints_are_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    journal = opened(path, CHECKPOINT_EVERY - 2)
    subprocess.run([sys.executable, "-c", OTHER_PROCESS, str(path)], check=True)
    assert journal.file_problem() is None
    journal.intend([intent(-1)])
    person = sqlite3.connect(path)
    person.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    person.close()
    assert journal.file_problem() is None
    for number in range(CHECKPOINT_EVERY):
        journal.note("NOTE", str(number), None)
        assert journal.file_problem() is None
    assert len(journal.open_orders()) == CHECKPOINT_EVERY - 1
    assert journal.problems() == []
    journal.close()


def test_the_journal_is_its_owners_alone_and_no_link(tmp_path: Path) -> None:
    path = tmp_path / "state" / "j.sqlite"
    journal = opened(path)
    for one in path.parent.iterdir():
        assert stat.S_IMODE(one.stat().st_mode) == 0o600, one
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    journal.close()
    path.chmod(0o644)  # as an older version left it
    opened(path, 0).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    link = tmp_path / "link.sqlite"
    link.symlink_to(path)
    with pytest.raises(JournalError, match="can't be opened"):
        opened(link)


@pytest.mark.parametrize("beside", ["", "-wal"])
def test_an_empty_journal_was_cut_and_is_not_a_new_one(tmp_path: Path, beside: str) -> None:
    path = tmp_path / "j.sqlite"
    opened(path).close()
    path.write_bytes(b"")
    if beside:
        path.with_name(path.name + beside).write_bytes(b"x" * 5000)
    for code, open_it in (("JRN-OPEN", opened), ("JRN-READ", Journal.reading)):
        with pytest.raises(JournalError, match=r"it is empty \(0 bytes\).* remove the file") as e:
            open_it(path)
        assert e.value.code == code
    assert path.stat().st_size == 0
    path.unlink()
    journal = opened(path, 0)
    assert journal.open_orders() == []
    journal.close()


MAKING = """
import os, sys
from pathlib import Path
from fairlead.engine.orders import journal_file
step, path = sys.argv[1:]
for name in ("make_private", "sync"):
    def dies(*args, real=getattr(journal_file, name), name=name):
        real(*args)
        if name == step:
            os._exit(9)
    setattr(journal_file, name, dies)
def dies(*args, real=os.replace):
    real(*args)
    if step == "replace":
        os._exit(9)
os.replace = dies
journal_file.make_journal(Path(path))
"""


@pytest.mark.parametrize("step", ["make_private", "sync", "replace", "none"])
def test_a_first_start_that_is_killed_stops_no_later_one(tmp_path: Path, step: str) -> None:
    path = tmp_path / "j.sqlite"
    run = subprocess.run([sys.executable, "-c", MAKING, step, str(path)], check=False)
    assert run.returncode == (0 if step == "none" else 9)
    assert not path.exists() or path.stat().st_size > 0
    assert path.exists() == (step in ("replace", "none"))
    journal = opened(path)
    assert len(journal.open_orders()) == 3
    journal.close()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["j.sqlite"]
