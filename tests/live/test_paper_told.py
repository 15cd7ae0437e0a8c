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
