"""A disk that is full: the run ends as it has earned, and its last line says so."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.live.desk import QUICK, Desk
from tests.support.processes import PATIENCE_SECS, command, wait_for

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


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["live", "paper"])
@pytest.mark.parametrize("page", ["", '[observe]\npage = "127.0.0.1:0"\n'])
def test_a_run_that_sends_nothing_says_so_at_once(
    desk: Desk, disk: Path, verb: str, page: str
) -> None:
    """What it holds to be a stop could not be sent any more."""

    def status(*more: str) -> tuple[int, dict[str, str]]:
        done = command("status", str(config), "--json", *more)
        wrong = json.loads(done.stdout)["wrong"]
        return done.returncode, {one["code"]: one["text"] for one in wrong}

    def is_up() -> bool:
        code, wrong = status()
        return code == 0 and list(wrong) == ["DISK"]

    config = desk.config("nothing", more=QUICK + '[run]\nstate_dir = "disk/state"\n' + page)
    process = desk.start(verb, config)
    wait_for(is_up, "the run to be up, on a disk with less than doctor wants")
    fill(disk)
    os.truncate(disk / "filled", (disk / "filled").stat().st_size - 32 * 1024)  # no run ends yet
    time.sleep(2.5)  # two looks, and the next sign
    doctor = json.loads(command("doctor", str(config), "--offline", "--json").stdout)
    found = [one for each in doctor["checks"] for one in each["troubles"]]
    (text,) = [one["text"] for one in found if one["code"] == "STATE-UNWRITABLE"]
    assert text.endswith("No space left on device")
    for more in ((), ("--files",)):
        code, wrong = status(*more)
        assert (code, wrong.get("STATE-UNWRITABLE")) == (1, text), wrong
    (disk / "filled").unlink()
    wait_for(is_up, "room again")
    assert desk.stop(process) == 0, desk.log.read_text()[-3000:]


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
