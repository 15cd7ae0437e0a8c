"""What a run's handlers leave behind: no alarm, whatever came while they went."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import closing

import pytest

from fairlead.engine.orders import permit
from fairlead.engine.processes import ECHO_SECS, speech
from fairlead.engine.run.signals import StopSignals
from tests.support.patience import PATIENCE_SECS

LATE = """
import atexit, os, signal, sys, time
from fairlead.engine.cli import process
sys.argv = ["fairlead", "live"]
process.begin()
process.end_by_signals(130)
from fairlead.engine.processes import speech
speech.is_hurried = True
process.hurry()
code = process.finish(130)
class Last:
    def __del__(self, sleep=time.sleep, kill=os.kill, me=os.getpid(), alarm=signal.SIGINT):
        kill(me, alarm)
        sleep(0.7)
keep = Last()
sys.keep = keep
raise SystemExit(code)
"""


def test_no_alarm_outlives_the_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second signal that comes while they are put back sets it again."""
    monkeypatch.setattr(speech, "is_hurried", False)
    monkeypatch.setattr(speech, "has_begun", False)
    real = signal.setitimer
    with closing(asyncio.new_event_loop()) as loop:
        stops = StopSignals(loop, lambda _: None, lambda: None, lambda _: None, "nothing")

        def racing(which: int, secs: float) -> object:
            found = real(which, secs)
            if not secs and signal.getsignal(signal.SIGINT) == stops._came:
                os.kill(os.getpid(), signal.SIGINT)
            return found

        with stops:
            os.kill(os.getpid(), signal.SIGINT)
            monkeypatch.setattr(signal, "setitimer", racing)
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.parametrize("count", [1, 2])
def test_a_signal_within_a_submission_is_none_of_its_context(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python handles it between two steps of whatever runs, in the context of that."""
    monkeypatch.setattr(speech, "is_hurried", False)
    monkeypatch.setattr(speech, "has_begun", False)
    seen: list[str | None] = []

    async def submits(stops: StopSignals) -> None:
        with stops:
            with permit.asking(lambda: "the engine is stopping"):
                for number in (signal.SIGINT, signal.SIGTERM)[:count]:
                    os.kill(os.getpid(), number)
                assert permit.refusal() == "the engine is stopping"
            while len(seen) < count:
                await asyncio.sleep(0)

    def told(*_: str) -> None:
        seen.append(permit.refusal())

    with closing(asyncio.new_event_loop()) as loop:
        stops = StopSignals(loop, told, told, lambda _: None, "nothing")
        loop.run_until_complete(submits(stops))
    assert seen == [None] * count


def test_one_signal_that_comes_twice_at_once_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `timeout` sends it: to the command, and to its group. One a moment later is another."""
    monkeypatch.setattr(speech, "is_hurried", False)
    monkeypatch.setattr(speech, "has_begun", False)
    told: list[str] = []

    async def work() -> None:
        with StopSignals(loop, told.append, lambda: told.append("cut"), lambda _: None, "nothing"):
            for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGTERM):
                os.kill(os.getpid(), number)
            await asyncio.sleep(2 * ECHO_SECS)
            assert told == ["SIGTERM"]
            os.kill(os.getpid(), signal.SIGTERM)
            while len(told) < 2:
                await asyncio.sleep(0)

    with closing(asyncio.new_event_loop()) as loop:
        loop.run_until_complete(work())
    assert told == ["SIGTERM", "cut"]


def test_what_ended_with_a_code_is_not_killed_on_its_way_out() -> None:
    """The interpreter gives up its handlers before it is gone, and a hurried run has an alarm."""
    done = subprocess.run(
        [sys.executable, "-c", LATE], capture_output=True, timeout=PATIENCE_SECS, check=False
    )
    assert done.returncode == 130, done.stderr
