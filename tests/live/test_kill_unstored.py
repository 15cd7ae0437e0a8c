"""A kill that no disk takes: what was asked for is done all the same, and the rest is told."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from decimal import Decimal
from typing import Any

import pytest

from fairlead.engine.errors import Exit
from tests.live.blocked_run import Run
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import FAIRLEAD, ROOT, wait_for

# No file may grow: what a full disk is to a process, without one. The suite's look for credentials
# writes a file, too: it stays out.
FULL_DISK = ("sh", "-c", 'ulimit -f 0; unset PYTHONPATH; exec "$@"', "sh")

STATES = "SELECT state, count(*) FROM orders GROUP BY state ORDER BY state"


def kill(run: Run, *arguments: str, full: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*(FULL_DISK if full else ()), FAIRLEAD, "kill", *arguments, "--config", str(run.config)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=PATIENCE_SECS,
        check=False,
    )


def in_the_way(run: Run) -> None:
    """A folder of kills that takes none, on a disk that takes everything else."""
    shutil.rmtree(run.state, ignore_errors=True)
    run.state.write_text("no folder")


def told(done: subprocess.CompletedProcess[str], scope: str) -> dict[str, Any]:
    """The answer, where all is cancelled and nothing stored."""
    assert done.returncode == Exit.NOT_STORED, done.stdout + done.stderr
    first, *_, last = done.stderr.splitlines()
    assert first.startswith(f"error KILL-STATE: the kill of {scope} ")
    assert "is NOT STORED" in first
    assert last.startswith(f"NOT STORED: the kill of {scope} is over with this command. A run")
    answer: dict[str, Any] = json.loads(done.stdout)
    assert not answer["is_stored"]
    assert not answer["is_clean"]
    return answer


@pytest.mark.parametrize("live", ["oceanex", "poloniex"], indirect=True)
def test_a_full_disk_keeps_no_cancel_of_a_dead_run_back(live: Run) -> None:
    live.start({"id": "B-1", "goes_on": False}, {"id": "B-2", "goes_on": False})
    live.at_least(6)
    assert live.process is not None
    live.process.kill()
    live.process.wait(PATIENCE_SECS)
    halted = told(kill(live, "all", "--action", "halt", "--json"), "all")
    assert halted["venues"] == []
    assert len(live.open()) == 6
    alone = told(kill(live, "strategy", "B-1", "--json"), "strategy B-1")
    assert [o["strategy"] for o in alone["venues"][0]["orders"]] == ["B-1"] * 3
    assert len(live.open()) == 3
    done = told(kill(live, "venue", live.key, "--json"), f"venue {live.key}")
    assert not done["venues"][0]["problem"]
    assert not live.open()
    assert live.kill("--status")["in_force"] == []


def test_a_frozen_run_is_cancelled_and_flattened_while_only_the_kill_is_refused(live: Run) -> None:
    before = live.btc()
    live.start({"goes_on": False, "buys": 1, "rests": 3})
    live.at_least(4)
    rested = [("FILLED", 1), ("OPEN", 3)]
    wait_for(lambda: live.journaled(STATES) == rested, "what it sent to be journaled")
    wait_for(lambda: live.frozen(), "a moment between two writes to stop it in")
    done = kill(live, "all", "--action", "flatten")  # the journal is on the same disk
    assert done.returncode == Exit.NOT_STORED, done.stdout + done.stderr
    assert "KILL-FLATTEN: NO POSITION WAS CLOSED, as a closing order is journaled" in done.stdout
    assert "3 orders gone, 0 left" in done.stdout
    assert not live.open()
    in_the_way(live)
    told(kill(live, "account", "main", "--action", "flatten", "--json", full=False), "account main")
    assert Decimal(0) <= live.btc() - before < Decimal("0.000001")


def test_a_signal_stops_the_run_that_got_it_where_no_disk_takes_the_kill(live: Run) -> None:
    live.start({"goes_on": False, "rests": 3, "block_secs": 60})
    live.at_least(3)
    live.block()
    in_the_way(live)
    assert live.process is not None
    live.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: not live.open(), f"the cancels past the loop; see {live.log}")
    live.release()
    wait_for(lambda: "signal SIGUSR1" in live.log.read_text(), f"the word of it; see {live.log}")
    assert live.end() == Exit.KILLED


def test_a_journal_that_cannot_be_read_is_not_a_strategy_without_orders(live: Run) -> None:
    live.start({"goes_on": False})
    live.at_least(3)
    assert live.process is not None
    live.process.kill()
    live.process.wait(PATIENCE_SECS)
    journal = live.folder / "state" / "oceanex-main.journal.sqlite"
    for path in journal.parent.glob(f"{journal.name}*"):
        path.unlink()
    journal.write_text("no journal")
    done = kill(live, "strategy", "B-1", full=False)
    assert done.returncode == Exit.UNRESOLVED, done.stdout + done.stderr
    assert "the orders of strategy B-1 are not known, and NONE WAS CANCELLED" in done.stdout
    assert len(live.open()) == 3
