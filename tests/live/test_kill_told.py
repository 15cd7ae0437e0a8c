"""The kill's last line beside a run that lives, and is often the first to act."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from fairlead.engine.errors import Exit
from tests.live.desk import INSTRUMENT, Desk
from tests.live.stopped_once import once
from tests.support.page import OBSERVE, PageOf
from tests.support.processes import PATIENCE_SECS, command, wait_for

pytestmark = pytest.mark.slow
HELD = "0.000999"  # less the buyer's fee
PAPER = '\n[simulated]\nbalances = ["5000 USDT"]\n'
KILL_PAGE = Path(__file__).parents[2] / "docs" / "kill.md"


@pytest.fixture
def config(desk: Desk) -> Path:
    """Of a run that is up, holds a position, and a stop under it."""
    made = once(desk)
    desk.start("live", made)
    wait_for(lambda: sorted(desk.states()) == ["FILLED", "WAITING"], "a stop under what is held")
    return made


def killed(config: Path, *more: str) -> list[str]:
    done = command("kill", "all", *more, "--config", str(config))
    assert done.returncode == Exit.OK, done.stdout + done.stderr
    return done.stdout.splitlines()


def status(config: Path) -> str:
    return " ".join(command("status", str(config)).stdout.split())


def test_a_position_that_stays_without_its_stop_is_named(config: Path) -> None:
    *lines, last = killed(config)
    assert last.startswith("oceanex: 1 orders gone, 0 left"), "whoever cancelled it"
    assert "; 1 positions stay, 1 WITHOUT A STOP" in last
    assert f"{INSTRUMENT} position {HELD} of S-1 stays: ITS STOP IS GONE" in lines


def test_what_a_flatten_closed_is_told_whoever_closed_it(config: Path) -> None:
    *lines, last = killed(config, "--action", "flatten")
    assert last.startswith("oceanex: 1 orders gone, 0 left")
    by_command = f"{INSTRUMENT} position {HELD}: flat" in lines and "1 of 1 positions flat" in last
    by_run = re.search(rf"; the run itself sold {HELD} of {INSTRUMENT}", last)
    assert by_command or by_run, last
    assert "stay" not in last


def test_a_stop_that_no_list_shows_is_not_called_gone_without_its_journal(desk: Desk) -> None:
    """The venue lists no stop that waits: with the journal its id is asked for."""
    config = once(desk)
    process = desk.start("live", config)
    wait_for(lambda: sorted(desk.states()) == ["FILLED", "WAITING"], "a stop under what is held")
    desk.stop(process, signal.SIGKILL)
    journal = desk.journal
    beside = journal.with_name("beside")
    beside.mkdir()
    for path in journal.parent.glob(f"{journal.name}*"):
        path.rename(beside / path.name)
    told = command("kill", "all", "--config", str(config))
    assert told.returncode == Exit.UNRESOLVED, told.stdout + told.stderr
    assert "STOPS-UNLISTED" in told.stdout
    for path in beside.iterdir():
        path.rename(journal.with_name(path.name))
    lines = killed(config)
    assert lines[-1].startswith("oceanex: 1 orders gone, 0 left")
    assert any("stops that wait for their trigger are not in the venue's list" in x for x in lines)


def test_it_is_named_whoever_took_the_stop_and_when(desk: Desk, config: Path) -> None:
    """By a kill before, of the signal: the command itself finds nothing to cancel."""
    (process,) = desk._processes
    process.send_signal(signal.SIGUSR1)
    wait_for(lambda: sorted(desk.states()) == ["CANCELED", "FILLED"], "the run to have booked it")
    none = "oceanex: 0 orders gone, 0 left; "
    wait_for(lambda: killed(config)[-1].startswith(none), "a kill with nothing to do")
    *lines, last = killed(config)
    assert last == f"{none}1 positions stay, 1 WITHOUT A STOP"
    assert f"{INSTRUMENT} position {HELD} of S-1 stays: ITS STOP IS GONE" in lines
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE_SECS)
    *_, last = killed(config)
    assert "1 positions stay, 1 WITHOUT A STOP" in last, "by the journal of a run that died"


@pytest.mark.parametrize("dies", ["before the clear", "after it", "never"])
def test_a_run_that_hangs_through_the_kill_tells_it_after_the_clear(
    desk: Desk, config: Path, dies: str
) -> None:
    (process,) = desk._processes
    process.send_signal(signal.SIGSTOP)
    *_, last = killed(config)
    assert "1 positions stay, 1 WITHOUT A STOP" in last
    if dies == "before the clear":
        desk.stop(process, signal.SIGKILL)
    cleared = command("kill", "all", "--clear", "--reason", "x", "--config", str(config))
    assert cleared.returncode == Exit.OK, cleared.stdout + cleared.stderr
    if dies == "after it":
        desk.stop(process, signal.SIGKILL)
    if dies == "never":
        process.send_signal(signal.SIGCONT)
    else:
        process = desk.start("live", desk.config("nothing"))
    wait_for(lambda: sorted(desk.states()) == ["CANCELED", "FILLED"], "it to be booked")
    wait_for(lambda: "NO-STOP" in status(config), "it to be told")
    assert f"S-1 holds {HELD} of {INSTRUMENT} without a stop" in status(config)
    assert "JRN-" not in desk.log.read_text(), "what the command noted is no damage to the run"
    assert desk.stop(process) == Exit.NOT_FLAT
    assert "NO-STOP" in status(config)


def test_the_page_tells_it_until_the_position_is_over(desk: Desk) -> None:
    config = once(desk, OBSERVE)
    process = desk.start("live", config)
    wait_for(lambda: sorted(desk.states()) == ["FILLED", "WAITING"], "a stop under what is held")
    page = PageOf(desk.log, desk.folder / "state")
    assert "NO-STOP" not in page.wrong()
    killed(config)
    wait_for(lambda: "NO-STOP" in page.wrong(), "it to be told in force")
    assert command("kill", "all", "--clear", "--reason", "x", "--config", str(config)).stdout
    wait_for(lambda: "KILLED" not in page.wrong(), "the clear")
    assert "NO-STOP" in page.wrong()
    killed(config, "--action", "flatten")
    wait_for(lambda: "NO-STOP" not in page.wrong(), "the position to be over")
    assert desk.stop(process) == Exit.KILLED


@pytest.mark.parametrize("verb", ["live", "paper"])
def test_a_run_that_finds_the_file_ends_with_exit_8(desk: Desk, verb: str) -> None:
    """And says so from its start on."""
    config = once(desk, PAPER if verb == "paper" else "")
    file = desk.folder / "state" / "KILL"
    file.parent.mkdir(exist_ok=True)
    file.touch()
    process = desk.start(verb, config)
    wait_for(lambda: f"the kill switch file {file} exists" in desk.log.read_text(), "it to be told")
    wait_for(lambda: "KILLED" in status(config), "status to tell it")
    assert desk.stop(process) == Exit.KILLED
    assert command("kill", "--status", "--config", str(config)).returncode == Exit.KILLED
    page = " ".join(KILL_PAGE.read_text().split())
    assert "a run that ends while the file is there ends with exit code 8" in page
