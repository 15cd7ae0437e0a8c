"""A result that can't be printed ends no run otherwise than it ended, and says where what is.

And a signal before there is a run is a clean stop.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.live.desk import Desk
from tests.support.patience import PATIENCE_SECS
from tests.support.processes import FAIRLEAD, ROOT, Venue, command, forks, wait_for


def ends(
    words: list[str], *, out: str = "/dev/full", code: int = 0, stderr: int | None = None
) -> str:
    """Run with a stdout that takes nothing; what is told on stderr.

    Forked; `test_no_file_becomes_stdout_when_that_is_closed` and the signals have whole processes.
    """
    if out == "pipe":
        reading, writing = os.pipe()
        os.close(reading)
    else:
        writing = os.open(out, os.O_WRONLY)
    with tempfile.TemporaryFile("w+") as err:
        try:
            process = forks().start(words, stdout=writing, stderr=stderr or err)
        finally:
            os.close(writing)
        try:
            ended = process.wait(PATIENCE_SECS)
        finally:
            process.kill()
        err.seek(0)
        told = err.read()
    assert ended == code, told[-3000:]
    assert code == 10 or "Traceback" not in told  # a strategy's is told
    assert "E-UNEXPECTED" not in told
    return told


@pytest.mark.parametrize("out", ["/dev/full", "pipe"])
@pytest.mark.parametrize("verb", ["live", "paper", "record"])
def test_a_run_whose_stdout_is_gone(desk: Desk, verb: str, out: str) -> None:
    config = desk.config(more="[record]\n")
    told = ends([verb, str(config), "--for", "4", "--json"], out=out)
    _, _, rest = told.partition("error OUTPUT-LOST: stdout: ")
    text = rest.partition("\n")[2]
    summary, end = json.JSONDecoder().raw_decode(text)
    assert summary["mode"] == verb
    named = text[end:].splitlines()
    assert f"recording: {desk.folder / 'data'}" in named
    assert verb != "live" or f"journal oceanex: {desk.journal}" in named


def test_a_run_that_failed_keeps_its_code(desk: Desk) -> None:
    told = ends(["live", str(desk.config("raise_on_book")), "--for", "20"], code=10)
    assert "raised on purpose in on_book_deltas" in told


def test_both_outputs_gone(desk: Desk) -> None:
    with open("/dev/full", "w") as full:
        ends(["live", str(desk.config()), "--for", "4"], stderr=full.fileno())
        ends(["live", str(desk.config("raise_on_book"))], stderr=full.fileno(), code=10)


def test_no_file_becomes_stdout_when_that_is_closed(desk: Desk) -> None:
    words = f"{FAIRLEAD} live {desk.config()} --for 4 >&- 2>&-"
    assert (
        subprocess.run(words, shell=True, cwd=ROOT, timeout=PATIENCE_SECS, check=False).returncode
        == 0
    )
    assert desk.states() == ["CANCELED"]


@pytest.mark.parametrize("as_json", [[], ["--json"]])
@pytest.mark.parametrize("out", ["/dev/full", "pipe"])
def test_the_other_verbs(desk: Desk, out: str, as_json: list[str]) -> None:
    config = str(desk.config())
    missed = 1 if out == "/dev/full" else 0  # a reader that has enough misses nothing
    for words, code in (
        (["check", config], missed),
        (["check", config, "--mode", "backtest"], 3),
        (["kill", "all", "--config", config], 11),  # no journal names its stops
        (["kill", "--status", "--config", config], 8),
        (["kill", "all", "--clear", "--reason", "a test", "--config", config], 0),
        (["simulate", "--seeds", "5", "--venues", "oceanex"], 1),
        (["runs", "ls", "--in", str(desk.folder)], missed),
        (["import", "nowhere.json", "--catalog", str(desk.folder / "imported")], 4),
        (["explain", "no-such-order", "--config", config], 4),
        (["backtest", config], 4),
    ):
        ends([*words, *as_json], out=out, code=code)
    ends(["config", "--explain", "risk"], out=out, code=missed)
    ends(["config", "--schema"], out=out, code=missed)
    ends(["--help"], out=out, code=missed)


@pytest.mark.parametrize("verb", ["live", "paper", "record"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_is_imported(desk: Desk, verb: str, number: int) -> None:
    command = [FAIRLEAD, verb, str(desk.config())]  # a forked process has imported it
    with desk.log.open("w") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    maps = Path(f"/proc/{process.pid}/maps")
    wait_for(lambda: "/_cffi_backend" in (text := maps.read_text()) or "msgspec" in text, "imports")
    assert desk.stop(process, number) == 0, desk.log.read_text()
    assert (
        desk.log.read_text()
        == f"stopped by {signal.Signals(number).name} before it began; nothing was sent\n"
    )
    assert not (desk.folder / "state").exists()


@pytest.mark.parametrize(
    ("verb", "number"),
    [
        *((verb, signal.SIGINT) for verb in ("live", "paper", "backtest", "check")),
        *(("check", number) for number in (signal.SIGTERM, signal.SIGHUP)),
    ],
)
def test_a_signal_while_the_config_is_loaded(
    served: Venue, tmp_path: Path, verb: str, number: int
) -> None:
    """A strategy's module that takes its time."""
    desk = Desk(served, tmp_path)
    config = desk.config()
    config.write_text(config.read_text().replace("tests.live.scripted:", "tests.live.slow_module:"))
    reached = tmp_path / "reached"
    env = {**os.environ, "SLOW_MODULE_FILE": str(reached)}
    with desk.log.open("w") as log:
        process = subprocess.Popen(
            [FAIRLEAD, verb, str(config)], stdout=log, stderr=log, cwd=ROOT, env=env
        )
    try:
        wait_for(lambda: reached.exists() or process.poll() is not None, "the module's import")
        process.send_signal(number)
        code = process.wait(PATIENCE_SECS)
    finally:
        process.kill()
        process.wait(PATIENCE_SECS)
    told = desk.log.read_text()
    assert "Traceback" not in told
    assert "E-UNEXPECTED" not in told
    if verb == "backtest" and code == 4:
        return  # it looks for its data before it loads a strategy
    assert code == (0 if verb in ("live", "paper") else 130), told


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        ("backtest {config}", 4, "CATALOG-MISSING"),
        ("import nowhere.json --catalog {folder}/imported", 4, "IMPORT-FILE"),
        ("kill all --config {folder}/nowhere.toml", 3, "KILL-CONFIG"),
        ("kill all --config {broken}", 3, "E-CFG"),
        ("kill --clear --config {config}", 2, "USAGE"),
        ("kill", 2, "USAGE"),
        ("resolve no-order --gone --config {config} --reason x", 4, "RESOLVE-NOT-FOUND"),
        ("resolve no-order --config {config} --reason x", 2, "USAGE"),
        ("simulate --seeds few", 2, "USAGE"),
        ("explain no-such-order --config {config}", 4, "ORDER-NOT-FOUND"),
        ("live {folder}/nowhere.toml", 3, "E-CFG"),
        ("live", 2, "USAGE"),
        ("paper {config} --for soon", 2, "USAGE"),
        ("record {config} --no-such", 2, "USAGE"),
    ],
)
def test_json_is_one_document_of_what_came_of_no_run(
    desk: Desk, words: str, code: int, error: str
) -> None:
    config = desk.config()
    broken = desk.folder / "broken.toml"
    broken.write_text(config.read_text().replace("[[strategies]]", "typo = 1\n[[strategies]]"))
    line = words.format(config=config, folder=desk.folder, broken=broken)
    ended = command(*line.split(), "--json")
    told = json.loads(ended.stdout)
    assert (ended.returncode, told["exit_code"], told["error"]["code"]) == (code, code, error)
    assert told["error"]["message"] in ended.stderr


@pytest.mark.parametrize(("verb", "code"), [("live", 0), ("record", 0), ("check", 130)])
def test_json_is_one_document_of_a_run_that_a_signal_ends_early(
    desk: Desk, verb: str, code: int
) -> None:
    config = desk.config()
    if verb != "record":  # which loads no strategy
        text = config.read_text().replace("tests.live.scripted:", "tests.live.slow_module:")
        config.write_text(text)
    else:
        desk.fault("POST", "/v1/markets", "hang_request", times=9)
    reached = desk.folder / "reached"
    env = {**os.environ, "SLOW_MODULE_FILE": str(reached)}
    before = desk.faults_applied("hang_request")
    out = desk.folder / "early.out"
    with out.open("w") as to:
        process = subprocess.Popen(
            [FAIRLEAD, verb, str(config), "--json"], stdout=to, cwd=ROOT, env=env
        )
    try:
        wait_for(
            lambda: reached.exists() or desk.faults_applied("hang_request") > before, "its begin"
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECS) == code
    finally:
        process.kill()
        process.wait(PATIENCE_SECS)
    told = json.loads(out.read_text())
    assert told["exit_code"] == code
    assert told["outcome"]
