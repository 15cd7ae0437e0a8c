"""The end of a run says of a position whose stop is gone that it is, and why."""

from __future__ import annotations

import subprocess

import pytest

from fairlead.engine.errors import Exit
from tests.live.desk import Desk
from tests.live.stopped_once import once
from tests.support.processes import PATIENCE_SECS, command, wait_for

pytestmark = pytest.mark.slow


def protected(desk: Desk, more: str = "") -> tuple[subprocess.Popen[str], str]:
    config = once(desk, more)
    process = desk.start("live", config)
    wait_for(lambda: sorted(desk.states()) == ["FILLED", "WAITING"], "a stop under what is held")
    return process, str(config)


def test_a_stop_that_the_end_took_is_told_and_no_failure(desk: Desk) -> None:
    process, _ = protected(desk)
    assert desk.stop(process) == Exit.OK
    assert "(S-1), unprotected: its stop was cancelled with the run's" in desk.log.read_text()


def test_a_stop_that_a_kill_took_is_no_success_though_it_was_cleared(desk: Desk) -> None:
    process, config = protected(desk)
    assert command("kill", "all", "--config", config).returncode == Exit.OK
    wait_for(lambda: sorted(desk.states()) == ["CANCELED", "FILLED"], "the run to have booked it")
    command("kill", "all", "--clear", "--reason", "x", "--config", config)
    assert desk.stop(process) == Exit.NOT_FLAT
    log = desk.log.read_text()
    assert "NOT-FLAT: held without its stop at the venue: " in log
    assert "was cancelled by the kill of all" in log


def test_a_stop_that_a_kill_in_force_took_is_told(desk: Desk) -> None:
    process, config = protected(desk)
    assert command("kill", "all", "--config", config).returncode == Exit.OK
    wait_for(lambda: sorted(desk.states()) == ["CANCELED", "FILLED"], "the run to have booked it")
    assert desk.stop(process) == Exit.KILLED
    assert "NOT-FLAT: held without its stop at the venue: " in desk.log.read_text()


@pytest.mark.parametrize("on_stop", ["cancel", "keep"])
def test_a_stop_that_went_with_a_fault_is_told(desk: Desk, on_stop: str) -> None:
    config = once(desk, f'[run]\non_stop = "{on_stop}"\nstop_timeout_secs = 30\n', "Raising")
    process = desk.start("live", config)
    assert process.wait(PATIENCE_SECS) == Exit.FAULTED
    log = desk.log.read_text()
    assert "NOT-FLAT: held without its stop at the venue: " in log
    assert "was cancelled as its strategy was stopped for a fault" in log
