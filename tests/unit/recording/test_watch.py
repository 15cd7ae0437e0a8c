"""A file of the journal that goes is seen, whether its writer has closed it meanwhile or not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fairlead.engine.recording.journal import RunJournal
from fairlead.engine.recording.watch import FILES_MAX, JournalWatch

START_NS = 1_700_000_000_000_000_000
NOW_NS = START_NS + 60_000_000_000


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[RunJournal]:
    with closing(RunJournal(tmp_path, ["BTC_USDT.OCEANEX"], START_NS)) as journal:
        yield journal


@pytest.fixture
def watch(journal: RunJournal) -> Iterator[JournalWatch]:
    with closing(JournalWatch(journal, START_NS)) as watch:
        yield watch


def begun(journal: RunJournal) -> Path:
    """A file as the writer has it while it writes."""
    path = journal.folder / "live" / "trades" / f"trades_{START_NS}.feather.partial"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"rows")
    return path


def test_a_file_that_goes_is_told_though_its_writer_has_closed_it(
    journal: RunJournal, watch: JournalWatch
) -> None:
    path = begun(journal)
    assert watch.look(NOW_NS) is None
    path.unlink()
    lost = watch.look(NOW_NS)
    assert lost is not None
    assert lost.why == f"the file {path} was removed under the run"
    assert lost.from_ns == START_NS


def test_a_file_that_goes_before_it_was_seen_is_told_while_it_is_written(
    journal: RunJournal, watch: JournalWatch
) -> None:
    path = begun(journal)
    with path.open("ab"):
        path.unlink()
        assert watch.look(NOW_NS) is not None


def test_a_file_that_is_closed_and_promoted_is_not(
    journal: RunJournal, watch: JournalWatch
) -> None:
    for _ in range(3):
        path = begun(journal)
        assert watch.look(NOW_NS) is None
        closed = path.with_suffix("")
        path.rename(closed)
        closed.unlink()
        before = len(os.listdir("/proc/self/fd"))
        assert watch.look(NOW_NS) is None
        assert len(os.listdir("/proc/self/fd")) < before, "it is held for ever"


def test_nothing_is_held_after_it(journal: RunJournal) -> None:
    path = begun(journal)
    watch = JournalWatch(journal, START_NS)
    assert watch.look(NOW_NS) is None
    watch.close()
    path.unlink()
    assert watch.look(NOW_NS) is None


def test_files_that_the_disk_does_not_take_end_the_recording_not_the_run(
    journal: RunJournal, watch: JournalWatch
) -> None:
    """NautilusTrader begins another with each row, and leaves the one before open."""
    path = begun(journal)
    for number in range(FILES_MAX + 4):
        path.with_name(f"trades_{START_NS + number}.feather.partial").write_bytes(b"")
    before = len(os.listdir("/proc/self/fd"))
    assert watch.look(NOW_NS) is None
    for number in range(5):
        path.with_name(f"trades_{NOW_NS + number}.feather.partial").write_bytes(b"")
    lost = watch.look(NOW_NS)
    assert lost is not None
    assert "the disk does not take" in lost.why
    assert len(os.listdir("/proc/self/fd")) == before, "none is held any more"
