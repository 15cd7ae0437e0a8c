"""A clean folder in which the documents' commands run one after the other, as a reader would."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support import processes
from tests.support.forks import Process
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import ROOT, wait_for

DOCUMENTED_PORT = "8610"
BIN = Path(sys.executable).parent
LINKED = (".ci", "Makefile", "adapters", "backtests", "benchmarks", "engine", "fairlead")
LINKED += ("strategies", "tests")
UP_SECS = 60.0


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


class Session:
    """The folder, and what runs in it. `port` stands for the documents' own, everywhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.venue: subprocess.Popen[str] | None = None
        self._env = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        (folder / "configs").mkdir()
        for path in (ROOT / "configs").glob("*.toml"):
            (folder / "configs" / path.name).write_text(self.at_port(path.read_text()))
        for name in LINKED:
            (folder / name).symlink_to(ROOT / name)
        (folder / ".venv").symlink_to(BIN.parent)
        # The kill page's own file: the demo's, with the strategy that the page names.
        text = (folder / "configs" / "demo.toml").read_text().replace("Maker-001", "maker-1")
        (folder / "run.toml").write_text(text.replace('"file:venue/', '"file:configs/venue/'))

    def at_port(self, text: str) -> str:
        return re.sub(rf"\b{DOCUMENTED_PORT}\b", self.port, text)

    @property
    def journal(self) -> Path:
        return self.folder / "configs" / "state" / "oceanex-main.journal.sqlite"

    def order_id(self) -> str:
        with sqlite3.connect(f"file:{self.journal}?mode=ro", uri=True) as db:
            return str(db.execute("SELECT client_order_id FROM orders").fetchone()[0])

    def run(
        self, command: str, cwd: Path | None = None, *, is_kept: bool = True, **fill: str
    ) -> subprocess.CompletedProcess[str]:
        """To its end. `fill` are the placeholders of the text, each of which must be there."""
        words, place = self._words(command, fill), cwd or self.folder
        if words[0] == "fairlead":
            return processes.command(*words[1:], cwd=place, env=self._env, is_kept=is_kept)
        return subprocess.run(
            words,
            cwd=place,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if is_kept else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE_SECS,
            check=False,
        )

    def _words(self, command: str, fill: dict[str, str]) -> list[str]:
        text = self.at_port(command)
        for name, value in fill.items():
            assert name in text, f"{name} is not in {command}"
            text = text.replace(name, value)
        return shlex.split(text)

    def start(self, command: str, log: Path) -> subprocess.Popen[str] | Process:
        words = self._words(command, {})
        with log.open("w") as out:
            if words[0] == "fairlead":
                return processes.forks().start(
                    words[1:], stdout=out, environment=self._env, cwd=self.folder
                )
            return subprocess.Popen(
                words,
                cwd=self.folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def until(self, command: str, is_up: Callable[[str], bool]) -> tuple[int, str]:
        """Run until what it wrote says that it is up, then Ctrl-C: exit code and output."""
        log = self.folder / "run.log"
        process = self.start(command, log)
        try:
            wait_for(
                lambda: is_up(log.read_text()) or process.poll() is not None,
                f"{command} to be up; see {log}",
                UP_SECS,
            )
            process.send_signal(signal.SIGINT)
            return process.wait(UP_SECS), log.read_text()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(10)

    def serve(self, command: str) -> dict[str, Any]:
        """The venue, until the session ends."""
        log = self.folder / "venue.log"
        self.venue = self.start(command, log)
        wait_for(lambda: "\n" in log.read_text() or self.venue.poll() is not None, "the venue")
        found: dict[str, Any] = json.loads(log.read_text())
        log.unlink()  # its line tells the test credentials
        return found

    def has_traded(self) -> bool:
        """Whether an order of the live run is filled, so that there is a story and a recording."""
        if not self.journal.exists():
            return False
        with sqlite3.connect(f"file:{self.journal}?mode=ro", uri=True) as db:
            try:
                return bool(db.execute("SELECT 1 FROM orders WHERE state = 'FILLED'").fetchone())
            except sqlite3.OperationalError:
                return False  # its tables are not there yet

    def end(self) -> int:
        """Ctrl-C for the venue; its exit code."""
        assert self.venue is not None
        self.venue.send_signal(signal.SIGINT)
        return self.venue.wait(20)
