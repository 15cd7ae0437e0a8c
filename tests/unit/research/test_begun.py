"""A run that goes on, or was killed, is listed beside those that are kept."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.trading import StrategyConfig
from typer.testing import CliRunner

from fairlead import GuardedStrategy
from fairlead.engine.cli.app import app
from fairlead.engine.errors import FairleadError
from fairlead.engine.processes import ECHO_SECS, tell_end
from fairlead.engine.research.begun import begun_below, marked
from fairlead.engine.research.find import find_run
from fairlead.engine.research.runs import runs_below
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import FAIRLEAD, ROOT
from tests.unit import backtest_kit as kit

READY = "TEST_BEGUN_READY"  # a file to make in the callback


class Waiting(GuardedStrategy):
    """Begins once a line comes in, and then does nothing."""

    def __init__(self, config: StrategyConfig) -> None:
        super().__init__(config)

    def on_start(self) -> None:
        if READY in os.environ:
            Path(os.environ[READY]).touch()
        sys.stdin.readline()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    catalog = kit.write_catalog(tmp_path / "catalog", kit.perpetual("BTCUSDT.TEST"), seconds=5)
    path: Path = kit.loaded(tmp_path, catalog, f"{__name__}:Waiting", {}).path
    return path


def _listed(where: Path) -> list[dict[str, Any]]:
    done = CliRunner().invoke(app, ["runs", "ls", "--json", "--in", str(where)])
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def _until(where: Path, state: str) -> dict[str, Any]:
    end = time.monotonic() + PATIENCE_SECS
    found = _listed(where)
    while [one["state"] for one in found] != [state]:
        assert time.monotonic() < end, f"expected one run, {state}; came {found}"
        time.sleep(0.05)
        found = _listed(where)
    return found[0]


def _begin(file: Path, *words: str, ready: Path | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [FAIRLEAD, "backtest", str(file), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env=os.environ if ready is None else os.environ | {READY: str(ready)},
    )


def test_a_killed_run_is_listed_until_it_is_removed(file: Path, tmp_path: Path) -> None:
    process = _begin(file, "--out", str(tmp_path / "out"))
    try:
        assert _until(tmp_path, "running")["mode"] == "backtest"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_SECS)
    told = _until(tmp_path, "killed")
    assert (told["name"], told["exit_code"], told["fills"]) == ("test", None, None)
    table = CliRunner().invoke(app, ["runs", "ls", "--in", str(tmp_path)]).stdout
    assert f"{told['id']} was killed: its log and journals are in {told['folder']}" in table
    assert Path(told["folder"]).is_dir()
    refused = CliRunner().invoke(app, ["runs", "show", told["id"], "--in", str(tmp_path)])
    assert "RUN-NOT-FOUND" in refused.stderr
    for name in (told["id"], "last"):
        with pytest.raises(FairleadError, match="was killed before it could be summed up") as found:
            find_run(name, tmp_path)
        assert told["id"] in found.value.message
    gone = CliRunner().invoke(app, ["runs", "rm", told["id"], "--in", str(tmp_path)])
    assert gone.exit_code == 0, gone.output
    assert _listed(tmp_path) == []


def test_a_run_that_ends_leaves_itself_and_no_mark(file: Path, tmp_path: Path) -> None:
    process = _begin(file)
    _until(tmp_path, "running")
    process.communicate(b"\n", timeout=PATIENCE_SECS)
    assert process.returncode == 0
    (told,) = _listed(tmp_path)
    assert told["state"] == "ended"
    assert begun_below(tmp_path) == []
    (run,) = runs_below(tmp_path)
    assert run.id == told["id"]


def test_a_run_that_fails_leaves_nothing(tmp_path: Path) -> None:
    state = tmp_path / "new" / "state"
    with _mark(state):
        assert [one.state for one in begun_below(tmp_path)] == ["running"]
    assert begun_below(tmp_path) == []
    with contextlib.ExitStack() as stack:
        stack.enter_context(pytest.raises(RuntimeError, match="it failed"))
        stack.enter_context(_mark(state))
        raise RuntimeError("it failed")
    assert not state.parent.exists()


def test_a_folder_that_takes_no_file_ends_no_run(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    with _mark(tmp_path / "state"):
        assert begun_below(tmp_path) == []


def test_killed_runs_go_with_the_kept_ones_that_are_older(tmp_path: Path) -> None:
    for number in (1, 2):
        with _mark(tmp_path, begun_ns=number * 10**9):
            (path,) = (one.path for one in begun_below(tmp_path) if one.state == "running")
            (path.parent / f".left-{number}.begun").write_bytes(path.read_bytes())
    assert [one.state for one in begun_below(tmp_path)] == ["killed", "killed"]
    (tmp_path / "runs" / ".damaged-1.begun").write_text("{")
    assert len(begun_below(tmp_path)) == 2
    done = CliRunner().invoke(app, ["runs", "rm", "--but-last", "0", "--in", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert begun_below(tmp_path) == []


def _mark(state: Path, begun_ns: int = 5) -> Any:
    return marked(state, name="a b", mode="paper", begun_ns=begun_ns, config_path=state / "a.toml")


def test_a_run_that_was_cut_short_is_told_with_its_exit_code(file: Path, tmp_path: Path) -> None:
    """It said why it ended: nobody killed it."""
    ready = tmp_path / "ready"
    process = _begin(file, ready=ready)
    end = time.monotonic() + PATIENCE_SECS
    while not ready.exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    while process.poll() is None:  # the callback reads: once asks, twice ends at once
        process.send_signal(signal.SIGINT)
        time.sleep(2 * ECHO_SECS)
    assert process.returncode == 130
    told = _until(tmp_path, "cut short")
    assert (told["exit_code"], told["fills"]) == (130, None)
    shown = CliRunner().invoke(app, ["runs", "ls", "--in", str(tmp_path)]).stdout
    assert "killed" not in shown
    assert f"{told['id']} was cut short (exit 130, STOP-AT-ONCE: ended at once by" in shown
    with pytest.raises(FairleadError, match=r"was cut short \(exit 130"):
        find_run(told["id"], tmp_path)
    status = CliRunner().invoke(app, ["status", str(file), "--mode", "backtest"])
    assert "killed" not in status.output
    gone = CliRunner().invoke(app, ["runs", "rm", told["id"], "--in", str(tmp_path)])
    assert gone.exit_code == 0, gone.output
    assert _listed(tmp_path) == []


def test_a_run_that_ended_before_it_began_is_none(tmp_path: Path) -> None:
    with _mark(tmp_path):
        tell_end("STOPPED", "stopped by SIGINT before it began; nothing was sent", 0)
        assert begun_below(tmp_path) == []


def test_a_mark_tells_the_end_while_its_process_goes(tmp_path: Path) -> None:
    """Nothing is told of the end of a run to who ended before or after it."""
    tell_end("STOP-TIMEOUT", "before", 124)
    with _mark(tmp_path):
        (one,) = begun_below(tmp_path)
        tell_end("STOP-TIMEOUT", "strategy S-1 blocks", 124)
        left = one.path.read_bytes()
    tell_end("STOP-TIMEOUT", "after", 124)
    assert begun_below(tmp_path) == []
    one.path.parent.mkdir(exist_ok=True)
    one.path.write_bytes(left)
    (over,) = begun_below(tmp_path)
    assert over.end == "was cut short (exit 124, STOP-TIMEOUT: strategy S-1 blocks)"
