"""Real processes: a simulated venue on loopback, and fairlead runs against it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.patience import PATIENCE_SECS

ROOT = Path(__file__).resolve().parents[2]
FAIRLEAD = str(Path(sys.executable).with_name("fairlead"))


class Venue:
    """A served simulated venue: `line` is its JSON line, with URLs and test credentials."""

    def __init__(self, process: subprocess.Popen[str], line: Mapping[str, Any]) -> None:
        self.process = process
        self.line = line

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
    command = [FAIRLEAD, "venue", name, "--port", "0", "--account-dir", str(folder), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
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
) -> subprocess.Popen[str]:
    """A fairlead run in the background; both outputs go to `log`, appended."""
    with log.open("a") as out:
        return subprocess.Popen(
            [FAIRLEAD, verb, str(config), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
        )


def run(
    verb: str,
    config: Path,
    *arguments: str,
    timeout_secs: float = PATIENCE_SECS,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """A fairlead run to its end, outputs kept apart."""
    return subprocess.run(
        [FAIRLEAD, verb, str(config), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=timeout_secs,
        check=False,
        env={**os.environ, **(env or {})},
    )


def run_until(
    verb: str,
    config: Path,
    done: Any,
    what: str,
    *,
    folder: Path,
    program: Sequence[str] = (FAIRLEAD,),
) -> subprocess.CompletedProcess[str]:
    """A fairlead run that is stopped once `done` is true, or ends by itself before.

    Its outputs are in `run.out` and `run.err` of `folder` meanwhile, from this run only.
    """
    out, err = folder / "run.out", folder / "run.err"
    command = [*program, verb, str(config), "--json"]
    with out.open("w") as to_out, err.open("w") as to_err:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=to_out, stderr=to_err, text=True, cwd=ROOT
        )
    try:
        wait_for(lambda: process.poll() is not None or done(), f"{what}; see {err}")
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE_SECS)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(PATIENCE_SECS)
    return subprocess.CompletedProcess(command, code, out.read_text(), err.read_text())


def wait_for(condition: Any, what: str, timeout_secs: float = PATIENCE_SECS) -> None:
    """Poll until the condition is true; fail the test when it never is."""
    deadline = time.monotonic() + timeout_secs
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_secs} s for {what}"
        time.sleep(0.02)
