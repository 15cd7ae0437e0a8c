"""A venue of a distribution of its own, as `fairlead new venue` writes it: installed, and run.

Its processes are real ones with the distribution on their path: what is forked knows it not.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.patience import PATIENCE_SECS
from tests.support.processes import FAIRLEAD, wait_for

DOCUMENTED_PORT = "8610"
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install"]


class Own:
    """A folder in which the venue is written, and a place where it is installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = folder / "site"
        self.env = {**os.environ, "PYTHONPATH": str(self.site)}

    def install(self, source: str) -> None:
        """Without a network, beside the environment: no other test may see it."""
        options = ["--no-build-isolation", "--no-deps", "--no-index", "--target", str(self.site)]
        self._run([*PIP, *options, f"./{source}"])

    def fairlead(self, words: str, code: int = 0) -> str:
        return self._run([FAIRLEAD, *shlex.split(words)], code)

    def _run(self, command: list[str], code: int = 0) -> str:
        ended = subprocess.run(
            command,
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECS,
            check=False,
        )
        assert ended.returncode == code, ended.stdout[-2000:] + ended.stderr[-2000:]
        return ended.stdout

    @contextmanager
    def serving(self, words: str, config: Path) -> Iterator[dict[str, Any]]:
        """`fairlead venue ...` on a free port, which the config gets in place of its own."""
        assert f"--port {DOCUMENTED_PORT}" in words
        command = [FAIRLEAD, *shlex.split(words.replace(DOCUMENTED_PORT, "0"))]
        venue = subprocess.Popen(
            command, cwd=self.folder, env=self.env, stdout=subprocess.PIPE, text=True
        )
        try:
            assert venue.stdout is not None
            line: dict[str, Any] = json.loads(venue.stdout.readline())
            port = str(line["rest"]).rpartition(":")[2].partition("/")[0]
            config.write_text(config.read_text().replace(DOCUMENTED_PORT, port))
            yield line
        finally:
            venue.send_signal(signal.SIGTERM)
            venue.communicate(timeout=PATIENCE_SECS)

    def trade(self, words: str, journal: Path, count: int) -> str:
        """`fairlead live ...` until so many orders are filled, then Ctrl-C: what it wrote."""
        log = self.folder / "live.log"
        with log.open("w") as out:
            run = subprocess.Popen(
                [FAIRLEAD, *shlex.split(words)],
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_for(
                lambda: filled(journal) >= count or run.poll() is not None,
                f"{count} orders filled; see {log}",
            )
            run.send_signal(signal.SIGINT)
            code = run.wait(PATIENCE_SECS)
        finally:
            run.kill()
            run.wait(PATIENCE_SECS)
        assert code == 0, log.read_text()[-3000:]
        return log.read_text()


def filled(journal: Path) -> int:
    """Orders that a journal knows as filled."""
    if not journal.exists():
        return 0
    with sqlite3.connect(f"file:{journal}?mode=ro", uri=True) as db:
        try:
            (count,) = db.execute("SELECT count(*) FROM orders WHERE state = 'FILLED'").fetchone()
        except sqlite3.OperationalError:
            return 0  # its tables are not there yet
    return int(count)
