"""A screen that takes nothing holds up no order, no stop and no end of a run.

It is a pipe that nobody reads, full before the run begins, a terminal that Ctrl-S holds, or a file
on a full disk.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.live.desk import QUICK, Desk
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import FAIRLEAD, ROOT, wait_for

CTRL_S = b"\x13"
BRIEF = QUICK + "[run]\nstop_timeout_secs = 4\n"

Opened = Callable[[str], int]


@pytest.fixture
def screen() -> Iterator[Opened]:
    """What takes nothing, as a descriptor to give to a process as stdout or stderr."""
    with ExitStack() as opened:

        def opens(kind: str) -> int:
            if kind == "pty":
                reading, writing = pty.openpty()
                os.write(reading, CTRL_S)
            elif kind == "pipe":
                reading, writing = os.pipe()
                _fill(writing)
            else:
                reading, writing = os.open(os.devnull, os.O_RDONLY), os.open(kind, os.O_WRONLY)
            opened.callback(os.close, reading)
            opened.callback(os.close, writing)
            return writing

        yield opens


def _fill(pipe: int) -> None:
    os.set_blocking(pipe, False)
    for size in (4096, 1):
        try:
            while True:
                os.write(pipe, b"x" * size)
        except BlockingIOError:
            continue
    os.set_blocking(pipe, True)


class Run:
    """A run whose stderr is that screen; stdout is a file unless it is the screen as well."""

    def __init__(
        self, desk: Desk, verb: str, config: Path, stderr: int, *words: str, both: bool = False
    ) -> None:
        self.out = desk.folder / "screen.out"
        with self.out.open("w") as file:
            self.process = subprocess.Popen(
                [FAIRLEAD, verb, str(config), *words],
                stdin=subprocess.DEVNULL,
                stdout=stderr if both else file,
                stderr=stderr,
                text=True,
                cwd=ROOT,
            )
        desk._processes.append(self.process)

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        wait_for(lambda: condition() or self.process.poll() is not None, what)
        assert self.process.poll() is None

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def code(self) -> int:
        return self.process.wait(PATIENCE_SECS)

    def told(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out.read_text())
        return found


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("pipe", signal.SIGTERM),
        ("pipe", signal.SIGINT),
        ("pipe", signal.SIGHUP),
        ("pty", signal.SIGTERM),
    ],
)
def test_a_live_run_trades_and_stops_in_order(
    desk: Desk, screen: Opened, kind: str, number: int
) -> None:
    run = Run(desk, "live", desk.config(), screen(kind), "--json")
    run.wait(lambda: "OPEN" in desk.states(), "an order at the venue")
    run.signal(number)
    assert run.code() == 0
    assert run.told()["exit_code"] == 0
    assert desk.states() == ["CANCELED"]
    assert not desk.is_resting()


@pytest.mark.parametrize("verb", ["paper", "record"])
def test_the_other_runs_go_on_and_stop_in_order(desk: Desk, screen: Opened, verb: str) -> None:
    run = Run(desk, verb, desk.config(more="[record]\n"), screen("pipe"), "--json")
    catalog = desk.folder / "data" / "catalog"
    acted = desk.did("acted")
    run.wait(acted if verb == "paper" else catalog.exists, "the run")
    run.signal()
    assert run.code() == 0
    assert run.told()["mode"] == verb


def test_what_was_not_shown_is_counted_in_the_summary(desk: Desk, screen: Opened) -> None:
    run = Run(desk, "live", desk.config("flood"), screen("pipe"), "--json")
    run.wait(desk.did("acted"), "three megabytes of words")
    run.signal()
    assert run.code() == 0
    (note,) = (one for one in run.told()["notes"] if one.startswith("OUTPUT-DROPPED: "))
    assert "lines (" in note


@pytest.mark.parametrize("kind", ["pipe", "pty", "/dev/full"])
@pytest.mark.parametrize("verb", ["live", "paper"])
def test_a_second_signal_ends_a_blocked_run(
    desk: Desk, screen: Opened, verb: str, kind: str
) -> None:
    run = Run(desk, verb, desk.config("spin"), screen(kind), "--json")
    run.wait(desk.seen.with_suffix(".json").exists, "the strategy to block the loop")
    run.signal()
    with pytest.raises(subprocess.TimeoutExpired):
        run.process.wait(1)  # in order means: when the strategy comes back
    run.signal()
    assert run.code() == 130
    assert run.told()["error"]["code"] == "STOP-AT-ONCE"
    assert desk.states() == (["OPEN"] if verb == "live" else [])


@pytest.mark.parametrize("kind", ["pipe", "pty", "/dev/full"])
def test_a_blocked_stop_is_cut_off(desk: Desk, screen: Opened, kind: str) -> None:
    run = Run(desk, "live", desk.config("spin", more=BRIEF), screen(kind), "--json")
    run.wait(desk.seen.with_suffix(".json").exists, "the strategy to block the loop")
    run.signal()
    assert run.code() == 11
    assert run.told()["error"]["code"] == "STOP-TIMEOUT"
    assert len(run.told()["left_open"]) == 1


@pytest.mark.parametrize("kind", ["pipe", "pty"])
def test_a_second_signal_ends_a_run_whose_result_nobody_takes(
    desk: Desk, screen: Opened, kind: str
) -> None:
    run = Run(desk, "live", desk.config(), screen(kind), both=True)
    run.wait(lambda: "OPEN" in desk.states(), "an order at the venue")
    run.signal()
    run.wait(lambda: desk.states() == ["CANCELED"], "the stop")
    with pytest.raises(subprocess.TimeoutExpired):
        run.process.wait(3)  # somebody may look at it again
    run.signal()
    assert run.code() in (0, 130)  # printed, or still about to end


def test_a_result_that_nobody_takes_is_given_up_and_kept(desk: Desk, screen: Opened) -> None:
    run = Run(desk, "live", desk.config(), screen("pipe"), "--for", "1", both=True)
    assert run.code() == 0
    assert "test (live)" in (desk.folder / "state" / "unshown.txt").read_text()


def test_two_signals_at_once_end_a_run_whose_result_nobody_takes(
    desk: Desk, screen: Opened
) -> None:
    run = Run(desk, "live", desk.config(), screen("pty"), both=True)
    run.wait(lambda: "OPEN" in desk.states(), "an order at the venue")
    desk.fault("POST", "/v1/order/delete", "unavailable", times=500)
    run.signal()
    run.wait(lambda: desk.faults_applied("unavailable") > 0, "the stop to begin")
    run.signal()
    assert run.code() in (11, 130)


def test_a_run_that_can_not_start_ends(desk: Desk, screen: Opened) -> None:
    config = desk.config()
    config.write_text(config.read_text().replace("BTC_USDT", "NONE_USDT"))
    run = Run(desk, "live", config, screen("pty"), "--json")
    run.wait(lambda: True, "")
    run.code()
    assert run.told()["exit_code"] == 3
