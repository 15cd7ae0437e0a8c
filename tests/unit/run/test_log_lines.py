"""What `fairlead logs` reads: each form of a line, the config's own files, rotations."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from fairlead.engine.cli.app import app
from fairlead.engine.logs import TEXT, JsonFormatter, RotatingFile
from fairlead.engine.run.kernel import begun
from fairlead.engine.run.log_lines import Log, parsed
from tests.support.processes import ROOT

SECOND = 1_000_000_000
NAUTILUS = "2026-11-27T01:00:{:02}.000000000Z [{}] TRADER-001.Node: {}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


def log_of(folder: Path) -> Log | None:
    loaded: Any = SimpleNamespace(state_dir=folder.parent, config=SimpleNamespace(name="demo"))
    return Log.of(loaded, "live")


def last(folder: Path, level: str = "", most: int = 20) -> list[str]:
    log = log_of(folder)
    assert log is not None
    return [line.text for line in log.last(most, level)]


def handler(path: Path, *, is_json: bool, max_bytes: int = 1 << 20) -> RotatingFile:
    made = RotatingFile(path, max_bytes, 5, sys.exit)
    made.setFormatter(JsonFormatter() if is_json else logging.Formatter(TEXT))
    return made


def say(to: RotatingFile, level: int, text: str, exc_info: Any = None) -> None:
    to.handle(logging.LogRecord("fairlead.x", level, __file__, 7, text, None, exc_info))


@pytest.mark.parametrize(("end", "is_json"), [("jsonl", True), ("txt", False)])
def test_each_form_is_read_by_its_level(folder: Path, end: str, is_json: bool) -> None:
    to = handler(folder / f"demo-live.{end}", is_json=is_json)
    say(to, logging.INFO, "running")
    say(to, logging.WARNING, "late: a frame")
    say(to, logging.CRITICAL, "worst")
    to.close()
    assert last(folder) == ["running", "late: a frame", "worst"]
    assert last(folder, "warning") == ["late: a frame", "worst"]
    assert last(folder, "error") == ["worst"]
    log = log_of(folder)
    assert log is not None
    assert log.has_own
    (line,) = log.last(1, "")
    assert line.who == "fairlead.x"
    assert line.time.endswith("Z")


@pytest.mark.parametrize(("end", "is_json"), [("jsonl", True), ("txt", False)])
def test_a_traceback_belongs_to_its_line(folder: Path, end: str, is_json: bool) -> None:
    to = handler(folder / f"demo-live.{end}", is_json=is_json)
    try:
        raise ValueError("inside")
    except ValueError:
        say(to, logging.ERROR, "raised", sys.exc_info())
    to.close()
    assert "ValueError: inside" in "\n".join(last(folder, "error"))


def test_the_times_of_a_text_log_are_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    import time

    time.tzset()
    try:
        line = parsed(b"2026-11-27 01:00:00,250 WARNING fairlead.x: text")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert line.time == "2026-11-27T06:00:00.250000000Z"


def test_what_both_logs_say_is_in_the_order_of_its_time(folder: Path) -> None:
    (folder / "demo-live.log").write_text(
        NAUTILUS.format(1, "INFO", "one") + NAUTILUS.format(3, "WARN", "three")
    )
    base = 1_795_741_200 * SECOND  # 2026-11-27 01:00 UTC
    told = {"ts_ns": base + 2 * SECOND, "level": "ERROR", "logger": "a", "message": "two"}
    (folder / "demo-live.jsonl").write_text(json.dumps(told) + "\n")
    assert last(folder) == ["one", "two", "three"]
    assert last(folder, "warning") == ["two", "three"]
    assert last(folder, most=1) == ["three"]


def test_another_configs_log_is_not_taken(folder: Path) -> None:
    (folder / "demo-live-eu-live.log").write_text(NAUTILUS.format(1, "INFO", "another"))
    (folder / "demo-live-2.jsonl").write_text("{}\n")
    assert log_of(folder) is None
    (folder / "demo-live.log").write_text(NAUTILUS.format(1, "INFO", "mine"))
    os.utime(folder / "demo-live.log", (1, 1))
    assert last(folder) == ["mine"]


def test_closed_files_are_read_too_and_followed(folder: Path) -> None:
    to = handler(folder / "demo-live.jsonl", is_json=True, max_bytes=600)
    for number in range(12):
        say(to, logging.WARNING, str(number))
    assert len(list(folder.glob("demo-live.jsonl.*"))) > 1
    assert last(folder, most=10) == [str(number) for number in range(2, 12)]
    log = log_of(folder)
    assert log is not None
    log.last(1, "")
    for number in range(12, 15):  # it is rotated meanwhile
        say(to, logging.WARNING, str(number))
        say(to, logging.INFO, "x" * 400)
        assert [line.text for line in log.more("warning")] == [str(number)]
    to.close()


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"{}",
        b'{"ts_ns":-1,"level":"INFO","message":"a"}',
        b"[" * 100_000,
        b"\xff",
        b"{" * 9999,
    ],
)
def test_any_bytes_are_a_line(line: bytes) -> None:
    assert parsed(line).level == ""


def test_the_command_says_where_the_log_went(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text((ROOT / "configs" / "demo.toml").read_text())
    folder = tmp_path / "state" / "logs"
    folder.mkdir(parents=True)
    (folder / "demo-live.log").touch()
    asked = ["logs", str(config), "--mode", "live", "--level", "WARNING"]
    done = CliRunner().invoke(app, asked)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "its own stderr" in done.stderr
    assert "[log]" in done.stderr
    to = handler(folder / "demo-live.jsonl", is_json=True)
    say(to, logging.WARNING, "seen")
    to.close()
    done = CliRunner().invoke(app, asked)
    assert "seen" in done.stdout
    assert done.stderr == ""


# NautilusTrader's own file, where [log] has it begun anew by its size
ROTATES = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
from nautilus_trader.common import Logger, LogLevel, init_logging, logger_flush
from nautilus_trader.core import UUID4
from nautilus_trader.model import TraderId
from fairlead.engine.config.model import Log
from fairlead.engine.run import kernel

os.umask(0o077)
kernel.MIB = 2_000
config = SimpleNamespace(name="demo", log=Log(rotate_mb=1, keep=3))
loaded = SimpleNamespace(state_dir=Path(sys.argv[1]), config=config)
found = kernel._file_config(loaded, "live")
kept = init_logging(
    TraderId("T-001"), UUID4(), LogLevel.OFF, LogLevel.INFO, directory=found.directory,
    file_name=found.file_name, file_rotate=found.file_rotate,
)
for number in range(200):
    Logger("X").info(f"{sys.argv[2]} {number}")
logger_flush()
"""


def test_nautilus_traders_own_file_is_begun_anew_by_its_size(folder: Path) -> None:
    (folder / "demo-live_notes.log").write_text("a person's own\n")
    for run in ("first", "second"):
        command = [sys.executable, "-c", ROTATES, str(folder.parent), run]
        subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
        mine = begun(folder / "demo-live.log")
        assert 1 < len(mine) <= 3 + 4, "those of the run, and as many of before"
        sizes = [path.stat().st_size for path in mine]
        assert min(sizes) < 4_000 < sum(sizes), "it is cut by its size"
        assert {path.stat().st_mode & 0o777 for path in mine} == {0o600}
        assert last(folder, most=3) == [f"{run} {number}" for number in (197, 198, 199)]
    assert (folder / "demo-live_notes.log").exists()


def test_one_that_is_begun_anew_is_followed(folder: Path) -> None:
    old = folder / "demo-live.log"  # of before there was [log]
    old.write_text(NAUTILUS.format(1, "INFO", "old"))
    os.utime(old, ns=(SECOND, SECOND))
    names = [folder / f"demo-live_2026-11-27_01000{number}-000.log" for number in range(4)]
    names[0].write_text(NAUTILUS.format(2, "INFO", "zero"))
    log = log_of(folder)
    assert log is not None
    assert [line.text for line in log.last(10, "")] == ["old", "zero"]
    with names[0].open("a") as file:
        file.write(NAUTILUS.format(3, "INFO", "more"))
    for number in (1, 2, 3):
        names[number].write_text(NAUTILUS.format(3 + number, "INFO", f"begun {number}"))
    assert [line.text for line in log.more("")] == ["more", "begun 1", "begun 2", "begun 3"]
    assert log.more("") == []
