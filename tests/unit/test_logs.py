"""A run's log: no line split or lost over its rotations, by several processes too; JSON."""

from __future__ import annotations

import json
import logging
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.engine.logs import TEXT, JsonFormatter, RotatingFile
from fairlead.engine.secrets import RedactingFilter, Secret, remember
from tests.support.processes import ROOT

LINES = 400
WRITER = """
import logging, sys
from pathlib import Path
from fairlead.engine.logs import RotatingFile
handler = RotatingFile(Path(sys.argv[1]), 20_000, 1000, lambda why: sys.exit(why))
handler.setFormatter(logging.Formatter("%(message)s"))
logger = logging.getLogger("w")
logger.addHandler(handler)
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    logger.warning("%s %d %s", sys.argv[2], number, "x" * (number % 700))
"""


def made(path: Path, max_bytes: int = 1_000, keep: int = 3) -> tuple[RotatingFile, list[str]]:
    told: list[str] = []
    handler = RotatingFile(path, max_bytes, keep, told.append)
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler, told


def say(handler: RotatingFile, text: str) -> None:
    handler.handle(logging.LogRecord("a.b", logging.WARNING, __file__, 7, text, None, None))


def files(path: Path) -> list[Path]:
    """Oldest first."""
    numbered = sorted(path.parent.glob(f"{path.name}.*"), key=lambda one: -int(one.suffix[1:]))
    return [*numbered, path]


def test_a_full_file_is_kept_under_a_number_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "run.txt"
    handler, told = made(path)
    for number in range(100):
        say(handler, f"{number:03} {'x' * 95}")  # 100 bytes, ten of them a file
    assert [one.name for one in files(path)] == ["run.txt.3", "run.txt.2", "run.txt.1", "run.txt"]
    lines = [line for one in files(path) for line in one.read_text().splitlines()]
    assert [int(line[:3]) for line in lines] == list(range(60, 100))
    assert not told
    assert {one.stat().st_mode & 0o077 for one in files(path)} == {0}
    handler.close()


def test_a_line_longer_than_a_file_is_whole(tmp_path: Path) -> None:
    handler, _ = made(tmp_path / "run.txt", max_bytes=100)
    for text in ("a" * 50, "b" * 500, "c"):
        say(handler, text)
    assert [one.read_text() for one in files(tmp_path / "run.txt")] == [
        "a" * 50 + "\n",
        "b" * 500 + "\n",
        "c\n",
    ]


def test_several_processes_lose_and_split_no_line(tmp_path: Path) -> None:
    path = tmp_path / "run.txt"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name, str(LINES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for name in "abc"
    ]
    for one in writers:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in writers:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    assert [one.communicate(timeout=120)[0] for one in writers] == ["", "", ""]
    assert [one.returncode for one in writers] == [0, 0, 0]
    lines = [line for one in files(path) for line in one.read_text().splitlines()]
    assert len(files(path)) > 10
    expected = [f"{name} {n} {'x' * (n % 700)}" for name in "abc" for n in range(LINES)]
    assert sorted(lines) == sorted(expected)


def test_a_file_that_a_person_moves_away_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "run.txt"
    handler, _ = made(path)
    say(handler, "before")
    path.rename(tmp_path / "moved")
    say(handler, "after")
    assert (tmp_path / "moved").read_text() == "before\n"
    assert path.read_text() == "after\n"


def test_a_disk_that_takes_nothing_is_told_once_and_ends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.txt"
    child = os.fork()
    if child == 0:  # the limit of a file's size is the process's
        import signal

        code = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            handler, told = made(path, max_bytes=1 << 20)
            resource.setrlimit(resource.RLIMIT_FSIZE, (25, resource.RLIM_INFINITY))
            for number in range(4):
                say(handler, f"line {number} of ten")  # 15 bytes: one and a part
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
            say(handler, "whole again")
            assert handler.lost == 3, handler.lost
            assert len(told) == 1, told
            assert "takes nothing" in told[0], told
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert path.read_text() == "line 0 of ten\nline 1 of t\nwhole again\n"


def test_json_is_one_object_a_line_with_its_traceback(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    handler, _ = made(path, max_bytes=100_000)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(RedactingFilter())
    remember(Secret("s3cret-of-a-test", "a test"))
    logger = logging.getLogger("fairlead.test_logs")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        logger.warning('two\nlines, "quotes", \udc80 and s3cret-of-a-test: %d', 7)
        try:
            raise ValueError("expected\nnothing of s3cret-of-a-test")
        except ValueError:
            logger.exception("failed")
    finally:
        logger.removeHandler(handler)
    first, second = [json.loads(line) for line in path.read_text().splitlines()]
    assert first["level"] == "WARNING"
    assert first["logger"] == "fairlead.test_logs"
    assert first["module"] == "test_logs"
    assert first["thread"] == "MainThread"
    assert first["message"].startswith('two\nlines, "quotes", ')
    assert first["message"].endswith(": 7")
    assert 1_700_000_000 * 10**9 < first["ts_ns"] <= second["ts_ns"]
    assert "traceback" not in first
    assert second["traceback"].splitlines()[0] == "Traceback (most recent call last):"
    assert "ValueError: expected" in second["traceback"]
    assert "s3cret" not in path.read_text()


def test_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.txt").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        made(tmp_path / "run.txt")
    assert "%(message)s" in TEXT
