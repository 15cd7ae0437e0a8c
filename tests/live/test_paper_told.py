"""What is told of a paper run from another shell: what no file has is not told as nothing."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from fairlead.engine.errors import Exit
from tests.live.desk import Desk
from tests.live.stopped_once import once
from tests.support.page import OBSERVE, PageOf
from tests.support.processes import command, wait_for

pytestmark = pytest.mark.slow
PAPER = '\n[simulated]\nbalances = ["5000 USDT"]\n'
VERBS = ("orders", "positions", "fills")
NOT_KNOWN = "not known: a paper run's orders, executions and positions are in no file until it has"


def told(verb: str, config: Path, *words: str) -> tuple[int, str]:
    done = command(verb, str(config), *words)
    return done.returncode, " ".join(done.stdout.split())


def as_json(verb: str, config: Path) -> Any:
    return json.loads(command(verb, str(config), "--json").stdout)


def test_what_no_file_has_of_a_paper_run_is_unknown_and_not_none(desk: Desk) -> None:
    config = once(desk, PAPER)
    process = desk.start("paper", config)
    wait_for(lambda: told("status", config)[1].startswith("all is well"), "the run to be up")
    code, text = told("status", config)
    assert (code, "0 open" in text) == (Exit.OK, False)
    assert f"orders {NOT_KNOWN}" in text
    status = as_json("status", config)
    assert [status[name] for name in ("open_orders", "unknown_orders", "fills")] == [None] * 3
    for verb in VERBS:
        code, text = told(verb, config)
        assert (code, text.startswith(NOT_KNOWN)) == (Exit.NO_DATA, True), text
        assert as_json(verb, config) is None
    desk.stop(process, signal.SIGKILL)
    for verb in ("positions", "fills"):
        code, text = told(verb, config, "--mode", "paper")
        assert code == Exit.NO_DATA, text
        assert text.startswith("not known: the last paper run, ")
        assert text.endswith("was killed, and what it did is in no file")
    died_with_it = told("orders", config, "--mode", "paper")
    assert died_with_it == (Exit.OK, "no order is open")


def test_a_paper_run_that_a_kill_left_without_its_stop_is_told_of_paper(desk: Desk) -> None:
    """The kill's word, and then the run's, that trades on after the clear."""
    config = once(desk, PAPER + OBSERVE)
    process = desk.start("paper", config)
    page = PageOf(desk.log, desk.folder / "state")
    wait_for(lambda: len(page.get("orders")) == 1, "a stop under what is held")
    killed = command("kill", "all", "--action", "flatten", "--config", str(config))
    lines = killed.stdout.splitlines()
    assert killed.returncode == Exit.UNRESOLVED, killed.stdout + killed.stderr
    assert not [line for line in lines if "no journal" in line], killed.stdout
    paper = f"oceanex: the paper run that is up (process {process.pid}) cancels its simulated"
    assert any(line.startswith(paper) for line in lines), killed.stdout
    assert any("NOTHING WAS CLOSED: what is up is a paper run" in line for line in lines)
    wait_for(lambda: "NO-STOP" in told("status", config)[1], "it to be told beside the kill")
    cleared = command("kill", "all", "--clear", "--reason", "x", "--config", str(config))
    assert cleared.returncode == Exit.OK, cleared.stdout + cleared.stderr
    wait_for(lambda: "KILLED" not in told("status", config)[1], "the run to have heard of it")
    code, text = told("status", config)
    assert (code, "NO-STOP" in text) == (Exit.KILLED, True), text
    assert "S-1 holds 0.000999 of BTC_USDT.OCEANEX without a stop" in text
    desk.stop(process)
