"""Lives of the fairlead command, spawned or forked, for those who kill them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from tests.crash.launch import Request
from tests.support.processes import FAIRLEAD, ROOT, forks

LOOK_SECS = 0.05
END_SECS = 60.0  # for a signal that nothing can refuse
ENV = {**os.environ, "PYTHONPATH": str(ROOT)}


class Life(Protocol):
    """One process."""

    pid: int

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it lives."""
        ...

    def send_signal(self, number: int) -> None: ...


class Starter(Protocol):
    def start(self, request: Request) -> Life: ...


class Spawned:
    """Each life is a command of its own; one without a trail is `fairlead` itself."""

    def start(self, request: Request) -> Life:
        command = [
            sys.executable,
            "-m",
            "tests.crash.launch",
            msgspec.json.encode(request).decode(),
        ]
        if not request.trail and not request.bare:
            command = [FAIRLEAD, *request.arguments]
        with Path(request.log).open("a") as out:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=ENV,
            )


class Forked:
    """Each life is forked from the process that has imported the command."""

    def start(self, request: Request) -> Life:
        with Path(request.log).open("a") as out:
            return forks().start(
                [msgspec.json.encode(request).decode()],
                stdout=out,
                program="tests.crash.launch:main",
            )


def hold(life: Life) -> None:
    """Stop the life where it is, until a SIGCONT: nothing of it runs when this returns."""
    life.send_signal(signal.SIGSTOP)
    stat = Path(f"/proc/{life.pid}/stat")
    _wait(lambda: life.poll() is not None or _state(stat) == "T", END_SECS)


def _state(stat: Path) -> str:
    """Of the whole process: it is stopped when the last of its threads is."""
    return stat.read_text().rpartition(")")[2].split()[0]


def ended(life: Life, until: Callable[[], bool], most_secs: float) -> int:
    """Stop the life in order when `until` holds, or it has ended. Its exit code.

    Raises TimeoutError; then the life was killed.
    """
    try:
        _wait(lambda: life.poll() is not None or until(), most_secs)
        if life.poll() is None:
            life.send_signal(signal.SIGTERM)
        _wait(lambda: life.poll() is not None, most_secs)
    finally:
        if life.poll() is None:
            life.send_signal(signal.SIGKILL)
            _wait(lambda: life.poll() is not None, END_SECS)
    code = life.poll()
    assert code is not None
    return code


def killed(life: Life, when: Callable[[], bool], most_secs: float) -> None:
    """SIGKILL when `when` holds. Raises TimeoutError; RuntimeError for one that ended by itself."""
    try:
        _wait(lambda: life.poll() is not None or when(), most_secs)
        if life.poll() is not None:
            raise RuntimeError(f"a life ended with {life.poll()} before it was killed")
    finally:
        if life.poll() is None:
            life.send_signal(signal.SIGKILL)
            _wait(lambda: life.poll() is not None, END_SECS)


def _wait(condition: Callable[[], bool], secs: float) -> None:
    deadline = time.monotonic() + secs
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {secs:g} s")
        time.sleep(LOOK_SECS)
