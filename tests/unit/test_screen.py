"""Words for a screen that takes nothing: nobody waits for it, and what is lost is counted."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from fairlead.engine import screen
from fairlead.engine.screen import Screen
from tests.support.patience import PATIENCE_SECS


class Gate:
    """A file that takes nothing until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.reached = threading.Event()
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.reached.set()
        assert self.opened.wait(PATIENCE_SECS)
        self.written.append(data)


def test_all_is_written_in_its_order() -> None:
    gate = Gate()
    shown = Screen(gate.write)
    for number in range(100):
        shown.put(f"{number}\n".encode())
    assert not shown.wait(0.05)
    gate.opened.set()
    assert shown.wait(PATIENCE_SECS)
    assert gate.written == [f"{number}\n".encode() for number in range(100)]
    assert shown.dropped == [0, 0]


def test_what_is_beyond_the_limit_is_dropped_counted_and_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(screen, "_screens", [])
    gate = Gate()
    shown = Screen(gate.write, limit_bytes=10)
    assert screen.dropped() == []
    for text in (b"123456\n", b"ab\n", b"lost\n", b"lost\nlost\n"):
        shown.put(text)
    assert shown.dropped == [3, 15]
    (note,) = screen.dropped()
    assert note.startswith("OUTPUT-DROPPED: 3 lines (15 bytes) were not shown")
    gate.opened.set()
    assert shown.wait(PATIENCE_SECS)
    shown.put(b"seen\n")
    assert shown.wait(PATIENCE_SECS)
    assert gate.written == [b"123456\n", b"ab\n", f"warning {note}\n".encode(), b"seen\n"]


def test_a_write_that_is_longer_than_the_limit_is_no_reason_to_drop_it() -> None:
    gate = Gate()
    gate.opened.set()
    shown = Screen(gate.write, limit_bytes=10)
    shown.put(b"x" * 100)
    assert shown.wait(PATIENCE_SECS)
    assert gate.written == [b"x" * 100]


def test_a_write_that_raises_does_not_end_the_thread() -> None:
    gate = Gate()
    gate.opened.set()

    def write(data: bytes) -> None:
        if data == b"bad":
            raise ValueError("a defect of whatever writes")
        gate.write(data)

    shown = Screen(write)
    shown.put(b"bad")
    shown.put(b"good")
    assert shown.wait(PATIENCE_SECS)
    assert gate.written == [b"good"]


SIGUSR1 = """
import os, signal
from fairlead.engine.errors import FairleadError
from fairlead.engine.kill.watch import KillSignal

class State:
    def engage(self, *arguments, **more):
        raise {error}

with KillSignal(State()):
    os.kill(os.getpid(), signal.SIGUSR1)
    print("went on")
"""


@pytest.mark.parametrize("kind", ["pipe", "/dev/full", "closed"])
@pytest.mark.parametrize("error", ["FairleadError('KILL-STATE', 'x')", "OSError(28, 'full')"])
def test_a_kill_by_signal_neither_raises_nor_waits(error: str, kind: str) -> None:
    """What it was sent to may be a strategy at work."""
    if kind == "/dev/full":
        reading, writing = os.open(os.devnull, os.O_RDONLY), os.open(kind, os.O_WRONLY)
    else:
        reading, writing = os.pipe()
    if kind == "pipe":
        os.set_blocking(writing, False)
        for size in (4096, 1):
            try:
                while True:
                    os.write(writing, b"x" * size)
            except BlockingIOError:
                continue
        os.set_blocking(writing, True)
    elif kind == "closed":
        os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, "-c", SIGUSR1.format(error=error)],
            stdout=subprocess.PIPE,
            stderr=writing,
            text=True,
            timeout=PATIENCE_SECS,
            check=False,
        )
    finally:
        os.close(writing)
        if kind != "closed":
            os.close(reading)
    assert (ended.returncode, ended.stdout) == (0, "went on\n")
