"""A live run whose loop stands still: told in its log, ended where that is wanted, taken over."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fairlead.engine.errors import Exit
from tests.live.blocked_run import Run
from tests.support import configs
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import command, wait_for

pytestmark = pytest.mark.slow
STUCK = """
[run]
stuck_secs = 1
stuck_exit_secs = 5
on_stop = "{on_stop}"

[log]
rotate_mb = 1
"""
OPEN = "SELECT 1 FROM orders WHERE state = 'OPEN'"
RESTS: dict[str, Any] = {"rests": 3, "goes_on": False, "block_secs": 600}


def begin(live: Run, on_stop: str) -> None:
    live.more = configs.ROOMY + STUCK.format(on_stop=on_stop)
    live.start(dict(RESTS))
    live.at_least(3)
    wait_for(lambda: len(live.journaled(OPEN)) >= 3, "three open orders")


def logged(live: Run) -> list[dict[str, Any]]:
    lines = (live.folder / "state" / "logs" / "test-live.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(("on_stop", "stays"), [("cancel", False), ("keep", True)])
def test_it_ends_by_itself_and_the_next_start_goes_on(live: Run, on_stop: str, stays: bool) -> None:
    begin(live, on_stop)
    live.block()
    assert live.process is not None
    assert live.process.wait(PATIENCE_SECS) == Exit.FAILED
    told = live.log.read_text()
    assert "error LOOP-STUCK: the event loop has not turned for 5 s" in told
    assert ("no cancel is sent" if stays else "orders went out") in told
    if stays:
        assert len(live.open()) >= 3
    else:  # this venue takes a cancel, and cancels a moment later
        wait_for(lambda: not live.open(), "the cancels to be done")
    stuck = [one for one in logged(live) if one["message"].startswith("LOOP-STUCK")]
    assert [one["level"] for one in stuck] == ["CRITICAL", "CRITICAL"]
    assert "_block" in stuck[0]["message"]
    assert "blocker.py" in stuck[0]["message"]
    live.release()
    live.log = live.folder / "again.log"
    live.start({"rests": 0, "goes_on": False})
    assert live.end_at("connected to") == Exit.OK
    assert not live.journaled("SELECT 1 FROM orders WHERE state = 'UNKNOWN'")


def test_while_it_is_up_its_journal_is_told_and_not_compacted(live: Run) -> None:
    begin(live, "cancel")
    config = str(live.config)
    told = json.loads(command("journal", "ls", config, "--json").stdout)
    assert told[0]["open_orders"] >= 3
    for verb in ("compact", "upgrade"):
        assert command("journal", verb, config).returncode == Exit.LOCKED
    assert live.end() == Exit.OK
    done = command("journal", "compact", config)
    assert done.returncode == Exit.OK
    assert "nothing to move" in done.stdout
