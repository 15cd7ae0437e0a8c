"""A disk that is full: the run ends as it has earned, and its last line says so."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.live.desk import QUICK, Desk
from tests.support.processes import PATIENCE_SECS, wait_for

DISK = "4m"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> None:
    with suppress(OSError), (disk / "filled").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def last_line(desk: Desk) -> str:
    return desk.log.read_text().rstrip().splitlines()[-1]


def test_the_journal_s_disk(desk: Desk, disk: Path) -> None:
    desk.journal = disk / "state" / "oceanex-main.journal.sqlite"
    more = QUICK + '[run]\nstate_dir = "disk/state"\n'
    process = desk.start("live", desk.config("many", more=more))
    desk.wait_resting(process)
    fill(disk)
    assert process.wait(PATIENCE_SECS) == 1, desk.log.read_text()[-3000:]
    assert last_line(desk).startswith("error JRN-WRITE: "), desk.log.read_text()[-3000:]
    text = desk.log.read_text()
    assert "E-UNEXPECTED" not in text
    assert "Traceback" not in text
    unwrapped = re.sub(r"\s+│\n│\s+│ ", "", text)  # a long path goes over two lines
    assert re.search(rf"journal oceanex +│ {desk.journal}", unwrapped), "the summary names the file"
    resting = {order for order in desk.open_orders()}
    assert not resting or "LEFT-OPEN" in text


@pytest.mark.parametrize(("verb", "code"), [("live", 0), ("paper", 0), ("record", 1)])
def test_the_recording_s_disk(desk: Desk, disk: Path, verb: str, code: int) -> None:
    more = QUICK + '[record]\ndir = "disk/data"\n'
    process = desk.start(verb, desk.config(more=more))
    wait_for(lambda: any(disk.rglob("*.zst")), "the recording")
    if verb == "live":
        desk.wait_resting(process)
    fill(disk)
    wait_for(lambda: "Abandoned" in desk.log.read_text(), "the failed write", PATIENCE_SECS)
    if verb != "record":  # which ends then
        told = "each try left one open"
        wait_for(lambda: told in desk.log.read_text(), "its end", PATIENCE_SECS)
        abandoned = desk.log.read_text().count("Abandoned")
        opened = Path(f"/proc/{process.pid}/fd")
        held = len(list(opened.iterdir()))
        time.sleep(3)
        assert len(list(opened.iterdir())) <= held + 5, "trading runs out of files"
        assert desk.log.read_text().count("Abandoned") <= abandoned + 80
    assert desk.stop(process) == code, desk.log.read_text()[-3000:]
    text = desk.log.read_text()
    assert "E-UNEXPECTED" not in text
    assert "RECORDING" in text
    if verb == "record":
        assert "error RECORDING: " in last_line(desk)
