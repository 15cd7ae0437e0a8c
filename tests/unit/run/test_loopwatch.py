"""An event loop that stands still is told with its stack, and ends the process if told to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fairlead.engine.config.model import Run
from fairlead.engine.errors import Exit
from fairlead.engine.run.loopwatch import LoopWatch
from fairlead.engine.run.notify import alive_secs, notify
from tests.support.processes import ROOT

PATIENCE_SECS = 60.0
# A stuck loop in a process of its own: what is said, and how it ends
STUCK = """
import asyncio, logging, sys, time
from fairlead.engine.config.model import Run
from fairlead.engine.run import loopwatch
loopwatch.CANCEL_SECS = 2.0
logging.basicConfig(format="%(levelname)s %(message)s")
HOW = sys.argv[1]

def cancels(reason):
    if HOW == "raises": raise RuntimeError("no network")
    if HOW == "hangs": time.sleep(600)
    return "cancels of 3 orders went out"

def a_strategys_callback():
    if HOW == "locked":
        for handler in logging.getLogger().handlers: handler.acquire()
    time.sleep(600)

async def main():
    asyncio.get_running_loop().call_later(0.1, a_strategys_callback)
    watch = loopwatch.LoopWatch(
        asyncio.get_running_loop(),
        Run(stuck_secs=1, stuck_exit_secs=None if HOW == "stays" else 5),
        cancels=cancels, on_stuck=lambda text: None, is_up=lambda: HOW != "starting",
        is_stopping=lambda: HOW == "stopping")
    with watch:
        await asyncio.sleep(600)

asyncio.run(main())
"""


def until(condition: object) -> None:
    assert callable(condition)
    end = time.monotonic() + PATIENCE_SECS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def watched(told: list[str], **settings: int) -> LoopWatch:
    return LoopWatch(
        asyncio.get_running_loop(),
        Run(**{"stuck_secs": 1, **settings}),
        cancels=lambda _: "",
        on_stuck=told.append,
        is_up=lambda: True,
        is_stopping=lambda: False,
    )


async def test_it_is_told_once_with_the_stack_and_again_when_it_turns(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[str] = []
    with caplog.at_level(logging.INFO), watched(told):
        await asyncio.sleep(0.5)
        assert not told

        def computes_for_ever() -> None:
            until(lambda: told and "LOOP-STUCK" in caplog.text)

        computes_for_ever()
        while "turns again" not in caplog.text:
            await asyncio.sleep(0.05)
    assert len(told) == 1
    assert "stood still for 1 s or longer" in told[0], "who hears it hears it afterwards"
    stuck = [r for r in caplog.records if "The loop is at" in r.getMessage()]
    assert len(stuck) == 1
    assert stuck[0].levelno == logging.CRITICAL
    assert "in computes_for_ever" in stuck[0].getMessage()


def ended(how: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", STUCK, how],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=PATIENCE_SECS * 2,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("cancels", "cancels of 3 orders went out"),
        ("raises", "cancels failed: RuntimeError: no network"),
        ("hangs", "cancels were not through within 2 s"),
        ("locked", "cancels of 3 orders went out"),
    ],
)
def test_it_ends_the_process_and_says_what_it_has_cancelled(how: str, says: str) -> None:
    code, told = ended(how)
    assert code == Exit.FAILED, told
    last = told.strip().splitlines()[-1]
    assert last.startswith("error LOOP-STUCK: the event loop has not turned for 5 s")
    assert says in last
    assert "the next start takes over" in last
    assert "in a_strategys_callback" in told
    assert told.count("The loop is at") == 2  # when it is told, and when it ends


def test_a_start_takes_its_time() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", STUCK, "starting"], stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    time.sleep(8)
    assert child.poll() is None
    child.kill()
    assert child.communicate()[1] == ""


@pytest.mark.parametrize("how", ["stays", "stopping"])
def test_it_ends_nothing_unless_it_is_told_to_and_while_a_stop_is_on_its_way(how: str) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", STUCK, how], stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert child.stderr is not None
        while "a_strategys_callback" not in child.stderr.readline():
            assert child.poll() is None
        time.sleep(6)
        assert child.poll() is None
    finally:
        child.kill()
        child.communicate()


def test_a_process_that_was_stopped_is_not_stuck(tmp_path: Path) -> None:
    script = STUCK.replace("time.sleep(600)", "None")
    child = subprocess.Popen(
        [sys.executable, "-c", script, "cancels"], stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        time.sleep(3)
        child.send_signal(signal.SIGSTOP)
        time.sleep(7)
        child.send_signal(signal.SIGCONT)
        time.sleep(2)
        assert child.poll() is None
    finally:
        child.kill()
        _, told = child.communicate()
    assert told == ""


# -- the service manager ---------------------------------------------------------------------------


@pytest.mark.parametrize("is_abstract", [False, True])
def test_a_manager_hears_it(
    is_abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"fairlead-test-{os.getpid()}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}" if is_abstract else name)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}" if is_abstract else name)
        notify("READY=1")
        manager.settimeout(PATIENCE_SECS)
        assert manager.recv(100) == b"READY=1"


def test_a_manager_that_is_not_there_or_does_not_listen_delays_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("READY=1")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "deaf"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "deaf"))
        for _ in range(10_000):  # more than its queue takes
            notify("WATCHDOG=1")


async def test_signs_of_life_come_while_the_loop_turns_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE_SECS)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "600000")
        told: list[str] = []
        with watched(told):
            heard = await asyncio.to_thread(manager.recv, 100)
            assert heard == b"WATCHDOG=1"
            until(lambda: told)  # this is the loop's thread
            manager.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while manager.recv(100):
                    pass
            time.sleep(1)
            with pytest.raises(BlockingIOError):
                manager.recv(100)


@pytest.mark.parametrize(
    ("usec", "pid", "secs"),
    [
        ("", "", None),
        ("60000000", "", 30.0),
        ("60000000", "1", None),
        ("x", "", None),
        ("0", "", None),
    ],
)
def test_how_often_a_manager_wants_one(
    usec: str, pid: str, secs: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    if pid:
        monkeypatch.setenv("WATCHDOG_PID", pid)
    assert alive_secs() == secs
