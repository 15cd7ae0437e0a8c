"""Real processes: a simulated venue on loopback, and fairlead runs against it."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.forks import COMMAND, ROOT, Forks, Process
from tests.support.patience import PATIENCE_SECS

FAIRLEAD = str(Path(sys.executable).with_name("fairlead"))


@functools.cache
def forks() -> Forks:
    """One a test process: what it forks has imported the command already."""
    return Forks(Path(tempfile.mkdtemp(prefix="forks-")))


class Venue:
    """A served simulated venue: `line` is its JSON line, with URLs and test credentials."""

    def __init__(self, process: Process, line: Mapping[str, Any]) -> None:
        self.process = process
        self.line = line

    def credential(self, name: str) -> str:
        """What the file of a credential holds."""
        return Path(str(self.line["credentials"][name]).removeprefix("file:")).read_text()

    def ledger(self, since: int = 0) -> dict[str, Any]:
        return self._get(f"ledger?since={since}")

    def ledger_size(self) -> int:
        """The number that the ledger's next entry will have."""
        return int(self._get(f"ledger?since={10**9}")["next"])

    def balances(self) -> dict[str, Any]:
        return self._get("balances")

    def book(self, market: str) -> dict[str, Any]:
        return self._get(f"book?market={market}")

    def _get(self, what: str) -> dict[str, Any]:
        base = str(self.line["control"]).rstrip("/")
        with urllib.request.urlopen(f"{base}/{what}", timeout=PATIENCE_SECS) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def post(self, what: str, **body: Any) -> None:
        url = f"{str(self.line['control']).rstrip('/')}/{what}"
        request = urllib.request.Request(url, data=json.dumps(body).encode())
        urllib.request.urlopen(request, timeout=PATIENCE_SECS).close()


@contextmanager
def venue(name: str, folder: Path, *arguments: str) -> Iterator[Venue]:
    """`fairlead venue NAME` on a free loopback port, ended with the block."""
    words = ["venue", name, "--port", "0", "--account-dir", str(folder), *arguments]
    process = forks().start(words, stdout=subprocess.PIPE, stderr=2)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"{name} did not start: exit {process.wait(PATIENCE_SECS)}"
        yield Venue(process, json.loads(line))
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE_SECS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE_SECS)


def start(
    verb: str, config: Path, *arguments: str, log: Path, env: Mapping[str, str] | None = None
) -> Process:
    """A fairlead run in the background; both outputs go to `log`, appended."""
    with log.open("a") as out:
        environment = {**os.environ, **(env or {})}
        words = [verb, str(config), *arguments]
        return forks().start(words, stdout=out, environment=environment)


def run(
    verb: str,
    config: Path,
    *arguments: str,
    timeout_secs: float = PATIENCE_SECS,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """A fairlead run to its end, outputs kept apart.

    Raises subprocess.TimeoutExpired.
    """
    return command(verb, str(config), *arguments, timeout_secs=timeout_secs, env=env)


def command(
    *words: str | Path,
    timeout_secs: float = PATIENCE_SECS,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    is_kept: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Any fairlead command, as `run`; `is_kept`: the search for credentials finds what it wrote."""
    folder = Path(tempfile.mkdtemp(prefix="command-"))
    out, err = folder / "out", folder / "err"
    with out.open("w") as to_out, err.open("w") as to_err:
        environment = {**os.environ, **(env or {})}
        process = forks().start(
            [str(word) for word in words],
            stdout=to_out,
            stderr=to_err,
            environment=environment,
            cwd=cwd,
        )
    try:
        code = process.wait(timeout_secs)
    finally:
        process.kill()
        process.wait(PATIENCE_SECS)
    told = out.read_text(), err.read_text()
    if not is_kept:
        shutil.rmtree(folder)
    return subprocess.CompletedProcess([str(word) for word in words], code, *told)


def run_until(
    verb: str, config: Path, done: Any, what: str, *, folder: Path, program: str = COMMAND
) -> subprocess.CompletedProcess[str]:
    """A fairlead run that is stopped once `done` is true, or ends by itself before.

    Its outputs are in `run.out` and `run.err` of `folder` meanwhile, from this run only.
    """
    out, err = folder / "run.out", folder / "run.err"
    words = [verb, str(config), "--json"]
    with out.open("w") as to_out, err.open("w") as to_err:
        process = forks().start(words, stdout=to_out, stderr=to_err, program=program)
    try:
        wait_for(lambda: process.poll() is not None or done(), f"{what}; see {err}")
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE_SECS)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(PATIENCE_SECS)
    return subprocess.CompletedProcess(
        [str(word) for word in words], code, out.read_text(), err.read_text()
    )


def wait_for(condition: Any, what: str, timeout_secs: float = PATIENCE_SECS) -> None:
    """Poll until the condition is true; fail the test when it never is."""
    deadline = time.monotonic() + timeout_secs
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_secs} s for {what}"
        time.sleep(0.02)
