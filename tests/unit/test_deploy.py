"""The unit and the container file that come with fairlead say what the engine's exits mean."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from typing import get_type_hints

import pytest

from fairlead.engine.config.model import Run
from fairlead.engine.errors import Exit
from tests.support.processes import ROOT

DEPLOY = ROOT / "docs" / "deploy"
UNIT = DEPLOY / "fairlead@.service"
# What passes by itself; all else waits for a person. OK is no failure.
AGAIN = {Exit.OK, Exit.FAILED, Exit.VENUE, Exit.TIMED_OUT}


def unit() -> configparser.ConfigParser:
    read = configparser.ConfigParser(interpolation=None, strict=True)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read_string(UNIT.read_text())
    return read


def test_every_exit_code_is_either_started_again_or_left_to_a_person() -> None:
    service = unit()["Service"]
    assert service["Restart"] == "on-failure"
    prevented = {int(code) for code in service["RestartPreventExitStatus"].split()}
    assert prevented == {int(code) for code in Exit if code not in AGAIN}


def test_a_stop_has_the_time_that_a_run_may_take() -> None:
    service = unit()["Service"]
    metas = get_type_hints(Run, include_extras=True)["stop_timeout_secs"].__metadata__
    (longest,) = [meta.le for meta in metas if getattr(meta, "le", None) is not None]
    assert int(service["TimeoutStopSec"]) > longest
    assert service["KillMode"] == "mixed"
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    command = tmp_path / "fairlead"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    text = UNIT.read_text().replace("/opt/fairlead/.venv/bin/fairlead", str(command))
    here = tmp_path / "fairlead@.service"
    here.write_text(re.sub(r"^(User|Group)=.*$", r"\1=root", text, flags=re.MULTILINE))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(here)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    told = [line for line in done.stderr.splitlines() if "fairlead" in line]
    assert (done.returncode, told) == (0, []), done.stderr


def test_the_container_is_not_root_and_is_stopped_in_order() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    lines = dict(line.split(" ", 1) for line in text.splitlines() if re.match(r"[A-Z]+ ", line))
    assert int(lines["USER"]) > 0
    assert (lines["STOPSIGNAL"], lines["VOLUME"]) == ("SIGTERM", "/state")
    assert "/healthz" in text.partition("HEALTHCHECK")[2]
    assert not re.search(r"(?i)(secret|token|key)=", text)


def test_the_container_has_each_folder_of_the_package_and_no_state() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    copied = {words.split()[0] for words in re.findall(r"^COPY (?!--)(.+)$", text, re.MULTILINE)}
    links = {path.readlink().name for path in (ROOT / "fairlead").iterdir() if path.is_symlink()}
    assert {one.partition("/")[0] for one in copied} >= links | {"fairlead"}
    assert "." not in copied
